"""Scorer x strategy: the selectors of `videre ask --select`."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from videre.errors import DataError
from videre.methods.frame_selector.cache import ScoreCache, score_key
from videre.methods.frame_selector.scored import Scored, Scorer
from videre.types import JSON, Evidence, Frames, Question, ScoreLine, Selector, Step, Video
from videre.video.bandit import RELEASED, FocusConfig, focus
from videre.video.look import look
from videre.video.sample import at_fps, centres

Strategy = Callable[[Scored, int], list[int]]
"""Scored candidates and a budget k in, exactly min(k, n) distinct indices in time order out."""
CANDIDATES = 128
SIZE_PX = 448
"""Longest side of a candidate: as much as the towers of usual scorers see."""


def selector(
    scorer: Scorer,
    strategy: Strategy,
    *,
    k: int,
    n: int = CANDIDATES,
    fps: float | None = None,
    size_px: int | None = SIZE_PX,
    cache: ScoreCache | None = None,
    told: Mapping[str, JSON] | None = None,
) -> Selector:
    """A selector that scores candidate frames and chooses among them; all scores stand in its evidence.

    Args:
        scorer: how much each candidate helps with the question.
        strategy: which candidates are taken.
        k: frames; a video with fewer distinct candidates gives all it has.
        n: candidates, spread evenly.
        fps: candidates a second, in place of n.
        size_px: longest side of the candidates as the scorer sees them.
        cache: where scores are kept; a second call neither decodes nor scores.
        told: name and settings of the strategy, for the record.

    The selector raises `DataError` where a released strategy chooses no frame, or one that is not there.
    """
    if k < 1 or n < 1:
        raise ValueError(f"k and n are 1 or more, got {k=} {n=}")

    def select(video: Video, question: Question) -> Evidence:
        started = time.perf_counter()
        moments = at_fps(video.duration_seconds, fps) if fps else centres(video.duration_seconds, n)
        seconds, scored, cached = _scored(video, question, moments, scorer, size_px, cache)
        middle = time.perf_counter()
        chosen = _there(strategy(scored, k), len(seconds), told)
        inputs: dict[str, JSON] = {"scorer": scorer.name, "candidates": len(seconds), "cached": cached}
        if cache and cache.aside:
            inputs["damaged_files_set_aside"] = cache.aside
        span = {"low": float(scored.scores.min()), "high": float(scored.scores.max())}
        steps = (
            Step("score", inputs, span, _ms(started, middle)),
            Step("choose", {**(told or {}), "k": k}, [seconds[i] for i in chosen], _ms(middle, time.perf_counter())),
        )
        return _evidence(seconds, scored.scores, chosen, steps)

    return select


def focus_selector(
    scorer: Scorer,
    *,
    k: int,
    fps: float = 4.0,
    size_px: int | None = SIZE_PX,
    seed: int = 42,
    config: FocusConfig = RELEASED,
) -> Selector:
    """FOCUS over a video: few of its frames are decoded and scored, and fewest of a long one.

    Args:
        fps: frames a second that may be looked at; the paper takes all, which a video this dense does not need.
        seed: of the drawing.
        config: see `FocusConfig`.
    """
    if k < 1:
        raise ValueError(f"k is 1 or more, got {k}")

    def select(video: Video, question: Question) -> Evidence:
        started = time.perf_counter()
        rate = min(fps, float(video.info.get("fps_avg") or fps))
        moments = at_fps(video.duration_seconds, rate)
        seen: dict[int, float] = {}

        def scores(frames: Any) -> list[float]:
            wanted = sorted(frames)
            shown = look(video, Evidence(tuple(moments[i] for i in wanted)), size_px=size_px)
            told = _unit_scores(scorer(shown, Question(question.text)).scores)
            places = np.searchsorted(shown.seconds, [moments[i] for i in wanted], side="right") - 1
            found = {i: float(told[max(0, int(place))]) for i, place in zip(wanted, places, strict=True)}
            seen.update({i: float(shown.seconds[max(0, int(p))]) for i, p in zip(wanted, places, strict=True)})
            return [found[i] for i in frames]

        chosen, known = focus(scores, len(moments), k, fps=rate, seed=seed, config=config)
        times = sorted({seen.get(i, moments[i]) for i in chosen})
        line = ScoreLine(tuple(moments[i] for i in sorted(known)), tuple(known[i] for i in sorted(known)))
        inputs = {"scorer": scorer.name, "frames": len(moments), "looked_at": len(known), "k": k, "seed": seed}
        step = Step("focus", inputs, list(times), _ms(started, time.perf_counter()))
        return Evidence(tuple(times), scored=line, steps=(step,))

    return select


def _scored(
    video: Video,
    question: Question,
    moments: tuple[float, ...],
    scorer: Scorer,
    size_px: int | None,
    cache: ScoreCache | None,
) -> tuple[tuple[float, ...], Scored, bool]:
    """True times of the candidates, their scores, and whether these were known already."""
    asked = Question(question.text)
    key = score_key(video, asked, scorer.card, moments, size_px) if cache else ""
    if cache and (found := cache.get(key)):
        return (*found, True)
    frames: Frames = look(video, Evidence(tuple(moments)), size_px=size_px)
    seconds, scored = tuple(float(t) for t in frames.seconds), scorer(frames, asked)
    if cache:
        cache.put(key, seconds, scored)
    return seconds, scored, False


def _there(chosen: list[int], count: int, told: Mapping[str, JSON] | None) -> list[int]:
    """The same; ours always choose among the candidates, as released AKS and BOLT do not."""
    if chosen and max(chosen) < count:
        return chosen
    name = (told or {}).get("strategy", "the strategy")
    raise DataError(f"{name} chose {chosen} of {count} candidates, as its release does: leave out released=true")


def _evidence(seconds: tuple[float, ...], scores: np.ndarray, chosen: list[int], steps: tuple[Step, ...]) -> Evidence:
    told = tuple(float(score) for score in scores)
    return Evidence(
        seconds=tuple(seconds[i] for i in chosen),
        scores=tuple(told[i] for i in chosen),
        steps=steps,
        scored=ScoreLine(seconds, told),
    )


def _unit_scores(scores: np.ndarray) -> np.ndarray:
    """Cosines to [0, 1]; probabilities stay."""
    return scores if scores.min() >= 0 else (scores + 1) / 2


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 3)
