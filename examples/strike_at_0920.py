"""A contract that is chosen at 09:20 of each day, on the simulated exchange: slots, the roll of the week, an expiry.

The same strategy and the same feeds run in a backtest and on Kite: only the store's mode differs.
"""

from __future__ import annotations

import tempfile
from datetime import date, datetime, time, timedelta

import backtrader as bt

import btkite
from btkite.candles import Candles
from btkite.report.table import inr
from btkite.testing import KiteExchange

INDEX = "NSE:NIFTY 50"
DAYS = [date(2024, 7, day) for day in (3, 4, 5)]  # NIFTY's weekly contracts expire on Thursday the 4th


class BuyTheMoney(bt.Strategy):
    """One call at the money at 09:20, sold ten minutes later; on the day of its expiry it is held to the end."""

    def next(self):
        index, call = self.datas
        now = self.datetime.datetime(0)
        if now.time() == time(9, 20):
            call.bind("ATM weekly")
            print(f"{now:%Y-%m-%d %H:%M} {index.close[0]:.2f} → {call.instrument.key}")
        elif now.time() == time(9, 22):
            self.buy(data=call, size=call.instrument.lot_size)
        elif now.time() == time(9, 32) and call.instrument.expiry != now.date():
            self.close(data=call)

    def notify_trade(self, trade):
        if trade.isclosed:
            print(f"    {trade.tradeid}: {inr(trade.pnl)}")

    def notify_order(self, order):
        if order.info.get("expiry") and order.status == order.Completed:
            print(f"    expired, settled at {order.executed.price:g} with the index at {order.info.settlement:.2f}")


def walk(key: str, base: float, days: list[date]) -> Candles:
    """Minutes that rise by half a rupee each."""
    starts = [datetime.combine(day, time(9, 15)) + timedelta(minutes=n) for day in days for n in range(375)]
    closes = [base + n % 375 * 0.5 for n in range(len(starts))]
    rows = {"open": closes, "high": [c + 1 for c in closes], "low": [c - 1 for c in closes], "close": closes}
    return Candles.of(key, "minute", {"date": starts, **rows, "volume": [100] * len(starts), "oi": [0] * len(starts)})


market = {INDEX: walk(INDEX, 24_010, DAYS)}
for week, days in (("NIFTY24704", DAYS[:2]), ("NIFTY24711", DAYS)):
    for strike in range(23_900, 24_151, 50):
        key = f"NFO:{week}{strike}CE"
        market[key] = walk(key, 24_160 - strike, days)

with tempfile.TemporaryDirectory() as folder, KiteExchange(folder) as exchange:
    exchange.reset(market)
    config = exchange.config(**{"broker.default_product": "NRML"})
    store = btkite.KiteStore(mode="live", config=config, confirm=exchange.user_id)
    cerebro = btkite.Cerebro(stdstats=False)
    cerebro.adddata(store.getdata(INDEX, interval="minute"))
    cerebro.adddata(store.slot("NFO:NIFTY CE", interval="minute"))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(BuyTheMoney)
    cerebro.run()
