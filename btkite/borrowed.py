"""Lines of history that lie where the candles do: backtrader's buffer of their own is made when someone asks for it.

A feed's seven buffers are copies of its candles, eight bytes a bar each. A line that is borrowed has none:
:func:`numbers` reads the candles. Whoever asks for ``line.array`` (backtrader's own loop at its first bar, an indicator
of one's own, a strategy that writes into a line) gets the copy, and the line is of its own class again.
"""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from backtrader.linebuffer import LineBuffer
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Borrowed(LineBuffer):
    """A line without a buffer of its own. With its copy it is backtrader's again; on a shared cursor
    (:mod:`btkite.fast.cursors`), when it is let go from there."""

    @property
    def array(self) -> Any:
        """backtrader's buffer, made now."""
        own = self.__dict__
        if "_column" in own:
            own["_copied"] = copied(own.pop("_column"))
            for place in own.pop("_shown_in", ()):
                place["_values"] = own["_copied"]
        found = own["_copied"]
        self._settle()
        return found

    @array.setter
    def array(self, values: Any) -> None:
        self.__dict__.pop("_column", None)
        self.__dict__["_copied"] = values
        self._settle()

    def _settle(self) -> None:
        if type(self) is Borrowed:
            self.__dict__["array"] = self.__dict__.pop("_copied")
            self.__class__ = LineBuffer

    def __getitem__(self, ago: int) -> Any:
        column = self.__dict__.get("_column")
        return self.array[self.idx + ago] if column is None else column.item(self.idx + ago)

    def buflen(self) -> int:
        column = self.__dict__.get("_column")
        return len(self.array) - self.extension if column is None else len(column)

    def advance(self, size: int = 1) -> None:
        """It is read bar by bar from here on."""
        self.array  # noqa: B018 - makes the copy
        LineBuffer.advance(self, size)

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.array  # noqa: B018 - a copy of a line is backtrader's own
        return object.__reduce_ex__(self, protocol)


def borrow(line: Any, column: Any) -> None:
    """``line`` holds the numbers of ``column``, which nobody changes."""
    column = np.ascontiguousarray(column, dtype=np.float64)
    if type(line) not in (LineBuffer, Borrowed) or line.mode != LineBuffer.UnBounded or line.extension:
        ahead = line.array[: line.extension]
        line.array = copied(column)
        line.array.extend(ahead)
        return
    own = line.__dict__
    for name in ("array", "_copied"):
        own.pop(name, None)
    own["_column"] = column
    line.__class__ = Borrowed


def copied(column: Floats) -> array.array[float]:
    """As backtrader's buffer, no larger than its numbers (``extend`` and ``frombytes`` leave room for more)."""
    found = array.array("d", [0.0]) * len(column)
    np.frombuffer(found)[:] = column
    return found


def numbers(line: Any) -> Floats:
    """A line's numbers, where they lie. Let go of them before the line grows."""
    column = line.__dict__.get("_column")
    found: Floats = np.frombuffer(line.array) if column is None else column
    return found


def is_borrowed(line: Any) -> bool:
    """Whether it has no buffer of its own."""
    return "_column" in line.__dict__


def share(line: Any, other: Any) -> None:
    """Both hold the same numbers: if both are borrowed, those of ``other`` serve."""
    if is_borrowed(line) and is_borrowed(other):
        line.__dict__["_column"] = other.__dict__["_column"]


def show(line: Any, place: dict[str, Any]) -> None:
    """``place["_values"]`` are its numbers, each of them Python's own, also when they have come to lie elsewhere."""
    column = line.__dict__.get("_column")
    if column is None:
        place["_values"] = line.array
    else:
        place["_values"] = memoryview(column)
        line.__dict__.setdefault("_shown_in", []).append(place)
