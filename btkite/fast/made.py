"""Orders made without the detour over backtrader's metaclass, which gathers fifteen parameters one by one."""

from __future__ import annotations

from typing import Any


def make(kind: Any, **given: Any) -> Any:
    """As ``kind(**given)`` of backtrader's own order classes."""
    params = object.__new__(kind.params)
    params.__dict__.update(kind.params._getpairs())
    params.__dict__.update(given)
    order = object.__new__(kind)
    order.__dict__["params"] = order.__dict__["p"] = params
    order.__init__()
    return order
