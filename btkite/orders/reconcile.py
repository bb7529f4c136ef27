"""Whose is what: the journal's book against Kite's orders, trades, positions and holdings.

Pure: from what is known and what was read to what is to be done. The account holds what our orders brought in, and
what is others': theirs of before, and what they trade while we run. An execution of an order that is not ours is
*foreign*; what no order explains is a *gap*. The same reading twice asks for nothing the second time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..values import OrderUpdate, Position

Slot = tuple[str, str]
"""``EXCHANGE:TRADINGSYMBOL`` and product: products never net against each other."""

DELIVERED = ("CNC", "MTF")
"""Products whose positions become holdings: they cannot be sold short."""
OWN_TAG = 14
"""Characters at the end of a tag that are ours: a run's 8 and a number's 6. A strategy's own label is before them."""
RUN = 8


class Whose(StrEnum):
    """Whose an order of Kite's book is."""

    OURS = "ours"  # it is known here
    PAST = "past"  # of one of our runs, but over or forgotten here: its tag says so
    FOREIGN = "foreign"


def whose(update: OrderUpdate, ids: Collection[str], tags: Collection[str], runs: Collection[str]) -> Whose:
    """``ids`` and ``tags`` are those of orders known here, ``runs`` the names of all our runs."""
    tag = update.tag
    if update.order_id in ids or (tag and tag in tags):
        return Whose.OURS
    return Whose.PAST if len(tag) >= OWN_TAG and tag[-OWN_TAG:][:RUN] in runs else Whose.FOREIGN


def account_of(positions: Sequence[Position], holdings: Iterable[Mapping[str, Any]]) -> dict[Slot, int]:
    """Signed units of everything in the account.

    Shares of an earlier day are holdings; the day's purchases and sales of them are positions of product CNC (a sale
    is negative there, while the holding's row stays as it is until the night).
    """
    found: dict[Slot, int] = {}

    def add(key: str, product: str, quantity: int) -> None:
        found[key, product] = found.get((key, product), 0) + quantity

    for row in positions:
        add(f"{row.exchange}:{row.tradingsymbol}", row.product, row.quantity)
    for held in holdings:
        key = f"{held['exchange']}:{held['tradingsymbol']}"
        shares = sum(int(held.get(name) or 0) for name in ("quantity", "t1_quantity", "collateral_quantity"))
        add(key, "CNC", shares)
        add(key, "MTF", int((held.get("mtf") or {}).get("quantity") or 0))
    return found


def gaps(
    account: Mapping[Slot, int], ours: Mapping[Slot, int], others: Mapping[Slot, int], keys: Collection[str]
) -> dict[Slot, int]:
    """Signed units of the instruments ``keys`` that the account has and nobody's book explains."""
    slots = {slot for book in (account, ours, others) for slot in book if slot[0] in keys}
    found = {slot: account.get(slot, 0) - ours.get(slot, 0) - others.get(slot, 0) for slot in sorted(slots)}
    return {slot: units for slot, units in found.items() if units}


@dataclass(frozen=True, slots=True)
class Share:
    """How a change of the account is divided: signed units that our position follows, and the others'."""

    ours: int
    others: int


def divide(units: int, ours: int, others: int, product: str, *, follows: bool) -> Share:
    """``units`` (signed) of one slot were traded by somebody else, when we held ``ours`` and they ``others``.

    What closes the others' own position is theirs. The rest our position follows, if it is to; but delivered shares
    are never sold short, so what they sell beyond ours was not ours either.
    """
    if not follows:
        return Share(0, units)
    theirs = _towards_zero(units, others)
    mine = units - theirs
    if product in DELIVERED and mine < 0:
        mine = max(mine, -max(ours, 0))
    return Share(mine, units - mine)


def _towards_zero(units: int, held: int) -> int:
    """The part of ``units`` that closes ``held``."""
    if units * held >= 0:
        return 0
    return max(units, -held) if units < 0 else min(units, -held)


def closable(ours: int, before: int, since: int) -> tuple[int, int]:
    """Units that our exits may sell, and buy back, at most: an exit must not turn the account round.

    ``before`` is what others held when we first looked, ``since`` what they have traded since then and we did not
    follow. An exit may undo what we have done to the account, or reduce what the account holds; no more.
    """
    account, without = ours + before + since, ours + since
    sells = min(ours, max(account, without))
    buys = min(-ours, max(-account, -without))
    return max(0, sells), max(0, buys)


@dataclass(frozen=True, slots=True)
class Exit:
    """A working exit: orders of one ``slot`` (siblings) trade once together. ``given`` orders them by age."""

    ref: int
    slot: tuple[str, int]
    remaining: int
    given: int


def trim(exits: Iterable[Exit], most: int) -> dict[int, int]:
    """By ref, what may remain of each exit that must shrink, so that together they trade ``most`` units and no more;
    0: it must go. The oldest keep theirs."""
    slots: dict[tuple[str, int], list[Exit]] = {}
    for one in sorted(exits, key=lambda one: (one.given, one.ref)):
        slots.setdefault(one.slot, []).append(one)
    changed: dict[int, int] = {}
    for members in slots.values():
        for member in members:
            if member.remaining > most:
                changed[member.ref] = most
        most -= min(most, max(member.remaining for member in members))
    return changed


def attribute(gap: int, missing: Iterable[tuple[int, int]]) -> tuple[dict[int, int], int]:
    """Orders of ours that ended while we were away and that no book shows any more explain a gap: by ref, the
    units of each; and what is left of the gap. ``missing``: ref and signed units that were still open."""
    explained: dict[int, int] = {}
    for ref, open_units in missing:
        units = -_towards_zero(-gap, open_units) if gap * open_units > 0 else 0
        if units:
            explained[ref], gap = units, gap - units
    return explained, gap
