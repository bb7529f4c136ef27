"""Lasting: the account over restarts. The journal holds it; what the last run left becomes this run's again."""

from __future__ import annotations

from datetime import date
from typing import Any

import backtrader as bt

from . import hours, translate
from .account import Account
from .record import Record, restore_orders
from .terms import Terms


class Lasting(Account):
    """With a ``record``, every event is written down with the account after it."""

    orders: dict[int, Any]
    terms: dict[int, Terms]

    def init(self) -> None:
        super().init()
        self.record: Record | None = self.p.record
        self._saved: dict[str, Any] | None = None
        self._adopted = False
        self.newest = 0  # the highest ref of the runs before
        self._trailing: dict[int, int] = {}  # ref -> length of its data when last looked at

    def _write(self, kind: str, **facts: Any) -> None:
        if self.record is not None:
            self.record.note(kind, self, **facts)

    def adopt(self) -> None:
        """Once, when strategies exist: what the last run left becomes theirs again."""
        strategies = getattr(self.cerebro, "runningstrats", None)
        if self._saved is None or not strategies:
            return
        book, self._saved = self._saved, None
        self._adopted = True
        restore_orders(self, book, strategies)
        self._write("restored", orders=len(book["orders"]), positions=len(book["positions"]))
        self.flush()

    def account_state(self) -> dict[str, Any]:
        """What a restart must know beside the book; nothing, where the account is ours alone."""
        return {}

    def holds(self) -> list[tuple[str, bt.Position, str]]:
        """Open positions: key, position, ISO date since when."""
        return [
            (key, position, self._since.get(key, date.min).isoformat())
            for key, position in self._positions.items()
            if position.size
        ]

    def holdings(self, today: date) -> list[dict[str, Any]]:
        """Delivery positions as Kite's holdings: what was bought before ``today``; until the exchange has
        delivered it, one trading day later, it counts as ``t1_quantity``."""
        rows = []
        for key, position, since in self.holds():
            if self._products.get(key) not in ("CNC", "MTF") or date.fromisoformat(since) >= today:
                continue
            exchange = key.partition(":")[0]
            delivered = hours.next_session_day(exchange, date.fromisoformat(since)) < today
            rows.append(
                {
                    "tradingsymbol": key.partition(":")[2],
                    "exchange": exchange,
                    "quantity": position.size if delivered else 0,
                    "t1_quantity": 0 if delivered else position.size,
                    "average_price": position.price,
                }
            )
        return rows

    def set_position(self, key: str, size: int, price: float, product: str, since: date) -> None:
        """A position as the journal has it."""
        self._positions[key] = bt.Position(size, price)
        self._products[key], self._since[key] = product, since

    def put_back(self, order: Any, terms: Terms, fills: list[tuple[int, float]]) -> None:
        """An order of the last run is known again."""
        self.orders[order.ref] = order
        self.terms[order.ref] = terms
        self._know(order.data)
        if fills:
            self._fills[order.ref] = fills
            self._charged[order.ref] = order.executed.comm
        if order.exectype in translate.TRAILING:
            self._trailing[order.ref] = len(order.data)

    def is_out(self, order: Any) -> bool:
        """Whether a market that outlives the process may have it."""
        return False

    def resume(self, order: Any) -> None:
        """A living order of the last run goes on."""
        self.admit(order)
