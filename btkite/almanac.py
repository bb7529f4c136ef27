"""The calendar in force: the shipped one, the exchange's list that was imported, the rows of the configuration.

Market facts are facts about the world, so there is one calendar in a process; every store puts that of its
configuration in force. What was imported lies in a file beside the journal (``btkite calendar import``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ConfigError
from .market.calendar import EXCHANGES, VALID_UNTIL, Calendar, calendar, put_in_force, shipped
from .market.overlay import SPEAKS_FOR, checked, parse_row
from .market.sessions import ExceptionRow
from .market.tables import parse_table

if TYPE_CHECKING:
    from .config import Config

AHEAD = timedelta(days=30)
"""So long before the calendar ends it is told."""
NAME = "calendar.csv"
COLUMNS = ("date", "exchange_segment", "kind", "open", "close", "second_open", "second_close", "note", "source")
_UNTIL = "# valid_until: "


def imported_file(config: Config) -> Path:
    """Where the imported lists of this configuration lie."""
    return config.paths.state / NAME


def observe(config: Config) -> Calendar:
    """Put the calendar of this configuration in force. :raises ConfigError: if a row of it is not understood."""
    path = imported_file(config)
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        changed = 0
    settings = config.calendar
    known = _made(str(path), changed, settings.overlay, settings.valid_until)
    put_in_force(known)
    return calendar()


@lru_cache(maxsize=8)
def _made(path: str, changed: int, overlay: tuple[str, ...], valid_until: date | None) -> Calendar | None:
    rows, until = read_file(Path(path)) if changed else ([], {})
    own = {(row.exchange, row.date): row for row in rows}
    for text in overlay:
        row = parse_row(text, EXCHANGES)._replace(source="calendar.overlay")
        own[row.exchange, row.date] = row
    if not own and not until and valid_until is None:
        return None
    return shipped().with_overlay(own.values(), until=dict.fromkeys(EXCHANGES, valid_until) if valid_until else until)


def read_file(path: Path) -> tuple[list[ExceptionRow], dict[str, date]]:
    """The rows of an imported file, and until when it holds, by exchange. :raises ConfigError: if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        until = [line.removeprefix(_UNTIL).split() for line in text.splitlines() if line.startswith(_UNTIL)]
        rows = [checked(ExceptionRow.parse(row), EXCHANGES) for row in parse_table(text)]
        found: dict[str, date] = {}
        for *exchange, day in until:  # written before lists had names: NSE's, which spoke for all then
            found |= dict.fromkeys(speaks_for(exchange[0] if exchange else "NSE"), date.fromisoformat(day))
        return rows, found
    except (OSError, ValueError) as error:
        raise ConfigError(f"the calendar {path} cannot be read ({error}): mend or delete it") from error


def speaks_for(exchange: str) -> tuple[str, ...]:
    """The exchanges whose holidays a list of ``exchange`` has."""
    return SPEAKS_FOR.get(exchange, (exchange,))


def write_file(path: Path, rows: list[ExceptionRow], until: Mapping[str, date]) -> None:
    """Keep imported rows, whole or not at all."""
    import csv
    import io

    out = io.StringIO()
    out.write("# Written by `btkite calendar import`: rows over the shipped calendar.\n")
    for exchange, day in until.items():
        out.write(f"{_UNTIL}{exchange} {day}\n")
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in sorted(rows, key=lambda row: (row.date, row.exchange)):
        table.writerow(_cells(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(out.getvalue(), encoding="utf-8")
    temporary.replace(path)


def as_rows(known: Calendar) -> list[dict[str, str]]:
    """What lies over the shipped calendar, in the columns of its table: for the simulated exchange."""
    return [dict(zip(COLUMNS, _cells(row), strict=True)) for row in known.overlaid()]


def _cells(row: ExceptionRow) -> list[str]:
    times = [f"{moment:%H:%M}" if moment is not None else "" for moment in row[3:7]]
    return [row.date.isoformat(), row.exchange, row.kind, *times, row.note, row.source]


def holds(exchanges: Iterable[str]) -> tuple[date, str]:
    """The last date of which the holidays of all these exchanges are known, and whose end it is."""
    known = calendar()
    ends = {exchange: known.valid_until(exchange) for exchange in sorted(exchanges)}
    until = min(ends.values(), default=VALID_UNTIL)
    return until, ", ".join(exchange for exchange, day in ends.items() if day == until)


def beyond(day: date, exchanges: Iterable[str]) -> str:
    """Why ``day`` is not in the calendar of these exchanges; '' if it is."""
    until, whose = holds(exchanges)
    if day <= until:
        return ""
    return f"the calendar of {whose} ends on {until}, and holidays after it are not known"


def soon_over(day: date, exchanges: Iterable[str]) -> str:
    """A warning in the last thirty days of the calendar of one of these exchanges; '' before."""
    until, whose = holds(exchanges)
    if not until - AHEAD <= day <= until:
        return ""
    left = (until - day).days
    return f"the calendar of {whose} ends on {until}, in {left} days: {HOW}"


HOW = "give `btkite calendar import FILE` the exchange's new list of holidays"
