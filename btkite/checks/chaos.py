"""Chaos: a strategy against seeded combinations of all that the exchange can do wrong, and the oracle at the end."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from multiprocessing import get_context, parent_process

from ..errors import BtkiteError
from ..exchange.faults import TABLE
from .evidence import Evidence
from .lives import Stage
from .oracle import PROMISES, broken
from .reached import REACHED, reached
from .scenario import Scenario

HANGS = "the run comes to an end"
"""A promise that is seen broken when there is nothing to judge."""
_SHARE = 20  # scenarios of one worker between two words of it
_LEAVES = 5.0  # real seconds that a worker has to leave


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one scenario. ``broken``: promises with their sentences. ``fired``: how often each kind of fault
    acted on an order call, on other calls, and elsewhere (frames, updates, the market); ``acted``: each of the
    scenario's faults; ``reached``: how often the day came to each state that is worth a storm."""

    scenario: Scenario
    broken: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fired: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    orders: int = 0
    trades: int = 0
    deaths: int = 0
    acted: tuple[int, ...] = ()
    output: str = ""
    reached: Mapping[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        return not self.broken


def play(stage: Stage, scenario: Scenario) -> Verdict:
    """Play it, and let the oracle speak."""
    try:
        day = stage.play(scenario.script(), scenario.fatal)
    except BtkiteError as error:
        return Verdict(scenario, {HANGS: [str(error)]})
    evidence = Evidence(scenario, day)
    return Verdict(
        scenario,
        broken(evidence),
        _fired(evidence),
        orders=len(day.orders),
        trades=len(day.trades),
        deaths=len(day.deaths),
        acted=tuple(int(row["fired"]) for row in day.state["faults"]),
        output=day.output,
        reached=reached(evidence),
    )


def _fired(evidence: Evidence) -> dict[str, tuple[int, int, int]]:
    calls: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for row in evidence.day.requests:
        where = calls if row["method"] != "GET" and row["path"].startswith("/orders/") else others
        where.update(str(row["fault"]).split("+") if row["fault"] else ())
    return {
        kind: (calls[kind], others[kind], max(0, count - calls[kind] - others[kind]))
        for kind, count in evidence.fired.items()
    }


def plays(scenarios: Sequence[Scenario], *, jobs: int = 1) -> Iterator[Verdict]:
    """All of them, as they come; ``jobs`` at a time, each with an exchange and processes of its own."""
    if jobs == 1:
        with Stage() as stage:
            for scenario in scenarios:
                yield play(stage, scenario)
        return
    shares = [scenarios[first : first + _SHARE] for first in range(0, len(scenarios), _SHARE)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_follow) as pool:
        for done in as_completed([pool.submit(_share, share) for share in shares]):
            yield from done.result()


_playing: list[Stage] = []  # what this worker plays on


def _share(scenarios: Sequence[Scenario]) -> list[Verdict]:
    with Stage() as stage:
        _playing[:] = [stage]
        return [play(stage, scenario) for scenario in scenarios]


def _follow() -> None:
    """A worker is to end with the process that started it, however that did: nobody else would tell it."""
    threading.Thread(target=_until_alone, daemon=True).start()


def _until_alone() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    last = threading.Timer(_LEAVES, os._exit, (1,))
    last.daemon = True
    last.start()
    with suppress(Exception):  # whatever state it is in
        for stage in _playing:
            stage.__exit__(None, None, None)
    os._exit(1)


def lines(verdict: Verdict) -> Iterator[str]:
    """One scenario in words: what was armed, what fired, each promise."""
    scenario = verdict.scenario
    yield (
        f"{scenario.strategy.rpartition(':')[2]} on {', '.join(scenario.symbols)}, {scenario.minutes} minutes, "
        f"seed {scenario.seed}: {verdict.orders} orders, {verdict.trades} trades"
    )
    for fault, acted in zip_longest(scenario.faults, verdict.acted, fillvalue=0):
        assert isinstance(fault, Mapping)
        yield f"  fault  {fault['kind']} {_shown(fault)}: " + (f"acted {acted} times" if acted else "came to nothing")
    yield from (f"  act    {act.what} at {act.at:%H:%M:%S} {dict(act.fields) or ''}".rstrip() for act in scenario.acts)
    for number, death in enumerate(scenario.deaths):
        yield f"  killed at {death}: " + ("yes" if number < verdict.deaths else "did not come to it")
    if HANGS in verdict.broken:
        yield f"broken   {HANGS}"
        yield from (f"           {sentence}" for sentence in verdict.broken[HANGS])
        return
    for name in PROMISES:
        sentences = verdict.broken.get(name, ())
        yield f"{'broken' if sentences else 'kept  '}   {name}"
        yield from (f"           {sentence}" for sentence in sentences[:5])


def _shown(fault: Mapping[str, object]) -> str:
    words = {**_mapping(fault.get("match")), **_mapping(fault.get("args")), "times": fault.get("times", 1)}
    return " ".join(f"{name}={value}" for name, value in words.items())


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


@dataclass(slots=True)
class Summary:
    """Many scenarios added up."""

    count: int = 0
    orders: int = 0
    trades: int = 0
    deaths: int = 0
    failed: list[int] = field(default_factory=list)
    promises: Counter[str] = field(default_factory=Counter)
    fired: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    reached: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        self.count += 1
        self.orders += verdict.orders
        self.trades += verdict.trades
        self.deaths += verdict.deaths
        if not verdict.kept:
            self.failed.append(verdict.scenario.seed)
        self.promises.update(verdict.broken.keys())
        for name, times in verdict.reached.items():
            seeds, so_far = self.reached.get(name, (0, 0))
            self.reached[name] = seeds + bool(times), so_far + times
        for kind, (calls, others, rest) in verdict.fired.items():
            before = self.fired.get(kind, (0, 0, 0))
            self.fired[kind] = (before[0] + calls, before[1] + others, before[2] + rest)

    def lines(self) -> Iterator[str]:
        """What is to be said of them."""
        yield f"{'fault':26} {'order calls':>12} {'other calls':>12} {'elsewhere':>12}"
        for kind in TABLE:
            calls, others, rest = self.fired.get(kind, (0, 0, 0))
            yield f"{kind:26} {calls:12,} {others:12,} {rest:12,}"
        sums = [sum(row[place] for row in self.fired.values()) for place in range(3)]
        yield f"{'all':26} {sums[0]:12,} {sums[1]:12,} {sums[2]:12,}"
        yield f"{'what the storm reached':32} {'seeds':>8} {'times':>10}"
        for name in REACHED:
            seeds, times = self.reached.get(name, (0, 0))
            yield f"{name:32} {seeds:8,} {times:10,}"
        yield f"{self.count:,} seeds, {self.orders:,} orders, {self.trades:,} trades, {self.deaths:,} times killed"
        if not self.failed:
            yield "all promises kept"
            return
        yield f"{len(self.failed)} seeds broke a promise: {', '.join(map(str, sorted(self.failed)))}"
        yield from (f"  {count:5}  {name}" for name, count in self.promises.most_common())
