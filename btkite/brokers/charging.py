"""Charging: what orders have cost so far. Brokerage is capped per order, not per fill, so all fills of one are kept."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import reduce
from operator import add
from typing import Any

from ..commissions import InstrumentCommission, security_of, terms_of
from ..linetime import from_seconds
from ..market.charges import Charges, charge_order
from ..market.permitted import largest_order
from ..values import Instrument
from . import translate
from .base import GatedBroker
from .cutting import by_slice, is_many
from .demat import Demat
from .record import Booked


class Charging(GatedBroker):
    """The charges of an account's orders; Cerebro's thread only."""

    config: Any
    expiring: Any

    def init(self) -> None:
        super().init()
        self._fills: dict[int | str, list[tuple[int, float]]] = {}
        self._charged: dict[int | str, float] = {}
        self._parts: dict[int, Charges] = {}
        self._terms = terms_of(self.config.client)
        self.demat = Demat()

    def charge(self, order: Any, instrument: Instrument, product: str, quantity: int, price: float, when: int) -> float:
        """₹ that this execution adds to the order's charges."""
        if not isinstance(order.comminfo, InstrumentCommission):  # of the user's own making
            return float(order.comminfo.getcommission(quantity, price))
        if not self.config.broker.charges:
            return 0.0
        if "settlement" in order.info:
            ends = self.expiring.charges(order, instrument, from_seconds(when).date())
            self._parts[order.ref] = ends
            return float(ends.total)
        bill = _bill(order)
        if isinstance(bill, str) and bill not in self._fills:
            self._take_up(bill)
        fills = self._fills.setdefault(bill, [])
        fills.append((quantity, price))
        day, side, terms = from_seconds(when).date(), translate.side(order), self._terms
        most = largest_order(instrument, day) if is_many(order) else None
        orders = by_slice(fills, most) if most else [fills]  # each slice is an order with a brokerage of its own
        security = security_of(instrument.key, self.config.broker.securities)
        charged = [charge_order(instrument, side, product, one, day, terms, security=security) for one in orders]
        total = reduce(add, charged)
        owed = self.demat.charge(bill, instrument.key, product, side.sign * quantity, day, woman=terms.woman)
        total = replace(total, depository=owed)
        added = float(total.total) - self._charged.get(bill, 0.0)
        self._charged[bill] = float(total.total)
        self._parts[order.ref] = total
        return added

    def _take_up(self, bill: str) -> None:
        """An order of others goes on after a restart: what was booked of it before is on the same bill."""
        before = self.booked(bill)
        if before.units:
            self._fills[bill] = [(before.units, before.value / before.units)]
            self._charged[bill] = before.charges

    def booked(self, order_id: str) -> Booked:
        """What was booked of one of Kite's orders before this run."""
        return Booked()

    def charged_for(self, ref: int) -> dict[str, float]:
        """₹ that the order has cost so far, part by part; empty where the tables were not asked."""
        parts = self._parts.get(ref)
        return {} if parts is None else asdict(parts)

    def fills_of(self, order: Any) -> list[tuple[int, float]]:
        """Quantity and price of each execution so far."""
        return self._fills.get(order.ref, [])

    def settled(self, ref: int) -> None:
        """Nothing more will be charged for this order."""
        for table in (self._fills, self._charged, self._parts):
            table.pop(ref, None)
        self.demat.drop(ref)


def _bill(order: Any) -> int | str:
    """What is charged as one: an order; of others, whose every execution is an order here, Kite's order."""
    theirs = order.info.get("foreign")
    return theirs if isinstance(theirs, str) else int(order.ref)
