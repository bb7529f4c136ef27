"""One strategy in the fast loop: its lines on cursors, its analyzers and observers."""

from __future__ import annotations

from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineBuffer
from backtrader.lineiterator import LineIterator

from .analysts import NEXT, NEXTSTART, PRENEXT, Analysts
from .cursors import Cursor, Fleet, lines_of
from .onlookers import Onlookers
from .swap import swap, unswap


class OnItsCursor:
    """In front of a strategy's own class: its length."""

    _cursor: Cursor

    def __len__(self) -> int:
        return self._cursor.i + 1


class StrategyOnCursor(OnItsCursor):
    """... and its position."""

    datas: list[Any]
    broker: Any

    @property
    def position(self) -> Any:
        return self.broker.getposition(self.datas[0])


class Crew:
    """``cursor``: of the strategy and of what moves with it; ``courses``: of indicators on each of the feeds'
    courses; ``lagging``: of what follows the strategy itself, a step behind, as in backtrader."""

    def __init__(self, strategy: Any, fleet: Fleet, courses: int) -> None:
        self.strategy = strategy
        self.cursor = fleet.cursor()
        self.courses: list[Cursor] = [self.cursor] if courses == 1 else [fleet.cursor() for _ in range(courses)]
        self.lagging: Cursor | None = None
        cls = type(strategy)
        self.dates = strategy.lines.datetime.array
        self.extra = [line.array for line in strategy.lines.lines if line is not strategy.lines.datetime]
        own = strategy.__dict__
        self.tell_cash = "notify_cashvalue" in own or cls.notify_cashvalue is not bt.Strategy.notify_cashvalue
        self.tell_fund = "notify_fund" in own or cls.notify_fund is not bt.Strategy.notify_fund
        self.notifies_itself = cls._notify is not bt.Strategy._notify
        self.indicators = strategy._lineiterators[LineIterator.IndType]
        self.known = len(self.indicators)
        self.steady = False
        self.first: int | None = None
        """The first step with a ``next()``."""
        self.analysts: Analysts
        self.onlookers: Onlookers

    def stage(self, step: int) -> int:
        """Which of ``prenext``, ``nextstart``, ``next`` has its turn."""
        status = self.strategy._getminperstatus()
        if status <= 0 and self.first is None:
            self.first = step
        if status < 0:
            self.steady = True
            return NEXT
        return NEXTSTART if status == 0 else PRENEXT

    @property
    def is_quiet(self) -> bool:
        """Whether, of all that is the strategy's, only ``next()`` has a turn at each step."""
        analysts, onlookers = self.analysts, self.onlookers
        listens = self.tell_cash or self.tell_fund or self.notifies_itself or self.lagging is not None
        return self.steady and not (
            listens or analysts.money or analysts.calls[NEXT] or onlookers.each or onlookers.own
        )

    def tell_money(self) -> None:
        """Cash and value, to who wants to hear of them."""
        strategy, broker = self.strategy, self.strategy.broker
        cash, value = broker.getcash(), broker.getvalue()
        if self.tell_cash:
            strategy.notify_cashvalue(cash, value)
        fund, shares = broker.fundvalue, broker.fundshares
        if self.tell_fund:
            strategy.notify_fund(cash, value, fund, shares)
        for of_fund, tell in self.analysts.money:
            if of_fund:
                tell(cash, value, fund, shares)
            else:
                tell(cash, value)

    def loosen(self) -> None:
        """Nobody sleeps any more; all is filled up to this moment."""
        self.analysts.wake_all()
        self.onlookers.fill()

    def close(self) -> None:
        """The run is over."""
        if hasattr(self, "analysts"):
            self.analysts.close()
        if hasattr(self, "onlookers"):
            self.onlookers.fill()
        unswap(self.strategy)
        self.strategy.__dict__.pop("_cursor", None)

    def board(self, fleet: Fleet, clocks: dict[int, int]) -> str:
        """All its lines onto cursors; ``clocks``: of the course of each feed's first line. Returns why not."""
        strategy = self.strategy
        groups: dict[int, int] = dict(clocks)
        own = id(strategy.lines.lines[0])
        placed = []
        for indicator in self.indicators:
            clock = indicator._clock
            first = clock if isinstance(clock, LineBuffer) else clock.lines[0]
            if id(first) == own:
                number = -1
            elif id(first) in groups:
                number = groups[id(first)]
            else:
                return f"{type(indicator).__name__} follows a line that no feed moves"
            lines = lines_of(indicator)
            for line in lines:
                if id(line) in groups:
                    return f"{type(indicator).__name__} has a line that another one has"
                groups[id(line)] = number
            placed.append((indicator, lines, number))
        for line in strategy.lines.lines:
            fleet.take_line(line, self.cursor)
        strategy.__dict__["_cursor"] = self.cursor
        swap(strategy, StrategyOnCursor if type(strategy).position is bt.Strategy.position else OnItsCursor)
        for indicator, lines, number in placed:
            if number < 0:
                self.lagging = self.lagging or fleet.cursor()
                cursor = self.lagging
            else:
                cursor = self.courses[number]
            if lines[0] is indicator:
                fleet.take_line(indicator, cursor)
            else:
                fleet.take_series(indicator, lines, cursor)
        return ""
