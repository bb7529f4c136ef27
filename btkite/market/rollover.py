"""When a continuous future goes on to the next contract, and why on that day.

Only what was known on the evening before decides: a contract's day of expiry, and the day's volume or open interest of
it and of the next one. So the same days come out in a backtest and in a run that lives through them, from wherever one
begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigError
from .calendar import calendar
from .expiry import sessions_left

if TYPE_CHECKING:
    from ..values import Instrument

BY = ("expiry", "volume", "oi")
ADJUST = ("difference", "ratio")
_FIRST = timedelta(days=45)
"""So long before its expiry the first known contract may be left."""


class Figures(NamedTuple):
    """One contract's day: close in ₹, volume and open interest at its end."""

    close: float
    volume: float
    oi: float


Days = Mapping[date, Figures]
Known = Callable[["Instrument"], Days]


@dataclass(frozen=True, slots=True)
class Rule:
    """``by`` expiry, volume or open interest (``oi``); a contract's last ``days`` sessions are never traded."""

    by: str = "expiry"
    days: int = 0

    def __post_init__(self) -> None:
        if self.by not in BY:
            raise ConfigError(f"a continuous future rolls by {', '.join(BY[:-1])} or {BY[-1]}, not by {self.by!r}")
        if not 0 <= self.days <= 30:
            raise ConfigError(f"a contract can be left 0 to 30 sessions before its end, not {self.days}")


@dataclass(frozen=True, slots=True)
class Roll:
    """From the open of ``day`` on it is ``after``, no more ``before``. ``gap``: ₹ by which ``after`` closed above
    ``before`` on the last day that both traded; ``ratio``: the same as a factor; both 0 if there was none."""

    day: date
    before: Instrument
    after: Instrument
    why: str
    gap: float = 0.0
    ratio: float = 0.0

    def __str__(self) -> str:
        return f"{self.day}: {self.before.key} → {self.after.key}, because {self.why}"


def rolls(contracts: Sequence[Instrument], known: Known, rule: Rule, until: date) -> list[Roll]:
    """All rolls up to and with the session of ``until``; ``contracts`` by expiry. ``known`` tells a contract's days."""
    found = []
    for place, (near, after) in enumerate(pairwise(contracts)):
        since = contracts[place - 1].expiry if place else None
        roll = _roll(near, after, since, known, rule, until)
        if roll is None:
            break
        found.append(roll)
    return found


def current(contracts: Sequence[Instrument], made: Sequence[Roll]) -> Instrument | None:
    """The contract after these rolls."""
    return made[-1].after if made else next(iter(contracts), None)


def _roll(
    near: Instrument, after: Instrument, since: date | None, known: Known, rule: Rule, until: date
) -> Roll | None:
    assert near.expiry is not None
    sessions, exchange = calendar(), near.exchange
    start = since if since is not None else near.expiry - _FIRST
    day = sessions.next_session_day(exchange, start)
    while day <= until:
        why = _why(near, after, known, rule, day, sessions.previous_session_day(exchange, day))
        if why:
            return Roll(day, near, after, why, *_between(known(near), known(after), day))
        day = sessions.next_session_day(exchange, day)
    return None


def _why(near: Instrument, after: Instrument, known: Known, rule: Rule, day: date, before: date) -> str:
    assert near.expiry is not None
    if day > near.expiry:
        return f"{near.tradingsymbol} expired on {near.expiry}"
    left = sessions_left(near, day, rule.days)
    if rule.days and left is not None and left < rule.days:
        return f"{near.tradingsymbol} expires on {near.expiry}, and its last {rule.days} sessions are left out"
    if rule.by == "expiry":
        return ""
    ours, theirs = known(near).get(before), known(after).get(before)
    if ours is None or theirs is None:
        return ""
    mine, other = getattr(ours, rule.by), getattr(theirs, rule.by)
    word = "open interest" if rule.by == "oi" else "volume"
    return (
        f"on {before} {after.tradingsymbol} had the larger {word}, {other:,.0f} to {mine:,.0f}" if other > mine else ""
    )


def _between(ours: Days, theirs: Days, day: date) -> tuple[float, float]:
    common = [one for one in ours.keys() & theirs.keys() if one < day]
    if not common:
        return 0.0, 0.0
    last = max(common)
    return theirs[last].close - ours[last].close, theirs[last].close / ours[last].close
