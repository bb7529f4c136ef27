"""Instruments, history and quotes."""

from __future__ import annotations

from typing import Any

import orjson

from .. import co, history, limits, rulebook
from ..checks import freeze_quantity
from ..clock import day_of, kite_text, parse_kite
from ..errors import bad_input
from ..holdings import isin_of
from ..instruments import to_csv
from ..listing import Listing
from ..venue import Venue
from .call import CSV, JSON, Call, Raw, Route


def instruments(call: Call) -> Raw:
    exchange = call.path.get("exchange")
    if exchange is None:
        return Raw(call.venue.dump, CSV)
    return Raw(to_csv(row for row in call.venue.rows if row.exchange == exchange), CSV)


def instruments_json(call: Call) -> Raw:
    """The richer dump that Zerodha's own programs read: a bare list. What is not known here is blank or zero."""
    venue = call.venue
    rules = rulebook.on(day_of(venue.now))
    rows = []
    for number, row in enumerate(venue.rows, 1):
        listing = venue.market.by_token[row.instrument_token]
        freeze = freeze_quantity(row, rules)
        lower, upper = listing.circuit()
        rows.append(
            {
                "id": number,
                "instrument_token": row.instrument_token,
                "exchange_token": row.exchange_token,
                "tradingsymbol": row.tradingsymbol,
                "exchange": row.exchange,
                "isin": "" if row.is_derivative or row.is_index else isin_of(row.tradingsymbol),
                "name": row.name,
                "series": "EQ" if row.exchange == "NSE" and not row.is_index else "",
                "last_price": listing.previous_close,
                "strike": row.strike,
                "tick_size": row.tick_size,
                "lot_size": row.lot_size,
                "multiplier": row.multiplier,
                "instrument_type": row.instrument_type,
                "segment": row.segment,
                "delivery_units": "",
                "price_units": "",
                "freeze_quantity": freeze,
                "max_order_quantity": freeze - freeze % row.lot_size,
                "expiry_type": "",
                "expiry_date": row.expiry.isoformat() if row.expiry else "",
                "exercise_start_date": "",
                "exercise_end_date": "",
                "issue_date": "",
                "listing_date": "",
                "maturity_date": "",
                "lower_circuit_limit": lower,
                "upper_circuit_limit": upper,
                "active": True,
            }
        )
    return Raw(orjson.dumps(rows), JSON)


def trigger_range(call: Call) -> Any:
    """Where the stop of a cover order may lie. The token is 0, as in Kite's own sample."""
    side = call.path["transaction_type"]
    if side not in ("buy", "sell"):
        raise bad_input("Invalid `transaction_type`.")
    percent = call.venue.settings.co_range_percent
    answer = {}
    for key, listing in _asked(call, 500):
        lower, upper = co.trigger_range(listing, side == "buy", percent)
        answer[key] = {"instrument_token": 0, "lower": lower, "upper": upper}
    return answer


def historical(call: Call) -> Any:
    token, interval = call.path["token"], call.path["interval"]
    listing = call.venue.market.by_token.get(int(token)) if token.isdigit() else None
    if listing is None:
        raise bad_input("invalid token")
    begin = parse_kite(call.query.get("from", ""), "from")
    end = parse_kite(call.query.get("to", ""), "to")
    history.check_span(interval, begin, end)
    return {"candles": history.candles(listing, interval, begin, end, call.query.get("oi") == "1")}


def _asked(call: Call, most: int) -> list[tuple[str, Listing]]:
    """The instruments of a quote call; unknown ones are silently absent, as on Kite."""
    keys = call.several("i")
    if len(keys) > most:
        raise bad_input(f"Maximum of {most} instruments are allowed in a single request.")
    return [(key, listing) for key in keys if (listing := call.listing(key)) is not None]


def _ohlc(listing: Listing) -> dict[str, float]:
    return {
        "open": listing.open,
        "high": listing.high,
        "low": listing.low,
        "close": listing.previous_close,
    }


def quote_ltp(call: Call) -> Any:
    return {key: {"instrument_token": listing.token, "last_price": listing.last} for key, listing in _asked(call, 1000)}


def quote_ohlc(call: Call) -> Any:
    return {
        key: {"instrument_token": listing.token, "last_price": listing.last, "ohlc": _ohlc(listing)}
        for key, listing in _asked(call, 1000)
    }


def quote(call: Call) -> Any:
    return {key: full_quote(call.venue, listing) for key, listing in _asked(call, 500)}


def full_quote(venue: Venue, listing: Listing) -> dict[str, Any]:
    """All of an instrument; an index has no trades and no depth."""
    short = {
        "instrument_token": listing.token,
        "timestamp": kite_text(listing.last_us or venue.now),
        "last_price": listing.last,
        "net_change": 0,
        "ohlc": _ohlc(listing),
    }
    if listing.row.is_index:
        return short
    bids, asks = listing.depth()
    lower, upper = listing.circuit()
    return {
        **short,
        "last_trade_time": kite_text(listing.last_us) if listing.last_us else None,
        "last_quantity": listing.last_quantity,
        "buy_quantity": sum(level[1] for level in bids),
        "sell_quantity": sum(level[1] for level in asks),
        "volume": listing.volume,
        "average_price": round(listing.average, 4),
        "oi": listing.oi,
        "oi_day_high": listing.oi_high,
        "oi_day_low": listing.oi_low,
        "lower_circuit_limit": lower,
        "upper_circuit_limit": upper,
        "depth": {
            name: [{"price": price, "quantity": quantity, "orders": count} for price, quantity, count in side]
            for name, side in (("buy", bids), ("sell", asks))
        },
    }


QUOTES = limits.QUOTES
TABLE = (
    Route("GET", "/instruments", instruments, needs_token=False, unprefixed=True),
    Route("GET", "/instruments/historical/{token}/{interval}", historical, limits.HISTORY, market_data=True),
    Route("GET", "/instruments.json", instruments_json, needs_token=False, unprefixed=True),
    Route("GET", "/instruments/trigger_range/{transaction_type}", trigger_range, sandbox=False),
    Route("GET", "/instruments/{exchange}", instruments, needs_token=False, unprefixed=True),
    Route("GET", "/quote", quote, QUOTES, market_data=True),
    Route("GET", "/quote/ohlc", quote_ohlc, QUOTES, market_data=True),
    Route("GET", "/quote/ltp", quote_ltp, QUOTES, market_data=True),
)
