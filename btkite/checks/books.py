"""Promises about what stands on the exchange's book at one time, held against each of its events."""

from __future__ import annotations

from collections.abc import Iterator

from ..brokers.orders import whole_ref
from .evidence import OVER, RESTS, Evidence, Row, key_of, way_of


def one_placement_at_a_time(e: Evidence) -> Iterator[str]:
    """An order of the strategy's works under one id at a time, whatever its tags."""
    living: dict[int, set[str]] = {}
    said: set[int] = set()
    for row in e.log:
        ref = _ref(e, row)
        if not ref:
            continue
        ids = living.setdefault(ref, set())
        if row["status"] in OVER:
            ids.discard(str(row["order_id"]))
        else:
            ids.add(str(row["order_id"]))
        if len(ids) > 1 and ref not in said:
            said.add(ref)
            yield f"order {ref} works twice at the exchange: {' and '.join(sorted(ids))}"


def exits_of_brackets(e: Evidence) -> Iterator[str]:
    """A bracket's exits offer no more than its entry has filled, less what they have given back.

    Where both stand at Kite (``groups.exits: two``), each by itself: when one trades, the other is still to go.
    """
    alone = e.scenario.keys.get("groups.exits") == "one"
    filled: dict[int, int] = {}
    entries: dict[int, dict[str, int]] = {}
    exits: dict[int, dict[str, Row]] = {}
    said: set[int] = set()
    for row in e.log:
        intent = e.intents.get(str(row.get("tag") or ""))
        if intent is None:
            continue
        parent = int(intent["parent"])
        if not parent:
            ref = whole_ref(int(intent["ref"]))
            entries.setdefault(ref, {})[str(row["order_id"])] = int(row["filled_quantity"])
            filled[ref] = sum(entries[ref].values())
            continue
        mine = exits.setdefault(parent, {})
        mine[str(row["order_id"])] = row
        if parent not in said and parent in filled:
            one = alone and int(intent["ref"]) > 0  # slices stand for no others
            counted = list(mine.values()) if one else [row]
            sold = sum(int(one["filled_quantity"]) for one in counted)
            offered = sum(map(_rests, counted))
            if offered > max(0, filled[parent] - sold):
                said.add(parent)
                yield (
                    f"the exits of order {parent} offer {offered} at {row['order_timestamp']}, when {filled[parent]} "
                    f"were filled and {sold} given back"
                )


def no_reversal(e: Evidence) -> Iterator[str]:
    """What was sent to reduce does not turn the position round, unless the position was changed behind its back: by
    another order that may trade on its side, or by others. (A bracket's exits belong to their entry.)"""
    size: dict[str, int] = {}
    spoilt: dict[str, set[str]] = {}
    working: dict[str, Row] = {}
    done: dict[str, int] = {}
    for row in filter(e.followed, e.log):
        key, order_id = key_of(row), str(row["order_id"])
        more = int(row["filled_quantity"]) - done.get(order_id, 0)
        intent = e.intents.get(str(row.get("tag") or ""))
        exits = bool(intent and intent["reduces"] and not intent["parent"])
        if intent and int(row["quantity"]) > int(intent["quantity"]):
            exits = False  # the strategy made it larger
        if row["status"] in OVER:
            working.pop(order_id, None)
        else:
            working[order_id] = row
        if more <= 0:
            continue
        done[order_id] = int(row["filled_quantity"])
        before = size.get(key, 0)
        after = size[key] = before + way_of(row) * more
        if exits and abs(after) > abs(before) - more and order_id not in spoilt.get(key, set()):
            yield f"the exit {order_id} traded {more} {key} with {before:+} held: {after:+} are left"
        for other, one in working.items():  # what rests on the same side was right for another position
            if other != order_id and key_of(one) == key and (not exits or way_of(one) == way_of(row)):
                spoilt.setdefault(key, set()).add(other)


def _rests(row: Row) -> int:
    return int(row["quantity"]) - int(row["filled_quantity"]) if row["status"] in RESTS else 0


def _ref(e: Evidence, row: Row) -> int:
    intent = e.intents.get(str(row.get("tag") or ""))
    return int(intent["ref"]) if intent is not None else 0
