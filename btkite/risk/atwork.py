"""The orders of one account that work, and what they may come to: the worst case of each position."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..values import Proposal
from .exposure import on_side, signed, units_on_side
from .money import Money
from .working import Working, beyond, claims_of, most

MarginRate = Callable[[Proposal], float]
"""Fraction of an order's value that it blocks: 1 for delivery, 0.2 for five times leverage."""


def full_value(order: Proposal) -> float:
    """The margin rate without leverage."""
    return 1.0


class AtWork(Money):
    """Money, and the orders that may still change it."""

    def __init__(self, capital: float, *, margin_rate: MarginRate = full_value) -> None:
        super().__init__(capital)
        self.funds_limit: float | None = None
        self._margin_rate = margin_rate
        self._blocks: dict[str, float] = {}
        self._committed: float | None = 0.0
        self._orders: dict[int, Working] = {}
        self.going: Callable[[], Collection[int]] = tuple
        """Refs of working orders whose cancellation is on its way: what closes in their stead waits for their end."""

    @property
    def free(self) -> float:
        """What the next order may use, ₹: cash less what working orders may come to block.

        Never more than :attr:`funds_limit`, where live keeps Kite's own available margin.
        """
        free = self.cash - self.committed()
        return free if self.funds_limit is None else min(free, self.funds_limit)

    def is_working(self, ref: int) -> bool:
        """True if the order was allowed and has not come to its end."""
        return ref in self._orders and self._orders[ref].alive

    def is_exit(self, ref: int) -> bool:
        """True if the order was allowed as one that can only reduce."""
        return ref in self._orders and not self._orders[ref].entry

    def worst_case(self, key: str) -> tuple[int, int]:
        """The longest and the shortest that the position can become, both as positive units."""
        low, high = self._range(key, None)
        return max(0, high), max(0, -low)

    def reduces(self, order: Proposal, *, at_once: bool = False) -> bool:
        """True if the worst case over the position and all working orders neither grows nor crosses zero. Orders on
        their way out count only if ``order`` is not to wait for their end (``at_once``).

        A bracket's child whose parent is still to trade is measured against the parent: it can only sell
        again what that will have bought.
        """
        record = self._record(order)
        parent = self._orders.get(order.parent)
        if parent is not None and parent.sign != record.sign and parent.key == record.key:
            return record.quantity <= parent.quantity
        held = self.position(record.key).quantity
        if held == 0 or (held > 0) == (record.sign > 0):
            return False
        low, high = self._range(record.key, record, () if at_once else self.going())
        return low >= 0 if held > 0 else high <= 0

    def short_by(self, order: Proposal) -> int:
        """Units by which the position would be short in the worst case, with ``order``."""
        low, _ = self._range(order.instrument.key, self._record(order))
        return max(0, -low)

    def exposure(self, order: Proposal) -> float:
        """₹ that the position would put at risk on the order's side, if it and all that works there trades."""
        record = self._record(order)
        return on_side(self.position(record.key), self._of(record.key, record), record.sign)

    def units(self, order: Proposal) -> int:
        """Units of the position on the order's side, if it and all that works there trades."""
        record = self._record(order)
        return units_on_side(self.position(record.key), self._of(record.key, record), record.sign)

    def gross(self, order: Proposal | None = None) -> float:
        """₹ at risk in all instruments, each on its dearer side, if all that works there trades, and ``order``."""
        total = 0.0
        for key, orders in self._by_key(order):
            held = self.position(key)
            total += max(on_side(held, orders, 1), on_side(held, orders, -1))
        return total

    def net(self, sign: int, order: Proposal | None = None) -> float:
        """₹ at risk in all instruments on one side less those on the other, if all that works on that side trades, and
        ``order``, and nothing of the rest."""
        total = 0.0
        for key, orders in self._by_key(order):
            total += signed(self.position(key), orders, sign)
        return total

    def open_keys(self, order: Proposal | None = None) -> int:
        """Instruments that are held or have an entry at work, and that of ``order``."""
        found = {*self._held, *(other.key for other in self._orders.values() if other.alive and other.entry)}
        return len(found if order is None else found | {order.instrument.key})

    def largest(self) -> float:
        """₹ that the dearest position puts at risk."""
        return max((held.at_risk for held in self._held.values()), default=0.0)

    def longest(self) -> int:
        """Units of the largest position, whatever its side."""
        return max((abs(held.quantity) for held in self._held.values()), default=0)

    @property
    def opens(self) -> bool:
        """Whether an order is at work that may open or enlarge a position."""
        return any(order.alive and order.entry for order in self._orders.values())

    @property
    def rests(self) -> bool:
        """Whether nothing is held and nothing is at work."""
        return not self._held and not any(order.alive for order in self._orders.values())

    def committed(self) -> float:
        """₹ that working orders may come to block beyond the positions."""
        if self._committed is None:
            for key in {order.key for order in self._orders.values()} - self._blocks.keys():
                self._blocks[key] = self._block(key, None)
            self._committed = sum(self._blocks[key] for key in sorted(self._blocks))
        return self._committed

    def required(self, order: Proposal) -> float:
        """₹ that ``order`` adds to what working orders may come to block; a change, what it adds to itself."""
        record = self._record(order)
        return self._block(record.key, record) - self._block(record.key, None)

    def _block(self, key: str, extra: Working | None) -> float:
        """What the orders on one instrument may come to block, both sides, less what closes the position."""
        held, orders, total = self.position(key).quantity, self._of(key, extra), 0.0
        for sign in (1, -1):
            for claim in beyond(claims_of(orders, sign), -held * sign):
                total += claim.cost
        return total

    def _touch(self, key: str) -> None:
        """Something about this instrument's position or orders has changed."""
        self._blocks.pop(key, None)
        self._committed = None

    def _put(self, order: Working) -> None:
        self._orders[order.ref] = order
        self._touch(order.key)

    def _record(self, order: Proposal) -> Working:
        old = self._orders.get(order.ref)
        filled = 0 if old is None else old.filled
        return Working(
            ref=order.ref,
            key=order.instrument.key,
            sign=order.side.sign,
            quantity=order.quantity,
            price=order.worst_price,
            multiplier=order.instrument.multiplier,
            margin_rate=self._margin_rate(order),
            said=max(0, order.quantity - filled),
            filled=filled,
            group=order.group,
            parent=order.parent,
            entry="" if order.reduces else entry_name(order),
            at_margin=order.instrument.is_future or order.instrument.is_option,
        )

    def _by_key(self, order: Proposal | None) -> list[tuple[str, dict[int, Working]]]:
        """Each instrument that is held or has orders, in the order of the keys, with its orders, ``order`` among
        them."""
        extra = None if order is None else self._record(order)
        keys = {*self._held, *(other.key for other in self._orders.values()), *(() if extra is None else (extra.key,))}
        return [(key, self._of(key, extra if extra is not None and extra.key == key else None)) for key in sorted(keys)]

    def _of(self, key: str, extra: Working | None, without: Collection[int] = ()) -> dict[int, Working]:
        """The orders on one instrument, ``extra`` among them or in place of its older self."""
        orders = {order.ref: order for order in self._orders.values() if order.key == key and order.ref not in without}
        if extra is not None:
            orders[extra.ref] = extra
        return orders

    def _range(self, key: str, extra: Working | None, without: Collection[int] = ()) -> tuple[int, int]:
        held, orders = self.position(key).quantity, self._of(key, extra, without)
        return held - most(orders, -1), held + most(orders, 1)


def entry_name(order: Proposal) -> str:
    """Under which name an order counts among the day's entries: an OCO group is one entry, its first order's."""
    return str(order.group or order.ref)
