"""Changes: orders that become others while they live, by the strategy's word or with the price."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import Any

import backtrader as bt

from ..linetime import from_seconds
from ..log import get_logger
from ..market.permitted import forbidden, largest_order
from ..risk.rules import EXCHANGE_RULES, check
from ..values import Denial, Proposal, Side
from . import translate
from .cutting import is_many, is_too_large
from .demat import DELIVERY, not_bought
from .news import News

Order = bt.Order
log = get_logger(__name__)

_INSTANT = 1e-9
"""Days: what rounding may take from a moment."""
_HAIR = 1e-6
"""Units: what is less than that over a whole number is a rounding error of whoever computed the size."""


def state_of(order: Any) -> tuple[Any, ...]:
    """Size and prices, for :func:`restore`."""
    created = order.created
    return (
        order.size, order.executed.remsize, order.price, order.plimit,
        created.size, created.price, created.pricelimit,
    )  # fmt: skip


def restore(order: Any, state: tuple[Any, ...]) -> None:
    """It is again what it was."""
    order.size, order.executed.remsize, order.price, order.plimit = state[:4]
    order.created.size, order.created.price, order.created.pricelimit = state[4:]


def reshape(order: Any, quantity: float, price: float | None = None, plimit: float | None = None) -> None:
    """``quantity`` units in all, at these prices; None leaves a price."""
    order.size = order.created.size = quantity if order.isbuy() else -quantity
    order.executed.remsize = order.size - order.executed.size
    if price is not None:
        order.created.price = order.price = price
    if plimit is not None:
        order.created.pricelimit = order.plimit = plimit


class Changes(News):
    """``modify`` and trailing stops."""

    def init(self) -> None:
        super().init()
        self._floored = False  # whether the run has been told of a fractional size

    def modify(
        self, order: Any, size: float | None = None, price: float | None = None, plimit: float | None = None
    ) -> bool:
        """Change a living order in place: same order, same ref, a new arrival in the market.

        ``size`` is the new total (positive), not less than what has been filled. Returns False, and
        changes nothing, if the order has ended or the gate denies the change (then
        ``order.info.denied_change`` says why).
        """
        self.check_thread()
        order = self.orders.get(order.ref, order)
        if not order.alive() or self.is_leaving(order):
            return False
        instrument = self.instrument_of_order(order)
        if self.config.broker.tick_rounding:
            price, plimit = translate.on_tick(instrument, order.exectype, order.isbuy(), price, plimit)
        if size is not None and not math.isfinite(size):
            return False
        quantity = int(abs(order.size)) if size is None else translate.whole(size)
        if quantity <= abs(order.executed.size):
            return False
        before = state_of(order)
        grows = quantity > abs(order.size) or price is not None or plimit is not None
        reshape(order, quantity, price, plimit)
        denial = self._judge_change(order, grows, moves=price is not None)
        if denial is not None:
            restore(order, before)
            order.addinfo(denied_change=str(denial))
            verdicts = (self.gate.noted or {}).pop(order.ref, [])
            self._write(
                "denied", refs=[order.ref], rule=denial.rule, reason=denial.reason, key=denial.key, verdicts=verdicts
            )
            return False
        refusal = self.refuses_change(order) if order.active() and order.ref not in self.held else ""
        if refusal:  # it was sent, and the exchange left the order as it was
            restore(order, before)
            order.addinfo(modify_failed=refusal)
            log.warning("request failed", action="modify", ref=order.ref, reason=refusal)
            return True
        if size is not None:
            self.note_fraction(order, quantity, size)
        self.ledger.working(order.ref, abs(order.executed.remsize))
        self._write(
            "change", ref=order.ref, quantity=quantity, price=order.created.price, plimit=order.created.pricelimit,
            verdicts=(self.gate.noted or {}).pop(order.ref, []),
        )  # fmt: skip
        if order.active() and order.ref not in self.held:
            self.reroute(order)
        if size is not None:
            self.groups.resized(order.ref, quantity)
            self._react(order.ref)
        return True

    def _judge_change(self, order: Any, grows: bool, *, moves: bool) -> Denial | None:
        """The gate's word on what an order is to become; a smaller one needs only whole lots."""
        problem = translate.missing_price(order)
        if problem is not None:
            return Denial("price", problem)
        problem = translate.crossed(order)
        if problem is None and moves and order.active() and order.status != Order.Created:
            problem = self.behind(order)
        if problem is not None:
            return Denial("trigger", problem)
        if grows and (denial := self._forbidden(order) or self._outgrows(order)) is not None:
            return denial
        if self.gate is None or order.status == Order.Created:  # not transmitted yet: judged with its group
            return None
        wanted = self.proposal(order)
        wanted = replace(wanted, reference_price=self.last_seen(order) or wanted.reference_price)
        return self.gate.judge([wanted]) if grows else check(wanted, EXCHANGE_RULES, self.ledger)

    def _forbidden(self, order: Any) -> Denial | None:
        """Why Kite does not take such an order, whatever the market does."""
        after_hours = order.info.get("after_hours", self.config.broker.after_hours)
        amo = after_hours == "amo" and self._session(self.instrument_of_order(order)) is None
        wanted = self.proposal(order)
        return forbidden(wanted, self._today, amo=amo) or self.uncovered(order, wanted)

    def uncovered(self, order: Any, wanted: Proposal) -> Denial | None:
        """Why shares that are not held cannot be delivered: a CNC or MTF sale needs them, MIS alone sells short."""
        if wanted.product not in DELIVERY or wanted.side is not Side.SELL or wanted.reduces or self._flattening:
            return None
        if order.parent is not None and order.parent.isbuy():  # it sells what its entry will have bought
            return None
        short = min(wanted.quantity, self.ledger.short_by(wanted))
        return not_bought(short, wanted.quantity, wanted.instrument.key, wanted.product) if short else None

    def _outgrows(self, order: Any) -> Denial | None:
        """Why what is one order at Kite cannot become so large."""
        instrument = self.instrument_of_order(order)
        if is_many(order) or order.status == Order.Created or not is_too_large(order, instrument, self._today):
            return None
        most = largest_order(instrument, self._today)
        return Denial(
            "freeze", f"{abs(order.size):g} of {instrument.key} are more than one order may have ({most}): it went as "
            "one, give another for the rest"
        )  # fmt: skip

    @property
    def _today(self) -> date:
        return from_seconds(max(self.now, 0)).date()

    def behind(self, order: Any) -> str | None:
        """Why the exchange would refuse a stop by the last price that the strategy has seen; None if it would not,
        and in answers to news in the middle of a bar: only the exchange knows what the price is there."""
        return None if self.is_midway else translate.behind(order, self.last_seen(order))

    def last_seen(self, order: Any) -> float:
        """The last close of the order's instrument, of its shortest bars, in rupees; 0 if there is none."""
        key = self.instrument_of_order(order).key
        data = self._datas.get(key)
        if data is None or self.instrument(data).key != key:
            data = self.feed_for(order)
        return float(data.close[0]) if len(data) else 0.0

    def refuses_change(self, order: Any) -> str:
        """Why the market leaves an order as it was, if that is known at once; else empty."""
        return ""

    def note_fraction(self, order: Any, quantity: int, asked: float) -> None:
        """Exchanges trade whole units: what was asked for is kept beside what is given."""
        order.info.pop("asked_size", None)
        if not quantity or asked - quantity <= _HAIR:
            return
        order.addinfo(asked_size=asked)
        if not self._floored:
            self._floored = True
            log.warning("a fractional size is floored to whole units", asked=asked, size=quantity, ref=order.ref)

    # -- trailing stops ---------------------------------------------------------------------------------

    def trail(self) -> None:
        """Move trailing stops with the close of the bars that have just been seen, never back (as BackBroker
        does at the end of each bar); Cerebro's turn, before ``next()``."""
        for ref, seen in list(self._trailing.items()):
            order = self.orders[ref]
            if not order.alive():
                del self._trailing[ref]
                continue
            data = self.feed_for(order)
            if len(data) == seen or not order.active() or self.is_leaving(order):
                continue
            if data.datetime[0] <= order.created.dt + _INSTANT:
                continue  # a restart brings the bars again from before it was given
            self._trailing[ref] = len(data)
            before = order.created.price
            order.trailadjust(data.close[0])
            if order.created.price == before:
                continue
            self._tidy_trail(order)
            if order.created.price != before and not order.triggered and ref not in self.held:
                self.reroute(order)

    def _tidy_trail(self, order: Any) -> None:
        """Its prices on the tick."""
        created = order.created
        created.price, limit = translate.on_tick(
            self.instrument_of_order(order), Order.StopLimit, order.isbuy(), created.price, created.pricelimit
        )
        if order.exectype == Order.StopTrailLimit:
            created.pricelimit = limit
