"""Results as tables for a terminal or a log: units, Indian digit groups, ``–`` for what is unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

from .stats import FIGURES

if TYPE_CHECKING:
    from rich.table import Table

    from .result import RunResult

NONE = "–"
REASONS = 3  # listed at most in a table; each order has its own in orders.csv


def unknown(value: Any) -> bool:
    """None, nan, NaT or an infinity: nothing to print."""
    return value is None or value != value or value in (math.inf, -math.inf)


def grouped(whole: str) -> str:
    """Digits in Indian groups: ``1234567`` → ``12,34,567``."""
    head, tail = whole[:-3], whole[-3:]
    groups: list[str] = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return ",".join([*groups, tail])


def number(value: Any, decimals: int = 2) -> str:
    """``-12,34,567.89``; ``–`` for what is unknown."""
    if unknown(value):
        return NONE
    whole, _, fraction = f"{abs(value):.{decimals}f}".partition(".")
    text = grouped(whole) + (f".{fraction}" if fraction else "")
    return f"-{text}" if value < 0 and any(digit in "123456789" for digit in text) else text


def inr(value: Any, decimals: int = 2) -> str:
    """Rupees in Indian groups: ``₹12,34,567.89``, ``-₹50.00``, ``–`` for what is unknown."""
    text = number(value, decimals)
    if text == NONE:
        return text
    return f"-₹{text[1:]}" if text.startswith("-") else f"₹{text}"


def when(value: Any) -> str:
    """``2026-11-18 09:16``; seconds only where there are some."""
    if unknown(value):
        return NONE
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S" if value.second else "%Y-%m-%d %H:%M")
    return value.isoformat() if isinstance(value, date) else str(value)


_SHOW = {
    "rupees": inr,
    "percent": lambda value: NONE if unknown(value) else f"{number(value)} %",
    "ratio": number,
    "count": lambda value: number(value, 0),
    "days": lambda value: number(value, 0),
    "time": when,
}


def shown(key: str, value: Any) -> str:
    """The figure ``key`` of the statistics as a reader wants it."""
    return _SHOW[_KIND[key]](value)


_KIND = {figure.key: figure.kind for figure in FIGURES}


def stats_table(result: RunResult) -> Table:
    """One run: what it was, its figures, its denials."""
    from rich.table import Table

    table = Table(title=headline(result), title_justify="left", show_header=False)
    table.add_column("figure", overflow="fold")
    table.add_column("value", justify="right", overflow="fold")
    for figure in FIGURES:
        table.add_row(figure.label, shown(figure.key, result.stats[figure.key]))
    counts = result.denials.counts
    for reason in list(counts)[:REASONS]:
        table.add_row(f"denied: {reason}", number(counts[reason], 0))
    if len(counts) > REASONS:
        table.add_row("denied for other reasons", number(sum(list(counts.values())[REASONS:]), 0))
    refused = result.rejections.counts
    for reason in list(refused)[:REASONS]:
        table.add_row(f"rejected: {reason}", number(refused[reason], 0))
    if len(refused) > REASONS:
        table.add_row("rejected for other reasons", number(sum(list(refused.values())[REASONS:]), 0))
    if result.folder is not None:
        table.add_row("Folder", str(result.folder))
    return table


def headline(result: RunResult) -> str:
    """``SmaCross on NSE:INFY, minute, backtest (sim, path)``."""
    what = f"{result.strategy} on {', '.join(result.symbols) or 'no symbol'}"
    facts = [result.interval, result.mode]
    return ", ".join([what, *(fact for fact in facts if fact)]) + (f" ({result.engine})" if result.engine else "")


def comparison_table(results: Sequence[RunResult]) -> Table:
    """Runs side by side, one column each, and a last column that says whether they are the same.

    Compared is what is printed, and, for orders and trades, every row (time, side, size, type, prices).
    """
    from rich.table import Table

    table = Table(title=headline(results[0]) if len(results) == 1 else _subject(results), title_justify="left")
    table.add_column("figure", overflow="fold")
    for result in results:
        table.add_column(result.mode, justify="right", overflow="fold")
    table.add_column("same")
    for label, cells in comparison_rows(results):
        table.add_row(label, *cells, "yes" if len(set(cells)) == 1 else "no")
    return table


def comparison_rows(results: Sequence[RunResult]) -> list[tuple[str, list[str]]]:
    """Label and one printed cell per run."""
    rows = [(figure.label, [shown(figure.key, result.stats[figure.key]) for result in results]) for figure in FIGURES]
    rows.append(("Order list", [result.orders_digest for result in results]))
    rows.append(("Trade list", [result.trades_digest for result in results]))
    return rows


def _subject(results: Sequence[RunResult]) -> str:
    first = results[0]
    return ", ".join(part for part in (f"{first.strategy} on {', '.join(first.symbols)}", first.interval) if part)


def text(table: Table, width: int = 100) -> str:
    """A table as plain text of at most ``width`` columns, without colour codes."""
    from rich.console import Console

    buffer = StringIO()
    Console(file=buffer, width=width, no_color=True, force_terminal=False, legacy_windows=False).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
