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
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why: the gate's word until `btkite resume`.")
    ] = ("btkite kill"),
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Cancel every order and close every position, too.")
    ] = False,
    account: Annotated[
        bool,
        typer.Option("--account", help="With --flatten: all orders and positions of the account, whoever made them."),
    ] = False,
    mode: Annotated[str, typer.Option("--mode", metavar="MODE", help="Whose: the account of paper or of live.")] = (
        "live"
    ),
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="NAME", help="kite, sandbox, simulator or an address.")
    ] = None,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="USER_ID", help="Where no process runs, or it hangs: the client id."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Engage the account's kill switch: its run cancels what opens, and nothing is opened until `btkite resume`.

    Where no process runs the account, or it does not answer, --confirm has btkite itself do it: it ends that process,
    and cancels or closes what the journal says is ours.
    """
    from ..watch import killing

    config = call_of(ctx).config({"broker.kite_connect.endpoint": endpoint})
    if account:
        confirm = _account_is_meant(mode, config, confirm, flatten=flatten)
    found = killing.kill(mode, reason=reason, flatten=flatten, config=config)
    if as_json:
        rows = [{**asdict(one), "place": str(one.place), "text": str(one)} for one in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    undone = False
    for one in found:
        if not as_json:
            typer.echo(str(one))
        if one.pid is None or one.deaf:
            undone = _close(one, config, confirm) or undone
        elif not one.done:
            undone = True
    if account:
        undone = _empty(found, config, confirm, reason) or undone
    if undone:
        raise typer.Exit(1)


def _account_is_meant(mode: str, config: Config, confirm: str | None, *, flatten: bool) -> str:
    """Orders of others are at stake: the account is said aloud before anything is done."""
    from ..errors import ConfigError
    from ..modes import MODES
    from ..watch.places import places

    name = places(mode, config, None, purpose="killed")[0].account
    if not flatten:
        raise ConfigError("--account goes with --flatten: it cancels every order and closes every position")
    if not MODES[mode].arm:
        raise ConfigError(f"{mode} has no orders at Kite: leave --account out")
    if confirm is None and sys.stdin.isatty():
        said: str = typer.prompt(f"All orders and positions of {name}, not btkite's alone. Type {name}", err=True)
        confirm = said.strip()
    if confirm != name:
        raise ConfigError(f"--account closes what others hold, too: say --confirm {name}; nothing was done")
    return confirm


def _empty(found: list[Killed], config: Config, confirm: str | None, reason: str) -> bool:
    """When ours is done, all the rest; True if something is left."""
    from ..watch import killing, sweeping

    left: tuple[str, ...] = ()
    for one in found:
        killing.end_process(one.place, gently=True)
        left += sweeping.sweep(
            one.place,
            confirm=confirm,
            config=config,
            reason=reason,
            tell=lambda at, line: typer.echo(f"{at:%Y-%m-%d %H:%M:%S}  {line}", err=True),
        )
    typer.echo("still open: " + "; ".join(left) if left else "the account is empty", err=True)
    return bool(left)


def _close(killed: Killed, config: Config, confirm: str | None) -> bool:
    """Where no process does it, or one that does not answer, this one does; True if something is left to be done."""
    from ..errors import ConfigError
    from ..modes import MODES
    from ..watch import killing, reading

    book, place = reading.standing(killed.place).book, killed.place
    open_now = killing.open_of(book)
    if not killed.flatten:
        open_now = tuple(text for text in open_now if text.startswith("order"))
    if not open_now and not killed.deaf:
        if killed.flatten:
            typer.echo("by its journal nothing is open", err=True)
        return False
    account = place.account
    what = f"open by the journal is {'; '.join(open_now) or 'nothing'}"
    if killed.deaf:
        what = f"the run (pid {killed.pid}) does not answer, and {what}"
    deed = "have it closed" if killed.flatten else "have what opens cancelled"
    if MODES[place.mode].arm and confirm is None and sys.stdin.isatty():
        ends = "end that process and " if killed.deaf else ""
        said: str = typer.prompt(f"{what[0].upper()}{what[1:]}. Type {account} to {ends}{deed}", err=True)
        confirm = said.strip()
    if MODES[place.mode].arm and confirm != account:
        raise ConfigError(
            f"the switch is set, and {what}: to {deed} now, say whose account it is with --confirm {account}"
        )
    if killed.deaf:
        killing.end_process(place)
        typer.echo(f"the process {killed.pid} did not answer and was ended", err=True)
    left = killing.close_down(
        place,
        confirm=confirm,
        config=config,
        because="" if not killed.deaf else f"the run (pid {killed.pid}) did not answer the kill switch and was ended",
        tell=lambda at, line: typer.echo(f"{at:%Y-%m-%d %H:%M:%S}  {line}", err=True),
    )
    done = "nothing is open any more" if killed.flatten else "what opened is cancelled"
    typer.echo("still open: " + "; ".join(left) if left else done, err=True)
    return bool(left)
