"""What a sweep says to people: its best rows, its failures, and how much of it is luck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..report.stats import ENOUGH_DAYS, FIGURES
from ..report.table import NONE, number, shown, text
from . import luck
from .metric import METRICS, score
from .space import text_of
from .store import Row

if TYPE_CHECKING:
    from rich.table import Table

    from .result import SweepResult

TOP = 10
PAGE = 200
"""Rows of a page."""
_LABELS = {figure.key: figure.label for figure in FIGURES}
_BESIDE = ("return_percent", "sharpe", "max_drawdown_percent", "trades", "win_rate_percent", "charges_rupees")
_REASONS = 5


def top_table(rows: Sequence[Row], names: Sequence[str], metric: str) -> Table:
    """The best rows, whatever their order; those that failed are left out."""
    from rich.table import Table

    table = Table(show_header=True)
    table.add_column("#", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    keys = list(dict.fromkeys((metric, *_BESIDE)))
    for key in keys:
        table.add_column(_LABELS[key], justify="right", style="bold" if key == metric else "")
    scored = [(score(row, metric), row) for row in rows]
    best = sorted(((s, row) for s, row in scored if s is not None), key=lambda pair: -pair[0])[:TOP]
    for place, (_, row) in enumerate(best, 1):
        cells = [text_of(row["params"][name]) for name in names]
        table.add_row(str(place), *cells, *(shown(key, row["stats"][key]) for key in keys))
    return table


def summary(result: SweepResult, width: int) -> str:
    """Tables and sentences, as a terminal shows them."""
    parts = [headline(result), text(top_table(result.ranked, result.sweep.space.names, result.metric), width)]
    parts += [line for line in (failures(result), unranked(result)) if line]
    if result.fold_rows:
        parts.append(text(folds_table(result), width))
    if result.test_rows:
        parts.append(text(tests_table(result), width))
    parts += [line for line in (result.warning,) if line]
    return "\n".join(parts)


def headline(result: SweepResult) -> str:
    """``64 sets of SmaCross on NSE:INFY, minute, by sharpe: 60 with it, 4 failed, 12 known from before``."""
    sweep = result.sweep
    failed = sum(1 for row in result.found if row["failed"])
    notes = [f"{number(len(result.ranked), 0)} with a figure"]
    if failed:
        notes.append(f"{number(failed, 0)} failed")
    if result.known:
        notes.append(f"{number(result.known, 0)} known from before")
    what = f"{sweep.run.strategy.__name__} on {', '.join(sweep.run.symbols)}, {sweep.run.interval}"
    return f"{number(len(result.found), 0)} sets of {what}, by {_LABELS[result.metric]}: {', '.join(notes)}"


def failures(result: SweepResult) -> str:
    """Why sets failed, the most frequent reason first; empty if none did. Reasons that name the set count as one."""
    rows = [row for row in result.found if row["failed"]]
    if not rows:
        return ""
    counts = Counter(_kind(row) for row in rows).most_common()
    examples = {_kind(row): row["failed"] for row in reversed(rows)}
    said = [f"{count} x {examples[kind]}" for kind, count in counts[:_REASONS]]
    more = f"; and {len(counts) - _REASONS} other reasons" if len(counts) > _REASONS else ""
    return f"failed: {'; '.join(said)}{more}"


def _kind(row: Row) -> str:
    """A reason without its numbers."""
    return "".join("#" if letter.isdigit() else letter for letter in row["failed"]).replace("##", "#")


def unranked(result: SweepResult) -> str:
    """Why sets that ran have no rank; empty if all have one."""
    rows = [row for row in result.found if not row["failed"] and score(row, result.metric) is None]
    if not rows:
        return ""
    metric, days = result.metric, rows[0]["stats"]["days"] or 0
    all_of = "none of the sets has" if not result.ranked else f"{number(len(rows), 0)} sets have no"
    if metric in ("sharpe", "cagr_percent") and days < ENOUGH_DAYS:
        return f"{all_of} {metric}: it says nothing under {ENOUGH_DAYS} days; use --metric return_percent"
    never = sum(1 for row in rows if not row["stats"]["trades"])
    why = f": {number(never, 0)} of them never traded" if never else ""
    return f"{all_of} {metric}{why}"


def folds_table(result: SweepResult) -> Table:
    """The walk: what was best before each test, and what it came to."""
    from rich.table import Table

    metric, names = result.metric, result.sweep.space.names
    table = Table(title="walk forward: the best set of the days before, on the days after", title_justify="left")
    for heading in ("test from", *names, f"{_LABELS[metric]} before", f"{_LABELS[metric]} after", "Return after"):
        table.add_column(heading, justify="right")
    for one in result.fold_rows:
        begin = one.fold.test.begin
        when = f"{begin:%Y-%m-%d}" if begin is not None else NONE
        if one.learned is None or one.tested is None:
            table.add_row(when, *(NONE for _ in names), NONE, NONE, NONE)
            continue
        cells = [text_of(one.learned["params"][name]) for name in names]
        figures = (_figure(one.learned, metric), _figure(one.tested, metric), _figure(one.tested, "return_percent"))
        table.add_row(when, *cells, *figures)
    return table


def tests_table(result: SweepResult) -> Table:
    """The best sets on the days that were held out."""
    from rich.table import Table

    metric, names = result.metric, result.sweep.space.names
    table = Table(title="out of sample: the best sets on the days that were held out", title_justify="left")
    for heading in ("#", *names, f"{_LABELS[metric]} before", f"{_LABELS[metric]} after", "Return after"):
        table.add_column(heading, justify="right")
    for place, (row, test) in enumerate(zip(result.ranked, result.test_rows, strict=False), 1):
        cells = [text_of(row["params"][name]) for name in names]
        figures = (_figure(row, metric), _figure(test, metric), _figure(test, "return_percent"))
        table.add_row(str(place), *cells, *figures)
    return table


def _figure(row: Row, key: str) -> str:
    return shown(key, row["stats"].get(key))


def warning(result: SweepResult) -> str:
    """How far row 1 can be trusted, in plain words; empty where nothing was chosen."""
    count = len(result.ranked)
    if count < 2:
        return ""
    sentences = [f"Row 1 is the best of {number(count, 0)} sets, and the best of many is partly luck."]
    chance = result.deflated_sharpe
    if chance is not None and result.luckiest is not None:
        sharpe = float(result.ranked[0]["stats"]["sharpe"])
        sentences.append(
            f"Its Sharpe ratio is {number(sharpe)}; as many sets without any skill would have brought one of about "
            f"{number(result.luckiest)}."
        )
        verdict = "that is good evidence, if these sets are all that you have tried"
        if chance < luck.TRUSTED:
            verdict = "below 95 % it is not to be told from luck"
        sentences.append(
            f"The chance that it is more than luck is {_chance(chance)} (deflated Sharpe ratio): {verdict}."
        )
    else:
        sentences.append("How much cannot be said: that needs 30 days and some trades.")
    sentences += [line for line in (_tested(result), _walked(result)) if line]
    if not result.test_rows and not result.fold_rows:
        sentences.append("It has not been tried on days that it was not chosen by: --out-of-sample or --walk-forward.")
    return " ".join(sentences)


def _chance(value: float) -> str:
    return f"{min(value, 0.999) * 100:.{1 if value > 0.99 else 0}f} %"


def _tested(result: SweepResult) -> str:
    if not result.test_rows:
        return ""
    before, after = result.ranked[0]["stats"][result.metric], result.test_rows[0]["stats"].get(result.metric)
    place = _place(result)
    return (
        f"On the days that were held out it came to {shown(result.metric, after)} ({_LABELS[result.metric]}), after "
        f"{shown(result.metric, before)} on those that it was chosen by{place}."
    )


def _place(result: SweepResult) -> str:
    scores: list[Any] = [score(row, result.metric) for row in result.test_rows]
    if scores[0] is None or len(scores) < 2:
        return ""
    better = sum(1 for one in scores[1:] if one is not None and one > scores[0])
    return f", and {better} of the {len(scores) - 1} sets ranked below it did better there"


def _walked(result: SweepResult) -> str:
    pairs = [
        (one.learned["stats"][result.metric], one.tested["stats"].get(result.metric))
        for one in result.fold_rows
        if one.learned is not None and one.tested is not None and not one.tested["failed"]
    ]
    known = [(before, after) for before, after in pairs if after is not None]
    if not known:
        return "No fold of the walk has the figure." if result.fold_rows else ""
    before, after = (sum(column) / len(known) for column in zip(*known, strict=True))
    sign = 1 if METRICS[result.metric] else -1
    gained = sum(1 for one in result.fold_rows if one.tested and (one.tested["stats"].get("return_rupees") or 0) > 0)
    worse = "no worse" if sign * after >= sign * before else "worse"
    return (
        f"Chosen anew in each of {len(result.fold_rows)} folds, the best set had {shown(result.metric, before)} on "
        f"average ({_LABELS[result.metric]}) where it was chosen and {shown(result.metric, after)} on the days after, "
        f"which is {worse}; {gained} of the folds gained."
    )
