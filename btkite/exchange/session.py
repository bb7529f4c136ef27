"""Login and tokens: one user, one or more apps.

``request_token`` is single use; the checksum is the lower-hex SHA-256 of
``api_key + request_token + api_secret``; an access token dies at 06:00 IST, by logout, or when its app's
next session is made (https://kite.trade/docs/connect/v3/user/). A socket that is open then keeps
streaming, unless the settings want it otherwise.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from .apps import App
from .clock import DAY, SECOND, kite_text
from .errors import Refusal, bad_input
from .refusals import wrong_token
from .settings import ExchangeSettings

_SIX = 6 * 3600 * SECOND
EXCHANGES = ["NSE", "NFO", "BFO", "CDS", "BSE", "MCX", "BCD", "MF"]
PRODUCTS = ["CNC", "NRML", "MIS", "BO", "CO"]
ORDER_TYPES = ["MARKET", "LIMIT", "SL", "SL-M"]


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())


def checksum(*parts: str) -> str:
    """Kite's seal: the lower-hex SHA-256 of the parts one after the other."""
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _fresh() -> str:
    return secrets.token_urlsafe(24)


@dataclass(slots=True)
class _Live:
    """The tokens of one app."""

    access: str | None = None
    refresh: str | None = None
    dies_at: int = 0


class Sessions:
    """Who may call. All times are market time."""

    def __init__(self, settings: ExchangeSettings, now: int) -> None:
        self._settings = settings
        self.apps = {app.api_key: app for app in settings.all_apps}
        self.first = settings.all_apps[0]
        self._live = {api_key: _Live() for api_key in self.apps}
        self._requests: dict[str, tuple[str, int]] = {}  # request_token -> api_key, dies at
        for app in settings.all_apps:
            if app.access_token is not None:
                self._begin(app, app.access_token, now)

    def _begin(self, app: App, token: str, now: int) -> None:
        if self._settings.cross_app_logout:
            for other in self._live.values():
                other.access = None
        six = now - now % DAY + _SIX
        live = self._live[app.api_key]
        live.access, live.dies_at = token, six if now < six else six + DAY

    def _app(self, api_key: str | None) -> App:
        if api_key is None:
            return self.first
        app = self.find(api_key)
        if app is None:
            raise bad_input("Invalid `api_key`.")
        return app

    def find(self, api_key: str) -> App | None:
        """The app of a key, if there is one."""
        found = None
        for known, app in self.apps.items():
            if _same(api_key, known):
                found = app
        return found

    def issue(self, now: int, api_key: str | None = None) -> str:
        """A new access token at once; the app's one before it is dead. None: the first app."""
        token = _fresh()
        self._begin(self._app(api_key), token, now)
        return token

    def expire(self, api_key: str | None = None) -> None:
        """Kill the access token of an app; None: of all."""
        for key, live in self._live.items():
            if api_key in (None, key):
                live.access = None

    def token(self, now: int, api_key: str | None = None) -> str | None:
        """The access token that is alive, if any."""
        live = self._live[self._app(api_key).api_key]
        if live.access is None or (self._settings.expire_tokens and now >= live.dies_at):
            return None
        return live.access

    def valid(self, api_key: str, access_token: str, now: int) -> bool:
        """True if the pair may call."""
        app = self.find(api_key)
        alive = self.token(now, app.api_key) if app is not None else None
        return alive is not None and _same(access_token, alive)

    def check_header(self, authorization: str, now: int) -> App:
        """The app of ``Authorization: token api_key:access_token``, or 403."""
        scheme, _, pair = authorization.partition(" ")
        api_key, _, access_token = pair.partition(":")
        app = self.find(api_key)
        if scheme.lower() != "token" or app is None or not self.valid(api_key, access_token, now):
            raise wrong_token()
        return app

    # login

    def new_request_token(self, api_key: str, now: int) -> str:
        """What the login page hands to the app."""
        app = self.check_api_key(api_key)
        token = _fresh()
        self._requests[token] = app.api_key, now + self._settings.request_token_seconds * SECOND
        return token

    def check_api_key(self, api_key: str) -> App:
        """The app, or the refusal of one that is not known here."""
        return self._app(api_key)

    def exchange_token(self, form: dict[str, str], now: int) -> dict[str, Any]:
        """``POST /session/token``: the session object with its tokens."""
        _needed(form, "api_key", "request_token", "checksum")
        app, given = self.find(form["api_key"]), form["request_token"]
        if app is None or not _same(form["checksum"], checksum(app.api_key, given, app.api_secret)):
            raise Refusal(403, "TokenException", "Invalid `checksum`.")
        owner, dies_at = self._requests.pop(given, ("", 0))
        if now >= dies_at or owner != app.api_key:
            raise Refusal(403, "TokenException", "Token is invalid or has expired.")
        return {**self.profile(), **self._tokens(app, now), "silo": ""}

    def _tokens(self, app: App, now: int) -> dict[str, Any]:
        access_token = self.issue(now, app.api_key)
        refresh_token = _fresh() if app.refresh_tokens else ""
        self._live[app.api_key].refresh = refresh_token or None
        return {
            "api_key": app.api_key,
            "access_token": access_token,
            "public_token": _fresh(),
            "enctoken": _fresh(),
            "refresh_token": refresh_token,
            "login_time": kite_text(now),
        }

    def renew(self, form: dict[str, str], now: int) -> dict[str, Any]:
        """``POST /session/refresh_token``: new tokens for an approved platform, no login needed."""
        _needed(form, "api_key", "refresh_token", "checksum")
        app, given = self.find(form["api_key"]), form["refresh_token"]
        if app is None or not _same(form["checksum"], checksum(app.api_key, given, app.api_secret)):
            raise Refusal(403, "TokenException", "Invalid `checksum`.")
        known = self._live[app.api_key].refresh
        if known is None or not _same(given, known):
            raise Refusal(403, "TokenException", "Invalid `refresh_token`.")
        return {"user_id": self._settings.user_id, **self._tokens(app, now)}

    def log_out(self, api_key: str, access_token: str, now: int) -> None:
        """``DELETE /session/token`` with the access token."""
        if not self.valid(api_key, access_token, now):
            raise wrong_token()
        self.expire(api_key)

    def drop_refresh_token(self, api_key: str, refresh_token: str) -> None:
        """``DELETE /session/token`` with the refresh token."""
        live = self._live[app.api_key] if (app := self.find(api_key)) is not None else _Live()
        if live.refresh is None or not _same(refresh_token, live.refresh):
            raise Refusal(403, "TokenException", "Invalid `refresh_token`.")
        live.refresh = None

    # the user

    def profile(self) -> dict[str, Any]:
        """``/user/profile``."""
        settings = self._settings
        return {
            "user_id": settings.user_id,
            "user_type": "individual",
            "email": f"{settings.user_id.lower()}@example.com",
            "user_name": settings.user_name,
            "user_shortname": settings.user_name.split(" ")[0],
            "broker": "ZERODHA",
            "exchanges": EXCHANGES,
            "products": PRODUCTS,
            "order_types": ORDER_TYPES,
            "avatar_url": None,
            "meta": {"demat_consent": "physical"},
        }

    def full_profile(self) -> dict[str, Any]:
        """``/user/profile/full``: with what Kite shows of bank and demat, masked as there."""
        return {
            **self.profile(),
            "twofa_type": "totp",
            "phone": "*9999",
            "bank_accounts": [{"name": "SIMULATED BANK", "branch": "", "account": "*9999"}],
            "dp_ids": ["0000000000000000"],
            "pan": "*xxxI",
            "tags": [],
            "password_timestamp": "1970-01-01 00:00:00",
            "twofa_timestamp": "1970-01-01 00:00:00",
            "meta": {"poa": "physical", "silo": "", "account_blocks": []},
        }


def _needed(form: dict[str, str], *names: str) -> None:
    for name in names:
        if not form.get(name):
            raise bad_input(f"Missing `{name}`.")
