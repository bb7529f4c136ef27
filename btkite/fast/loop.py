"""The loop itself: backtrader's order of things in a bar, with what changes nothing left out.

A step of the timeline: feeds move · cheating timers and ``next_open()`` · the broker's turn, its news ·
timers · for each strategy: its lines move, it hears of orders and money, ``next()``, analyzers, observers,
writers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..brokers.sim import SimBroker
from .analysts import NEXT, NEXTSTART, Analysts
from .barrule import BarRuleTurns
from .closed import Range, by_periods
from .crew import Crew
from .cursors import Cursor, Fleet, feed_mixin
from .curve import Curve
from .once import once
from .onlookers import Onlookers
from .pathrule import LedgerCurve, PathTurns
from .periods import moments
from .timeline import Timeline

DONE, HANDED_BACK = "done", "handed back"


def drive(cerebro: Any, strategies: Sequence[Any]) -> str:
    """Run all bars: :data:`DONE`; or a sentence why backtrader's loop has to go on from here, and all is as it would
    have left it so far. Whatever happens, everything is of its own class again afterwards."""
    run = _Run(cerebro, strategies)
    if run.problem:
        for crew in run.crews:
            crew.close()
        run.fleet.hand_back()
        return run.problem
    completed = False
    try:
        found = run.go()
        completed = True
        return found
    finally:
        run.close(completed=completed)


class _Run:
    def __init__(self, cerebro: Any, strategies: Sequence[Any]) -> None:
        self.cerebro = cerebro
        self.fleet = Fleet()
        self.timeline = timeline = Timeline(
            sorted(cerebro.datas, key=lambda data: (data._timeframe, data._compression))
        )
        self.when = moments(timeline.stamps)
        self.problem = ""
        self.stamps: list[float] = timeline.stamps.tolist()
        self.feeds: list[Cursor] = [self.fleet.cursor() for _ in timeline.courses]
        self.crews: list[Crew] = []
        clocks = {}
        for number, course in enumerate(timeline.courses):
            for data in course.feeds:
                clocks.update({id(line): number for line in data.lines.lines})
        for strategy in strategies:
            once(strategy, [self.fleet.hand_back], cerebro.shelf)
            strategy.reset()
        cerebro._hold(strategies)
        for strategy in strategies:
            crew = Crew(strategy, self.fleet, len(timeline.courses))
            self.problem = self.problem or crew.board(self.fleet, clocks)
            self.crews.append(crew)
        if self.problem:
            return
        for cursor, course in zip(self.feeds, timeline.courses, strict=True):
            for data in course.feeds:
                self.fleet.take_series(data, data.lines.lines, cursor, feed_mixin(data.lines._getlines()))
                self.fleet.tell_times(
                    data.lines.datetime, self.when if course.steps is None else self.when[course.steps]
                )
        for crew in self.crews:
            self.fleet.tell_times(crew.strategy.lines.datetime, self.when)
        broker = cerebro._broker
        self.curve: Curve
        self.turns: BarRuleTurns | PathTurns
        if isinstance(broker, SimBroker):
            self.curve = ledger = LedgerCurve(timeline, broker)
            self.turns = PathTurns(broker, timeline, ledger)
        else:
            self.curve = Curve(timeline)
            self.turns = BarRuleTurns(broker, timeline, self.curve)
        self.shared: dict[Any, Any] = {}
        periods = by_periods(self.when)

        def ranges(crew: Crew, begin: int, end: int) -> Range:
            money = self.curve.between(begin, end)
            first = len(timeline) if crew.first is None else crew.first
            return Range(begin, end, money, self.when, self.curve, timeline, periods, first, {})

        feeds = list(cerebro.datas)
        serves = self.turns.serves(feeds)
        for crew in self.crews:
            crew.onlookers = Onlookers(crew.strategy, self.fleet, len(timeline), self.curve.between if serves else None)
            crew.analysts = Analysts(
                crew.strategy,
                feeds,
                partial(ranges, crew) if serves and not crew.notifies_itself else None,
                fleet=self.fleet,
                cursors=(crew.cursor, crew.onlookers.cursor),
            )
            self.curve.on_loose.append(crew.loosen)

    # -- all steps -------------------------------------------------------------------------------------

    def go(self) -> str:
        cerebro, steps = self.cerebro, len(self.timeline)
        lone = self.crews[0] if len(self.crews) == 1 and self.timeline.movers is None else None
        busy = cerebro._timers or cerebro._timerscheat or cerebro.p.cheat_on_open or cerebro.runwriters
        step = 0
        while step < steps:
            self.turns.catch_up()
            self._step(step, self.stamps[step])
            step += 1
            if lone is not None and not busy and lone.is_quiet:
                step = self._quietly(lone, step)
            if cerebro._event_stop:
                return DONE
            if self.fleet.over:
                return f"a line was moved, or made, by hand at bar {step}"
        cerebro._deliver()  # of orders given on the last bar
        return DONE

    def _quietly(self, crew: Crew, begin: int) -> int:
        """Steps at which nobody but ``next()`` has a turn, from ``begin`` on; returns the first that is another's."""
        cerebro, fleet, turns, stamps = self.cerebro, self.fleet, self.turns, self.stamps
        feeds, own, seen = self.feeds[0], crew.cursor, crew.onlookers.cursor
        step_forward, strategy = crew.dates.append, crew.strategy
        indicators, known, extra = crew.indicators, crew.known, crew.extra
        first, second = turns.queues
        due, resting = min(turns.due, len(stamps)), bool(turns.resting)
        fleet.disturbed = False
        for step in range(begin, due):
            if first or second or turns.soon or (resting and turns.has_changed()):
                return step
            turns.step = turns.shown = feeds.i = own.i = step
            step_forward(stamps[step])
            for line in extra:
                line.append(_NAN)
            strategy.next()  # looked up each time: a strategy may set another one as its next
            if fleet.disturbed or cerebro._event_stop or len(indicators) != known:
                self._after_next(crew, step, NEXT)
                return step + 1
            seen.i = step
        return max(begin, due)

    def _step(self, step: int, dt: float) -> None:
        """One step, whoever has a turn in it. It ends early if someone stops the run."""
        cerebro, turns, strategies = self.cerebro, self.turns, self.cerebro.runningstrats
        first, second = turns.queues
        needed = bool(  # queues are empty after they were delivered
            step >= turns.due or first or second or turns.soon or (turns.resting and turns.has_changed())
        )
        if turns.plays and needed:
            turns.play(step, cerebro._deliver)
            if cerebro._event_stop:
                return
        elif turns.plays:
            turns.idle(step)
        cheats = bool(cerebro._timerscheat or cerebro.p.cheat_on_open)
        if cheats:
            turns.settle()
        for number in (0,) if self.timeline.movers is None else self.timeline.movers[step]:
            self.feeds[number].i += 1
        turns.shown = step
        if cheats:
            cerebro._check_timers(strategies, dt, cheat=True)
            if cerebro.p.cheat_on_open:
                for strategy in strategies:
                    strategy._oncepost_open()
                    if cerebro._event_stop:
                        return
        if needed or (cheats and (first or second or turns.soon)):
            turns.turn(step)
            cerebro._deliver()
            turns.plan(step)
            if cerebro._event_stop:
                return
        elif not turns.plays:
            turns.idle(step)
        if cerebro._timers:
            cerebro._check_timers(strategies, dt, cheat=False)
        for crew in self.crews:
            self._turn_of(crew, step, dt)
            if cerebro._event_stop:
                return
            if cerebro.runwriters:
                cerebro._next_writers(strategies)

    def _turn_of(self, crew: Crew, step: int, dt: float) -> None:
        """One strategy's part of a step."""
        strategy, analysts = crew.strategy, crew.analysts
        if self.fleet.over:
            crew.loosen()
            strategy._oncepost(dt)
            return
        if crew.lagging is not None:
            crew.lagging.i = crew.cursor.i
        crew.cursor.i = step
        if self.timeline.movers is not None:
            for number in self.timeline.movers[step]:
                crew.courses[number].i = self.feeds[number].i
        crew.dates.append(dt)
        for line in crew.extra:
            line.append(_NAN)
        analysts.telling = True
        if crew.notifies_itself or strategy._orderspending or strategy._tradespending:
            strategy._notify()
        elif analysts.money or crew.tell_cash or crew.tell_fund:
            crew.tell_money()
        elif self.turns.holding:
            self.turns.broker._mark()
        analysts.telling = False
        stage = NEXT if crew.steady else crew.stage(step)
        if stage == NEXT:
            strategy.next()
        elif stage == NEXTSTART:
            strategy.nextstart()
        else:
            strategy.prenext()
        self._after_next(crew, step, stage)

    def _after_next(self, crew: Crew, step: int, stage: int) -> None:
        """The rest of a strategy's part of a step."""
        strategy, analysts, onlookers = crew.strategy, crew.analysts, crew.onlookers
        news = bool(strategy._orderspending or strategy._tradespending)
        if analysts.calls[stage] or news or analysts.touches:
            analysts.after_next(stage, news)
        onlookers.cursor.i = step
        if self.fleet.over:
            crew.loosen()
            strategy._next_observers(strategy._minperstatus, once=True)
        else:
            if onlookers.each or onlookers.own:
                onlookers.turn(stage)
            if news:
                onlookers.events()
        if news:
            strategy.clear()
        if len(crew.indicators) != crew.known:
            self.fleet.hand_back()

    # -- the end ---------------------------------------------------------------------------------------

    def close(self, *, completed: bool) -> None:
        """All as backtrader's loop leaves it; in the middle of a step, too, if something was raised there."""
        for crew in self.crews:
            crew.close()
        self.turns.close()
        self.fleet.hand_back()
        for data in self.cerebro.datas:
            data._tick_nullify()
            if 0 < len(data) < data.buflen():
                data._tick_fill()


_NAN = float("nan")
