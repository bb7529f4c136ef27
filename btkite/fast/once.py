"""The pass in which backtrader works all indicators out before the first bar, in its own order.

The same calls on the same objects as ``LineIterator._once`` makes, but that buffers grow by blocks and that
what has a vector form (:mod:`.vectors`) is not worked out bar by bar.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

from backtrader.linebuffer import LineActions, LineBuffer
from backtrader.lineiterator import LineIterator
from backtrader.lineseries import LineSeries, LineSeriesStub

from .hidden import forget, forgettable, inner_parts, own_lines
from .shelf import Names, Shelf
from .vectors import Shorter, vector_of

_NAN = array.array("d", [float("nan")])


def once(strategy: Any, beforehand: list[Callable[[], None]], shelf: Shelf | None = None) -> None:
    """As ``strategy._once()``; lines within its indicators are let go. ``beforehand``: see :func:`~.hidden.forget`.
    ``shelf``: where lines of earlier runs are."""
    lengthen(strategy, strategy._clock.buflen())
    indicators = strategy._lineiterators[LineIterator.IndType]
    hidden = forgettable(indicators)
    names = None if shelf is None else shelf.begin()
    for indicator in indicators:
        whole = id(indicator) in hidden or not any(True for _ in inner_parts(indicator))
        if names is None or not whole:
            _of_child(indicator)
        else:
            _from_shelf(indicator, names)
        if id(indicator) in hidden:
            forget(indicator, hidden[id(indicator)], _of_child, beforehand)
    _finish(strategy, indicators)


def _from_shelf(part: Any, names: Names) -> None:
    """As :func:`_of_child`, of a part of which only its own lines are looked at; copied if it was there before."""
    key = names.key_of(part)
    kept = None if key is None else names.shelf.get(key)
    lines = own_lines(part)
    if kept is None:
        _of_child(part)
        if key is not None:
            names.shelf.put(key, [line.array for line in lines])
    else:
        for line, values in zip(lines, kept, strict=True):
            line.array = values[:]
        part.home()
        for line in lines:
            if line.bindings:
                line.oncebinding()
    if key is not None:
        names.know(part, key)


def lengthen(thing: Any, size: int) -> None:
    """As ``thing.forward(size=size)``."""
    if isinstance(thing, LineSeriesStub):
        thing.forward(size=size)
        return
    if isinstance(thing, LineSeries):
        if type(thing).forward is not LineSeries.forward:
            thing.forward(size=size)
            return
        lines = thing.lines.lines
    else:
        lines = [thing]
    for line in lines:
        if line.mode != LineBuffer.UnBounded or type(line).forward is not LineBuffer.forward:
            line.forward(size=size)
        else:
            line.idx += size
            line.lencount += size
            if line.array:
                line.array.extend(_NAN * size)
            else:
                line.array = _NAN * size  # with no room for more


def _of_iterator(it: Any) -> None:
    lengthen(it, it._clock.buflen())
    indicators = it._lineiterators[LineIterator.IndType]
    for indicator in indicators:
        _of_child(indicator)
    _finish(it, indicators)


def _finish(it: Any, indicators: list[Any]) -> None:
    for data in it.datas:
        data.home()
    for indicator in indicators:
        indicator.home()
    for observer in it._lineiterators[LineIterator.ObsType]:
        observer.home()
    it.home()
    _work_out(it)
    for line in it.lines:
        if line.bindings:
            line.oncebinding()


def _of_child(part: Any) -> None:
    kind = type(part)._once
    if kind is LineIterator._once:
        _of_iterator(part)
    elif kind is LineActions._once:
        lengthen(part, part._clock.buflen())
        part.home()
        _work_out(part)
        part.oncebinding()
    else:
        part._once()


def _work_out(part: Any) -> None:
    first, end = part._minperiod - 1, part.buflen()
    part.preonce(0, first)
    vector = vector_of(part) if 0 <= first < end else None
    try:
        done = vector is not None and vector(part, first, end)
    except Shorter:
        done = False
    if not done:
        part.oncestart(first, first + 1)
        part.once(first + 1, end)
