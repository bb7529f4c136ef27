"""Mean reversion: buy what has fallen unusually far below its mean, sell it at the mean."""

from __future__ import annotations

from datetime import timedelta

import backtrader as bt

from btkite.sizers import PercentOfValue


class MeanReversion(bt.Strategy):
    """Buys on a limit when the z-score falls through ``-entry``, sells on a limit at ``exit``.

    The z-score is (close - mean) / standard deviation over ``period`` bars. Both limits stand at the
    bar's close and lapse after ``valid`` minutes; an exit is then given anew as long as the z-score
    asks for it, an entry waits for the next fall through ``-entry``. At ``-stop`` whatever is working
    is cancelled and the position is sold at the market. Long or flat.

    Params:

      - ``period`` (20): bars of mean and deviation
      - ``entry`` (2.0): deviations below the mean that are a bargain
      - ``exit`` (0.0): deviations from the mean at which to sell (0: at the mean)
      - ``stop`` (4.0): deviations below the mean at which the idea was wrong
      - ``valid`` (5): minutes that a limit order stands; with day bars say 2880 or more
      - ``percent`` (9.0): per cent of the broker's value in one position (a sizer given to Cerebro wins)
    """

    params = (("period", 20), ("entry", 2.0), ("exit", 0.0), ("stop", 4.0), ("valid", 5), ("percent", 9.0))

    def __init__(self):
        if not -self.p.stop < -self.p.entry < self.p.exit:
            raise ValueError("MeanReversion needs -stop < -entry < exit")
        self.setsizer(PercentOfValue(percent=self.p.percent))
        self.mean = bt.ind.SMA(self.data.close, period=self.p.period)
        self.deviation = bt.ind.StdDev(self.data.close, period=self.p.period)
        self.waits = False  # to stop out, for a cancel that is on its way
        self.before = None  # z-score of the bar before
        self.order = None

    def restored(self, orders, position):
        """After a restart: take the working order up again."""
        self.order = next((order for order in orders if order.alive()), None)

    def next(self):
        score, before = self._score(), self.before
        self.before = score
        if self.position.size > 0 and score <= -self.p.stop:
            self._stop_out()
        elif self._working():
            return
        elif self.position.size > 0:
            if score >= self.p.exit:
                self.order = self.close(exectype=bt.Order.Limit, price=self.data.close[0], valid=self._valid())
        elif self.position.size == 0 and before is not None and before > -self.p.entry >= score > -self.p.stop:
            self.order = self.buy(exectype=bt.Order.Limit, price=self.data.close[0], valid=self._valid())

    def _score(self):
        close = self.data.close[0]
        if self.deviation[0] <= abs(close) * 1e-6:  # a price that stands still is at its mean
            return 0.0
        return (close - self.mean[0]) / self.deviation[0]

    def _valid(self):
        return timedelta(minutes=self.p.valid)

    def _working(self):
        return self.order is not None and self.order.alive()

    def _stop_out(self):
        if self._working():
            if self.order.exectype == bt.Order.Market:
                return
            self.cancel(self.order)
        self.waits = self._working()  # the cancel is on its way; closing now could sell twice
        if not self.waits:
            self.order = self.close()

    def notify_order(self, order):
        if self.waits and not order.alive():
            self.waits = False
            if self.position:
                self._stop_out()
