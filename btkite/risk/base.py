"""What a rule is, what it may know of the book, and the words that rules share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Protocol

from ..values import Proposal

HALF_A_PAISA = 0.005
"""₹. Sums of rupees carry an error of rounding; what is less than half a paisa over is not over."""


class LedgerView(Protocol):
    """What a rule may know of the book (:class:`btkite.risk.ledger.Ledger`). ₹, but for what is counted."""

    capital: float
    day_start_value: float
    loss_from: float
    peak: float

    @property
    def value(self) -> float: ...

    @property
    def free(self) -> float: ...

    @property
    def used(self) -> float: ...

    @property
    def day_pnl(self) -> float: ...

    @property
    def portfolio_loss(self) -> float: ...

    @property
    def drawdown(self) -> float: ...

    @property
    def entries_today(self) -> int: ...

    @property
    def losing_streak(self) -> int: ...

    @property
    def lost_last(self) -> datetime | None: ...

    def committed(self) -> float: ...

    def required(self, order: Proposal) -> float: ...

    def entries_before(self, order: Proposal) -> int: ...

    def entries_of(self, order: Proposal) -> int: ...

    def entries_by_key(self) -> Mapping[str, int]: ...

    def exposure(self, order: Proposal) -> float: ...

    def units(self, order: Proposal) -> int: ...

    def gross(self, order: Proposal | None = None) -> float: ...

    def net(self, sign: int, order: Proposal | None = None) -> float: ...

    def open_keys(self, order: Proposal | None = None) -> int: ...

    def largest(self) -> float: ...

    def longest(self) -> int: ...

    def orders_since(self, seconds: float, now: datetime | None) -> int: ...

    def like(self, order: Proposal) -> float | None: ...

    def is_working(self, ref: int) -> bool: ...

    def empty(self) -> LedgerView: ...


class Rule(Protocol):
    """One limit.

    ``key``: its name in the configuration, empty for a law of the exchange · ``also``: keys of its other fields ·
    ``funds``: it speaks of money that is not there · ``watched``: it looks at what is lost, and so at every mark ·
    ``latches``: once it has said no, nothing is opened any more until trading is resumed · ``timed``: it depends
    on the moment or on the orders before, not on the size · ``unit``: of its figures: ₹, %, s, or empty for a count.
    """

    key: ClassVar[str]
    also: ClassVar[Mapping[str, str]]
    funds: ClassVar[bool]
    watched: ClassVar[bool]
    latches: ClassVar[bool]
    timed: ClassVar[bool]
    unit: ClassVar[str]

    @property
    def title(self) -> str:
        """The limit in a few words, for a summary."""
        ...

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        """The reason against ``order``, or None."""
        ...

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float] | None:
        """What the limit is held against for an ``order`` that opens, and the limit, in the unit of the limit; None
        where there is nothing to compare."""
        ...

    def used(self, book: LedgerView) -> tuple[float, float] | None:
        """How much of the limit the book has taken, and the limit; None where there is nothing to show."""
        ...


class Plain:
    """What most rules are: about an order, neither about funds nor for good."""

    __slots__ = ()
    key: ClassVar[str] = ""
    also: ClassVar[Mapping[str, str]] = {}
    funds: ClassVar[bool] = False
    watched: ClassVar[bool] = False
    latches: ClassVar[bool] = False
    timed: ClassVar[bool] = False
    unit: ClassVar[str] = "₹"

    @classmethod
    def misgiven(cls, limit: Any) -> str:
        """What a limit must be, if ``limit`` is not that; empty if it is."""
        number = isinstance(limit, int | float) and not isinstance(limit, bool)
        return "" if number and math.isfinite(limit) and limit >= 0 else "a number of at least 0, or null for no limit"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float] | None:
        return None

    def used(self, book: LedgerView) -> tuple[float, float] | None:
        return None


class Watched(Plain, ABC):
    """A limit of what may be lost: it looks at the account, whatever the order."""

    __slots__ = ()
    watched: ClassVar[bool] = True
    follows: ClassVar[bool] = False  # the loss is counted from the account's best

    @abstractmethod
    def lost(self, book: LedgerView) -> tuple[float, float]:
        """₹ lost, and ₹ that may be."""

    @abstractmethod
    def passed(self, book: LedgerView) -> str | None:
        """That the limit is passed, as a sentence; None if it is not."""

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        return None if order.reduces else self.passed(book)

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return self.lost(book)

    def used(self, book: LedgerView) -> tuple[float, float]:
        lost, most = self.lost(book)
        return max(0.0, lost), most


def is_over(amount: float, limit: float) -> bool:
    """Whether ₹ ``amount`` is a paisa or more above the limit. Of what is no number, it is."""
    return not amount <= limit + HALF_A_PAISA


def rupees(amount: float) -> str:
    """₹ with Indian grouping and paise: ``₹12,34,567.50``."""
    sign = "-" if round(amount, 2) < 0 else ""
    whole, _, paise = f"{abs(amount):.2f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    groups = [tail]
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return f"{sign}₹{','.join(groups)}.{paise}"


def no_price(order: Proposal) -> str | None:
    """That an order's value cannot be judged, if no price is known."""
    if math.isfinite(order.worst_price) and order.worst_price > 0:
        return None
    return f"no price of {order.instrument.key} is known yet, so the order's value cannot be judged"
