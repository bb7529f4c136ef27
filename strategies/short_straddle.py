"""Short straddle: sell a call and a put in the morning, buy both back before the close."""

from __future__ import annotations

from datetime import time
from math import ceil

import backtrader as bt

from btkite.sizers import lot_size


class ShortStraddle(bt.Strategy):
    """Sells data0 (the CE) and data1 (the PE) at ``entry``, each with its own stop, out at ``exit``.

    Both legs are sold at the market on the first bar at or after ``entry`` on which both have traded
    today. As soon as a leg is filled, a stop order to buy it back rests ``stop_percent`` above its
    fill. A leg that is stopped out leaves the other one alone. If a leg is refused, the other is
    bought back; if a stop is refused, its leg is bought back: no leg stays without its stop. One
    attempt a day, nothing overnight: the product must be intraday.

    Params:

      - ``lots`` (1): lots of each leg
      - ``lot`` (65): units in a lot, for a feed that does not know its instrument (NIFTY: 65)
      - ``entry`` ("09:20"): sell on the first bar that ends at this time or later
      - ``last_entry`` ("10:00"): but not on a bar that ends at this time or later
      - ``stop_percent`` (30.0): the stop's distance above the fill, in per cent of the premium
      - ``exit`` ("15:10"): from the bar that ends at this time on, stops are cancelled and legs closed
      - ``tick`` (0.05): stop prices are rounded up to this step, in ₹
    """

    params = (
        ("lots", 1),
        ("lot", 65),
        ("entry", "09:20"),
        ("last_entry", "10:00"),
        ("stop_percent", 30.0),
        ("exit", "15:10"),
        ("tick", 0.05),
    )

    def __init__(self):
        if len(self.datas) < 2:
            raise ValueError("ShortStraddle needs two data feeds: the CE and the PE")
        self.legs = self.datas[:2]
        self.entry = time.fromisoformat(self.p.entry)
        self.last_entry = time.fromisoformat(self.p.last_entry)
        self.exit = time.fromisoformat(self.p.exit)
        self.sold = None  # day of the last attempt
        self.resumed = False  # a restart found today's legs
        self.broken = False  # a leg was refused today
        self.entries, self.stops, self.exits = [None, None], [None, None], [None, None]
        self.waits = [False, False]  # to leave a leg, for a cancel that is on its way

    def restored(self, orders, position):
        """After a restart: take entries and stops up again; if there are any, today's attempt is spent."""
        self.resumed = bool(orders) or any(self.getposition(data).size for data in self.legs)
        for order in orders:
            for leg, data in enumerate(self.legs):
                if order.data is data:
                    (self.stops if order.isbuy() else self.entries)[leg] = order

    def notify_order(self, order):
        for leg, entry in enumerate(self.entries):
            if entry is not None and order.ref == entry.ref and not order.alive():
                if order.executed.size:
                    self._protect(leg, order)
                else:
                    self.broken = True
        for leg, data in enumerate(self.legs):
            if self.waits[leg] and not order.alive() and order.data is data:
                self.waits[leg] = False
                if self.getposition(data).size:
                    self._leave(leg)

    def next(self):
        now = self.datetime.datetime(0)
        today = now.date()
        if self.resumed:
            self.sold, self.resumed = today, False
        late = now.time() >= self.exit or self.sold != today
        for leg, data in enumerate(self.legs):
            held = self.getposition(data).size
            if held and (late or self.broken or not self._guarded(leg)):
                self._leave(leg)
            elif not held and self._alive(self.stops[leg]):
                self.cancel(self.stops[leg])  # the leg is gone: a stop left behind would open one
        if self._may_sell(now):
            self._sell(today)

    def _may_sell(self, now):
        return (
            self.sold != now.date()
            and self.entry <= now.time() < self.last_entry
            and all(len(data) and data.datetime.date(0) == now.date() for data in self.legs)
            and not any(self.getposition(data).size for data in self.legs)
            and not any(self._alive(order) for order in self.entries + self.stops + self.exits)
        )

    def _sell(self, today):
        self.sold, self.broken = today, False
        self.stops, self.exits = [None, None], [None, None]
        self.entries = [self.sell(data=data, size=self.p.lots * lot_size(data, self.p.lot)) for data in self.legs]

    def _protect(self, leg, entry):
        trigger = entry.executed.price * (1 + self.p.stop_percent / 100)
        self.stops[leg] = self.buy(
            data=self.legs[leg],
            size=abs(entry.executed.size),
            exectype=bt.Order.Stop,
            price=round(ceil(round(trigger / self.p.tick, 6)) * self.p.tick, 4),
        )

    def _guarded(self, leg):
        return any(self._alive(orders[leg]) for orders in (self.entries, self.stops, self.exits))

    def _leave(self, leg):
        for order in (self.entries[leg], self.stops[leg]):
            if self._alive(order):
                self.cancel(order)
        self.waits[leg] = self._guarded(leg)  # a cancel is on its way; closing now could buy twice
        if not self.waits[leg]:
            self.exits[leg] = self.close(data=self.legs[leg])

    @staticmethod
    def _alive(order):
        return order is not None and order.alive()
