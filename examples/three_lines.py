"""Research in three lines: quotes, history and instruments of Kite, without any Cerebro.

On Kite itself the first line is ``store = btkite.KiteStore(mode="paper")`` after ``btkite login``. Here the
simulated exchange stands in for it, in the middle of a generated day.
"""

from __future__ import annotations

import tempfile

from btkite.testing import KiteExchange, bars

prices = {"NSE:INFY": 1500, "NSE:TCS": 4000}
market = {key: bars("peak", symbol=key, price=price, day="2026-11-17", sessions=2) for key, price in prices.items()}

with tempfile.TemporaryDirectory() as folder, KiteExchange(folder) as exchange:
    exchange.reset(market, start="2026-11-18 12:00")

    store = exchange.store("paper")
    minutes = store.history("INFY", "5minute", "2026-11-18")
    print(minutes.tail(3), store.ltp("INFY", "TCS"), store.quote("NSE:TCS")["NSE:TCS"]["ohlc"], sep="\n")
