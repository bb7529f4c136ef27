"""``btkite data``: bring candles in, see what is there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError, DataError
from .app import call_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..candles import CandleCache, Stored
    from ..config import Config
    from ..files import Read
    from ..kite.history import Downloaded, Progress
    from ..series import Candles

app = typer.Typer(name="data", no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Candles.")

Interval = Annotated[str, typer.Option("--interval", "-i", metavar="INTERVAL", help="minute, 5minute, day …")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


# ---- fetch ------------------------------------------------------------------------------------


@app.command()
def fetch(
    ctx: typer.Context,
    symbols: Annotated[
        list[str],
        typer.Option("--symbol", "-s", metavar="SYMBOL", help="NSE:INFY, or INFY on NSE; may be given several times."),
    ],
    interval: Interval = "minute",
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="First day; without it, on from what is stored."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last day, included; today without it.")
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask for all of it again.")] = False,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="NAME", help="kite, sandbox, simulator or an address.")
    ] = None,
) -> None:
    """Download candles from Kite into the cache; what is there already is not asked for again."""
    from ..grid import ends_of
    from ..kite.history import download
    from ..kite.instruments import parse_key
    from ..kite.revised import in_words
    from ..series import check_range, moment
    from ..sources import renew_others
    from ..store import KiteStore

    config = call_of(ctx).config({"broker.kite_connect.endpoint": endpoint})
    name, first, last = _interval(interval), moment(start), moment(end, end=True)
    keys = [parse_key(symbol, config.broker.default_exchange) for symbol in symbols]
    cache = _cache(config)
    if first is not None and last is not None:
        check_range(first, last)
    starts = [first or _resumed(cache, key, name) for key in keys]
    # Not armed: its client cannot trade. (backtrader's metaclass takes params, unseen by mypy.)
    store = KiteStore(mode="paper", config=config)  # type: ignore[call-arg]
    now = store.clock.now()
    if first is not None and first >= now:
        raise ConfigError(
            f"--from {start} is later than now ({now:%Y-%m-%d %H:%M}): no market has made those candles yet"
        )
    with closing(store.client) as client:
        wanted = [store.instrument(key) for key in keys]
        for instrument, begin in zip(wanted, starts, strict=True):
            with _bar(instrument.key, name) as progress:
                done = download(
                    client,
                    cache,
                    instrument,
                    name,
                    begin,
                    last or store.clock.now(),
                    clock=store.clock,
                    ends=ends_of(instrument.key, name),
                    refresh=refresh,
                    progress=progress,
                )
            rewritten = done.replaced and not refresh
            others = renew_others(client, cache, instrument, name, clock=store.clock) if rewritten else []
            _tell(done, cache)
            if refresh and done.replaced:
                typer.echo(f"{done.key} {done.interval}: asked for again, all replaced")
            if rewritten:
                also = f", and {', '.join(others)} with it" if others else ""
                typer.echo(
                    f"{done.key} {done.interval}: its past was rewritten, prices are {in_words(done.ratio)}: all of it "
                    f"was replaced{also}"
                )


def _resumed(cache: CandleCache, key: str, interval: str) -> datetime:
    stored = cache.stored(key, interval)
    if stored is None or stored.last is None:
        raise ConfigError(f"{key} {interval} is not stored yet: say --from when it is to start")
    return stored.last


@contextmanager
def _bar(key: str, interval: str) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on stderr, gone when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rows]:,} bars"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{key} {interval}", total=None, rows=0)

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.chunks, rows=progress.rows)

        yield show


def _tell(done: Downloaded, cache: CandleCache) -> None:
    if done.requests == 0:
        typer.echo(f"{done.key} {done.interval}: nothing to fetch, all of it was asked for before")
        return
    notes = [f"{_count(done.rows, 'bar')} in {_count(done.requests, 'request')}"]
    if done.revised:
        notes.append(f"{_count(done.revised, 'bar')} corrected")
    stored = cache.stored(done.key, done.interval)
    if stored is not None and stored.first is not None:
        notes.append(f"stored from {_minute(stored.first)} to {_minute(stored.last)}")
    else:
        notes.append("Kite has none in that range")
    typer.echo(f"{done.key} {done.interval}: {'; '.join(notes)}")


# ---- import -----------------------------------------------------------------------------------


@app.command("import")
def import_(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="CSV or Parquet files, or folders of them.")],
    exchange: Annotated[
        str | None,
        typer.Option("--exchange", metavar="NAME", help="Exchange of what does not say its own; NSE as configured."),
    ] = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", "-s", metavar="SYMBOL", help="Tradingsymbol, instead of the file name's.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option("--interval", "-i", metavar="INTERVAL", help="Interval that every file must have.")
    ] = None,
) -> None:
    """Bring candle files into the cache: Kite's columns, times in IST or with a zone.

    Symbol and interval are read from the file's name (RELIANCE_minute_2024.parquet) or from a symbol
    column; without an interval in it, the distance of the bars says which. A file that cannot be used is
    named, and the others go on.
    """
    config = call_of(ctx).config()
    cache = _cache(config)
    wanted = _interval(interval) if interval else None
    failed = 0
    for path in _expanded(paths):
        try:
            for one in _read(path, (exchange or config.broker.default_exchange).upper(), symbol, wanted):
                typer.echo(_imported(cache, one, path))
        except (DataError, ConfigError) as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _expanded(paths: Sequence[Path]) -> list[Path]:
    """Folders replaced by the candle files in them."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [one for kind in ("*.csv", "*.csv.gz", "*.parquet") for one in path.rglob(kind)]
            if not inside:
                raise ConfigError(f"{path} has no .csv or .parquet file in it")
            found += sorted(inside)
        else:
            found.append(path)
    return found


def _read(path: Path, exchange: str, symbol: str | None, interval: str | None) -> list[Read]:
    from ..files import named, read_file

    name = named(path)
    own = symbol or name.symbol
    if not own:
        raise DataError(f"{path}: its name tells no symbol; say --symbol")
    series = read_file(path, f"{name.exchange or exchange}:{own}", interval or name.interval or None)
    told = symbol or name.interval or own == own.upper() or all(one.symbol for one in series)
    if not told:  # prices.csv
        raise DataError(
            f"{path}: its name does not tell an instrument, as RELIANCE_minute{path.suffix} would; say --symbol"
        )
    if symbol is None or all(not one.symbol for one in series):
        return series
    mine = [one for one in series if one.symbol == symbol]
    if not mine:
        raise DataError(f"{path} has no candles of {symbol}: it has {', '.join(one.symbol for one in series)}")
    return mine


def _imported(cache: CandleCache, one: Read, path: Path) -> str:
    """Put a series into the cache; a line about it."""
    import numpy as np

    from ..candles import without
    from ..clock import SystemClock, from_epoch
    from ..grid import quality
    from ..series import moment
    from ..values import INTERVALS

    candles = one.candles
    differing, found = _differing(cache, candles), quality(candles)
    late = int((candles.start > np.datetime64(SystemClock().now())).sum())
    # Sessions that the file lacks stay open: `btkite data fetch` will ask for them.
    lacking = [(moment(day), moment(day, end=True)) for day in found.days]
    whole = (candles.first, candles.last + timedelta(seconds=INTERVALS[candles.interval]))
    cache.merge(
        candles.key,
        candles.interval,
        candles,
        covered=without(whole, lacking),
        source=path.name,
        fetched_at=from_epoch(path.stat().st_mtime),
        facts=_facts(cache, candles.key),
    )
    notes = [
        (found.days, f"no bar in {_count(len(found.days), 'session')}"),
        (found.bars, f"{_count(found.bars, 'bar')} missing within sessions"),
        (found.outside, f"{_count(found.outside, 'bar')} outside the sessions"),
        (one.disordered, f"{_count(one.disordered, 'row')} put in order"),
        (one.repeated, f"{_count(one.repeated, 'repeated row')} dropped"),
        (late, f"{_count(late, 'bar')} LATER THAN NOW: no market has made them yet"),
        (differing, f"{_count(differing, 'stored bar')} had other prices and took the file's"),
    ]
    remarks = [text for there, text in notes if there]
    line = _title(candles)
    return f"{line} ({'; '.join(remarks)})" if remarks else line


def _title(candles: Candles) -> str:
    held = f"{_minute(candles.first)} to {_minute(candles.last)}"
    return f"{candles.key} {candles.interval}: {_count(len(candles), 'bar')}, {held}"


def _differing(cache: CandleCache, candles: Candles) -> int:
    """How many bars of the cache have other prices than these."""
    import numpy as np

    stored = cache.stored(candles.key, candles.interval)
    if stored is None or stored.first is None:
        return 0
    old = cache.read(candles.key, candles.interval)
    _, mine, theirs = np.intersect1d(old.start, candles.start, assume_unique=True, return_indices=True)
    pairs = [(getattr(old, name)[mine], getattr(candles, name)[theirs]) for name in ("open", "high", "low", "close")]
    return int(np.logical_or.reduce([left != right for left, right in pairs]).sum())


def _facts(cache: CandleCache, key: str) -> dict[str, Any]:
    """What the newest archived instruments dump knows of the instrument."""
    from ..kite.archive import archived, load
    from ..kite.made import facts

    folder = cache.instruments_folder / "kite"
    if not archived(folder):
        return {}
    master = load(folder)
    return facts(master.find(key)) if key in master else {}


# ---- list and show ----------------------------------------------------------------------------


@app.command("list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """Show which candles the cache holds."""
    cache = _cache(call_of(ctx).config())
    rows = cache.list()
    if as_json:
        typer.echo(json.dumps([_plain(row) for row in rows], indent=2))
        return
    if not rows:
        typer.echo(f"no candles in {cache.folder}; bring some in with `btkite data fetch` or `btkite data import`")
        return
    table = [("instrument", "interval", "bars", "from", "to", "source", "kB")]
    table += [
        (
            row.key,
            row.interval,
            f"{row.rows:,}",
            _minute(row.first),
            _minute(row.last),
            row.source,
            f"{row.bytes / 1e3:,.0f}",
        )
        for row in rows
    ]
    _print_table(table, right=(2, 6))


@app.command()
def show(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="NSE:INFY, or INFY on NSE.")],
    interval: Interval = "minute",
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")] = None,
    tail: Annotated[int, typer.Option("--tail", min=0, metavar="N", help="Print the last N bars; 0 prints all.")] = 10,
    as_json: Json = False,
) -> None:
    """Show one instrument's candles and what is known of them; made from a finer interval if need be."""
    from ..grid import quality, windows_of
    from ..kite.instruments import parse_key
    from ..series import moment

    config = call_of(ctx).config()
    cache = _cache(config)
    key, name = parse_key(symbol, config.broker.default_exchange), _interval(interval)
    candles = cache.read(key, name, moment(start), moment(end, end=True), windows=windows_of(key))
    shown = candles.tail(tail) if tail else candles
    found, stored = quality(candles), cache.stored(key, name)
    if as_json:
        typer.echo(json.dumps(_report(candles, shown, found, stored), indent=2))
        return
    table = [("date", "open", "high", "low", "close", "volume", "oi")]
    for begun, opened, high, low, close, volume, oi in zip(*map(list, shown.columns().values()), strict=True):
        prices = (f"{opened:.2f}", f"{high:.2f}", f"{low:.2f}", f"{close:.2f}")
        table.append((_minute(begun.item()), *prices, f"{volume:,.0f}", f"{oi:,.0f}"))
    _print_table(table, right=(1, 2, 3, 4, 5, 6))
    typer.echo(_title(candles))
    typer.echo(f"source   {candles.source}")
    typer.echo(f"digest   {candles.digest()[:16]}")
    typer.echo(
        f"missing  {_count(len(found.days), 'session')}, {_count(found.bars, 'bar')} within sessions; "
        f"{_count(found.outside, 'bar')} outside the sessions"
    )
    for low, high in stored.gaps if stored is not None else ():
        typer.echo(f"gap      {_minute(low)} to {_minute(high)}: asked for, nothing there")


def _report(candles: Candles, shown: Candles, found: Any, stored: Stored | None) -> dict[str, Any]:
    return {
        "key": candles.key,
        "interval": candles.interval,
        "bars": len(candles),
        "from": candles.first.isoformat(),
        "to": candles.last.isoformat(),
        "source": candles.source,
        "digest": candles.digest(),
        "missing_sessions": [day.isoformat() for day in found.days],
        "missing_bars": found.bars,
        "bars_outside": found.outside,
        "gaps": [[low.isoformat(), high.isoformat()] for low, high in stored.gaps] if stored else [],
        "candles": [
            [start.isoformat(), *prices]
            for start, *prices in zip(*(column.tolist() for column in shown.columns().values()), strict=True)
        ],
    }


# ---- small things -----------------------------------------------------------------------------


def _plain(row: Stored) -> dict[str, Any]:
    return {
        "key": row.key,
        "interval": row.interval,
        "bars": row.rows,
        "from": row.first.isoformat() if row.first else None,
        "to": row.last.isoformat() if row.last else None,
        "source": row.source,
        "fetched_at": row.fetched_at.isoformat() if row.fetched_at else None,
        "gaps": [[low.isoformat(), high.isoformat()] for low, high in row.gaps],
        "bytes": row.bytes,
        "facts": dict(row.facts),
    }


def _interval(text: str) -> str:
    """``5m`` and ``5minute`` alike."""
    from ..market.intervals import parse_interval

    return str(parse_interval(text))


def _cache(config: Config) -> CandleCache:
    from .. import almanac
    from ..candles import CandleCache

    almanac.observe(config)
    return CandleCache(config.data.cache)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment is not None else "-"


def _print_table(rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        typer.echo("  ".join(cells).rstrip())
