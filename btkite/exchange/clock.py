"""The exchange's time. The only file of the exchange that asks the machine what time it is.

Inside the exchange a moment is an integer: microseconds since 1970-01-01 in naive IST wall time.
Integers compare exactly, add cheaply, and no zone of the host can bend them.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta

from .errors import BadSettings, bad_input

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
IST_SECONDS = 19_800
_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = date(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


def stamp(moment: datetime) -> int:
    """A datetime as a moment; an aware one is converted to IST, a naive one is IST already."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None) + timedelta(seconds=IST_SECONDS)
    return (moment - _EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """A moment as a naive IST datetime."""
    return _EPOCH + timedelta(microseconds=us)


def day_of(us: int) -> date:
    """The calendar day of a moment."""
    return _EPOCH_DAY + timedelta(days=us // DAY)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH_DAY).days


def day_from_number(number: int) -> date:
    """The inverse of :func:`day_number`."""
    return _EPOCH_DAY + timedelta(days=number)


def iso(us: int) -> str:
    """ISO 8601 with +05:30, as the control surface speaks."""
    return moment(us).isoformat() + "+05:30"


def kite_text(us: int) -> str:
    """``YYYY-MM-DD HH:MM:SS``, as Kite's REST speaks."""
    return moment(us - us % SECOND).isoformat(sep=" ")


def wire_epoch(us: int) -> int:
    """Whole epoch seconds (UTC), as the binary frames speak; 0 for never."""
    return us // SECOND - IST_SECONDS if us else 0


def parse_iso(text: str) -> int:
    """The control surface's times; without a zone they are IST."""
    try:
        return stamp(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        raise BadSettings(f"{text!r} is not a time: write 2026-11-20T15:20:00+05:30") from None


_KITE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}(:\d{2})?)?")


def parse_kite(text: str, name: str) -> int:
    """``YYYY-MM-DD`` or ``YYYY-MM-DD HH:MM:SS`` of a history request."""
    if _KITE_TIME.fullmatch(text.strip()):
        try:
            return stamp(datetime.fromisoformat(text.strip()))
        except ValueError:
            pass  # the shape was right, the figures were not (2026-13-45): refused below
    raise bad_input(f"Invalid `{name}` date.")


def machine_now() -> datetime:
    """The machine's time as naive IST, for those who start a market "now"."""
    return datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=IST_SECONDS)


class MarketClock:
    """Market time that stands still (lock step, pause) or runs ``speed`` times as fast as the machine."""

    def __init__(self, start: int, speed: float) -> None:
        self._base = start
        self._speed = speed
        self._since = time.monotonic()

    @property
    def speed(self) -> float:
        """0 while it stands still."""
        return self._speed

    def now(self) -> int:
        """The moment it shows."""
        if not self._speed:
            return self._base
        return self._base + int((time.monotonic() - self._since) * self._speed * SECOND)

    def set(self, us: int) -> None:
        """Show another moment from now on."""
        self._base = us
        self._since = time.monotonic()

    def run(self, speed: float) -> None:
        """Run at another speed from now on; 0 stops."""
        self.set(self.now())
        self._speed = speed


def monotonic() -> float:
    """Seconds of the machine's steady clock, for heartbeats."""
    return time.monotonic()
