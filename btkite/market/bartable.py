"""The builders of many instruments side by side: a frame of a thousand ticks moves a thousand bars in a few steps.

Each builder's :class:`~btkite.market.barstate.BarState` is a row of one numpy array here. Ticks that do what nearly all
ticks do (move a bar, close it, begin one, tell of depth alone, come late, or come outside the session) are added as
columns; one that begins a day or is older than the subscription is given to its builder, as any tick may be at any
time. The result is that of :meth:`.bars.BarBuilder.add`, tick by tick, to the last bit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..clock import from_epoch, to_epoch
from ..values import Bar, Tick
from .bars import BarBuilder
from .barstate import PARTS, BarState
from .intervals import DAY_SECONDS

Array: TypeAlias = NDArray[Any]

_KIND = np.dtype(BarState)
_SIZE = ctypes.sizeof(BarState)
_BYTES = np.dtype((np.void, _SIZE))
_FIRST_ROWS = 64


# A NamedTuple's own __new__ is a Python function; tuple's makes the same object in half the time.
_make: Callable[[type[Bar], tuple[Any, ...]], Bar] = tuple.__new__


class Columns(Protocol):
    """Ticks as columns: prices in rupees, times in epoch seconds, 0 where a packet has no such thing."""

    @property
    def instrument_token(self) -> Array: ...
    @property
    def last_price(self) -> Array: ...
    @property
    def volume(self) -> Array: ...
    @property
    def exchange_time(self) -> Array: ...
    @property
    def last_trade_time(self) -> Array: ...
    @property
    def open(self) -> Array: ...
    @property
    def high(self) -> Array: ...
    @property
    def low(self) -> Array: ...
    @property
    def oi(self) -> Array: ...


@dataclass(frozen=True, slots=True, eq=False)
class Added:
    """What became of ticks, one by one: their moment; the end of the bar that formed then, 0 if none did (epoch seconds
    both); and whether they came outside the session. No end, and not outside: they were of no use."""

    moment: Array
    end: Array
    outside: Array

    def of(self, places: Array) -> Added:
        """Some of them."""
        return Added(self.moment[places], self.end[places], self.outside[places])


class BarTable:
    """Builders by row. A row is given up with :meth:`remove` and used again."""

    def __init__(self) -> None:
        self._rows = np.zeros(_FIRST_ROWS, _KIND)
        self._rows["start"] = -1
        self._builders: list[BarBuilder | None] = []
        self._free: list[int] = []

    def take(self, builder: BarBuilder) -> int:
        """From now on the builder's state is a row of this table; which one."""
        if self._free:
            row = self._free.pop()
        else:
            row = len(self._builders)
            self._builders.append(None)
            if row == len(self._rows):
                self._grow()
        self._builders[row] = builder
        self._settle(row, builder)
        return row

    def remove(self, row: int) -> None:
        """The builder goes on by itself."""
        builder = self._builders[row]
        if builder is None:
            return
        builder.state = BarState.from_buffer_copy(builder.state)
        self._builders[row] = None
        self._rows[row] = np.zeros((), _KIND)
        self._rows["start"][row] = -1
        self._free.append(row)

    def over(self, now: datetime, grace_seconds: float, *, complete: bool) -> Array:
        """The rows whose :meth:`.bars.BarBuilder.close` would give a bar."""
        rows = self._rows
        grace = 0.0 if complete else grace_seconds
        ended = (rows["start"] >= 0) & (rows["end"] + grace <= to_epoch(now))
        return np.flatnonzero(ended | (rows["ready"] != 0))

    def muted(self, rows: Array) -> Array:
        """Which of these rows are muted (:attr:`.barstate.BarState.muted`)."""
        return np.asarray(self._rows["muted"][rows] != 0)

    def add(self, rows: Array, columns: Columns, places: Array) -> Added:
        """Give each row the tick at its place of the columns, in this order; a row may be there more than once."""
        traded = columns.last_trade_time[places]
        moment = columns.exchange_time[places]
        moment = np.where(moment != 0, moment, traded)
        end, outside = np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
        for turn in _turns(rows, len(self._rows)):
            mine = slice(None) if turn is None else turn
            end[mine], outside[mine] = self._add(
                rows[mine], columns, places[mine], moment[mine], columns.last_price[places[mine]], traded[mine]
            )
        return Added(moment, end, outside)

    # -- inside -----------------------------------------------------------------------------------

    def _add(
        self, rows: Array, columns: Columns, places: Array, moment: Array, price: Array, traded: Array
    ) -> tuple[Array, Array]:
        """Of rows that are each there once: the end of the bar that forms, whether the tick was outside."""
        state = self._rows.take(rows)
        since, volume = state["since"], columns.volume[places]
        known = state["start"] >= 0
        age = moment - state["midnight"]
        of_day = (moment >= since) & (age >= 0) & (age < DAY_SECONDS)
        ahead = of_day & known & (moment >= state["start"]) & (moment < state["end"]) & (price > 0)
        if bool((ahead & (state["daily"] == 0)).all()):  # nearly every frame: a bar that forms is within the session
            self._move(state, ahead, columns, places, moment, price, volume)
            _put(self._rows, rows, state)
            return state["end"], ~ahead
        plain = of_day & (moment != 0) & (state["parts"] <= PARTS)
        ended = plain & known & (moment >= state["end"])
        late = plain & ((moment < state["closed_until"]) | (moment < state["start"]))
        useful = plain & ~late
        if ended.any():
            self._finish(state, rows, np.flatnonzero(ended))
            known = known & ~ended
        opened, closed = _part(state, moment, useful)
        outside = useful & (closed == 0)
        priced = useful & ~outside & (price > 0)
        if late.any():
            state["late"] += late
        if outside.any():
            state["outside"] += outside
        begins = priced & ~known
        moved = priced
        if begins.any():
            moved = priced & ~_begin(state, np.flatnonzero(begins), moment, price, volume, traded, opened, closed)
        self._move(state, moved, columns, places, moment, price, volume)
        _put(self._rows, rows, state)
        end = np.where(useful & ~outside & (state["start"] >= 0), state["end"], 0)
        if not plain.all():
            for place in np.flatnonzero(~plain).tolist():
                end[place], outside[place] = self._one(int(rows[place]), columns, int(places[place]))
        return end, outside

    def _finish(self, state: Array, rows: Array, at: Array) -> None:
        """The bars at these places are over: each goes to its builder."""
        mine = state.take(at)
        named = {second: from_epoch(second) for second in {*mine["start"].tolist(), *mine["end"].tolist()}}
        columns = [mine[name].tolist() for name in ("start", "end", "open", "high", "low", "close")]
        columns += [(mine["volume"] - mine["base"]).astype(float).tolist(), mine["oi"].astype(float).tolist()]
        for row, (start, end, *numbers) in zip(rows[at].tolist(), zip(*columns, strict=True), strict=True):
            builder = self._builders[row]
            assert builder is not None
            builder.keep(_make(Bar, (named[start], named[end], *numbers)))
        mine["closed_until"], mine["start"], mine["ready"] = mine["end"], -1, 1
        _put(state, at, mine)

    @staticmethod
    def _move(
        state: Array, moved: Array, columns: Columns, places: Array, moment: Array, price: Array, volume: Array
    ) -> None:
        """The forming bars go on; their numbers as they are where ``moved`` is false."""
        high, low = np.maximum(state["high"], price), np.minimum(state["low"], price)
        daily = moved & (state["daily"] != 0)
        if daily.any():
            opened = columns.open[places]
            told = daily & (opened > 0)
            lowest = columns.low[places]
            lowest = np.where(lowest != 0, lowest, price)
            high = np.where(told, np.maximum(np.maximum(high, columns.high[places]), opened), high)
            low = np.where(told, np.minimum(np.minimum(low, lowest), opened), low)
            state["open"] = np.where(told, opened, state["open"])
        if bool((moved & (moment >= state["time"])).all()):
            state["high"], state["low"], state["close"], state["time"] = high, low, price, moment
            state["oi"], state["volume"] = columns.oi[places], np.maximum(state["volume"], volume)
            state["counted"] = 1
            return
        newer = moved & (moment >= state["time"])
        np.copyto(state["high"], high, where=moved)
        np.copyto(state["low"], low, where=moved)
        np.copyto(state["close"], price, where=newer)
        np.copyto(state["time"], moment, where=newer)
        np.copyto(state["oi"], columns.oi[places], where=newer)
        np.copyto(state["volume"], np.maximum(state["volume"], volume), where=moved)
        np.copyto(state["counted"], 1, where=moved)

    def _one(self, row: int, columns: Columns, place: int) -> tuple[int, bool]:
        """One tick, by its builder."""
        builder = self._builders[row]
        assert builder is not None
        unused, outside = builder.unused, builder.outside
        builder.add(tick_of(columns, place))
        if builder.unused != unused:
            return 0, False
        if builder.outside != outside:
            return 0, True
        return (builder.state.end if builder.state.start >= 0 else 0), False

    def _grow(self) -> None:
        old = self._rows
        self._rows = np.zeros(2 * len(old), _KIND)
        self._rows["start"] = -1
        self._rows[: len(old)] = old
        for row, builder in enumerate(self._builders):
            if builder is not None:
                builder.state = self._at(row)

    def _settle(self, row: int, builder: BarBuilder) -> None:
        place = self._at(row)
        ctypes.memmove(ctypes.addressof(place), ctypes.addressof(builder.state), _SIZE)
        builder.state = place

    def _at(self, row: int) -> BarState:
        return BarState.from_buffer(self._rows, row * _SIZE)  # type: ignore[arg-type]


def tick_of(columns: Columns, place: int) -> Tick:
    """What a bar needs of one tick of the columns."""
    return Tick(
        int(columns.instrument_token[place]),
        "full",
        float(columns.last_price[place]),
        int(columns.volume[place]),
        int(columns.exchange_time[place]),
        int(columns.last_trade_time[place]),
        open=float(columns.open[place]),
        high=float(columns.high[place]),
        low=float(columns.low[place]),
        oi=int(columns.oi[place]),
    )


def _put(rows: Array, at: Array, records: Array) -> None:
    """``rows[at] = records``, twenty times as fast: numpy copies records field by field."""
    rows.view(_BYTES)[at] = records.view(_BYTES)


def _turns(rows: Array, count: int) -> list[Array | None]:
    """Where in ``rows`` each row is for the first time, the second, …; None: everywhere."""
    there = np.zeros(count, bool)
    there[rows] = True
    if int(np.count_nonzero(there)) == len(rows):
        return [None]
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    begins = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    runs = np.diff(np.append(begins, len(rows)))
    number = np.empty(len(rows), np.int64)
    number[order] = np.arange(len(rows)) - np.repeat(begins, runs)
    return [np.flatnonzero(number == turn) for turn in range(int(runs.max()))]


def _part(state: Array, moment: Array, useful: Array) -> tuple[Array, Array]:
    """Open and close of the part of the session that each moment is in; 0 if it is in none."""
    opens, closes = state["opens"], state["closes"]
    opened, closed = opens[:, 0], closes[:, 0]
    inside = (opened <= moment) & (moment < closed)
    if bool((inside | ~useful).all()):
        return opened, np.where(inside, closed, 0)
    opened, closed = np.where(inside, opened, 0), np.where(inside, closed, 0)
    for part in range(1, PARTS):
        inside = (opens[:, part] <= moment) & (moment < closes[:, part])
        opened, closed = np.where(inside, opens[:, part], opened), np.where(inside, closes[:, part], closed)
    return opened, closed


def _begin(
    state: Array, at: Array, moment: Array, price: Array, volume: Array, traded: Array, opened: Array, closed: Array
) -> Array:
    """Begin bars at these places, but where a packet tells of depth alone; a mask of the latter."""
    mine = state.take(at)
    now, midnight, daily, counted = moment[at], mine["midnight"], mine["daily"] != 0, mine["counted"] != 0
    start = np.where(daily, midnight, now - (now - opened[at]) % mine["step"])
    end = np.where(daily, mine["last_close"], np.minimum(start + mine["step"], closed[at]))
    session_open = mine["opens"][:, 0]
    owns = daily | (~counted & ((start == session_open) | (mine["since"] <= session_open)))
    before = (traded[at] > 0) & (traded[at] < start)
    depth = before & ~(counted & (volume[at] > mine["volume"]))
    learned = depth & ~owns & ~counted
    mine["volume"] = np.where(learned, np.where(traded[at] >= midnight, volume[at], 0), mine["volume"])
    mine["counted"] |= learned
    base = np.where(owns, 0, np.where(counted, mine["volume"], volume[at]))
    begun = ~depth
    for name, value in (("start", start), ("end", end), ("time", start), ("base", base)):
        np.copyto(mine[name], value, where=begun)
    for name in ("open", "high", "low", "close"):
        np.copyto(mine[name], price[at], where=begun)
    _put(state, at, mine)
    alone = np.zeros(len(state), bool)
    alone[at] = depth
    return alone
