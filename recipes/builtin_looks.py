"""Heads that are told where to look, since a question about a story takes three looks.

The name's last word looks where its thing is seen (`name`) and takes along on which frames; the reply looks back at the
name (`carry`); from there it looks at the frames after, before, or at the same ones (`after`, `before`, `beside`, a
head each; the two that are not meant look at the first token of all). Left alone the text side did not find the three
in thousands of films. Here the loss says where each head is to look, and frame numbers are read off what looks.

Source of the idea to teach attention itself: Liu et al., "Neural Machine Translation with Supervised Attention"
(2016). Which looks: ours.
"""

from typing import Any

import builtin_language as language
import builtin_motion as motion
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface

LOOKS = {"name": (2, 1), "carry": (3, 2), "after": (4, 0), "before": (4, 1), "beside": (4, 3)}
"""Look -> the layer and the head. Clips lose next to nothing where one of these heads is taken away."""
WAYS = ("after", "before", "beside")
MOST_FRAMES = 24


def attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, scaling: float, **_: object
) -> tuple[Tensor, None]:
    """As `builtin_language.attention`, and keeps where the heads of each layer look."""
    with torch.autocast(query.device.type, enabled=False):
        query, key = (query * scaling).to(value.dtype), key.to(value.dtype)
        weights = torch.softmax(torch.matmul(query, key.transpose(-1, -2)).add_(attention_mask), dim=-1)
        module.looked = weights  # type: ignore[assignment]
        seen = weights.matmul(value)
    return seen.transpose(1, 2).contiguous(), None


AttentionInterface.register("guided", attention)


class Guided(nn.Module):
    """A model with the readings of `builtin_motion`, and of frame numbers on frame tokens, names and replies."""

    def __init__(self, followed: motion.Followed) -> None:
        super().__init__()
        width = followed.model.config.text_config.hidden_size
        self.followed = followed
        self.frame = nn.ModuleDict({name: nn.Linear(width, MOST_FRAMES) for name in ("shown", "name", "carry")})

    @property
    def model(self) -> Any:
        """The model itself."""
        return self.followed.model


def loss(guide: float, read: float, clips: Any) -> Any:
    """Cross-entropy of the replies, so much of the looks and of the frame numbers; clips have a loss of their own."""

    def told(learner: Guided, batch: dict[str, Tensor]) -> Tensor:
        if "looks" not in batch:
            return clips(learner.followed, batch)
        return sum(parts(learner, batch, guide, read).values(), torch.zeros(()))

    return told


def parts(learner: Guided, batch: dict[str, Tensor], guide: float, read: float) -> dict[str, Tensor]:
    """The terms of a batch of stories."""
    model, hidden = learner.model, language.states(learner.model, batch)
    text = model.model.text_model
    wanted = batch["label"] != -100
    out = {"reply": F.cross_entropy(model.lm_head(hidden[-1][wanted]).float(), batch["label"][wanted])}
    look, row, query = batch["looks"].T
    for number, (name, (layer, head)) in enumerate(LOOKS.items()):
        mine = look == number
        looked = text.layers[layer].self_attn.looked[row[mine], head, query[mine]].float()
        count = max(len(looked), 1)  # a small batch may have none
        out[name] = -guide * ((looked * batch["where"][mine]).sum(1) + 1e-3).log().sum() / count
        if name in learner.frame:
            said = learner.frame[name](text.norm(hidden[layer + 1][row[mine], query[mine]])).float()
            out[f"{name}: frame"] = read * F.cross_entropy(said, batch["frames"][mine], reduction="sum") / count
    frames = batch["ids"] == model.config.image_token_id
    said = learner.frame["shown"](text.norm(hidden[LOOKS["name"][0]][frames])).float()
    out["frame"] = read * F.cross_entropy(said, ((frames.cumsum(1) - 1) // 16)[frames])
    return out
