"""The strategy of the demo's last part: each thing that can happen to an order, once, and said aloud."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from ..report.table import inr, number


class OneOfEach(bt.Strategy):
    """A limit order that is changed and cancelled, then a position with a stop, closed at market.

    Params:

      - ``say`` (None): called with each line
      - ``size`` (5): units of each order
    """

    params = (("say", None), ("size", 5))

    def __init__(self) -> None:
        self.order: Any = None
        self.stop_order: Any = None
        self.bars = 0

    def next(self) -> None:
        self.bars += 1
        step = getattr(self, f"_bar_{self.bars}", None)
        if step is not None:
            step()

    def _bar_1(self) -> None:
        self.order = self.buy(size=self.p.size, exectype=bt.Order.Limit, price=self.data.close[0] * 0.98, tag="demo")

    def _bar_2(self) -> None:
        self.broker.modify(self.order, price=self.data.close[0] * 0.985)
        self._say(f"changed to {inr(self.order.created.price)}: same order, same number")

    def _bar_3(self) -> None:
        self.cancel(self.order)

    def _bar_4(self) -> None:
        self.order = self.buy(size=self.p.size, tag="demo")

    def _bar_5(self) -> None:
        self.stop_order = self.sell(size=self.p.size, exectype=bt.Order.Stop, price=self.data.close[0] * 0.97)

    def _bar_10(self) -> None:
        held = self.position
        open_pnl = (self.data.close[0] - held.price) * held.size
        self._say(f"position {number(held.size, 0)} at {inr(held.price)}, open P&L {inr(open_pnl)}")

    def _bar_20(self) -> None:
        self.cancel(self.stop_order)
        self.close(tag="demo")

    def notify_order(self, order: Any) -> None:
        side = "BUY" if order.isbuy() else "SELL"
        price = order.created.price if order.exectype != bt.Order.Market else None
        if order.executed.size:
            price = order.executed.price
        at = f"at {inr(price)}" if price else ""
        size = number(abs(order.size), 0)
        self._say(f"{side:<4} {size} {order.getordername():<6} {at:<12} {order.getstatusname()}")

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self._say(f"trade closed: {inr(trade.pnl)} before, {inr(trade.pnlcomm)} after charges")

    def _say(self, line: str) -> None:
        self.p.say(f"  {self.data.datetime.datetime(0):%H:%M}  {line}")
