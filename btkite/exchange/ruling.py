"""What holds: the rulebook of each day with the settings' changes, and the terms of an order now."""

from __future__ import annotations

from . import rulebook
from .checks import Terms
from .clock import DAY, day_from_number
from .listing import Listing
from .market import Market
from .rulebook import Rulebook
from .settings import ExchangeSettings


class Ruling:
    """The rules of one market, by its own clock."""

    def __init__(self, settings: ExchangeSettings, market: Market) -> None:
        self._settings, self._market = settings, market
        self._known: tuple[int, Rulebook] | None = None
        self._underlyings = {
            listing.row.name for listing in market.listings.values() if listing.row.is_derivative and listing.row.name
        }

    def today(self) -> Rulebook:
        """What holds today, with the settings' changes."""
        day = self._market.now // DAY
        if self._known is None or self._known[0] != day:
            self._known = day, self.of(day)
        return self._known[1]

    def of(self, day: int) -> Rulebook:
        """What holds on a day (its number)."""
        return rulebook.with_changes(self._settings.rules_on or day_from_number(day), self._settings.rules)

    def terms(self, *, from_api: bool = True) -> Terms:
        """What holds for an order now."""
        settings, market = self._settings, self._market
        return Terms(settings, self.today(), settings.enforced, market.now, market.session, self.in_auction, from_api)

    def in_auction(self, listing: Listing) -> bool:
        """True for a share of the closing auction: one that is named, or has a derivative that is listed here."""
        if self._settings.closing_auction:
            return self._market.phases.has_auction(listing)
        named = self._settings.auction_shares
        if named is not None:
            return listing.key in named
        row = listing.row
        return not row.is_derivative and not row.is_index and row.tradingsymbol in self._underlyings
