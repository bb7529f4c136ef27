"""Opening-range breakout: the first minutes draw a range, its upper edge is the entry."""

from __future__ import annotations

from datetime import time, timedelta
from math import inf

import backtrader as bt

from btkite.sizers import PercentOfValue


class OpeningRangeBreakout(bt.Strategy):
    """Buys the first close above the day's opening range, with a stop below it and a target above.

    The range is the high and low of the first ``minutes`` after the session's first bar begins. The
    entry is one bracket: market, stop at the range's low, target ``reward`` times the risk above the
    close. One attempt a day, whether it is filled or refused; flat from ``exit`` on. Minute bars,
    stamped at their end. Long only, within the day.

    A day whose opening was not seen (the feed itself begins after ``opens``) is not traded.

    Params:

      - ``minutes`` (15): length of the opening range
      - ``reward`` (2.0): target distance, in multiples of the stop distance
      - ``opens`` ("09:15"): when the session opens; asked only for the feed's very first bar
      - ``last_entry`` ("14:30"): no entry on a bar that ends at this time or later
      - ``exit`` ("15:10"): from the bar that ends at this time on, working orders are cancelled and
        the position is closed
      - ``percent`` (9.0): per cent of the broker's value in one position (a sizer given to Cerebro wins)
      - ``tick`` (0.05): stop and target are rounded to this step, in ₹
    """

    params = (
        ("minutes", 15),
        ("reward", 2.0),
        ("opens", "09:15"),
        ("last_entry", "14:30"),
        ("exit", "15:10"),
        ("percent", 9.0),
        ("tick", 0.05),
    )

    def __init__(self):
        self.setsizer(PercentOfValue(percent=self.p.percent))
        self.opens = time.fromisoformat(self.p.opens)
        self.last_entry = time.fromisoformat(self.p.last_entry)
        self.exit = time.fromisoformat(self.p.exit)
        self.day = None  # the session that the range belongs to
        self.range_end = None  # None: this day's opening was not seen
        self.top, self.bottom = -inf, inf
        self.entered = None  # the day of the last attempt
        self.resumed = False  # a restart found today's attempt
        self.bracket = []
        self.leaving = None
        self.waits = False  # to leave, for cancels that are on their way

    def restored(self, orders, position):
        """After a restart: take the bracket up again; if there is one, today's attempt is spent."""
        self.bracket = list(orders)
        self.resumed = bool(orders) or bool(self.position)

    def notify_order(self, order):
        if self.waits and not order.alive():
            self._leave()

    def prenext(self):
        self._watch()  # warm-up bars draw the range too, so a start at 11:00 knows it

    def next(self):
        now = self._watch()
        if self.resumed:
            self.entered, self.resumed = now.date(), False
        if now.time() >= self.exit or (self.position and self.entered != now.date()):
            self._leave()
        elif self._breaks_out(now):
            self._enter(now)

    def _watch(self):
        now = self.data.datetime.datetime(0)
        if now.date() != self.day:
            self.day = now.date()
            begin = now - timedelta(minutes=self.data._compression)
            seen = len(self.data) > 1 or begin.time() <= self.opens
            self.range_end = begin + timedelta(minutes=self.p.minutes) if seen else None
            self.top, self.bottom = -inf, inf
        if self.range_end is not None and now <= self.range_end:
            self.top = max(self.top, self.data.high[0])
            self.bottom = min(self.bottom, self.data.low[0])
        return now

    def _breaks_out(self, now):
        return (
            self.entered != now.date()
            and not self.position
            and self.range_end is not None
            and now > self.range_end
            and now.time() < self.last_entry
            and self.data.close[0] > self.top
        )

    def _enter(self, now):
        size = self.getsizing(self.data, isbuy=True)
        if not size:
            return
        close = self.data.close[0]
        self.entered = now.date()
        self.bracket = self.buy_bracket(
            size=size,
            exectype=bt.Order.Market,
            stopprice=self._on_tick(self.bottom),
            limitprice=self._on_tick(close + self.p.reward * (close - self.bottom)),
        )

    def _leave(self):
        for order in self.bracket:
            if order.alive():
                self.cancel(order)
        self.waits = any(order.alive() for order in self.bracket)
        if self.waits:
            return  # the cancel is on its way; closing now could sell twice
        if self.position and not (self.leaving is not None and self.leaving.alive()):
            self.leaving = self.close()

    def _on_tick(self, price):
        return round(round(price / self.p.tick) * self.p.tick, 4)
