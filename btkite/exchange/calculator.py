"""Kite's calculator: the charges of orders that are described, not placed.

One order each, nothing rounded but stamp duty (rupee; paisa before 2023-04, assumed). ``/charges/orders`` counts
the investor protection fund (IPFT) into the exchange's fee, outside the base of GST; ``/margins/*`` leaves it
out and shows the note's least brokerage on deliveries. So the official samples of January and July 2023 have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

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
from .clock import day_of
from .errors import bad_input
from .instruments import InstrumentRow, describe

if TYPE_CHECKING:
    from .venue import Venue

STAMP_IN_RUPEES = date(2023, 4, 1)  # the samples of 2023-01 and 2023-07 bracket it


def no_charges() -> dict[str, Any]:
    """The shape, empty, as the totals of a basket carry it."""
    return {
        "transaction_tax": 0, "transaction_tax_type": "", "exchange_turnover_charge": 0, "sebi_turnover_charge": 0,
        "brokerage": 0, "stamp_duty": 0, "gst": {"igst": 0, "cgst": 0, "sgst": 0, "total": 0}, "total": 0,
    }  # fmt: skip


def api_charges(deal: Deal, day: date, *, contract_note: bool) -> dict[str, Any]:
    """Kite's ``charges`` object of one order; ``contract_note``: as ``/charges/orders`` has it, else ``/margins/*``."""
    fee_rate, fund_rate = fee_rates(deal, day)
    fee, fund = deal.value * fee_rate, deal.value * fund_rate if contract_note else ZERO
    paid = brokerage(deal, day)
    if not contract_note and not paid and deal.kind == "eq":
        paid = rate("brokerage_note_minimum", day)
    tax, sebi = deal.value * tax_rate(deal, day), deal.value * sebi_rate(deal, day)
    stamp = half_up(deal.value * stamp_rate(deal, day), RUPEE if day >= STAMP_IN_RUPEES else PAISA)
    gst = (paid + fee + (sebi if day >= GST_ON_SEBI else ZERO)) * rate("gst", day)
    return {
        "transaction_tax": _plain(tax),
        "transaction_tax_type": "ctt" if deal.family == "commodity" else "stt",
        "exchange_turnover_charge": _plain(fee + fund),
        "sebi_turnover_charge": _plain(sebi),
        "brokerage": _plain(paid),
        "stamp_duty": _plain(stamp),
        "gst": {"igst": _plain(gst), "cgst": 0, "sgst": 0, "total": _plain(gst)},
        "total": _plain(tax + fee + fund + sebi + paid + stamp + gst),
    }


def _plain(amount: Decimal) -> float | int:
    """As JSON writes it: whole numbers without a point."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def deal_of(item: Mapping[str, Any], row: InstrumentRow, price: float, security: str = "share") -> Deal:
    """The deal that an item of a margin or charges call describes, at ``price``."""
    quantity = whole(item, "quantity")
    side = item.get("transaction_type")
    if side not in ("BUY", "SELL"):
        raise bad_input("Invalid `transaction_type`.")
    product = str(item.get("product") or "")
    value = decimal(float(price)) * quantity * decimal(float(row.multiplier))
    return Deal(row, product, side == "BUY", quantity, value, product in ("MIS", "CO"), security)


def whole(item: Mapping[str, Any], name: str) -> int:
    """A quantity above zero of an item."""
    value = number(item, name)
    if value != int(value) or value <= 0:
        raise bad_input(f"Invalid `{name}`.")
    return int(value)


def number(item: Mapping[str, Any], name: str) -> float:
    """A number, zero or more, of an item; 0 if it is not there."""
    given = item.get(name)
    if given is None or given == "":
        return 0.0
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = -1.0
    if not 0 <= value < float("inf"):
        raise bad_input(f"Invalid `{name}`.")
    return value


def row_of(venue: Venue, item: Mapping[str, Any]) -> InstrumentRow:
    """The instrument of an item; one that is not listed here is known by its name's own words."""
    exchange, symbol = str(item.get("exchange") or ""), str(item.get("tradingsymbol") or "")
    listing = venue.market.listings.get(f"{exchange}:{symbol}")
    if listing is not None:
        return listing.row
    try:
        return describe(f"{exchange}:{symbol}")
    except ValueError:
        raise bad_input("Invalid `tradingsymbol` or `exchange`.") from None


def virtual_contract_note(venue: Venue, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``POST /charges/orders``: each order's charges at its ``average_price``, at the rates of the market's day."""
    today = day_of(venue.now)
    rows = []
    for item in checked_items(items):
        price = number(item, "average_price")
        if price <= 0:
            raise bad_input("Invalid `average_price`.")
        row = row_of(venue, item)
        deal = deal_of(item, row, price, venue.settings.securities.get(row.key, "share"))
        rows.append(
            {
                "transaction_type": item["transaction_type"],
                "tradingsymbol": row.tradingsymbol,
                "exchange": row.exchange,
                "variety": item.get("variety") or "regular",
                "product": deal.product,
                "order_type": item.get("order_type") or "",
                "quantity": deal.quantity,
                "price": int(price) if price == int(price) else price,
                "charges": api_charges(deal, today, contract_note=True),
            }
        )
    return rows


def checked_items(items: Any) -> Sequence[Mapping[str, Any]]:
    """The list of orders of a call, or Kite's refusal."""
    if not isinstance(items, Sequence) or isinstance(items, (str, bytes)) or not items:
        raise bad_input("Invalid input: a JSON list of orders is expected.")
    if not all(isinstance(item, Mapping) for item in items):
        raise bad_input("Invalid input: every order must be a JSON object.")
    return items
