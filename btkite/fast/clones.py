"""Copies of orders for notifications, without the detour of :mod:`copy` over pickling."""

from __future__ import annotations

from typing import Any


def clone(order: Any) -> Any:
    """As ``order.clone()`` of backtrader's own orders."""
    made = object.__new__(type(order))
    made.__dict__.update(order.__dict__)
    executed = order.executed
    executed.p1, executed.p2 = executed.p2, len(executed.exbits)
    copied = object.__new__(type(executed))
    copied.__dict__.update(executed.__dict__)
    made.__dict__["executed"] = copied
    return made
