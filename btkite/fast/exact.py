"""Sums over a moving window that equal ``math.fsum`` of each window, to the last bit.

backtrader's averages are ``fsum(window) / period``: the exact sum, rounded once. A running sum of floats is
another number four times in five. So the values are cut into two whole-number limbs; whole numbers add up
without error, their difference over a window is exact, and one floating addition rounds it, as fsum does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_MANTISSA = 53


def window_sums(values: Floats, period: int) -> Floats | None:
    """``fsum`` of each ``period`` values in a row (one less than ``len(values) - period`` + 2 of them), or None if
    their magnitudes lie too far apart for two limbs, or some is no finite number."""
    if period <= 1:
        return values.copy() if np.isfinite(values).all() else None
    if not np.isfinite(values).all():
        return None
    _, exponents = np.frexp(values)
    used = exponents[values != 0.0]
    if not len(used):
        return np.zeros(len(values) - period + 1)
    grain = int(used.min()) - _MANTISSA  # every value is a multiple of 2 ** grain
    carried = math.ceil(math.log2(period))
    low_bits = _MANTISSA - 1 - carried  # so that a window of low limbs stays exact as a float
    high_bits = int(used.max()) - grain - low_bits + carried
    if high_bits > _MANTISSA - 1 or abs(grain) > 900 or int(used.max()) > 900:
        return None
    scaled = np.ldexp(values, -(grain + low_bits))
    high = np.floor(scaled)
    low = np.ldexp(scaled - high, low_bits)
    return np.ldexp(
        np.ldexp(_moving(high, period), low_bits) + _moving(low, period),
        grain,
    )


def _moving(limbs: Floats, period: int) -> Floats:
    """Window sums of whole numbers; the running total may wrap around, the difference does not mind."""
    total: NDArray[Any] = np.zeros(len(limbs) + 1, dtype=np.int64)
    np.cumsum(limbs.astype(np.int64), out=total[1:])
    return (total[period:] - total[:-period]).astype(np.float64)


def window_max(values: Floats, period: int) -> Floats | None:
    """``max`` of each ``period`` values in a row; None where the order of what is compared would matter."""
    return _extreme(values, period, np.maximum)


def window_min(values: Floats, period: int) -> Floats | None:
    """``min`` of each ``period`` values in a row; None where the order of what is compared would matter."""
    return _extreme(values, period, np.minimum)


def _extreme(values: Floats, period: int, of: Any) -> Floats | None:
    if np.isnan(values).any() or (np.signbit(values) & (values == 0.0)).any():
        return None
    found, covered = values, 1
    while covered * 2 <= period:
        found = of(found[:-covered], found[covered:])
        covered *= 2
    rest = period - covered
    return of(found[: len(found) - rest], found[rest:]) if rest else found.copy()
