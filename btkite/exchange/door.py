"""The door of the REST routes: every request of Kite's goes through it.

Time is caught up, the request is written down, the route is found, then token, plan, address and rate are
checked in this order, and whatever comes of it becomes Kite's JSON.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson
from aiohttp import web
from multidict import MultiDict, MultiMapping

from . import routes
from .apps import App
from .clock import iso
from .errors import Refusal, bad_input
from .faults import Ask, NoReply
from .refusals import NO_IPS, no_permission, wrong_address
from .venue import Venue

SECRETS = {"api_secret", "access_token", "request_token", "refresh_token", "checksum", "enctoken", "public_token"}
_WITH_BODY = ("POST", "PUT")
_WORTH_PACKING = 1024  # bytes


def json_reply(body: Any, status: int = 200) -> web.Response:
    """JSON, as Kite labels it: without a charset."""
    return web.Response(body=orjson.dumps(body), status=status, content_type=routes.JSON)


def refused(refusal: Refusal) -> web.Response:
    """Kite's envelope of an error."""
    body = {"status": "error", "message": refusal.message, "data": refusal.data, "error_type": refusal.error_type}
    return json_reply(body, refusal.code)


def no_route() -> Refusal:
    """A path that Kite does not have."""
    return Refusal(404, "GeneralException", "Route not found")


def masked(fields: Mapping[str, str]) -> dict[str, str]:
    """Fields as the log may hold them."""
    return {name: "***" if name in SECRETS else value for name, value in fields.items()}


def write_down(venue: Venue, request: web.Request, fields: Mapping[str, str]) -> dict[str, Any]:
    """A new row of the request log, still without an answer."""
    venue.request_count += 1
    record = {
        "seq": venue.request_count,
        "time": iso(venue.now),
        "method": request.method,
        "path": request.path,
        "form": masked(fields),
        "status": None,
        "fault": None,
    }
    venue.requests.append(record)
    return record


class Door:
    """Answers requests for the venue that ``venue_of`` names."""

    def __init__(self, venue_of: Callable[[], Venue]) -> None:
        self._venue_of = venue_of

    async def answer(self, request: web.Request) -> web.StreamResponse:
        venue = self._venue_of()
        form, body = await self._read(request)
        venue.catch_up()
        record = write_down(venue, request, {**request.query, **form})
        try:
            route, call, path = self._admit(venue, request, form, body)
            ask = Ask(venue, request.method, path, {**request.query, **form}, request.remote or "")
            response = await venue.faults.around(ask, record, lambda: self._act(route, call, request))
        except Refusal as refusal:
            response = refused(refusal)
        except NoReply:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)  # nobody reads it
        except Exception:  # a bug, of any kind: the server logs it and answers 500, and so does the log of requests
            record["status"] = 500
            raise
        record["status"] = response.status
        venue.after_call()
        return response

    def _act(self, route: routes.Route, call: routes.Call, request: web.Request) -> web.Response:
        call.venue.caller = call.app
        try:
            return self._answer(route.answer(call), request)
        except Refusal as refusal:
            return refused(refusal)
        finally:
            call.venue.caller = None

    @staticmethod
    async def _read(request: web.Request) -> tuple[MultiMapping[str], bytes | None]:
        """The form, or the body where it is JSON."""
        if request.method not in _WITH_BODY:
            return MultiDict(), None
        if request.content_type == routes.JSON:
            return MultiDict(), await request.read()
        fields = (await request.post()).items()
        return MultiDict((name, value) for name, value in fields if isinstance(value, str)), None

    def _admit(
        self, venue: Venue, request: web.Request, form: MultiMapping[str], body: bytes | None
    ) -> tuple[routes.Route, routes.Call, str]:
        """The route, the call, and the path without the sandbox's prefix; raises what stops it."""
        route, named, path = self._route(venue, request)
        app = self._let_in(venue, route, request)
        document = None
        if body is not None:
            try:
                document = orjson.loads(body)
            except ValueError:
                raise bad_input("Invalid JSON.") from None

        def several(name: str) -> list[str]:
            return [*request.query.getall(name, []), *form.getall(name, [])]

        return route, routes.Call(venue, named, request.query, form, several, document, app), path

    @staticmethod
    def _route(venue: Venue, request: web.Request) -> tuple[routes.Route, dict[str, str], str]:
        path = request.path
        sandbox = venue.settings.profile == "sandbox"
        prefixed = sandbox and path.startswith(f"{routes.PREFIX}/")
        path = path.removeprefix(routes.PREFIX) if prefixed else path
        route, named, allowed = routes.find(request.method, path)
        if route is None:
            if not allowed:
                raise no_route()
            raise Refusal(405, "GeneralException", "Method not allowed")
        if sandbox and (route.unprefixed == prefixed or not route.sandbox):
            raise no_route()
        return route, named, path

    @staticmethod
    def _let_in(venue: Venue, route: routes.Route, request: web.Request) -> App:
        """Who calls; raises what stops them."""
        app = venue.sessions.first
        if route.needs_token:
            app = venue.sessions.check_header(request.headers.get("Authorization", ""), venue.now)
        if route.market_data and not app.market_data:
            raise no_permission()
        if route.fixed_ip or (route.trigger and venue.settings.ip_check_gtt):
            check_address(venue, request.remote or "")
        if venue.limited:
            venue.limits.count(route.kind, venue.now + venue.faults.skew)
        return app

    @staticmethod
    def _answer(answer: Any, request: web.Request) -> web.Response:
        if not isinstance(answer, routes.Raw):
            return json_reply({"status": "success", "data": answer})
        headers = {"Location": answer.location} if answer.location else {}
        body = answer.body
        if len(body) >= _WORTH_PACKING and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = _packed(body)
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, status=answer.status, content_type=answer.content_type, headers=headers)


@lru_cache(maxsize=8)
def _packed(body: bytes) -> bytes:
    """A dump is the same for hours and asked for by many."""
    return gzip.compress(body, mtime=0)


def check_address(venue: Venue, remote: str) -> None:
    """Refuse an order call from an address that is not on the list, if there is a list."""
    settings = venue.settings
    if settings.allowed_ips is None or not venue.ruling.today().static_ip:
        return
    if not settings.allowed_ips:
        raise Refusal(403, settings.ip_error_type, NO_IPS)
    address = settings.client_ip or remote
    if address not in settings.allowed_ips:
        raise wrong_address(address, settings.ip_error_type)
