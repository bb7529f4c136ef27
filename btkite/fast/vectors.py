"""``once()`` of backtrader's own parts, worked out by numpy: the same doubles, or not at all.

Each function fills the part's line from ``start`` to ``end`` and returns True, or returns False where numpy's
answer might not be Python's (a division by zero raises there, ``max`` of a NaN depends on the order): then
backtrader's own ``once()`` runs. Recurrences (EMA and the like) have no vector form that rounds alike.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from backtrader import functions, indicators, linebuffer
from backtrader.indicators import basicops
from backtrader.lineroot import LineRoot, LineSingle

from ..borrowed import numbers
from .exact import window_max, window_min, window_sums

Vector = Callable[[Any, int, int], bool]


def vector_of(part: Any) -> Vector | None:
    """The vector form of a part's ``oncestart()`` and ``once()``, if its class takes both from one that has one."""
    own, cls = part.__dict__, type(part)
    if "once" in own or "oncestart" in own:
        return None
    found = _VECTORS.get(cls.once)
    if found is None:
        return None
    vector, start = found
    return vector if cls.oncestart is start else None


def view(array: Any) -> Any:
    """An array.array as numpy sees it, without a copy. Let go of it before the array grows."""
    return np.frombuffer(array, dtype=np.float64)


def _operand(thing: Any) -> Any:
    """A line's values as a numpy view, a constant as a float; None for what is neither."""
    if isinstance(thing, LineRoot):
        return _numbers(thing)
    if isinstance(thing, linebuffer.PseudoArray):
        return _operand(thing.wrapped)
    if (isinstance(thing, int | float) and abs(thing) < 2**53) or isinstance(thing, float):
        return float(thing)
    return None


def _numbers(thing: Any) -> Any:
    """Those of a line, or of the first of several."""
    return numbers(thing if isinstance(thing, LineSingle) else thing.lines[0])


class Shorter(Exception):
    """A line of a feed with fewer bars is read: backtrader's own ``once()`` says what comes of that."""


def _cut(values: Any, start: int, end: int) -> Any:
    if isinstance(values, float):
        return values
    if len(values) < end:
        raise Shorter
    return values[start:end]


# ---- lines ----

_PLAIN = {
    operator.__add__: np.add,
    operator.__sub__: np.subtract,
    operator.__mul__: np.multiply,
    operator.__lt__: np.less,
    operator.__gt__: np.greater,
    operator.__le__: np.less_equal,
    operator.__ge__: np.greater_equal,
    operator.__eq__: np.equal,
    operator.__ne__: np.not_equal,
}
_ONE: dict[Any, Any] = {operator.__abs__: np.abs, operator.__neg__: np.negative, bool: lambda values: values != 0.0}


def _operation(part: Any, start: int, end: int) -> bool:
    if part.btime:
        return False
    a, b = _operand(part.a), _operand(part.b)
    if a is None or b is None or (isinstance(a, float) and isinstance(b, float)):
        return False
    a, b = _cut(a, start, end), _cut(b, start, end)
    if part.operation is operator.__truediv__:
        if not np.all(b):
            return False
        result = np.divide(a, b)
    elif part.operation in _PLAIN:
        result = _PLAIN[part.operation](a, b)
    else:
        return False
    view(part.array)[start:end] = result
    return True


def _own_operation(part: Any, start: int, end: int) -> bool:
    a, op = _operand(part.a), _ONE.get(part.operation)
    if a is None or op is None or isinstance(a, float):
        return False
    view(part.array)[start:end] = op(a[start:end])
    return True


def _delay(part: Any, start: int, end: int) -> bool:
    source = _operand(part.a)
    if source is None or start + part.ago < 0:
        return False
    values = source if isinstance(source, float) else source[start + part.ago : end + part.ago]
    view(part.array)[start:end] = values
    return True


# ---- logic ----


def _logic(part: Any, start: int, end: int) -> bool:
    values = [_operand(arg) for arg in part.args]
    if len(values) < 2 or any(value is None for value in values):
        return False
    rule = _LOGIC.get(type(part))
    if rule is None or not _as_declared(part):
        return False
    whole = np.empty(end - start)
    cut = []
    for value in values:
        whole[:] = _cut(value, start, end)
        cut.append(whole.copy())
    result = rule(cut)
    if result is None:
        return False
    view(part.array)[start:end] = result
    return True


def _as_declared(part: Any) -> bool:
    """Whether a reduction is the one of its class, without an initial value."""
    if isinstance(part, functions.MultiLogicReduce):
        flogic = part.flogic
        return (
            isinstance(flogic, functools.partial)
            and not flogic.keywords
            and flogic.args in ((functions._andlogic,), (functions._orlogic,))
        )
    return "flogic" not in part.__dict__


def _pick(better: Any) -> Any:
    """``max`` or ``min`` of Python: the first stays unless a later one is better."""

    def rule(values: list[Any]) -> Any:
        found = values[0]
        for value in values[1:]:
            found = np.where(better(value, found), value, found)
        return found

    return rule


_LOGIC: dict[type, Any] = {
    functions.And: lambda values: np.logical_and.reduce([value != 0.0 for value in values]),
    functions.Or: lambda values: np.logical_or.reduce([value != 0.0 for value in values]),
    functions.All: lambda values: np.logical_and.reduce([value != 0.0 for value in values]),
    functions.Any: lambda values: np.logical_or.reduce([value != 0.0 for value in values]),
    functions.Max: _pick(np.greater),
    functions.Min: _pick(np.less),
}


def _if(part: Any, start: int, end: int) -> bool:
    values = [_operand(arg) for arg in (part.cond, part.a, part.b)]
    if any(value is None for value in values):
        return False
    cond, a, b = (_cut(value, start, end) for value in values)
    view(part.array)[start:end] = np.where(np.not_equal(cond, 0.0), a, b)
    return True


def _cmp(part: Any, start: int, end: int) -> bool:
    a, b = _operand(part.a), _operand(part.b)
    if a is None or b is None:
        return False
    a, b = _cut(a, start, end), _cut(b, start, end)
    view(part.array)[start:end] = np.subtract(np.greater(a, b), np.less(a, b), dtype=np.float64)
    return True


def _div_by_zero(part: Any, start: int, end: int) -> bool:
    a, b = _operand(part.a), _operand(part.b)
    zero = _operand(part.zero)
    if a is None or isinstance(b, float) or b is None or not isinstance(zero, float):
        return False
    a, b = _cut(a, start, end), _cut(b, start, end)
    result = np.full(end - start, zero)
    np.divide(a, b, out=result, where=b != 0.0)
    view(part.array)[start:end] = result
    return True


# ---- indicators ----


def _average(part: Any, start: int, end: int) -> bool:
    period = part.p.period
    if type(period) is not int or start < period - 1:
        return False
    sums = window_sums(_numbers(part.data)[start - period + 1 : end], period)
    if sums is None:
        return False
    view(part.line.array)[start:end] = sums / period
    return True


def _over_window(part: Any, start: int, end: int) -> bool:
    period, func = part.p.period, getattr(type(part), "func", None)
    if "func" in part.__dict__ or type(period) is not int or start < period - 1 or func not in _WINDOWS:
        return False
    found = _WINDOWS[func](_numbers(part.data)[start - period + 1 : end], period)
    if found is None:
        return False
    view(part.line.array)[start:end] = found
    return True


_WINDOWS: dict[Any, Any] = {max: window_max, min: window_min, math.fsum: window_sums}


def _non_zero_difference(part: Any, start: int, end: int) -> bool:
    found = view(part.line.array)
    values = _numbers(part.data0)[start:end] - _numbers(part.data1)[start:end]
    rows = np.where(values != 0.0, np.arange(len(values)), 0)  # the first is taken as it is
    np.maximum.accumulate(rows, out=rows)
    found[start:end] = values[rows]
    return True


_ONCESTART = LineRoot.oncestart
_ITERATOR_ONCESTART = indicators.Indicator.oncestart
_VECTORS: dict[Any, tuple[Vector, Any]] = {
    linebuffer.LinesOperation.once: (_operation, _ONCESTART),
    linebuffer.LineOwnOperation.once: (_own_operation, _ONCESTART),
    linebuffer._LineDelay.once: (_delay, _ONCESTART),
    functions.MultiLogic.once: (_logic, _ONCESTART),
    functions.If.once: (_if, _ONCESTART),
    functions.Cmp.once: (_cmp, _ONCESTART),
    functions.DivByZero.once: (_div_by_zero, _ONCESTART),
    basicops.Average.once: (_average, _ITERATOR_ONCESTART),
    basicops.OperationN.once: (_over_window, _ITERATOR_ONCESTART),
    indicators.NonZeroDifference.once: (_non_zero_difference, indicators.NonZeroDifference.oncestart),
}
