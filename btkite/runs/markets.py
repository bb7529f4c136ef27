"""Which exchange a run speaks to, and the settings for speaking to it."""

from __future__ import annotations

from typing import Any

from .. import simulator
from ..config import Config
from ..errors import ConfigError
from ..kite import endpoints

BUILT_IN = "simulator"


def account_of(config: Config) -> str:
    """The client id that the configured endpoint's account has; empty if it is not said."""
    kite = config.broker.kite_connect
    return config.exchange.user_id if kite.endpoint == BUILT_IN else kite.user_id


def reached(config: Config) -> Config:
    """The settings for asking the configured endpoint something: a simulated exchange's address and credentials.

    :raises ConfigError: if it is a simulated exchange that nobody serves.
    """
    url, ours, market = found(config)
    if market is None and url.startswith("http://"):
        raise nobody(url)
    return config_at(config, url, ours, market)


def found(config: Config) -> tuple[str, bool, simulator.Served | None]:
    """The endpoint's root, whether it is the one called simulator, and the exchange that serves there."""
    endpoint = config.broker.kite_connect.endpoint
    ours = endpoint == BUILT_IN
    url = f"http://{config.exchange.host}:{config.exchange.port}" if ours else endpoints.resolve(endpoint).rest_root
    asked = url.startswith("http://") and (config.exchange.port or not ours)
    return url, ours, simulator.find(url) if asked else None


def nobody(url: str) -> ConfigError:
    """What to say where an exchange was expected and none answers."""
    return ConfigError(f"nobody serves an exchange on {url}: start it with `btkite exchange`")


def config_at(settings: Config, url: str, ours: bool, market: simulator.Served | None) -> Config:
    """The credentials and the pace for a market that is served already."""
    changes: dict[str, Any] = {}
    kite = settings.broker.kite_connect
    if ours:
        changes["broker.kite_connect.endpoint"] = url
        changes["broker.kite_connect.user_id"] = settings.exchange.user_id
        key = changes["broker.kite_connect.api_key"] = kite.api_key or settings.exchange.api_key
        token = settings.exchange.access_token
        if market is not None and not kite.access_token.get_secret_value() and simulator.opens(url, key, token):
            changes["broker.kite_connect.access_token"] = token  # else the one of `btkite login`
    if market is not None:
        changes["exchange.speed"] = "lockstep" if market.lockstep else "realtime"
    return settings.with_(**changes) if changes else settings


def config_on(config: Config, market: simulator.Served) -> Config:
    """The same settings, for an exchange that was started for this run."""
    return config.with_(
        **{
            "broker.kite_connect.endpoint": market.url,
            "broker.kite_connect.api_key": config.exchange.api_key,
            "broker.kite_connect.access_token": market.token,
            "broker.kite_connect.user_id": config.exchange.user_id,
        }
    )
