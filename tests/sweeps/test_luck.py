"""The deflated Sharpe ratio, against the figures of the paper and a simulation of luck."""

from __future__ import annotations

import math
import random

import pytest

from btkite.sweeps.luck import Shape, deflated, expected_best, shape, variance_of


def test_the_example_of_the_paper() -> None:
    """Bailey and López de Prado (2014), "A numerical example": 100 trials whose yearly Sharpe ratios have a variance of
    1/2; the best has 2.5 over 1,250 days, a skew of -3 and a kurtosis of 10."""
    variance = 0.5 / 250
    assert expected_best(100, variance) == pytest.approx(0.1132, abs=5e-5)
    best = Shape(1250, 2.5 / math.sqrt(250), -3.0, 10.0)
    assert deflated(best, 100, variance) == pytest.approx(0.9004, abs=5e-5)
    # "had the researcher found it after 46 trials": 0.9505
    assert deflated(best, 46, variance) == pytest.approx(0.9505, abs=5e-4)


def test_normal_returns_would_have_been_trusted_more() -> None:
    """As the paper goes on: "… if the strategy had exhibited normal returns … after N = 88 trials", 0.9505."""
    best = Shape(1250, 2.5 / math.sqrt(250), 0.0, 3.0)
    assert deflated(best, 88, 0.5 / 250) == pytest.approx(0.9505, abs=5e-4)


def test_the_best_of_many_without_skill_is_as_high_as_is_said() -> None:
    dice = random.Random(5)
    best = [max(dice.gauss(0, 0.3) for _ in range(64)) for _ in range(2000)]
    assert sum(best) / len(best) == pytest.approx(expected_best(64, 0.09), rel=0.02)
    assert expected_best(1, 0.09) == 0.0


def test_the_shape_of_returns() -> None:
    found = shape([0.01, -0.02, 0.03, 0.0, 0.01])
    assert found is not None
    assert found.days == 5
    assert found.sharpe == pytest.approx(0.006 / 0.01816590, rel=1e-6)
    assert found.skew == pytest.approx(-7.68e-7 / 2.64e-4**1.5)
    assert found.kurtosis == pytest.approx(1.58112e-7 / 2.64e-4**2)
    assert shape([0.0, 0.0, 0.0]) is None
    assert shape([0.01]) is None
    assert variance_of([1.0]) == 0.0
    assert variance_of([1.0, 3.0]) == 2.0


def test_where_the_formula_has_no_answer_there_is_none() -> None:
    assert deflated(Shape(10, 3.0, 3.0, 1.0), 10, 0.1) is None
