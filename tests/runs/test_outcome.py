"""A run that an error ends leaves what it did: result, folder, and the reason on top."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from btkite.config import Config
from btkite.errors import BtkiteError, ConfigError, SessionExpired
from btkite.report.result import RunResult
from tests.runs.scene import MODES, WARMUP, go


class Breaks(bt.Strategy):
    """Holds three, has a limit order that nobody takes, gives one more order, and fails."""

    params = (("error", ValueError), ("at", WARMUP + 4))

    def next(self) -> None:
        if len(self) == WARMUP + 1:
            self.buy(size=3)
            self.buy(size=2, exectype=bt.Order.Limit, price=self.data.close[0] * 0.9)
        if len(self) == self.p.at:
            self.buy(size=1)
            raise self.p.error("out of luck")


def broken(config: Config, **given: Any) -> BtkiteError:
    with pytest.raises(BtkiteError) as caught:
        go(config, Breaks, **given)
    return caught.value


@pytest.mark.parametrize("mode", MODES)
def test_a_strategy_that_fails_leaves_its_results(config: Config, begin: datetime, mode: str) -> None:
    error = broken(config, mode=mode, start=begin, save=True)
    assert "Breaks failed at test_outcome.py:" in str(error)
    assert "still open: order BUY 2 NSE:RELIANCE Limit" in str(error)
    result = error.result
    assert isinstance(result, RunResult)
    assert list(result.orders["executed_size"]) == [3, 0, 0], "also the order of the last bar is there"
    assert len(result.equity) == 3
    assert result.stopped.endswith("with ValueError: out of luck")
    assert result.exit_code == 1
    assert result.remarks[0] == f"ended early: {result.stopped}"
    assert "position 3 NSE:RELIANCE at " in result.still_open
    folder = result.folder
    assert folder is not None
    assert {"orders.csv", "trades.csv", "equity.csv", "equity.png", "report.html", "stats.json", "run.log"} <= {
        path.name for path in folder.iterdir()
    }
    assert json.loads((folder / "stats.json").read_text(encoding="utf-8"))["stopped"] == result.stopped
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.index("ValueError: out of luck") < page.index("still open: order BUY 2") < page.index("Growth a year")
    assert (folder / "data.json").read_text(encoding="utf-8") != "{}\n"


def test_a_session_that_is_over_leaves_them_too_with_its_own_exit_code(config: Config, begin: datetime) -> None:
    error = broken(config, mode="live", start=begin, params={"error": SessionExpired}, save=True, report=False)
    assert isinstance(error, SessionExpired)
    assert isinstance(error.result, RunResult)
    assert (error.result.stopped, error.result.exit_code) == ("out of luck", SessionExpired.exit_code)
    assert error.result.folder is not None
    assert (error.result.folder / "stats.json").exists()


def test_what_never_began_has_no_result(config: Config, begin: datetime) -> None:
    class Refuses(bt.Strategy):
        def __init__(self) -> None:
            raise ValueError("no")

    with pytest.raises(ConfigError, match="does not start") as caught:
        go(config, Refuses, start=begin, save=True)
    assert caught.value.result is None
    (folder,) = [path for path in Path(config.paths.runs).iterdir() if path.is_dir()]
    assert not (folder / "stats.json").exists()
