"""The live portfolio against the exchange's own positions, to a paisa: at every bar of two days, over the night between
them, and over a restart at any moment of them."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

import backtrader as bt
import pytest

from btkite.brokers.record import Record
from btkite.engine import Cerebro
from btkite.journal import Journal
from btkite.testing import KiteExchange, bars

FUTURE, SHARE = "NFO:NIFTY26NOVFUT", "NSE:INFY"
FIELDS = {
    "quantity": "quantity", "overnight_quantity": "overnight_quantity", "last_price": "last_price", "pnl": "pnl",
    "m2m": "m2m", "close_price": "close_price", "buy_quantity": "day_buy_quantity", "buy_value": "day_buy_value",
    "sell_quantity": "day_sell_quantity", "sell_value": "day_sell_value",
}  # fmt: skip
ORDERS = {2: 130, 5: -65, 9: 130, 22: -65, 27: 65, 33: -130, 40: -65, 44: -130}


class Trades(bt.Strategy):
    """A future carried over the night, a share that is flat in the evening; compares at every bar."""

    params = (("exchange", None), ("ends", ()), ("seen", None))

    def next(self) -> None:
        future, share = self.datas
        moment = self.datetime.datetime(0)
        if moment in self.p.seen:  # a bar that the life before had already
            return
        self.p.seen.append(moment)
        step = len(self.p.seen)
        self.compare(step)
        if size := ORDERS.get(step, 0):
            (self.buy if size > 0 else self.sell)(data=future, size=abs(size), product="NRML")
        if step % 25 in (3, 11):
            self.buy(data=share, size=10, product="MIS")
        if step % 25 in (7, 15):
            self.sell(data=share, size=10, product="MIS")
        if step in self.p.ends:
            self.env.runstop()

    def compare(self, step: int) -> None:
        theirs = {
            (f"{row['exchange']}:{row['tradingsymbol']}", row["product"]): row for row in self.p.exchange.positions()
        }
        now = self.broker.portfolio
        ours = {(line.symbol, line.product): line for line in now.lines}
        assert set(theirs) <= set(ours)
        for name, line in ours.items():
            if name not in theirs:  # flat since a day before
                assert (line.quantity, line.m2m) == (0, 0.0)
                continue
            for mine, kites in FIELDS.items():
                assert getattr(line, mine) == pytest.approx(theirs[name][kites], abs=0.01), (step, name, mine)
        assert now.day_pnl == pytest.approx(sum(row["m2m"] for row in theirs.values()) - now.day_charges, abs=0.01)
        assert now.total_value == pytest.approx(now.capital + now.realized + now.unrealized - now.charges, abs=0.01)
        made = sum(line.realized + line.unrealized for line in now.lines)
        assert now.total_pnl == pytest.approx(made - now.charges, abs=0.01)
        gross = sum(abs(row["quantity"]) * row["last_price"] * row["multiplier"] for row in theirs.values())
        assert now.exposure.gross == pytest.approx(gross, abs=0.01)


def life(exchange: KiteExchange, journal: Any, seen: list[datetime], ends: tuple[int, ...], warmup: int = 0) -> Any:
    config = exchange.config(
        charges=True, **{"broker.capital": 1e8, "run.sessions": 2, "broker.reconcile": 60, "data.warmup": warmup}
    )
    store = exchange.store("live", config=config)
    engine = Cerebro(stdstats=False)
    for key in (FUTURE, SHARE):
        engine.adddata(store.getdata(key, interval="15minute"), name=key)
    with Journal(journal, store.clock) as kept:
        engine.setbroker(store.getbroker(record=Record(kept)))
        engine.addstrategy(Trades, exchange=exchange, ends=ends, seen=seen)
        (ran,) = engine.run()
    return ran


def market() -> dict[str, Any]:
    """Two days of quarters of an hour."""
    made = {}
    for number, (key, price) in enumerate(((FUTURE, 24_000.0), (SHARE, 1_500.0))):
        closes = [round(price + 3.15 * ((step * (7 + number)) % 13), 2) for step in range(50)]
        opens = [price, *closes[:-1]]
        rows = [(o, max(o, c) + 2.0, min(o, c) - 2.0, c) for o, c in zip(opens, closes, strict=True)]
        made[key] = bars.from_rows(rows, symbol=key, interval="15minute")
    return made


@pytest.mark.parametrize("restart", [None, 6, 25, 31], ids=["none", "first day", "in the evening", "second day"])
def test_it_is_the_exchanges_positions_to_a_paisa(kite_exchange: KiteExchange, tmp_path: Any, restart: Any) -> None:
    kite_exchange.reset(market(), lot_sizes={FUTURE: 65}, cash=1e9, check_margin=False)
    seen: list[datetime] = []
    if restart is not None:
        life(kite_exchange, tmp_path / "journal.sqlite", seen, (restart,))
        assert len(seen) == restart
    ran = life(kite_exchange, tmp_path / "journal.sqlite", seen, ())
    assert len(seen) >= 48
    now = ran.broker.portfolio
    future = now.line(FUTURE, "NRML")
    assert future is not None
    assert future.overnight_quantity == 130
    assert future.quantity == sum(ORDERS.values())
    assert now.charges > 0


def test_what_happened_while_no_process_ran_is_in_the_closes_from_which_a_new_day_counts(
    kite_exchange: KiteExchange, tmp_path: Any
) -> None:
    """The first life ends at half past two; the second begins on the next morning, and knows the evening by history."""
    kite_exchange.reset(market(), lot_sizes={FUTURE: 65}, cash=1e9, check_margin=False)
    seen: list[datetime] = []
    life(kite_exchange, tmp_path / "journal.sqlite", seen, (21,))
    kite_exchange.steer.play_until(datetime.combine(seen[-1].date(), time(15, 45)))
    before = {row["tradingsymbol"]: row for row in kite_exchange.positions()}
    assert before["NIFTY26NOVFUT"]["quantity"] == 195
    kite_exchange.steer.next_day()
    ran = life(kite_exchange, tmp_path / "journal.sqlite", seen, (), warmup=10)
    assert len(seen) >= 44
    future = ran.broker.portfolio.line(FUTURE, "NRML")
    assert future is not None
    assert future.overnight_quantity == 195
    assert future.close_price == before["NIFTY26NOVFUT"]["last_price"]


class Delivers(bt.Strategy):
    """Buys shares for delivery on the first day; on the second they are holdings. Sells some of them."""

    params = (("exchange", None),)

    def __init__(self) -> None:
        self.compared = [0, 0]

    def next(self) -> None:
        step = len(self)
        if step in (3, 10):
            self.buy(size=10, product="CNC")
        if step == 14:
            self.sell(size=4, product="CNC")
        (line,) = self.broker.portfolio.lines or (None,)
        if line is None:
            return
        rows = self.p.exchange.positions()
        if rows:
            assert (line.quantity, line.overnight_quantity) == (rows[0]["quantity"], 0)
            assert line.pnl == pytest.approx(rows[0]["pnl"], abs=0.01)
            self.compared[0] += 1
            return
        (holding,) = self.broker.store.client.holdings()
        assert line.overnight_quantity == line.quantity == holding["quantity"] + holding["t1_quantity"] == 16
        assert line.overnight_price == pytest.approx(holding["average_price"], abs=0.0001)
        assert line.pnl == pytest.approx(holding["pnl"], abs=0.01)
        assert line.close_price == holding["close_price"]
        assert line.m2m == pytest.approx(holding["day_change"] * line.quantity, abs=0.01)
        self.compared[1] += 1


def test_shares_that_are_delivered_are_the_exchanges_holdings_to_a_paisa(kite_exchange: KiteExchange) -> None:
    kite_exchange.reset({SHARE: market()[SHARE]}, cash=1e9)
    store = kite_exchange.store("live", config=kite_exchange.config(**{"run.sessions": 2, "broker.capital": 1e6}))
    engine = Cerebro(stdstats=False)
    engine.adddata(store.getdata(SHARE, interval="15minute"), name=SHARE)
    engine.setbroker(store.getbroker())
    engine.addstrategy(Delivers, exchange=kite_exchange)
    (ran,) = engine.run()
    assert ran.compared[0] > 15
    assert ran.compared[1] > 20
