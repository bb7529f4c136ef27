"""Limits of what the market, the account's money and its positions allow at once."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from ..values import Proposal
from .base import LedgerView, Plain, is_over, no_price, rupees


@dataclass(frozen=True, slots=True)
class WholeQuantity(Plain):
    """A quantity is a whole number, at least 1."""

    @property
    def title(self) -> str:
        return "whole quantity"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.quantity >= 1 and order.quantity == math.floor(order.quantity):
            return None
        return f"the quantity must be a whole number of at least 1, not {order.quantity:g}"


@dataclass(frozen=True, slots=True)
class LotSize(Plain):
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
class Funds(Plain):
    """An entry needs its margin, beside what the working entries may come to need."""

    funds: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return "funds"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        if unknown := no_price(order):
            return unknown
        needs, free = self.measure(order, book)
        if needs <= 0 or not is_over(needs, free):
            return None
        return f"the order needs {rupees(needs)}, {rupees(max(0.0, free))} is free"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.required(order), book.free

    def used(self, book: LedgerView) -> tuple[float, float]:
        taken = book.used + book.committed()
        return taken, taken + max(0.0, book.free)


class _OfWorth(Plain, ABC):
    """A limit of rupees that a price is needed for."""

    __slots__ = ()

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        if unknown := no_price(order):
            return unknown
        worth, most = self.measure(order, book)
        return self.says(order, book, worth, most) if is_over(worth, most) else None

    @abstractmethod
    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        """₹ of worth, and ₹ that may be."""

    @abstractmethod
    def says(self, order: Proposal, book: LedgerView, worth: float, most: float) -> str:
        """The reason."""


@dataclass(frozen=True, slots=True)
class MaxPositionPct(_OfWorth):
    """No position, with all that works for it, may put more than ``limit`` % of the account's value at risk."""

    limit: float
    key: ClassVar[str] = "risk.max_position_pct"

    @property
    def title(self) -> str:
        return f"max position {self.limit:g} %"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.exposure(order), book.value * self.limit / 100

    def used(self, book: LedgerView) -> tuple[float, float]:
        return book.largest(), book.value * self.limit / 100

    def says(self, order: Proposal, book: LedgerView, worth: float, most: float) -> str:
        return (
            f"the position in {order.instrument.key} could reach {rupees(worth)}, "
            f"the limit is {rupees(most)} ({self.limit:g} % of {rupees(book.value)})"
        )


@dataclass(frozen=True, slots=True)
class MaxPositionValue(_OfWorth):
    """No position, with all that works for it, may put more than ``limit`` ₹ at risk."""

    limit: float
    key: ClassVar[str] = "risk.max_position_value"

    @property
    def title(self) -> str:
        return f"max position {rupees(self.limit)}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.exposure(order), self.limit

    def used(self, book: LedgerView) -> tuple[float, float]:
        return book.largest(), self.limit

    def says(self, order: Proposal, book: LedgerView, worth: float, most: float) -> str:
        return f"the position in {order.instrument.key} could reach {rupees(worth)}, the limit is {rupees(most)}"


@dataclass(frozen=True, slots=True)
class MaxPositionQuantity(Plain):
    """No position, with all that works for it, may become longer or shorter than ``limit`` units."""

    limit: int
    key: ClassVar[str] = "risk.max_position_quantity"
    unit: ClassVar[str] = ""

    @property
    def title(self) -> str:
        return f"max position of {self.limit} units"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        units = book.units(order)
        if units <= self.limit:
            return None
        return f"the position in {order.instrument.key} could reach {units} units, the limit is {self.limit}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return float(book.units(order)), float(self.limit)

    def used(self, book: LedgerView) -> tuple[float, float]:
        return float(book.longest()), float(self.limit)


@dataclass(frozen=True, slots=True)
class MaxGrossExposure(_OfWorth):
    """All positions together, long and short ones added up, may put no more than ``limit`` ₹ at risk."""

    limit: float
    key: ClassVar[str] = "risk.max_gross_exposure"

    @property
    def title(self) -> str:
        return f"max gross exposure {rupees(self.limit)}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.gross(order), self.limit

    def used(self, book: LedgerView) -> tuple[float, float]:
        return book.gross(), self.limit

    def says(self, order: Proposal, book: LedgerView, worth: float, most: float) -> str:
        return f"all positions together could reach {rupees(worth)}, the limit is {rupees(most)}"


@dataclass(frozen=True, slots=True)
class MaxGrossExposurePct(_OfWorth):
    """The same in per cent of the account's value now."""

    limit: float
    key: ClassVar[str] = "risk.max_gross_exposure_pct"

    @property
    def title(self) -> str:
        return f"max gross exposure {self.limit:g} %"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.gross(order), book.value * self.limit / 100

    def used(self, book: LedgerView) -> tuple[float, float]:
        return book.gross(), book.value * self.limit / 100

    def says(self, order: Proposal, book: LedgerView, worth: float, most: float) -> str:
        return (
            f"all positions together could reach {rupees(worth)}, "
            f"the limit is {rupees(most)} ({self.limit:g} % of {rupees(book.value)})"
        )


@dataclass(frozen=True, slots=True)
class MaxNetExposure(_OfWorth):
    """Long positions less short ones, or the other way round, may put no more than ``limit`` ₹ at risk."""

    limit: float
    key: ClassVar[str] = "risk.max_net_exposure"

    @property
    def title(self) -> str:
        return f"max net exposure {rupees(self.limit)}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.net(order.side.sign, order), self.limit

    def used(self, book: LedgerView) -> tuple[float, float]:
        return max(0.0, book.net(1), book.net(-1)), self.limit

    def says(self, order: Proposal, book: LedgerView, worth: float, most: float) -> str:
        return f"the account could become net {_way(order)} by {rupees(worth)}, the limit is {rupees(most)}"


@dataclass(frozen=True, slots=True)
class MaxNetExposurePct(_OfWorth):
    """The same in per cent of the account's value now."""

    limit: float
    key: ClassVar[str] = "risk.max_net_exposure_pct"

    @property
    def title(self) -> str:
        return f"max net exposure {self.limit:g} %"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.net(order.side.sign, order), book.value * self.limit / 100

    def used(self, book: LedgerView) -> tuple[float, float]:
        return max(0.0, book.net(1), book.net(-1)), book.value * self.limit / 100

    def says(self, order: Proposal, book: LedgerView, worth: float, most: float) -> str:
        return (
            f"the account could become net {_way(order)} by {rupees(worth)}, "
            f"the limit is {rupees(most)} ({self.limit:g} % of {rupees(book.value)})"
        )


@dataclass(frozen=True, slots=True)
class MaxOpenPositions(Plain):
    """No more than ``limit`` instruments may be held, or have an entry at work, at once."""

    limit: int
    key: ClassVar[str] = "risk.max_open_positions"
    unit: ClassVar[str] = ""

    @property
    def title(self) -> str:
        return f"max {self.limit} open positions"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        several = book.open_keys(order)
        if several <= self.limit:
            return None
        return f"{several} positions could be open with {order.instrument.key}, the limit is {self.limit}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return float(book.open_keys(order)), float(self.limit)

    def used(self, book: LedgerView) -> tuple[float, float]:
        return float(book.open_keys()), float(self.limit)


@dataclass(frozen=True, slots=True)
class MaxMarginUsePct(_OfWorth):
    """Positions and working entries may tie up no more than ``limit`` % of the account's value."""

    limit: float
    key: ClassVar[str] = "risk.max_margin_use_pct"

    @property
    def title(self) -> str:
        return f"max margin use {self.limit:g} %"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return book.used + book.committed() + book.required(order), book.value * self.limit / 100

    def used(self, book: LedgerView) -> tuple[float, float]:
        return book.used + book.committed(), book.value * self.limit / 100

    def says(self, order: Proposal, book: LedgerView, worth: float, most: float) -> str:
        return (
            f"positions and orders could tie up {rupees(worth)}, "
            f"the limit is {rupees(most)} ({self.limit:g} % of {rupees(book.value)})"
        )


def _way(order: Proposal) -> str:
    return "long" if order.side.sign > 0 else "short"
