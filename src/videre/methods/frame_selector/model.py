"""The trained frame selector: a frozen vision encoder, a projector, a language model, and a head that scores frames.

Two layouts. `query`, the paper's: frames, question, one learned score query, whose hidden state after the last but one
block gives a score for each of n frames. `frame`: question, frames, and a score from the hidden states of each frame's
own tokens, for any number of frames, each of which sees all.

Source: M-LLM based video frame selection, arXiv 2502.19680, section 3.2 (`query`); VideoITG, CVPR 2026 (`frame`).
Differs: the hidden state is normalised before the MLP; a causal model of any kind passes through it in one scale.
"""

from typing import Any, Literal, no_type_check

from jaxtyping import Float, Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel  # noqa: E402

from videre.methods.frame_selector.masks import both_ways, side_by_side  # noqa: E402

Head = Literal["query", "frame"]


@no_type_check  # The library makes it a dataclass that takes further keywords, which checks of its fields would refuse.
class FrameSelectorConfig(PreTrainedConfig):
    """What a selector is built from.

    Attributes:
        vision_config: of a vision encoder of transformers whose patches form a square.
        text_config: of a causal language model of transformers.
        layout: `query` or `frame`.
        n: frames that the query scores; the candidates that a `frame` selector looks at unless told otherwise.
        grid: a frame becomes grid x grid tokens.
    """

    model_type = "videre_frame_selector"
    sub_configs = {"vision_config": AutoConfig, "text_config": AutoConfig}  # noqa: RUF012

    vision_config: Any = None
    text_config: Any = None
    layout: str = "query"
    n: int = 128
    grid: int = 3

    def __post_init__(self, **kwargs: Any) -> None:
        self.vision_config = _sub(self.vision_config, "siglip_vision_model")
        self.text_config = _sub(self.text_config, "qwen2")
        self.tie_word_embeddings = bool(getattr(self.text_config, "tie_word_embeddings", False))
        if self.layout not in ("query", "frame") or self.n < 1 or self.grid < 1:
            raise ValueError(
                f"layout is query or frame, n and grid 1 or more, got {self.layout=} {self.n=} {self.grid=}"
            )
        super().__post_init__(**kwargs)


class FrameSelector(PreTrainedModel):
    """Scores frames for a question. Saved and loaded as any model of transformers, vision encoder included.

    Parts: `vision`, `projector`, `llm`, `query` (of the layout `query`), `head`.
    """

    config_class = FrameSelectorConfig
    base_model_prefix = ""
    _supports_sdpa = True
    _supports_attention_backend = True
    _tied_weights_keys = {"llm.lm_head.weight": "llm.model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: FrameSelectorConfig) -> None:
        super().__init__(config)
        width = config.text_config.hidden_size
        self.vision: Any = AutoModel.from_config(config.vision_config)
        self.llm: Any = AutoModelForCausalLM.from_config(config.text_config)
        self.projector: Any = nn.Sequential(
            nn.Linear(config.vision_config.hidden_size, width), nn.GELU(), nn.Linear(width, width)
        )
        outputs = config.n if config.layout == "query" else 1
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, outputs))
        if config.layout == "query":
            self.query = nn.Parameter(torch.zeros(1, width))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """New parts as the language model's own are; the parts from elsewhere begin as their own classes say."""
        std = float(getattr(self.config.text_config, "initializer_range", 0.02))
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif module is self and self.config.layout == "query":
            nn.init.normal_(self.query, std=std)

    def forward(
        self,
        patches: Float[Tensor, "B n P V"],
        input_ids: Int[Tensor, "B L"],
        lengths: Int[Tensor, " B"],
    ) -> Float[Tensor, "B n"]:
        """A logit a frame.

        Args:
            patches: what the vision encoder gives of each frame (`encode`).
            input_ids: tokens of the questions, filled up at their ends.
            lengths: of the questions, in tokens.
        """
        embeds, mask, places = self.sequence(self.tokens(patches), input_ids, lengths)
        hidden = self.penultimate(embeds, mask, places)
        if self.config.layout == "query":
            ends = patches.shape[1] * self.config.grid**2 + lengths
            return self.head(hidden[torch.arange(len(hidden), device=hidden.device), ends])
        frames = hidden[:, input_ids.shape[1] :].unflatten(1, (patches.shape[1], self.config.grid**2))
        return self.head(frames.mean(2)).squeeze(-1)

    def several(
        self,
        patches: Float[Tensor, "B n P V"],
        input_ids: Int[Tensor, "B Q L"],
        lengths: Int[Tensor, "B Q"],
    ) -> Float[Tensor, "B Q n"]:
        """A logit a frame for each of several questions about a video, of the layout `query`.

        The frames stand before the questions and see none of them, so they are read once for all; each question sees
        the frames and itself, at the places that it has alone. The scores are those of asking one by one.

        Args:
            patches: as in `forward`.
            input_ids: tokens of the questions about each video, filled up at their ends.
            lengths: of the questions, in tokens.
        """
        embeds, mask, places, ends = self._side_by_side(patches, input_ids, lengths)
        return self.head(self.penultimate(embeds, mask, places).take_along_dim(ends, 1))

    def instructed(
        self,
        patches: Float[Tensor, "B n P V"],
        input_ids: Int[Tensor, "B Q L"],
        lengths: Int[Tensor, "B Q"],
    ) -> tuple[Float[Tensor, "B Q n"], Float[Tensor, "B Q W"]]:
        """The scores of `several`, and logits of the token after each question, from one pass for both losses.

        The score query stands after the question, where the causal mask hides it from the answer.
        """
        embeds, mask, places, ends = self._side_by_side(patches, input_ids, lengths)
        given = {"inputs_embeds": embeds, "attention_mask": mask, "position_ids": places, "use_cache": False}
        read = self.llm.get_decoder()(**given, output_hidden_states=True)
        said = self.llm.get_output_embeddings()(read.last_hidden_state.take_along_dim(ends - 1, 1))
        scored = read.hidden_states[-2].to(next(self.head.parameters()).dtype)  # What goes into the last block.
        return self.head(scored.take_along_dim(ends, 1)), said

    def _side_by_side(
        self, patches: Float[Tensor, "B n P V"], input_ids: Int[Tensor, "B Q L"], lengths: Int[Tensor, "B Q"]
    ) -> tuple[Float[Tensor, "B S D"], Tensor, Int[Tensor, "B S"], Int[Tensor, "B Q 1"]]:
        """Frames and several questions: embeddings, mask, positions, and where each question's score query stands."""
        if self.config.layout != "query":
            raise ValueError("several questions share their frames in the layout query alone: its frames see none")
        frames, count = self.tokens(patches), input_ids.shape[1]
        asked = self._queried(input_ids.flatten(0, 1), lengths.flatten()).unflatten(0, (-1, count))
        mask, places = side_by_side(frames.shape[1], count, asked.shape[2], asked)
        embeds = torch.cat([frames.to(asked.dtype), asked.flatten(1, 2)], 1)
        starts = frames.shape[1] + torch.arange(count, device=embeds.device) * asked.shape[2]
        return embeds, mask, places.expand(len(embeds), -1), (starts + lengths)[..., None]

    @torch.no_grad()
    def encode(self, pixels: Float[Tensor, "T 3 H W"], *, batch: int = 16) -> Float[Tensor, "T P V"]:
        """Patch features of the frozen vision encoder; a class or register token before them is left out."""
        # With the colours of a pixel side by side, its convolution gives patches that lie as the blocks read them.
        laid = {"dtype": self.vision.dtype, "memory_format": torch.channels_last}
        parts = [self.vision(pixel_values=part.to(**laid)).last_hidden_state for part in pixels.split(batch)]
        features = torch.cat(parts)
        side = int(features.shape[1] ** 0.5)
        return features[:, features.shape[1] - side**2 :]

    def tokens(self, patches: Float[Tensor, "B n P V"]) -> Float[Tensor, "B nG D"]:
        """The frames as the language model reads them: projected, then averaged to grid x grid tokens each."""
        first, bend, last = self.projector
        bent = bend(first(patches.to(first.weight.dtype)))
        # The last layer is linear, so it may follow the average: on a few tokens a frame in place of all patches.
        return last(_bins(patches.shape[2], self.config.grid).to(bent) @ bent).flatten(1, 2)

    def sequence(
        self, frames: Float[Tensor, "B N D"], input_ids: Int[Tensor, "B L"], lengths: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B S D"], Float[Tensor, "B 1 S S"] | None, Int[Tensor, "B S"] | None]:
        """Inputs of the language model: embeddings, mask, positions; None where a plain causal count will do."""
        if self.config.layout == "query":
            asked = self._queried(input_ids, lengths)
            return torch.cat([frames.to(asked.dtype), asked], 1), None, None
        words = self.llm.get_input_embeddings()(input_ids)
        real = torch.arange(input_ids.shape[1], device=words.device)[None] < lengths[:, None]
        seen = torch.cat([real, real.new_ones(len(words), frames.shape[1])], 1)
        places = (seen.cumsum(1) - 1).clamp(min=0)
        return torch.cat([words, frames.to(words.dtype)], 1), both_ways(seen, words.dtype), places

    def _queried(self, input_ids: Int[Tensor, "B L"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B L+1 D"]:
        """Questions with the score query at once after each; filling comes after it, where a causal mask hides it."""
        words = self.llm.get_input_embeddings()(input_ids)
        query = self.query.to(words.dtype).expand(len(words), 1, -1)
        padded = torch.cat([words, torch.zeros_like(query)], 1)
        here = torch.arange(padded.shape[1], device=words.device)[None, :, None] == lengths[:, None, None]
        return torch.where(here, query, padded)

    def penultimate(
        self, embeds: Float[Tensor, "B S D"], mask: Tensor | None = None, places: Tensor | None = None
    ) -> Float[Tensor, "B S D"]:
        """Hidden states after the last but one block."""
        given = {"inputs_embeds": embeds, "attention_mask": mask, "position_ids": places, "use_cache": False}
        return _before_last_block(self.llm.get_decoder(), given).to(next(self.head.parameters()).dtype)

    def answer_loss(
        self, patches: Float[Tensor, "B n P V"], input_ids: Int[Tensor, "B L"], labels: Int[Tensor, "B L"]
    ) -> Float[Tensor, ""]:
        """Cross-entropy of the answer's tokens after frames and question, inside the selector's own model.

        Args:
            input_ids: question and answer, filled up at the end.
            labels: the same, -100 at whatever is not the answer.

        Source: section 3.4, stage 1. A choice of frames has no gradient and the answering model is another one, so the
            loss can only be taken here; through the frozen language model it reaches the projector alone.
        """
        words = self.llm.get_input_embeddings()(input_ids)
        embeds = torch.cat([self.tokens(patches).to(words.dtype), words], 1)
        count = int(labels.shape[1])
        logits = self.llm(inputs_embeds=embeds, use_cache=False, logits_to_keep=count + 1).logits[:, :-1]
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100)


class _Reached(BaseException):
    """Ends a pass before the last block, with the hidden states so far. No `Exception`: no layer may handle it."""


def _before_last_block(decoder: Any, given: dict[str, Any]) -> Float[Tensor, "B S D"]:
    """Hidden states before the last block, which is not run."""
    count = decoder.config.num_hidden_layers
    blocks = next(part for part in decoder.children() if isinstance(part, nn.ModuleList) and len(part) == count)

    def stop(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        raise _Reached(args[0] if args else kwargs["hidden_states"])

    hook = blocks[-1].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        decoder(**given)
    except _Reached as reached:
        return reached.args[0]
    finally:
        hook.remove()
    raise ValueError(f"{type(decoder).__name__} did not run the last of its blocks")


def _bins(patches: int, grid: int) -> Float[Tensor, "G P"]:
    """The adaptive average of a square of patches over grid x grid bins, as weights."""
    side = int(patches**0.5)
    ones = torch.eye(patches).view(patches, side, side)
    return nn.functional.adaptive_avg_pool2d(ones, grid).flatten(1).T


def _sub(given: Any, kind: str) -> PreTrainedConfig:
    if isinstance(given, PreTrainedConfig):
        return given
    told = dict(given or {})
    return AutoConfig.for_model(told.pop("model_type", kind), **told)
