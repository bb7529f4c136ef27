"""The loop itself: backtrader's order of things in a bar, with what changes nothing left out.

A step of the timeline: feeds move · cheating timers and ``next_open()`` · the broker's turn, its news ·
timers · for each strategy: its lines move, it hears of orders and money, ``next()``, analyzers, observers,
writers.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        self.step = -1
        self.feeds: list[Cursor] = [self.fleet.cursor() for _ in timeline.courses]
        self.crews: list[Crew] = []
        clocks = {}
        for number, course in enumerate(timeline.courses):
            for data in course.feeds:
                clocks.update({id(line): number for line in data.lines.lines})
        for strategy in strategies:
            once(strategy)
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

        def ranges(begin: int, end: int) -> Range:
            money = self.curve.between(begin, end)
            return Range(begin, end, money, self.when, self.curve, timeline, periods, {})

        feeds = list(cerebro.datas)
        serves = self.turns.serves(feeds)
        for crew in self.crews:
            crew.onlookers = Onlookers(crew.strategy, self.fleet, len(timeline), self.curve.between if serves else None)
            crew.analysts = Analysts(crew.strategy, feeds, ranges if serves and not crew.notifies_itself else None)
            self.curve.on_loose.append(crew.loosen)

    # -- all steps -------------------------------------------------------------------------------------

    def go(self) -> str:
        cerebro, turns, fleet, crews = self.cerebro, self.turns, self.fleet, self.crews
        movers, feeds = self.timeline.movers, self.feeds
        single = feeds[0] if movers is None else None
        stamps: list[float] = self.timeline.stamps.tolist()
        cheats = bool(cerebro._timerscheat or cerebro.p.cheat_on_open)
        timers = bool(cerebro._timers)
        strategies = cerebro.runningstrats
        writers = bool(cerebro.runwriters)
        first, second = turns.queues
        plays, deliver = turns.plays, cerebro._deliver
        for step, dt in enumerate(stamps):
            self.step = step
            needed = bool(  # queues are empty after they were delivered
                step >= turns.due or first or second or turns.soon or (turns.resting and turns.has_changed())
            )
            if plays:
                if needed:
                    turns.play(step, deliver)
                    if cerebro._event_stop:
                        return DONE
                else:
                    turns.idle(step)
            if cheats:
                turns.settle()
            if single is not None:
                single.i = step
            else:
                assert movers is not None
                for number in movers[step]:
                    feeds[number].i += 1
            if cheats:
                cerebro._check_timers(strategies, dt, cheat=True)
                if cerebro.p.cheat_on_open:
                    for strategy in strategies:
                        strategy._oncepost_open()
                        if cerebro._event_stop:
                            return DONE
            if needed or (cheats and (first or second or turns.soon)):
                turns.turn(step)
                deliver()
                turns.plan(step)
                if cerebro._event_stop:
                    return DONE
            elif not plays:
                turns.step = step
            if timers:
                cerebro._check_timers(strategies, dt, cheat=False)
            for crew in crews:
                self._step(crew, step, dt)
                if cerebro._event_stop:
                    return DONE
                if writers:
                    cerebro._next_writers(strategies)
            if fleet.over:
                return f"a line was moved, or made, by hand at bar {step + 1}"
        deliver()  # of orders given on the last bar
        return DONE

    def _step(self, crew: Crew, step: int, dt: float) -> None:
        """One strategy's part of a step."""
        strategy, analysts, onlookers = crew.strategy, crew.analysts, crew.onlookers
        if self.fleet.over:
            crew.loosen()
            strategy._oncepost(dt)
            return
        if crew.lagging is not None:
            crew.lagging.i = crew.cursor.i
        crew.cursor.i = step
        if self.timeline.movers is not None:
            feeds, courses = self.feeds, crew.courses
            for number in self.timeline.movers[step]:
                courses[number].i = feeds[number].i
        crew.dates.append(dt)
        for line in crew.extra:
            line.append(_NAN)
        analysts.step = step
        if crew.notifies_itself or strategy._orderspending or strategy._tradespending:
            strategy._notify()
        elif analysts.money or crew.tell_cash or crew.tell_fund:
            broker = strategy.broker
            cash, value = broker.getcash(), broker.getvalue()
            if crew.tell_cash:
                strategy.notify_cashvalue(cash, value)
            fund, shares = broker.fundvalue, broker.fundshares
            if crew.tell_fund:
                strategy.notify_fund(cash, value, fund, shares)
            for of_fund, tell in analysts.money:
                if of_fund:
                    tell(cash, value, fund, shares)
                else:
                    tell(cash, value)
        elif self.turns.holding:
            self.turns.broker._mark()
        analysts.told_of_money = True
        if crew.steady:
            stage = NEXT
            strategy.next()
        else:
            stage = crew.stage()
            if stage == NEXT:
                strategy.next()
            elif stage == NEXTSTART:
                strategy.nextstart()
            else:
                strategy.prenext()
        news = bool(strategy._orderspending or strategy._tradespending)
        if analysts.calls[stage] or news:
            analysts.after_next(stage, news)
            analysts.place = -1
        analysts.step = step + 1
        analysts.told_of_money = False
        if self.fleet.over:
            crew.loosen()
            strategy._next_observers(strategy._minperstatus, once=True)
        else:
            onlookers.cursor.i = step
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
