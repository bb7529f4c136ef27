"""What explains an order: the bar it was decided on, what the strategy's indicators showed, who decided with which
parameters, how its size came about, what the rules said. Gathered while orders are written down, and not otherwise."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import backtrader as bt

from ..linetime import from_seconds, seconds_of

_BARS = 8
"""Feeds of a strategy of which each order notes the bar; of a strategy with more, only its own."""
_INPUTS = 24
"""Values of indicators that each order notes, at most."""
_PLAIN = (str, int, float, bool)


def bar_of(data: Any) -> dict[str, Any]:
    """The bar of ``data`` that the strategy has just seen; ``length`` is how many it has seen in all."""
    name = data.instrument.key if getattr(data, "instrument", None) is not None else data._name
    found: dict[str, Any] = {"symbol": name, "interval": str(getattr(data, "interval", "")), "length": len(data)}
    if len(data):
        found["end"] = from_seconds(seconds_of(data.datetime[0]))
        for line in ("open", "high", "low", "close", "volume"):
            found[line] = _known(getattr(data, line)[0])
    return found


def bars_of(order: Any) -> list[dict[str, Any]]:
    """The order's own first, then those of its strategy's other feeds, if they are few."""
    owner = order.p.owner
    feeds = list(getattr(owner, "datas", ()))
    others = [data for data in feeds if data is not order.data] if 1 < len(feeds) <= _BARS else []
    return [bar_of(data) for data in (order.data, *others)]


def inputs_of(strategy: Any) -> dict[str, float | None]:
    """What the strategy's own indicators show now, by the name under which the strategy keeps each (an indicator it
    keeps nowhere, by its class); those of several lines by line. The first :data:`_INPUTS`."""
    found: dict[str, float | None] = {}
    indicators = getattr(strategy, "_lineiterators", {}).get(bt.LineIterator.IndType, ())
    names = dict(_kept(vars(strategy))) if indicators else {}
    for indicator in indicators:
        if id(indicator) not in names and isinstance(indicator, bt.linebuffer.LineActions):
            continue  # a step on the way to another
        name = names.get(id(indicator), type(indicator).__name__)
        for alias, line in _lines(indicator) if len(indicator) else ():
            label = f"{name}.{alias}" if alias else name
            while label in found:
                label += "'"
            found[label] = _known(line[0])
            if len(found) == _INPUTS:
                return found
    return found


def _lines(indicator: Any) -> list[tuple[str, Any]]:
    """Its lines with their names; one that has but one line, an operation on lines among them, needs none."""
    if isinstance(indicator, bt.linebuffer.LineActions) or indicator.size() == 1:
        return [("", indicator)]
    return list(zip(indicator.lines.getlinealiases(), indicator.lines[: indicator.size()], strict=False))


def _kept(attributes: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The ``id`` and the name of what is kept in attributes, or in a list or dictionary that is one."""
    for name, value in attributes.items():
        if name.startswith("_"):
            continue
        yield id(value), name
        if isinstance(value, list | tuple):
            yield from ((id(one), f"{name}[{place}]") for place, one in enumerate(value))
        elif isinstance(value, dict):
            yield from ((id(one), f"{name}[{getattr(key, '_name', key)}]") for key, one in value.items())


def strategy_facts(strategy: Any) -> dict[str, Any]:
    """Name, parameters, and a digest of both: equal strategies, equal digest."""
    params = {name: _simple(value) for name, value in _params(strategy)}
    name = type(strategy).__name__
    text = json.dumps([name, params], sort_keys=True, ensure_ascii=False)
    return {"strategy": name, "params": params, "digest": hashlib.sha256(text.encode()).hexdigest()[:12]}


class Sizing:
    """Stands in for one strategy's ``getsizing`` and notes what its sizer was given and what it made of it."""

    def __init__(self, strategy: Any, broker: Any) -> None:
        self._strategy, self._broker, self._ask = strategy, broker, strategy.getsizing
        self._note: dict[str, Any] | None = None

    def __call__(self, data: Any = None, isbuy: bool = True) -> Any:
        """As ``Strategy.getsizing``."""
        feed = self._strategy.datas[0] if data is None else data
        cash, value = self._broker.getcash(), self._broker.getvalue()
        size = self._ask(data, isbuy=isbuy)
        sizer = self._strategy._sizer
        self._note = {
            "sizer": type(sizer).__name__,
            "params": {name: _simple(given) for name, given in _params(sizer)},
            "cash": _known(cash),
            "value": _known(value),
            "price": _known(feed.close[0]) if len(feed) else None,
            "held": self._broker.getposition(feed).size,
            "size": _known(size),
            "data": id(feed),
        }
        return size

    def take(self, data: Any, size: float) -> dict[str, Any] | None:
        """What was noted of an order of that size, given just now; None if the strategy said the size itself."""
        note, self._note = self._note, None
        if note is None or note["size"] is None or note.pop("data") != id(data) or abs(note["size"]) != abs(size):
            return None
        return note


def watch_sizers(strategies: Iterable[Any], broker: Any) -> dict[int, Sizing]:
    """From now on each strategy's sizer is noted: by the strategy's ``id``."""
    found = {}
    for strategy in strategies:
        strategy.getsizing = found[id(strategy)] = Sizing(strategy, broker)
    return found


def order_facts(broker: Any, order: Any) -> dict[str, Any]:
    """All of the above of one order, with what the gate was asked and what each rule said."""
    terms = broker.terms.get(order.ref)
    asked = asdict(broker.proposal(order))
    asked["instrument"] = asked["instrument"]["exchange"] + ":" + asked["instrument"]["tradingsymbol"]
    for name in ("ref", "strategy", "given"):
        del asked[name]
    return {
        "ref": order.ref,
        **broker.who.get(id(order.p.owner), {}),
        "bars": bars_of(order),
        "inputs": {} if order.info.get("flattens") else inputs_of(order.p.owner),
        "sizing": broker.sizing.pop(order.ref, None),
        "exectype": order.getordername(),
        "price": _known(order.created.price),
        "plimit": _known(order.created.pricelimit),
        "trail": _known(order.trailamount or order.trailpercent),
        "valid": None if terms is None or terms.deadline is None else from_seconds(terms.deadline),
        "transmit": bool(order.transmit),
        "tradeid": order.tradeid,
        "asked_size": _known(order.info.get("asked_size")),
        "flattens": order.info.get("flattens"),
        "because": order.info.get("because"),
        "proposal": {name: _known(value) if isinstance(value, float) else value for name, value in asked.items()},
        "verdicts": (broker.gate.noted or {}).pop(order.ref, []),
    }


def _known(value: Any) -> Any:
    """A number that JSON has; None for what is not known."""
    if value is None or isinstance(value, bool):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _simple(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, _PLAIN) else repr(value)


def _params(owner: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(owner.p, name)) for name in owner.p._getkeys()]
