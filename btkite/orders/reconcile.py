"""Whose is what: the journal's book against Kite's orders, trades, positions and holdings.

Pure: from what is known and what was read to what is to be done. The same reading twice asks for nothing the second
time, and what the stream has told meanwhile is in the knowledge already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..values import Position

Slot = tuple[str, str]
"""``EXCHANGE:TRADINGSYMBOL`` and product: products never net against each other."""


def account_of(positions: Sequence[Position], holdings: Iterable[Mapping[str, Any]]) -> dict[Slot, int]:
    """Signed units of everything in the account.

    Shares of an earlier day are holdings; the day's purchases and sales of them are positions of product CNC (a sale
    is negative there, while the holding's row stays as it is until the night). Kite names one exchange for a holding.
    """
    found: dict[Slot, int] = {}

    def add(key: str, product: str, quantity: int) -> None:
        found[key, product] = found.get((key, product), 0) + quantity

    for row in positions:
        add(f"{row.exchange}:{row.tradingsymbol}", row.product, row.quantity)
    for held in holdings:
        key = f"{held['exchange']}:{held['tradingsymbol']}"
        free = sum(int(held.get(name) or 0) for name in ("quantity", "t1_quantity", "collateral_quantity"))
        add(key, "CNC", free)
        add(key, "MTF", int((held.get("mtf") or {}).get("quantity") or 0))
    return found
