"""What the exchange and the journal say of a day, arranged for a judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from ..brokers.orders import whole_ref
from .lives import Day
from .scenario import TAIL, Scenario
from .wished import Wish, gathered, siblings

Row = Mapping[str, Any]
OVER = ("COMPLETE", "CANCELLED", "CANCELLED AMO", "REJECTED")
RESTS = ("OPEN", "TRIGGER PENDING")
_WRITES = ("POST", "PUT", "DELETE")


def key_of(row: Row) -> str:
    """``NSE:INFY`` of an order, a trade or a position."""
    return f"{row['exchange']}:{row['tradingsymbol']}"


def way_of(row: Row) -> int:
    return 1 if row["transaction_type"] == "BUY" else -1


@dataclass(frozen=True)
class Evidence:
    """One day, and what was meant to go wrong in it."""

    scenario: Scenario
    day: Day

    # -- the exchange's book --------------------------------------------------------------------------

    @cached_property
    def ours(self) -> list[Row]:
        """Orders that came by the API."""
        return [order for order in self.day.orders if str(order["order_id"]) not in self.day.by_hand]

    @cached_property
    def foreign(self) -> list[Row]:
        """Orders that somebody gave by hand."""
        return [order for order in self.day.orders if str(order["order_id"]) in self.day.by_hand]

    @cached_property
    def log(self) -> list[Row]:
        """Every state of every order, in the order in which the exchange wrote them down."""
        rows = [
            (rank, row) for order in self.day.orders for rank, row in zip(order["ranks"], order["history"], strict=True)
        ]
        return [row for _, row in sorted(rows, key=lambda pair: pair[0])]

    def followed(self, row: Row) -> bool:
        """Whether what this order trades is the run's: it is ours, or the run follows what others do."""
        if str(row["order_id"]) not in self.day.by_hand:
            return True
        return self.scenario.policy != "ignore" and row["product"] == self.scenario.product

    @cached_property
    def wanted(self) -> dict[str, int]:
        """Units (signed) that the run should hold at the end."""
        if self.scenario.policy != "ignore":
            rows = [row for row in self.day.positions if row["product"] == self.scenario.product]
            pairs = [(key_of(row), int(row["quantity"])) for row in rows]
        else:
            pairs = [(key_of(order), way_of(order) * int(order["filled_quantity"])) for order in self.ours]
        held: dict[str, int] = {}
        for key, units in pairs:
            held[key] = held.get(key, 0) + units
        return {key: units for key, units in held.items() if units}

    @cached_property
    def placements(self) -> list[Row]:
        """Every placement that came to the exchange's door, also those that it turned away or lost."""
        return [row for row in self.day.requests if row["method"] == "POST" and row["path"].startswith("/orders/")]

    @cached_property
    def order_calls(self) -> list[Row]:
        """Placements, changes and cancellations."""
        return [row for row in self.day.requests if row["method"] in _WRITES and row["path"].startswith("/orders/")]

    # -- btkite's own words ---------------------------------------------------------------------------

    @cached_property
    def intents(self) -> dict[str, Row]:
        """What the journal announced, by tag; of one that was sent anew the first."""
        found: dict[str, Row] = {}
        parents = {int(row["ref"]): int(row["parent"]) for row in self.day.wishes if row["what"] == "give"}
        for event in self.day.events:
            if event.kind == "intent":
                row = event.data["proposal"]
                if int(row["ref"]) < 0:  # a slice protects what its order does
                    row = {**row, "parent": parents.get(whole_ref(int(row["ref"])), row["parent"])}
                found.setdefault(str(row["tag"]), row)
        return found

    @cached_property
    def wishes(self) -> dict[int, Wish]:
        """What the strategy asked for, by ref."""
        return gathered(self.day.wishes, self.day.bars)

    @cached_property
    def families(self) -> dict[int, set[int]]:
        """Orders of which one may stand for another."""
        return siblings(self.wishes)

    def wish_of(self, call: Row) -> Wish | None:
        """What the strategy had asked for of the order that a change or a cancellation is about."""
        tag = self._tag_of.get(call["path"].rpartition("/")[2], "")
        return self.wishes.get(whole_ref(int(self.intents.get(tag, {}).get("ref", 0))))

    @cached_property
    def _tag_of(self) -> dict[str, str]:
        return {str(order["order_id"]): str(order.get("tag") or "") for order in self.ours}

    @cached_property
    def half_heard(self) -> set[int]:
        """Orders that were given together with one of which the strategy, killed in the midst, left no word."""
        given = [event.data["refs"] for event in self.day.events if event.kind == "order"]
        return {ref for refs in given for ref in refs if len(refs) > 1 and not self.wishes.keys() >= set(refs)}

    @cached_property
    def begun(self) -> set[str]:
        """When a life began after a death: the market had waited for it."""
        return {str(event.time.replace(microsecond=0)) for event in self.day.events if event.kind == "began"}

    @cached_property
    def midway(self) -> set[int]:
        """Orders that the strategy gave between two bars."""
        moments = {bar["at"] for bar in self.day.bars}
        return {int(row["ref"]) for row in self.day.wishes if row["what"] == "give" and row["now"] not in moments}

    @cached_property
    def latest(self) -> set[int]:
        """Orders that were given with the last bar: the market ended before all could leave."""
        last = max((bar["at"] for bar in self.day.bars), default="")
        return {int(row["ref"]) for row in self.day.wishes if row["what"] == "give" and row["now"] >= last}

    @cached_property
    def known(self) -> list[Row]:
        """The orders that the broker knew at the end."""
        return list(self.day.end.get("orders", ()))

    @cached_property
    def held(self) -> dict[str, int]:
        """The strategy's position at the end."""
        return {key: int(size) for key, (size, _) in self.day.end.get("position", {}).items()}

    @cached_property
    def uncertain(self) -> bool:
        """Whether an order was in doubt at any time."""
        return any(event.kind == "uncertain" for event in self.day.events)

    # -- what happened ----------------------------------------------------------------------------------

    @cached_property
    def fired(self) -> dict[str, int]:
        """How often faults of each kind acted."""
        found: dict[str, int] = {}
        for row in self.day.state.get("faults", ()):
            if row.get("fired"):
                found[row["kind"]] = found.get(row["kind"], 0) + int(row["fired"])
        return found

    def happened(self, *kinds: str) -> bool:
        """Whether one of these faults acted."""
        return any(self.fired.get(kind) for kind in kinds)

    def acted(self, what: str) -> bool:
        """Whether somebody was to do this."""
        return any(act.what == what for act in self.scenario.acts)

    @property
    def over(self) -> datetime:
        """The end of the last bar."""
        return self.scenario.ends + timedelta(minutes=TAIL)

    def moments(self) -> Iterator[datetime]:
        """The ends of the bars that the strategy saw."""
        return (datetime.fromisoformat(bar["at"]) for bar in self.day.bars)
