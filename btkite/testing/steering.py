"""``Steering``: the exchange's control surface from Python, for tests and for people who script a market day.

It speaks plain HTTP to ``/_exchange/*`` (docs/exchange.md), so it steers an exchange of this process, of
another one, or the one that ``btkite exchange`` has started. It needs the standard library only.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode, urlsplit

from ..errors import BtkiteError

Row = dict[str, Any]
Level = Sequence[float]
IST = timezone(timedelta(hours=5, minutes=30))
TIMEOUT = 60.0  # seconds; a whole day may be played in one call


class SteeringError(BtkiteError):
    """The exchange refused a control call, or does not answer; its own sentence is kept."""


class Steering:
    """Moves time, prices, orders, faults and sessions of the simulated exchange at ``url``.

    Times are naive IST datetimes or ISO texts; prices are rupees; symbols are ``EXCHANGE:TRADINGSYMBOL``.
    Every method raises :class:`SteeringError` if the exchange says no.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80

    # what there is

    def state(self) -> Row:
        """Clock, account, market, orders with history, trades, positions, sockets with subscriptions, faults."""
        return self._ask("GET", "state")

    def requests(self, since: int = 0) -> list[Row]:
        """The request log after number ``since``: seq, time, method, path, form, status, fault."""
        return self._ask("GET", "requests", since=since)

    def orders(self) -> list[Row]:
        """Every order of the day, each with its ``history``."""
        return list(self.state()["orders"])

    def trades(self) -> list[Row]:
        """The day's trades."""
        return list(self.state()["trades"])

    def positions(self) -> list[Row]:
        """Net positions."""
        return list(self.state()["positions"]["net"])

    def sockets(self) -> list[Row]:
        """Open sockets: ``peer``, ``sent`` (frames) and ``subscriptions`` (mode by token)."""
        return list(self.state()["sockets"])

    def now(self) -> datetime:
        """The exchange's time, naive IST."""
        return datetime.fromisoformat(self.clock()["now"]).replace(tzinfo=None)

    # time

    def clock(self) -> Row:
        """``now``, ``speed``, ``done``, ``sent`` (frames by socket)."""
        return self._ask("POST", "clock", {})

    def next_bar(self, until: datetime | str | None = None) -> Row:
        """Lock step: on to the end of a bar, an open or an order event, at most to ``until``."""
        return self._ask("POST", "clock", {"next": "bar", **_until(until)})

    def next_event(self, until: datetime | str | None = None) -> Row:
        """Lock step: on to the next instant of any kind, at most to ``until``."""
        return self._ask("POST", "clock", {"next": "event", **_until(until)})

    def speed(self, times: float) -> Row:
        """Let the clock run: market seconds per second."""
        return self._ask("POST", "clock", {"speed": times})

    def pause(self) -> Row:
        """Stop the clock."""
        return self._ask("POST", "clock", {"pause": True})

    def advance(self, seconds: float) -> Row:
        """Play the next ``seconds`` of the market at once."""
        return self._ask("POST", "clock", {"advance": seconds})

    def play_until(self, moment: datetime | str) -> Row:
        """Play up to a moment at once."""
        return self._ask("POST", "clock", _until(moment))

    def next_day(self) -> Row:
        """Over the night: T+1 holdings, an empty book, the token dead at 06:00."""
        return self._ask("POST", "day", {})

    # prices

    def put_price(self, symbol: str, last_price: float, *, volume: int = 0) -> Row:
        """The next print, now, by hand: orders meet it."""
        return self._ask("POST", "market", {**_named(symbol), "last_price": last_price, "volume": volume})

    def put_depth(self, symbol: str, *, buy: Iterable[Level] = (), sell: Iterable[Level] = ()) -> Row:
        """A book by hand: levels of (price, quantity) or (price, quantity, orders), at most five a side."""
        depth = {"buy": [list(level) for level in buy], "sell": [list(level) for level in sell]}
        return self._ask("POST", "market", {**_named(symbol), "depth": depth})

    def script(self, lines: Iterable[Mapping[str, Any]]) -> int:
        """A timed list of prices: each with ``symbol``, ``last_price`` or ``depth``, and ``at`` (a moment) or
        ``after`` (seconds after the line before). How many were entered."""
        made = []
        for line in lines:
            whole = dict(line)
            if "symbol" in whole:
                whole.update(_named(str(whole.pop("symbol"))))
            if "at" in whole:
                whole["at"] = _iso(whole["at"])
            made.append(whole)
        return int(self._ask("POST", "market", {"script": made})["entered"])

    def halt(self, target: str, *, minutes: float | None = None, purge: bool = False) -> Row:
        """Stop trading in a symbol, an exchange, or everything (``""``); ``purge`` cancels what rests there."""
        length = {} if minutes is None else {"minutes": minutes}
        return self._ask("POST", "halt", {"target": target, "purge": purge, **length})

    def resume(self, target: str) -> Row:
        """End a halt."""
        return self._ask("POST", "halt", {"resume": target})

    def break_circuit(self, percent: int) -> Row:
        """The market-wide breaker of 10, 15 or 20 per cent, by the rules of the day."""
        return self._ask("POST", "halt", {"breaker": percent})

    def gap(self, symbol: str, percent: float) -> Row:
        """A lasting gap: all prices to come lie ``percent`` away from the candles'."""
        return self._ask("POST", "halt", {"gap": symbol, "percent": percent})

    # orders from outside the API

    def place(self, symbol: str, transaction_type: str, quantity: int, **form: Any) -> str:
        """An order from the web or the phone; its id. ``form`` as for Kite: ``order_type`` (MARKET), ``product``
        (MIS), ``price`` …; ``placed_by``."""
        usual = {"order_type": "MARKET", "product": "MIS", "validity": "DAY"}
        fields = {**usual, **form, **_named(symbol), "transaction_type": transaction_type, "quantity": quantity}
        return str(self._ask("POST", "orders", fields)["order_id"])

    def modify(self, order_id: str, **form: Any) -> str:
        """Change any order, whoever placed it."""
        return str(self._ask("POST", "orders", {"modify": order_id, **form})["order_id"])

    def cancel(self, order_id: str) -> str:
        """Cancel any order, whoever placed it."""
        return str(self._ask("POST", "orders", {"cancel": order_id})["order_id"])

    # faults

    def arm(
        self,
        kind: str,
        *,
        method: str | None = None,
        path: str | None = None,
        fields: Mapping[str, str] | None = None,
        nth: int | None = None,
        every: int | None = None,
        probability: float | None = None,
        at: datetime | str | None = None,
        until: datetime | str | None = None,
        times: int | None = 1,
        seed: int = 0,
        **args: Any,
    ) -> Row:
        """Arm a fault of one of the kinds of docs/exchange.md; its row, with its ``id``.

        ``times=None``: without limit. What the kind itself takes (``seconds=3``) follows by name.
        """
        match: dict[str, Any] = {"method": method, "path": path, "fields": fields, "nth": nth, "every": every,
                                 "probability": probability}  # fmt: skip
        match |= {"at": _iso(at) if at is not None else None, "until": _iso(until) if until is not None else None}
        given = {name: value for name, value in match.items() if value is not None}
        return self._ask("POST", "faults", {"kind": kind, "match": given, "times": times, "args": args, "seed": seed})

    def storm(
        self,
        seed: int,
        *,
        every: float = 60.0,
        kinds: Sequence[str] = (),
        args: Mapping[str, Mapping[str, Any]] | None = None,
        until: datetime | str | None = None,
    ) -> Row:
        """One fault of random kind every ``every`` seconds of the market; the same seed, the same faults."""
        storm = {"seed": seed, "every": every, "kinds": list(kinds), "args": dict(args or {})}
        return self._ask("POST", "faults", {"storm": {**storm, **_until(until)}})

    def faults(self) -> list[Row]:
        """All that is armed or was: ``seen`` (what it was held against), ``fired``, ``spent``, ``lasts``."""
        return self._ask("GET", "faults")

    def fired(self, kind: str) -> int:
        """How often faults of a kind acted."""
        return sum(row["fired"] for row in self.faults() if row.get("kind") == kind)

    def disarm(self, number: int | None = None) -> int:
        """Clear one fault, or all; how many were cleared."""
        query: dict[str, Any] = {} if number is None else {"id": number}
        return int(self._ask("DELETE", "faults", None, **query)["cleared"])

    # the session

    def message(self, text: str, *, error: bool = False) -> int:
        """A text of the broker's, or an error, to every socket; how many there are."""
        kind = "error" if error else "message"
        return int(self._ask("POST", "message", {"type": kind, "data": text})["sockets"])

    def expire_token(self) -> None:
        """Kill the access token, as at 06:00 IST."""
        self._ask("POST", "session", {"expire_token": True})

    def issue_token(self) -> str:
        """A new access token without a login; the one before it is dead."""
        return str(self._ask("POST", "session", {"issue_token": True})["access_token"])

    def say(self, text: str, *, error: bool = False) -> int:
        """A broker's message, or one of Kite's errors, to every open socket; how many there are."""
        answer = self._ask("POST", "message", {"type": "error" if error else "message", "data": text})
        return int(answer["sockets"])

    def _ask(self, method: str, name: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        path = f"/_exchange/{name}" + (f"?{urlencode(query)}" if query else "")
        text = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            place = f"{self._host}:{self._port}"
            raise SteeringError(f"no simulated exchange answers on {place} ({error}): start one") from error
        finally:
            connection.close()
        if answer.get("status") != "success":
            raise SteeringError(str(answer.get("message", "the exchange refused the call")))
        return answer["data"]


def _named(symbol: str) -> Row:
    exchange, _, tradingsymbol = symbol.partition(":")
    return {"exchange": exchange, "tradingsymbol": tradingsymbol}


def _iso(moment: datetime | str) -> str:
    if isinstance(moment, str):
        return moment
    return (moment.replace(tzinfo=IST) if moment.tzinfo is None else moment.astimezone(IST)).isoformat()


def _until(moment: datetime | str | None) -> Row:
    return {} if moment is None else {"until": _iso(moment)}
