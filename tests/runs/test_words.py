"""What a run says of its orders, of what is left open and of how it failed."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import backtrader as bt
import pytest

from btkite import simulator
from btkite.candles import CandleCache
from btkite.config import Config
from btkite.errors import BtkiteError
from tests.runs.scene import (
    FUTURE,
    INTERVAL,
    MODES,
    SYMBOL,
    WARMUP,
    LeavesOpen,
    empty,
    go,
)


def test_a_quantity_off_the_lot_is_the_strategys_mistake(tmp_path: Path) -> None:
    candles, begin = simulator.made_up([FUTURE], INTERVAL, seed=3, warmup=WARMUP, sessions=1)
    CandleCache(tmp_path / "nothing").write(candles[FUTURE], facts={"lot_size": 65})
    rich = empty(tmp_path).with_(**{"broker.capital": 1e8})
    for mode in ("backtest", "live"):
        result = go(rich, symbols=FUTURE, mode=mode, start=begin, params={"size": 7})
        assert result.mistake.startswith(f"quantity 7 is not a multiple of {FUTURE}'s lot of 65")
        assert result.exit_code == 1
        assert go(rich, symbols=FUTURE, mode=mode, start=begin, params={"size": 65}).exit_code == 0


@pytest.mark.parametrize("mode", ["backtest", "paper", "live"])
def test_a_strategy_that_fails_says_what_is_still_open(config: Config, begin: datetime, mode: str) -> None:
    class Falls(LeavesOpen):
        def next(self) -> None:
            super().next()
            if self.position:
                raise ZeroDivisionError("no")

    with pytest.raises(
        BtkiteError, match=r"Falls failed at .* ZeroDivisionError: no; still open: .*position 3 NSE:REL"
    ):
        go(config, Falls, mode=mode, start=begin)


@pytest.mark.parametrize("mode", ["backtest", "paper", "live"])
def test_what_is_still_open_is_said(config: Config, begin: datetime, mode: str) -> None:
    result = go(config, LeavesOpen, mode=mode, start=begin)
    assert [line for line in result.left_open if line.startswith("position 3 NSE:RELIANCE at ₹")]


def test_what_happens_to_orders_is_told_as_it_happens(config: Config, begin: datetime) -> None:
    told: list[list[tuple[datetime, str]]] = []
    for mode in ("paper", "live"):
        lines: list[tuple[datetime, str]] = []
        go(config, mode=mode, start=begin, tell=lambda when, line, to=lines: to.append((when, line)))
        told.append([row for row in lines if "filled" in row[1]])
    assert told[0] == told[1]
    assert lines[0][0].date() == begin.date()
    assert lines[0][1].startswith("BUY 5 NSE:RELIANCE Market: filled at ₹")
    assert [line for _, line in lines if line.startswith("SELL 5 NSE:RELIANCE Stop ₹") and line.endswith("canceled")]


class Bracketed(bt.Strategy):
    """One bracket at a time; and limit orders that are taken back two bars later."""

    def next(self) -> None:
        price = self.data.close[0]
        if not self.position and not self.broker.get_orders_open():
            self.buy_bracket(size=3, exectype=bt.Order.Market, stopprice=price * 0.996, limitprice=price * 1.004)
        if len(self) % 9 == 0:
            self.far = self.buy(size=1, exectype=bt.Order.Limit, price=price * 0.9)
        elif len(self) % 9 == 2 and getattr(self, "far", None):
            self.cancel(self.far)
        elif len(self) % 9 == 4:
            self.buy(size=5_000)


def test_every_line_has_the_market_time_of_what_it_tells_in_paper_as_in_live(config: Config, begin: datetime) -> None:
    told: dict[str, list[tuple[datetime, str]]] = {}
    for mode in ("paper", "live"):
        lines = told.setdefault(mode, [])
        go(config, Bracketed, mode=mode, start=begin, tell=lambda at, line, to=lines: to.append((at, line)))
    assert told["paper"] == told["live"]
    fills = {when for when, line in told["paper"] if ": filled" in line}
    siblings = [when for when, line in told["paper"] if line.startswith("SELL 3") and line.endswith("canceled")]
    assert siblings
    assert set(siblings) <= fills, "a sibling ends when the other one trades"
    assert any(": denied, " in line for _, line in told["paper"])


class NeedsMany(bt.Strategy):
    """Indicators that want more bars than there are."""

    params = (("period", 400),)

    def __init__(self) -> None:
        self.mean = bt.ind.SMA(self.data.close, period=self.p.period)

    def next(self) -> None:
        self.buy(size=1)


@pytest.mark.parametrize("mode", MODES)
def test_fewer_bars_than_the_indicators_need_is_a_result_that_says_so(
    config: Config, begin: datetime, mode: str
) -> None:
    result = go(config, NeedsMany, mode=mode, start=begin)
    assert result.exit_code == 0
    assert len(result.orders) == 0
    assert re.fullmatch(
        rf"NeedsMany never came to trade: its indicators need 400 bars of {SYMBOL}, and there were \d+; "
        r"give it more history \(--from, --warmup\) or shorter periods",
        result.untraded,
    )
    assert result.as_dict()["untraded"] == result.untraded
    assert go(config, NeedsMany, mode=mode, start=begin, params={"period": 5}).untraded == ""
