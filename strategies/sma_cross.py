"""Two moving averages: long while the fast one is above the slow one."""

from __future__ import annotations

import backtrader as bt

from btkite.sizers import PercentOfValue


class SmaCross(bt.Strategy):
    """Buys when the fast average crosses above the slow one, closes when it is below again.

    Long or flat, any bar size. An entry that is refused is not repeated: the next cross is the next
    chance. An exit that is refused is tried again on the next bar.

    Params:

      - ``fast`` (10): bars of the fast average
      - ``slow`` (30): bars of the slow average
      - ``percent`` (9.0): per cent of the broker's value in one position (a sizer given to Cerebro wins)
    """

    params = (("fast", 10), ("slow", 30), ("percent", 9.0))

    def __init__(self):
        if not 0 < self.p.fast < self.p.slow:
            raise ValueError(f"SmaCross needs 0 < fast < slow, not fast={self.p.fast}, slow={self.p.slow}")
        self.setsizer(PercentOfValue(percent=self.p.percent))
        self.fast = bt.ind.SMA(self.data.close, period=self.p.fast)
        self.slow = bt.ind.SMA(self.data.close, period=self.p.slow)
        self.cross = bt.And(self.fast > self.slow, self.fast(-1) <= self.slow(-1))
        self.order = None

    def restored(self, orders, position):
        """After a restart: take the working order up again."""
        self.order = next((order for order in orders if order.alive()), None)

    def next(self):
        if self.order is not None and self.order.alive():
            return
        if self.position.size > 0:
            if self.fast[0] < self.slow[0]:
                self.order = self.close()
        elif self.position.size == 0 and self.cross[0]:
            self.order = self.buy()
