"""What ``self.buy(..., product="CNC")`` may say of Kite's, and what is said almost like it.

Keyword arguments that are not backtrader's end in ``order.info``, whatever they are called; so a misspelt one of
Kite's would be heard by nobody, and a plain order would go out in its place.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from ..values import Denial

KITE_FIELDS = (
    "product",
    "variety",
    "validity",
    "tag",
    "market_protection",
    "disclosed_quantity",
    "iceberg_legs",
    "iceberg_quantity",
    "autoslice",
    "validity_ttl",
)
"""Kite's own; everything else stays in ``order.info``."""

OUR_FIELDS = ("carry", "after_hours")
_NOTES = ("instrument", "flattens")
"""What the brokers themselves write down."""

_BACKTRADERS = ("exectype", "plimit", "valid", "tradeid", "trailamount", "trailpercent", "parent", "transmit")
_OTHERWISE = {
    "order_type": "exectype",
    "trigger_price": "price (with exectype=Order.Stop)",
    "limit_price": "plimit (of a StopLimit) or price (of a Limit)",
    "quantity": "size",
    "transaction_type": "buy() or sell()",
}
"""Kite's words for what backtrader calls by another name."""

_ALIKE = 0.75
_WORDS = {
    "product": ("CNC", "MIS", "NRML", "MTF"),
    "variety": ("regular", "amo", "iceberg", "auction"),
    "validity": ("DAY", "IOC", "TTL"),
    "after_hours": ("next_open", "amo", "refuse"),
}
_COUNTS = ("disclosed_quantity", "validity_ttl", "iceberg_legs", "iceberg_quantity")


def misunderstood(given: Mapping[str, Any]) -> Denial | None:
    """Why keyword arguments can not have been meant as they stand, or None."""
    for name, value in given.items():
        problem = _name(name) or _value(name, value)
        if problem is not None:
            return Denial("wording", problem)
    return None


def _name(name: str) -> str | None:
    if name in _OTHERWISE:
        return f"{name} is {_OTHERWISE[name]} in backtrader: the order was not sent"
    if name in KITE_FIELDS or name in OUR_FIELDS or name in _NOTES:
        return None
    near = difflib.get_close_matches(name.lower(), (*KITE_FIELDS, *OUR_FIELDS, *_BACKTRADERS), n=1, cutoff=_ALIKE)
    return f"{name} is no field of an order: did you mean {near[0]}?" if near else None


def _value(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if name in _WORDS:
        if value in _WORDS[name] or (value == "" and name != "after_hours"):
            return None
        by_lower = {word.lower(): word for word in _WORDS[name]}
        near = difflib.get_close_matches(str(value).lower(), by_lower, n=1, cutoff=_ALIKE)
        meant = by_lower[near[0]] if near else ""
        hint = f"did you mean {meant}?" if meant else f"use one of {', '.join(_WORDS[name])}"
        return f"{value!r} is no {name}: {hint}"
    if name == "market_protection" and not (_is_number(value) and (value == -1 or 0 < value <= 100)):
        return f"market_protection must be -1 (Kite's own) or above 0 and at most 100 per cent, not {value!r}"
    if name in _COUNTS and not (_is_number(value) and value >= 0 and value == int(value)):
        return f"{name} must be a whole number of at least 0, not {value!r}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
