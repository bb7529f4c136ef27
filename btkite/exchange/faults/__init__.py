"""Faults on command: what may go wrong on Kite's wire, one row of a table each.

A fault is armed by ``POST /_exchange/faults``, by ``ExchangeSettings.faults`` or by a file. To add one: a row
in ``replies.py`` (REST), ``updates.py`` (order updates), ``frames.py`` (sockets) or ``states.py`` (market and
account); the docs' table is printed from it and the fault matrix runs it.
"""

from __future__ import annotations

from .armed import PASSING, TABLE, Fault, kind_of
from .kinds import Arg, Kind
from .plan import Plan
from .replies import Ask, NoReply, without_type
from .updates import Delivery

__all__ = ["PASSING", "TABLE", "Arg", "Ask", "Delivery", "Fault", "Kind", "NoReply", "Plan", "as_markdown", "kind_of",
           "without_type"]  # fmt: skip


def as_markdown() -> str:
    """The table, for the docs."""
    lines = ["| kind | what happens | matches, if not told otherwise | args (default) |", "|---|---|---|---|"]
    for kind in TABLE.values():
        match = " ".join(str(kind.match[name]) for name in ("method", "path") if name in kind.match)
        match = match.replace("|", "\\|") or {"reply": "any call", "upgrade": "any", "update": "any update"}.get(
            kind.where, "acts when armed"
        )
        if fields := kind.match.get("fields"):
            match = ", ".join(f"{name} {value}" for name, value in fields.items())
        args = "; ".join(f"`{name}` (`{_shown(arg.default)}`): {arg.what}" for name, arg in kind.args.items())
        lines.append(f"| `{kind.name}` | {kind.what} | {match} | {args.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) if value != "" else '""'
