"""The broker's risk desk: at its time of the day it closes what is left of intraday positions.

Working intraday orders are cancelled, then each position is sent to the market by orders of the broker
(``placed_by`` is ``ADMINSQF``), cut at 30,000 shares or the freeze quantity; each that trades costs a fee with
the day's charges. What finds no price before the close becomes CNC or NRML (:mod:`btkite.exchange.settle`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from .agenda import Action
from .checks import Terms, freeze_quantity, mis_cutoff
from .clock import DAY
from .listing import Listing

if TYPE_CHECKING:
    from .venue import Venue

INTRADAY = ("MIS", "CO")
MOST_SHARES = 30_000
PLACED_BY = "ADMINSQF"


class Exit(NamedTuple):
    """One order of the risk desk."""

    listing: Listing
    product: str
    buys: bool
    quantity: int


def is_on(venue: Venue) -> bool:
    """As the settings say; if they leave it open, while the clock runs."""
    wanted = venue.settings.mis_squareoff
    return not venue.lockstep if wanted is None else wanted


def moments(venue: Venue, day: int) -> dict[int, list[Listing]]:
    """The moments of ``day`` (a day number) at which positions are squared off, and in what."""
    terms = replace(venue.ruling.terms(), rules=venue.ruling.of(day), now=day * DAY)
    known: dict[tuple[str, bool], int | None] = {}
    found: dict[int, list[Listing]] = {}
    for listing in venue.market.listings.values():
        if listing.row.is_index:
            continue
        kind = listing.row.exchange, venue.ruling.in_auction(listing)
        if kind not in known:
            known[kind] = mis_cutoff(listing, terms)
        if (us := known[kind]) is not None:
            found.setdefault(us, []).append(listing)
    return found


def appointments(venue: Venue, day: int) -> Iterator[tuple[int, Action]]:
    """For the market's agenda."""
    for us, listings in moments(venue, day).items():
        yield us, lambda now, listings=listings: square_off(venue, listings)  # type: ignore[misc]


def exits(venue: Venue, listings: list[Listing]) -> list[Exit]:
    """The orders that close all intraday positions in ``listings``."""
    terms = venue.ruling.terms()
    wanted = []
    for listing in listings:
        for product in INTRADAY:
            held = venue.account.held(listing.key, product)
            most = _most(listing, terms)
            for begin in range(0, abs(held), most):
                wanted.append(Exit(listing, product, held < 0, min(most, abs(held) - begin)))
    return wanted


def _most(listing: Listing, terms: Terms) -> int:
    if not listing.row.is_derivative:
        return MOST_SHARES
    return freeze_quantity(listing.row, terms.rules) or MOST_SHARES


def square_off(venue: Venue, listings: list[Listing]) -> bool:
    """Do it now, if it is on; True if an order changed."""
    if not is_on(venue):
        return False
    among = {id(listing) for listing in listings}
    changed = False
    for order in venue.book.live():
        if id(order.listing) in among and order.product in INTRADAY:
            venue.market.remove(order)
            venue.book.cancel(order, venue.now)
            changed = True
    for one in exits(venue, listings):
        order = venue.flow.place_for_broker(one.listing, one.product, one.buys, one.quantity, PLACED_BY)
        venue.account.squared_off.add(order.order_id)
        changed = True
    return changed


def after_cutoff(venue: Venue, listing: Listing) -> bool:
    """True if nothing may become intraday any more today, where anybody looks."""
    if not is_on(venue) and "mis_cutoff" not in venue.settings.enforced:
        return False
    limit = mis_cutoff(listing, venue.ruling.terms())
    return limit is not None and venue.now >= limit
