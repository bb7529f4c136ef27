"""Prices by hand: a print, a book of five levels, now or at a moment; a market day as a list of such lines.

A line is ``{"tradingsymbol", "exchange", "last_price"?, "volume"?, "depth"?, "at"? | "after"?}``; ``at`` is a
moment in ISO 8601, ``after`` are seconds of market time from now (in a list: from the line before).
``depth`` is ``{"buy": [level ...], "sell": [level ...]}`` with levels ``[price, quantity, orders?]`` or
``{"price", "quantity", "orders"?}``, as in ``/quote``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .clock import SECOND, iso, parse_iso
from .errors import BadSettings
from .listing import Listing
from .opening import MOST_UNITS
from .venue import Venue

_KEYS = {"tradingsymbol", "exchange", "last_price", "volume", "depth", "at", "after"}
Levels = list[list[float]]


def number(body: Mapping[str, Any], name: str) -> float:
    """A number that is not negative. Raises BadSettings."""
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise BadSettings(f"{name} must be a number, zero or more")
    return float(value)


@dataclass(frozen=True, slots=True)
class Line:
    """One line, read and checked. ``us``: its moment, None for now."""

    listing: Listing
    price: float
    volume: int
    depth: tuple[Levels, Levels] | None
    us: int | None

    def play(self, venue: Venue) -> bool:
        """Put it into the market; True if an order changed."""
        told = venue.told
        if self.price:
            venue.print_by_hand(self.listing, self.price, self.volume)
        if self.depth is not None:
            venue.depth_by_hand(self.listing, *self.depth)
        return venue.told != told


def read(venue: Venue, body: Any, since: int | None = None) -> Line:
    """A line as it is written; ``after`` counts from ``since``. Raises BadSettings."""
    if not isinstance(body, Mapping):
        raise BadSettings("a line of a script is an object with tradingsymbol, exchange and last_price")
    unknown = sorted(set(body) - _KEYS)
    if unknown:
        raise BadSettings(f"a price by hand knows {', '.join(sorted(_KEYS))}; not {', '.join(unknown)}")
    missing = [name for name in ("exchange", "tradingsymbol") if not body.get(name)]
    if missing:
        raise BadSettings(
            f"a price by hand is for an exchange and a tradingsymbol: {' and '.join(missing)} must be given"
        )
    key = f"{body['exchange']}:{body['tradingsymbol']}"
    listing = venue.market.listings.get(key)
    if listing is None:
        raise BadSettings(f"{key} is not listed here")
    depth = _sides(body["depth"]) if body.get("depth") is not None else None
    price = number(body, "last_price") if "last_price" in body else 0.0
    for one in (price, *(level[0] for side in depth or () for level in side)):
        listing.row.check_price(one, "a price")
        _check_tick(listing, one)
    if not price and depth is None:
        raise BadSettings("last_price must be given, and above zero (or a depth)")
    us = None
    if body.get("at") is not None:
        us = parse_iso(body["at"])
    elif "after" in body:
        us = (venue.now if since is None else since) + round(number(body, "after") * SECOND)
    volume = round(number(body, "volume")) if "volume" in body else 0
    for units in (listing.volume + volume, *(level[1] for side in depth or () for level in side)):
        if units > MOST_UNITS:
            raise BadSettings(f"{units:,.0f} of {key} are more than Kite's packets hold, {MOST_UNITS:,}: give less")
    return Line(listing, round(price, listing.row.decimals), volume, depth, us)


def _check_tick(listing: Listing, price: float) -> None:
    """A trade or a quote off the tick cannot be; the values of an index have no tick but their decimals."""
    row = listing.row
    tick = 1 / row.divisor if row.is_index else row.tick_size
    steps = price / tick
    if abs(steps - round(steps)) > 1e-6 * max(steps, 1.0):
        near = round(round(steps) * tick, row.decimals)
        raise BadSettings(f"{price:.10g} is not on the tick of {row.key}, {tick:g}: the nearest price is {near:.10g}")


def _sides(depth: Any) -> tuple[Levels, Levels]:
    if not isinstance(depth, Mapping) or set(depth) - {"buy", "sell"}:
        raise BadSettings('depth is {"buy": [[price, quantity], ...], "sell": [...]}')
    return _levels(depth.get("buy", [])), _levels(depth.get("sell", []))


def _levels(side: Any) -> Levels:
    if not isinstance(side, Sequence) or isinstance(side, str) or len(side) > 5:
        raise BadSettings("a side of the depth is a list of at most five levels")
    found: Levels = []
    for level in side:
        if isinstance(level, Mapping):
            if "price" not in level or "quantity" not in level:
                raise BadSettings("a level has price and quantity")
            values = [number(level, "price"), number(level, "quantity")]
            values.append(number(level, "orders") if "orders" in level else 1.0)
        elif isinstance(level, Sequence) and not isinstance(level, str) and len(level) in (2, 3):
            named = dict(zip(("price", "quantity", "orders"), level, strict=False))
            values = [number(named, name) for name in named]
        else:
            raise BadSettings("a level of the depth is [price, quantity] or [price, quantity, orders]")
        found.append(values)
    return found


def enter(venue: Venue, lines: Any) -> int:
    """Enter a script, all or nothing; lines without a time come with the one before. How many lines."""
    if not isinstance(lines, Sequence) or isinstance(lines, str):
        raise BadSettings("script must be a list of lines")
    since, read_lines = venue.now, []
    for place, body in enumerate(lines, 1):
        try:
            line = read(venue, body, since)
        except BadSettings as error:
            raise BadSettings(f"line {place} of the script: {error}") from None
        since = line.us if line.us is not None else since
        if since < venue.now:
            raise BadSettings(f"line {place} of the script: {iso(since)} is in the past")
        read_lines.append((since, line))
    for us, line in read_lines:
        _appoint(venue, us, line)
    return len(read_lines)


def _appoint(venue: Venue, us: int, line: Line) -> None:
    def play(_: int) -> bool:
        return line.play(venue)

    venue.market.end = max(venue.market.end, us)
    venue.market.at(us, play)
