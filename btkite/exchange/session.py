"""Login and tokens: one user, one app.

``request_token`` is single use; the checksum is the lower-hex SHA-256 of
``api_key + request_token + api_secret``; an access token dies at 06:00 IST, by logout, or when the next
session is made (https://kite.trade/docs/connect/v3/user/). A socket that is open then keeps streaming.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from .clock import DAY, SECOND, kite_text
from .errors import Refusal, bad_input
from .settings import ExchangeSettings

_SIX = 6 * 3600 * SECOND
EXCHANGES = ["NSE", "NFO", "BFO", "CDS", "BSE", "MCX", "BCD", "MF"]
PRODUCTS = ["CNC", "NRML", "MIS", "BO", "CO"]
ORDER_TYPES = ["MARKET", "LIMIT", "SL", "SL-M"]


def wrong_token() -> Refusal:
    """The refusal that every client must know."""
    return Refusal(403, "TokenException", "Incorrect `api_key` or `access_token`.")


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())


class Sessions:
    """Who may call. All times are market time."""

    def __init__(self, settings: ExchangeSettings, now: int) -> None:
        self._settings = settings
        self._requests: dict[str, int] = {}  # request_token -> dies at
        self._access: str | None = None
        self._dies_at = 0
        if settings.auto_token is not None:
            self._begin(settings.auto_token, now)

    def _begin(self, token: str, now: int) -> None:
        self._access = token
        six = now - now % DAY + _SIX
        self._dies_at = six if now < six else six + DAY

    def issue(self, now: int) -> str:
        """A new access token at once; the one before it is dead."""
        token = secrets.token_urlsafe(24)
        self._begin(token, now)
        return token

    def expire(self) -> None:
        """Kill the access token."""
        self._access = None

    def token(self, now: int) -> str | None:
        """The access token that is alive, if any."""
        if self._access is None or (self._settings.expire_tokens and now >= self._dies_at):
            return None
        return self._access

    def valid(self, api_key: str, access_token: str, now: int) -> bool:
        """True if the pair may call."""
        alive = self.token(now)
        return alive is not None and _same(api_key, self._settings.api_key) and _same(access_token, alive)

    def check_header(self, authorization: str, now: int) -> None:
        """``Authorization: token api_key:access_token``, or 403."""
        scheme, _, pair = authorization.partition(" ")
        api_key, _, access_token = pair.partition(":")
        if scheme.lower() != "token" or not self.valid(api_key, access_token, now):
            raise wrong_token()

    # login

    def new_request_token(self, api_key: str, now: int) -> str:
        """What the login page hands to the app."""
        self.check_api_key(api_key)
        token = secrets.token_urlsafe(24)
        self._requests[token] = now + self._settings.request_token_seconds * SECOND
        return token

    def check_api_key(self, api_key: str) -> None:
        """Refuse an app that is not known here."""
        if not _same(api_key, self._settings.api_key):
            raise bad_input("Invalid `api_key`.")

    def exchange_token(self, form: dict[str, str], now: int) -> dict[str, Any]:
        """``POST /session/token``: the session object with its tokens."""
        for name in ("api_key", "request_token", "checksum"):
            if not form.get(name):
                raise bad_input(f"Missing `{name}`.")
        settings, given = self._settings, form["request_token"]
        right = hashlib.sha256((settings.api_key + given + settings.api_secret).encode()).hexdigest()
        if not _same(form["api_key"], settings.api_key) or not _same(form["checksum"], right):
            raise Refusal(403, "TokenException", "Invalid `checksum`.")
        if now >= self._requests.pop(given, 0):
            raise Refusal(403, "TokenException", "Token is invalid or has expired.")
        access_token = self.issue(now)
        return {
            **self.profile(),
            "api_key": settings.api_key,
            "access_token": access_token,
            "public_token": secrets.token_urlsafe(24),
            "enctoken": secrets.token_urlsafe(24),
            "refresh_token": "",
            "silo": "",
            "login_time": kite_text(now),
        }

    def log_out(self, api_key: str, access_token: str, now: int) -> None:
        """``DELETE /session/token``."""
        if not self.valid(api_key, access_token, now):
            raise wrong_token()
        self.expire()

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
