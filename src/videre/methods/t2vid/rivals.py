"""Ways to show a video to an image model without training it, behind the one interface: plain pictures, a prompt, a
grid, slow and fast tokens.

Source: the zero-shot baselines of arXiv 2411.19951; IG-VLM, arXiv 2403.18406 (one grid of frames); SF-LLaVA, arXiv
2407.15841 (few frames with many tokens, many frames with few).
Differs: words of our own in prompts; frames keep their shape in the grid; slow-fast pools tokens after the projector,
as its paper does, in any family that gives its projected tokens, and is refused elsewhere.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from PIL import Image

from videre.models.handover import Handed, kept, upright
from videre.models.prompt import Prompter
from videre.models.session import Loaded, Watched
from videre.types import JSON, Answer, Frames, Question

Way = Literal["pictures", "prompt", "grid"]
GRID_WORDS = (
    "The picture is a grid of {count} frames of one video, in order of time from left to right and from top to bottom."
)
PROMPT_WORDS = (
    "These pictures are {count} frames of one video, in order of time. Look at what changes from one to the next, and "
    "answer about the video as a whole."
)


@dataclass(frozen=True)
class Grid:
    """How IG-VLM lays frames out: the number of columns (0: as square as it gets) and the longest side in pixels."""

    columns: int = 0
    side_px: int = 1024


class Rival:
    """An image model that is shown a video in one of these ways; answers as any other model does.

    Args:
        model: a loaded `videre.models.mllm.TransformersMLLM`, or the built-in model.
        way: "pictures" is frames as pictures without a word, "prompt" adds what they are, "grid" is one picture.
        grid: how a grid is laid out.
    """

    def __init__(self, model: Any, way: Way, *, grid: Grid | None = None) -> None:
        self._way, self._grid = way, grid or Grid()
        self._loaded = Loaded(model.network, Prompter(model.processor), model.card, 128)
        self.name = f"{way}:{model.name}"
        self.card: dict[str, JSON] = {**model.card, "shown_as": way}

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The greedy reply; with options, the one that it names."""
        chunks = kept(frames)
        count = sum(map(len, chunks))
        if self._way == "grid":
            pictures = [in_grid(chunks, self._grid)]
        else:
            pictures = [picture for chunk in chunks for picture in upright(chunk)]
        words = {"pictures": "", "prompt": PROMPT_WORDS, "grid": GRID_WORDS}[self._way].format(count=count)
        asked = replace(question, text=f"{words}\n{question.text}") if words else question
        return Watched(self._loaded, untimed(self._loaded.prompter, pictures)).answer(asked)


def untimed(prompter: Prompter, pictures: Sequence[np.ndarray]) -> Any:
    """The head of a prompt that shows pictures (uint8 `[H, W, 3]`) one after the other, without times."""
    content = [{"type": "image"} for _ in pictures]
    return prompter.assemble(Handed(content, images=list(pictures)), "images" if pictures else None, len(pictures))


def in_grid(chunks: Sequence[Frames], grid: Grid) -> np.ndarray:
    """All frames in one picture, row by row, each in its own shape; what is left of the last row is black."""
    pictures = [Image.fromarray(picture) for chunk in chunks for picture in upright(chunk)]
    if not pictures:
        raise ValueError("a grid shows one frame or more")
    columns = grid.columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    width, height = max(p.width for p in pictures), max(p.height for p in pictures)
    scale = min(1.0, grid.side_px / max(columns * width, rows * height))
    cell = (max(1, int(width * scale)), max(1, int(height * scale)))
    sheet = Image.new("RGB", (columns * cell[0], rows * cell[1]))
    for number, picture in enumerate(pictures):
        place = (number % columns * cell[0], number // columns * cell[1])
        share = min(cell[0] / picture.width, cell[1] / picture.height)
        small = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
        sheet.paste(picture.resize(small, Image.Resampling.LANCZOS), place)
    return np.array(sheet)
