"""What a storm reached: the states of orders and accounts in which adapters go wrong, counted, so that a promise that
was kept is known to have been asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .acts import KILL
from .evidence import RESTS, Evidence, key_of, way_of

Count = Callable[[Evidence], int]


def _kinds(*types: str) -> Count:
    return lambda e: sum(wish.type in types for wish in e.wishes.values())


def _journal(*kinds: str) -> Count:
    return lambda e: sum(event.kind in kinds for event in e.day.events)


def _partial(e: Evidence) -> int:
    return sum(row["status"] in RESTS and 0 < int(row["filled_quantity"]) < int(row["quantity"]) for row in e.log)


def _calls(method: str) -> Count:
    return lambda e: sum(row["method"] == method for row in e.order_calls)


def _bursts(e: Evidence) -> int:
    """Seconds in which as much was to leave as Kite takes."""
    seconds: dict[str, int] = {}
    for row in e.order_calls:
        seconds[str(row["time"])] = seconds.get(str(row["time"]), 0) + 1
    return sum(count >= 8 for count in seconds.values())


def _shorts(e: Evidence) -> int:
    held: dict[str, int] = {}
    found = 0
    for row in e.day.trades:
        before = held.get(key_of(row), 0)
        held[key_of(row)] = before + way_of(row) * int(row["quantity"])
        found += held[key_of(row)] < 0 <= before
    return found


def _doubt_and_death(e: Evidence) -> int:
    """Deaths with an order whose fate nobody knew."""
    lost = [row for row in e.placements if row["fault"] and row["status"] != 429]
    ends = list(e.day.began[1:])
    return sum(any(row["seq"] <= end and end - row["seq"] < 12 for row in lost) for end in ends)


def _midway(e: Evidence) -> int:
    return len(e.midway)


def _most_changed(e: Evidence) -> int:
    """Orders that were changed until they were placed anew."""
    return sum(event.kind == "replace" for event in e.day.events)


def _holes(e: Evidence) -> int:
    return sum(bool(bar["repaired"]) for bar in e.day.bars)


def _too_late(e: Evidence) -> int:
    """Changes and cancellations that what had happened meanwhile made void."""
    return sum(row["method"] != "POST" and row["status"] == 400 and not row["fault"] for row in e.order_calls)


REACHED: Mapping[str, Count] = {
    "partial fills": _partial,
    "brackets": lambda e: len({wish.first["parent"] for wish in e.wishes.values() if wish.first["parent"]}),
    "pairs of which one trades": lambda e: sum(bool(wish.first["oco"]) for wish in e.wishes.values()),
    "exits that stand for each other": _journal("swap"),
    "trailing stops": _kinds("StopTrail", "StopTrailLimit"),
    "orders in slices": lambda e: len({row["ref"] for row in e.intents.values() if int(row["ref"]) < 0}),
    "given between two bars": _midway,
    "changes": _calls("PUT"),
    "cancellations": _calls("DELETE"),
    "changed until placed anew": _most_changed,
    "bursts of eight calls and more": _bursts,
    "siblings that were to end": lambda e: len({min(group) for group in e.families.values()}),
    "changes that came too late": _too_late,
    "answers in doubt": _journal("uncertain"),
    "deaths": lambda e: len(e.day.deaths),
    "deaths in doubt": _doubt_and_death,
    "orders of others": lambda e: len(e.foreign),
    "holdings of others": lambda e: bool(e.scenario.settings.get("holdings")),
    "kill": lambda e: e.acted(KILL) and e.day.killed_at is not None,
    "kill and flatten": lambda e: any(act.what == KILL and act.fields.get("flatten") for act in e.scenario.acts),
    "dead token met by an order": lambda e: sum(
        row["status"] == 403 and "token_exception" in str(row["fault"]) for row in e.order_calls
    ),
    "repaired bars": _holes,
    "shorts": _shorts,
    "MIS": lambda e: e.scenario.product == "MIS",
    "CNC": lambda e: e.scenario.product == "CNC",
    "NRML": lambda e: e.scenario.product == "NRML",
}
"""In the order in which they are told; each how often, or whether, a day came to it."""


def reached(e: Evidence) -> dict[str, int]:
    """How often a day came to each."""
    return {name: int(count(e)) for name, count in REACHED.items()}
