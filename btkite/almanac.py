"""The calendar in force: the shipped one, the exchange's list that was imported, the rows of the configuration.

Market facts are facts about the world, so there is one calendar in a process; every store puts that of its
configuration in force. What was imported lies in a file beside the journal (``btkite calendar import``).
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ConfigError
from .market.calendar import EXCHANGES, Calendar, calendar, put_in_force, shipped
from .market.overlay import checked, parse_row
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
    rows, until = read_file(Path(path)) if changed else ([], None)
    own = {(row.exchange, row.date): row for row in rows}
    for text in overlay:
        row = parse_row(text, EXCHANGES)._replace(source="calendar.overlay")
        own[row.exchange, row.date] = row
    if not own and until is None and valid_until is None:
        return None
    return shipped().with_overlay(own.values(), valid_until=valid_until or until)


def read_file(path: Path) -> tuple[list[ExceptionRow], date | None]:
    """The rows of an imported file, and until when it holds. :raises ConfigError: if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        until = [line.removeprefix(_UNTIL).strip() for line in text.splitlines() if line.startswith(_UNTIL)]
        rows = [checked(ExceptionRow.parse(row), EXCHANGES) for row in parse_table(text)]
        return rows, date.fromisoformat(until[-1]) if until else None
    except (OSError, ValueError) as error:
        raise ConfigError(f"the calendar {path} cannot be read ({error}): mend or delete it") from error


def write_file(path: Path, rows: list[ExceptionRow], until: date | None) -> None:
    """Keep imported rows, whole or not at all."""
    import csv
    import io

    out = io.StringIO()
    out.write("# Written by `btkite calendar import`: rows over the shipped calendar.\n")
    if until is not None:
        out.write(f"{_UNTIL}{until}\n")
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


def beyond(day: date) -> str:
    """Why ``day`` is not in the calendar; '' if it is."""
    until = calendar().valid_until
    if day <= until:
        return ""
    return f"the calendar ends on {until}, and holidays after it are not known"


def soon_over(day: date) -> str:
    """A warning in the last thirty days of the calendar; '' before."""
    until = calendar().valid_until
    if not until - AHEAD <= day <= until:
        return ""
    left = (until - day).days
    return f"the calendar ends on {until}, in {left} days: {HOW}"


HOW = "give `btkite calendar import FILE` the exchange's new list of holidays"
