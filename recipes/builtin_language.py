"""Questions in sentences, several about a clip in one pass.

The questions of a clip share its frames: they stand one after another behind the video, each sees the video and itself
only (a block mask), and each starts at the position where a lone question would. One pass over the frames then teaches
many answers.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from num2words import num2words
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedTokenizerFast

from videre.data import world
from videre.data.world.questions import SINGLE_FRAME_KINDS, Draft, ask
from videre.options import letter, listed
from videre.types import Question

WEIGHTS = {
    "colour": 0.4,
    "shape": 0.4,
    "presence": 0.6,
    "count": 0.4,
    "order": 3.0,
    "first": 1.2,
    "last": 3.5,
    "direction": 1.6,
    "motion": 0.4,
    "describe": 0.2,
}
LAYOUTS = {"listed": 0.7, "bare": 0.15, "images": 0.15}
"""How frames reach the model, and how often in training."""

BRIDGE = {"listed": "\n\n", "bare": "\n\n", "images": ""}
"""What stands between the last frame and the question."""

INVENTORY = ("What do you see?", "What is there?", "What can you see?", "List the things.")
FAKE, IMAGE = "<fake_token_around_image>", "<image>"
USER, ASSISTANT, END = "<|im_start|>User: ", "<end_of_utterance>\nAssistant:", "<end_of_utterance>"


def moments(clip: world.Clip, count: int, rng: np.random.Generator) -> np.ndarray:
    """Even moments, the ways that samplers choose them, sometimes shaken; a few frames alone may be any."""
    last = clip.frame_seconds[-1]
    if count < 6:
        return np.sort(rng.uniform(0, last, count))
    way = rng.random()
    times = np.linspace(0, last, count) if way < 0.3 else (np.arange(count) + 0.5 * (way < 0.8)) / count * last
    if rng.random() < 0.3:
        times = times + rng.uniform(-0.2, 0.2, count) * last / count
    return np.sort(np.clip(times, 0, last))


def drafts(
    clip: world.Clip, times: np.ndarray, count: int, rng: np.random.Generator, often: Mapping[str, float] = WEIGHTS
) -> list[Draft]:
    """Questions that these frames can answer, each kind so often: what a question is about is on one of them."""
    kinds = list(WEIGHTS) if len(times) >= 6 else list(SINGLE_FRAME_KINDS)
    weights = np.array([often.get(k, WEIGHTS[k]) for k in kinds])
    seen = {t.colour for t in clip.things if t.shown(times).any()}
    made: list[Draft] = []
    if len(times) < 6:
        made.append(inventory(clip, times, rng))
    for kind in rng.choice(kinds, size=4 * count, p=weights / weights.sum()):
        draft = ask(clip, str(kind), rng)
        if draft and all(t.colour in seen for t in draft.about):
            made.append(draft)
    return made[:count]


def inventory(clip: world.Clip, times: np.ndarray, rng: np.random.Generator) -> Draft:
    """What the frames show, from left to right in the last one: teaches that a colour and a shape belong together."""
    shown = [t for t in clip.things if t.shown(times).any()]
    shown.sort(key=lambda t: t.centre(times[-1:])[0, 0])
    answer = ", ".join(f"{'an' if t.colour[0] in 'aeiou' else 'a'} {t.name}" for t in shown) or "nothing"
    return Draft("describe", str(rng.choice(INVENTORY)), (), answer, ())


def texts(asked: list[Draft], choice: float, rng: np.random.Generator) -> Iterator[tuple[str, str, str]]:
    """Each question as the house asks it, the reply that is wanted, and its kind."""
    for draft in asked:
        text = draft.text.lower() if rng.random() < 0.15 else draft.text
        text = text.rstrip("?.") if rng.random() < 0.15 else text
        if draft.options and rng.random() < choice:
            options = tuple(str(o) for o in rng.permutation(draft.options)) if rng.random() < 0.3 else draft.options
            reply = letter(options.index(draft.answer)) if rng.random() < 0.95 else draft.answer
            yield listed(Question(text, options)), reply, draft.kind
        else:
            yield text, draft.answer, draft.kind


def prefix(times: np.ndarray, seconds: float, frame_tokens: int, layout: str = "listed") -> str:
    """What the prompt holds from the start of the conversation to its last frame, as `models.handover` writes it.

    `listed` is a video after a line that lists its times, `bare` a video alone, `images` pictures with marks.
    """
    frame = f"{FAKE}<global-img>{IMAGE * frame_tokens}{FAKE}"
    if layout == "images":
        return USER + "".join(f"<{t:.1f} seconds>{frame}" for t in times)
    count = "1 frame" if len(times) == 1 else f"{len(times)} frames"
    line = f"The video: {count}, at {' '.join(f'<{t:.1f} seconds>' for t in times)}.\n" if layout == "listed" else ""
    length = f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d}:{int(seconds) % 60:02d}"
    intro = (
        f"You are provided the following series of {num2words(len(times))} frames from a {length} [H:MM:SS] video.\n"
    )
    marks = [f"\nFrame from {int(t // 60):02d}:{int(t % 60):02d}:{frame}" for t in times]
    return f"{USER}{line}{intro}{''.join(marks)}"


def encode(
    words: PreTrainedTokenizerFast, start: str, asked: Iterator[tuple[str, str, str]], *, bridge: str = "\n\n"
) -> dict[str, list[int]]:
    """Token ids of one clip's row, with each token's block (0 for the video), position, label (-100 for none) and kind.

    The kind of a question stands where its reply starts, -1 elsewhere.
    """

    def tokens(text: str) -> list[int]:
        return words(text, add_special_tokens=False)["input_ids"]

    told = (
        (tokens(f"{bridge}{text}{ASSISTANT}"), tokens(f" {reply}{END}"), list(WEIGHTS).index(kind))
        for text, reply, kind in asked
    )
    return lay(tokens(start), told)


def lay(start: list[int], asked: Iterable[tuple[list[int], list[int], int]]) -> dict[str, list[int]]:
    """The row that `encode` gives, of tokens: those of the video, then of each question, its reply and its kind."""
    count = len(start)
    row = {"ids": list(start), "block": [0] * count, "position": list(range(count)), "label": [-100] * count}
    row["kind"] = [-1] * count
    for number, (said, answer, kind) in enumerate(asked, start=1):
        size = len(said) + len(answer)
        row["ids"] += said + answer
        row["block"] += [number] * size
        row["position"] += range(count, count + size)
        row["kind"] += [-1] * (len(said) - 1) + [kind] + [-1] * len(answer)
        row["label"] += [-100] * (len(said) - 1) + answer + [-100]  # a token's label is the token after it
    return row


def pack(rows: list[dict[str, list[int]]]) -> dict[str, Tensor]:
    """Rows of unequal length as tensors `[B, L]`, L a multiple of 16; the block of padding is -1."""
    longest = -(-max(len(row["ids"]) for row in rows) // 16) * 16  # odd sizes take products a tenth more time
    blank = {"ids": 0, "block": -1, "position": 0, "kind": -1}  # every other name is of labels, -100 for none
    return {k: torch.tensor([row[k] + [blank.get(k, -100)] * (longest - len(row[k])) for row in rows]) for k in rows[0]}


def mask(block: Tensor) -> Tensor:
    """The additive attention mask `[B, 1, L, L]`: earlier tokens of the video and of one's own question."""
    mine, theirs = block[:, :, None], block[:, None, :]
    earlier = torch.ones(block.shape[1], block.shape[1], dtype=torch.bool, device=block.device).tril()
    allowed = earlier & ((theirs == 0) | (theirs == mine))
    kind = torch.bfloat16 if torch.is_autocast_enabled(block.device.type) else torch.float32
    return torch.zeros(allowed.shape, dtype=kind, device=block.device).masked_fill(~allowed, -1e4)[:, None]


def attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, scaling: float, **_: object
) -> tuple[Tensor, None]:
    """Plain attention in one number type: transformers' own goes through float32, which doubles a step's cost."""
    with torch.autocast(query.device.type, enabled=False):
        query, key = (query * scaling).to(value.dtype), key.to(value.dtype)
        scores = torch.matmul(query, key.transpose(-1, -2)).add_(attention_mask)
        seen = torch.softmax(scores, dim=-1).matmul(value)
    return seen.transpose(1, 2).contiguous(), None


AttentionInterface.register("packed", attention)


def states(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """What the text side holds after each layer, `[B, L, D]` each, the words and frame tokens themselves first."""
    core = model.model
    with torch.no_grad():  # the eye and the connector are frozen
        seen = core.connector(core.vision_model(pixel_values=batch["pixels"]).last_hidden_state)
    embeds = core.text_model.get_input_embeddings()(batch["ids"])
    places = (batch["ids"] == model.config.image_token_id)[..., None].expand_as(embeds)
    embeds = embeds.masked_scatter(places, seen.to(embeds.dtype))
    return core.text_model(
        inputs_embeds=embeds,
        attention_mask=mask(batch["block"]),
        position_ids=batch["position"],
        use_cache=False,
        output_hidden_states=True,
    ).hidden_states
