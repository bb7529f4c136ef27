"""``btkite calendar``: when a day is traded and who says so; the exchanges' new lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from .app import call_of

if TYPE_CHECKING:
    from ..market.calendar import Calendar
    from ..market.sessions import ExceptionRow, InstrumentClass, Session

app = typer.Typer(
    name="calendar",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="When the exchanges trade, by date.",
)


@app.command()
def show(
    ctx: typer.Context,
    day: Annotated[str | None, typer.Argument(metavar="DATE", help="2026-12-25; today if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the sessions of a date on all exchanges, and who vouches for them."""
    from .. import almanac
    from ..clock import SystemClock
    from ..market.calendar import EXCHANGES

    known = almanac.observe(call_of(ctx).config())
    on = _day(day) if day is not None else SystemClock().now().date()
    rows = [_described(known, exchange, on) for exchange in EXCHANGES]
    if as_json:
        typer.echo(json.dumps({"date": on.isoformat(), "exchanges": rows}))
        return
    typer.echo(f"{on:%A, %d %B %Y}; {_until_when(known)}")
    for row in rows:
        typer.echo(f"{row['exchange']:4} {row['hours'] or row['kind']}")
        for name in ("auction shares", "pre-open", "closing auction", "post-close", "square-off", "note", "source"):
            if row.get(name):
                typer.echo(f"     {name}: {row[name]}")
        if not row["verified"]:
            typer.echo("     nobody vouches for this: it follows a pattern, or lies outside the calendar")


def _until_when(known: Calendar) -> str:
    """``the calendar holds until 2026-12-31``, or until when for whom."""
    from ..market.calendar import EXCHANGES

    whose: dict[date, list[str]] = {}
    for exchange in EXCHANGES:
        whose.setdefault(known.valid_until(exchange), []).append(exchange)
    if len(whose) == 1:
        return f"the calendar holds until {next(iter(whose))}"
    return "the calendar holds until " + ", ".join(f"{day} for {' '.join(names)}" for day, names in whose.items())


def _described(known: Calendar, exchange: str, day: date) -> dict[str, Any]:
    session = known.session(exchange, day)
    if session is None:
        row = known.exception(exchange, day)
        note, source = (row.note, row.source) if row is not None else ("weekend", "")
        verified = day <= known.valid_until(exchange)
        return {
            "exchange": exchange,
            "valid_until": str(known.valid_until(exchange)),
            "kind": "closed",
            "hours": "",
            "note": note,
            "source": source,
            "verified": verified,
        }
    shares = known.session(exchange, day, instrument_class="cas") if exchange in ("NSE", "BSE") else None
    future: InstrumentClass | None = "futures" if exchange in ("NFO", "BFO") else None
    auction = known.session(exchange, day, kind="closing_auction", instrument_class="cas")
    squared = known.square_off(exchange, day)
    squared_shares = known.square_off(exchange, day, instrument_class="cas") if auction else None
    return {
        "exchange": exchange,
        "valid_until": str(known.valid_until(exchange)),
        "kind": session.kind,
        "hours": _hours(session),
        "auction shares": _hours(shares) if auction else "",
        "pre-open": _hours(known.session(exchange, day, kind="pre_open", instrument_class=future)),
        "closing auction": _hours(auction),
        "post-close": _hours(known.session(exchange, day, kind="post_close")),
        "square-off": " / ".join(f"{one:%H:%M}" for one in (squared, squared_shares) if one is not None),
        "note": session.note,
        "source": session.source,
        "verified": session.verified,
    }


def _hours(session: Session | None) -> str:
    if session is None:
        return ""
    if not session.parts:
        return f"{session.kind}, hours not known"
    hours = " ".join(f"{start:%H:%M}-{end:%H:%M}" for start, end in session.parts)
    return hours if session.kind == "regular" else f"{hours} ({session.kind})"


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The exchange's list, CSV or JSON.")],
    exchange: Annotated[
        str, typer.Option("--exchange", metavar="NAME", help="Whose list it is, if the file does not say.")
    ] = "NSE",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it has, and keep nothing.")] = False,
) -> None:
    """Take an exchange's new list of holidays, or one that was declared late."""
    from .. import almanac
    from ..market.calendar import EXCHANGES, shipped
    from ..market.holidays import covers, read_list

    config = call_of(ctx).config()
    where = exchange.upper()
    if where not in EXCHANGES:
        raise ConfigError(f"--exchange {exchange}: the exchange is one of {', '.join(EXCHANGES)}")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as text ({error})") from error
    rows = [row._replace(source=row.source or file.name) for row in read_list(text, where, shipped())]
    whole = covers(rows)
    path = almanac.imported_file(config)
    held, until = almanac.read_file(path) if path.exists() else ([], {})
    for exchange, year in whole.items():
        for one in almanac.speaks_for(exchange):
            if (
                max(until.get(one, date.min), shipped().valid_until(one)).year + 1 == year
            ):  # it holds for the one before
                until[one] = date(year, 12, 31)
    for row in sorted(rows, key=lambda row: (row.date, row.exchange)):
        typer.echo(f"{row.date:%a %Y-%m-%d} {row.exchange} {row.kind}  {row.note}")
    if not dry_run:
        almanac.write_file(path, _merged(held, rows, whole), until)
        almanac.observe(config)
    kept = "nothing kept" if dry_run else f"kept in {path}"
    holds = _until_when(shipped().with_overlay([], until=until))
    years = ", ".join(map(str, sorted(set(whole.values()))))
    typer.echo(f"{len(rows)} rows{f', the whole of {years}' if whole else ''}; {holds}; {kept}")
    if "NSE" in whole and any(until.get(one, date.min).year < whole["NSE"] for one in ("CDS", "BCD", "MCX")):
        typer.echo(
            f"currency and commodities have holidays of their own, which this list of {years} has not: import theirs "
            "too, with --exchange CDS, BCD or MCX, before you trade there"
        )
    if unknown := [row for row in rows if row.kind == "muhurat" and row.open is None]:
        typer.echo(
            f"the hours of the muhurat session on {unknown[0].date} are not known: give them in calendar.overlay when "
            "they are notified"
        )


def _merged(held: list[ExceptionRow], rows: list[ExceptionRow], whole: Mapping[str, int]) -> list[ExceptionRow]:
    """A year's list takes the place of what was known of that year, any other is laid over it."""
    new = {(row.exchange, row.date): row for row in rows}
    old = [row for row in held if row.date.year != whole.get(row.exchange)]
    return list({**{(row.exchange, row.date): row for row in old}, **new}.values())


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise ConfigError(f"{text!r} is no date: write it as 2026-12-25") from None
