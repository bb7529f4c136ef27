"""Pair: two related shares, bought and sold against each other within the day."""

from __future__ import annotations

from collections import deque
from datetime import time
from statistics import fmean, pstdev

import backtrader as bt

from btkite.sizers import PercentOfValue


class Pair(bt.Strategy):
    """Trades the ratio data0 / data1 back to its mean, one leg long and one leg short.

    The z-score of the ratio is taken over the last ``period`` bars that both feeds have in common; a
    bar of one feed alone decides nothing. When it leaves ±``entry`` the dear leg is sold and the cheap
    one bought, both at the market and of about equal value. Both are closed when the score is back
    within ±``exit``, at ±``stop``, and from ``exit_time`` on: a short leg must not stay overnight, so
    the product must be intraday. If one leg is refused, the other is closed on the next bar, and the
    next chance is the next time that the score leaves ±``entry``.

    Params:

      - ``period`` (60): common bars of mean and deviation
      - ``entry`` (2.0): deviations at which to open
      - ``exit`` (0.5): deviations at which to close with the ratio back
      - ``stop`` (4.0): deviations at which to close because it runs away
      - ``last_entry`` ("14:45"): nothing is opened on a bar that ends at this time or later
      - ``exit_time`` ("15:10"): from the bar that ends at this time on, both legs are closed
      - ``percent`` (9.0): per cent of the broker's value in each leg (a sizer given to Cerebro wins)
    """

    params = (
        ("period", 60),
        ("entry", 2.0),
        ("exit", 0.5),
        ("stop", 4.0),
        ("last_entry", "14:45"),
        ("exit_time", "15:10"),
        ("percent", 9.0),
    )

    def __init__(self):
        if len(self.datas) < 2:
            raise ValueError("Pair needs two data feeds")
        if not 0 <= self.p.exit < self.p.entry < self.p.stop:
            raise ValueError("Pair needs 0 <= exit < entry < stop")
        self.setsizer(PercentOfValue(percent=self.p.percent))
        self.last_entry = time.fromisoformat(self.p.last_entry)
        self.exit_time = time.fromisoformat(self.p.exit_time)
        self.ratios = deque(maxlen=self.p.period)
        self.seen = 0.0  # stamp of the last common bar
        self.score = None
        self.opened = None  # day of the last entry
        self.resumed = False  # a restart found today's legs
        self.entries, self.exits = [], []
        self.waits = False  # to leave, for cancels that are on their way

    def restored(self, orders, position):
        """After a restart: take the working orders up again."""
        self.entries = list(orders)
        self.resumed = self._held()

    def notify_order(self, order):
        if self.waits and not self._working():
            self._leave()

    def prenext(self):
        self._watch()

    def next(self):
        before, fresh = self.score, self._watch()
        now = self.datetime.datetime(0)
        if self.resumed:
            self.opened, self.resumed = now.date(), False
        if self._held():
            over = now.time() >= self.exit_time or now.date() != self.opened
            if over or self._lopsided() or (fresh and self._done()):
                self._leave()
        elif fresh and now.time() < self.last_entry and not self._working() and self._leaves(before):
            self._enter(now)

    def _watch(self):
        """Take in a bar that both feeds have; True if there is one and the score is known."""
        one, two = self.data0, self.data1
        if not len(one) or not len(two) or one.datetime[0] != two.datetime[0] or one.datetime[0] == self.seen:
            return False
        self.seen = one.datetime[0]
        self.ratios.append(one.close[0] / two.close[0])
        if len(self.ratios) < self.p.period:
            return False
        mean, deviation = fmean(self.ratios), pstdev(self.ratios)
        # A ratio that stands still is at its mean.
        self.score = (self.ratios[-1] - mean) / deviation if deviation > mean * 1e-9 else 0.0
        return True

    def _held(self):
        return bool(self.getposition(self.data0).size or self.getposition(self.data1).size)

    def _working(self):
        return [order for order in self.entries + self.exits if order.alive()]

    def _lopsided(self):
        """One leg alone, and nothing on its way to complete it."""
        both = self.getposition(self.data0).size and self.getposition(self.data1).size
        return not both and not self._working()

    def _leaves(self, before):
        """The score has just gone out of ±entry, and not so far that it is lost already."""
        return before is not None and abs(before) < self.p.entry <= abs(self.score) < self.p.stop

    def _done(self):
        side = 1 if self.getposition(self.data0).size > 0 else -1  # +1: opened at a score below 0
        return side * self.score >= -self.p.exit or abs(self.score) >= self.p.stop

    def _enter(self, now):
        low, high = (self.data0, self.data1) if self.score < 0 else (self.data1, self.data0)
        buy, sell = self.getsizing(low, isbuy=True), self.getsizing(high, isbuy=False)
        if buy and sell:  # both legs or none
            self.opened = now.date()
            self.exits = []
            # The short leg first: it is the one that is refused more often.
            orders = [self.sell(data=high, size=sell), self.buy(data=low, size=buy)]
            self.entries = [order for order in orders if order is not None]

    def _leave(self):
        for order in self.entries:
            if order.alive():
                self.cancel(order)
        self.waits = bool(self._working())  # a cancel is on its way
        if not self.waits:
            orders = [self.close(data=data) for data in (self.data0, self.data1) if self.getposition(data).size]
            self.exits = [order for order in orders if order is not None]
