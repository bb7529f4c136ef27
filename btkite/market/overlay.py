"""Rows of the user's own over the shipped calendar: a holiday declared this week, the hours of a muhurat session.

A row is written as one sentence, ``DATE EXCHANGE KIND [HH:MM-HH:MM [HH:MM-HH:MM]] [why]``::

    2026-12-16 NSE closed polling
    2027-10-29 NSE muhurat 18:00-19:00
    2027-03-06 NSE special 09:15-10:00 11:30-12:30 drill
    2026-11-08 MCX muhurat 18:00-19:15
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, time

from ..errors import ConfigError
from .sessions import KINDS, ExceptionRow, time_of

_FOLLOWERS: Mapping[str, tuple[str, ...]] = {
    "closed": ("BSE", "NFO", "BFO", "CDS", "BCD"),
    "muhurat": ("BSE", "NFO", "BFO", "CDS", "BCD"),
    "special": ("BSE", "NFO", "BFO"),
    "early": ("BSE", "NFO", "BFO"),
    "regular": ("BSE", "NFO", "BFO"),
    "halt": (),
}
"""Who does as NSE does. A halt is one exchange's own. MCX has its own rule (:mod:`.calendar`)."""
SPEAKS_FOR: Mapping[str, tuple[str, ...]] = {"NSE": ("NSE", "BSE", "NFO", "BFO")}
"""Whose holidays an exchange's list of a year has; the others' have their own alone. Shares and their derivatives
keep the same ones on both exchanges; currency and commodities keep more, or fewer."""

_WINDOW = re.compile(r"(\d{1,2}:\d{2})-(\d{1,2}:\d{2})")
_FORM = (
    "write DATE EXCHANGE KIND and its hours, such as '2026-12-16 NSE closed' or '2027-10-29 NSE muhurat 18:00-19:00'"
)


def laid_over(
    shipped: Mapping[tuple[str, date], ExceptionRow], rows: Iterable[ExceptionRow]
) -> dict[tuple[str, date], ExceptionRow]:
    """``shipped`` with ``rows`` on top. A row of NSE speaks for its followers too, unless they have a row of their own
    among ``rows``; an exchange that the tables close anyway stays closed on a special day."""
    own = {(row.exchange, row.date): row for row in rows}
    found = {**shipped, **own}
    for (exchange, day), row in own.items():
        for follower in _FOLLOWERS[row.kind] if exchange == "NSE" else ():
            if (follower, day) not in own:
                found[follower, day] = row._replace(exchange=follower)
    return found


def parse_row(text: str, exchanges: Iterable[str]) -> ExceptionRow:
    """A row from its sentence. :raises ConfigError: for one that is not understood, and how to write it."""
    day, _, rest = text.strip().partition(" ")
    exchange, _, rest = rest.strip().partition(" ")
    kind, _, rest = rest.strip().partition(" ")
    try:
        on = date.fromisoformat(day)
    except ValueError:
        raise ConfigError(f"calendar row {text!r}: {day!r} is no date YYYY-MM-DD; {_FORM}") from None
    windows = []
    while found := _WINDOW.match(rest.strip()):
        windows += [found[1].rjust(5, "0"), found[2].rjust(5, "0")]
        rest = rest.strip()[found.end() :]
    try:
        times = [time_of(moment) for moment in windows]
    except ValueError:
        raise ConfigError(f"calendar row {text!r}: {' '.join(windows)} are no times of day; {_FORM}") from None
    if len(times) > 4:
        raise ConfigError(f"calendar row {text!r}: a session has at most two parts; {_FORM}")
    padded: list[time | None] = [*times, None, None, None, None]
    row = ExceptionRow(
        on, exchange.upper(), kind.lower(), padded[0], padded[1], padded[2], padded[3], note=rest.strip()
    )
    return checked(row, exchanges)


def checked(row: ExceptionRow, exchanges: Iterable[str]) -> ExceptionRow:
    """``row``, if it makes sense. :raises ConfigError: if not."""
    about = f"calendar row of {row.date}, {row.exchange or 'no exchange'}, {row.kind or 'no kind'}"
    if row.exchange not in exchanges:
        raise ConfigError(f"{about}: the exchange is one of {', '.join(exchanges)}; {_FORM}")
    if row.kind not in KINDS:
        raise ConfigError(f"{about}: the kind is one of {', '.join(KINDS)}; {_FORM}")
    times = [moment for moment in row[3:7] if isinstance(moment, time)]
    if row.kind in ("closed", "regular") and times:
        raise ConfigError(f"{about} has hours; {row.kind} has none of its own")
    if row.kind in ("special", "early", "halt") and not times:
        raise ConfigError(f"{about} has no hours; {_FORM}")
    if times != sorted(set(times)):
        raise ConfigError(f"{about}: its hours do not follow one another")
    return row
