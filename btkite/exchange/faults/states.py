"""What may become of the market and the account: kinds whose ``where`` is ``state``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BadSettings
from .kinds import Arg, Args, Kind

if TYPE_CHECKING:
    from ..venue import Venue


def _spike(venue: Venue, args: Args) -> None:
    key = args["symbol"]
    listings = [one for one in venue.market.listings.values() if one.last and not one.row.is_index]
    if key:
        if key not in venue.market.listings:
            raise BadSettings(f"{key} is not listed here")
        listings = [venue.market.listings[key]]
    for listing in listings:
        if listing.last:
            tick = listing.row.tick_size
            price = round(round(listing.last * (1 + args["percent"] / 100) / tick) * tick, listing.row.decimals)
            venue.print_by_hand(listing, price, args["volume"])


def _shortfall(venue: Venue, args: Args) -> None:
    venue.take_cash(args["amount"] or max(0.0, venue.account.available))


KINDS = (
    Kind("price_spike", "state", "One print far away; the next is again the market's own. Orders meet it.", act=_spike,
         args={"percent": Arg(5.0, "how far from the last price"), "symbol": Arg("", "EXCHANGE:SYMBOL; empty: all"),
               "volume": Arg(1, "shares of the print")}),
    Kind("margin_shortfall", "state", "Cash leaves the account in mid-day.", act=_shortfall,
         args={"amount": Arg(0.0, "₹; 0: all that is available")}),
)  # fmt: skip
