"""Kite's REST routes: each a small function from a call to data. Paths and shapes are Kite Connect v3's.

The table at the end says for each route its rate limit's kind and whether it needs a token.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from . import history, limits
from .clock import kite_text, parse_kite
from .errors import Refusal, bad_input, not_here
from .listing import Listing
from .venue import Venue

CSV = "text/csv"
JSON = "application/json"
HTML = "text/html"


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the routes see it."""

    venue: Venue
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    several: Callable[[str], list[str]]  # all values of a repeated query parameter


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is not JSON data."""

    body: bytes
    content_type: str
    status: int = 200
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table."""

    method: str
    path: str
    answer: Callable[[Call], Any]
    kind: str = limits.OTHER
    needs_token: bool = True


# session and user


def login_page(call: Call) -> Raw:
    """The login page: one button. With ``auto=1`` the app is sent on at once, as after a login."""
    call.venue.sessions.check_api_key(call.query.get("api_key", ""))
    if call.query.get("auto") == "1":
        return login(call)
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(call.query[name])}">'
        for name in ("api_key", "redirect_params")
        if name in call.query
    )
    page = (
        "<!doctype html><html><head><title>Simulated Kite login</title></head><body>"
        f"<h1>Simulated exchange</h1><p>User {html.escape(call.venue.settings.user_id)}. No password is asked here.</p>"
        f'<form method="post" action="/connect/login">{fields}<button type="submit">Log in</button></form>'
        "</body></html>"
    )
    return Raw(page.encode(), HTML)


def login(call: Call) -> Raw:
    """The button: to the app's redirect address with a ``request_token``, or a page that shows it."""
    given = {**call.query, **call.form}
    token = call.venue.sessions.new_request_token(given.get("api_key", ""), call.venue.now)
    address = call.venue.settings.redirect_url
    answer = {"action": "login", "type": "login", "status": "success", "request_token": token}
    answer.update(parse_qsl(given.get("redirect_params", "")))
    if address:
        joined = "&" if "?" in address else "?"
        return Raw(b"", HTML, 302, f"{address}{joined}{urlencode(answer)}")
    if given.get("auto") == "1":
        return Raw(b"", HTML, 302, f"/connect/finish?{urlencode(answer)}")
    return _shown(token)


def finished(call: Call) -> Raw:
    """Where a login without a redirect address ends: the token in the address and on the page."""
    return _shown(call.query.get("request_token", ""))


def _shown(token: str) -> Raw:
    page = (
        "<!doctype html><html><head><title>Logged in</title></head><body>"
        f"<h1>Logged in</h1><p>request_token: <code>{html.escape(token)}</code></p></body></html>"
    )
    return Raw(page.encode(), HTML)


def make_session(call: Call) -> Any:
    return call.venue.sessions.exchange_token(dict(call.form), call.venue.now)


def end_session(call: Call) -> Any:
    call.venue.sessions.log_out(call.query.get("api_key", ""), call.query.get("access_token", ""), call.venue.now)
    return True


def renew_session(call: Call) -> Any:
    raise Refusal(403, "TokenException", "Invalid `refresh_token`.")  # individuals are given none


def profile(call: Call) -> Any:
    return call.venue.sessions.profile()


def margins(call: Call) -> Any:
    found = call.venue.account.margins()
    segment = call.path.get("segment")
    if segment is None:
        return found
    if segment not in found:
        raise bad_input("Invalid `segment`.")
    return found[segment]


# orders


def orders(call: Call) -> Any:
    return [order.latest() for order in call.venue.book.orders.values()]


def order_history(call: Call) -> Any:
    return call.venue.book.get(call.path["order_id"]).history


def order_trades(call: Call) -> Any:
    order = call.venue.book.get(call.path["order_id"])
    return [trade for trade in call.venue.book.trades if trade["order_id"] == order.order_id]


def trades(call: Call) -> Any:
    return call.venue.book.trades


def place(call: Call) -> Any:
    if call.form.get("autoslice", "").lower() == "true":
        raise not_here("autoslice")
    return {"order_id": call.venue.place(call.path["variety"], call.form).order_id}


def modify(call: Call) -> Any:
    return {"order_id": call.venue.modify(call.path["variety"], call.path["order_id"], call.form).order_id}


def cancel(call: Call) -> Any:
    return {"order_id": call.venue.cancel(call.path["variety"], call.path["order_id"]).order_id}


# portfolio


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
    )
    return True


def holdings(call: Call) -> Any:
    return [holding.row() for holding in call.venue.account.holdings.values()]


def holdings_compact(call: Call) -> Any:
    names = ("exchange", "tradingsymbol", "instrument_token", "t1_quantity", "quantity")
    return [{name: row[name] for name in names} for row in holdings(call)]


def holdings_summary(call: Call) -> Any:
    rows = holdings(call)
    shares = [(row, row["quantity"] + row["t1_quantity"]) for row in rows]
    invested = sum(row["average_price"] * count for row, count in shares)
    current = sum(row["last_price"] * count for row, count in shares)
    today = sum(row["day_change"] * count for row, count in shares)
    return {
        "total_pnl": current - invested,
        "total_pnl_percent": (current - invested) / invested * 100 if invested else 0,
        "today_pnl": today,
        "today_pnl_percent": today / (current - today) * 100 if current - today else 0,
        "invested_amount": invested,
        "current_value": current,
    }


# the market


def instruments(call: Call) -> Raw:
    exchange = call.path.get("exchange")
    if exchange is None:
        return Raw(call.venue.dump, CSV)
    from .instruments import to_csv

    return Raw(to_csv(row for row in call.venue.rows if row.exchange == exchange), CSV)


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
    market = call.venue.market
    found = []
    for key in keys:
        listing = market.by_token.get(int(key)) if key.isdigit() else market.listings.get(key)
        if listing is not None:
            found.append((key, listing))
    return found


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
    return {key: _quote(call.venue, listing) for key, listing in _asked(call, 500)}


def _quote(venue: Venue, listing: Listing) -> dict[str, Any]:
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


# what is not carried

LATER = ("/gtt", "/alerts", "/mf", "/margins", "/charges", "/instruments/trigger_range", "/portfolio", "/user")


def unknown(call: Call) -> Any:
    """Any other path: a route of Kite that is not carried here, or none at all."""
    path = "/" + call.path.get("rest", "")
    if path.startswith(LATER):
        raise not_here(path)
    raise Refusal(404, "GeneralException", "Route not found")


ORDERS, QUOTES, HISTORY = limits.ORDERS, limits.QUOTES, limits.HISTORY
TABLE = (
    Route("GET", "/connect/login", login_page, needs_token=False),
    Route("POST", "/connect/login", login, needs_token=False),
    Route("GET", "/connect/finish", finished, needs_token=False),
    Route("POST", "/session/token", make_session, needs_token=False),
    Route("DELETE", "/session/token", end_session, needs_token=False),
    Route("POST", "/session/refresh_token", renew_session, needs_token=False),
    Route("GET", "/user/profile", profile),
    Route("GET", "/user/margins", margins),
    Route("GET", "/user/margins/{segment}", margins),
    Route("GET", "/orders", orders),
    Route("GET", "/trades", trades),
    Route("GET", "/orders/{order_id}", order_history),
    Route("GET", "/orders/{order_id}/trades", order_trades),
    Route("POST", "/orders/{variety}", place, ORDERS),
    Route("PUT", "/orders/{variety}/{order_id}", modify, ORDERS),
    Route("DELETE", "/orders/{variety}/{order_id}", cancel, ORDERS),
    Route("GET", "/portfolio/positions", positions),
    Route("PUT", "/portfolio/positions", convert),
    Route("GET", "/portfolio/holdings", holdings),
    Route("GET", "/portfolio/holdings/compact", holdings_compact),
    Route("GET", "/portfolio/holdings/summary", holdings_summary),
    Route("GET", "/instruments", instruments, needs_token=False),
    Route("GET", "/instruments/historical/{token}/{interval}", historical, HISTORY),
    Route("GET", "/instruments/{exchange}", instruments, needs_token=False),
    Route("GET", "/quote", quote, QUOTES),
    Route("GET", "/quote/ohlc", quote_ohlc, QUOTES),
    Route("GET", "/quote/ltp", quote_ltp, QUOTES),
    Route("*", "/{rest:.*}", unknown, needs_token=False),
)
