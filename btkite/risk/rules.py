"""The limits, each a sentence with a number in it.

A rule has no state, no clock and no I/O: it looks at one order and at the book, and gives its reason
against the order, or None. Equal to the limit is allowed, one paisa over it is not. Orders that reduce
risk pass every limit; only what the exchange itself would refuse (no whole quantity, no whole lot) holds
for them too.

To add one: a frozen class here, a row in :data:`RULES`, a key in the configuration.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ..errors import ConfigError
from ..values import Denial, Instrument, OrderType, Proposal, Side

HALF_A_PAISA = 0.005
"""₹. Sums of rupees carry an error of rounding; what is less than half a paisa over is not over."""


class LedgerView(Protocol):
    """What a rule may know of the book (:class:`btkite.risk.ledger.Ledger`)."""

    capital: float
    day_start_value: float

    @property
    def value(self) -> float: ...

    @property
    def free(self) -> float: ...

    @property
    def day_pnl(self) -> float: ...

    @property
    def loss_from(self) -> float: ...

    @property
    def portfolio_loss(self) -> float: ...

    def entries_before(self, order: Proposal) -> int: ...

    def exposure(self, order: Proposal) -> float: ...

    def required(self, order: Proposal) -> float: ...

    def empty(self) -> LedgerView: ...


class Rule(Protocol):
    """One limit. ``key`` is its name in the configuration, empty for a law of the exchange.

    ``funds``: it speaks of money that is not there. ``latches``: once it has said no, nothing is opened
    any more until the gate is armed again.
    """

    key: ClassVar[str]
    funds: ClassVar[bool]
    latches: ClassVar[bool]

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


class _Plain:
    """What most rules are: neither about funds nor for good."""

    __slots__ = ()
    key: ClassVar[str] = ""
    funds: ClassVar[bool] = False
    latches: ClassVar[bool] = False

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float] | None:
        return None


@dataclass(frozen=True, slots=True)
class WholeQuantity(_Plain):
    """A quantity is a whole number, at least 1."""

    @property
    def title(self) -> str:
        return "whole quantity"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.quantity >= 1 and order.quantity == math.floor(order.quantity):
            return None
        return f"the quantity must be a whole number of at least 1, not {order.quantity:g}"


@dataclass(frozen=True, slots=True)
class LotSize(_Plain):
    """Derivatives trade in whole lots (Kite's instruments file, column ``lot_size``)."""

    @property
    def title(self) -> str:
        return "lot size"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        lot = order.instrument.lot_size
        if lot <= 1 or order.quantity % lot == 0:
            return None
        below = order.quantity // lot * lot
        nearest = f"{below} or {below + lot}" if below else f"{lot}"
        return f"quantity {order.quantity} is not a multiple of {order.instrument.key}'s lot of {lot}: use {nearest}"


@dataclass(frozen=True, slots=True)
class MaxPositionPct(_Plain):
    """No position, with all that works for it, may be worth more than ``limit`` % of the account's value."""

    limit: float
    key: ClassVar[str] = "risk.max_position_pct"

    @property
    def title(self) -> str:
        return f"max position {self.limit:g} %"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        if no_price := _no_price(order):
            return no_price
        worth, most = self.measure(order, book)
        if worth <= most + HALF_A_PAISA:
            return None
        return (
            f"the position in {order.instrument.key} could reach {rupees(worth)}, "
            f"the limit is {rupees(most)} ({self.limit:g} % of {rupees(book.value)})"
        )

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.exposure(order), book.value * self.limit / 100


@dataclass(frozen=True, slots=True)
class MaxOrderValue(_Plain):
    """No order may be worth more than ``limit`` ₹ at its worst price."""

    limit: float
    key: ClassVar[str] = "risk.max_order_value"

    @property
    def title(self) -> str:
        return f"max order value {rupees(self.limit)}"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        if no_price := _no_price(order):
            return no_price
        if order.value <= self.limit + HALF_A_PAISA:
            return None
        return f"the order is worth {rupees(order.value)}, the limit is {rupees(self.limit)}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return order.value, self.limit


@dataclass(frozen=True, slots=True)
class MaxDailyLoss(_Plain):
    """Open nothing more after a loss of ``limit`` ₹ in one session, open positions and charges included."""

    limit: float
    key: ClassVar[str] = "risk.max_daily_loss"

    @property
    def title(self) -> str:
        return f"max daily loss {rupees(self.limit)}"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces or -book.day_pnl <= self.limit + HALF_A_PAISA:
            return None
        return f"{rupees(-book.day_pnl)} were lost today, the limit is {rupees(self.limit)}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return -book.day_pnl, self.limit


@dataclass(frozen=True, slots=True)
class MaxDailyLossPct(_Plain):
    """Open nothing more after a loss in one session of ``limit`` % of the value with which it began."""

    limit: float
    key: ClassVar[str] = "risk.max_daily_loss_pct"

    @property
    def title(self) -> str:
        return f"max daily loss {self.limit:g} %"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        lost, most = self.measure(order, book)
        if order.reduces or lost <= most + HALF_A_PAISA:
            return None
        return (
            f"{rupees(-book.day_pnl)} were lost today, the limit is {rupees(most)} "
            f"({self.limit:g} % of the {rupees(book.day_start_value)} at the day's start)"
        )

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return -book.day_pnl, book.day_start_value * self.limit / 100


@dataclass(frozen=True, slots=True)
class MaxDailyTrades(_Plain):
    """Open no new position after ``limit`` entries in one session: filled, working and uncertain ones."""

    limit: int
    key: ClassVar[str] = "risk.max_daily_trades"

    @property
    def title(self) -> str:
        return f"max {self.limit} entries a day"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        entries = book.entries_before(order)
        if order.reduces or entries < self.limit:
            return None
        return f"{entries} entries today, the limit is {self.limit}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return float(book.entries_before(order)), float(self.limit)


@dataclass(frozen=True, slots=True)
class MaxPortfolioLossPct(_Plain):
    """Open nothing any more once more than ``limit`` % of the capital is lost."""

    limit: float
    key: ClassVar[str] = "risk.max_portfolio_loss_pct"
    latches: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"max portfolio loss {self.limit:g} %"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        lost, most = self.measure(order, book)
        if order.reduces or lost <= most + HALF_A_PAISA:
            return None
        since = "" if book.loss_from == book.capital else " since the gate was armed again"
        return (
            f"{rupees(book.portfolio_loss)} of the capital are lost{since}, the limit is {rupees(most)} "
            f"({self.limit:g} % of {rupees(book.capital)})"
        )

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.portfolio_loss, book.capital * self.limit / 100


@dataclass(frozen=True, slots=True)
class Funds(_Plain):
    """An entry needs its margin, beside what the working entries may come to need."""

    funds: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return "funds"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        if no_price := _no_price(order):
            return no_price
        needs, free = self.measure(order, book)
        if needs <= 0 or needs <= free + HALF_A_PAISA:
            return None
        return f"the order needs {rupees(needs)}, {rupees(max(0.0, free))} is free"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.required(order), book.free


EXCHANGE_RULES: tuple[Rule, ...] = (WholeQuantity(), LotSize())
"""What the exchange refuses anyway: always judged, first, and for every order."""

RULES: Mapping[str, type[Any]] = {
    rule.key: rule
    for rule in (MaxPositionPct, MaxOrderValue, MaxDailyLoss, MaxDailyLossPct, MaxDailyTrades, MaxPortfolioLossPct)
}
"""Configuration key → rule. Each takes the key's value as its one field, ``limit``."""


def build_rules(settings: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of the section ``risk`` of the configuration, in the order in which they are judged.

    Keys with or without ``risk.``; None switches a limit off, ``enabled: false`` all of them. What the
    exchange and the account's money demand stays on. Raises :class:`ConfigError` for a key that is no
    limit, and for a limit that is no number: a limit that is not understood must not be left out.
    """
    limits = {key if key.startswith("risk.") else f"risk.{key}": value for key, value in settings.items()}
    enabled = limits.pop("risk.enabled", True)
    for key, limit in limits.items():
        if key not in RULES:
            close = difflib.get_close_matches(key, RULES, n=1)
            raise ConfigError(f"{key} is no risk limit; " + (f"did you mean {close[0]}?" if close else _known()))
        if limit is None:
            continue
        number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if not number or not math.isfinite(limit) or limit < 0:
            raise ConfigError(f"{key} must be a number of at least 0, or null for no limit, not {limit!r}")
    chosen = [RULES[key](limits[key]) for key in RULES if enabled and limits.get(key) is not None]
    return (*EXCHANGE_RULES, *chosen, Funds())


def check(order: Proposal, rules: tuple[Rule, ...], book: LedgerView) -> Denial | None:
    """The first rule's no, or None. A rule that breaks says no: doubt refuses."""
    for rule in rules:
        name = type(rule).__name__
        try:
            reason = rule.deny(order, book)
        except Exception as error:  # noqa: BLE001 - whatever broke, an unjudged order must not pass
            reason = f"{name} could not judge the order ({type(error).__name__}: {error})"
        if reason is not None:
            return Denial(rule=name, reason=reason, key=rule.key, funds=rule.funds)
    return None


def can_ever_pass(
    instrument: Instrument,
    price: float,
    rules: tuple[Rule, ...],
    book: LedgerView,
    *,
    product: str = "",
    variety: str = "regular",
) -> Denial | None:
    """Why not even one lot at ``price`` ₹ can pass, on an idle account of today's value; None if it can.

    For the start of a live run: limits under which no order can ever go out are a mistake worth stopping for.
    """
    probe = Proposal(
        ref=0,
        instrument=instrument,
        side=Side.BUY,
        quantity=max(1, instrument.lot_size),
        order_type=OrderType.LIMIT,
        product=product,
        variety=variety,
        price=price,
        reference_price=price,
    )
    return check(probe, rules, book.empty())


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


def _no_price(order: Proposal) -> str | None:
    if math.isfinite(order.worst_price) and order.worst_price > 0:
        return None
    return f"no price of {order.instrument.key} is known yet, so the order's value cannot be judged"


def _known() -> str:
    return "the limits are " + ", ".join(RULES)
