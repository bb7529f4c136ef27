"""A sweep while it goes on: the best ten so far and how long the rest will take, or now and then a line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ..sweeps import Progress, Sweep

_REFRESH = 0.25
"""Seconds between two looks of a table; sorting ten thousand rows for each of them would be the work itself."""
_LINES = 10
"""Lines of a whole sweep, where there is no terminal."""


@contextmanager
def shown(plan: Sweep, *, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """What to tell of each set; on stderr, gone from a terminal when it is done."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _table(plan) as told:
            yield told
    else:
        yield _Lines(plan)


@contextmanager
def _table(plan: Sweep) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    from ..sweeps.wording import top_table

    looked = float("-inf")
    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:

        def told(progress: Progress) -> None:
            nonlocal looked
            now = time.monotonic()
            if now - looked < _REFRESH and progress.done < progress.total:
                return
            looked = now
            table: Any = top_table(progress.rows, plan.space.names, plan.metric)
            live.update(Group(table, Text(line_of(progress))), refresh=True)

        yield told


class _Lines:
    """A line for each tenth, for logs and pipes."""

    def __init__(self, plan: Sweep) -> None:
        self._plan = plan
        self._said = -1

    def __call__(self, progress: Progress) -> None:
        tenth = progress.done * _LINES // max(1, progress.total)
        if tenth != self._said:
            self._said = tenth
            typer.echo(f"{line_of(progress)}{_best(progress, self._plan)}", err=True)


def line_of(progress: Progress) -> str:
    """``12 of 64, 1 failed, about 2 min left``."""
    parts = [f"{progress.done:,} of {progress.total:,}"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.left is not None and progress.done < progress.total:
        parts.append(f"about {span(progress.left)} left")
    stage = f"{progress.stage}: " if progress.stage else ""
    return stage + ", ".join(parts)


def span(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h 5 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _best(progress: Progress, plan: Sweep) -> str:
    from ..report.table import shown as figure
    from ..sweeps.going import ranked
    from ..sweeps.space import text_of

    found = ranked(progress.rows, plan.metric)
    if not found:
        return ""
    said = ", ".join(f"{name}={text_of(found[0]['params'][name])}" for name in plan.space.names)
    return f"; best {plan.metric} {figure(plan.metric, found[0]['stats'][plan.metric])} ({said})"
