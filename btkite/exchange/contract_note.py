"""The contract note of a day, which the ledger is charged with.

The executed orders of a day, added up by exchange, each line then rounded half up: tax and stamp to the rupee
(on MCX stamp to the paisa), the rest to the paisa; GST on the rounded lines, IPFT included. Shares are taxed as
the exchange nets them: per share and day, at the average of all its trades, whatever product they were bought
under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from .charges import (
    GST_ON_SEBI,
    PAISA,
    RUPEE,
    ZERO,
    Deal,
    brokerage,
    decimal,
    fee_rates,
    half_up,
    rate,
    sebi_rate,
    stamp_rate,
    tax_rate,
)
from .instruments import InstrumentRow


class Executed(NamedTuple):
    """One order of the day and all its fills, (quantity, price in rupees)."""

    row: InstrumentRow
    product: str
    buys: bool
    fills: Sequence[tuple[int, float]]
    security: str = "share"

    @property
    def quantity(self) -> int:
        return sum(quantity for quantity, _ in self.fills)

    @property
    def value(self) -> Decimal:
        units = decimal(float(self.row.multiplier))
        return sum((decimal(float(price)) * quantity * units for quantity, price in self.fills), ZERO)


@dataclass(frozen=True, slots=True)
class Note:
    """The lines of one exchange's part of a contract note, rupees; ``fee`` holds the protection fund."""

    exchange: str
    turnover: Decimal
    brokerage: Decimal
    tax: Decimal
    fee: Decimal
    sebi: Decimal
    stamp: Decimal
    gst: Decimal

    @property
    def total(self) -> Decimal:
        return self.brokerage + self.tax + self.fee + self.sebi + self.stamp + self.gst


def day_notes(orders: Iterable[Executed], day: date) -> list[Note]:
    """The notes of a day's executed orders, one for each exchange, in the order of the exchanges' names."""
    by_exchange: dict[str, list[Executed]] = {}
    for order in orders:
        if order.fills:
            by_exchange.setdefault(order.row.exchange, []).append(order)
    return [_note(exchange, by_exchange[exchange], day) for exchange in sorted(by_exchange)]


def unrounded(order: Executed, day: date) -> Decimal:
    """What one order costs by itself, as the charges calls reckon it: by its product, and no line rounded."""
    deal = _deal(order, order.quantity, order.value, order.product in ("MIS", "CO"))
    fee, fund = fee_rates(deal, day)
    paid, sebi = brokerage(deal, day), sebi_rate(deal, day)
    base = paid + deal.value * (fee + (sebi if day >= GST_ON_SEBI else ZERO))
    lines = deal.value * (fee + fund + sebi + tax_rate(deal, day) + stamp_rate(deal, day))
    return paid + lines + base * rate("gst", day)


def _note(exchange: str, orders: Sequence[Executed], day: date) -> Note:
    parts = [part for group in _grouped(orders) for part in _split(group)]
    paid = sum((brokerage(deal, day) for deal in _per_order(parts)), ZERO)
    if not paid and exchange in ("NSE", "BSE"):
        paid = rate("brokerage_note_minimum", day)
    deals = [deal for deal, _ in parts]
    paid = half_up(paid)
    tax = _tax(deals, day)
    fee = half_up(_sum(deals, lambda deal: sum(fee_rates(deal, day), ZERO)))
    sebi = half_up(_sum(deals, lambda deal: sebi_rate(deal, day)))
    stamp = half_up(_sum(deals, lambda deal: stamp_rate(deal, day)), PAISA if exchange == "MCX" else RUPEE)
    base = paid + fee + (sebi if day >= GST_ON_SEBI else ZERO)
    return Note(
        exchange, sum((deal.value for deal in deals), ZERO), paid, tax, fee, sebi, stamp,
        half_up(base * rate("gst", day)),
    )  # fmt: skip


def _sum(deals: Iterable[Deal], fraction: Callable[[Deal], Decimal]) -> Decimal:
    return sum((deal.value * fraction(deal) for deal in deals), ZERO)


def _grouped(orders: Sequence[Executed]) -> list[list[Executed]]:
    groups: dict[str, list[Executed]] = {}
    for order in orders:
        groups.setdefault(order.row.key, []).append(order)
    return list(groups.values())


def _split(orders: Sequence[Executed]) -> list[tuple[Deal, int]]:
    """One instrument's orders as deals with their order's number; orders in shares in two, what was squared
    off within the day (the first to come) and what was delivered."""
    if orders[0].row.is_derivative:
        return [(_deal(order, order.quantity, order.value, False), id(order)) for order in orders]
    squared = min(sum(order.quantity for order in orders if order.buys is side) for side in (True, False))
    parts: list[tuple[Deal, int]] = []
    for side in (True, False):
        left = squared
        for order in orders:
            if order.buys is not side:
                continue
            intraday = min(left, order.quantity)
            left -= intraday
            for quantity, is_intraday in ((intraday, True), (order.quantity - intraday, False)):
                if quantity:
                    value = order.value * quantity / order.quantity
                    parts.append((_deal(order, quantity, value, is_intraday), id(order)))
    return parts


def _deal(order: Executed, quantity: int, value: Decimal, intraday: bool) -> Deal:
    return Deal(order.row, order.product, order.buys, quantity, value, intraday, order.security)


def _per_order(parts: Sequence[tuple[Deal, int]]) -> list[Deal]:
    """What brokerage is taken on: an order once. An MIS order is intraday altogether, whatever was delivered."""
    whole_orders: dict[tuple[int, bool], Deal] = {}
    for deal, order in parts:
        intraday = deal.intraday or deal.product in ("MIS", "CO")
        known = whole_orders.get((order, intraday))
        quantity = deal.quantity + (known.quantity if known else 0)
        value = deal.value + (known.value if known else ZERO)
        whole_orders[order, intraday] = Deal(
            deal.row, deal.product, deal.buys, quantity, value, intraday, deal.security
        )
    return list(whole_orders.values())


def _tax(deals: Sequence[Deal], day: date) -> Decimal:
    """STT or CTT: of shares by the average of the day, intraday and delivery rounded apart."""
    if deals[0].kind != "eq":
        return half_up(half_up(_sum(deals, lambda deal: tax_rate(deal, day))), RUPEE)
    intraday = delivery = ZERO
    by_share: dict[str, list[Deal]] = {}
    for deal in deals:
        by_share.setdefault(deal.row.key, []).append(deal)
    for share in by_share.values():
        average = sum((deal.value for deal in share), ZERO) / sum(deal.quantity for deal in share)
        for deal in share:
            tax = average * deal.quantity * tax_rate(deal, day)
            if deal.intraday:
                intraday += tax
            else:
                delivery += tax
    return sum((half_up(half_up(part), RUPEE) for part in (intraday, delivery)), ZERO)
