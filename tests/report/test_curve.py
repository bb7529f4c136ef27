"""Curves made ready to be drawn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.report.curve import running_drawdown, thin


@given(st.lists(st.floats(-1e6, 1e6), max_size=400), st.integers(10, 100))
@settings(max_examples=200)
def test_thinning_keeps_ends_and_extremes_and_its_limit(values, limit):
    kept = thin(values, limit)
    assert len(kept) <= max(limit, 0) or len(values) <= limit
    assert kept == sorted(set(kept))
    if values:
        assert (kept[0], kept[-1]) == (0, len(values) - 1)
        assert {max(values), min(values)} <= {values[i] for i in kept}


def test_the_running_drawdown_is_never_above_zero():
    assert running_drawdown([110.0, 99.0, 120.0], 100.0) == [0.0, pytest.approx(-10.0), 0.0]
    assert running_drawdown([90.0], 100.0) == [pytest.approx(-10.0)]
    assert running_drawdown([], None) == []
