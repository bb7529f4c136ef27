"""The same strategy gives the same orders and the same trades in backtest, paper and live."""

from __future__ import annotations

import os
from datetime import datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from btkite.modes import MODES
from tests.parity.scripted import Scripted, answers, candles, scripts
from tests.parity.three import assert_same, run

SOAK = bool(os.environ.get("BTKITE_SOAK"))
GENERATED = settings(
    max_examples=2000 if SOAK else 170,
    phases=(Phase.explicit, Phase.generate),  # each example runs a market three times: shrinking takes too long
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Three tests of 170: a little over 500 strategies."""


def all_modes(strategy, data, day, exchange, tmp_path, **more):
    outcomes = {mode: run(mode, strategy, data, day, exchange, tmp_path, **more) for mode in MODES}
    assert_same(outcomes)
    return outcomes


@pytest.mark.slow
@pytest.mark.timeout(3600 if SOAK else 600)
@GENERATED
@given(data=candles("NSE:AAA"), script=scripts(40), on_fill=answers())
def test_made_up_strategies_are_the_same_on_minutes(exchange, tmp_path, data, script, on_fill):
    params = {"script": script, "on_fill": on_fill}
    all_modes(Scripted, {"NSE:AAA": data}, datetime(2024, 7, 1), exchange, tmp_path, params=params)


@pytest.mark.slow
@pytest.mark.timeout(3600 if SOAK else 600)
@GENERATED
@given(first=candles("NSE:AAA"), second=candles("NSE:BBB"), script=scripts(40), on_fill=answers())
def test_made_up_strategies_are_the_same_on_two_symbols_with_holes(exchange, tmp_path, first, second, script, on_fill):
    params = {"script": script, "on_fill": on_fill}
    data = {"NSE:AAA": first, "NSE:BBB": second}
    all_modes(Scripted, data, datetime(2024, 7, 1), exchange, tmp_path, params=params)


@pytest.mark.slow
@pytest.mark.timeout(3600 if SOAK else 600)
@GENERATED
@given(data=candles("NSE:AAA", daily=True), script=scripts(20), on_fill=answers(), warmup=st.sampled_from([0, 3]))
def test_made_up_strategies_are_the_same_on_days(exchange, tmp_path, data, script, on_fill, warmup):
    params = {"script": script, "on_fill": on_fill}
    all_modes(Scripted, {"NSE:AAA": data}, datetime(2024, 7, 8), exchange, tmp_path, params=params, warmup=warmup)
