"""What a sweep leaves: ``<time>-sweep-<Strategy>-<symbol>/`` in ``paths.runs``, with tables, picture and page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import SystemClock
from ..report.folder import RunFolder, csv_text
from ..report.html import SCRIPT, replace_text
from .drawing import map_of, write_page, write_png

if TYPE_CHECKING:
    from .result import SweepResult

FILES = ("rows.csv", "folds.csv", "out_of_sample.csv", "heatmap.png", "sweep.html", "sweep.json")
"""``sweep.json`` is written last: a folder that has it is complete."""


def keep(result: SweepResult) -> SweepResult:
    """The result, with its folder."""
    run = result.sweep.run
    folder = RunFolder.create(
        Path(run.config.paths.runs),
        now=SystemClock().now(),
        mode="sweep",
        strategy=run.strategy.__name__,
        symbols=run.symbols,
    )
    path = folder.path
    result = result.kept_in(path)
    replace_text(path / "rows.csv", csv_text(result.rows.reset_index()))
    if result.fold_rows:
        replace_text(path / "folds.csv", csv_text(result.folds))
    if result.test_rows:
        replace_text(path / "out_of_sample.csv", csv_text(result.out_of_sample.reset_index()))
    if result.ranked:
        found = map_of(result)
        write_png(result, found, path / "heatmap.png")
        write_page(result, found, path / "sweep.html", path.parent / SCRIPT)
    replace_text(path / "sweep.json", result.to_json(indent=2) + "\n")
    return result
