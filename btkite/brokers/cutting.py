"""Cutting: which orders are too large for one order at Kite, and where they are cut, the same in every mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from ..market.permitted import largest_order
from ..values import Instrument

_WHOLE = ("iceberg",)
"""Varieties that Kite cuts itself."""


def is_many(order: Any) -> bool:
    """Whether it goes in slices; decided when it is given, for all its life."""
    return bool(order.ref > 0 and order.info.get("sliced"))


def is_too_large(order: Any, instrument: Instrument, day: date) -> bool:
    """Whether one order at Kite could not hold it."""
    most = largest_order(instrument, day)
    return most is not None and abs(order.size) > most and order.info.get("variety") not in _WHOLE


def pieces(done: int, units: int, most: int) -> Iterator[int]:
    """``units`` that follow ``done`` ones, cut where slices of ``most`` end."""
    while units > 0:
        piece = min(units, most - done % most)
        yield piece
        done, units = done + piece, units - piece


def by_slice(fills: Sequence[tuple[int, float]], most: int) -> list[list[tuple[int, float]]]:
    """The fills of a whole order as those of its slices, one filled after the other."""
    found: list[list[tuple[int, float]]] = []
    done = 0
    for quantity, price in fills:
        for piece in pieces(done, quantity, most):
            if done % most == 0:
                found.append([])
            found[-1].append((piece, price))
            done += piece
    return found
