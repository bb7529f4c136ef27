"""What may be opened at all: which symbols, under which products, at which hours. Exits always may."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, ClassVar

from ..values import Proposal
from .base import LedgerView, Plain

_SPAN = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class _Words(Plain):
    """A rule whose limit is a list of words."""

    __slots__ = ()
    unit: ClassVar[str] = ""

    @classmethod
    def misgiven(cls, limit: Any) -> str:
        words = isinstance(limit, list | tuple) and all(isinstance(word, str) and word for word in limit)
        return "" if words else "a list of words, empty for no limit"


@dataclass(frozen=True, slots=True)
class AllowedSymbols(_Words):
    """Open positions only in instruments that ``limit`` names; ``*`` stands for any letters."""

    limit: tuple[str, ...]
    key: ClassVar[str] = "risk.allowed_symbols"

    @property
    def title(self) -> str:
        return f"only {', '.join(self.limit)}"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        key = order.instrument.key
        if order.reduces or any(fnmatchcase(key, pattern) for pattern in self.limit):
            return None
        return f"{key} is not among the symbols allowed, the limit is {', '.join(self.limit)}"


@dataclass(frozen=True, slots=True)
class AllowedProducts(_Words):
    """Open positions only under the products that ``limit`` names."""

    limit: tuple[str, ...]
    key: ClassVar[str] = "risk.allowed_products"

    @property
    def title(self) -> str:
        return f"only {', '.join(self.limit)}"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces or order.product in self.limit:
            return None
        return f"{order.product} is not among the products allowed, the limit is {', '.join(self.limit)}"


@dataclass(frozen=True, slots=True)
class AllowedHours(_Words):
    """Give entries only in the spans of the day that ``limit`` names, IST, both ends included."""

    limit: tuple[str, ...]
    key: ClassVar[str] = "risk.allowed_hours"
    timed: ClassVar[bool] = True

    @classmethod
    def misgiven(cls, limit: Any) -> str:
        words = isinstance(limit, list | tuple) and all(isinstance(word, str) for word in limit)
        if words and all(_SPAN.fullmatch(span) and _ends(span)[0] < _ends(span)[1] for span in limit):
            return ""
        return "spans of the day in IST such as 09:20-15:00, empty for no limit"

    @property
    def title(self) -> str:
        return f"entries {', '.join(self.limit)} only"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        if order.given is None:
            return f"nobody knows when the order was given, the limit is {', '.join(self.limit)}"
        now = order.given.time()
        if any(begin <= now <= end for begin, end in map(_ends, self.limit)):
            return None
        return f"it is {now:%H:%M:%S}, the limit is {', '.join(self.limit)}"


@dataclass(frozen=True, slots=True)
class NoEntriesAfter(Plain):
    """Give no entry after ``limit`` o'clock, IST; at that very second one may be given."""

    limit: str
    key: ClassVar[str] = "risk.no_entries_after"
    timed: ClassVar[bool] = True
    unit: ClassVar[str] = ""

    @classmethod
    def misgiven(cls, limit: Any) -> str:
        good = isinstance(limit, str) and _TIME.fullmatch(limit)
        return "" if good else "a time of day in IST such as 15:00, or null for no limit"

    @property
    def title(self) -> str:
        return f"no entries after {self.limit}"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        if order.given is None:
            return f"nobody knows when the order was given, the limit is {self.limit}"
        if order.given.time() <= time.fromisoformat(self.limit):
            return None
        return f"it is {order.given:%H:%M:%S}, the limit is {self.limit}"


@cache
def _ends(span: str) -> tuple[time, time]:
    begin, _, end = span.partition("-")
    return time.fromisoformat(begin), time.fromisoformat(end)
