"""The equity curve with its drawdown as a small picture, for where no page can be opened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .curve import POINTS, running_drawdown, thin
from .table import headline, inr, number

if TYPE_CHECKING:
    from .result import RunResult

TICKS = 8  # labels along the time axis at most
_LONG = timedelta(days=300)  # from here on a date needs its year


def write_png(result: RunResult, path: Path) -> Path:
    """Draw ``path`` (matplotlib's Agg, no display needed)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = [float(value) for value in result.equity["value"]]
    drawdowns = running_drawdown(values, result.start_value)
    kept = sorted({*thin(values, POINTS // 2), *thin(drawdowns, POINTS // 2)})
    figure = Figure(figsize=(9, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot(kept, [values[i] for i in kept], color="#1f6feb", linewidth=1.2)
    if result.start_value is not None:
        upper.axhline(result.start_value, color="#8b949e", linewidth=0.7, linestyle=":")
    lower.fill_between(kept, [drawdowns[i] for i in kept], 0, color="#d1434b", alpha=0.35, linewidth=0)
    upper.set_title(headline(result), loc="left", fontsize=10)
    _label_values(upper.yaxis, inr)
    _label_values(lower.yaxis, lambda value, digits: f"{number(value, digits)} %")
    lower.set_xticks(*zip(*time_ticks([stamp.to_pydatetime() for stamp in result.equity["datetime"]]), strict=True))
    for axes in (upper, lower):
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    temporary = path.with_name(f".{path.name}.new")
    figure.savefig(temporary, format="png")
    temporary.replace(path)
    return path


def _label_values(axis: Any, text: Any) -> None:
    """Each tick with as many decimals as tell it from its neighbour."""
    axis.set_major_formatter(lambda value, _: text(value, decimals(axis.get_majorticklocs())))


def decimals(places: Sequence[float]) -> int:
    """How many decimals evenly spaced ticks need."""
    step = abs(places[1] - places[0]) if len(places) > 1 else 1.0
    return next((count for count in range(6) if abs(round(step, count) - step) < step / 1000), 6)


def time_ticks(times: Sequence[datetime]) -> list[tuple[int, str]]:
    """Which bars are labelled, and how: the first bars of days, or hours where there is one day only."""
    starts = [0] + [at for at, (a, b) in enumerate(pairwise(times), 1) if a.date() != b.date()]
    if len(starts) > 1:
        text = "%d %b %y" if times[-1] - times[0] > _LONG else "%d %b"
        return [(at, times[at].strftime(text)) for at in starts[:: -(-len(starts) // TICKS)]]
    text = "%H:%M:%S" if any(moment.second for moment in times) else "%H:%M"
    picked = range(0, len(times), -(-len(times) // TICKS))
    return [(at, times[at].strftime(f"{text}\n%d %b" if at == 0 else text)) for at in picked]
