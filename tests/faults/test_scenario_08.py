"""Scenario 8: a flood of orders from four feeds, and a restart after the day's last trade, held to three limits.

Judged by the exchange's own book: it has what was allowed and nothing else. A paisa beside each limit, on every kind of
broker, is in tests/contract/test_limits.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import backtrader as bt

from btkite.brokers.record import Record
from btkite.engine import Cerebro
from btkite.journal import Journal
from btkite.testing import KiteExchange, bars

KEYS = ("NSE:AAA", "NSE:BBB", "NSE:CCC", "NSE:DDD")
BARS = 25  # quarters of an hour of one session
FALLS, BREAKS = BARS + 4, BARS + 9
PRICES = [100.0] * FALLS + [98.75] * (BREAKS - FALLS) + [98.70] * (2 * BARS - BREAKS)
"""The second day loses 1.25 ₹ of four times a thousand shares, which is the limit, and then a tick more."""
LIMITS = {"max_position_pct": 10, "max_daily_loss": 5_000, "max_daily_trades": 5, "max_portfolio_loss_pct": 50}


class Floods(bt.Strategy):
    """Wants a thousand of each, and one share too many, with every bar; sells what it has in the tenth."""

    params = (("given", None), ("seen", None), ("until", None))

    def next(self) -> None:
        moment = self.datetime.datetime(0)
        if moment not in self.p.seen:
            self.p.seen.append(moment)
        step = len(self.p.seen)
        for data in self.datas:
            held = self.getposition(data).size
            if held and step in (2, 10) and (step == 10 or data is self.datas[0]):
                self.give(step, self.sell(data=data, size=held))
            for size in (1001, 1000) if not held and step != 10 else (1, 600):
                self.give(step, self.buy(data=data, size=size))
        if step == self.p.until:
            self.env.runstop()

    def give(self, step: int, order: Any) -> None:
        self.p.given.append((step, order.size, order.info.get("denied_by", ""), str(order.info.get("denied", ""))))


def life(exchange: KiteExchange, journal: Any, given: list[Any], seen: list[datetime], until: int | None) -> None:
    config = exchange.config(risk=LIMITS, **{"broker.capital": 1_000_000.0, "run.sessions": 2, "data.warmup": 0})
    store = exchange.store("live", config=config)
    engine = Cerebro(stdstats=False)
    for key in KEYS:
        engine.adddata(store.getdata(key, interval="15minute"), name=key)
    with Journal(journal, store.clock) as kept:
        engine.setbroker(store.getbroker(record=Record(kept)))
        engine.addstrategy(Floods, given=given, seen=seen, until=until)
        engine.run()


def test_a_flood_gets_out_what_the_limits_allow_and_nothing_else(kite_exchange: KiteExchange, tmp_path: Any) -> None:
    rows = [(price, price, price, price) for price in PRICES]
    kite_exchange.reset({key: bars.from_rows(rows, symbol=key, interval="15minute") for key in KEYS}, cash=1e9)
    given: list[Any] = []
    seen: list[datetime] = []
    for until in (4, None):  # the day's fifth trade is given with the third bar
        life(kite_exchange, tmp_path / "journal.sqlite", given, seen, until)
    first, second = [1000] * 4, [-1000] * 4
    assert [(step, size) for step, size, denied, _ in given if not denied] == [
        *((1, size) for size in first), (2, -1000), (3, 1000),  # five trades, each of just 10 %
        *((10, size) for size in second),  # what reduces still passes, in the second life
        *((BARS + 1, size) for size in first), (FALLS + 1, 1),  # with the day's first bar; at the limit of the loss
    ]  # fmt: skip
    sent = [row for row in kite_exchange.requests() if row["method"] == "POST" and row["path"].startswith("/orders")]
    sizes = [int(row["form"]["quantity"]) * (1 if row["form"]["transaction_type"] == "BUY" else -1) for row in sent]
    assert {row["status"] for row in sent} == {200}
    assert sorted(sizes[:10]) == sorted([*first, -1000, 1000, *second])
    assert sizes[10:15] == [*first, 1]
    assert sorted(sizes[15:]) == [-1001, *second[1:]]  # the square-off's
    said: dict[int, set[str]] = {}
    for step, _, denied, why in given:
        if denied:
            said.setdefault(step, set()).add(denied)
            assert denied in why
    position, trades, loss = "risk.max_position_pct", "risk.max_daily_trades", "risk.max_daily_loss"
    assert all(said[step] == {position, trades} for step in range(11, BARS + 1))
    assert said[BARS + 1] == {position}
    assert all(said[step] == {loss} for step in range(BREAKS + 1, 2 * BARS + 1))
