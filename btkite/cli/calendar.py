"""``btkite calendar``: when a day is traded and who says so; the exchanges' new lists."""

from __future__ import annotations

import json
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
        typer.echo(json.dumps({"date": on.isoformat(), "valid_until": str(known.valid_until), "exchanges": rows}))
        return
    typer.echo(f"{on:%A, %d %B %Y}; the calendar holds until {known.valid_until}")
    for row in rows:
        typer.echo(f"{row['exchange']:4} {row['hours'] or row['kind']}")
        for name in ("auction shares", "pre-open", "closing auction", "post-close", "square-off", "note", "source"):
            if row.get(name):
                typer.echo(f"     {name}: {row[name]}")
        if not row["verified"]:
            typer.echo("     nobody vouches for this: it follows a pattern, or lies outside the calendar")


def _described(known: Calendar, exchange: str, day: date) -> dict[str, Any]:
    session = known.session(exchange, day)
    if session is None:
        row = known.exception(exchange, day)
        note, source = (row.note, row.source) if row is not None else ("weekend", "")
        verified = day <= known.valid_until
        return {
            "exchange": exchange,
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
    year = covers(rows)
    path = almanac.imported_file(config)
    held, until = almanac.read_file(path) if path.exists() else ([], None)
    until = _until(year, until or shipped().valid_until)
    for row in sorted(rows, key=lambda row: (row.date, row.exchange)):
        typer.echo(f"{row.date:%a %Y-%m-%d} {row.exchange} {row.kind}  {row.note}")
    if not dry_run:
        almanac.write_file(path, _merged(held, rows, year), until)
        almanac.observe(config)
    kept = "nothing kept" if dry_run else f"kept in {path}"
    typer.echo(f"{len(rows)} rows{f', the whole of {year}' if year else ''}; the calendar holds until {until}; {kept}")
    if year is not None and not any(row.exchange == "CDS" and row.date.year == year for row in (*held, *rows)):
        typer.echo(
            f"currency has more holidays, which this list of {year} has not: import NSE's list of that segment too, "
            "with --exchange CDS and --exchange BCD, before you trade there"
        )
    if unknown := [row for row in rows if row.kind == "muhurat" and row.open is None]:
        typer.echo(
            f"the hours of the muhurat session on {unknown[0].date} are not known: give them in calendar.overlay when "
            "they are notified"
        )


def _until(year: int | None, until: date) -> date:
    """A year's list makes the calendar hold for that year, if it held for the one before."""
    return date(year, 12, 31) if year is not None and year == until.year + 1 else until


def _merged(held: list[ExceptionRow], rows: list[ExceptionRow], year: int | None) -> list[ExceptionRow]:
    """A year's list takes the place of what was known of that year, any other is laid over it."""
    new = {(row.exchange, row.date): row for row in rows}
    whole = {row.exchange for row in rows} if year is not None else set()
    old = [row for row in held if not (row.date.year == year and row.exchange in whole)]
    return list({**{(row.exchange, row.date): row for row in old}, **new}.values())


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise ConfigError(f"{text!r} is no date: write it as 2026-12-25") from None
