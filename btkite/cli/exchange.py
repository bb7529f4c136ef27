"""``btkite exchange``: start the simulated exchange and leave it running."""

from __future__ import annotations

import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer

from ..errors import BtkiteError, ConfigError
from .app import call_of
from .conformance import conformance

if TYPE_CHECKING:
    from ..exchange import Exchange, ExchangeSettings, Status

BEFORE_OPEN = time(9, 14, 55)
DAY_END = time(23, 59, 59)
USUAL = ("NSE:INFY", "NSE:RELIANCE")
"""What is generated if no symbols are named."""
STATUS_SECONDS = 0.5
LOOK_AHEAD = 30  # days in which a trading day is looked for


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


app = typer.Typer(
    add_completion=False, rich_markup_mode=None, invoke_without_command=True, subcommand_metavar="[COMMAND] [ARGS]..."
)
app.command("conformance")(conformance)


@app.callback()
def exchange(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", help="Port on 127.0.0.1; 0 takes a free one. Default: exchange.port."),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="SPEED", help="Market seconds per second, 'realtime' or 'lockstep'. Default: exchange.speed."
        ),
    ] = None,
    generate: Annotated[
        int | None,
        typer.Option(
            "--generate", "--seed", metavar="SEED", help="Seed of the made-up market. Default: exchange.seed."
        ),
    ] = None,
    candles: Annotated[
        Path | None,
        typer.Option(
            "--candles", "--cache", metavar="FOLDER", help="Candles to replay: EXCHANGE/SYMBOL/INTERVAL.parquet."
        ),
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
    day: Annotated[
        str | None, typer.Option("--date", metavar="DATE", help="The one day that is played, as 2026-11-18.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="The market's first now, as 2026-11-18 or 2026-11-18T09:00."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="The market's end.")] = None,
    sessions: Annotated[int, typer.Option(metavar="N", help="Trading days of the made-up market.")] = 5,
    account: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Cash, holdings and apps, YAML or JSON: docs/exchange.md."),
    ] = None,
    cash: Annotated[
        float | None, typer.Option(metavar="RUPEES", help="Opening balance, ₹. Default: exchange.cash.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The simulated app's key. Default: exchange.api_key.")
    ] = None,
    access_token: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="A token that is valid from the start. Default: exchange.access_token."),
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Faults that are armed, YAML or JSON: docs/exchange.md.")
    ] = None,
    profile: Annotated[
        Literal["kite", "sandbox"],
        typer.Option(help="The shape of Kite, or of its official sandbox: /oms, LIMIT orders only."),
    ] = "kite",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="All of Kite's checks: protection binds, depth, auctions, square-off, the day's end by segment.",
        ),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting, as depth=seeded; may be repeated."),
    ] = None,
    redirect_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the login page sends the browser; else where `btkite login` waits. Empty: nowhere.",
        ),
    ] = None,
    keep_token: Annotated[bool, typer.Option(help="Access tokens survive 06:00 IST.")] = False,
) -> None:
    """Run a simulated exchange that speaks Kite's wire, until Ctrl-C. Needs no account and no network.

    A page at / shows it and steers it.
    """
    if ctx.invoked_subcommand is not None:
        return
    from .. import almanac
    from ..exchange import Exchange, ExchangeError, ExchangeSettings, MarketBroke
    from ..exchange.hours import lay_over
    from ..series import moment
    from . import exchange_files, exchange_set

    if day is not None and (start is not None or end is not None):
        raise ConfigError("give --date for one day, or --from and --to, not both")
    if generate is not None and candles is not None:
        raise ConfigError("give one source of prices: --generate for a made-up market, or --candles, not both")
    if sessions < 1:
        raise ConfigError(f"--sessions {sessions}: give 1 day or more")
    names = None if symbols is None else tuple(name.strip() for name in symbols.split(",") if name.strip())
    given = {
        "port": port,
        "speed": speed if speed is None else _speed(speed),
        "seed": generate,
        "symbols": names,
        "interval": interval,
        "cash": cash,
        "api_key": api_key,
        "access_token": access_token,
    }
    told = call_of(ctx).config({f"exchange.{key}": value for key, value in given.items()})
    known, config = almanac.observe(told), told.exchange
    begin, finish = moment(day or start), moment(day or end)
    values: dict[str, Any] = {"cash": config.cash, "user_id": config.user_id}
    if account is not None:
        values |= exchange_files.account(account)
        values |= {"cash": cash} if cash is not None else {}
    values = {**exchange_set.chosen(set_ or (), strict=strict), **values}
    try:
        settings = ExchangeSettings(
            host=config.host,
            port=config.port,
            cache_dir=candles,
            seed=None if candles else config.seed,
            symbols=config.symbols or USUAL,
            interval=config.interval,
            generate_from=begin.date() if begin else None,
            generate_sessions=1 if day is not None else sessions,
            start=_at(begin, BEFORE_OPEN),
            end=_at(finish, DAY_END),
            speed=config.speed,
            api_key=config.api_key,
            api_secret=config.api_secret,
            auto_token=config.access_token,
            redirect_url=told.broker.kite_connect.redirect_url if redirect_url is None else redirect_url or None,
            expire_tokens=config.expire_tokens and not keep_token,
            profile=profile,
            faults=exchange_files.faults(faults) if faults is not None else (),
            **values,
        )
        lay_over(almanac.as_rows(known))
        running = Exchange(settings)
        if day is not None and begin is not None:
            _must_trade(running, settings, begin.date())
        root = running.start()
    except MarketBroke as error:  # as soon as it began
        raise BtkiteError(str(error)) from None
    except ExchangeError as error:
        raise ConfigError(str(error)) from None
    try:  # Ctrl-C may come as soon as the first line is out
        _tell(running, settings, root)
        _wait(running, sys.stderr)
    except KeyboardInterrupt:
        pass
    except ExchangeError as error:
        raise BtkiteError(str(error)) from None
    finally:
        running.stop()


def _must_trade(running: Exchange, settings: ExchangeSettings, day: date) -> None:
    """Refuse the one day that was asked for, if nothing trades on it. Raises ConfigError."""
    from ..exchange import hours

    if running.plays_on(day):
        return
    exchanges = sorted({key.partition(":")[0] for key in settings.symbols})
    if any(hours.hours_unknown(exchange, day) for exchange in exchanges):
        reason = "a muhurat session whose hours are not known"
    elif any(hours.session(exchange, day) is not None for exchange in exchanges):
        reason = "a trading day, but the candles have nothing of it"
    else:
        reason = "no trading day"
    later = (day + timedelta(days=ahead) for ahead in range(1, LOOK_AHEAD))
    following = next((one for one in later if any(hours.session(exchange, one) for exchange in exchanges)), None)
    told = f"; the next trading day is {following:%A} {following}" if following is not None else ""
    raise ConfigError(f"--date {day} is a {day:%A}, {reason}{told}")


def _tell(running: Exchange, settings: ExchangeSettings, root: str) -> None:
    """Where it is, and with what to come in."""
    typer.echo(f"REST          {root}{'/oms' if settings.profile == 'sandbox' else ''}")
    typer.echo(f"WebSocket     {running.ws_url}")
    typer.echo(f"web page      {root}/")
    typer.echo(f"login page    {root}/connect/login?api_key={settings.api_key}&v=3")
    typer.echo(f"api key       {settings.api_key}")
    typer.echo(f"api secret    {settings.api_secret}")
    typer.echo(f"user          {settings.user_id}")
    typer.echo(f"access token  {settings.auto_token}")
    status = running.status()
    prices = f"candles of {settings.cache_dir}" if settings.seed is None else f"made up from seed {settings.seed}"
    typer.echo(f"market        {status.now:%a %d %b %Y %H:%M:%S}, {', '.join(settings.symbols)}, {prices}")
    pace = "lock step: it stands still until a client asks for more" if status.lockstep else f"{status.speed:g} x"
    typer.echo(f"pace          {pace}")
    typer.echo("Ctrl-C stops it.")


def _wait(running: Exchange, out: TextIO) -> None:
    """Until the process is interrupted; in a terminal, one line says how the market stands."""
    if not out.isatty():
        running.wait()
        return
    shown = ""
    while not running.wait(STATUS_SECONDS):
        line = status_line(running.status())
        if line != shown:
            out.write(f"\r{line}\x1b[K")
            out.flush()
            shown = line


def status_line(status: Status) -> str:
    """The market in one line."""
    if status.lockstep:
        pace = "lock step"
    else:
        pace = f"{status.speed:g}×" if status.speed else "paused"
    done = ", at its end" if status.done else ""
    parts = [
        f"{status.now:%a %d %b %Y %H:%M:%S}  {pace}{done}",
        f"orders {status.orders} ({status.working} working)",
        f"requests {status.requests}",
        f"sockets {status.sockets}",
    ]
    if status.faults:
        parts.append(f"faults {status.faults} armed")
    return "  ·  ".join(parts)
