"""Whether stored candles are still what Kite says: corrected here and there, or rewritten by a corporate action.

A split, a bonus or a rights issue rewrites all prices before it, by one ratio. Kite does so on the day, or some days
later, so what is asked for again may hold candles of before and after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

PRICES = ("open", "high", "low", "close")
_LARGEST = 20
"""Of a ratio in small numbers: 1:5, 13:10."""
_CLOSE = 2e-3
_EVEN = 5e-3
"""How much ratios of single candles may differ: adjusted prices are rounded."""


@dataclass(frozen=True, slots=True)
class Revision:
    """Candles that both have: how many, how many of them have other prices now, and by which ratio (new by old; None
    if there is not one ratio of all). ``oldest``: whether the oldest of them is one."""

    common: int = 0
    different: int = 0
    oldest: bool = False
    ratio: float | None = None

    def rewrites(self, *, reaches_back: bool) -> bool:
        """Whether what was not asked for again must be taken for rewritten, too: most of what was has other prices,
        or its oldest candle has, and there are older ones (``reaches_back``)."""
        return self.different * 2 > self.common or (self.oldest and reaches_back)


def compare(old: Mapping[str, Array], new: Mapping[str, Array]) -> Revision:
    """What became of candles; ``date`` and the prices of both."""
    import numpy as np

    _, mine, theirs = np.intersect1d(old["date"], new["date"], assume_unique=True, return_indices=True)
    if len(mine) == 0:
        return Revision()
    same = np.logical_and.reduce(
        [np.isclose(old[name][mine], new[name][theirs], rtol=1e-9, atol=1e-6) for name in PRICES]
    )
    different = ~same
    ratio = ratio_of(old["close"][mine][different], new["close"][theirs][different])
    return Revision(len(mine), int(different.sum()), bool(different[0]), ratio)


def ratio_of(old: Array, new: Array) -> float | None:
    """The one ratio by which prices have changed (new by old); None if there is none."""
    import numpy as np

    usable = (old > 0) & (new > 0)
    if not usable.any():
        return None
    ratios = new[usable] / old[usable]
    middle = float(np.median(ratios))
    return middle if float(np.abs(ratios / middle - 1).max()) <= _EVEN and abs(middle - 1) > _CLOSE else None


def in_words(ratio: float | None) -> str:
    """``0.5 times what they were (1:2, as after a split or a bonus issue)``."""
    if ratio is None:
        return "not by one ratio"
    small = Fraction(ratio).limit_denominator(_LARGEST)
    plain = small > 0 and max(small.numerator, small.denominator) <= _LARGEST and abs(float(small) / ratio - 1) < _CLOSE
    terms = f" ({small.numerator}:{small.denominator}, as after a split or a bonus issue)" if plain else ""
    return f"{ratio:.6g} times what they were{terms}"
