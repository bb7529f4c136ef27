from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from btkite import simulator
from btkite.candles import CandleCache
from btkite.config import Config
from btkite.series import Candles
from tests.runs.scene import (
    INTERVAL,
    SYMBOL,
    WARMUP,
    empty,
)


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Candles], datetime]:
    """Candles of two symbols: sessions to warm up, then two that are traded."""
    return simulator.made_up([SYMBOL, "NSE:INFY"], INTERVAL, seed=3, warmup=WARMUP, sessions=2)


@pytest.fixture
def begin(made: tuple[dict[str, Candles], datetime]) -> datetime:
    return made[1]


@pytest.fixture
def config(tmp_path: Path, made: tuple[dict[str, Candles], datetime], monkeypatch: pytest.MonkeyPatch) -> Config:
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    cache = CandleCache(tmp_path / "candles")
    for one in made[0].values():
        cache.write(one)
    return empty(tmp_path).with_(**{"data.cache": str(tmp_path / "candles")})
