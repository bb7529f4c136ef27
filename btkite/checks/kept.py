"""Promises about what is left when the day's troubles are over: orders as they were last asked for, groups that are
whole, exits that are there, an account that is written down as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from ..brokers.orders import whole_ref
from .acts import KILL
from .evidence import OVER, RESTS, Evidence, Row, key_of, way_of
from .wished import Wish, siblings

_QUIET = timedelta(minutes=2, seconds=30)
"""Before the end: what came later may still be on its way, and what nobody knows takes 90 s to be decided."""
_PAISA = 0.01


def wanted_cancels(e: Evidence) -> Iterator[str]:
    """What the strategy cancelled works no more: a cancellation is sent again until it is answered."""
    wishes = e.wishes
    for row in e.known:
        wish = wishes.get(row["ref"])
        if wish is not None and wish.unwanted and row["alive"] and _was_long_ago(e, wish.last):
            yield f"order {row['ref']} was cancelled by the strategy before {wish.last}, and still works at the end"


def rests_as_asked(e: Evidence) -> Iterator[str]:
    """What rests at the exchange is as large and priced as the strategy last asked for, unless Kite refused that."""
    wishes, rests = e.wishes, {str(o["order_id"]): o for o in e.ours if o["status"] in RESTS}
    latest = [call for call in e.order_calls if not _was_long_ago(e, call["time"][:19])]
    for row in e.known:
        order, wish = rests.get(row["order_id"]), wishes.get(row["ref"])
        if order is None or wish is None or not row["there"] or not _was_long_ago(e, wish.last):
            continue
        if any(row["order_id"] in call["path"] for call in latest):
            continue
        left = int(order["quantity"]) - int(order["filled_quantity"])
        here = int(abs(row["size"]) - abs(row["filled"]))
        if left != here:
            yield f"order {row['ref']} has {left} left at the exchange, and {here} here"
        if wish.last in e.begun:
            continue  # killed before the change left: what Kite has is the order
        if row["failed"] or wish.type in ("StopTrail", "StopTrailLimit", "Market"):
            continue
        last = Wish(wish.first, wish.prices[-1:])
        if order["status"] == "TRIGGER PENDING" and not last.price_fits(float(order["trigger_price"]), 0):
            yield f"order {row['ref']} waits for {order['trigger_price']}, and was to wait for {wish.prices[-1][0]}"
        if wish.type == "Limit" and not last.price_fits(float(order["price"]), 0):
            yield f"order {row['ref']} rests at {order['price']}, and was to rest at {wish.prices[-1][0]}"
        alone = row["ref"] not in e.families and not any(e.foreign)
        if alone and abs(row["size"]) != wish.sizes[-1]:
            yield f"order {row['ref']} is of {abs(row['size']):g}, and was to be of {wish.sizes[-1]}"


def pairs_end_together(e: Evidence) -> Iterator[str]:
    """Of orders of which one is to trade, no other rests once one has."""
    wishes = e.wishes
    groups = siblings({ref: wish for ref, wish in wishes.items() if not wish.first["parent"]})
    by_ref: dict[int, list[Row]] = {}
    for row in e.log:
        by_ref.setdefault(_ref(e, row), []).append(row)
    for group in {tuple(sorted(group)) for group in groups.values()}:
        rows = [row for ref in group for row in by_ref.get(ref, ())]
        first = min((row["order_timestamp"] for row in rows if int(row["filled_quantity"])), default=None)
        if first is None or not _was_long_ago(e, first):
            continue
        traded = {_ref(e, row) for row in rows if int(row["filled_quantity"])}
        last = {str(row["order_id"]): row for row in rows}
        rest = [one for one in last.values() if one["status"] in RESTS and _ref(e, one) not in traded]
        for one in rest:
            yield f"order {one['order_id']} still rests, and another of its group ({group}) has traded at {first}"


def entries_have_exits(e: Evidence) -> Iterator[str]:
    """What a bracket's entry has filled, and no exit has given back, has exits that rest, unless they were cancelled,
    lapsed, or were refused."""
    wishes = e.wishes
    held, resting = _account(e), _resting(e)
    for parent, children in _brackets(wishes).items():
        ref_rows = [order for order in e.ours if _ref(e, order) == parent]
        refs = {parent, *children}
        filled = sum(int(order["filled_quantity"]) for order in ref_rows)
        when = max((str(order["order_timestamp"]) for order in ref_rows), default="")
        mine = [order for order in e.ours if _ref(e, order) in children]
        left = filled - sum(int(order["filled_quantity"]) for order in mine)
        if left <= 0 or not _was_long_ago(e, when) or any(wishes[ref].unwanted for ref in refs if ref in wishes):
            continue
        known = {row["ref"]: row for row in e.known}
        if any(known[ref]["status"] in ("Rejected", "Margin", "Expired") for ref in children if ref in known):
            continue
        wish = wishes[parent].first
        if _others_gave_back(e, wish, {str(order["order_id"]) for order in mine}):
            continue
        way = 1 if wish["side"] == "BUY" else -1
        needed = min(left, way * held.get(wish["key"], 0))
        offered = max((_left(order) for order in mine if order["status"] in RESTS), default=0)
        anything = sum(n for order, n in resting if key_of(order) == wish["key"] and way_of(order) == -way)
        if needed > offered and needed > anything and not e.acted(KILL):
            yield f"the entry {parent} has filled {filled}, {needed} of it are still held, and exits rest for {offered}"


def kill_leaves_exits(e: Evidence) -> Iterator[str]:
    """The kill switch without flattening takes no exit from a position that is held."""
    kill = next((act for act in e.scenario.acts if act.what == KILL and not act.fields.get("flatten")), None)
    if kill is None or e.day.killed_at is None:
        return
    wishes, groups = e.wishes, e.families
    moment = str(kill.at)
    before: dict[str, Row] = {}
    traded: set[str] = set()
    for row in e.log:
        if str(row["order_timestamp"]) <= moment:
            before[str(row["order_id"])] = row
        elif int(row["filled_quantity"]) > int(before.get(str(row["order_id"]), {}).get("filled_quantity", 0)):
            traded.add(key_of(row))
    held = _account(e)
    for order in e.ours:
        was, ref = before.get(str(order["order_id"])), _ref(e, order)
        intent = e.intents.get(str(order.get("tag") or ""), {})
        if was is None or was["status"] not in RESTS or order["status"] not in OVER or key_of(order) in traded:
            continue
        family = groups.get(ref, {ref})
        asked_for = [wishes[one] for one in family if one in wishes]
        if not asked_for or any(one.unwanted or one.first["valid"] for one in asked_for):
            continue
        covers = -way_of(order) * held.get(key_of(order), 0) >= _left(was)
        if covers and intent.get("reduces") and order["status"] != "COMPLETE":
            others = any(_ref(e, one) in family and one["status"] in RESTS for one in e.ours)
            if not others:
                ended = f"the exit {order['order_id']} ended as {order['status']}"
                yield f"{ended} after the kill switch, and {held} is held"


def flattened(e: Evidence) -> Iterator[str]:
    """After the kill switch with flattening nothing is held and nothing rests."""
    kill = next((act for act in e.scenario.acts if act.what == KILL and act.fields.get("flatten")), None)
    if kill is None or e.day.killed_at is None or not _was_long_ago(e, str(kill.at)):
        return
    if e.wanted:
        yield f"after the kill switch with flattening {e.wanted} is held"
    for order, left in _resting(e):
        yield f"after the kill switch with flattening order {order['order_id']} rests with {left}"


def exits_fit_the_account(e: Evidence) -> Iterator[str]:
    """When others have traded, no exit that rests would turn the account round."""
    wishes = e.wishes
    size: dict[tuple[str, str], int] = {}
    done: dict[str, int] = {}
    last: dict[tuple[str, str], tuple[bool, str]] = {}
    placed: dict[str, tuple[str, int]] = {}
    for row in e.log:
        slot, order_id = (key_of(row), str(row["product"])), str(row["order_id"])
        more = int(row["filled_quantity"]) - done.get(order_id, 0)
        if more > 0:
            done[order_id] = int(row["filled_quantity"])
            size[slot] = size.get(slot, 0) + way_of(row) * more
            last[slot] = order_id in e.day.by_hand, str(row["order_timestamp"])
        elif row["status"] in RESTS and order_id not in placed:
            placed[order_id] = str(row["order_timestamp"]), size.get(slot, 0)
    for order, left in _resting(e):
        slot = key_of(order), str(order["product"])
        foreign, when = last.get(slot, (False, ""))
        intent = e.intents.get(str(order.get("tag") or ""), {})
        wish = wishes.get(_ref(e, order))
        at, then = placed.get(str(order["order_id"]), ("", 0))
        if not foreign or at >= when or not intent.get("reduces") or not _was_long_ago(e, when):
            continue
        if wish is None or wish.last >= when:
            continue
        covers, covered = -way_of(order) * size.get(slot, 0), -way_of(order) * then
        if left > max(0, covers) and left <= covered:
            yield f"others have traded at {when}: {covers} are left, and the exit {order['order_id']} rests with {left}"


def written_down(e: Evidence) -> Iterator[str]:
    """The account in the journal is the one that the run ended with."""
    book = e.day.book
    if book is None or not e.day.end:
        return
    held = {key: int(row["size"]) for key, row in book["positions"].items() if row["size"]}
    if held != e.held:
        yield f"the journal's account holds {held}, and the run ended with {e.held}"
    here = {row["ref"] for row in e.known if row["alive"] and row["ref"] > 0}
    there = {row["ref"] for row in book["orders"] if row["ref"] > 0 and row.get("over") is None}
    if here != there:
        yield f"the orders {sorted(there)} live in the journal's account, and {sorted(here)} at the run's end"


def strategy_is_told(e: Evidence) -> Iterator[str]:
    """The strategy hears of each execution once, with Kite's price."""
    if e.day.deaths:  # what was booked right before a death is told by the order that comes back
        return
    units: dict[int, int] = {}
    value: dict[int, float] = {}
    for event in e.day.events:
        if event.kind == "fill" and int(event.data["ref"]) > 0:
            ref, more = int(event.data["ref"]), int(event.data["quantity"])
            units[ref] = units.get(ref, 0) + more
            value[ref] = value.get(ref, 0.0) + more * float(event.data["price"])
    last = {line["ref"]: line for line in e.day.told if line["filled"]}
    for ref, line in sorted(last.items()):
        if line["adopted"] or not line["given"]:
            continue
        if abs(line["filled"]) != units.get(ref, 0):
            yield f"order {ref} was told as filled {abs(line['filled']):g}, and {units.get(ref, 0)} are booked"
        elif abs(line["price"] - value[ref] / units[ref]) > _PAISA:
            yield f"order {ref} was told as filled at {line['price']}, and is booked at {value[ref] / units[ref]:.2f}"
    for ref in sorted(units.keys() - last.keys()):
        if ref in e.wishes:
            yield f"{units[ref]} of order {ref} are booked, and the strategy was not told"


def _others_gave_back(e: Evidence, entry: Row, exits: set[str]) -> bool:
    """Whether something else than its own exits, or somebody else, traded against an entry."""
    return any(
        key_of(order) == entry["key"]
        and int(order["filled_quantity"])
        and (order in e.foreign or (order["transaction_type"] != entry["side"] and str(order["order_id"]) not in exits))
        for order in e.day.orders
    )


def _brackets(wishes: Mapping[int, Wish]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for ref, wish in wishes.items():
        if wish.first["parent"] in wishes:
            found.setdefault(int(wish.first["parent"]), set()).add(ref)
    return found


def _resting(e: Evidence) -> list[tuple[Row, int]]:
    return [(order, _left(order)) for order in e.ours if order["status"] in RESTS]


def _left(order: Row) -> int:
    return int(order["quantity"]) - int(order["filled_quantity"])


def _account(e: Evidence) -> dict[str, int]:
    """What the account holds of the run's product."""
    found: dict[str, int] = {}
    for row in e.day.positions:
        if row["product"] == e.scenario.product:
            found[key_of(row)] = found.get(key_of(row), 0) + int(row["quantity"])
    return found


def _ref(e: Evidence, row: Row) -> int:
    return whole_ref(int(e.intents.get(str(row.get("tag") or ""), {}).get("ref", 0)))


def _was_long_ago(e: Evidence, moment: str) -> bool:
    return bool(moment) and datetime.fromisoformat(moment) < e.over - _QUIET
