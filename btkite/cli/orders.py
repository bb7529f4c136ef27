"""``btkite orders``: Kite's book of the day; and from the journal, the orders of an account and why each was given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import account
from .app import Call, call_of

if TYPE_CHECKING:
    from ..watch.stories import Story

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="The day's order book; `list` and `explain` read the journal.",
)
Mode = Annotated[str, typer.Option("--mode", metavar="MODE", help="Whose journal: that of paper or of live.")]
Run = Annotated[
    Path | None,
    typer.Option("--run", metavar="FOLDER", help="A run that was saved, of any mode, not the account."),
]
Settings = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Configuration file, instead of ./config.yaml.")
]


@app.callback(invoke_without_command=True)
def _book(ctx: typer.Context, endpoint: account.At = None, as_json: account.Json = False) -> None:
    """The day's order book at Kite; `list` and `explain` read the journal and ask nobody."""
    if ctx.invoked_subcommand is None:
        account.orders(ctx, endpoint, as_json)


@app.command("list")
def list_(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="All days, not only the last one that has orders.")] = False,
    mode: Mode = "live",
    endpoint: account.At = None,
    run: Run = None,
    config: Settings = None,
    as_json: account.Json = False,
) -> None:
    """The account's orders of its last day, by its journal."""
    found = _stories(ctx, mode, endpoint, run, config)
    days = [story.at.date() for story in found if story.at is not None]
    if not every and days:
        found = [story for story in found if story.at is not None and story.at.date() == max(days)]
    if as_json:
        _json([story.as_dict() for story in found])
        return
    rows = [
        [
            str(story.ref),
            f"{story.at:%Y-%m-%d %H:%M:%S}" if story.at is not None else "",
            story.symbol,
            str(story.proposal.get("side", "")),
            str(story.given.get("exectype") or story.proposal.get("order_type", "")),
            f"{story.filled} of {account._count(story.proposal.get('quantity'))}",
            account._rupees(story.average or None),
            account._rupees(story.charges or None),
            story.state,
            story.ids[-1] if story.ids else "",
        ]
        for story in found
    ]
    headings = ("ref", "given", "symbol", "side", "type", "filled", "average ₹", "charges ₹", "state", "Kite")
    account._table(headings, rows, numbers=(0, 5, 6, 7), empty="no order was ever given here")


@app.command()
def explain(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ORDER", help="Kite's order id, our ref, or the tag.")],
    mode: Mode = "live",
    endpoint: account.At = None,
    run: Run = None,
    config: Settings = None,
    as_json: account.Json = False,
) -> None:
    """Why an order was given, and all that became of it."""
    from ..watch.explaining import explained
    from ..watch.stories import find

    story = find(_stories(ctx, mode, endpoint, run, config), name)
    if as_json:
        _json(story.as_dict())
        return
    for line in explained(story):
        typer.echo(line)


def _stories(ctx: typer.Context, mode: str, endpoint: str | None, run: Path | None, config: Path | None) -> list[Story]:
    from ..watch import stories
    from ..watch.places import likeliest, places

    if run is not None:
        return stories.stories(stories.events_of_run(run))
    call = call_of(ctx)
    settings = (Call(config, call.debug) if config is not None else call).config(
        {"broker.kite_connect.endpoint": endpoint}
    )
    found = [place for place in places(mode, settings, None) if place.journal.exists()] or places(mode, settings, None)
    return stories.stories(stories.events_of_journal(likeliest(found).journal))


def _json(value: Any) -> None:
    from ..journal import canonical

    typer.echo(json.dumps(json.loads(canonical({"found": value}))["found"], ensure_ascii=False, indent=2))
