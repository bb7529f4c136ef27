"""``btkite kill``: no entry any more, from another terminal; with ``--flatten`` nothing open either."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .app import call_of

if TYPE_CHECKING:
    from ..config import Config
    from ..watch.killing import Killed


def kill(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: the gate's word until `btkite resume`.")] = (
        "btkite kill"
    ),
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Cancel every order and close every position, too.")
    ] = False,
    mode: Annotated[str, typer.Option("--mode", metavar="MODE", help="Whose: the account of paper or of live.")] = (
        "live"
    ),
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="NAME", help="kite, sandbox, simulator or an address.")
    ] = None,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="USER_ID", help="With --flatten, where no process runs: the client id."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Engage the account's kill switch: its run cancels what opens, and nothing is opened until `btkite resume`.

    Where no process runs the account, --flatten needs --confirm: then btkite closes by itself what the journal says
    is ours.
    """
    from ..watch import killing

    config = call_of(ctx).config({"broker.kite_connect.endpoint": endpoint})
    found = killing.kill(mode, reason=reason, flatten=flatten, config=config)
    if as_json:
        rows = [{**asdict(one), "place": str(one.place), "text": str(one)} for one in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    for one in found:
        if not as_json:
            typer.echo(str(one))
        if flatten and one.pid is None:
            _close(one, config, confirm)
    if any(one.pid is not None and not one.done for one in found):
        raise typer.Exit(1)


def _close(killed: Killed, config: Config, confirm: str | None) -> None:
    from ..errors import ConfigError
    from ..modes import MODES
    from ..watch import killing, reading

    open_now = killing.open_of(reading.standing(killed.place).book)
    if not open_now:
        typer.echo("by its journal nothing is open", err=True)
        return
    account = killed.place.account
    if MODES[killed.place.mode].arm and confirm is None and sys.stdin.isatty():
        said: str = typer.prompt(f"Open by its journal: {'; '.join(open_now)}. Type {account} to close it", err=True)
        confirm = said.strip()
    if MODES[killed.place.mode].arm and confirm != account:
        raise ConfigError(
            f"the switch is set, and open by the journal is {'; '.join(open_now)}: "
            f"to have it closed now, say whose account it is with --confirm {account}"
        )
    left = killing.close_down(
        killed.place,
        confirm=confirm,
        config=config,
        tell=lambda at, line: typer.echo(f"{at:%Y-%m-%d %H:%M:%S}  {line}", err=True),
    )
    typer.echo("still open: " + "; ".join(left) if left else "nothing is open any more", err=True)
    if left:
        raise typer.Exit(1)
