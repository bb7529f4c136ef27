"""``btkite exchange conformance``: does a server speak Kite's wire? Ours, or Zerodha's sandbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from socket import create_server, socket
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from ..errors import BtkiteError, ConfigError

if TYPE_CHECKING:
    from ..conformance import Finding, Scene
    from ..exchange import Exchange, ExchangeSettings

_REAL = "api.kite.trade"
_LACKS = (
    "alerts", "amo", "auctions", "autoslice", "co", "full_profile", "gtt", "iceberg", "instruments_json", "login",
    "margins", "mf", "refresh_token", "segment_margins",
)  # fmt: skip


def conformance(
    root: Annotated[
        str | None, typer.Option(metavar="URL", help="The server; without it, an exchange is started.")
    ] = None,
    ws_root: Annotated[
        str | None, typer.Option(metavar="URL", help="Its stream. Default: the root, as ws:// or wss://.")
    ] = None,
    api_key: Annotated[str, typer.Option(metavar="KEY", envvar="KITE_API_KEY", help="The app's key.")] = "",
    access_token: Annotated[
        str, typer.Option(metavar="TOKEN", envvar="KITE_ACCESS_TOKEN", help="Today's token; better in the environment.")
    ] = "",
    user_id: Annotated[
        str, typer.Option(metavar="USER", help="Put into the stream's address, as the sandbox wants it.")
    ] = "",
    prefix: Annotated[str, typer.Option(metavar="PATH", help="Before every route: /oms on the sandbox.")] = "",
    symbol: Annotated[
        str, typer.Option("--symbol", "-s", metavar="SYMBOL", help="What is traded: one or two shares of it.")
    ] = "NSE:INFY",
    derivative: Annotated[
        str, typer.Option(metavar="SYMBOL", help="A contract that is sliced; without it, slicing is not tried.")
    ] = "",
    index: Annotated[
        str, typer.Option(metavar="SYMBOL", help="An index, as 'NSE:NIFTY 50'; without it, its packets are not tried.")
    ] = "",
    currency: Annotated[
        str, typer.Option(metavar="SYMBOL", help="A contract of CDS, whose prices have seven decimals in a packet.")
    ] = "",
    commodity: Annotated[
        str, typer.Option(metavar="SYMBOL", help="A contract of NCO or BCD, whose prices have four decimals.")
    ] = "",
    lacks: Annotated[
        str, typer.Option(metavar="LIST", help=f"What the server is known to lack: {', '.join(_LACKS)}.")
    ] = "",
    postback: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where the app's postbacks arrive: the suite listens there for one."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask a server every route and compare each answer's keys and types with Kite's samples.

    It places a few LIMIT orders of one or two shares and cancels what rests. Never on Kite itself.
    """
    from ..conformance import Scene, Wire

    missing = {name.strip() for name in lacks.split(",") if name.strip()}
    if missing - set(_LACKS):
        raise ConfigError(f"--lacks knows {', '.join(_LACKS)}; not {', '.join(sorted(missing - set(_LACKS)))}")
    if root is None:
        with _own() as scene:
            _report(_judged(scene), scene, as_json)
        return
    if urlsplit(root).hostname == _REAL:
        raise ConfigError(f"{_REAL} is Kite itself, where orders cost money: give the sandbox's root, or none")
    if not urlsplit(root).scheme or not api_key or not access_token:
        raise ConfigError("--root wants an address (http://…), and with it --api-key and --access-token")
    stream = ws_root or root.replace("http", "ws", 1)
    wire = Wire(root.rstrip("/"), stream, api_key, access_token, prefix=prefix, user_id=user_id)
    missing |= {"login"} | (set() if derivative else {"autoslice"})
    with _listener(postback) as postbacks:
        scene = Scene(
            wire,
            symbol,
            derivative,
            lacks=frozenset(missing),
            index=index,
            currency=currency,
            commodity=commodity,
            postbacks=postbacks,
        )
        _report(_judged(scene), scene, as_json)


@contextmanager
def _listener(address: str) -> Iterator[socket | None]:
    """A bound socket; None without an address."""
    if not address:
        yield None
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"--postback {address}: write HOST:PORT, as 0.0.0.0:8123")
    try:
        bound = create_server((host, int(port)))
    except OSError as error:
        raise ConfigError(f"--postback {address}: nobody can listen there ({error.strerror})") from None
    with bound:
        yield bound


@contextmanager
def _own() -> Iterator[Scene]:
    """A scene on an exchange of our own, with everything that the samples show."""
    from ..exchange import Exchange
    from ..exchange.showcase import showcase

    with create_server(("127.0.0.1", 0)) as listener:
        settings = showcase(postback_url=f"http://127.0.0.1:{listener.getsockname()[1]}/")
        with Exchange(settings) as exchange:
            yield _scene_on(exchange, settings, listener)


def _scene_on(exchange: Exchange, settings: ExchangeSettings, listener: socket) -> Scene:
    from ..conformance import Scene, Wire
    from ..exchange.showcase import SHOWN, STREAMED

    wire = Wire(exchange.url, exchange.ws_url, settings.api_key, exchange.issue_token(), paced=False)
    return Scene(
        wire,
        SHOWN,
        derivative=settings.symbols[-1],
        api_secret=settings.api_secret,
        index=STREAMED["index"],
        currency=STREAMED["currency"],
        commodity=STREAMED["commodity"],
        postbacks=listener,
    )


def _judged(scene: Scene) -> list[Finding]:
    from aiohttp import ClientError

    from ..conformance import NotAnswered, in_words, judge

    async def all_of() -> list[Finding]:
        async with scene.wire:
            return [finding async for finding in judge(scene)]

    try:
        return asyncio.run(all_of())
    except (NotAnswered, ClientError, KeyError, TimeoutError, OSError) as error:
        what = f"{scene.key} is not quoted" if isinstance(error, KeyError) else in_words(error)
        raise BtkiteError(f"{scene.wire.root} cannot be judged: {what}") from None


def _report(findings: list[Finding], scene: Scene, as_json: bool) -> None:
    """The table, its sum, and exit code 1 if anything differs."""
    tried = [finding for finding in findings if finding.verdict != "not tried"]
    fits = [finding for finding in tried if finding.verdict == "fits"]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            typer.echo(f"{finding.name:<{width}}  {finding.verdict:<12}  {finding.asked}".rstrip())
            for deviation in finding.deviations:
                typer.echo(f"{'':<{width}}    {deviation}")
        share = 100 * len(fits) / len(tried) if tried else 0.0
        left = f", {len(findings) - len(tried)} not tried" if len(tried) < len(findings) else ""
        typer.echo(f"{scene.wire.root}: {len(fits)} of {len(tried)} as Kite's, {share:.4g} %{left}")
    if len(fits) < len(tried):
        raise typer.Exit(1)
