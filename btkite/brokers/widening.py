"""Widening: a market order that rests, because the market ran beyond its protection, is sent after it.

Kite makes a limit of every MARKET and SL-M, ``market_protection`` beyond the price of that moment. What rests so for
``broker.widen_after`` seconds is moved, by modification, to ``broker.widen_step`` per cent beyond the last price, twice
that the next time, and never beyond ``broker.widen_most`` per cent of where it first stood. A stop that goes with a
limit of its own (``broker.stop_as: SL``, BSE, options) is no such order: it rests, as it does in the simulator.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

from ..kite.desk import Modify
from ..log import get_logger
from ..market.prices import round_limit
from ..values import OrderType
from . import translate
from .banding import Banding
from .orders import spoken

log = get_logger(__name__)
_MOST_CHANGES = 20
"""Kite takes 25 changes of one order, and some may be needed for its size."""


class Widening(Banding):
    """The part of :class:`~btkite.brokers.kite.KiteBroker` that does not let a market order rest."""

    def init(self) -> None:
        super().init()
        self._resting: dict[int, tuple[str, int]] = {}  # ref -> order_id, second since which it rests where it is

    def widen(self, now: int) -> None:
        """Look at what rests, of living orders: this is asked at every tick, and of a day's orders most have ended."""
        if self.config.broker.unfilled == "leave":
            return
        living = [*self.terms, *(part.ref for part in self.orders.parts())]
        resting = {ref: self._order_ids[ref] for ref in living if ref in self._order_ids and self._rests(ref)}
        self._resting = {
            ref: known if (known := self._resting.get(ref, ("", now)))[0] == order_id else (order_id, now)
            for ref, order_id in resting.items()
        }
        for ref in [ref for ref, at in self._widen_at().items() if at <= now]:
            self._resting[ref] = resting[ref], now
            self._widen(self.orders[ref])

    def widen_due(self) -> list[int]:
        """When each resting one is moved next."""
        return list(self._widen_at().values())

    def _widen_at(self) -> dict[int, int]:
        after = max(1, round(self.config.broker.widen_after))
        return {
            ref: since + after
            for ref, (_, since) in self._resting.items()
            if not ((order := self.orders.get(ref)) is not None and order.info.get("widened_out"))
        }

    def _rests(self, ref: int) -> bool:
        """Whether an order without a limit of its own stands in the market with one, unfilled, and may be changed."""
        order, progress = self.orders.get(ref), self._progress.get(self._order_ids[ref])
        if order is None or progress is None or not order.alive() or ref in self.held:
            return False
        # A stop that waits for its trigger is told as UPDATE, too, after a change.
        gone = order.exectype == bt.Order.Market or order.triggered
        stands = gone or progress.filled or order.info.get("widened")
        if progress.status not in (("OPEN", "UPDATE") if stands else ("OPEN",)):
            return False
        if order.exectype not in (bt.Order.Market, bt.Order.Stop, bt.Order.StopTrail) or not progress.price:
            return False
        # A stop's own limit lies beyond its trigger. One before it is the target's that Kite's order was until a moment
        # ago: of two words of one second the last is not always the later.
        if (
            order.exectype != bt.Order.Market
            and (progress.price - order.created.price) * translate.side(order).sign < 0
        ):
            return False
        if self._changing.get(ref) or ref in self._differs or self.is_leaving(order) or self._is_iceberg(order):
            return False
        instrument = self.instrument_of_order(order)
        last = self.exits.heard(instrument.key) or self.last_seen(order)
        if translate.sent_as(order, instrument, self.config.broker, last)[0] is OrderType.SL:
            return False
        return self._session(instrument) is not None

    def _widen(self, order: Any) -> None:
        ref, settings, instrument = order.ref, self.config.broker, self.instrument_of_order(order)
        progress, way = self._progress[self._order_ids[ref]], translate.side(order)
        if settings.unfilled == "cancel" and not self.is_exit(order):
            self.alert("warning", f"{spoken(ref)} of {instrument.key} rests at {progress.price:g} and is cancelled",
                       f"unfilled {ref}")  # fmt: skip
            self.cancel(order)
            return
        times = int(order.info.get("widened") or 0) + 1
        first = float(order.info.get("widened_from") or progress.price)
        last = self.exits.heard(instrument.key) or self.last_seen(order)
        far, most = (
            start * (1 + way.sign * percent / 100)
            for start, percent in ((last, times * settings.widen_step), (first, settings.widen_most))
        )
        limit = min(far, most) if order.isbuy() else max(far, most)
        limit = round_limit(limit, instrument.tick_size, way) if instrument.tick_size else limit
        limit = self.within_bands(order, limit)
        if (limit - progress.price) * way.sign <= 0 or self._changes.get(ref, 0) >= _MOST_CHANGES:
            if (last - progress.price) * way.sign > 0:  # it is where it may go, and the market is beyond it
                order.addinfo(widened_out=True)
                self.alert("critical", f"{spoken(ref)} of {instrument.key} rests unfilled at {progress.price:g}, the "
                           f"last price is {last:g}: it is not widened further", f"unfilled {ref}")  # fmt: skip
            return
        self._changes[ref] = self._changes.get(ref, 0) + 1
        self._changing[ref] = self._changing.get(ref, 0) + 1
        order.addinfo(widened=times, widened_from=first)
        quantity = self.proposal(order).quantity - self._before.get(ref, 0)
        changes = {"quantity": quantity, "order_type": OrderType.LIMIT.value, "price": limit}
        words = (
            f"{spoken(ref)} of {instrument.key} rests unfilled at {progress.price:g}: its limit is moved to {limit:g}"
        )
        self.alert("warning", words, f"widened {times} {ref}")
        self._write("widened", ref=ref, price=limit, before=progress.price, last=last)
        reduces = self.is_exit(order)
        self._desk.submit(Modify(ref, self._order_ids[ref], changes, self._variety(order), reduces=reduces))
