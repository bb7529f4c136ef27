"""``btkite quote|orders|positions|holdings|margins|profile|resume``: what the account and the market say, now.

Thin verbs over the store's research calls; none of them can place an order. ``resume`` asks nobody: it takes back what
has shut the account's gate.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import call_of

if TYPE_CHECKING:
    from ..store import KiteStore

_PIPED = 200
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
At = Annotated[str | None, typer.Option("--endpoint", metavar="NAME", help="kite, sandbox, simulator or an address.")]


def quote(
    ctx: typer.Context,
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL...", help="NSE:INFY, or INFY on NSE.")],
    endpoint: At = None,
    as_json: Json = False,
) -> None:
    """Last price, the day's prices and volume of each symbol."""
    from ..errors import UnknownSymbol
    from ..kite.instruments import parse_key

    with _store(ctx, endpoint) as store:
        keys = [parse_key(text, store.config.broker.default_exchange) for text in symbols]
        found = store.quote(*keys)
        for key in keys:
            if key not in found:
                store.instrument(key)  # says what may have been meant
                raise UnknownSymbol(f"Kite has no quote of {key}")
    if as_json:
        _json({key: found[key] for key in keys})
        return
    rows = []
    for key in keys:
        row = found[key]
        day, depth = row["ohlc"], row.get("depth", {})
        touch = [side[0]["price"] if side else None for side in (depth.get("buy"), depth.get("sell"))]
        rows.append(
            [
                key,
                _rupees(row["last_price"] or None),
                *(_rupees(price or None) for price in touch),
                *(_rupees(day[name] or None) for name in ("open", "high", "low", "close")),
                _count(row.get("volume")),
            ]
        )
    headings = ("symbol", "last ₹", "bid ₹", "ask ₹", "open ₹", "high ₹", "low ₹", "before ₹", "volume")
    _table(headings, rows, numbers=range(1, 9))


def orders(ctx: typer.Context, endpoint: At = None, as_json: Json = False) -> None:
    """The day's order book."""
    with _store(ctx, endpoint) as store:
        found = store.orders()
    if as_json:
        _json([_plain(row) for row in found])
        return
    rows = [
        [
            row.order_id,
            "" if row.order_time is None else f"{row.order_time:%H:%M:%S}",
            f"{row.exchange}:{row.tradingsymbol}",
            row.transaction_type,
            row.order_type,
            row.product,
            f"{_count(row.filled_quantity)} of {_count(row.quantity)}",
            _rupees(row.price or row.trigger_price or None),
            _rupees(row.average_price or None),
            row.status,
            row.status_message,
        ]
        for row in found
    ]
    headings = ("order", "time", "symbol", "side", "type", "product", "filled", "price ₹", "average ₹", "status", "why")
    _table(headings, rows, numbers=(6, 7, 8), empty="no orders today")


def positions(ctx: typer.Context, endpoint: At = None, as_json: Json = False) -> None:
    """Net positions of the day and of what was carried over."""
    with _store(ctx, endpoint) as store:
        found = store.client.call("positions")["net"]
    if as_json:
        _json(found)
        return
    rows = [
        [
            f"{row['exchange']}:{row['tradingsymbol']}",
            str(row["product"]),
            _count(row["quantity"]),
            _rupees(row["average_price"] or None),
            _rupees(row["last_price"]),
            _rupees(row["pnl"]),
        ]
        for row in found
    ]
    _table(("symbol", "product", "quantity", "average ₹", "last ₹", "P&L ₹"), rows, range(2, 6), "no positions")


def holdings(ctx: typer.Context, endpoint: At = None, as_json: Json = False) -> None:
    """Long-term holdings."""
    with _store(ctx, endpoint) as store:
        found = store.holdings()
    if as_json:
        _json(found)
        return
    rows = [
        [
            f"{row['exchange']}:{row['tradingsymbol']}",
            _count(row["quantity"]),
            _count(row.get("t1_quantity")),
            _rupees(row["average_price"]),
            _rupees(row["last_price"]),
            _rupees(row["pnl"]),
        ]
        for row in found
    ]
    _table(("symbol", "quantity", "T+1", "average ₹", "last ₹", "P&L ₹"), rows, range(1, 6), "no holdings")


def margins(ctx: typer.Context, endpoint: At = None, as_json: Json = False) -> None:
    """Money of each segment: what is there, what is used, what the next order may use."""
    with _store(ctx, endpoint) as store:
        found = store.margins()
    if as_json:
        _json(found)
        return
    rows = [
        [
            name,
            _rupees(segment["available"].get("opening_balance")),
            _rupees(segment["utilised"].get("debits")),
            _rupees(segment["net"]),
        ]
        for name, segment in found.items()
        if isinstance(segment, Mapping) and segment.get("enabled")
    ]
    _table(("segment", "at the start ₹", "used ₹", "available ₹"), rows, range(1, 4), "no segment is enabled")


def profile(ctx: typer.Context, endpoint: At = None, as_json: Json = False) -> None:
    """Who is logged in, and what the account may trade."""
    with _store(ctx, endpoint) as store:
        found = store.profile()
    if as_json:
        _json(found)
        return
    listed = [(name, found.get(name)) for name in ("user_id", "user_name", "broker", "exchanges", "products")]
    for name, value in listed:
        typer.echo(f"{name.replace('_', ' '):<10} {', '.join(value) if isinstance(value, list) else value or '–'}")


def resume(
    ctx: typer.Context,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why trading may go on: it must be said, and is journaled.")
    ] = "",
    mode: Annotated[str, typer.Option("--mode", metavar="MODE", help="Whose gate: that of paper or of live.")] = "live",
    endpoint: At = None,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="USER_ID", help="The account's client id: nothing changes without."),
    ] = None,
) -> None:
    """Take back the kill switch and the loss limit that was passed. What is lost counts anew from here."""
    from .. import resuming

    config = call_of(ctx).config({"broker.kite_connect.endpoint": endpoint})
    found = resuming.shut(mode, config=config)
    if found and reason and confirm is None and sys.stdin.isatty():
        said: str = typer.prompt(f"{found}. Type {found.account} to resume", err=True)
        confirm = said.strip()
    found = resuming.resume(mode, reason=reason, confirm=confirm, config=config)
    typer.echo(f"{found}; it is open again: the next run opens positions" if found else str(found))


@contextmanager
def _store(ctx: typer.Context, endpoint: str | None) -> Iterator[KiteStore]:
    """The account of the configured endpoint, through a client that cannot trade."""
    from .. import runs
    from ..store import KiteStore

    config = runs.reached(call_of(ctx).config({"broker.kite_connect.endpoint": endpoint}))
    store = KiteStore(mode="paper", config=config)  # type: ignore[call-arg]  # backtrader's params
    try:
        yield store
    finally:
        if store._client is not None:
            store._client.close()


def _json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    names = [one.name for one in fields(value) if one.name != "raw"]  # raw: Kite's own row, said again
    return {name: getattr(value, name) for name in names}


def _rupees(value: Any) -> str:
    from ..report.table import number

    return number(value)


def _count(value: Any) -> str:
    from ..report.table import number

    return number(value, 0)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int], empty: str = "") -> None:
    if not rows:
        typer.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place in numbers else "left", overflow="fold", no_wrap=not place)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED  # a pipe has no width to keep to
    console.print(table)
