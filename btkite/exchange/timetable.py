"""The phases of one instrument's day: what may be placed when, and whether anything trades.

By default a day is one continuous session. Pre-open, closing auction and the gap of a broken day are
switched on in the settings, and exist on the dates and for the instruments that have them.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING

from . import contracts, hours
from .instruments import InstrumentRow

if TYPE_CHECKING:
    from .settings import ExchangeSettings

MINUTE = 60
ENTRY_AFTER = 5 * MINUTE  # the closing auction takes orders this long after continuous trading ended
LIMITS_AFTER = 10 * MINUTE
RANDOM_AFTER = 13 * MINUTE  # its end is drawn from the two minutes from here on
MATCH_AFTER = 15 * MINUTE
WITHOUT_AUCTION = frozenset({"BSE:BSE", "BSE:CDSL"})  # BSE leaves itself and its depository out


class Phase(Enum):
    """Where an instrument's day stands."""

    CLOSED = "closed"
    PRE_OPEN = "pre-open"
    PRE_OPEN_LIMITS = "pre-open, limit orders only"
    BREAK = "break"  # between two phases: nothing is taken, nothing trades
    OPEN = "open"
    AUCTION = "closing auction"
    AUCTION_LIMITS = "closing auction, limit orders only"
    HALTED = "halted"


AUCTIONS = frozenset({Phase.PRE_OPEN, Phase.PRE_OPEN_LIMITS, Phase.AUCTION, Phase.AUCTION_LIMITS})
TAKES_ORDERS = AUCTIONS | {Phase.OPEN, Phase.HALTED}


@dataclass(frozen=True, slots=True)
class Timetable:
    """Phases by the second of the day at which each begins."""

    begins: tuple[int, ...]
    phases: tuple[Phase, ...]
    pre_open_match: int | None = None
    auction: int | None = None  # when continuous trading ends for the closing auction
    breaks: tuple[int, ...] = ()  # ends of windows after which another one comes

    def at(self, second: float) -> Phase:
        """The phase at a second of the day."""
        return self.phases[bisect_right(self.begins, second) - 1]


def class_of(row: InstrumentRow, auction_shares: Collection[str]) -> str:
    """The class by which the table of hours tells instruments of one exchange apart."""
    if row.exchange in ("NFO", "BFO"):
        return hours.FUTURES if row.instrument_type == "FUT" else ""
    return hours.CAS if row.key in auction_shares else ""


def auction_shares(rows: Iterable[InstrumentRow], settings: ExchangeSettings) -> frozenset[str]:
    """The shares that have a closing auction: those named, else those with derivatives.

    Derivatives of a share exist if they are listed here, or if ``btkite/data/lots.csv`` has a lot of them.
    """
    if not settings.closing_auction:
        return frozenset()
    if settings.auction_shares is not None:
        return frozenset(settings.auction_shares)
    known = list(rows)
    names = {row.name for row in known if row.exchange in ("NFO", "BFO")}
    return frozenset(
        row.key
        for row in known
        if row.exchange in ("NSE", "BSE")
        and not row.is_index
        and (row.tradingsymbol in names or contracts.latest_lot(row.tradingsymbol) is not None)
        and row.key not in WITHOUT_AUCTION
    )


def timetable(
    exchange: str, of: str, day: date, played: hours.Session | None, settings: ExchangeSettings, *, auction: bool = True
) -> Timetable:
    """The day of a class of instruments, which is ``played`` from open to close; ``auction`` False: no closing one."""
    if played is None:
        return Timetable((0,), (Phase.CLOSED,))
    closes = played[1]
    by_table = played == hours.session(exchange, day)
    marks: list[tuple[int, Phase]] = [(0, Phase.CLOSED)]
    match = None
    if settings.pre_open and by_table:
        entry = hours.pre_open(exchange, day, of if of == hours.FUTURES else "")
        if entry is not None:
            begin, limits, match = entry
            marks.append((begin, Phase.PRE_OPEN))
            if limits < match:
                marks.append((limits, Phase.PRE_OPEN_LIMITS))
            marks.append((match, Phase.BREAK))
    windows = hours.windows(exchange, day) if settings.split_sessions and by_table else (played,)
    for begin, end in windows:
        marks += [(begin, Phase.OPEN), (end, Phase.BREAK)]
    breaks = tuple(end for _, end in windows[:-1])
    marks[-1] = (windows[-1][1], Phase.CLOSED)
    last = hours.closing_auction(exchange, day) if of == hours.CAS and auction and settings.closing_auction else None
    if last is None or not windows[-1][0] < last[0] < closes:
        return Timetable(*_columns(marks), match, None, breaks)
    begin = last[0]
    ends = begin + RANDOM_AFTER + zlib.crc32(day.isoformat().encode()) % (MATCH_AFTER - RANDOM_AFTER)
    marks[-1] = (begin, Phase.BREAK)
    marks += [
        (begin + ENTRY_AFTER, Phase.AUCTION),
        (begin + LIMITS_AFTER, Phase.AUCTION_LIMITS),
        (ends, Phase.BREAK),
        (begin + MATCH_AFTER, Phase.CLOSED),
    ]
    return Timetable(*_columns(marks), match, begin, breaks)


def _columns(marks: list[tuple[int, Phase]]) -> tuple[tuple[int, ...], tuple[Phase, ...]]:
    return tuple(begin for begin, _ in marks), tuple(phase for _, phase in marks)
