"""Autoslice: an order above the freeze quantity becomes up to ten ordinary ones.

The answer names a parent (an id that is in no book) and its children, each an ``order_id`` or the error
that refused it (Zerodha's sample of 2026-03-25).
"""

from __future__ import annotations

from typing import Any

from .checks import CASH, Terms, freeze_quantity
from .errors import Refusal, bad_input
from .listing import Listing


def sizes(listing: Listing, quantity: int, terms: Terms) -> list[int]:
    """The quantities of the slices, the last one the smallest."""
    row, rules = listing.row, terms.rules
    most = freeze_quantity(row, rules)
    if not most and row.exchange in CASH:
        most = rules.max_quantity.get(row.exchange, 0)
    if not rules.autoslice or not most:
        raise bad_input(f"Order slicing is not available for {row.tradingsymbol}.")
    least = 2 * most if terms.settings.autoslice_min == "2*freeze" else most
    if quantity <= most or quantity < least:
        raise bad_input(f"Quantity should be greater than or equal to {least} for order slicing.")
    if quantity > most * rules.slices:
        raise bad_input(f"An order can be sliced into {rules.slices} at most: {most * rules.slices} is the limit.")
    whole, rest = divmod(quantity, most)
    return [most] * whole + ([rest] if rest else [])


def failed(refusal: Refusal) -> dict[str, Any]:
    """A child that was refused."""
    return {
        "error": {
            "code": refusal.code,
            "error_type": refusal.error_type,
            "message": refusal.message,
            "data": refusal.data,
        }
    }


def tags(parent_id: str) -> list[str]:
    """What the children carry."""
    return ["autoslice", f"autoslice:{parent_id}"]
