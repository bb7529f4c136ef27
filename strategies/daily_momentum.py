"""Daily momentum: buy new highs, hold while they last. For delivery (CNC)."""

from __future__ import annotations

import backtrader as bt

from btkite.sizers import PercentOfValue


class DailyMomentum(bt.Strategy):
    """Buys a close above the highest high of ``lookback`` days, sells when it slips off its peak.

    Each feed is traded for itself. The close must also have risen by ``min_rise`` over ``roc`` days.
    The peak is the highest close of the last ``lookback`` bars: it needs no memory, so it is the
    same after a restart. An exit that is refused is tried again on the next bar; an entry that is
    refused may be tried again only on the next new high. Long or flat, day bars.

    Params:

      - ``lookback`` (20): bars of the breakout and of the peak
      - ``roc`` (10): bars of the rate of change
      - ``min_rise`` (2.0): least rise over ``roc`` bars, in per cent
      - ``trail`` (6.0): sell when the close is this many per cent below the peak
      - ``percent`` (9.0): per cent of the broker's value in each position (a sizer given to Cerebro wins)
    """

    params = (("lookback", 20), ("roc", 10), ("min_rise", 2.0), ("trail", 6.0), ("percent", 9.0))

    def __init__(self):
        self.setsizer(PercentOfValue(percent=self.p.percent))
        self.ceiling = [bt.ind.Highest(data.high(-1), period=self.p.lookback) for data in self.datas]
        self.peak = [bt.ind.Highest(data.close, period=self.p.lookback) for data in self.datas]
        self.rise = [bt.ind.ROC100(data.close, period=self.p.roc) for data in self.datas]
        self.seen = [0] * len(self.datas)
        self.orders = [None] * len(self.datas)

    def restored(self, orders, position):
        """After a restart: take the working orders up again."""
        for order in orders:
            for index, data in enumerate(self.datas):
                if order.data is data and order.alive():
                    self.orders[index] = order

    def next(self):
        for index, data in enumerate(self.datas):
            if len(data) != self.seen[index]:  # another feed's bar is no news of this one
                self.seen[index] = len(data)
                self._decide(index, data)

    def _decide(self, index, data):
        working = self.orders[index]
        if working is not None and working.alive():
            return
        close, held = data.close[0], self.getposition(data).size
        if held > 0:
            if close < self.peak[index][0] * (1 - self.p.trail / 100):
                self.orders[index] = self.close(data=data)
        elif held == 0 and close > self.ceiling[index][0] and self.rise[index][0] >= self.p.min_rise:
            self.orders[index] = self.buy(data=data)
