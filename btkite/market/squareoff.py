"""When the broker closes intraday positions by itself (and charges for it), by date: ``data/rules.csv``."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from .dated import in_force

SHORT = timedelta(hours=2)
"""A session below this is a special one: positions are closed ten minutes before its end (Zerodha, muhurat days)."""
BEFORE_SHORT_CLOSE = timedelta(minutes=10)


def square_off_time(exchange: str, opens: datetime, closes: datetime, *, cas: bool = False) -> datetime | None:
    """The time on the day of a session; None if none is known. ``cas``: a share with a closing auction."""
    if closes - opens < SHORT:
        return closes - BEFORE_SHORT_CLOSE
    before = in_force("mis_before_close", exchange, opens.date())
    if before is not None:
        return closes - timedelta(minutes=int(before))
    at = (in_force("mis_cutoff", f"{exchange}:cas", opens.date()) if cas else None) or in_force(
        "mis_cutoff", exchange, opens.date()
    )
    if at is None:
        return None
    usual = datetime.combine(opens.date(), time.fromisoformat(at))
    return usual if usual < closes else closes - BEFORE_SHORT_CLOSE  # a day that ends before its usual time
