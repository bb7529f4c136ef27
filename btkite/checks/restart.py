"""Whether a strategy of yours goes on after a restart as if nothing had been: killed between two bars, started again.

All that the bar before has brought is done when it dies, so nothing of btkite's is cut in two: what differs
afterwards is what the strategy kept for itself and lost.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .. import simulator
from ..errors import BtkiteError, ConfigError
from .boundaries import Boundary
from .compare import broken
from .lives import Day, Script, Stage

if TYPE_CHECKING:
    from ..runs import Run

_SECONDS = 900  # real ones, for one life on a long stretch of candles
UNCALLED = "next() is not called"
_DECISIONS = {"given": "orders given", "orders": "working orders", "position": "position"}


@dataclass(frozen=True, slots=True)
class Decision:
    """The first bar at which the restarted strategy decided differently: what it has or gave there, in both runs."""

    at: datetime
    what: str
    uninterrupted: str
    restarted: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that the strategy keeps and that was not the same after the restart; ``indicator``: a value that
    follows from the bars."""

    name: str
    uninterrupted: str
    restarted: str
    indicator: bool = False


@dataclass(frozen=True, slots=True)
class Restart:
    """One kill and what came of it. ``decision`` None: the strategy went on as if nothing had been."""

    killed: datetime
    decision: Decision | None = None
    lost: tuple[Lost, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        return self.decision is None and not self.problems


@dataclass(frozen=True, slots=True)
class Report:
    """All kills. ``bars``: that the strategy saw; ``warmup``: bars that a restart warms up on."""

    restarts: tuple[Restart, ...]
    bars: int
    orders: int
    warmup: int
    restores: bool

    @property
    def first(self) -> Restart | None:
        """The one that shows best what is wrong: the first that differs."""
        return next((one for one in self.restarts if not one.same), None)


def script_of(plan: Run, where: str, params: Sequence[str], config: str | None) -> Script:
    """The run of ``plan`` (of its candles, as a backtest) on an exchange that plays them.

    :raises ConfigError: if the plan's candles are not known beforehand.
    """
    if not plan.candles:
        raise ConfigError("the candles must be known beforehand: check a restart on stored or made-up candles")
    warmup = int(plan.config.data.warmup)
    begin = plan.begin or max(one[min(warmup, len(one) - 1) :].first for one in plan.candles.values())
    return Script(
        strategy=where,
        candles={key: one.between(None, plan.end) for key, one in plan.candles.items()},
        interval=plan.interval,
        params=tuple(params),
        config=config,
        keys={"data.warmup": warmup, "broker.capital": plan.config.broker.capital, "alerts.urls": []},
        start=simulator.first_moment(plan.candles, begin),
        seconds=_SECONDS,
        settings={"instruments": [simulator.instrument_row(one) for one in plan.instruments.values()]},
    )


def check(plan: Run, script: Script, *, kills: int, seed: int) -> Iterator[Restart | Day]:
    """First the uninterrupted run, then a restart after each of ``kills`` bars, the earliest first.

    :raises BtkiteError: if the strategy fails even without a kill, or never came to trade.
    """
    with Stage() as stage:
        whole = stage.play(script)
        if whole.codes[-1] == BtkiteError.exit_code or not whole.bars:
            said = whole.output.strip().splitlines()
            why = said[-1].removeprefix("error: ") if said else "its next() was never called"
            raise BtkiteError(f"{plan.strategy.__name__} does not run to the end even without a kill: {why}")
        yield whole
        for boundary, at in moments(whole, kills, seed):
            day = stage.play(script, (boundary,))
            yield judged(whole, day, at)


def moments(whole: Day, count: int, seed: int) -> list[tuple[Boundary, datetime]]:
    """After which bars to die: half of them while something is held or works, the rest anywhere."""
    draw = random.Random(seed)  # noqa: S311 - a choice that can be made again, no secret
    bars = {datetime.fromisoformat(bar["at"]): bar for bar in whole.bars[:-1]}
    able = [at for at in bars if at in whole.pauses]
    busy = [at for at in able if bars[at]["position"] or bars[at]["orders"]]
    first = draw.sample(busy, min(len(busy), (count + 1) // 2))
    rest = [at for at in able if at not in first]
    picked = [*first, *draw.sample(rest, min(len(rest), count - len(first)))]
    return [(whole.pauses[at], at) for at in sorted(picked)]


def judged(whole: Day, day: Day, at: datetime) -> Restart:
    """The day with a kill after the bar of ``at``, held against the one without."""
    pairs = _pairs(whole, day, at)
    problems = list(broken(day))
    if day.codes[-1] != whole.codes[-1]:
        said = day.output.strip().splitlines()
        problems.append(f"after the restart it ended with exit code {day.codes[-1]}: {said[-1] if said else ''}")
    for number, (one, other) in enumerate(pairs):
        for name, words in _DECISIONS.items():
            if other is None or one[name] != other[name]:
                there = UNCALLED if other is None else _said(other[name])
                decision = Decision(datetime.fromisoformat(one["at"]), words, _said(one[name]), there)
                return Restart(at, decision, lost(pairs, number), tuple(problems))
    return Restart(at, None, lost(pairs, len(pairs) - 1), tuple(problems))


_Pairs = Sequence[tuple[Mapping[str, Any], Mapping[str, Any] | None]]


def _pairs(whole: Day, day: Day, at: datetime) -> _Pairs:
    seen = {bar["at"]: bar for bar in day.bars if bar["life"]}
    return [(bar, seen.get(bar["at"])) for bar in whole.bars if datetime.fromisoformat(bar["at"]) > at]


def lost(pairs: _Pairs, number: int) -> tuple[Lost, ...]:
    """What the strategy kept differently: before the bar at which it decided differently, if there is one between."""
    for place in (number - 1, number):
        if place < 0 or place >= len(pairs):
            continue
        one, other = pairs[place]
        if other is None:
            continue
        found = _differing(one, other)
        if found:
            return tuple(found)
    return ()


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Lost]:
    mine, theirs = one["attributes"], other["attributes"]
    lines = set(one["indicators"])
    return [
        Lost(name, mine.get(name, "not there"), theirs.get(name, "not there"), name in lines)
        for name in sorted({*mine, *theirs})
        if mine.get(name) != theirs.get(name)
    ]


def _said(value: Any) -> str:
    if not value:
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{size:g} {key} at {price:.2f}" for key, (size, price) in value.items())
    return "; ".join(map(str, value))


def report(plan: Run, whole: Day, restarts: Sequence[Restart]) -> Report:
    """What came of it all."""
    return Report(
        restarts=tuple(restarts),
        bars=len(whole.bars),
        orders=sum(len(bar["given"]) for bar in whole.bars),
        warmup=int(plan.config.data.warmup),
        restores=callable(getattr(plan.strategy, "restored", None)),
    )


def shortened(plan: Run, sessions: int) -> Run:
    """The last ``sessions`` of its candles, for who did not say from when."""
    known = [one.between(plan.begin, plan.end) for one in plan.candles.values()]
    days = sorted({day for one in known for day in one.start.astype("datetime64[D]").tolist()})
    warm = int(plan.config.data.warmup)
    first = max(one[min(warm, len(one) - 1) :].first for one in plan.candles.values())
    begin = datetime.combine(days[-sessions:][0], datetime.min.time())
    return replace(plan, begin=max(begin, first))


def sentences(found: Report) -> Iterator[str]:
    """The verdict, and what to do."""
    wrong = found.first
    if wrong is None:
        yield (
            f"the same after each of {len(found.restarts)} restarts: every order, position and working order of the "
            "bars that followed"
        )
        idle = found.restarts[0].lost if found.restarts else ()
        if idle:
            yield f"(attributes that differed without any effect: {', '.join(one.name for one in idle)})"
        return
    yield from (f"broken: {problem}" for problem in wrong.problems)
    if wrong.decision is not None:
        yield f"killed after the bar of {wrong.killed:%Y-%m-%d %H:%M}, it decides differently"
        yield f"at the bar of   {wrong.decision.at:%Y-%m-%d %H:%M}: {wrong.decision.what}"
        yield f"  without the kill  {wrong.decision.uninterrupted}"
        yield f"  after the restart {wrong.decision.restarted}"
        yield from _reasons(found, wrong)
    count = sum(not one.same for one in found.restarts)
    yield f"{count} of {len(found.restarts)} restarts went another way"


def _reasons(found: Report, wrong: Restart) -> Iterator[str]:
    if wrong.decision is not None and wrong.decision.restarted == UNCALLED:
        yield (
            f"its indicators need more bars than the {found.warmup} of data.warmup that a restart warms up on: give it "
            "more (--warmup)"
        )
        return
    memory = [one for one in wrong.lost if not one.indicator]
    lines = [one for one in wrong.lost if one.indicator]
    if not wrong.lost:
        yield (
            "no attribute of the strategy differs before that: look for what it keeps elsewhere (a module, a file), "
            "for len(self), or for what depends on bars that a restart does not replay"
        )
    for one in memory:
        yield f"likely because of self.{one.name}: {one.uninterrupted} without the kill, {one.restarted} after it"
    if memory:
        how = "its restored(orders, position) does not set it" if found.restores else "it defines no restored()"
        yield (
            f"  a strategy's own attributes do not outlive the process, and {how}: derive it from the position, the "
            "working orders or the bars, or set it in restored(orders, position)"
        )
    for one in lines:
        yield f"likely because of self.{one.name}: {one.uninterrupted} without the kill, {one.restarted} after it"
    if lines:
        yield (
            f"  an indicator that has seen other bars: a restart warms up on data.warmup = {found.warmup} bars; give "
            "it more (--warmup)"
        )
