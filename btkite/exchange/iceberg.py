"""Iceberg orders: legs in whole lots, one at a time.

The first leg is placed at once; each next one is an order of its own, placed when the leg before is
filled. ``meta.iceberg`` links them. Uneven lots go to the first legs (31 lots in 2: 16, then 15).
"""

from __future__ import annotations

from collections.abc import Mapping

from .errors import bad_input
from .orders import Order
from .rulebook import Rulebook

LEAST = 2


def legs(total: int, count: int, lot: int) -> list[int]:
    """The quantities of the legs; empty if there are fewer lots than legs."""
    lots = total // lot
    if lots < count:
        return []
    each, extra = divmod(lots, count)
    return [(each + (number < extra)) * lot for number in range(count)]


def begin(order: Order, total: int, count: int, asked: int, rules: Rulebook) -> None:
    """Make ``order`` the first leg of ``count``. ``asked`` is the form's quantity of a leg."""
    if not rules.iceberg_legs:
        raise bad_input("Invalid `variety`.")
    if not LEAST <= count <= rules.iceberg_legs:
        raise bad_input(f"Invalid `iceberg_legs`. It must be between {LEAST} and {rules.iceberg_legs}.")
    sizes = legs(total, count, order.listing.row.lot_size)
    if not sizes or asked != sizes[0]:
        raise bad_input("Invalid `iceberg_quantity`.")
    order.quantity = sizes[0]
    order.iceberg = {
        "leg": 1,
        "legs": count,
        "leg_quantity": sizes[0],
        "total_quantity": total,
        "remaining_quantity": total - sizes[0],
    }


def has_next(order: Order) -> bool:
    """True if a leg follows this one."""
    return bool(order.iceberg) and order.iceberg["leg"] < order.iceberg["legs"]


def next_leg(order: Order) -> tuple[int, Mapping[str, int]]:
    """Quantity and ``meta.iceberg`` of the leg after ``order``."""
    facts = order.iceberg
    sizes = legs(facts["total_quantity"], facts["legs"], order.listing.row.lot_size)
    size = sizes[facts["leg"]]
    left = facts["remaining_quantity"] - size
    return size, {**facts, "leg": facts["leg"] + 1, "leg_quantity": size, "remaining_quantity": left}
