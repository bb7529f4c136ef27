"""The figure over two parameters, as a picture or as a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..report.html import SCRIPT, place_script, replace_text
from ..report.stats import FIGURES
from ..report.table import shown
from .metric import METRICS, score
from .space import Dimension, text_of
from .store import Row

if TYPE_CHECKING:
    from .result import SweepResult

_LABELS = {figure.key: figure.label for figure in FIGURES}
_TICKS = 24
"""Values that are labelled along one side."""


@dataclass(frozen=True, slots=True)
class Map:
    """``cells[y][x]``: the best figure that any set with these two values has; None where there is none. ``points``
    instead, where a search picked freely between two numbers: x, y and figure of each row."""

    x: str
    y: str
    columns: tuple[str, ...]
    lines: tuple[str, ...]
    cells: tuple[tuple[float | None, ...], ...]
    points: tuple[tuple[float, float, float], ...]
    title: str


def map_of(result: SweepResult, x: str | None = None, y: str | None = None) -> Map:
    """:raises ConfigError: if one of them was not varied."""
    dimensions = {one.name: one for one in result.sweep.space.dimensions}
    several = [name for name, one in dimensions.items() if one.continuous or len(one.values) > 1]
    picked = [*several, *dimensions]
    for name in (x, y):
        if name is not None and name not in dimensions:
            raise ConfigError(f"{name} was not varied: draw two of {', '.join(dimensions)}")
    across = x or next(name for name in picked if name != y)
    up = y or next((name for name in picked if name != across), across)
    others = [name for name in several if name not in (across, up)]
    title = f"{_LABELS[result.metric]} of {result.sweep.run.strategy.__name__}"
    if others:
        title += f", the best over {', '.join(others)}"
    one, two = dimensions[across], dimensions[up]
    if one.continuous or two.continuous:
        points = tuple(
            (_number(row, one), _number(row, two), float(row["stats"][result.metric])) for row in result.ranked
        )
        return Map(across, up if up != across else "", (), (), (), points, title)
    cells = _cells(result, one, two if up != across else None)
    lines = tuple(text_of(value) for value in two.values) if up != across else ("",)
    columns = tuple(text_of(value) for value in one.values)
    return Map(across, up if up != across else "", columns, lines, cells, (), title)


def _number(row: Row, one: Dimension) -> float:
    value = row["params"][one.name]
    return float(value) if one.continuous else float(one.values.index(value))


def _cells(result: SweepResult, one: Dimension, two: Dimension | None) -> tuple[tuple[float | None, ...], ...]:
    best: dict[tuple[Any, Any], float] = {}
    for row in reversed(result.ranked):  # the best of a cell comes last
        value = score(row, result.metric)
        assert value is not None
        place = (row["params"][one.name], None if two is None else row["params"][two.name])
        best[place] = value if METRICS[result.metric] else -value
    lines: Sequence[Any] = (None,) if two is None else two.values
    return tuple(tuple(best.get((column, line)) for column in one.values) for line in lines)


def draw(result: SweepResult, path: Path, x: str | None, y: str | None) -> Path:
    """A picture or a page, by the name of the file.

    :raises ConfigError: for another name, or a parameter that was not varied.
    """
    found = map_of(result, x, y)
    if path.suffix == ".png":
        return write_png(result, found, path)
    if path.suffix == ".html":
        return write_page(result, found, path, path.parent / SCRIPT)
    raise ConfigError(f"{path} is no picture: name it .png or .html")


def write_png(result: SweepResult, found: Map, path: Path) -> Path:
    """With matplotlib's Agg: no display is needed."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = "viridis" if METRICS[result.metric] else "viridis_r"
    if found.points:
        across, up, values = zip(*found.points, strict=True)
        drawn: Any = axes.scatter(across, up, c=values, cmap=colours, s=28)
    else:
        table = np.array([[np.nan if cell is None else cell for cell in line] for line in found.cells], dtype=float)
        drawn = axes.imshow(table.reshape(len(found.lines), -1), cmap=colours, origin="lower", aspect="auto")
        for side, labels in ((axes.xaxis, found.columns), (axes.yaxis, found.lines)):
            places = list(range(0, len(labels), -(-len(labels) // _TICKS)))
            side.set_ticks(places, [labels[place] for place in places])
        axes.set_facecolor("#d9dce1")  # where no set has the figure
    axes.set_xlabel(found.x)
    axes.set_ylabel(found.y)
    axes.set_title(found.title, loc="left", fontsize=10)
    figure.colorbar(drawn, label=_LABELS[result.metric])
    draft = path.with_name(f".{path.name}.new")
    figure.savefig(draft, format="png")
    draft.replace(path)
    return path


def write_page(result: SweepResult, found: Map, path: Path, script: Path) -> Path:
    """A page that opens without a network: the map to point at, the best rows, what failed, the warning."""
    import os

    import jinja2

    from . import wording

    script = place_script(script)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    names = result.sweep.space.names
    keys = list(dict.fromkeys((result.metric, "return_percent", "sharpe", "max_drawdown_percent", "trades")))
    replace_text(
        path,
        environment.get_template("page.html.j2").render(
            title=wording.headline(result),
            stopped=result.stopped,
            warning=result.warning,
            notes=[line for line in (wording.failures(result), wording.unranked(result)) if line],
            command=result.command,
            script=Path(os.path.relpath(script, path.parent)).as_posix(),
            chart=json.dumps(_figure(result, found)),
            headings=["#", *names, *(_LABELS[key] for key in keys)],
            rows=[
                [str(place), *(text_of(row["params"][name]) for name in names), *(_shown(row, key) for key in keys)]
                for place, row in enumerate(result.ranked[: wording.PAGE], 1)
            ],
        ),
    )
    return path


def _shown(row: Row, key: str) -> str:
    return shown(key, row["stats"].get(key))


def _figure(result: SweepResult, found: Map) -> dict[str, Any]:
    colours = {"colorscale": "Viridis", "reversescale": not METRICS[result.metric]}
    axes: dict[str, Any] = {"xaxis": {"title": {"text": found.x}}, "yaxis": {"title": {"text": found.y}}}
    layout = {**axes, "title": {"text": found.title}}
    if found.points:
        across, up, values = zip(*found.points, strict=True)
        marker = {**colours, "color": values, "showscale": True, "size": 9}
        return {
            "data": [{"type": "scatter", "mode": "markers", "x": across, "y": up, "marker": marker}],
            "layout": layout,
        }
    for axis in axes.values():
        axis["type"] = "category"
    return {
        "data": [{"type": "heatmap", "x": found.columns, "y": found.lines, "z": found.cells, **colours}],
        "layout": layout,
    }
