"""The simulated exchange that somebody serves: where it is, what it says of itself, and which key it takes.

The endpoint ``simulator`` needs no credentials of Kite's: the exchange's own are in the section ``exchange``.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from .config import Config
from .errors import ConfigError

BUILT_IN = "simulator"
_TIMEOUT = 3.0  # seconds for an exchange on this machine to say what it is


@dataclass(frozen=True, slots=True)
class Served:
    """An exchange that answers. ``lockstep``: it moves when it is asked. ``token`` opens its account. ``set_off``: lets
    the clock of one that was started for a run go at its speed, before the open until then; else it does nothing."""

    url: str
    lockstep: bool
    now: datetime
    token: str = ""
    set_off: Callable[[], None] = lambda: None


def find(url: str) -> Served | None:
    """The simulated exchange that serves on ``url`` (``http://127.0.0.1:8765``), None if nobody does.

    :raises ConfigError: if something answers there that is no simulated exchange.
    """
    try:
        told = clock(url)
        now = datetime.fromisoformat(told["now"]).replace(tzinfo=None)
        return Served(url, lockstep=not float(told["speed"]), now=now)
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        parts = urlsplit(url)
        place = f"port {parts.port} of {parts.hostname}"
        raise ConfigError(
            f"{place} is in use by something that is no simulated exchange: end it, or set exchange.port to another"
        ) from None


def clock(url: str, **steps: Any) -> dict[str, Any]:
    """What the exchange on ``url`` says of its clock, after ``steps`` (``speed=60.0``, ``until="2026-11-18T09:15"``).

    :raises OSError: if it does not answer.
    :raises KeyError: if it refuses, or is no exchange.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=_TIMEOUT)
    try:
        connection.request("POST", "/_exchange/clock", json.dumps(steps), {"Content-Type": "application/json"})
        return dict(json.loads(connection.getresponse().read())["data"])
    finally:
        connection.close()


def opens(url: str, api_key: str, access_token: str) -> bool:
    """True if the exchange on ``url`` lets this pair in."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/user/profile", headers={"Authorization": f"token {api_key}:{access_token}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_built_in(config: Config) -> bool:
    """Whether the configured endpoint is the one called simulator."""
    return bool(config.broker.kite_connect.endpoint == BUILT_IN)


def address(config: Config) -> str:
    """The root URL of the endpoint called simulator."""
    return f"http://{config.exchange.host}:{config.exchange.port}"


def account_of(config: Config) -> str:
    """The client id that the configured endpoint's account has; empty if it is not said."""
    return str(config.exchange.user_id if is_built_in(config) else config.broker.kite_connect.user_id)


def addressed(config: Config) -> Config:
    """The settings with the exchange's address, account and app instead of the name simulator. Asks nobody."""
    if not is_built_in(config):
        return config
    own = config.exchange
    place = {"broker.kite_connect.endpoint": address(config)} if own.port else {}  # 0: only a run's own serves
    return config.with_(
        **{
            **place,
            "broker.kite_connect.user_id": own.user_id,
            "broker.kite_connect.api_key": own.api_key,
            "broker.kite_connect.api_secret": own.api_secret,
        }
    )


def credentials(config: Config) -> tuple[str, str] | None:
    """Key and token that the exchange on the endpoint simulator lets in: its own, or those given for Kite; None if
    it wants a login."""
    kite, own = config.broker.kite_connect, config.exchange
    keys, tokens = (own.api_key, kite.api_key), (own.access_token, kite.access_token.get_secret_value())
    pairs = dict.fromkeys((key, token) for key in keys for token in tokens if key and token)
    return next((pair for pair in pairs if opens(address(config), *pair)), None)


def opened(config: Config) -> Config:
    """:func:`addressed`, with the pair of :func:`credentials`; without one, the token is that of `btkite login`."""
    if not is_built_in(config):
        return config
    key, token = credentials(config) or (config.exchange.api_key, "")
    changes: dict[str, Any] = {"broker.kite_connect.api_key": key, "broker.kite_connect.access_token": token}
    return addressed(config).with_(**changes)


def nobody(url: str) -> ConfigError:
    """What to say where an exchange was expected and none answers."""
    return ConfigError(f"nobody serves an exchange on {url}: start it with `btkite exchange`")
