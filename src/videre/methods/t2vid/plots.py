"""Plots of the studies as files: curves with intervals, a matrix of looks, a plane of instructions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from videre.errors import ConfigError
from videre.methods.t2vid.curves import Curve
from videre.metrics.interval import Share


def curves(path: Path, made: Mapping[str, Curve]) -> None:
    """Accuracy by number of frames for each group, with 95 % intervals and a ring where it saturates."""
    figure, axes = _figure()
    for group, curve in made.items():
        values, low, high = _bars(curve.shares)
        (line,) = axes.plot(curve.frames, values, marker="o", label=f"{group} (n = {curve.shares[0].count})")
        axes.fill_between(curve.frames, low, high, alpha=0.15, color=line.get_color())
        if (at := curve.saturation()) is not None:
            where = curve.frames.index(at)
            axes.plot([at], [values[where]], marker="o", markersize=14, fillstyle="none", color=line.get_color())
    axes.set_xscale("log", base=2)
    axes.set_xticks(next(iter(made.values())).frames, [str(n) for n in next(iter(made.values())).frames])
    axes.set(xlabel="frames", ylabel="accuracy, %", title="Accuracy by number of frames")
    axes.legend()
    _save(figure, path)


def orders(path: Path, made: Mapping[str, Share]) -> None:
    """Accuracy by order of frames, with 95 % intervals."""
    figure, axes = _figure()
    values, low, high = _bars(list(made.values()))
    axes.bar(list(made), values, yerr=[np.subtract(values, low), np.subtract(high, values)], capsize=4)
    axes.set(ylabel="accuracy, %", title="Accuracy by order of frames")
    _save(figure, path)


def matrix(path: Path, looks: Float[np.ndarray, "T K"]) -> None:
    """Who looks at whom: a row a frame, the last column is everything else."""
    figure, axes = _figure()
    shown = axes.imshow(looks, cmap="viridis", vmin=0)
    names = [str(n) for n in range(len(looks))]
    axes.set_xticks(range(looks.shape[1]), [*names, "text"])
    axes.set_yticks(range(len(looks)), names)
    axes.set(xlabel="looked at", ylabel="frame", title="Shares of attention")
    figure.colorbar(shown)
    _save(figure, path)


def plane(path: Path, places: Mapping[str, Float[np.ndarray, "n 2"]]) -> None:
    """A dot an instruction, a colour a set."""
    figure, axes = _figure()
    for name, dots in places.items():
        axes.scatter(dots[:, 0], dots[:, 1], s=6, alpha=0.5, label=f"{name} ({len(dots)})")
    axes.set(xticks=[], yticks=[], title="Instructions, t-SNE")
    axes.legend()
    _save(figure, path)


def _figure() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("plots need matplotlib: pip install 'videre[study]'") from error
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _bars(shares: Sequence[Share]) -> tuple[list[float], list[float], list[float]]:
    """Values and the ends of their intervals, in percent."""
    ends = [share.interval for share in shares]
    return [s.percent for s in shares], [100 * low for low, _ in ends], [100 * high for _, high in ends]


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=120, metadata={"Software": None})
