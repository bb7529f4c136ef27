"""``btkite status``: how an account stands, from a second terminal. It reads files, and asks and locks nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from .app import call_of

if TYPE_CHECKING:
    from ..config import Config
    from ..watch.reading import Standing

_EVERY = timedelta(seconds=1)
_BAD = ("died", "silent")


def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew every second, until Ctrl-C.")] = False,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="paper or live; both, if they are known, without it.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="NAME", help="kite, sandbox, simulator or an address.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Serve it as a page of this machine alone, with a kill button, until Ctrl-C.")
    ] = False,
    port: Annotated[int, typer.Option("--port", metavar="N", help="With --web: its port; 0 takes a free one.")] = 0,
) -> None:
    """How an account stands: its run, feeds, gate, positions, working orders, limits and last events.

    The exit code is 1 if a run has ended without a word, or lives and does not speak; else 0.
    """
    config = call_of(ctx).config({"broker.kite_connect.endpoint": endpoint})
    if web:
        _serve(config, mode, port)
        return
    if watch and not as_json:
        _watch(config, mode)
        return
    found = look(config, mode)
    if as_json:
        from ..journal import canonical

        rows = json.loads(canonical({"accounts": [one.as_dict() for one in found]}))["accounts"]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        typer.echo(_text(found))
    if any(one.running in _BAD for one in found):
        raise typer.Exit(1)


def look(config: Config, mode: str | None) -> list[Standing]:
    """The accounts of which anything is known; of none, the one that a run would have."""
    from ..errors import ConfigError
    from ..modes import MODES
    from ..watch.places import places
    from ..watch.reading import standing

    found = []
    for name in [mode] if mode is not None else [name for name, row in MODES.items() if row.journal]:
        try:
            found += [standing(place) for place in places(name, config, None)]
        except ConfigError:
            if mode is not None:
                raise
    known = [one for one in found if one.running != "never" or one.kill]
    running = [one for one in known if one.is_running]
    return running or known or found[:1]


def _text(found: list[Standing]) -> str:
    from ..watch.showing import shown

    if not found:
        return "no account is known: set broker.kite_connect.user_id (KITE_USER_ID)"
    return "\n\n".join("\n".join(shown(one)) for one in found)


def _serve(config: Config, mode: str | None, port: int) -> None:
    from ..errors import ConfigError
    from ..watch.page import Page

    try:
        page = Page(config, lambda: look(config, mode), port)
    except OSError as error:
        raise ConfigError(f"port {port} cannot be served: {error.strerror}; --port 0 takes a free one") from None
    with page:
        typer.echo(f"{page.url}  (who has this address can kill; Ctrl-C ends the page, not the run)")
        try:
            page.serve_forever()
        except KeyboardInterrupt:
            return


def _watch(config: Config, mode: str | None) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from ..clock import Bell, SystemClock

    clock, bell, console = SystemClock(), Bell(), Console(highlight=False)
    try:
        if not console.is_terminal:  # a line for each change would be no better: it is said once a second
            while True:
                typer.echo(_text(look(config, mode)) + "\n")
                clock.wait(bell, clock.now() + _EVERY)
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(Text(_text(look(config, mode))), refresh=True)
                clock.wait(bell, clock.now() + _EVERY)
    except KeyboardInterrupt:
        return
