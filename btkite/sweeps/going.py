"""A sweep from start to end: sets are asked for, run, kept, and told; Ctrl-C ends it with what there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import BtkiteError
from ..log import get_logger
from . import folder, pools, work
from .material import lay_out
from .metric import score
from .plan import Sweep, settings_of
from .result import FoldRow, SweepResult
from .searching import Set, search_of
from .splits import Window
from .store import Row, Store, key_of

log = get_logger(__name__)

BEST = 10
"""Rows that are tried on the days that were held out."""


@dataclass(slots=True)
class Progress:
    """How far a sweep has come. ``rows``: those by which it ranks, as they come; ``new``: rows that were worked out
    now, in ``seconds``; ``total`` is what is known by now."""

    metric: str
    stage: str = ""
    done: int = 0
    total: int = 0
    new: int = 0
    seconds: float = 0.0
    failed: int = 0
    rows: list[Row] = field(default_factory=list)

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take; None while nothing says it."""
        return self.seconds / self.new * (self.total - self.done) if self.new else None


Told = Callable[[Progress], None]


def go(sweep: Sweep, told: Told | None = None) -> SweepResult:
    """:raises ConfigError: if the store or the cluster cannot be had; nothing was run."""
    with ExitStack() as stack:
        store = None if sweep.store is None else stack.enter_context(Store(sweep.store))
        if store is not None and sweep.fresh:
            store.clear()
        stopped = ""
        going = _Going(sweep, store, told)
        try:
            stack.callback(_tidy, sweep)
            run = stack.enter_context(pools.pool(_context(sweep, stack), sweep.jobs, sweep.dask))
            going.run(run)
        except KeyboardInterrupt:
            stopped = "Ctrl-C"
        except BtkiteError as error:
            if not going.progress.done:
                raise
            stopped = str(error)
        result = going.result(stopped)
        return folder.keep(result) if sweep.save and result.found else result


def _context(sweep: Sweep, stack: ExitStack) -> work.Context:
    """What workers are told; this process, if it is the only one, has all of it already."""
    config = settings_of(sweep.run.config)
    context = work.Context(
        name=sweep.fingerprint,
        reference=sweep.origin.reference,
        digest=sweep.origin.digest,
        modules=sweep.origin.modules,
        symbols=sweep.run.symbols,
        interval=sweep.run.interval,
        config=config,
        material=(),
        instruments=tuple(sweep.run.instruments.values()),
        program=str(sweep.facts["program"]),
        calendar=str(sweep.facts["calendar"]),
    )
    if sweep.jobs == 1 and sweep.dask is None:
        work.keep(context, sweep.run)
        return context
    place = sweep.store if sweep.store is not None else Path(stack.enter_context(TemporaryDirectory()))
    return replace(context, material=lay_out(sweep.run.candles, place / "candles"))


def _tidy(sweep: Sweep) -> None:
    """The candles' copies are gone with the sweep; its rows stay."""
    work.let_go()
    if sweep.store is None:
        return
    for path in (sweep.store / "candles").glob("*"):
        path.unlink(missing_ok=True)


class _Going:
    def __init__(self, sweep: Sweep, store: Store | None, told: Told | None) -> None:
        self.sweep, self.store, self.told = sweep, store, told
        self.progress = Progress(sweep.metric)
        self.rows: dict[str, Row] = {}
        self.folds: list[FoldRow] = []
        self.tests: dict[str, Row] = {}
        self.known = 0
        self._asked: dict[str, int] = {}

    def run(self, pool: pools.Pool) -> None:
        sweep = self.sweep
        self.progress.total = self._sets() * (1 if sweep.held_out else 1 + len(sweep.folds))
        self._say("")
        self.rows = self._search(pool, sweep.window, ranked=True)
        if sweep.held_out:
            best = ranked(self.rows.values(), sweep.metric)[:BEST]
            self.progress.total += len(best)
            self._say("out of sample")
            fold = sweep.folds[0]
            self.tests = self._all(pool, [row["params"] for row in best], fold.test)
            return
        for number, fold in enumerate(sweep.folds, 1):
            self._say(f"fold {number} of {len(sweep.folds)}")
            learned = ranked(self._search(pool, fold.train).values(), sweep.metric)
            if not learned:
                self.folds.append(FoldRow(fold, None, None))
                continue
            self.progress.total += 1
            (test,) = self._all(pool, [learned[0]["params"]], fold.test).values()
            self.folds.append(FoldRow(fold, learned[0], test))

    def _sets(self) -> int:
        sweep = self.sweep
        return search_of(sweep.search, sweep.space, sweep.trials, sweep.seed).total

    def _search(self, pool: pools.Pool, window: Window, *, ranked: bool = False) -> dict[str, Row]:
        sweep = self.sweep
        search = search_of(sweep.search, sweep.space, sweep.trials, sweep.seed)
        found: dict[str, Row] = {}
        while sets := search.ask():
            rows = self._all(pool, sets, window, into=self.rows if ranked else None)
            found.update(rows)
            search.tell([(one, score(rows[self._key(one, window)], sweep.metric)) for one in sets])
        return found

    def _key(self, one: Set, window: Window) -> str:
        return key_of({**self.sweep.run.params, **one}, window)

    def _all(
        self, pool: pools.Pool, sets: Sequence[Set], window: Window, into: dict[str, Row] | None = None
    ) -> dict[str, Row]:
        """The rows of these sets: those that are kept, and the others as they are done."""
        found: dict[str, Row] = {}
        tasks = {}
        for one in sets:
            params = {**self.sweep.run.params, **one}
            key = key_of(params, window)
            self._asked.setdefault(key, len(self._asked))
            row = self.store.rows.get(key) if self.store is not None else None
            if row is None:
                if key in tasks:
                    self.progress.total -= 1  # the search asks for it twice
                tasks[key] = work.Task(key, params, window)
            else:
                self.known += 1
                self._take(key, {**row, "params": params}, found, into)
        begun = time.monotonic()
        before = self.progress.seconds
        for key, row in self._run(pool, list(tasks.values())):
            self.progress.new += 1
            self.progress.seconds = before + time.monotonic() - begun
            kept = row if self.store is None else self.store.put(key, row)
            self._take(key, {**kept, "params": dict(tasks[key].params)}, found, into)
        return self._as_asked(found)

    def _as_asked(self, rows: dict[str, Row]) -> dict[str, Row]:
        """In the order in which they were asked for, not in that in which workers were done."""
        return dict(sorted(rows.items(), key=lambda pair: self._asked[pair[0]]))

    def _run(self, pool: pools.Pool, tasks: Sequence[work.Task]) -> Iterator[tuple[str, Row]]:
        if tasks:
            yield from pool(tasks)

    def _take(self, key: str, row: Row, found: dict[str, Row], into: dict[str, Row] | None) -> None:
        found[key] = row
        self.progress.done += 1
        self.progress.failed += bool(row["failed"])
        if into is not None:
            into[key] = row
            self.progress.rows.append(row)
        self._say(self.progress.stage)

    def _say(self, stage: str) -> None:
        self.progress.stage = stage
        if self.told is not None:
            self.told(self.progress)

    def result(self, stopped: str) -> SweepResult:
        return SweepResult.of(
            self.sweep,
            list(self._as_asked(self.rows).values()),
            folds=tuple(self.folds),
            tests=list(self.tests.values()),
            known=self.known,
            stopped=stopped,
        )


def ranked(rows: Any, metric: str) -> list[Row]:
    """The best first; those without a figure are left out. Of equals the first that was asked for."""
    scored = [(score(row, metric), row) for row in rows]
    return [row for _, row in sorted(((s, r) for s, r in scored if s is not None), key=lambda pair: -pair[0])]
