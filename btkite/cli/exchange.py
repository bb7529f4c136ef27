"""``btkite exchange``: start the simulated exchange and leave it running."""

from __future__ import annotations

import threading
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated

import typer

BEFORE_OPEN = time(9, 14, 55)
DAY_END = time(23, 59, 59)


def _at(moment: datetime | None, usual: time) -> datetime | None:
    """A date without a time means ``usual`` of that day."""
    if moment is None or moment.time() != time.min:
        return moment
    return datetime.combine(moment.date(), usual)


def _speed(text: str) -> float | str:
    if text in ("realtime", "lockstep"):
        return text
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: give a number, realtime or lockstep", param_hint="--speed") from None


def exchange(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 8765,
    speed: Annotated[str, typer.Option(help="Market seconds per second, 'realtime' or 'lockstep'.")] = "realtime",
    seed: Annotated[int, typer.Option(help="Seed of the generated market (without --cache).")] = 1,
    cache: Annotated[Path | None, typer.Option(help="Candle cache: <EXCHANGE>/<SYMBOL>/<interval>.parquet.")] = None,
    symbols: Annotated[str, typer.Option(help="EXCHANGE:SYMBOL, separated by commas.")] = "NSE:INFY,NSE:RELIANCE",
    interval: Annotated[str, typer.Option(help="Candles that are played: minute, 5minute … day.")] = "minute",
    from_: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="The market's first now.")
    ] = None,
    to: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="The market's end.")
    ] = None,
    sessions: Annotated[int, typer.Option(help="Trading days of the generated market.")] = 5,
    cash: Annotated[float, typer.Option(help="Opening balance, rupees.")] = 1_000_000.0,
    api_key: Annotated[str, typer.Option(help="The simulated app's key.")] = "sandboxkey000000",
    redirect_url: Annotated[str | None, typer.Option(help="Where the login page sends the browser.")] = None,
    keep_token: Annotated[bool, typer.Option(help="Access tokens survive 06:00 IST.")] = False,
) -> None:
    """Run a simulated exchange that speaks Kite's wire, until Ctrl-C. Needs no account and no network."""
    from ..exchange import Exchange, ExchangeError, ExchangeSettings

    names = tuple(name.strip() for name in symbols.split(",") if name.strip())
    day: date | None = from_.date() if from_ else None
    try:
        settings = ExchangeSettings(
            port=port,
            cache_dir=cache,
            seed=None if cache else seed,
            symbols=names,
            interval=interval,
            generate_from=day,
            generate_sessions=sessions,
            start=_at(from_, BEFORE_OPEN),
            end=_at(to, DAY_END),
            speed=_speed(speed),
            cash=cash,
            api_key=api_key,
            redirect_url=redirect_url,
            expire_tokens=not keep_token,
        )
        running = Exchange(settings)
        root = running.start()
    except ExchangeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(f"REST          {root}")
    typer.echo(f"WebSocket     {running.ws_url}")
    typer.echo(f"login page    {root}/connect/login?api_key={settings.api_key}&v=3")
    typer.echo(f"api key       {settings.api_key}")
    typer.echo(f"api secret    {settings.api_secret}")
    typer.echo(f"user          {settings.user_id}")
    typer.echo(f"access token  {running.issue_token()}")
    typer.echo("Ctrl-C stops it.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        running.stop()
