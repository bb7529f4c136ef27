"""A backtest from parts: a stock ``bt.Cerebro``, candles from the cache, backtrader's own analyzers.

The cache here is a temporary one with made-up candles; leave ``cache=`` out and import or fetch your own with
``btkite data import`` and ``btkite data fetch``.
"""

from __future__ import annotations

import tempfile
from datetime import time

import backtrader as bt

import btkite
from btkite.candles import CandleCache
from btkite.testing import bars


class MeanReversion(bt.Strategy):
    """Buys below the lower band, sells at the middle; hours say what the trend is. Not in the last half hour: Kite
    takes no new intraday orders (MIS, the default) then."""

    def __init__(self):
        self.minutes, self.hours = self.datas
        self.bands = bt.ind.BollingerBands(self.minutes, period=40, devfactor=1.0)
        self.trend = bt.ind.SMA(self.hours, period=3)

    def next(self):
        price, early = self.minutes.close[0], self.minutes.datetime.time(0) < time(15, 0)
        if not self.position and early and price < self.bands.bot[0] and self.hours.close[0] >= self.trend[0] * 0.98:
            self.buy(self.minutes, size=5)
        elif self.position and price >= self.bands.mid[0]:
            self.close(self.minutes)

    def notify_order(self, order):
        if order.info.get("denied"):
            print("denied:", order.info.denied)


with tempfile.TemporaryDirectory() as folder:
    cache = CandleCache(folder)
    cache.write(bars("sideways", symbol="NSE:INFY", price=1500, sessions=5))

    store = btkite.KiteStore(mode="backtest", cache=cache)
    cerebro = bt.Cerebro()
    minutes = store.getdata("NSE:INFY", interval="minute")
    cerebro.adddata(minutes)
    cerebro.resampledata(minutes, timeframe=bt.TimeFrame.Minutes, compression=60)  # Kite's own hours: 09:15 to 10:15 …
    cerebro.setbroker(store.getbroker(cash=100_000))
    cerebro.addstrategy(MeanReversion)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    cerebro.addanalyzer(bt.analyzers.DrawDown, _name="drawdown")
    (strategy,) = cerebro.run()

trades = strategy.analyzers.trades.get_analysis()
print(f"{trades.total.closed} trades, {trades.won.total} won, ₹{trades.pnl.gross.total:,.2f} gross")
print(f"₹{cerebro.broker.ledger.charges:,.2f} charges, ₹{cerebro.broker.getvalue():,.2f} at the end")
print(f"deepest drawdown {strategy.analyzers.drawdown.get_analysis().max.drawdown:.2f} %")
