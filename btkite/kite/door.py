"""The one way to Kite's REST interface: armed or not, paced, tried again, and every failure translated.

The official ``kiteconnect`` client does the wire. Its one private method ``_request`` is wrapped
once, here (it raises bare ``KeyError``, ``TypeError`` and ``requests`` errors, and forgets Kite's
``error_type`` when it has no class for it). A door that is not armed refuses every order before the wire.

No order call is ever made twice. Reads are tried again, a few times, on 429, 5xx and time-outs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..errors import KiteUnavailable, RuleViolation, SessionExpired
from ..log import register_secret
from . import network
from .endpoints import Endpoint
from .failures import Failure, translate
from .pace import Kind, Lane, Pace
from .secret import RedactFilter, Secret, mask, redact
from .tables import read_candles

if TYPE_CHECKING:
    import requests
    from kiteconnect import KiteConnect

log = logging.getLogger("btkite.kite.client")

ATTEMPTS = 4  # of a read, in all

# Routes that Kite has and kiteconnect 5.2.2 does not.
MORE_ROUTES: Mapping[str, str] = {
    "user.profile.full": "/user/profile/full",
    "portfolio.holdings.summary": "/portfolio/holdings/summary",
    "portfolio.holdings.authorise": "/portfolio/holdings/authorise",
    "alerts": "/alerts",
    "alert.info": "/alerts/{uuid}",
    "alert.history": "/alerts/{uuid}/history",
}
# What may be written by a client that is not armed: nothing of this can trade. Any other route that
# is not a GET counts as an order, so a route that we do not know does, too.
HARMLESS = frozenset(
    {
        "api.token", "api.token.invalidate", "api.token.renew",
        "order.margins", "order.margins.basket", "order.contract_note", "portfolio.holdings.authorise",
    }
)  # fmt: skip
_LOGIN = frozenset({"api.token", "api.token.renew"})  # what a refusal of says nothing of the token in use
_OVER = "the session is over: Kite has refused the access token. Log in again: btkite login."
_KINDS = {
    "market.quote": Kind.QUOTE,
    "market.quote.ohlc": Kind.QUOTE,
    "market.quote.ltp": Kind.QUOTE,
    "market.historical": Kind.HISTORICAL,
}
# Answers that are read as columns, not row by row.
_READERS: Mapping[str, Callable[[bytes], Any]] = {"market.historical": read_candles}


def is_order(route: str, method: str) -> bool:
    """Whether a call on this route could place, change or cancel anything that trades."""
    return method != "GET" and route not in HARMLESS


class Door:
    """kiteconnect's client of one account, guarded. The parameters are those of
    :class:`~btkite.kite.client.KiteClient`, which says what may be asked."""

    def __init__(
        self,
        endpoint: Endpoint,
        api_key: str,
        access_token: str | None = None,
        *,
        user_id: str = "",
        armed: bool = False,
        clock: Clock,
        timeout: float = 7.0,
        debug: bool = False,
        ipv4: bool = True,
        proxy: str = "",
        pace: Pace | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.endpoint = endpoint
        self.api_key = api_key
        self.user_id = user_id
        self.armed = armed
        self._clock = clock
        self.pace = pace if pace is not None else Pace(clock)
        self._token = Secret(access_token or "")
        register_secret(access_token or "")
        self._debug = debug
        self._timeout = timeout
        self._ipv4 = ipv4
        self._proxy = proxy
        register_secret(proxy)
        self._dead = Secret("")  # the token that Kite has refused
        self._on_refused: Callable[[str], None] | None = None
        self._attempts = attempts
        self._answer = threading.local()
        self._building = threading.Lock()
        self._built: KiteConnect | None = None
        self._wire: Callable[..., Any] = self._no_wire

    def __repr__(self) -> str:
        name, state = type(self).__name__, "armed" if self.armed else "not armed"
        return f"{name}({self.endpoint.name}, api_key={mask(self.api_key)!r}, user_id={self.user_id!r}, {state})"

    @property
    def access_token(self) -> str:
        """The token in use, in the open: for the stream's URL and the token store only."""
        return self._token.reveal()

    def set_token(self, access_token: str) -> None:
        """Use a new token from the next call on."""
        self._token = Secret(access_token)
        register_secret(access_token)
        if self._built is not None:
            self._built.set_access_token(access_token)

    def guard(self, on_refused: Callable[[str], None] | None) -> None:
        """For the time of a run, let a token rest that Kite has refused, and call this function, with the reason, on
        whatever thread hears of it. None: the run is over."""
        self._on_refused, self._dead = on_refused, Secret("")

    @property
    def guarded(self) -> bool:
        return self._on_refused is not None

    @property
    def refused(self) -> bool:
        """Whether Kite has refused the token in use, in a run. Then nothing is asked with it any more: each call
        raises ``SessionExpired`` before the wire, until there is another token or this one is believed again."""
        return bool(self._dead) and self._dead == self._token

    def refuse(self, access_token: str, reason: str) -> None:
        """Kite has refused this token, here or at the stream's door."""
        tell = self._on_refused
        if tell is None:
            return
        if access_token == self.access_token:
            self._dead = Secret(access_token)
        tell(reason)

    def believe(self, access_token: str) -> None:
        """Kite has just taken this token: use it from the next call on."""
        self._dead = Secret("")
        self.set_token(access_token)

    def token_for_stream(self) -> str:
        """The token in use. :raises SessionExpired: if Kite has refused it."""
        if self.refused:
            raise SessionExpired(_OVER)
        return self.access_token

    def close(self) -> None:
        """Close the connections."""
        if self._built is not None:
            self._built.reqsession.close()

    @property
    def _kite(self) -> KiteConnect:
        """kiteconnect's client, built on first use: importing it takes a second."""
        if self._built is None:
            with self._building:
                if self._built is None:
                    self._built = self._build()
        return self._built

    def _build(self) -> KiteConnect:
        from kiteconnect import KiteConnect

        # debug stays off: kiteconnect would log the Authorization header.
        kite = KiteConnect(self.api_key, self.access_token or None, root=self.endpoint.rest_root, timeout=self._timeout)
        routes = {**KiteConnect._routes, **MORE_ROUTES}
        kite._routes = {name: self.endpoint.path(route) for name, route in routes.items()}
        session = kite.reqsession
        session.max_redirects = 0  # Kite has none, and a redirected order would be an order to nobody
        session.hooks["response"].append(self._keep_answer)
        network.prepare(session, self.endpoint.rest_root, proxy=self._proxy, ipv4=self._ipv4)
        library_log = logging.getLogger("urllib3.connectionpool")
        if not any(isinstance(known, RedactFilter) for known in library_log.filters):
            library_log.addFilter(RedactFilter())
        self._wire = kite._request
        kite._request = self._request
        return kite

    def _keep_answer(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._answer.response = response
        read = _READERS.get(getattr(self._answer, "route", ""))
        if read is not None and response.status_code == 200:
            response.json = lambda **_: read(response.content)  # type: ignore[method-assign]

    @staticmethod
    def _no_wire(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the client is not built")

    def _lane(self, lane: Lane, paced: bool) -> _LaneGuard:
        return _LaneGuard(self._answer, lane, paced)

    def _request(self, route: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """kiteconnect's ``_request``, guarded, paced, and with its failures translated."""
        order = is_order(route, method)
        if order and not self.armed:
            raise RuleViolation(
                f"refused before the wire: this client is not armed, so {method} {self._path(route)} was not sent "
                "(only a live run that was confirmed sends orders: btkite run … --mode live --confirm USER_ID)"
            )
        if method == "GET" and self._attempts > 1:
            return self._read(route, method, args, kwargs)
        return self._once(route, method, order, args, kwargs)

    def _read(self, route: str, method: str, args: Any, kwargs: Any) -> Any:
        import stamina

        for attempt in stamina.retry_context(
            on=KiteUnavailable, attempts=self._attempts, timeout=60.0, wait_initial=0.25, wait_max=5.0
        ):
            with attempt:
                return self._once(route, method, False, args, kwargs)
        raise AssertionError("stamina always returns or raises")

    def _once(self, route: str, method: str, order: bool, args: Any, kwargs: Any) -> Any:
        if self.refused and route not in _LOGIN:
            raise SessionExpired(_OVER)
        kind, lane = self._turn(route, order)
        counted = None if getattr(self._answer, "paced", False) else self.pace.take(kind, lane)
        self._answer.response, self._answer.route = None, route
        token = self.access_token
        try:
            data = self._wire(route, method, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - kiteconnect raises its own, requests', KeyError, TypeError
            failure = self._failure(error)
            if self._debug:
                log.debug("%s %s: %s %s", method, self._path(route), failure.code, failure.message)
            translated = translate(failure, order=order)
            if isinstance(translated, SessionExpired) and token and route not in _LOGIN:
                self.refuse(token, str(translated))
            raise translated from None
        finally:
            response, self._answer.response = self._answer.response, None
            if counted is not None:
                self.pace.answered(kind, counted)
        if self._debug:
            log.debug("%s %s: %s", method, self._path(route), getattr(response, "status_code", 0))
        return data

    def _turn(self, route: str, order: bool) -> tuple[Kind, Lane]:
        if order:
            return Kind.ORDER, getattr(self._answer, "lane", Lane.ENTRY)
        return _KINDS.get(route, Kind.OTHER), Lane.ENTRY

    def _path(self, route: str) -> str:
        return str(self._kite._routes.get(route, route))

    def _failure(self, error: Exception) -> Failure:
        """What happened, from Kite's raw answer if there was one: kiteconnect keeps only a part of it."""
        import requests

        response: requests.Response | None = self._answer.response
        if isinstance(error, requests.TooManyRedirects):
            return Failure(0, "", "the server redirected the call elsewhere")
        if response is None or isinstance(error, requests.RequestException):
            # Also if the head of an answer came and its body did not: that says nothing.
            reason = "no answer in time" if isinstance(error, requests.Timeout) else "the connection failed"
            sent = not _never_connected(error)
            hint = (
                ""
                if sent
                else f": see that this machine is online and reaches {self.endpoint.rest_root}, and try again"
            )
            return Failure(0, "", f"{reason} ({_root_cause(error)}){hint}", sent=sent)
        try:
            body = response.json()
        except ValueError:
            body = None
        if isinstance(body, dict) and isinstance(body.get("error_type"), str):
            message = self._clean(body.get("message") or body["error_type"])
            hints = (body.get("data") or {}).get("hints") if isinstance(body.get("data"), dict) else None
            if hints:
                message = f"{message} (Kite's hints: {', '.join(map(str, hints))})"
            return Failure(response.status_code, body["error_type"], message)
        kind = response.headers.get("content-type", "no content type")
        return Failure(
            response.status_code, "", f"HTTP {response.status_code} with an answer that is not Kite's ({kind})"
        )

    def _clean(self, text: object) -> str:
        return redact(text, self.access_token)


class _LaneGuard:
    """For the time of one call on this thread: its lane, and whether its turn was taken."""

    def __init__(self, local: threading.local, lane: Lane, paced: bool) -> None:
        self._local, self._lane, self._paced = local, lane, paced

    def __enter__(self) -> None:
        self._local.lane, self._local.paced = self._lane, self._paced

    def __exit__(self, *_: object) -> None:
        self._local.lane, self._local.paced = Lane.ENTRY, False


def _never_connected(error: BaseException) -> bool:
    """Whether the failure was in making the connection, so that no byte of the request left."""
    import requests
    import urllib3

    return isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(
        _reason(error), urllib3.exceptions.NewConnectionError
    )


def _reason(error: BaseException) -> object:
    inner = error.args[0] if error.args else None
    return getattr(inner, "reason", inner)


def _root_cause(error: BaseException) -> str:
    """The end of the chain of wrapped errors, without the URL that urllib3 writes into its own."""
    cause = _reason(error)
    return type(cause).__name__ if isinstance(cause, BaseException) else type(error).__name__
