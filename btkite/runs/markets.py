"""Which exchange a run speaks to, and the settings for speaking to it."""

from __future__ import annotations

from .. import served
from ..config import Config
from ..kite import endpoints
from ..served import BUILT_IN, account_of, nobody

__all__ = ["BUILT_IN", "account_of", "config_at", "config_on", "found", "nobody", "reached"]


def reached(config: Config) -> Config:
    """The settings for asking the configured endpoint something: a simulated exchange's address and credentials.

    :raises ConfigError: if it is a simulated exchange that nobody serves.
    """
    url, _, market = found(config)
    if market is None and url.startswith("http://"):
        raise nobody(url)
    return config_at(config, market)


def found(config: Config) -> tuple[str, bool, served.Served | None]:
    """The endpoint's root, whether it is the one called simulator, and the exchange that serves there."""
    ours = served.is_built_in(config)
    url = served.address(config) if ours else endpoints.resolve(config.broker.kite_connect.endpoint).rest_root
    asked = url.startswith("http://") and (config.exchange.port or not ours)
    return url, ours, served.find(url) if asked else None


def config_at(settings: Config, market: served.Served | None) -> Config:
    """The credentials and the pace for a market that is served already."""
    settings = served.opened(settings)
    if market is None:
        return settings
    return settings.with_(**{"exchange.speed": "lockstep" if market.lockstep else "realtime"})


def config_on(config: Config, market: served.Served) -> Config:
    """The same settings, for an exchange that was started for this run."""
    return config.with_(
        **{
            "broker.kite_connect.endpoint": market.url,
            "broker.kite_connect.api_key": config.exchange.api_key,
            "broker.kite_connect.access_token": market.token,
            "broker.kite_connect.user_id": config.exchange.user_id,
        }
    )
