"""How much of the best row is luck: the deflated Sharpe ratio.

Who tries many sets finds one that was lucky. Bailey and López de Prado (*The Deflated Sharpe Ratio*, Journal of
Portfolio Management 40(5), 2014) say which Sharpe ratio the best of N sets without any skill is expected to
have, and how probable it is that the one that was found is better than that, given its days, skew and fat tails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

_EULER = 0.5772156649015329
_NORMAL = NormalDist()
TRUSTED = 0.95
"""Below this, the best may well be luck."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Daily returns in four figures. ``sharpe`` is of a day, not annualized; ``kurtosis`` of a normal is 3."""

    days: int
    sharpe: float
    skew: float
    kurtosis: float


def shape(returns: Sequence[float]) -> Shape | None:
    """None with fewer than two days, or if nothing moved."""
    count = len(returns)
    if count < 2:
        return None
    mean = math.fsum(returns) / count
    moments = [math.fsum((one - mean) ** power for one in returns) / count for power in (2, 3, 4)]
    if moments[0] <= 1e-24:
        return None
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in returns) / (count - 1))
    return Shape(count, mean / deviation, moments[1] / moments[0] ** 1.5, moments[2] / moments[0] ** 2)


def expected_best(trials: int, variance: float) -> float:
    """The highest Sharpe ratio that ``trials`` sets without skill are expected to give; ``variance``: of those of all
    sets that were tried, in the same unit (of a day, say)."""
    if trials < 2:
        return 0.0
    first = _NORMAL.inv_cdf(1 - 1 / trials)
    second = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - _EULER) * first + _EULER * second)


def deflated(best: Shape, trials: int, variance: float) -> float | None:
    """The probability that the best is better than luck; None where the formula has no answer."""
    spread = 1 - best.skew * best.sharpe + (best.kurtosis - 1) / 4 * best.sharpe**2
    if spread <= 0:
        return None
    beyond = best.sharpe - expected_best(trials, variance)
    return _NORMAL.cdf(beyond * math.sqrt(best.days - 1) / math.sqrt(spread))


def variance_of(sharpes: Sequence[float]) -> float:
    """The sample variance; 0 of fewer than two."""
    if len(sharpes) < 2:
        return 0.0
    mean = math.fsum(sharpes) / len(sharpes)
    return math.fsum((one - mean) ** 2 for one in sharpes) / (len(sharpes) - 1)


def shape_of(row: Any) -> Shape | None:
    """What a row keeps of it."""
    said = row.get("shape")
    return None if said is None else Shape(*said)
