"""What each rule said of an order, with its figures: for the journal, and for who asks why."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..values import Proposal
from .ledger import Ledger
from .rules import (
    Funds,
    MaxDailyLoss,
    MaxDailyLossPct,
    MaxDailyTrades,
    MaxPortfolioLossPct,
    MaxPositionPct,
    Rule,
)


def verdicts(order: Proposal, rules: Sequence[Rule], book: Ledger) -> list[dict[str, Any]]:
    """A row a rule, in the order in which they are judged: its name, key and title, what it was held against and the
    limit (None where nothing is compared), and the reason against the order, empty if it passed."""
    rows = []
    for rule in rules:
        try:
            reason = rule.deny(order, book) or ""
            figures = None if order.reduces else rule.measure(order, book)
        except Exception as error:  # noqa: BLE001 - the gate has said no for the same cause; here it is written down
            reason, figures = f"{type(error).__name__}: {error}", None
        value, limit = figures or (None, None)
        rows.append(
            {
                "rule": type(rule).__name__,
                "key": rule.key,
                "title": rule.title,
                "value": _known(value),
                "limit": _known(limit),
                "reason": reason,
            }
        )
    return rows


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


_USED: Mapping[type[Any], Callable[[Ledger, Any], tuple[float, float]]] = {
    MaxPositionPct: lambda book, limit: (_largest(book), book.value * limit / 100),
    MaxDailyLoss: lambda book, limit: (max(0.0, -book.day_pnl), limit),
    MaxDailyLossPct: lambda book, limit: (max(0.0, -book.day_pnl), book.day_start_value * limit / 100),
    MaxDailyTrades: lambda book, limit: (float(book.entries_today), float(limit)),
    MaxPortfolioLossPct: lambda book, limit: (max(0.0, book.portfolio_loss), book.capital * limit / 100),
    Funds: lambda book, _: (book.used + book.committed(), book.used + book.committed() + max(0.0, book.free)),
}


def used(rules: Sequence[Rule], book: Ledger) -> list[dict[str, Any]]:
    """How much of each limit is taken, as the book stands: ``used`` and ``limit`` in rupees or in entries."""
    rows = []
    for rule in rules:
        measure = _USED.get(type(rule))
        if measure is not None:
            amount, limit = measure(book, getattr(rule, "limit", None))
            rows.append({"key": rule.key or "funds", "title": rule.title, "used": amount, "limit": limit})
    return rows


def _largest(book: Ledger) -> float:
    worth = (abs(held.quantity) * held.last_price * held.multiplier for held in book.positions().values())
    return max(worth, default=0.0)
