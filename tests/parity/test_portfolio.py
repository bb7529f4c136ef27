"""The portfolio is one object in all modes: equal to the last bit, line by line, at every bar and over a night."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import backtrader as bt
import pytest

from btkite.exchange import Exchange
from btkite.testing import bars
from tests.parity.three import assert_same, run

SYMBOLS = ("NSE:INFY", "NSE:TCS")


class Keeps(bt.Strategy):
    """Trades two shares, intraday and for delivery, over two days; looks at its portfolio at every bar."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def next(self) -> None:
        one, two = self.datas
        step = len(self)
        if step in (2, 10, 30):
            self.buy(data=one, size=10 + step, product="MIS")
        if step in (6, 20):
            self.sell(data=one, size=7)
        if step in (3, 14, 28):
            self.buy(data=two, size=5, product="CNC")
        if step == 24:
            self.close(data=one)
        if step in (18, 34):
            self.sell(data=two, size=2)
        self.seen.append(self.broker.portfolio.as_dict())


def candles() -> Any:
    made = {}
    for number, key in enumerate(SYMBOLS):
        made[key] = bars.from_rows(
            [
                tuple(round(p + more, 2) for more in (0.0, 2.05, -1.95, 0.35))
                for p in (1500.0 + 3.15 * ((step * (7 + number)) % 11) for step in range(50))
            ],
            symbol=key, interval="15minute",
        )  # fmt: skip
    return made


@pytest.mark.parametrize("charges", [False, True])
def test_portfolios_are_equal_to_the_last_bit(exchange: Exchange, tmp_path: Any, charges: bool) -> None:
    made = candles()
    day = datetime.combine(next(iter(made.values())).first.date(), datetime.min.time())
    found = {
        mode: run(
            mode, Keeps, made, day, exchange, tmp_path, config={"broker.charges": charges, "broker.square_off": None}
        )
        for mode in ("backtest", "paper", "live")
    }
    assert_same(found)
    seen = {mode: one.strategy.seen for mode, one in found.items()}
    assert len(seen["backtest"]) == 50
    for mode in ("paper", "live"):
        for mine, theirs in zip(seen["backtest"], seen[mode], strict=True):
            for name in ("time", "kite", "free"):  # Kite's own word on margins is known in live alone
                for one in (mine, theirs):
                    one.pop(name, None)
                    one["margins"].pop(name, None)
            assert json.dumps(mine) == json.dumps(theirs), (mode, mine, theirs)
    last = seen["backtest"][-1]
    kept = {(line["symbol"], line["product"]): line for line in last["lines"]}
    assert kept["NSE:INFY", "MIS"]["quantity"] == 40
    assert kept["NSE:TCS", "CNC"]["overnight_quantity"] > 0
    assert (last["charges"] > 0) == charges
    for one in seen["backtest"]:
        assert one["total_value"] == one["capital"] + one["realized"] + one["unrealized"] - one["charges"]
        assert sum(line["m2m"] for line in one["lines"]) - one["day_charges"] == pytest.approx(one["day_pnl"])
