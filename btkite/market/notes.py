"""The contract note of a day: orders are added up per exchange, then each line is rounded, halves up.

STT and stamp to the rupee (on MCX stamp to the paisa), the rest to the paisa, GST on the lines as they are printed.
``netted``: shares are taxed as the exchange does it (NSE/CMO/0146/2004): per share and day, what was bought and sold
again is intraday and the rest delivery, whatever the products were, and the rate applies to the average price of all
the day's trades in it. Without it every order stands for itself, as in Zerodha's web calculator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date
from decimal import Decimal

from ..values import Side
from .charges import (
    NO_CHARGES,
    PAISA,
    RUPEE,
    Charges,
    Lines,
    Order,
    Terms,
    brokerage,
    half_up,
    lines_for,
    lines_of,
    tax_rate,
    value_of,
)
from .prices import exact
from .rates import rate
from .segments import classify

_ZERO = Decimal(0)
_PERCENT = Decimal("0.01")
_INTRADAY = ("MIS", "CO", "BO")
_CASH = ("NSE", "BSE")


def contract_note(orders: Iterable[Order], on: date, terms: Terms | None = None, *, netted: bool = False) -> Charges:
    """The charges of a day's orders as the contract note rounds them.

    A note of deliveries alone carries the minimum brokerage.
    """
    terms = terms or Terms()
    columns: dict[str, tuple[Lines, list[Decimal]]] = {}
    for exchange, column in _by_exchange(orders).items():
        lines = sum((lines_for(order, on, terms) for order in column), Lines())
        columns[exchange] = (lines, [lines.transaction_tax])
        if netted and exchange in _CASH:
            columns[exchange] = _netted(column, on, terms)
    if not any(lines.brokerage for lines, _ in columns.values()):
        least = rate("brokerage_note_minimum", on) if terms.note_minimum is None else exact(terms.note_minimum)
        for exchange, (lines, taxes) in columns.items():
            if exchange in _CASH and lines.sebi:
                columns[exchange] = (lines._replace(brokerage=least), taxes)
                break
    note = NO_CHARGES
    for exchange, (lines, taxes) in columns.items():
        note = note + _rounded(lines, taxes, exchange, on, terms)
    return Charges(*(float(exact(getattr(note, part.name))) for part in fields(note)))


def _by_exchange(orders: Iterable[Order]) -> dict[str, list[Order]]:
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(order.instrument.exchange, []).append(order)
    return found


def _rounded(lines: Lines, taxes: Sequence[Decimal], exchange: str, on: date, terms: Terms) -> Charges:
    fee = half_up(lines.exchange + lines.ipft, PAISA)
    printed = lines._replace(
        brokerage=half_up(lines.brokerage, PAISA),
        exchange=fee if terms.ipft_in_gst else half_up(lines.exchange, PAISA),
        sebi=half_up(lines.sebi, PAISA),
        ipft=_ZERO,
    )
    gst = printed.gst(on, terms)
    return Charges(
        brokerage=float(printed.brokerage),
        transaction_tax=float(sum((half_up(half_up(tax, PAISA), RUPEE) for tax in taxes), _ZERO)),
        exchange=float(fee),
        sebi=float(printed.sebi),
        stamp=float(half_up(lines.stamp, PAISA if exchange == "MCX" else RUPEE)),
        gst=float(2 * half_up(gst / 2, PAISA) if terms.split_gst else half_up(gst, PAISA)),
        ipft=float(half_up(lines.ipft, PAISA)),
    )


def _netted(orders: Sequence[Order], on: date, terms: Terms) -> tuple[Lines, list[Decimal]]:
    """The lines of a day's shares, and the taxes that are rounded apart: intraday and delivery."""
    lines, intraday_tax, delivery_tax = Lines(), _ZERO, _ZERO
    shares: dict[str, list[Order]] = {}
    for order in orders:
        if quantity_of(order):
            shares.setdefault(order.instrument.key, []).append(order)
    for same in shares.values():
        bought = sum(quantity_of(order) for order in same if order.side is Side.BUY)
        sold = sum(quantity_of(order) for order in same) - bought
        average = sum((value_of(order) for order in same), _ZERO) / (bought + sold)
        left = {side: min(bought, sold) for side in Side}
        for order in same:
            quantity = quantity_of(order)
            squared = min(left[order.side], quantity)  # the first to come are squared off
            left[order.side] -= squared
            for part, delivery in ((squared, False), (quantity - squared, True)):
                if part:
                    lines += _part(order, part, delivery, on, terms)
                    percent = tax_rate("eq", order.side, delivery, on, order.security)
                    tax = average * part * percent * _PERCENT
                    intraday_tax, delivery_tax = (
                        (intraday_tax, delivery_tax + tax) if delivery else (intraday_tax + tax, delivery_tax)
                    )
            lines += Lines(brokerage=_brokerage(order, squared, on, terms))
    return lines, [intraday_tax, delivery_tax]


def _part(order: Order, quantity: int, delivery: bool, on: date, terms: Terms) -> Lines:
    """Fees and stamp of a part of an order; its brokerage and its tax are not of the part alone."""
    product = "CNC" if delivery else "MIS"
    value = value_of(order) * quantity / quantity_of(order)
    lines = lines_of(
        classify(order.instrument), order.instrument.exchange, order.side, product, value, on,
        order.instrument.name, order.security, terms,
    )  # fmt: skip
    return lines._replace(brokerage=_ZERO, transaction_tax=_ZERO)


def _brokerage(order: Order, squared: int, on: date, terms: Terms) -> Decimal:
    """Of an order once for what was intraday of it (of an MIS order that is all), once for what was delivered."""
    quantity = quantity_of(order)
    intraday = quantity if order.product in _INTRADAY else squared
    total = _ZERO
    for part, product in ((intraday, "MIS"), (quantity - intraday, order.product)):
        if part:
            total += brokerage("eq", product, value_of(order) * part / quantity, on, terms)
    return total


def quantity_of(order: Order) -> int:
    """Units executed."""
    return sum(quantity for quantity, _ in order.fills)
