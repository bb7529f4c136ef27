"""What became of candles: corrected, or rewritten by one ratio."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.kite.revised import compare, in_words, ratio_of

RATIOS = [Fraction(1, 2), Fraction(1, 5), Fraction(1, 10), Fraction(2, 3), Fraction(10, 13), Fraction(5, 6)]


def columns(closes: Any) -> dict[str, Any]:
    close = np.asarray(closes, dtype=float)
    dates = np.datetime64("2026-11-02T09:15", "s") + np.arange(len(close)) * np.timedelta64(60, "s")
    return {"date": dates, "open": close, "high": close + 1, "low": close - 1, "close": close}


def rounded(prices: Any) -> Any:
    return np.round(np.asarray(prices) * 20) / 20


@given(
    prices=st.lists(st.floats(100, 5000), min_size=4, max_size=60),
    ratio=st.sampled_from(RATIOS),
    before=st.integers(1, 60),
)
def test_a_ratio_is_found_whatever_was_rounded_and_wherever_it_ends(
    prices: list[float], ratio: Fraction, before: int
) -> None:
    old = rounded(prices)
    new = old.copy()
    new[:before] = rounded(old[:before] * float(ratio))
    found = compare(columns(old), columns(new))
    assert found.rewrites(reaches_back=True)
    assert found.ratio == pytest.approx(float(ratio), rel=5e-3)
    assert found.different == min(before, len(prices))


def test_single_corrections_rewrite_nothing() -> None:
    old = np.linspace(100, 110, 50)
    new = old.copy()
    new[[3, 17]] += 0.35
    found = compare(columns(old), columns(new))
    assert (found.different, found.ratio) == (2, None) or found.ratio == pytest.approx(1.003, rel=1e-3)
    assert not found.rewrites(reaches_back=True)


def test_a_correction_at_the_beginning_of_all_that_is_stored_is_a_correction() -> None:
    old = np.linspace(100, 110, 50)
    new = old.copy()
    new[0] = 99.0
    assert not compare(columns(old), columns(new)).rewrites(reaches_back=False)
    assert compare(columns(old), columns(new)).rewrites(reaches_back=True)


def test_nothing_in_common_says_nothing() -> None:
    nothing = {name: column[:0] for name, column in columns([100.0]).items()}
    assert not compare(columns([100.0]), nothing).rewrites(reaches_back=True)
    assert ratio_of(np.array([]), np.array([])) is None


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (0.5, "0.5 times what they were (1:2, as after a split or a bonus issue)"),
        (0.66667, "0.66667 times what they were (2:3, as after a split or a bonus issue)"),
        (0.98321, "0.98321 times what they were"),
        (None, "not by one ratio"),
    ],
)
def test_a_ratio_is_said_in_words(ratio: float | None, words: str) -> None:
    assert in_words(ratio) == words
