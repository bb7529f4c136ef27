"""The exchange, and the official client in front of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from btkite.exchange import CandleSeries, Exchange, ExchangeSettings

DAY = datetime(2026, 11, 18)
UP = (100.0, 104.0, 98.0, 102.0)
FLAT = (100.0, 100.0, 100.0, 100.0)
KEY = "NSE:INFY"
SECRET = "sandboxsecret000000000000000000"


def candles(bars: list[tuple[float, float, float, float]]) -> CandleSeries:
    opens, high, low, close = zip(*bars, strict=True)
    start = [DAY + timedelta(hours=9, minutes=15 + i) for i in range(len(bars))]
    return CandleSeries(
        interval="minute", start=start, open=opens, high=high, low=low, close=close, volume=[100] * len(bars)
    )


@pytest.fixture(scope="session")
def running() -> Iterator[Exchange]:
    with Exchange(ExchangeSettings(candles={KEY: candles([FLAT])})) as exchange:
        yield exchange


@pytest.fixture
def market(running: Exchange) -> Callable[..., KiteConnect]:
    """Load a market of INFY with all of Kite's pre-checks; the official client, logged in."""

    def load(*bars: Any, **more: Any) -> KiteConnect:
        given = {"candles": {KEY: candles(list(bars))}} if bars else {}
        running.reset(ExchangeSettings(auto_token="wire-token", **{**given, **more}))
        return KiteConnect(api_key="sandboxkey000000", access_token="wire-token", root=running.url)

    return load


@pytest.fixture(scope="session")
def samples() -> Path:
    """Kite's own sample responses."""
    shared = Path(os.environ.get("BTKITE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    folder = shared / "data" / "kite_mocks"
    if not folder.is_dir():
        pytest.skip("Kite's sample responses are not beside the repository (BTKITE_SHARED)")
    return folder
