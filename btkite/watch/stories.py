"""The story of one order, out of the events that were written down: by Kite's id, our ref or the tag."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..brokers.orders import whole_ref
from ..clock import SystemClock
from ..errors import ConfigError, DataError
from ..journal import Journal

EVENTS = "events.jsonl"
Event = dict[str, Any]
_NEAR = 5


@dataclass(slots=True)
class Story:
    """All that was written of one order. ``given`` is what explains it, empty if it came from an older format;
    ``ids`` are Kite's, one a placement, ``tags`` ours; ``events`` is everything, oldest first."""

    ref: int
    ids: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    given: Event = field(default_factory=dict)
    at: datetime | None = None
    strategy: Event = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Event]:
        """Its events of these kinds."""
        return [event for event in self.events if event["kind"] in kinds]

    @property
    def proposal(self) -> Event:
        """What was asked for: as the gate saw it, or, of an older journal, as it was sent."""
        if self.given.get("proposal"):
            return dict(self.given["proposal"])
        intents = self.of("intent")
        if not intents:
            return {}
        found = dict(intents[0]["proposal"])
        if isinstance(found["instrument"], Mapping):
            found["instrument"] = f"{found['instrument']['exchange']}:{found['instrument']['tradingsymbol']}"
        return found

    @property
    def symbol(self) -> str:
        return str(self.proposal.get("instrument", ""))

    @property
    def filled(self) -> int:
        return int(sum(event["quantity"] for event in self.of("fill")))

    @property
    def average(self) -> float:
        """₹ at which it was filled on average; 0 if it was not."""
        units = self.filled
        return sum(event["quantity"] * event["price"] for event in self.of("fill")) / units if units else 0.0

    @property
    def charges(self) -> float:
        """₹ in all."""
        return float(sum(event["charges"] for event in self.of("fill")))

    @property
    def slippage(self) -> tuple[float, float] | None:
        """₹ in all, and basis points, by which it traded worse than the last price that was known when it was given;
        negative for better. None without a fill or such a price."""
        asked = self.proposal
        reference, units = float(asked.get("reference_price") or 0.0), self.filled
        if not units or reference <= 0:
            return None
        worse = (self.average - reference) * (1 if asked["side"] == "BUY" else -1)
        return worse * units, worse / reference * 10_000

    @property
    def state(self) -> str:
        """How it stands, in a word or two."""
        ends = self.of("end")
        if self.of("denied") and not self.of("order"):
            return "denied"
        if ends and ends[-1]["how"] != "completed":
            return str(ends[-1]["how"])
        asked = int(self.proposal.get("quantity") or 0)
        changed = [event["quantity"] for event in self.of("change") if event.get("quantity")]
        wanted = int(changed[-1]) if changed else asked
        if self.filled and (ends or self.filled >= wanted):
            return "completed"
        return f"{self.filled} of {wanted} filled" if self.filled else "working"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        slipped = self.slippage
        return {
            "ref": self.ref,
            "order_ids": self.ids,
            "tags": self.tags,
            "symbol": self.symbol,
            "state": self.state,
            "given": self.at,
            "strategy": self.strategy,
            "explained": self.given,
            "filled": self.filled,
            "average_price": self.average,
            "charges": self.charges,
            "slippage": None if slipped is None else {"rupees": slipped[0], "bp": slipped[1]},
            "events": self.events,
        }


def events_of_journal(path: Path) -> list[Event]:
    """All events of an account's journal, which is only looked at.

    :raises DataError: if there is none.
    """
    if not path.exists():
        raise DataError(f"no journal lies at {path}: no paper or live run of this account has kept one")
    with Journal(path, SystemClock(), read_only=True) as journal:
        return [{"time": event.time, "kind": event.kind, **event.data} for event in journal.events(books=False)]


def events_of_run(folder: Path) -> list[Event]:
    """All events of a run that was saved.

    :raises ConfigError: if that is no run's folder, or one of an older btkite, which kept no events.
    """
    path = folder / EVENTS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return [{**row, "time": datetime.fromisoformat(row["time"])} for row in rows]
    except FileNotFoundError:
        raise ConfigError(f"{folder} holds no {EVENTS}: name the folder of a run that was saved") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def stories(events: Iterable[Event]) -> list[Story]:
    """An account's orders, in the order in which they were given. A ref that was given again (an account that began
    anew) begins another story."""
    found: list[Story] = []
    now: dict[int, Story] = {}
    strategies: dict[str, Event] = {}

    def story(ref: int) -> Story:
        if ref not in now:
            now[ref] = Story(ref)
            found.append(now[ref])
        return now[ref]

    for event in events:
        kind = event["kind"]
        if kind == "strategy":
            strategies[event["digest"]] = event
            continue
        told = event.get("orders")  # a number, where a restart says how many it has found
        rows = {row["ref"]: row for row in told if isinstance(row, Mapping)} if isinstance(told, list) else {}
        for ref in _refs(event):
            if kind in ("order", "denied") and ref in rows:
                now.pop(ref, None)
            one = story(ref)
            one.events.append({name: value for name, value in event.items() if name != "orders"})
            if ref in rows:
                one.given, one.at = dict(rows[ref]), event["time"]
                one.strategy = strategies.get(str(one.given.get("digest")), {})
            one.at = one.at or event["time"]
            for value, place in ((event.get("order_id"), one.ids), (_tag(event), one.tags)):
                if value and value not in place:
                    place.append(value)
    return found


def _refs(event: Event) -> list[int]:
    if "refs" in event:
        return [whole_ref(int(ref)) for ref in event["refs"]]
    if event["kind"] == "intent":
        return [whole_ref(int(event["proposal"]["ref"]))]
    if event["kind"] == "alert":  # its key ends with the ref that it is about
        last = str(event.get("key", "")).rpartition(" ")[2]
        return [whole_ref(int(last))] if last.removeprefix("-").isdigit() else []
    return [whole_ref(int(event["ref"]))] if event.get("ref") is not None else []


def _tag(event: Event) -> str:
    tag = event["proposal"].get("tag") if event["kind"] == "intent" else event.get("tag")
    return str(tag or "")


def find(known: Sequence[Story], name: str) -> Story:
    """The order that ``name`` means: Kite's id, a tag, or a ref (the newest, if several runs gave the same).

    :raises ConfigError: with suggestions, if there is none.
    """
    wanted = name.strip().lstrip("#")
    for story in reversed(known):
        if wanted in story.ids or wanted in story.tags:
            return story
    for story in reversed(known):
        if wanted == str(story.ref):
            return story
    ends = [story for story in known if any(text.endswith(wanted) for text in (*story.ids, *story.tags))]
    if len(ends) == 1 and len(wanted) >= _NEAR:
        return ends[0]
    names = [text for story in known for text in (*story.ids, *story.tags, str(story.ref))]
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.6)
    if not known:
        raise ConfigError(f"there is no order {name}: none was ever given here")
    hint = f"did you mean {', '.join(near)}?" if near else _newest(known)
    raise ConfigError(f"there is no order {name} here; {hint}")


def _newest(known: Sequence[Story]) -> str:
    last = known[-1]
    text = f"the newest is {last.ref}" + (f" ({last.ids[-1]})" if last.ids else "")
    return f"{text}, and `btkite orders list` lists them"
