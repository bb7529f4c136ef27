"""One strategy's observers: what backtrader's own would note at each step is filled in at the end.

Money comes from the curve of the account; orders and trades are noted when there are some. Whoever looks into
a line before gets it filled up to that moment, and from then on it is filled step by step. Observers of
someone's own, and what comes after them, have their turn at each step, as in backtrader.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import backtrader as bt
from backtrader.lineiterator import LineIterator

from .analysts import NEXT, NEXTSTART
from .cursors import Cursor, Fleet, OnCursor
from .curve import Money
from .swap import swap, unswap
from .vectors import view

_obs = bt.observers
_ON_EVENTS = (_obs.BuySell, _obs.Trades, _obs.DataTrades)
_OF_MONEY: dict[type, Callable[[Any], list[str]]] = {
    _obs.Broker: lambda observer: ["", "fund"] if observer._fundmode else ["cash", "value"],
    _obs.Cash: lambda observer: ["cash"],
    _obs.Value: lambda observer: ["fund" if observer._fundmode else "value"],
    _obs.FundValue: lambda observer: ["fund"],
}
"""What each line is filled with."""
_TURNS = ("_prenext", "_nextstart", "_next")


class _Unfilled:
    """In front of a line that nobody has looked into."""

    @property
    def _values(self) -> Any:
        return self.array

    @property
    def array(self) -> Any:
        self.__dict__["_fill"]()
        return self.array  # of another class by now

    @array.setter
    def array(self, value: Any) -> None:
        self.__dict__["_fill"]()
        self.array = value


Unfilled = type("Unfilled", (_Unfilled, OnCursor), {})


class Onlookers:
    """The observers of one strategy. ``cursor`` moves when they have seen a step."""

    def __init__(self, strategy: Any, fleet: Fleet, steps: int, money: Callable[[int, int], Money] | None) -> None:
        self.strategy = strategy
        self._fleet = fleet
        self.cursor: Cursor = fleet.cursor()
        self._steps = steps
        self._money = money
        self._unfilled: list[Any] = []
        self.on_events: list[Any] = []
        self.each: list[Any] = []
        """Those that sleep no more, but stand on the cursor."""
        self.own: list[Any] = []
        for observer in strategy._lineiterators[LineIterator.ObsType]:
            kind = type(observer)
            plain = not observer._analyzers and "next" not in observer.__dict__ and not self.own
            if plain and kind in _ON_EVENTS:
                self.on_events.append(observer)
            elif plain and money is not None and kind in _OF_MONEY:
                self._unfilled.append(observer)
            else:
                self.own.append(observer)
        nothing = array.array("d", [float("nan")])
        for observer in self.on_events:
            for line in observer.lines.lines:
                line.array = nothing * steps
                fleet.take_line(line, self.cursor)
        for observer in self._unfilled:
            for line in observer.lines.lines:
                line.array = array.array("d")
                line.__dict__["_fill"] = lambda observer=observer: self._look(observer)
                fleet.take_line(line, self.cursor, Unfilled)
        fleet.before_over.append(self.fill)

    def _look(self, observer: Any) -> None:
        """Someone looks into a line of ``observer``."""
        self._fleet.disturbed = True
        self._unfilled.remove(observer)
        self.each.append(observer)
        self._fill(observer, self.cursor.i + 1)

    def _fill(self, observer: Any, steps: int) -> None:
        nothing = array.array("d", [float("nan")])
        found = self._money(0, steps) if self._money is not None and steps > 0 else None
        for line, what in zip(observer.lines.lines, _OF_MONEY[type(observer)](observer), strict=True):
            line.__dict__.pop("_fill", None)
            unswap(line)
            swap(line, OnCursor)
            line.array = line.__dict__["_values"] = nothing * self._steps
            if found is not None and what:
                view(line.array)[:steps] = getattr(found, what)

    def fill(self) -> None:
        """All of them, up to the last step that they have seen."""
        while self._unfilled:
            self._look(self._unfilled[0])

    def turn(self, stage: int) -> None:
        """Those that have a turn at each step; the cursor stands on it."""
        for observer in self.each:
            observer.next()
        strategy = self.strategy
        for observer in self.own:
            for analyzer in observer._analyzers:
                getattr(analyzer, _TURNS[stage])()
            if len(strategy) > len(observer):
                observer.forward()
            if stage == NEXT:
                observer.next()
            elif stage == NEXTSTART:
                observer.nextstart()
            elif len(observer):
                observer.prenext()

    def events(self) -> None:
        """Something was said of an order or a trade in this step."""
        for observer in self.on_events:
            observer.next()
