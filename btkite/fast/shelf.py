"""Indicators' lines that another run of this process has worked out already, on the same bars with the same parameters.

A sweep works out the same average of the same closes for every set that has its period. Here such lines are kept and
copied. What is the same is said by content: the classes, parameters and operands of an indicator and of all that is
within it, and the numbers of every line that it reads. Only indicators that are backtrader's own through and through
are kept; of anybody else's it cannot be told what they look at.
"""

from __future__ import annotations

import array
import functools
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from backtrader.linebuffer import LineActions, LineBuffer, PseudoArray
from backtrader.lineiterator import LineIterator
from backtrader.lineroot import LineRoot
from backtrader.lineseries import LineSeries

from ..borrowed import numbers
from .hidden import inner_parts, own_lines

ROOM = 256_000_000
"""Bytes that are kept at most."""
_FEEDS = 256
"""Lines of feeds that are known by their numbers."""
_BOOKKEEPING = frozenset(
    {
        "params", "p", "_owner", "plotinfo", "plotlines", "lines", "l", "_lineiterators", "datas", "ddatas", "dnames",
        "_clock", "_datas", "mode", "bindings", "array", "useislice", "lencount", "_idx", "extension", "_tz",
        "_opstage", "_ltype",
    }
)  # fmt: skip
_STEPS = ("once", "preonce", "oncestart", "next", "prenext", "nextstart")
_SAYABLE = ("backtrader.", "_operator", "operator", "builtins", "math")


class Shelf:
    """Lines by what they were made of; the ones that were not asked for the longest go first. ``hits``: how often
    something was there."""

    def __init__(self, room: int = ROOM) -> None:
        self.room, self.hits = room, 0
        self._used = 0
        self._kept: OrderedDict[bytes, list[array.array[float]]] = OrderedDict()
        self._feeds: OrderedDict[bytes, Any] = OrderedDict()

    def begin(self) -> Names:
        """For one run."""
        return Names(self)

    def get(self, key: bytes) -> list[array.array[float]] | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            self.hits += 1
        return found

    def put(self, key: bytes, arrays: Sequence[Any]) -> None:
        kept = [one[:] for one in arrays]
        self._kept[key] = kept
        self._used += _size(kept)
        while self._used > self.room:
            self._used -= _size(self._kept.popitem(last=False)[1])

    def name_of(self, values: Any) -> bytes:
        """Of a line's numbers: looked up among those of earlier runs, which is quicker than a hash."""
        seen = np.frombuffer(values, dtype=np.int64)  # as bits: a NaN is itself, and a zero has its sign
        for name, known in self._feeds.items():
            if np.array_equal(known, seen):
                return name
        name = hashlib.blake2b(seen.tobytes()).digest()
        self._feeds[name] = seen.copy()
        if len(self._feeds) > _FEEDS:
            self._feeds.popitem(last=False)
        return name


def _size(arrays: Sequence[Any]) -> int:
    return sum(one.itemsize * len(one) for one in arrays)


class _Unsayable(Exception):
    """It cannot be told what an indicator is made of."""


class Names:
    """What each line of one run holds, in words."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._lines: dict[int, tuple[Any, ...]] = {}

    def key_of(self, part: Any) -> bytes | None:
        """Of all that ``part`` is made of; None if that cannot be told, or it is not to be kept. Every line that it
        reads is worked out by now."""
        parts = [part, *inner_parts(part)]
        if any(type(one)._once not in (LineIterator._once, LineActions._once) for one in parts):
            return None
        if any(len(line.array) or line.mode != LineBuffer.UnBounded for one in parts for line in own_lines(one)):
            return None
        own = {id(line): (n, k) for n, one in enumerate(parts) for k, line in enumerate(own_lines(one))}
        try:
            said = [self._say(one, own) for one in parts]
        except _Unsayable:
            return None
        return hashlib.blake2b(repr(said).encode()).digest()

    def know(self, part: Any, key: bytes) -> None:
        """From now on its lines are called by its key."""
        self._lines.update({id(line): (key, number) for number, line in enumerate(own_lines(part))})

    def _say(self, one: Any, own: dict[int, tuple[int, int]]) -> Any:
        cls = type(one)
        if not cls.__module__.startswith("backtrader.") or any(name in one.__dict__ for name in _STEPS):
            raise _Unsayable
        params = [(name, self._value(getattr(one.p, name), own)) for name in one.p._getkeys()]
        rest = [
            (name, self._value(value, own))
            for name, value in sorted(one.__dict__.items())
            if name not in _BOOKKEEPING and not (name.startswith(("data", "line")) and isinstance(value, LineRoot))
        ]
        inputs = [self._value(data, own) for data in getattr(one, "datas", ())]
        return (cls.__module__, cls.__qualname__, one._clock.buflen(), params, rest, inputs)

    def _value(self, value: Any, own: dict[int, tuple[int, int]]) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return (type(value).__name__, repr(value))
        if isinstance(value, LineBuffer):
            return own.get(id(value)) or self._line(value)
        if isinstance(value, LineSeries):
            return [own.get(id(line)) or self._line(line) for line in value.lines.lines]
        if isinstance(value, PseudoArray):
            return ("always", self._value(value.wrapped, own))
        if isinstance(value, (list, tuple)):
            return [self._value(item, own) for item in value]
        if isinstance(value, functools.partial) and not value.keywords:
            return ("partial", self._value(value.func, own), self._value(value.args, own))
        module = getattr(value, "__module__", None)
        if callable(value) and module is not None and f"{module}.".startswith(_SAYABLE):
            return (module, value.__qualname__)
        raise _Unsayable

    def _line(self, line: Any) -> tuple[Any, ...]:
        found = self._lines.get(id(line))
        if found is None:
            if not {"array", "_column"} & line.__dict__.keys() or not line.buflen():
                raise _Unsayable
            found = self._lines[id(line)] = (self.shelf.name_of(numbers(line)),)
        return found
