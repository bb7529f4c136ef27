"""Funds, positions and holdings."""

from __future__ import annotations

from typing import Any

from .. import holdings as demat
from .. import squareoff
from ..errors import bad_input
from . import pages
from .call import HTML, Call, Raw, Route


def margins(call: Call) -> Any:
    found = call.venue.account.margins()
    segment = call.path.get("segment")
    if segment is None:
        return found
    if segment not in found:
        raise bad_input("Invalid `segment`.")
    return found[segment]


def positions(call: Call) -> Any:
    return call.venue.positions()


def convert(call: Call) -> Any:
    form, venue = call.form, call.venue
    listing = venue.market.listings.get(f"{form.get('exchange')}:{form.get('tradingsymbol')}")
    quantity = form.get("quantity", "")
    if listing is None or not quantity.isdigit():
        raise bad_input("Invalid `tradingsymbol` or `quantity`.")
    if form.get("position_type") not in ("day", "overnight"):
        raise bad_input("Invalid `position_type`.")
    venue.account.convert(
        listing,
        form.get("old_product", ""),
        form.get("new_product", ""),
        form.get("transaction_type") == "BUY",
        int(quantity),
        form.get("position_type") == "overnight",
        after_cutoff=squareoff.after_cutoff(venue, listing),
    )
    return True


def holdings(call: Call) -> Any:
    return demat.holdings(call.venue)


def holdings_compact(call: Call) -> Any:
    return demat.holdings_compact(call.venue)


def holdings_summary(call: Call) -> Any:
    return demat.holdings_summary(call.venue)


def auctions(call: Call) -> Any:
    return demat.auctions(call.venue)


def authorise(call: Call) -> Any:
    """A request to sell holdings; a quantity belongs to the ISIN at its place."""
    names, counts = call.several("isin"), call.several("quantity")
    if counts and len(counts) != len(names):
        raise bad_input("Invalid `quantity`: give one for each `isin`.")
    if any(not count.isdigit() for count in counts):
        raise bad_input("Invalid `quantity`.")
    wanted = [(name, int(counts[at]) if counts else None) for at, name in enumerate(names)]
    return demat.authorise(call.venue, wanted)


def depository_page(call: Call) -> Raw:
    """What the browser shows for a request."""
    account, request_id = call.venue.account, call.path["request_id"]
    wanted = account.authorisations.get(request_id)
    if wanted is None:
        raise bad_input("Invalid `request_id`.")
    rows = [(key, account.holdings[key].row()["isin"], count) for key, count in wanted.items()]
    return Raw(
        pages.authorise(f"/connect/portfolio/authorise/holdings/{call.path['api_key']}/{request_id}", rows), HTML
    )


def depository_button(call: Call) -> Raw:
    """The user confirmed."""
    demat.confirm(call.venue, call.path["request_id"])
    return Raw(pages.authorised(), HTML)


DEPOSITORY = "/connect/portfolio/authorise/holdings/{api_key}/{request_id}"
TABLE = (
    Route("GET", "/user/margins", margins),
    Route("GET", "/user/margins/{segment}", margins),
    Route("GET", "/portfolio/positions", positions),
    Route("PUT", "/portfolio/positions", convert),
    Route("GET", "/portfolio/holdings", holdings),
    Route("GET", "/portfolio/holdings/compact", holdings_compact),
    Route("GET", "/portfolio/holdings/summary", holdings_summary),
    Route("GET", "/portfolio/holdings/auctions", auctions),
    Route("POST", "/portfolio/holdings/authorise", authorise),
    Route("GET", DEPOSITORY, depository_page, needs_token=False, unprefixed=True),
    Route("POST", DEPOSITORY, depository_button, needs_token=False, unprefixed=True),
)
