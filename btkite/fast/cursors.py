"""Cursors: lines that move together share one position instead of each keeping its own.

In backtrader each of a feed's seven lines and each indicator's is moved by itself, bar by bar. Here a bar's
move is one assignment. A line that someone else moves (a strategy that calls ``data.rewind()``) ends the
sharing for the whole run: :attr:`Fleet.over`.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from backtrader.linebuffer import LineBuffer
from backtrader.lineroot import LineRoot

from ..borrowed import show
from .swap import swap, unswap


class Cursor:
    """A position: ``i`` is -1 before the first bar. ``len()`` of its lines is ``i + 1``."""

    __slots__ = ("fleet", "i")

    def __init__(self, fleet: Fleet) -> None:
        self.i = -1
        self.fleet = fleet


class Fleet:
    """All that moves on shared cursors in one run."""

    def __init__(self) -> None:
        self.over = False
        self.disturbed = False
        """Set whenever a run is no longer what it was: a sleeper was woken, a line was moved."""
        self.before_over: list[Callable[[], None]] = []
        self._lines: list[Any] = []
        self._series: list[Any] = []
        self._named: list[tuple[dict[str, Any], str]] = []

    def cursor(self) -> Cursor:
        return Cursor(self)

    def take_line(self, line: Any, cursor: Cursor, mixin: type | None = None) -> None:
        """``line`` is where ``cursor`` is."""
        own = line.__dict__
        own["_cursor"] = cursor
        if mixin is None:
            show(line, own)
        swap(line, mixin or OnCursor)
        self._lines.append(line)

    def tell_times(self, line: Any, moments: Any) -> None:
        """``line``, which is on a cursor, holds these times."""
        line.__dict__["_moments"] = moments
        unswap(line)
        swap(line, Times)

    def take_series(self, series: Any, lines: Iterable[Any], cursor: Cursor, mixin: type | None = None) -> None:
        """A feed or an indicator, with its lines."""
        lines = list(lines)
        for line in lines:
            self.take_line(line, cursor)
        own = series.__dict__
        own["_cursor"] = cursor
        show(lines[0], own)
        own["_columns"], own["_last"] = [line.__dict__["_values"] for line in lines], lines[0].buflen() - 1
        self.name_lines(series)
        swap(series, mixin or SeriesOnCursor)
        self._series.append(series)

    def name_lines(self, series: Any) -> None:
        """``data.close`` is an attribute, not a search; where the name means nothing else."""
        own, cls = series.__dict__, type(series)
        for number, alias in enumerate(series.lines._getlines()):
            if isinstance(alias, str) and alias not in own and not hasattr(cls, alias):
                own[alias] = series.lines.lines[number]
                self._named.append((own, alias))

    def hand_back(self) -> None:
        """Each line is where it is by itself again, of its own class."""
        if self.over:
            return
        for prepare in self.before_over:
            prepare()
        self.over = self.disturbed = True
        for series in self._series:
            unswap(series)
            for name in ("_cursor", "_values", "_columns", "_last"):
                series.__dict__.pop(name, None)
        for own, alias in self._named:
            own.pop(alias, None)
        for line in self._lines:
            own = line.__dict__
            cursor = own.pop("_cursor")
            for name in ("_values", "_moments", "_shown_in"):
                own.pop(name, None)
            unswap(line)
            own["_idx"], own["lencount"] = cursor.i, cursor.i + 1


def _moved(line: Any, value: int) -> None:
    line._cursor.fleet.hand_back()


_NUMBERS = frozenset({int, float})
"""Kinds of what most lines are compared to. Whether something is a line is a long question to a metaclass."""


def _value(thing: Any) -> Any:
    return thing[0] if type(thing) not in _NUMBERS and isinstance(thing, LineRoot) else thing


class _Compared:
    """Comparisons and arithmetic of the current values, as backtrader's in a running strategy, in one step."""

    _values: Any
    _cursor: Cursor
    __hash__ = object.__hash__

    def __lt__(self, other: Any) -> Any:
        if type(other) not in _NUMBERS and isinstance(other, LineRoot):
            other = other[0]
        return self._values[self._cursor.i] < other

    def __gt__(self, other: Any) -> Any:
        if type(other) not in _NUMBERS and isinstance(other, LineRoot):
            other = other[0]
        return self._values[self._cursor.i] > other

    def __le__(self, other: Any) -> Any:
        if type(other) not in _NUMBERS and isinstance(other, LineRoot):
            other = other[0]
        return self._values[self._cursor.i] <= other

    def __ge__(self, other: Any) -> Any:
        if type(other) not in _NUMBERS and isinstance(other, LineRoot):
            other = other[0]
        return self._values[self._cursor.i] >= other

    def __eq__(self, other: Any) -> Any:
        if type(other) not in _NUMBERS and isinstance(other, LineRoot):
            other = other[0]
        return self._values[self._cursor.i] == other

    def __ne__(self, other: Any) -> Any:
        if type(other) not in _NUMBERS and isinstance(other, LineRoot):
            other = other[0]
        return self._values[self._cursor.i] != other

    def __bool__(self) -> bool:
        return bool(self._values[self._cursor.i])

    def __abs__(self) -> Any:
        return abs(self._values[self._cursor.i])

    def __neg__(self) -> Any:
        return -self._values[self._cursor.i]


def _arithmetic() -> dict[str, Any]:
    def forwards(op: Any) -> Any:
        return lambda self, other: op(self._values[self._cursor.i], _value(other))

    def backwards(op: Any) -> Any:
        return lambda self, other: op(_value(other), self._values[self._cursor.i])

    names = ("add", "sub", "mul", "truediv", "floordiv")
    found = {f"__{name}__": forwards(getattr(operator, f"__{name}__")) for name in (*names, "pow")}
    return found | {f"__r{name}__": backwards(getattr(operator, f"__{name}__")) for name in names}


class _OnCursor:
    """In front of a LineBuffer's own class."""

    _cursor: Cursor
    _values: Any

    def __getitem__(self, ago: int) -> Any:
        return self._values[self._cursor.i + ago]

    def __len__(self) -> int:
        return self._cursor.i + 1

    def get(self, ago: int = 0, size: int = 1) -> Any:
        end = self._cursor.i + ago + 1
        found = self._values[end - size : end]
        return found if type(found) is not memoryview else array("d", found)

    @property
    def idx(self) -> int:
        return self._cursor.i

    @idx.setter
    def idx(self, value: int) -> None:
        _moved(self, value)
        self.idx = value  # of its own class by now

    @property
    def _idx(self) -> int:
        return self._cursor.i

    @_idx.setter
    def _idx(self, value: int) -> None:
        _moved(self, value)
        self._idx = value

    @property
    def lencount(self) -> int:
        return self._cursor.i + 1

    @lencount.setter
    def lencount(self, value: int) -> None:
        _moved(self, value)
        self.lencount = value


class _SeriesOnCursor:
    """In front of a feed's or an indicator's own class."""

    _cursor: Cursor
    _values: Any

    def __getitem__(self, ago: int) -> Any:
        return self._values[self._cursor.i + ago]

    def __len__(self) -> int:
        return self._cursor.i + 1


OnCursor = type("OnCursor", (_OnCursor, _Compared), _arithmetic())
SeriesOnCursor = type("SeriesOnCursor", (_SeriesOnCursor, _Compared), _arithmetic())


class _Times:
    """In front of a line of times without a timezone: each of them was worked out beforehand."""

    _cursor: Cursor
    _tz: Any
    _moments: Any

    def _moment(self, ago: int, tz: Any) -> Any:
        i = self._cursor.i + ago
        if tz is None and self._tz is None and 0 <= i < len(self._moments):
            return self._moments[i].item()
        return None

    def datetime(self, ago: int = 0, tz: Any = None, naive: bool = True) -> Any:
        return self._moment(ago, tz) or super().datetime(ago, tz, naive)  # type: ignore[misc]

    def date(self, ago: int = 0, tz: Any = None, naive: bool = True) -> Any:
        return self.datetime(ago, tz, naive).date()

    def time(self, ago: int = 0, tz: Any = None, naive: bool = True) -> Any:
        return self.datetime(ago, tz, naive).time()


Times = type("Times", (_Times, OnCursor), {})


def _tick(number: int) -> property:
    """``data.tick_close`` and the like: the bar is the tick, but for a feed's last bar, where backtrader has none."""

    def read(self: Any) -> Any:
        i = self._cursor.i
        return self._columns[number][i] if 0 <= i < self._last else None

    def write(self: Any, value: Any) -> None:
        """What is known is not remembered."""

    return property(read, write)


@lru_cache(maxsize=256)
def feed_mixin(aliases: tuple[str, ...]) -> type:
    """What stands in front of the class of a feed with these lines."""
    ticks = {f"tick_{alias}": _tick(number) for number, alias in enumerate(aliases) if alias != "datetime"}
    return type("FeedOnCursor", (SeriesOnCursor,), {**ticks, "tick_last": _tick(0)})


def lines_of(thing: Any) -> list[Any]:
    """The lines of an indicator, which may itself be one."""
    return [thing] if isinstance(thing, LineBuffer) else list(thing.lines.lines)
