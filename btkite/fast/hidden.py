"""Lines inside of indicators: forgotten once what they lead to is known.

A CrossOver has ten lines within that nobody sees: differences, delays, comparisons. In backtrader's vector mode
they stand still before the first bar, with all their values. Here they are let go as soon as their indicator is
worked out. Whoever looks into one all the same has the whole indicator worked out again.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from backtrader.indicator import Indicator
from backtrader.linebuffer import LineActions, LineBuffer
from backtrader.lineiterator import LineIterator
from backtrader.lineroot import LineRoot

from .swap import swap, unswap

_VIA_NEXT = (Indicator.once_via_next, Indicator.preonce_via_prenext, Indicator.oncestart_via_nextstart)


class _Forgotten:
    """In front of the class of a line that was let go."""

    @property
    def array(self) -> Any:
        self.__dict__["_again"]()
        return self.array  # of its own class by now

    @array.setter
    def array(self, value: Any) -> None:
        self.__dict__["_again"]()
        self.array = value

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.__dict__["_again"]()
        return self.__reduce_ex__(protocol)


Forgotten = type("Forgotten", (_Forgotten,), {})


def own_lines(part: Any) -> list[Any]:
    """The lines of an indicator, or the line that it is."""
    return [part] if isinstance(part, LineBuffer) else list(part.lines.lines)


def inner_parts(part: Any) -> Iterator[Any]:
    """All indicators within one, at any depth."""
    for child in getattr(part, "_lineiterators", {}).get(LineIterator.IndType, ()):
        yield child
        yield from inner_parts(child)


def forgettable(parts: Sequence[Any]) -> dict[int, list[Any]]:
    """The lines within each of a strategy's indicators that nothing outside of it reads, by its ``id``; of those
    only that are worked out from arrays alone."""
    found: dict[int, list[Any]] = {}
    readers: dict[int, set[int]] = {}
    for part in parts:
        within = list(inner_parts(part))
        for one in (part, *within):
            for line in _read_by(one):
                readers.setdefault(id(line), set()).add(id(part))
        plain = all(type(one)._once in (LineIterator._once, LineActions._once) for one in (part, *within))
        if plain and not any(_steps(one) for one in (part, *within)):
            found[id(part)] = [line for one in within for line in own_lines(one)]
    return {
        key: lines
        for key, lines in found.items()
        if lines and all(readers.get(id(line), {key}) == {key} for line in lines)
    }


def _steps(part: Any) -> bool:
    cls = type(part)
    return any(getattr(cls, name, None) in _VIA_NEXT for name in ("once", "preonce", "oncestart"))


def _read_by(part: Any) -> Iterator[Any]:
    for source in (*getattr(part, "_datas", ()), *getattr(part, "datas", ()), getattr(part, "_clock", None)):
        if isinstance(source, LineRoot):
            yield from own_lines(source)


def forget(part: Any, lines: list[Any], work_out: Callable[[Any], None], beforehand: list[Callable[[], None]]) -> None:
    """Let ``lines`` go, which are within ``part``. ``work_out`` fills it again; ``beforehand`` is called first, so that
    a run can take note."""

    def again() -> None:
        for prepare in beforehand:
            prepare()
        places = [(line, line._idx, line.lencount) for line in _outside(part, lines)]
        for line in lines:
            line.__dict__.pop("_again", None)
            unswap(line)
        for line in (*lines, *own_lines(part)):
            line.array, line.lencount, line._idx = array.array("d"), 0, -1
        work_out(part)
        for line in lines:
            line._idx, line.lencount = -1, 0
        for line, index, count in places:
            line._idx, line.lencount = index, count

    for line in lines:
        own = line.__dict__
        own.pop("array")
        own["_again"] = again
        swap(line, Forgotten)


def _outside(part: Any, lines: list[Any]) -> list[Any]:
    """The lines that working ``part`` out moves, other than those within."""
    within = {id(line) for line in lines}
    found = {id(line): line for line in own_lines(part)}
    for one in (part, *inner_parts(part)):
        found.update({id(line): line for line in _read_by(one) if id(line) not in within})
    return list(found.values())
