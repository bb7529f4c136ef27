"""One order's story as text: what was seen, who decided, what the rules said, what was sent, what came of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ..kite.forms import PROTECTED
from ..report.table import inr, number
from ..risk.verdicts import figure
from .stories import Event, Story

_WIDTH = 96
_INDENT = 12
_PARTS = {
    "brokerage": "brokerage",
    "transaction_tax": "STT/CTT",
    "exchange": "exchange",
    "sebi": "SEBI",
    "stamp": "stamp duty",
    "gst": "GST",
}
"""The names under which charges are known; IPFT is part of the exchange's."""


def explained(story: Story) -> Iterator[str]:
    """Line by line."""
    asked = story.proposal
    head = f"order {story.ref} · {_what(story)} · {story.state}"
    yield head + (f" at {inr(story.average)}" if story.filled else "")
    names = [f"Kite {text}" for text in story.ids] + [f"tag {text}" for text in story.tags]
    if names:
        yield from _row("known as", ", ".join(names))
    yield from _row("given", f"{story.at:%Y-%m-%d %H:%M:%S}" if story.at is not None else "–")
    yield from _decision(story)
    if story.given.get("sizing"):
        yield from _row("sized by", _sizing(story.given["sizing"]))
    elif story.given:
        yield from _row("sized by", "the strategy itself, or what it belongs to (no sizer was asked)")
    if story.given.get("asked_size"):
        yield from _row("", f"{story.given['asked_size']:g} was asked for; exchanges trade whole units")
    yield from _judged(story)
    if asked:
        yield from _row("asked", _proposal(asked, story.given))
    yield from _course(story)
    yield from _outcome(story)


def _what(story: Story) -> str:
    asked = story.proposal
    if not asked:
        return "nothing was written down when it was given"
    kind = story.given.get("exectype") or asked["order_type"]
    price = story.given.get("price") if kind not in ("Market", "Close") else None
    return f"{asked['side']} {number(asked['quantity'], 0)} {asked['instrument']} {kind}" + (
        f" {inr(price)}" if price else ""
    )


def _decision(story: Story) -> Iterator[str]:
    for place, bar in enumerate(story.given.get("bars", ())):
        yield from _row("bar seen" if not place else "", _bar(bar))
    inputs = story.given.get("inputs")
    if inputs:
        yield from _row("inputs", ", ".join(f"{name} {_value(value)}" for name, value in inputs.items()))
    if story.given.get("because"):
        yield from _row("decided by", f"btkite: {story.given['because']}")
        return
    if story.given.get("strategy") and not story.given.get("flattens"):
        params = ", ".join(f"{name}={value}" for name, value in story.strategy.get("params", {}).items())
        digest = story.given.get("digest", "")
        yield from _row("decided by", f"{story.given['strategy']}({params}) [{digest}]")
    elif story.given.get("flattens"):
        yield from _row(
            "decided by", f"btkite: it closes what order {story.given['flattens']} has left without an exit"
        )
    parent, group = story.proposal.get("parent"), story.proposal.get("group")
    if parent:
        yield from _row("belongs to", f"the bracket of order {parent}: it works once that has filled")
    if group:
        yield from _row("belongs to", f"the orders that cancel one another around order {group}")


def _bar(bar: Mapping[str, Any]) -> str:
    if "end" not in bar:
        return f"{bar['symbol']} {bar['interval']}: none yet"
    prices = " ".join(f"{name[0].upper()} {number(bar.get(name))}" for name in ("open", "high", "low", "close"))
    end = _moment(bar["end"])
    return (
        f"{bar['symbol']} {bar['interval']} to {end}: {prices} volume {number(bar.get('volume'), 0)} "
        f"(number {number(bar['length'], 0)})"
    )


def _value(value: float | None) -> str:
    """Of an indicator: any size of number, and none while it warms up."""
    return "–" if value is None else f"{value:.6g}"


def _sizing(note: Mapping[str, Any]) -> str:
    params = ", ".join(f"{name}={value}" for name, value in note["params"].items())
    return (
        f"{note['sizer']}({params}): cash {inr(note['cash'])}, value {inr(note['value'])}, price {inr(note['price'])}, "
        f"held {number(note['held'], 0)} → {number(note['size'], 0)}"
    )


def _judged(story: Story) -> Iterator[str]:
    denials = story.of("denied")
    reduces = story.proposal.get("reduces")
    verdicts = story.given.get("verdicts", ())
    if verdicts and reduces:
        yield from _row("rules", "it reduces the position, which no limit stands against")
    label = "rules"
    for row in verdicts if not reduces else [row for row in verdicts if row["reason"]]:
        yield from _row(label, _verdict(row))
        label = ""
    for event in denials:
        key = f" ({event['key']})" if event.get("key") else ""
        yield from _row("denied", f"{event['time']:%H:%M:%S} {event['rule']}: {event['reason']}{key}")


def _verdict(row: Mapping[str, Any]) -> str:
    mark = "✗" if row["reason"] else "✓"
    if row["value"] is None:
        return f"{mark} {row['title']}" + (f": {row['reason']}" if row["reason"] else "")
    unit = row.get("unit", "" if row["rule"] == "MaxDailyTrades" else "₹")  # an older journal does not say
    value, limit = (figure(row[name], unit) for name in ("value", "limit"))
    return f"{mark} {row['title']}: {value} of {limit}"


def _proposal(asked: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    parts = [f"{asked['order_type']} {asked['product']} {asked['variety']} {asked['validity']}"]
    if asked.get("price"):
        parts.append(f"price {inr(asked['price'])}")
    if asked.get("trigger_price"):
        parts.append(f"trigger {inr(asked['trigger_price'])}")
    if asked.get("reference_price"):
        parts.append(f"last price known {inr(asked['reference_price'])}")
    if asked["order_type"] in PROTECTED and asked.get("market_protection") is not None:
        parts.append(f"market protection {asked['market_protection']:g}")
    if given.get("valid"):
        parts.append(f"good till {_moment(given['valid'])}")
    return ", ".join(parts)


def _course(story: Story) -> Iterator[str]:
    label = "course"
    for event in story.events:
        text = _happened(event)
        if text:
            yield from _row(label, f"{event['time']:%H:%M:%S.%f}"[:-3] + f"  {text}")
            label = ""


_SILENT = {"order", "denied", "intent"}
_OF_ALL = {"time", "kind", "ref", "refs", "verdicts"}


def _happened(event: Event) -> str:
    kind = event["kind"]
    if kind in _SILENT:
        return ""
    told = _TOLD.get(kind)
    if told is not None:
        return told(event)
    facts = {name: value for name, value in event.items() if name not in _OF_ALL and value not in (None, "", [], {})}
    return f"{kind} {', '.join(f'{name}={value}' for name, value in facts.items())}".strip()


def _sent(event: Event) -> str:
    fields = ", ".join(f"{name}={value}" for name, value in event.get("fields", {}).items())
    return f"→ {event['action']} {event.get('order_id') or ''} {fields}".replace("  ", " ").rstrip()


def _replied(event: Event) -> str:
    said = event["error"] or f"order_id {event['order_id']}"
    return f"← {event['action']}: {said}"


def _updated(event: Event) -> str:
    parts = [f"← {event['source']}: {event['status']}"]
    if event.get("filled"):
        parts.append(f"{number(event['filled'], 0)} of {number(event['quantity'], 0)} at {inr(event['average_price'])}")
    if event.get("message"):
        parts.append(event["message"])
    if event.get("exchange_time"):
        parts.append(f"exchange {_moment(event['exchange_time'])}")
    return ", ".join(parts)


def _filled(event: Event) -> str:
    what = f"{number(event['quantity'], 0)} at {inr(event['price'])}"
    return f"filled {what}, exchange {_moment(event['at'])}, charges {inr(event['charges'])}"


def _placed(event: Event) -> str:
    return f"Kite has it as {event['order_id']}" + (", found by its tag" if event.get("looked_up") else "")


_TOLD = {
    "sending": _sent,
    "reply": _replied,
    "update": _updated,
    "fill": _filled,
    "placed": _placed,
    "uncertain": lambda event: f"uncertain, it is looked up by its tag: {event['reason']}",
    "adopted": lambda event: f"adopted: {event['reason']}",
    "widened": lambda event: (
        f"rested at {event['before']:g}, moved to {event['price']:g} (last price {event['last']:g})"
    ),
    "alert": lambda event: f"{event['level']}: {event['text']}",
    "swap": lambda event: (
        f"what rests at Kite as {event['order_id']} stands for order {event['ref']} from here on, no more for "
        f"order {event['of']}"
    ),
    "restored": lambda event: "btkite started again, and the order was there still",
    "held": lambda event: f"held until {_moment(event['until'])}",
    "end": lambda event: f"ended: {event['how']}" + (f", {event['reason']}" if event.get("reason") else ""),
    "change": lambda event: (
        "changed"
        + (f" to {number(event['quantity'], 0)}" if event.get("quantity") else "")
        + (f" at {inr(event['price'])}" if event.get("price") else "")
    ),
}


def _outcome(story: Story) -> Iterator[str]:
    if not story.filled:
        return
    yield from _row("filled", f"{number(story.filled, 0)} at {inr(story.average)} on average")
    slipped = story.slippage
    if slipped is not None:
        word = "worse" if slipped[0] > 0 else "better"
        reference = inr(story.proposal["reference_price"])
        size = "none" if not slipped[0] else f"{inr(abs(slipped[0]))}, {abs(slipped[1]):.1f} bp {word}"
        yield from _row("slippage", f"{size} than the {reference} known when it was given" if slipped[0] else size)
    parts = story.of("fill")[-1].get("of_it") or {}
    named = ", ".join(f"{word} {inr(parts[name])}" for name, word in _PARTS.items() if parts.get(name))
    yield from _row("charges", inr(story.charges) + (f": {named}" if named else ""))


def _moment(text: Any) -> str:
    moment = text if isinstance(text, datetime) else datetime.fromisoformat(str(text))
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _row(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=f"{label:<{_INDENT}}", subsequent_indent=" " * (_INDENT + 2),
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
