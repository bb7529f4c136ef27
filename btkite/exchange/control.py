"""The control surface ``/_exchange/*``: for tests, demos and people who script a market day.

Plain functions on a venue; times are ISO 8601 with +05:30. Loopback only (the server sees to it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .clock import SECOND, parse_iso
from .errors import BadSettings
from .venue import BEFORE_OPEN, Venue

Body = Mapping[str, Any]
_CLOCK_KEYS = {"next", "until", "speed", "pause", "advance"}


def clock(venue: Venue, body: Body) -> dict[str, Any]:
    """Lock step (``next``), another speed, a pause, or a move; an empty body only asks."""
    unknown = set(body) - _CLOCK_KEYS
    if unknown:
        raise BadSettings(f"the clock knows {', '.join(sorted(_CLOCK_KEYS))}; not {', '.join(sorted(unknown))}")
    until = parse_iso(body["until"]) if body.get("until") is not None else None
    if "next" in body:
        if body["next"] not in ("bar", "event"):
            raise BadSettings(f"next {body['next']!r}: ask for 'bar' or 'event'")
        if venue.clock.speed:
            raise BadSettings("the clock is running: pause it before you ask for the next bar")
        venue.lockstep = True
        venue.pull(body["next"] == "event", until)
    elif until is not None:
        venue.move_to(until)
    elif "advance" in body:
        venue.move_to(venue.now + round(_positive(body, "advance") * SECOND))
    elif "speed" in body:
        venue.lockstep = False
        venue.clock.run(_positive(body, "speed"))
    elif body.get("pause"):
        venue.clock.run(0.0)
    return venue.clock_state()


def _positive(body: Body, name: str) -> float:
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise BadSettings(f"{name} must be a number, zero or more")
    return float(value)


def market(venue: Venue, body: Body) -> dict[str, Any]:
    """A print by hand, now."""
    for later in ("depth", "script"):
        if later in body:
            raise BadSettings(f"{later} is not available on this exchange yet")
    listing = venue.market.listings.get(f"{body.get('exchange')}:{body.get('tradingsymbol')}")
    if listing is None:
        raise BadSettings(f"{body.get('exchange')}:{body.get('tradingsymbol')} is not listed here")
    price = _positive(body, "last_price") if "last_price" in body else 0.0
    if not price:
        raise BadSettings("last_price must be given, and above zero")
    venue.print_by_hand(listing, round(price, listing.row.decimals), int(body.get("volume", 0)))
    return {"now": venue.clock_state()["now"], "last_price": listing.last}


def orders(venue: Venue, body: Body) -> dict[str, Any]:
    """An order from outside the API (the web, the phone), or ``{"cancel": order_id}`` of any order."""
    if "cancel" in body:
        return {"order_id": venue.cancel("regular", str(body["cancel"])).order_id}
    form = {name: str(value) for name, value in body.items() if name not in ("variety", "placed_by")}
    kept = venue.settings
    venue.settings = replace(kept, require_market_protection=False)  # a rule of the API, not of the web
    try:
        placed_by = str(body.get("placed_by") or kept.user_id)
        order = venue.place(str(body.get("variety", "regular")), form, placed_by=placed_by)
    finally:
        venue.settings = kept
    return {"order_id": order.order_id}


def session(venue: Venue, body: Body) -> dict[str, Any]:
    """Kill the access token, or issue a new one without a login."""
    if body.get("expire_token"):
        venue.sessions.expire()
        return {"access_token": None}
    if body.get("issue_token"):
        return {"access_token": venue.sessions.issue(venue.now)}
    raise BadSettings('say {"expire_token": true} or {"issue_token": true}')


def day(venue: Venue, body: Body) -> dict[str, Any]:
    """On to the next trading day, a quarter of an hour before its open."""
    opens = venue.market.next_session()
    if opens is None:
        raise BadSettings("this is the market's last day")
    venue.move_to(opens - BEFORE_OPEN)
    return venue.clock_state()


def state(venue: Venue, body: Body) -> dict[str, Any]:
    """Everything."""
    return venue.state()


POSTS = {"clock": clock, "market": market, "orders": orders, "session": session, "day": day}
