"""The control surface ``/_exchange/*``: for tests, demos and people who script a market day.

Plain functions on a venue; times are ISO 8601 with +05:30. Loopback only (the server sees to it). What each
call takes and answers is in docs/exchange.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from . import script
from .clock import SECOND, parse_iso
from .errors import BadSettings
from .orders import AMO_RECEIVED
from .script import number
from .venue import BEFORE_OPEN, Venue

Body = Mapping[str, Any]
Action = Callable[[Venue, Body], Any]
_CLOCK_KEYS = {"next", "until", "speed", "pause", "advance"}


def names_this_machine(host: str) -> bool:
    """True for a ``Host`` that is ``localhost`` or a loopback address, with any port.

    A page of another site can have its name resolve to 127.0.0.1 (DNS rebinding), but it cannot change this header.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


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
        venue.move_to(venue.now + round(number(body, "advance") * SECOND))
    elif "speed" in body:
        venue.lockstep = False
        venue.clock.run(number(body, "speed"))
    elif body.get("pause"):
        venue.clock.run(0.0)
    return venue.clock_state()


def market(venue: Venue, body: Body) -> dict[str, Any]:
    """A print or a book by hand, now (``after`` or ``at``: later), or a ``script`` of several."""
    if "script" in body:
        return {"now": venue.clock_state()["now"], "entered": script.enter(venue, body["script"])}
    line = script.read(venue, body)
    if line.us is not None and line.us > venue.now:
        return {"now": venue.clock_state()["now"], "entered": script.enter(venue, [body])}
    line.play(venue)
    return {"now": venue.clock_state()["now"], "last_price": line.listing.last}


_HALT_KEYS = {"target", "minutes", "purge", "resume", "breaker", "gap", "percent"}


def halt(venue: Venue, body: Body) -> dict[str, Any]:
    """Stop or resume an instrument, an exchange or everything; break the market's circuit; a lasting gap of prices."""
    unknown = set(body) - _HALT_KEYS
    if unknown:
        raise BadSettings(f"a halt knows {', '.join(sorted(_HALT_KEYS))}; not {', '.join(sorted(unknown))}")
    phases = venue.market.phases
    minutes: float | None = None
    if "breaker" in body:
        minutes = phases.break_circuit(body["breaker"])
    elif "resume" in body:
        phases.resume(str(body["resume"]))
    elif "gap" in body:
        listing = venue.market.listings.get(str(body["gap"]))
        percent = body.get("percent")
        if listing is None or isinstance(percent, bool) or not isinstance(percent, (int, float)) or percent <= -100:
            raise BadSettings('a gap is {"gap": "EXCHANGE:SYMBOL", "percent": -3.5} of a listed symbol')
        venue.market.gap(listing, listing.path * percent / 100)
    else:
        minutes = number(body, "minutes") if "minutes" in body else None
        phases.halt(str(body.get("target", "")), minutes=minutes, purge=bool(body.get("purge", False)))
    halted = sorted(key for key, one in venue.market.listings.items() if phases.halted(one))
    return {"now": venue.clock_state()["now"], "minutes": minutes, "halted": halted}


def orders(venue: Venue, body: Body) -> dict[str, Any]:
    """An order from outside the API (the web, the phone); or ``{"cancel": order_id}``, or ``{"modify": order_id,
    ...}``, of any order."""
    form = {name: str(value) for name, value in body.items() if name not in ("variety", "placed_by", "modify")}
    if "cancel" in body:
        order = venue.cancel(_variety(venue, body, "cancel"), str(body["cancel"]))
    elif "modify" in body:  # protection is a rule of the API, not of the web
        order = venue.modify(_variety(venue, body, "modify"), str(body["modify"]), form, from_api=False)
    else:
        placed_by = str(body.get("placed_by") or venue.settings.user_id)
        order = venue.place(str(body.get("variety", "regular")), form, placed_by=placed_by)
    return {"order_id": order.order_id}


def _variety(venue: Venue, body: Body, name: str) -> str:
    """The variety that an order is changed with: its own, but for an after-market order that was sent."""
    order = venue.book.get(str(body[name]))
    sent = order.variety == "amo" and order.status != AMO_RECEIVED
    return str(body.get("variety") or ("regular" if sent else order.variety))


def faults(venue: Venue, body: Body) -> dict[str, Any]:
    """Arm a fault, or a storm of them."""
    return venue.faults.arm(body)


def faults_armed(venue: Venue, query: Body) -> list[dict[str, Any]]:
    """What is armed or was, and how often it acted."""
    return venue.faults.rows()


def faults_clear(venue: Venue, query: Body) -> dict[str, Any]:
    """Clear all, or the one with ``id``."""
    given = str(query.get("id", ""))
    if given and not given.isdigit():
        raise BadSettings("id must be the number of a fault")
    return {"cleared": venue.faults.disarm(int(given) if given else None)}


def fault_kinds(venue: Venue, query: Body) -> list[dict[str, Any]]:
    """The table of kinds, for pages and programs that offer a choice."""
    from .faults import TABLE

    return [
        {
            "kind": kind.name,
            "where": kind.where,
            "what": kind.what,
            "match": dict(kind.match),
            "args": {name: {"default": arg.default, "what": arg.what} for name, arg in kind.args.items()},
        }
        for kind in TABLE.values()
    ]


def session(venue: Venue, body: Body) -> dict[str, Any]:
    """Kill the access token, or issue a new one without a login."""
    if body.get("expire_token"):
        venue.sessions.expire()
        return {"access_token": None}
    if body.get("issue_token"):
        return {"access_token": venue.sessions.issue(venue.now)}
    raise BadSettings('say {"expire_token": true} or {"issue_token": true}')


def message(venue: Venue, body: Body) -> dict[str, Any]:
    """A text to every socket, as Kite's ``error`` and the broker's ``message`` come."""
    kind, text = body.get("type", "message"), body.get("data")
    if kind not in ("message", "error") or not isinstance(text, str):
        raise BadSettings('say {"type": "message", "data": "a text"}, or "type": "error"')
    venue.hub.tell(kind, text)
    return {"sockets": len(venue.hub.sockets)}


def day(venue: Venue, body: Body) -> dict[str, Any]:
    """On to the next trading day, a quarter of an hour before its open."""
    opens = venue.market.next_session()
    if opens is None:
        raise BadSettings("this is the market's last day")
    venue.move_to(opens - BEFORE_OPEN)
    return venue.clock_state()


def state(venue: Venue, query: Body) -> dict[str, Any]:
    """Everything."""
    return venue.state()


def requests(venue: Venue, query: Body) -> list[dict[str, Any]]:
    """The request log after ``since``."""
    since = str(query.get("since", "0"))
    if not since.isdigit():
        raise BadSettings("since must be a whole number")
    return [row for row in venue.requests if row["seq"] > int(since)]


POSTS: Mapping[str, Action] = {
    "clock": clock, "market": market, "halt": halt, "orders": orders, "faults": faults, "session": session, "day": day,
    "message": message,
}  # fmt: skip
GETS: Mapping[str, Action] = {
    "state": state, "requests": requests, "faults": faults_armed, "faults/kinds": fault_kinds,
}  # fmt: skip
DELETES: Mapping[str, Action] = {"faults": faults_clear}
