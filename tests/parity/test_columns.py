"""Frames as columns, whatever their size: a strategy still has the same orders, trades and bars in all modes."""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from btkite.kite import frames
from btkite.modes import MODES
from btkite.store import KiteStore
from tests.parity.scripted import Scripted, answers, candles, scripts
from tests.parity.three import assert_same, run

EXAMPLES = int(os.environ.get("BTKITE_EXAMPLES", 400 if os.environ.get("BTKITE_SOAK") else 20))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_modes_agree_on_frames_that_are_read_as_columns(exchange, tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "MANY", 1)
    taken, take = Counter(), KiteStore._take_columns
    monkeypatch.setattr(
        KiteStore, "_take_columns", lambda self, columns: taken.update([id(self)]) or take(self, columns)
    )

    @settings(
        max_examples=EXAMPLES,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(first=candles("NSE:AAA"), second=candles("NSE:BBB"), script=scripts(40), on_fill=answers())
    def test(first, second, script, on_fill):
        series = {"NSE:BBB": second, "NSE:AAA": first}
        params = {"script": script, "on_fill": on_fill}
        outcomes = {
            mode: run(mode, Scripted, series, datetime(2024, 7, 1), exchange, tmp_path, params=params) for mode in MODES
        }
        assert_same(outcomes)
        for mode in ("paper", "live"):
            assert taken[id(outcomes[mode].strategy.data._store)] > 1

    test()
