"""One set, run as ``btkite run`` runs it: what a worker does, in this process, beside it, or on another machine.

A worker is told all it needs in one :class:`Task`, by names and paths: it loads the strategy and maps the candles once,
and keeps them for the next set.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from .. import almanac, runs
from ..config import Config
from ..errors import BtkiteError, ConfigError, DataError
from ..fast.shelf import Shelf
from ..modes import mode
from ..report.result import RunResult, plain
from ..report.stats import daily_closes
from ..values import Instrument
from . import luck, origin
from .material import Material, taken_up
from .splits import Window
from .store import Row, canonical, fingerprint

MODE = "backtest"


@dataclass(frozen=True, slots=True)
class Context:
    """All that the sets of a sweep have in common. ``name`` is its fingerprint."""

    name: str
    reference: str
    digest: str
    modules: tuple[str, ...]
    symbols: tuple[str, ...]
    interval: str
    config: Config
    material: tuple[Material, ...]
    instruments: tuple[Instrument, ...]
    program: str
    calendar: str


@dataclass(frozen=True, slots=True)
class Task:
    """One set on one stretch of days."""

    key: str
    params: Mapping[str, Any]
    window: Window


_plans: dict[str, runs.Run] = {}
_one_at_a_time = threading.Lock()
"""A strategy is pure Python: threads of one worker would only take turns, and share backtrader's counters."""


def calendar_digest(config: Config) -> str:
    """Of what lies over the shipped calendar, which btkite's own source has."""
    return fingerprint({"rows": canonical(almanac.as_rows(almanac.observe(config)))})


def work(context: Context, task: Task) -> tuple[str, Row]:
    """The task's row, whatever becomes of it."""
    with _one_at_a_time, _in_silence():
        begun = time.process_time()
        try:
            row = _row(plan_of(context), task)
        except _Elsewhere as error:
            row = {**failure(task, str(error)), "again": True}
        row["seconds"] = round(time.process_time() - begun, 4)
    return task.key, row


@contextmanager
def _in_silence() -> Iterator[None]:
    """A row keeps what its run has to say (``remarks``); a thousand runs that say it are no log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


_ENOUGH = 0.2
"""Seconds of work after which it is time to look for garbage."""
_swept_up = 0.0


class _Elsewhere(BtkiteError):
    """This worker is not what the sweep needs; another one may be."""


def plan_of(context: Context) -> runs.Run:
    """The run that all sets are variants of, made once in a process."""
    if context.name not in _plans:
        keep(context, _prepared(context))
    return _plans[context.name]


def keep(context: Context, plan: runs.Run) -> None:
    """This process has the plan from now on."""
    let_go()
    _plans[context.name] = replace(plan, shelf=Shelf())
    gc.collect()
    gc.freeze()  # what is there now stays, and need not be looked through after every set


def let_go() -> None:
    """This process is done with it."""
    if _plans:
        _plans.clear()
        gc.unfreeze()


def _prepared(context: Context) -> runs.Run:
    if origin.program() != context.program:
        raise _Elsewhere("this worker has another btkite, backtrader, numpy or Python than who started the sweep")
    if calendar_digest(context.config) != context.calendar:
        raise _Elsewhere("this worker has another calendar: give it the list of holidays that was imported")
    try:
        origin.forget(context.modules)
        strategy = origin.load(context.reference)
        found = origin.origin_of(strategy, context.reference)
        if found.digest != context.digest:
            raise _Elsewhere(f"this worker has another {context.reference} than who started the sweep")
        candles = {one.key: taken_up(one) for one in context.material}
    except (ConfigError, DataError) as error:
        raise _Elsewhere(str(error)) from error
    return runs.Run(
        mode(MODE),
        strategy,
        {},
        context.symbols,
        context.interval,
        context.config,
        candles=candles,
        instruments={one.key: one for one in context.instruments},
    )


def _row(plan: runs.Run, task: Task) -> Row:
    variant = replace(plan, params=dict(task.params), begin=task.window.begin, end=task.window.end)
    collecting = gc.isenabled()
    gc.disable()  # most runs are over before their garbage would matter
    try:
        result = variant.go()
    except Exception as error:  # noqa: BLE001 - whatever a strategy does, the other sets go on
        said = str(error) if isinstance(error, BtkiteError) else f"{type(error).__name__}: {error}"
        return {**failure(task, said), **({"again": True} if _of_the_machine(error) else {})}
    else:
        return row_of(result, task)
    finally:
        if collecting:
            gc.enable()
        _sweep_up()


def _of_the_machine(error: BaseException) -> bool:
    """Whether another try may go well."""
    return any(isinstance(one, (MemoryError, OSError)) for one in (error, error.__cause__))


def _sweep_up() -> None:
    """What runs leave (lines, orders that know each other) is given back once there is enough of it."""
    global _swept_up
    now = time.process_time()
    if now - _swept_up > _ENOUGH:
        gc.collect()
        _swept_up = time.process_time()


def failure(task: Task, said: str) -> Row:
    """The row of a set that came to nothing."""
    return {"params": dict(task.params), "window": task.window.said(), "failed": said, "stats": {}, "shape": None}


def row_of(result: RunResult, task: Task) -> Row:
    """A run's figures, whole, and the digests of its orders and trades."""
    return {
        "params": dict(task.params),
        "window": task.window.said(),
        "failed": "",
        "stats": {key: plain(value) for key, value in result.stats.items()},
        "shape": _shape(result),
        "orders_digest": result.orders_digest,
        "trades_digest": result.trades_digest,
        "remarks": list(result.remarks),
        "engine": result.engine,
    }


def _shape(result: RunResult) -> list[float] | None:
    if result.stats["sharpe"] is None:
        return None
    found = luck.shape(daily_returns(result))
    return None if found is None else [found.days, found.sharpe, found.skew, found.kurtosis]


def daily_returns(result: RunResult) -> list[float]:
    """Of each day of a run; the first counts from the start value."""
    closes = daily_closes(result.equity)
    if result.start_value is not None:
        closes.insert(0, result.start_value)
    return [after / before - 1 for before, after in pairwise(closes)]
