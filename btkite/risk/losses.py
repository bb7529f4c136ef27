"""Limits of what may be lost. But for the streak they look at every mark, not only at orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import ClassVar

from ..values import Proposal
from .base import LedgerView, Plain, Watched, is_over, rupees


@dataclass(frozen=True, slots=True)
class MaxDailyLoss(Watched):
    """Open nothing more after a loss of ``limit`` ₹ in one session, open positions and charges included."""

    limit: float
    key: ClassVar[str] = "risk.max_daily_loss"

    @property
    def title(self) -> str:
        return f"max daily loss {rupees(self.limit)}"

    def lost(self, book: LedgerView) -> tuple[float, float]:
        return -book.day_pnl, self.limit

    def passed(self, book: LedgerView) -> str | None:
        lost, most = self.lost(book)
        if not is_over(lost, most):
            return None
        return f"{rupees(lost)} were lost today, the limit is {rupees(most)}"


@dataclass(frozen=True, slots=True)
class MaxDailyLossPct(Watched):
    """Open nothing more after a loss in one session of ``limit`` % of the value with which it began."""

    limit: float
    key: ClassVar[str] = "risk.max_daily_loss_pct"

    @property
    def title(self) -> str:
        return f"max daily loss {self.limit:g} %"

    def lost(self, book: LedgerView) -> tuple[float, float]:
        return -book.day_pnl, book.day_start_value * self.limit / 100

    def passed(self, book: LedgerView) -> str | None:
        lost, most = self.lost(book)
        if not is_over(lost, most):
            return None
        return (
            f"{rupees(lost)} were lost today, the limit is {rupees(most)} "
            f"({self.limit:g} % of the {rupees(book.day_start_value)} at the day's start)"
        )


@dataclass(frozen=True, slots=True)
class MaxDrawdownPct(Watched):
    """Open nothing any more once the account is worth ``limit`` % less than at its best."""

    limit: float
    key: ClassVar[str] = "risk.max_drawdown_pct"
    latches: ClassVar[bool] = True
    follows: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"max drawdown {self.limit:g} %"

    def lost(self, book: LedgerView) -> tuple[float, float]:
        return book.drawdown, book.peak * self.limit / 100

    def passed(self, book: LedgerView) -> str | None:
        lost, most = self.lost(book)
        if not is_over(lost, most):
            return None
        return (
            f"the account is worth {rupees(lost)} less than at its best, the limit is {rupees(most)} "
            f"({self.limit:g} % of {rupees(book.peak)})"
        )


@dataclass(frozen=True, slots=True)
class MaxPortfolioLossPct(Watched):
    """Open nothing any more once more than ``limit`` % of the capital is lost."""

    limit: float
    key: ClassVar[str] = "risk.max_portfolio_loss_pct"
    latches: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"max portfolio loss {self.limit:g} %"

    def lost(self, book: LedgerView) -> tuple[float, float]:
        return book.portfolio_loss, book.capital * self.limit / 100

    def passed(self, book: LedgerView) -> str | None:
        lost, most = self.lost(book)
        if not is_over(lost, most):
            return None
        since = "" if book.loss_from == book.capital else " since trading was resumed"
        return (
            f"{rupees(lost)} of the capital are lost{since}, the limit is {rupees(most)} "
            f"({self.limit:g} % of {rupees(book.capital)})"
        )


@dataclass(frozen=True, slots=True)
class MaxLossStreak(Plain):
    """Open nothing for ``pause`` minutes after the last of ``limit`` losing trades in a row."""

    limit: int
    pause: float = 30.0
    key: ClassVar[str] = "risk.max_loss_streak"
    also: ClassVar[Mapping[str, str]] = MappingProxyType({"pause": "risk.loss_streak_pause"})
    timed: ClassVar[bool] = True
    unit: ClassVar[str] = ""

    @property
    def title(self) -> str:
        return f"{self.pause:g} minutes after {self.limit} losing trades"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        last = book.lost_last
        if order.reduces or last is None or book.losing_streak < self.limit:
            return None
        until = last + timedelta(minutes=self.pause)
        if order.given is not None and order.given >= until:
            return None
        return (
            f"{book.losing_streak} trades in a row have lost, the limit is {self.limit}: "
            f"nothing is opened before {until:%Y-%m-%d %H:%M:%S}"
        )

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return float(book.losing_streak), float(self.limit)

    def used(self, book: LedgerView) -> tuple[float, float]:
        return float(book.losing_streak), float(self.limit)
