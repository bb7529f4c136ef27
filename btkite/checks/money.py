"""Promises about money: what btkite's ledger says is what the exchange's trades and its contract note say."""

from __future__ import annotations

from collections.abc import Iterator

from .evidence import Evidence

_PAISA = 0.01
_BROKERAGE = 20 * 1.18
"""₹ of one order, with GST: an order in slices is charged as if they had filled one after the other, and of slices
that fill side by side each may pay its own."""


def realized(e: Evidence) -> Iterator[str]:
    """Realized profit: what came in less what went out, and what is held at its cost."""
    if not e.day.end:
        return
    flow = 0.0
    for trade in e.day.trades:
        if e.followed(trade):
            value = float(trade["average_price"]) * int(trade["quantity"])
            flow += value if trade["transaction_type"] == "SELL" else -value
    cost = sum(size * price for size, price in e.day.end["position"].values())
    wanted, found = flow + cost, float(e.day.end["realized"])
    rounding = _PAISA + sum(abs(size) for size, _ in e.day.end["position"].values()) * 0.00005
    if abs(wanted - found) > rounding:
        yield f"₹{found:,.2f} are realized here, and by the exchange's trades ₹{wanted:,.2f}"


def charges(e: Evidence) -> Iterator[str]:
    """What each order cost, added up."""
    if not e.day.end:
        return
    ours = {str(order["order_id"]) for order in filter(e.followed, e.day.orders)}
    wanted = sum(total for order_id, total in e.day.note.items() if order_id in ours)
    found = float(e.day.end["charges"])
    slack = _BROKERAGE * sum(int(row["ref"]) < 0 for row in e.intents.values())
    if abs(wanted - found) > slack + _PAISA * max(1, len(e.day.note)):
        yield f"₹{found:,.2f} of charges here, and ₹{wanted:,.2f} by the exchange's contract note"
