"""What may become of a REST call: kinds whose ``where`` is ``reply``.

``act`` runs in place of, or before, the action: it may return an answer (then there is no action), raise
Kite's refusal, or raise :class:`NoReply`. ``after`` runs when the action is done and may change the answer.
Waits are in seconds of the machine, because a client's time-out is.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from ..clock import DAY, SECOND, day_of
from ..errors import Refusal, bad_input
from ..refusals import (
    TIMED_OUT,
    no_permission,
    not_authorised,
    too_many_calls,
    too_many_changes,
    wrong_address,
    wrong_token,
)
from .kinds import Arg, Args, Kind

if TYPE_CHECKING:
    from ..venue import Venue

JSON = "application/json"
BARE = "without_type"
WRITES = "POST|PUT|DELETE"
ORDERS = "/orders/*"
HTML_PAGE = b"<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<h1>%s</h1>\r\n</body>\r\n</html>\r\n"
MAINTENANCE = "Our order management system is under scheduled maintenance. Try placing your AMO order after 5.30 AM."
FUNDS = "Insufficient funds. Required margin is 95417.84 but available margin is 74251.80."
RMS = (
    "RMS:Margin Exceeds,Required:95417.84, Available:74251.80 for entity account-XXXXX across exchange "
    "across segment across product "
)
FREEZE = (
    "The order quantity {quantity} ({lots} lots) is higher than the maximum quantity of {freeze} ({freeze_lots} lots) "
    "allowed by the exchanges. Please reduce the order quantity or use iceberg orders. [Read more.]"
    "(https://support.zerodha.com/category/trading-and-markets/kite-web-and-mobile/articles/freeze-quantity)"
)


class NoReply(Exception):
    """The connection ends without an answer."""


class Bare(web.Response):
    """An answer that is to go without a Content-Type; the server's default must be taken from it, too."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One REST call as a fault sees it. ``path`` is without the sandbox's prefix."""

    venue: Venue
    method: str
    path: str
    fields: Mapping[str, str]
    address: str


def error(status: int, error_type: str, message: str) -> web.Response:
    """Kite's error shape."""
    body = {"status": "error", "message": message, "data": None, "error_type": error_type}
    return web.Response(body=orjson.dumps(body), status=status, content_type=JSON)


async def _withhold(ask: Ask, args: Args) -> None:
    await asyncio.sleep(args["seconds"])
    raise NoReply


async def _withhold_after(ask: Ask, args: Args, response: web.Response) -> web.Response:
    await asyncio.sleep(args["seconds"])
    raise NoReply


def _drop(ask: Ask, args: Args) -> None:
    raise NoReply


def _drop_after(ask: Ask, args: Args, response: web.Response) -> web.Response:
    raise NoReply


def _timed_out(ask: Ask, args: Args, response: web.Response) -> web.Response:
    return error(400, args["error_type"], args["message"])


def _rate(ask: Ask, args: Args) -> None:
    raise too_many_calls()


# A failure of a server on the way: it may have come before the action or after it.


Failure = Callable[[Ask, Args], web.Response]


def _before(make: Failure) -> Callable[[Ask, Args], web.Response | None]:
    def act(ask: Ask, args: Args) -> web.Response | None:
        return None if args["accepted"] else make(ask, args)

    return act


def _after(make: Failure) -> Callable[[Ask, Args, web.Response], web.Response]:
    def act(ask: Ask, args: Args, response: web.Response) -> web.Response:
        return make(ask, args) if args["accepted"] else response

    return act


def _server_error(ask: Ask, args: Args) -> web.Response:
    return error(500, "GeneralException", "Something unexpected happened. Please try again later.")


def _bad_gateway(ask: Ask, args: Args) -> web.Response:
    title = b"502 Bad Gateway"
    return web.Response(body=HTML_PAGE % (title, title), status=502, content_type="text/html")


def _unavailable(ask: Ask, args: Args) -> web.Response:
    return error(503, "NetworkException", "Request failed (kitetrade-oms).")


def _gateway_timeout(ask: Ask, args: Args) -> web.Response:
    return error(504, "NetworkException", "Gateway timed out")


ACCEPTED = Arg(False, "true: the action was done before the failure")


def _on_the_way(name: str, what: str, make: Failure) -> Kind:
    return Kind(name, "reply", what, act=_before(make), after=_after(make), args={"accepted": ACCEPTED})


# Answers that are not what they should be.


def _bare(ask: Ask, args: Args, response: web.Response) -> web.Response:
    return Bare(body=_body(response), status=response.status, content_type=response.content_type)


async def without_type(request: web.Request, response: web.StreamResponse) -> None:
    """A hook of the server's: takes the header from an answer that is to go without it."""
    if isinstance(response, Bare):
        response.headers.pop("Content-Type", None)


def _body(response: web.Response) -> bytes:
    """The body as it was before it was packed."""
    body = response.body if isinstance(response.body, bytes) else b""
    return gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body


def _malformed(ask: Ask, args: Args, response: web.Response) -> web.Response:
    body = _body(response)
    half = body[: max(1, len(body) // 2)]
    return web.Response(body=half, status=response.status, content_type=response.content_type)


def _untyped(ask: Ask, args: Args) -> web.Response:
    body = {"status": "error", "message": args["message"], "data": None}
    return web.Response(body=orjson.dumps(body), status=args["status"], content_type=JSON)


async def _slow(ask: Ask, args: Args) -> None:
    if not args["accepted"]:
        await asyncio.sleep(args["seconds"])


async def _slow_after(ask: Ask, args: Args, response: web.Response) -> web.Response:
    if args["accepted"]:
        await asyncio.sleep(args["seconds"])
    return response


# Kite's own refusals.


def _token(ask: Ask, args: Args) -> None:
    if args["kill"]:
        ask.venue.sessions.expire()
    raise wrong_token()


def _ip(ask: Ask, args: Args) -> None:
    raise wrong_address(args["address"] or ask.address, args["error_type"])


def _no_permission(ask: Ask, args: Args) -> None:
    raise no_permission()


def _authorisation(ask: Ask, args: Args) -> None:
    raise not_authorised(ask.fields.get("quantity", "0"))


def _freeze(ask: Ask, args: Args) -> None:
    given = ask.fields.get("quantity", "")
    quantity = int(given) if given.isdigit() else 0
    listing = ask.venue.market.listings.get(f"{ask.fields.get('exchange')}:{ask.fields.get('tradingsymbol')}")
    lot = listing.row.lot_size if listing is not None else 1
    freeze = args["freeze"] or max(lot, quantity // 2 // lot * lot)
    raise bad_input(FREEZE.format(quantity=quantity, lots=quantity // lot, freeze=freeze, freeze_lots=freeze // lot))


def _cap(ask: Ask, args: Args) -> None:
    raise too_many_changes()


def _maintenance(ask: Ask, args: Args) -> None:
    raise Refusal(503, "NetworkException", MAINTENANCE)


# The order system's second thoughts.


@dataclass(slots=True)
class FailingSlices:
    """Of the order that is being placed: which slices are refused, counted from 1, and with what."""

    which: frozenset[int]
    refusal: Refusal
    placed: int = 1  # the first one is the call itself

    def place(self) -> None:
        """The next slice, or its refusal."""
        self.placed += 1
        if self.placed in self.which:
            raise self.refusal


def _slices(ask: Ask, args: Args) -> None:
    ask.venue.faults.slices = FailingSlices(
        frozenset(args["slices"]), Refusal(400, args["error_type"], args["message"])
    )


def _slices_over(ask: Ask, args: Args, response: web.Response) -> web.Response:
    ask.venue.faults.slices = None
    return response


def _rejected(ask: Ask, args: Args, response: web.Response) -> web.Response:
    venue = ask.venue
    order = venue.book.orders.get(str(_data(response).get("order_id")))
    if order is not None:

        def reject(us: int) -> bool:
            if order.terminal:
                return False
            venue.market.remove(order)
            venue.book.reject(order, us, args["message"], args["raw"])
            return True

        if args["seconds"] == 0:
            reject(venue.now)
        else:
            venue.faults.appoint(round(args["seconds"] * SECOND), reject)
    return response


def _data(response: web.Response) -> Mapping[str, Any]:
    try:
        found = orjson.loads(_body(response))["data"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


# Answers of another time.


def _stale(ask: Ask, args: Args, response: web.Response) -> web.Response:
    old = ask.venue.faults.past.answer(ask.venue, ask.path, args["seconds"])
    if old is None or response.status != 200:
        return response
    return web.Response(body=old, status=200, content_type=JSON)


def _yesterday(ask: Ask, args: Args, response: web.Response) -> web.Response:
    if response.status != 200:
        return response
    today = _body(response).decode().splitlines()
    venue, asked = ask.venue, ask.path.removeprefix("/instruments").strip("/")
    head, *rows = venue.dump_of(day_of(venue.now - DAY)).decode().splitlines()
    rows = [row for row in rows if not asked or row.endswith(f",{asked}")]
    names = head.split(",")
    key = names.index("exchange"), names.index("tradingsymbol")
    missing, changed = set(args["missing"]), args["changed"]
    if not missing and not changed and [head, *rows] == today and rows:
        missing = {_key(rows[-1], key)}
    listed = [row for row in rows if _key(row, key) not in missing]
    kept = [_changed(row, names, changed.get(_key(row, key), {})) for row in listed]
    body = "\n".join([head, *kept, ""]).encode()
    return web.Response(body=body, content_type="text/csv")


def _key(row: str, at: tuple[int, int]) -> str:
    columns = row.split(",")
    return f"{columns[at[0]]}:{columns[at[1]]}"


def _changed(row: str, names: list[str], changes: Mapping[str, Any]) -> str:
    columns = row.split(",")
    for name, value in changes.items():
        if name in names:
            columns[names.index(name)] = str(value)
    return ",".join(columns)


# A race that the client loses.


def _race(ask: Ask, args: Args) -> web.Response | None:
    venue, order_id = ask.venue, ask.path.rpartition("/")[2]
    order = venue.book.orders.get(order_id)
    if order is None or not order.is_stop or order.terminal:
        return None
    price = order.trigger_price
    venue.print_by_hand(order.listing, price, args["volume"])
    if not order.terminal:
        return None  # a stop-limit that rests now: it is changed as any limit order
    return web.Response(body=orjson.dumps({"status": "success", "data": {"order_id": order_id}}), content_type=JSON)


SECONDS = Arg(10.0, "how long the client is kept waiting, in seconds of the machine; then the connection ends")
KINDS = (
    Kind("reply_withheld_before", "reply", "No answer comes, and nothing was done.", act=_withhold,
         args={"seconds": SECONDS}),
    Kind("reply_withheld_after", "reply", "The action is done, but no answer comes.", after=_withhold_after,
         args={"seconds": SECONDS}),
    Kind("connection_dropped_before", "reply", "The connection is reset, and nothing was done.", act=_drop),
    Kind("connection_dropped_after", "reply", "The action is done, then the connection is reset.", after=_drop_after),
    Kind("timed_out_after_accept", "reply", "400 \"Order request timed out\", although the order was accepted.",
         after=_timed_out, match={"method": "POST", "path": ORDERS},
         args={"message": Arg(TIMED_OUT, "Kite's text"), "error_type": Arg("NetworkException", "Kite's name for it")}),
    Kind("too_many_requests", "reply", "429 NetworkException; nothing was done.", act=_rate),
    _on_the_way("server_error", "500 GeneralException.", _server_error),
    _on_the_way("html_502", "502 with a page of HTML instead of JSON.", _bad_gateway),
    _on_the_way("unavailable_503", "503 NetworkException: the order system does not answer.", _unavailable),
    _on_the_way("gateway_timeout", "504 NetworkException.", _gateway_timeout),
    Kind("missing_content_type", "reply", "The answer, without a Content-Type header.", after=_bare),
    Kind("malformed_json", "reply", "The first half of the answer's body, with status and headers intact.",
         after=_malformed),
    Kind("missing_error_type", "reply", "An error body without error_type; nothing was done.", act=_untyped,
         args={"status": Arg(500, "the HTTP status"), "message": Arg("Something went wrong.", "the error's text")}),
    Kind("slow_reply", "reply", "The answer comes late.", act=_slow, after=_slow_after,
         args={"seconds": Arg(2.0, "how late, in seconds of the machine"),
               "accepted": Arg(True, "true: the action is done at once; false: only then")}),
    Kind("token_exception", "reply", "403 TokenException in mid-session; nothing was done.", act=_token,
         args={"kill": Arg(False, "true: the access token is dead from then on")}),
    Kind("ip_refused", "reply", "403: the address may not place, change or cancel orders.", act=_ip,
         match={"method": WRITES, "path": ORDERS},
         args={"address": Arg("", "the address that the text names; the caller's if it is empty"),
               "error_type": Arg("PermissionException", "seen as GeneralException too")}),
    Kind("no_permission", "reply", "403 PermissionException, as of a plan without market data.", act=_no_permission,
         match={"path": "/quote*"}),
    Kind("needs_authorisation", "reply", "428: the holdings must be authorised at the depository first.",
         act=_authorisation, match={"method": "POST", "path": ORDERS}),
    Kind("stale_orders", "reply", "The order book (or /trades) as it was a while ago.", after=_stale,
         match={"method": "GET", "path": "/orders"},
         args={"seconds": Arg(5.0, "how long ago, in seconds of the market; at most back to the arming")}),
    Kind("stale_positions", "reply", "The positions (or /portfolio/holdings) as they were a while ago.", after=_stale,
         match={"method": "GET", "path": "/portfolio/positions"},
         args={"seconds": Arg(5.0, "how long ago, in seconds of the market; at most back to the arming")}),
    Kind("freeze_rejection", "reply", "400: the quantity is above the freeze quantity.", act=_freeze,
         match={"method": "POST", "path": ORDERS},
         args={"freeze": Arg(0, "the freeze quantity that the text names; 0: half of what was asked for")}),
    Kind("autoslice_child_failure", "reply", "Of an order that is sliced, some children are refused.", act=_slices,
         after=_slices_over, match={"method": "POST", "path": ORDERS, "fields": {"autoslice": "true"}},
         args={"slices": Arg([2], "which ones, counted from 1; the first cannot fail"),
               "error_type": Arg("MarginException", "Kite's name for it"), "message": Arg(FUNDS, "Kite's text")}),
    Kind("rms_rejection", "reply", "The order is accepted, then rejected by risk management.", after=_rejected,
         match={"method": "POST", "path": ORDERS},
         args={"seconds": Arg(0.0, "how much later, in seconds of the market"),
               "message": Arg(FUNDS, "the row's status_message"), "raw": Arg(RMS, "its status_message_raw")}),
    Kind("modification_cap", "reply", "NetworkException: too many modifications of this order.", act=_cap,
         match={"method": "PUT", "path": ORDERS}),
    Kind("oms_maintenance", "reply", "The order system is under maintenance; reads go on.", act=_maintenance,
         match={"method": WRITES, "path": ORDERS}),
    Kind("instruments_of_yesterday", "reply",
         "The instrument dump of yesterday: what is new is missing, what expired is still there.",
         after=_yesterday, match={"method": "GET", "path": "/instruments|/instruments/[A-Z]*"},
         args={"missing": Arg([], "EXCHANGE:SYMBOL of what was not listed yet; if the days agree, the last row"),
               "changed": Arg({}, "columns that were different: {\"NSE:INFY\": {\"tick_size\": 0.1}}")}),
    Kind("modify_races_trigger", "reply",
         "The modification is accepted while the trigger fires: the price reaches the trigger first.", act=_race,
         match={"method": "PUT", "path": ORDERS},
         args={"volume": Arg(0, "shares of the print at the trigger price")}),
)  # fmt: skip
