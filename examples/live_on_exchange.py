"""Live trading from parts, on the simulated exchange: real requests, a real stream, play money.

For Kite itself nothing of the Cerebro changes: the configuration says ``endpoint: kite`` and who you are,
``btkite login`` brings the day's token, and ``confirm=`` says your user id aloud.
"""

from __future__ import annotations

import tempfile

import backtrader as bt

import btkite
from btkite.report.table import inr
from btkite.testing import KiteExchange, bars


class Bracket(bt.Strategy):
    """One bracket in the morning; says what it is told."""

    def next(self):
        if len(self) == 5:
            price = self.data.close[0]
            self.buy_bracket(size=6, exectype=bt.Order.Market, stopprice=price - 20, limitprice=price + 20, tag="morn")

    def notify_order(self, order):
        if order.status in (order.Completed, order.Canceled, order.Rejected):
            filled = order.status == order.Completed  # what ends without a fill ends with the one above it
            when = bt.num2date(order.executed.dt).strftime("%H:%M:%S") if filled else ""
            price = f"{order.executed.price:.2f}" if filled else ""
            what = f"{order.ordtypename()} {abs(order.size)} {order.getordername()}"
            print(f"{when:8}  {what:14} {order.getstatusname():10} {price:>9}  {order.info.order_id}")

    def notify_data(self, data, status, *args, **kwargs):
        print(f"{data._name} is {data._getstatusname(status)}")

    def notify_trade(self, trade):
        if trade.isclosed:
            print(f"a trade of ₹{trade.pnl:.2f}")


with tempfile.TemporaryDirectory() as folder, KiteExchange(folder) as exchange:
    exchange.reset(bars("uptrend", symbol="NSE:INFY", price=1500, count=60))

    store = btkite.KiteStore(mode="live", config=exchange.config(charges=True), confirm=exchange.user_id)
    cerebro = btkite.Cerebro(stdstats=False)  # a stock bt.Cerebro does too; see docs/migrate.md
    cerebro.adddata(store.getdata("NSE:INFY", interval="minute"))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Bracket)
    cerebro.run()

    print("the exchange's own book:")
    for order in exchange.orders():
        print(" ", order["order_id"], order["transaction_type"], order["order_type"], order["status"], order["tag"][:4])
    print(f"value {inr(cerebro.broker.getvalue())}")
