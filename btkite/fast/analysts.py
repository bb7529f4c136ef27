"""One strategy's analyzers and observers, and whom each step has to call.

What does not override a method is not called for it; what sleeps (:mod:`.asleep`) is not called at all; what
only counts events is called when there are some. All others have their turn as in backtrader, in its order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import backtrader as bt
from backtrader.analyzer import Analyzer, TimeFrameAnalyzerBase

from .asleep import fall_asleep, wake_up
from .closed import CLOSED, ON_ORDERS, Range, can_sleep
from .cursors import Cursor, Fleet
from .swap import class_of
from .tally import quicken, restore

PRENEXT, NEXTSTART, NEXT = range(3)
_STAGES = ("prenext", "nextstart", "next")
_WHOLE = ("_prenext", "_nextstart", "_next", "_notify_cashvalue", "_notify_fund")
Call = Callable[[], None]


class Unit:
    """One analyzer, or a whole tree of them that only its own class knows how to call."""

    def __init__(self, analyzer: Any, place: int, whole: bool) -> None:
        self.analyzer = analyzer
        self.place = place
        self.whole = whole
        self.tree: list[Unit] = [self]

    def stage(self, stage: int) -> Call | None:
        """What its turn after ``next()`` is; None if it does nothing then."""
        analyzer, cls = self.analyzer, type(self.analyzer)
        if self.whole:
            found: Call = getattr(analyzer, "_" + _STAGES[stage])
            return found
        if isinstance(analyzer, TimeFrameAnalyzerBase):
            return _timed(analyzer, stage)
        name = _STAGES[stage]
        own = getattr(cls, name) is not getattr(Analyzer, name) or name in analyzer.__dict__
        if own or cls.next is not Analyzer.next or "next" in analyzer.__dict__:
            call: Call = getattr(analyzer, name)
            return call
        return None

    def told(self) -> list[tuple[bool, Callable[..., None]]]:
        """What it wants to hear of money: whether of the fund too, and how it is told."""
        analyzer, cls, found = self.analyzer, type(self.analyzer), []
        for of_fund, name in ((False, "notify_cashvalue"), (True, "notify_fund")):
            if self.whole:
                found.append((of_fund, getattr(analyzer, "_" + name)))
            elif getattr(cls, name) is not getattr(Analyzer, name) or name in analyzer.__dict__:
                found.append((of_fund, getattr(analyzer, name)))
        return found


def _timed(analyzer: Any, stage: int) -> Call:
    """``TimeFrameAnalyzerBase._next`` and its like, less the children, which have turns of their own."""

    def turn() -> None:
        over = analyzer._dt_over()
        if over or (stage == NEXTSTART and not analyzer.p._doprenext):
            analyzer.on_dt_over()
        if stage == NEXT:
            analyzer.next()
        elif stage == NEXTSTART:
            analyzer.nextstart()
        elif analyzer.p._doprenext:
            analyzer.prenext()

    return turn


def _is_whole(analyzer: Any) -> bool:
    """Whether it, or a child, has a way of its own of calling its children."""
    cls = class_of(analyzer)
    base = TimeFrameAnalyzerBase if issubclass(cls, TimeFrameAnalyzerBase) else Analyzer
    if any(getattr(cls, name) is not getattr(base, name) for name in _WHOLE) or set(_WHOLE) & analyzer.__dict__.keys():
        return True
    return any(_is_whole(child) for child in analyzer._children)


class Analysts:
    """The analyzers of one strategy."""

    def __init__(
        self,
        strategy: Any,
        feeds: list[Any],
        ranges: Callable[[int, int], Range] | None,
        *,
        fleet: Fleet,
        cursors: tuple[Cursor, Cursor],
    ) -> None:
        self._fleet = fleet
        self._here, self._seen = cursors
        self.strategy = strategy
        self._ranges = ranges
        self.units: list[Unit] = []
        for analyzer in strategy.analyzers:
            self._list(analyzer)
        self.sleeping: set[int] = set()
        if ranges is not None:
            for unit in self.units:
                if not unit.whole and can_sleep(unit.analyzer, strategy, feeds):
                    self.sleeping.add(unit.place)
            self._wake_the_dependent()
        self._quickened = [analyzer for analyzer in (unit.analyzer for unit in self.units) if quicken(analyzer)]
        self.telling = False  # in the middle of a step: money is not told yet
        self.place = -1  # of the analyzer whose turn it is; beyond all once they are through
        self.stage = PRENEXT
        self.woken = False
        self.calls: list[list[tuple[int, Call]]] = []
        self.events: list[tuple[int, Call]] = []
        self.money: list[tuple[bool, Callable[..., None]]] = []
        self.arrange()
        self.touches: list[tuple[int, Call]] = [
            (unit.place, partial(self._touch, unit.analyzer.datas))
            for unit in self.units
            if unit.place in self.sleeping and type(unit.analyzer) is bt.analyzers.PositionsValue
        ]
        """What sleepers would do to others: once, in the first step."""
        for unit in self.units:
            if unit.place in self.sleeping:
                fall_asleep(unit.analyzer, partial(self.wake, unit))

    def _list(self, analyzer: Any) -> list[Unit]:
        """Children before their parents, as they are called."""
        if _is_whole(analyzer):
            self.units.append(Unit(analyzer, len(self.units), whole=True))
            return [self.units[-1]]
        tree: list[Unit] = []
        for child in analyzer._children:
            tree += self._list(child)
        unit = Unit(analyzer, len(self.units), whole=False)
        self.units.append(unit)
        tree.append(unit)
        for one in tree:
            one.tree = tree
        return tree

    def _wake_the_dependent(self) -> None:
        """Calmar reads its child at each period's end: both sleep, or neither."""
        for unit in self.units:
            if type(unit.analyzer) is bt.analyzers.Calmar:
                places = {one.place for one in unit.tree if type(one.analyzer) in CLOSED}
                if not places <= self.sleeping:
                    self.sleeping -= places

    def arrange(self) -> None:
        """Whom to call, by stage."""
        awake = [unit for unit in self.units if unit.place not in self.sleeping]
        self.calls = []
        for stage in (PRENEXT, NEXTSTART, NEXT):
            found = []
            for unit in awake:
                if not unit.whole and class_of(unit.analyzer) in ON_ORDERS:
                    continue
                call = unit.stage(stage)
                if call is not None:
                    found.append((unit.place, call))
            self.calls.append(found)
        self.events = [
            (unit.place, unit.analyzer.next)
            for unit in awake
            if not unit.whole and class_of(unit.analyzer) in ON_ORDERS
        ]
        self.money = [told for unit in awake for told in unit.told()]
        for analyzer in self.strategy._slave_analyzers:
            self.money += [(False, analyzer._notify_cashvalue), (True, analyzer._notify_fund)]

    def after_next(self, stage: int, news: bool) -> None:
        """All turns of one step; ``news``: something was said of an order."""
        self.stage = stage
        calls, touches, self.touches = self.calls[stage], self.touches, []
        if touches or (news and self.events):
            calls = sorted([*calls, *touches, *(self.events if news else ())], key=lambda one: one[0])
        number = 0
        while number < len(calls):
            self.place, call = calls[number]
            call()
            number += 1
            if self.woken:
                self.woken = False
                calls = self.calls[stage]
                if news and self.events:
                    calls = sorted([*calls, *self.events], key=lambda one: one[0])
                number = sum(place <= self.place for place, _ in calls)
        self.place = -1

    def _touch(self, datas: list[Any]) -> None:
        """Who asks a broker for a position makes it, and the account is added up in the order of their making."""
        for data in datas:
            self.strategy.broker.getposition(data)

    @property
    def step(self) -> int:
        """How many steps are over."""
        return self._seen.i + 1

    @property
    def midway(self) -> bool:
        """In the middle of a step of the strategy's."""
        return self._here.i > self._seen.i

    # -- sleepers ------------------------------------------------------------------------------------

    def wake(self, unit: Unit) -> None:
        """``unit`` was touched: it and its tree are brought up to this moment."""
        tree = [one for one in unit.tree if one.place in self.sleeping]
        self._catch_up(tree, self.step)
        for one in tree:
            self.sleeping.discard(one.place)
            wake_up(one.analyzer)
        for one in tree:
            self._join(one)
        self.woken = self._fleet.disturbed = True
        self.arrange()

    def close(self) -> None:
        """Each is of its own class, and has its own ways."""
        self.wake_all()
        for analyzer in self._quickened:
            restore(analyzer)

    def wake_all(self) -> None:
        """At the end, or where the curve can no longer serve."""
        if self.midway:
            while self.sleeping:
                self.wake(next(unit for unit in self.units if unit.place in self.sleeping))
        elif self.sleeping:
            tree = [unit for unit in self.units if unit.place in self.sleeping]
            self._catch_up(tree, self.step)
            self.sleeping.clear()
            self.arrange()

    def _catch_up(self, units: list[Unit], steps: int) -> None:
        """What has happened in the first ``steps`` steps, as if each had been called."""
        for unit in units:
            wake_up(unit.analyzer)
        if steps <= 0 or not units:
            return
        assert self._ranges is not None
        found = self._ranges(0, steps)
        for unit in units:
            CLOSED[type(unit.analyzer)](unit.analyzer, found)

    def _join(self, unit: Unit) -> None:
        """In the middle of a step: what it has missed of that."""
        broker = self.strategy.broker
        if self.midway and not self.telling:
            cash, value = broker.getcash(), broker.getvalue()
            for of_fund, tell in unit.told():
                if of_fund:
                    tell(cash, value, broker.fundvalue, broker.fundshares)
                else:
                    tell(cash, value)
        if self.midway and unit.place < self.place:
            call = unit.stage(self.stage)
            if call is not None:
                call()
