"""What each rule said of an order, with its figures: for the journal, and for who asks why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..values import Proposal
from .base import LedgerView, Rule, rupees


def verdicts(order: Proposal, rules: Sequence[Rule], book: LedgerView) -> list[dict[str, Any]]:
    """A row a rule, in the order in which they are judged: its name, key and title, what it was held against and the
    limit (None where nothing is compared) with their unit, and the reason against the order, empty if it passed."""
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
                "unit": rule.unit,
                "reason": reason,
            }
        )
    return rows


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def used(rules: Sequence[Rule], book: LedgerView) -> list[dict[str, Any]]:
    """How much of each limit is taken, as the book stands: ``used`` and ``limit`` in rupees, or as ``unit`` says."""
    rows = []
    for rule in rules:
        figures = rule.used(book)
        if figures is not None:
            amount, limit = figures
            rows.append(
                {"key": rule.key or "funds", "title": rule.title, "used": amount, "limit": limit, "unit": rule.unit}
            )
    return rows


def figure(value: float, unit: str) -> str:
    """A figure of a rule with its unit: ``₹1,000.00``, ``5``, ``12 s``."""
    return rupees(value) if unit == "₹" else f"{value:,.0f} {unit}".rstrip()
