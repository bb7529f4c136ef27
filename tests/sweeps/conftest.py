from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from btkite import simulator
from btkite.candles import CandleCache
from btkite.config import Config, load
from btkite.series import Candles
from tests.sweeps.scene import INTERVAL, OTHER, SOURCE, SYMBOL


@pytest.fixture(scope="session")
def market() -> tuple[dict[str, Candles], datetime]:
    """Forty-five sessions of hours."""
    return simulator.made_up([SYMBOL, OTHER], INTERVAL, seed=3, sessions=45)


@pytest.fixture
def config(tmp_path: Path, market: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """The settings in force: all below one folder, with candles in the cache; a strategy beside it."""
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("BTKITE_DATA__CACHE", str(tmp_path / "candles"))
    monkeypatch.setenv("BTKITE_PATHS__STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BTKITE_EXCHANGE__PORT", "0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    cache = CandleCache(tmp_path / "candles")
    for one in market[0].values():
        cache.write(one)
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "helper_of_mine.py").write_text("SIZE = 3\n")
    yield load()
    sys.modules.pop("helper_of_mine", None)
