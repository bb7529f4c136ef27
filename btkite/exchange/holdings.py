"""Shares in the demat account, in Kite's rows, and what is asked of them.

Bought on a day they are a position; on the next trading day they are ``t1_quantity``, on the one after
``quantity``. A sale raises ``used_quantity`` for the day. Formulas as in Kite's own samples.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .clock import day_of
from .errors import bad_input
from .listing import Listing

if TYPE_CHECKING:
    from .venue import Venue

COMPACT = ("exchange", "tradingsymbol", "instrument_token", "t1_quantity", "quantity")
AUCTION = (
    "tradingsymbol", "exchange", "instrument_token", "isin", "product", "price", "quantity", "t1_quantity",
    "realised_quantity", "authorised_quantity", "authorised_date", "opening_quantity", "collateral_quantity",
    "collateral_type", "discrepancy", "average_price", "last_price", "close_price", "pnl", "day_change",
    "day_change_percentage",
)  # fmt: skip


def change_figures(
    *, average_price: float, last_price: float, close_price: float, quantity: int, t1_quantity: int
) -> dict[str, float]:
    """Profit of all shares, and the day's change of one."""
    change = last_price - close_price if close_price else 0.0
    return {
        "pnl": (last_price - average_price) * (quantity + t1_quantity),
        "day_change": change,
        "day_change_percentage": change / close_price * 100 if close_price else 0.0,
    }


def summary_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """``/portfolio/holdings/summary`` of holdings rows."""
    shares = [(row, row["quantity"] + row["t1_quantity"]) for row in rows]
    return summary_figures(
        invested=sum(row["average_price"] * count for row, count in shares),
        current=sum(row["last_price"] * count for row, count in shares),
        today=sum(row["day_change"] * count for row, count in shares),
    )


def summary_figures(*, invested: float, current: float, today: float) -> dict[str, float]:
    """The summary from its three sums; the day's percentage is of yesterday's value."""
    return {
        "total_pnl": current - invested,
        "total_pnl_percent": (current - invested) / invested * 100 if invested else 0,
        "today_pnl": today,
        "today_pnl_percent": today / (current - today) * 100 if current - today else 0,
        "invested_amount": invested,
        "current_value": current,
    }


def compact_of(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``/portfolio/holdings/compact`` of holdings rows."""
    return [{name: row[name] for name in COMPACT} for row in rows]


def auction_of(row: Mapping[str, Any], number: str) -> dict[str, Any]:
    """A row of ``/portfolio/holdings/auctions``: the holding that may be offered, and the auction's number."""
    return {**{name: row[name] for name in AUCTION}, "auction_number": number}


def isin_of(tradingsymbol: str) -> str:
    """An ISIN of a symbol's own: of the right form, check digit included, but not the real one, which no
    instruments dump of Kite's tells."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
    number = zlib.crc32(tradingsymbol.encode())
    body = "INE" + "".join(letters[number // 34**place % 34] for place in range(4)) + "01" + "01"
    digits = "".join(str(int(sign, 36)) for sign in body)
    doubled = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(reversed(digits)))
    return body + str(-doubled % 10)


@dataclass(slots=True, eq=False)
class Holding:
    """One share. ``t1`` was bought on the trading day before; ``authorised`` may be sold today where the
    depository asks; ``mtf_*`` is what the broker paid a part (``loan``) of."""

    listing: Listing
    quantity: int
    average_price: float
    t1: int = 0
    used: int = 0
    authorised: int = 0
    authorised_on: str = ""
    mtf_quantity: int = 0
    mtf_used: int = 0
    mtf_value: float = 0.0
    loan: float = 0.0

    @property
    def total(self) -> int:
        """Shares that are ours, delivered or on their way."""
        return self.quantity + self.t1

    @property
    def is_empty(self) -> bool:
        return not self.quantity and not self.t1 and not self.mtf_quantity

    def add(self, quantity: int, value: float) -> None:
        """Shares bought for ``value`` rupees: on their way."""
        total = self.total
        cost = total * self.average_price + value
        self.average_price = cost / (total + quantity) if total + quantity else 0.0
        self.t1 += quantity

    def take(self, quantity: int) -> int:
        """Give shares away; what is missing."""
        from_demat = min(quantity, max(self.quantity, 0))
        self.quantity -= from_demat
        from_t1 = min(quantity - from_demat, self.t1)
        self.t1 -= from_t1
        return quantity - from_demat - from_t1

    def row(self) -> dict[str, Any]:
        instrument, last, close = self.listing.row, self.listing.last, self.listing.previous_close
        return {
            "tradingsymbol": instrument.tradingsymbol,
            "exchange": instrument.exchange,
            "instrument_token": instrument.instrument_token,
            "isin": isin_of(instrument.tradingsymbol),
            "product": "CNC",
            "price": 0,
            "quantity": self.quantity,
            "used_quantity": self.used,
            "t1_quantity": self.t1,
            "realised_quantity": self.quantity,
            "authorised_quantity": self.authorised,
            "authorised_date": self.authorised_on,
            "authorisation": {},
            "opening_quantity": self.total,
            "short_quantity": 0,
            "collateral_quantity": 0,
            "collateral_type": "",
            "discrepancy": False,
            "average_price": self.average_price,
            "last_price": last,
            "close_price": close,
            **change_figures(
                average_price=self.average_price, last_price=last, close_price=close, quantity=self.quantity,
                t1_quantity=self.t1,
            ),
            "mtf": {
                "quantity": self.mtf_quantity,
                "used_quantity": self.mtf_used,
                "average_price": self.mtf_value / self.mtf_quantity if self.mtf_quantity else 0,
                "value": self.mtf_value,
                "initial_margin": self.mtf_value - self.loan,
            },
        }  # fmt: skip


# what the routes ask


def holdings(venue: Venue) -> list[dict[str, Any]]:
    """``GET /portfolio/holdings``."""
    return [holding.row() for holding in venue.account.holdings.values()]


def holdings_summary(venue: Venue) -> dict[str, float]:
    """``GET /portfolio/holdings/summary``."""
    return summary_of(holdings(venue))


def holdings_compact(venue: Venue) -> list[dict[str, Any]]:
    """``GET /portfolio/holdings/compact``."""
    return compact_of(holdings(venue))


def auctions(venue: Venue) -> list[dict[str, Any]]:
    """``GET /portfolio/holdings/auctions``: what ``venue.account.auctions`` names and is held."""
    account = venue.account
    return [
        auction_of(account.holdings[key].row(), number)
        for key, number in account.auctions.items()
        if key in account.holdings
    ]


def authorise(venue: Venue, wanted: Sequence[tuple[str, int | None]] = ()) -> dict[str, str]:
    """``POST /portfolio/holdings/authorise``: the ``request_id`` of a request for these (isin or
    ``EXCHANGE:SYMBOL``, quantity; None: all of it); for all holdings if none is named.

    It takes effect when the user confirms it at the depository: :func:`confirm`.
    """
    account = venue.account
    found: dict[str, int] = {}
    by_isin = {isin_of(holding.listing.row.tradingsymbol): key for key, holding in account.holdings.items()}
    for name, quantity in wanted:
        key = by_isin.get(name, name)
        holding = account.holdings.get(key)
        if holding is None or (quantity is not None and not 0 < quantity <= holding.quantity):
            raise bad_input("Invalid `isin` or `quantity`.")
        found[key] = holding.quantity if quantity is None else quantity
    if not wanted:
        found = {key: holding.quantity for key, holding in account.holdings.items() if holding.quantity > 0}
    serial = len(account.authorisations) + 1
    digest = hashlib.sha256(f"{venue.settings.user_id} {venue.now} {serial}".encode()).hexdigest()
    request_id = digest[:32]
    account.authorisations[request_id] = found
    return {"request_id": request_id}


def confirm(venue: Venue, request_id: str) -> None:
    """The user has entered the depository's code: the shares may be sold until the end of the day."""
    account = venue.account
    wanted = account.authorisations.pop(request_id, None)
    if wanted is None:
        raise bad_input("Invalid `request_id`.")
    for key, quantity in wanted.items():
        if (holding := account.holdings.get(key)) is not None:
            holding.authorised = max(holding.authorised, quantity)
            holding.authorised_on = f"{day_of(venue.now).isoformat()} 00:00:00"
