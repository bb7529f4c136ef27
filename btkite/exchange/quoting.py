"""One instrument in a few words, for those who look at the market from outside Kite's wire."""

from __future__ import annotations

from typing import Any

from .clock import iso
from .listing import Listing


def quote_row(listing: Listing) -> dict[str, Any]:
    """Prices in rupees; ``buy`` and ``sell`` are the levels shown, ``[price, quantity, orders]``."""
    bids, asks = listing.depth()
    return {
        "exchange": listing.row.exchange,
        "tradingsymbol": listing.row.tradingsymbol,
        "instrument_token": listing.token,
        "tick_size": listing.row.tick_size,
        "lot_size": listing.row.lot_size,
        "last_price": listing.last,
        "last_trade_time": iso(listing.last_us) if listing.last_us else None,
        "open": listing.open,
        "high": listing.high,
        "low": listing.low,
        "previous_close": listing.previous_close,
        "volume": listing.volume,
        "oi": listing.oi,
        "buy": [list(level) for level in bids if level[1]],
        "sell": [list(level) for level in asks if level[1]],
    }
