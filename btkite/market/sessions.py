"""One exchange's trading on one date, and the rows that make a date an exception."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal, NamedTuple

from ..errors import ConfigError, DataError

InstrumentClass = Literal["noncas", "cas", "futures", "options", "currency", "commodity", "agri_linked", "agri"]
"""``cas``: shares with derivatives, whose continuous trading ends at 15:15 since 2026-08-03. ``agri_linked`` and
``agri``: agricultural commodities with and without a world price, whose day on MCX ends at 21:00 and 17:00."""

SessionKind = Literal["continuous", "pre_open", "closing_auction", "post_close"]
Part = tuple[datetime, datetime]

KINDS = ("closed", "regular", "special", "muhurat", "early", "halt")
"""What a row may say of a date: no trading; the usual hours (a holiday that was moved away, a Saturday that is
traded); other hours; the hour of Diwali; an evening that is cut off; a day that broke in two."""


@dataclass(frozen=True, slots=True)
class Session:
    """One exchange's trading on one date.

    ``parts`` are its uninterrupted stretches, each open inclusive and close exclusive; they are
    empty if the hours are unknown (``times_known`` false). ``verified`` is false where no source
    vouches for the date: before 2016, past the calendar's ``valid_until`` of its exchange, or by a pattern only.
    ``kind`` is ``regular`` or the exception's: special, muhurat, halt, early. ``source`` says who vouches for the
    hours: circulars, notices, pages, the user's own row.
    """

    exchange: str
    date: date
    parts: tuple[Part, ...]
    kind: str = "regular"
    times_known: bool = True
    verified: bool = True
    note: str = ""
    source: str = ""

    @property
    def open(self) -> datetime:
        """Start of the first part. :raises DataError: if the hours are unknown."""
        return self._known()[0][0]

    @property
    def close(self) -> datetime:
        """End of the last part. :raises DataError: if the hours are unknown."""
        return self._known()[-1][1]

    def is_open(self, moment: datetime) -> bool:
        """Whether ``moment`` lies in one of the parts."""
        return any(start <= moment < end for start, end in self.parts)

    def _known(self) -> tuple[Part, ...]:
        if not self.parts:
            raise DataError(
                f"the hours of {self.exchange} on {self.date} ({self.kind}) are not known; "
                "add a row with them to the calendar's overlay"
            )
        return self.parts


class ExceptionRow(NamedTuple):
    """One row of ``sessions.csv``. ``kind`` is closed, or what trades at the given hours."""

    date: date
    exchange: str
    kind: str
    open: time | None = None
    close: time | None = None
    second_open: time | None = None
    second_close: time | None = None
    note: str = ""
    source: str = ""

    @classmethod
    def parse(cls, row: Mapping[str, str]) -> ExceptionRow:
        """From the columns of ``sessions.csv``. :raises ConfigError: for a malformed row."""
        try:
            return cls(
                date=date.fromisoformat(row["date"]),
                exchange=row["exchange_segment"],
                kind=row["kind"],
                open=time_of(row.get("open", "")),
                close=time_of(row.get("close", "")),
                second_open=time_of(row.get("second_open", "")),
                second_close=time_of(row.get("second_close", "")),
                note=row.get("note", ""),
                source=row.get("source", ""),
            )
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"calendar row {dict(row)} is not usable ({error}); it needs date (YYYY-MM-DD), exchange_segment, "
                "kind, and HH:MM in open and close unless closed"
            ) from error


def time_of(text: str) -> time | None:
    """``HH:MM``; None of nothing."""
    return time.fromisoformat(text) if text else None
