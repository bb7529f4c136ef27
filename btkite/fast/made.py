"""Orders made without the detour over backtrader's metaclass, which gathers fifteen parameters one by one."""

from __future__ import annotations

from typing import Any

_RARE = ("simulated", "histnotify", "oco")
"""Left where they are: with more than thirty attributes an object takes three times the memory."""


def make(kind: Any, **given: Any) -> Any:
    """As ``kind(**given)`` of backtrader's own order classes. What an order has of its parameters it has at hand, too:
    backtrader looks each of them up there some forty times in an order's life."""
    values = {**kind.params._getpairs(), **given}
    params = object.__new__(kind.params)
    params.__dict__.update(values)
    order = object.__new__(kind)
    for name in _RARE:
        del values[name]
    order.__dict__.update(values, params=params, p=params)
    order.__init__()
    return order


def at_hand(order: Any) -> None:
    """The same for an order that is there."""
    own = order.__dict__
    for name, value in order.p.__dict__.items():
        own.setdefault(name, value)
