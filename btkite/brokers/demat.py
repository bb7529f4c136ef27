"""Demat: which shares have left the demat account today, for the depository's charge.

The charge is taken once a share and day, whatever the quantity, when more of it was sold for delivery than bought that
day. It is booked with the fill that makes it so, and given back with the fill that undoes it: settlement is by the
day's net, and shares that were bought back never leave the demat account.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from ..market.levies import depository_charge
from ..values import Denial

DELIVERY = ("CNC", "MTF")
_CASH = ("NSE", "BSE")


def not_bought(short: int, wanted: int, key: str, product: str) -> Denial:
    """A delivery sale of shares that are not there, or not the strategy's to sell."""
    return Denial(
        "holdings",
        f"{short} of {wanted} {key} ({product}) were not bought by this strategy's orders: shares that are delivered "
        "cannot be sold short (MIS can), and other holdings are not sold",
    )


class Demat:
    """Cerebro's thread only; :meth:`state` is what a restart needs."""

    def __init__(self) -> None:
        self._day: date | None = None
        self._net: dict[str, int] = {}  # bought less sold today, by symbol: one ISIN on both exchanges
        self._sold: set[str] = set()
        self._paid: dict[int | str, float] = {}

    def charge(self, bill: int | str, key: str, product: str, signed: int, day: date, *, woman: bool = False) -> float:
        """Book a fill of ``signed`` units of ``EXCHANGE:TRADINGSYMBOL`` by the order ``bill``: its ref, or, of others,
        Kite's id. The ₹ that this order owes the depository in all, negative if it spares what another has paid."""
        exchange, _, symbol = key.partition(":")
        if product in DELIVERY and exchange in _CASH:
            if self._day is None or day > self._day:
                self._day, self._net, self._sold = day, {}, set()
                self._paid = {one: paid for one, paid in self._paid.items() if isinstance(one, int)}
            self._net[symbol] = self._net.get(symbol, 0) + signed
            leaves = self._net[symbol] < 0
            if leaves != (symbol in self._sold):
                self._sold ^= {symbol}
                fee = depository_charge(day, woman=woman)
                self._paid[bill] = self._paid.get(bill, 0.0) + (fee if leaves else -fee)
        return self._paid.get(bill, 0.0)

    def drop(self, ref: int) -> None:
        """Nothing will ever be asked of this order again."""
        self._paid.pop(ref, None)

    def state(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "day": None if self._day is None else self._day.isoformat(),
            "net": dict(self._net),
            "sold": sorted(self._sold),
            "paid": {str(bill): paid for bill, paid in self._paid.items() if isinstance(bill, int)},
            "theirs": {bill: paid for bill, paid in self._paid.items() if isinstance(bill, str)},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """What :meth:`state` was."""
        self._day = date.fromisoformat(state["day"]) if state.get("day") else None
        self._net, self._sold = dict(state.get("net", {})), set(state.get("sold", ()))
        self._paid = {int(ref): float(paid) for ref, paid in state.get("paid", {}).items()}
        self._paid |= {order_id: float(paid) for order_id, paid in state.get("theirs", {}).items()}
