"""What a route is: a small function from a call to data, and one line of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import limits
from ..apps import App
from ..errors import bad_input
from ..listing import Listing
from ..venue import Venue

CSV = "text/csv"
JSON = "application/json"
HTML = "text/html"


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the routes see it. ``app`` is who calls (the first app where no token is needed)."""

    venue: Venue
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    several: Callable[[str], list[str]]  # all values of a repeated parameter, of the query or the form
    json: Any
    app: App

    def whole(self, name: str, default: int) -> int:
        """A whole number of the query, zero or more."""
        text = self.query.get(name, "")
        if text == "":
            return default
        if not text.isdigit():
            raise bad_input(f"Invalid `{name}`.")
        return int(text)

    def listing(self, key: str) -> Listing | None:
        """The instrument of ``EXCHANGE:TRADINGSYMBOL`` or of a bare token, if it is listed."""
        market = self.venue.market
        return market.by_token.get(int(key)) if key.isdigit() else market.listings.get(key)


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is not JSON data."""

    body: bytes
    content_type: str
    status: int = 200
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    ``market_data`` is refused on the free plan; ``fixed_ip`` is for allowed addresses only, ``trigger`` if
    the settings want it;
    ``unprefixed`` stands without ``/oms`` on the sandbox too, and ``sandbox`` is false for what it lacks.
    """

    method: str
    path: str
    answer: Callable[[Call], Any]
    kind: str = limits.OTHER
    needs_token: bool = True
    market_data: bool = False
    fixed_ip: bool = False
    trigger: bool = False
    unprefixed: bool = False
    sandbox: bool = True
