"""The same strategy gives the same orders and the same trades in backtest, paper and live."""

from __future__ import annotations

import os
from datetime import datetime, time

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from btkite.modes import MODES
from tests import shared
from tests.parity.scripted import Scripted, answers, candles, scripts
from tests.parity.tally import KINDS, Tally
from tests.parity.three import assert_same, run

SOAK = bool(os.environ.get("BTKITE_SOAK"))
EXAMPLES = int(os.environ.get("BTKITE_EXAMPLES", 2000 if SOAK else 100))
GENERATED = settings(
    max_examples=EXAMPLES,
    phases=(Phase.explicit, Phase.generate),  # each example runs a market three times: shrinking takes too long
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Three tests of so many; other strategies every time, so that a few runs are thousands."""


def all_modes(strategy, data, day, exchange, tmp_path, **more):
    outcomes = {mode: run(mode, strategy, data, day, exchange, tmp_path, **more) for mode in MODES}
    assert_same(outcomes)
    return outcomes


def judged(tally, trading, closing, filled, *, rested, filled_later, both_in_reach):
    """The made-up strategies are worth the comparison: shares of the runs, in per cent. A few runs are no sample."""
    if tally.runs < 100:
        return
    floors = {"trading": trading, "closing": closing, "rested": rested, "filled_later": filled_later}
    floors["both_in_reach"] = both_in_reach
    reached = {name: getattr(tally, name) for name in floors} | {kind: tally.filled[kind] for kind in KINDS}
    floors |= dict(zip(KINDS, filled, strict=True))
    short = [name for name, floor in floors.items() if reached[name] < floor * tally.runs / 100]
    assert not short, f"too few of {', '.join(short)}: {tally}"


@pytest.mark.slow
@pytest.mark.timeout(3600 if SOAK else 600)
def test_made_up_strategies_are_the_same_on_minutes(exchange, tmp_path):
    tally = Tally()

    @GENERATED
    @given(data=candles("NSE:AAA"), script=scripts(40), on_fill=answers())
    def test(data, script, on_fill):
        series = {"NSE:AAA": data}
        params = {"script": script, "on_fill": on_fill}
        outcomes = all_modes(Scripted, series, datetime(2024, 7, 1), exchange, tmp_path, params=params)
        tally.add(outcomes["live"], series)

    test()
    judged(tally, 85, 50, (150, 90, 60, 60, 10), rested=2, filled_later=2, both_in_reach=10)


@pytest.mark.slow
@pytest.mark.timeout(3600 if SOAK else 600)
def test_made_up_strategies_are_the_same_on_two_symbols_with_holes(exchange, tmp_path):
    tally = Tally()

    @GENERATED
    @given(first=candles("NSE:AAA"), second=candles("NSE:BBB"), script=scripts(40), on_fill=answers())
    def test(first, second, script, on_fill):
        series = {"NSE:AAA": first, "NSE:BBB": second}
        params = {"script": script, "on_fill": on_fill}
        outcomes = all_modes(Scripted, series, datetime(2024, 7, 1), exchange, tmp_path, params=params)
        tally.add(outcomes["live"], series)

    test()
    judged(tally, 85, 50, (150, 90, 60, 60, 10), rested=2, filled_later=2, both_in_reach=10)


@pytest.mark.slow
@pytest.mark.timeout(3600 if SOAK else 600)
def test_made_up_strategies_are_the_same_on_days(exchange, tmp_path):
    tally = Tally()

    @GENERATED
    @given(data=candles("NSE:AAA", daily=True), script=scripts(20), on_fill=answers(), warmup=st.sampled_from([0, 3]))
    def test(data, script, on_fill, warmup):
        series = {"NSE:AAA": data}
        params = {"script": script, "on_fill": on_fill}
        outcomes = all_modes(Scripted, series, datetime(2024, 7, 8), exchange, tmp_path, params=params, warmup=warmup)
        tally.add(outcomes["live"], series)

    test()
    judged(tally, 75, 30, (100, 50, 20, 12, 1), rested=1, filled_later=1, both_in_reach=5)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(3600 if SOAK else 600)
def test_made_up_strategies_are_the_same_on_slices_of_real_minutes(exchange, tmp_path):
    whole = [shared.minutes(symbol) for symbol in ("RELIANCE", "INFY", "SBIN")]
    tally = Tally()

    @settings(GENERATED, max_examples=max(5, EXAMPLES // 8))
    @given(one=st.sampled_from(whole), at=st.integers(0, 6_000), script=scripts(40), on_fill=answers())
    def test(one, at, script, on_fill):
        series = {one.key: one[at : at + 45]}  # where the session ends among them, over the night
        day = datetime.combine(series[one.key].first.date(), time())
        params = {"script": script, "on_fill": on_fill}
        outcomes = all_modes(Scripted, series, day, exchange, tmp_path, params=params)
        tally.add(outcomes["live"], series)

    test()
    assert tally.trading > tally.runs * 0.8, tally
    assert tally.closing > tally.runs * 0.3, tally
