"""How long an order is meant to work, and what becomes of it outside the session."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ..clock import to_ist
from ..config import Config
from ..errors import ConfigError
from ..linetime import seconds_of, to_seconds
from ..values import Instrument
from . import hours

_AFTER_HOURS = ("next_open", "amo", "refuse")
_A_DATE = 300_000.0
"""Numbers from here on are dates as backtrader counts them (days since year 1), below they are a time span."""


@dataclass(frozen=True, slots=True)
class Terms:
    """``deadline``: second from which the order no longer works, None for none. ``carry``: placed
    again each morning until it is filled. ``after_hours``: what to do outside the session."""

    deadline: int | None
    carry: bool
    after_hours: str


def terms_of(config: Config, instrument: Instrument, valid: Any, extra: Mapping[str, Any], now: int) -> Terms:
    """The terms of an order given at ``now`` (seconds).

    ``valid`` is backtrader's: None, ``Order.DAY`` or 0 (ends with the session), a ``timedelta`` from now,
    a datetime, a date (to the end of that day's session), days from now as a float, or a moment as
    ``bt.date2num`` gives it.

    :raises ConfigError: for anything else.
    """
    carry = bool(extra.get("carry", config.broker.carry))
    amo = extra.get("variety") == "amo"
    after_hours = str(extra.get("after_hours", "amo" if amo else config.broker.after_hours))
    if after_hours not in _AFTER_HOURS:
        raise ConfigError(f"after_hours={after_hours!r} is not one of {', '.join(_AFTER_HOURS)}")
    if valid is None:
        return Terms(None, carry, after_hours)
    if isinstance(valid, timedelta):
        return Terms(None if not valid else now + int(valid.total_seconds()), False, after_hours)
    if isinstance(valid, datetime):
        return Terms(to_seconds(to_ist(valid)), False, after_hours)
    if isinstance(valid, date):
        end = hours.close_of_day(instrument, to_seconds(datetime(valid.year, valid.month, valid.day)))
        return Terms(end, False, after_hours)
    if isinstance(valid, (int, float)) and math.isfinite(valid):
        if valid >= _A_DATE:
            return Terms(seconds_of(valid), False, after_hours)
        return Terms(None if not valid else now + int(valid * 86_400), False, after_hours)
    raise ConfigError(f"valid={valid!r} is not a time: give None, a timedelta, a datetime or a date")
