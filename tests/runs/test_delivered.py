"""What ``data.json`` says of the bars of a run: the same where they were known and where they were served."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import backtrader as bt
import pytest

from btkite import RunResult
from btkite.config import Config
from btkite.errors import BtkiteError
from tests.runs.scene import INTERVAL, SYMBOL, WARMUP, InAndOut, at, go, served


def kept(result: RunResult) -> Any:
    assert result.folder is not None
    return json.loads((result.folder / "data.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_served_bars_are_noted_as_the_same_bars_from_the_shelf(
    config: Config, begin: datetime, made: Any, mode: str
) -> None:
    known = kept(go(config, symbols=[SYMBOL, "NSE:INFY"], start=begin, save=True, report=False))
    with served(made) as exchange:
        found = kept(go(at(config, exchange), symbols=[SYMBOL, "NSE:INFY"], mode=mode, save=True, report=False))
    assert found == known
    mine = made[0][SYMBOL].between(begin, None, warmup_bars=WARMUP)
    assert known[SYMBOL] == {
        "bars": len(mine),
        "first": mine.first.isoformat(),
        "last": mine.last.isoformat(),
        "sha256": mine.digest(),
    }
    assert known[SYMBOL]["sha256"] != known["NSE:INFY"]["sha256"]


def test_a_run_that_fails_notes_the_bars_that_it_had(config: Config, begin: datetime, made: Any) -> None:
    class Falls(bt.Strategy):
        def next(self) -> None:
            if len(self) == WARMUP + 3:
                raise ZeroDivisionError("no")

    with served(made) as exchange, pytest.raises(BtkiteError, match="ZeroDivisionError"):
        go(at(config, exchange), Falls, mode="paper", save=True)
    (folder,) = config.paths.runs.glob("*-paper-Falls-RELIANCE")
    found = json.loads((folder / "data.json").read_text(encoding="utf-8"))[SYMBOL]
    mine = made[0][SYMBOL].between(begin, None, warmup_bars=WARMUP)
    assert found["bars"] == WARMUP + 3
    assert found["sha256"] == mine[: WARMUP + 3].digest()


@pytest.mark.parametrize("interval", [INTERVAL, "day"])
def test_bars_that_a_run_put_together_are_noted_by_their_start(config: Config, made: Any, interval: str) -> None:
    with served(made) as exchange:
        here = at(config, exchange, **{"data.warmup": 0})
        found = kept(go(here, InAndOut, mode="paper", interval=interval, save=True, report=False))[SYMBOL]
    assert found["first"] == f"{made[1]:%Y-%m-%d}T{'00:00' if interval == 'day' else '09:15'}:00"
