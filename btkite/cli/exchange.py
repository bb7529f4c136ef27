"""``btkite exchange``: start the simulated exchange and leave it running."""

from __future__ import annotations

import threading
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from .app import call_of

BEFORE_OPEN = time(9, 14, 55)
DAY_END = time(23, 59, 59)
USUAL = ("NSE:INFY", "NSE:RELIANCE")
"""What is generated if no symbols are named."""


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
    ctx: typer.Context,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Port on 127.0.0.1; 0 takes a free one. Default: exchange.port.")
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="SPEED", help="Market seconds per second, 'realtime' or 'lockstep'. Default: exchange.speed."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of the generated market. Default: exchange.seed.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Candle cache: EXCHANGE/SYMBOL/INTERVAL.parquet.")
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option(metavar="SYMBOLS", help="EXCHANGE:SYMBOL, separated by commas. Default: exchange.symbols."),
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option(
            metavar="INTERVAL", help="Candles that are played: minute, 5minute … day. Default: exchange.interval."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="The market's first now, as 2026-11-18 or 2026-11-18T09:00."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="The market's end.")] = None,
    sessions: Annotated[int, typer.Option(metavar="N", help="Trading days of the generated market.")] = 5,
    cash: Annotated[
        float | None, typer.Option(metavar="RUPEES", help="Opening balance, ₹. Default: exchange.cash.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The simulated app's key. Default: exchange.api_key.")
    ] = None,
    redirect_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the login page sends the browser.")
    ] = None,
    keep_token: Annotated[bool, typer.Option(help="Access tokens survive 06:00 IST.")] = False,
) -> None:
    """Run a simulated exchange that speaks Kite's wire, until Ctrl-C. Needs no account and no network."""
    from ..exchange import Exchange, ExchangeError, ExchangeSettings
    from ..series import moment

    names = None if symbols is None else tuple(name.strip() for name in symbols.split(",") if name.strip())
    given = {
        "port": port,
        "speed": speed if speed is None else _speed(speed),
        "seed": seed,
        "symbols": names,
        "interval": interval,
        "cash": cash,
        "api_key": api_key,
    }
    config = call_of(ctx).config({f"exchange.{key}": value for key, value in given.items()}).exchange
    first, last = moment(start), moment(end)
    day: date | None = first.date() if first else None
    try:
        settings = ExchangeSettings(
            host=config.host,
            port=config.port,
            cache_dir=cache,
            seed=None if cache else config.seed,
            symbols=config.symbols or USUAL,
            interval=config.interval,
            generate_from=day,
            generate_sessions=sessions,
            start=_at(first, BEFORE_OPEN),
            end=_at(last, DAY_END),
            speed=config.speed,
            cash=config.cash,
            user_id=config.user_id,
            api_key=config.api_key,
            api_secret=config.api_secret,
            redirect_url=redirect_url,
            expire_tokens=config.expire_tokens and not keep_token,
        )
        running = Exchange(settings)
        root = running.start()
    except ExchangeError as error:
        raise ConfigError(str(error)) from None
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
