"""Witness: an analyzer that writes down, bar by bar, what a strategy has, is told and decides.

One JSON line each, in a file that every life of a run appends to: a line that was written outlives the process.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import backtrader as bt

from ..brokers.base import is_repaired
from ..brokers.translate import TRAILING
from ..linetime import from_seconds, seconds_of
from .wishes import overhear

_DEEP, _LONG = 3, 40  # how far into a container, and how many of its members
_PLAIN = (bool, int, float, str)


class Witness(bt.Analyzer):
    """Writes lines of the kinds ``wish`` (what the strategy asks for, in its own words), ``bar``, ``order``, ``trade``
    (one that is closed), and one ``end`` of a run that ends.

    Params:
      - ``file``: a descriptor that is open for appending.
      - ``life``: the number of this life of the run, the first is 0.
    """

    params = (("file", -1), ("life", 0))

    def start(self) -> None:
        self._seen = 0
        overhear(self.strategy, lambda **wish: self._write(kind="wish", **wish))

    def notify_order(self, order: Any) -> None:
        self._write(
            kind="order",
            ref=order.ref,
            status=order.getstatusname(),
            filled=order.executed.size,
            price=_round(order.executed.price),
            adopted=bool(order.info.get("adopted")),
            given=order.p.owner is not None,
            why=str(order.info.get("denied") or order.info.get("reason") or ""),
            size=order.size,
            tag=str(order.info.get("tag") or ""),
            order=described(order),
        )

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self._write(
                kind="trade",
                key=trade.data.instrument.key,
                long=bool(trade.long),
                opened=_moment(trade.dtopen),
                closed=_moment(trade.dtclose),
                pnl=_round(trade.pnl),
            )

    def prenext(self) -> None:
        """A bar that only warms up is none of the strategy's."""

    def next(self) -> None:
        broker, strategy = self.strategy.broker, self.strategy
        working = {order.ref: described(order) for order in broker.orders.values() if order.alive()}
        newest = max(broker.orders, default=0)
        new = [order for ref, order in sorted(broker.orders.items()) if ref > self._seen]
        self._seen = max(self._seen, newest)
        self._write(
            kind="bar",
            at=str(from_seconds(seconds_of(strategy.datetime[0]))),
            now=str(from_seconds(broker.now)),
            trails={
                order.ref: [order.created.price, order.created.pricelimit]
                for order in broker.orders.values()
                if order.alive() and order.exectype in TRAILING
            },
            position={
                key: [position.size, _round(position.price)] for key, position, _ in broker.holds() if position.size
            },
            orders=sorted(working.values()),
            given=[described(order) for order in new if not order.info.get("adopted")],
            value=_round(broker.getvalue()),
            worst={key: list(broker.ledger.worst_case(key)) for key in sorted(_keys(strategy))},
            repaired=is_repaired(strategy.datas),
            prices={
                data.instrument.key: [data.open[0], data.high[0], data.low[0], data.close[0]]
                for data in strategy.datas
                if len(data) and data.datetime[0] == strategy.datetime[0]
            },
            newest=newest,
            attributes=attributes_of(strategy),
            indicators=indicators_of(strategy),
        )

    def stop(self) -> None:
        broker = self.strategy.broker
        self._write(
            kind="end",
            position={
                key: [position.size, _round(position.price)] for key, position, _ in broker.holds() if position.size
            },
            realized=broker.ledger.realized,
            charges=broker.ledger.charges,
            orders=[_known(broker, order) for _, order in sorted(broker.orders.items())]
            + [_known(broker, order) for order in broker.orders.parts()],
        )

    def _write(self, **line: Any) -> None:
        os.write(self.p.file, (json.dumps({"life": self.p.life, **line}) + "\n").encode())


def _keys(strategy: Any) -> set[str]:
    """The instruments of its feeds; a slot that is still empty has none."""
    return {data.instrument.key for data in strategy.datas if len(data)}


def _known(broker: Any, order: Any) -> dict[str, Any]:
    """What the broker knows of an order at the end. ``there``: the market has it, as far as we know."""
    info, alive = order.info, order.alive()
    return {
        "ref": order.ref,
        "symbol": str(info.get("instrument") or order.data._name),
        "tag": str(info.get("tag") or ""),
        "order_id": str(info.get("order_id") or ""),
        "status": order.getstatusname(),
        "alive": alive,
        "there": alive and order.active() and not info.get("watched") and order.ref not in broker.held,
        "uncertain": broker.is_uncertain(order.ref) if hasattr(broker, "is_uncertain") else False,
        "size": order.size,
        "filled": order.executed.size,
        "adopted": bool(info.get("adopted")),
        "simulated": bool(order.p.simulated),
        "foreign": bool(info.get("foreign")),
        "sliced": order.ref > 0 and bool(info.get("sliced")),
        "failed": bool(info.get("modify_failed")),
    }


def described(order: Any) -> str:
    """``BUY 5 NSE:INFY Limit 1500.0``: what was asked for, without what a restart may change."""
    side = "BUY" if order.isbuy() else "SELL"
    symbol = order.info.get("instrument") or order.data._name
    left = abs(order.executed.remsize) if order.alive() else abs(order.size)
    prices = [order.created.price, order.created.pricelimit] if order.exectype != order.Market else []
    shown = " ".join(f"{price:.2f}" for price in prices if price)
    waits = "" if order.active() else " (waits)"
    return f"{side} {left:g} {symbol} {order.getordername()} {shown}".rstrip() + waits


# -- a strategy's own memory ------------------------------------------------------------------------------


def attributes_of(strategy: Any) -> dict[str, str]:
    """What the strategy keeps for itself: plain attributes, containers of them, orders, and its indicators now."""
    found = {}
    for name, value in vars(strategy).items():
        if name.startswith("_") or name in _STOCK or _OF_DATA.fullmatch(name):
            continue
        text = _shown(value, _DEEP)
        if text is not None:
            found[name] = text
    return found


def indicators_of(strategy: Any) -> list[str]:
    """The names of attributes that follow from the bars alone."""
    return [name for name in attributes_of(strategy) if _is_lines(getattr(strategy, name))]


def _is_lines(value: Any) -> bool:
    if isinstance(value, Mapping | list | tuple):
        members = list(value.values() if isinstance(value, Mapping) else value)
        return bool(members) and all(_is_lines(member) for member in members)
    return isinstance(value, bt.LineRoot)


_STOCK = {
    "env", "cerebro", "broker", "stats", "observers", "analyzers", "writers", "datas", "dnames", "data", "p", "params",
    "lines", "l", "notifs", "sizer", "line", "ddatas", "plotinfo", "plotlines", "csv",
}  # fmt: skip
"""What backtrader itself puts into every strategy."""
_OF_DATA = re.compile(r"(data\d*|line)_?(\d+|open|high|low|close|volume|openinterest|datetime)?")
"""Its names for feeds and their lines: ``data0_close``, ``data_1``, ``line0``."""


def _shown(value: Any, deep: int) -> str | None:
    """A value as text that is equal if the value is; None for what has no plain value."""
    if value is None or isinstance(value, _PLAIN):
        return _number(value) if isinstance(value, float) else repr(value)
    if isinstance(value, datetime | date | time | timedelta):
        return str(value)
    if isinstance(value, bt.Order):
        return f"order {described(value)}, {value.getstatusname()}"
    if isinstance(value, bt.Position):
        return f"position {value.size:g} at {_number(value.price)}"
    if isinstance(value, bt.AbstractDataBase):
        return None
    if isinstance(value, bt.LineRoot):
        return _now(value)
    if deep and isinstance(value, Mapping):
        parts = [(_named(key), _shown(item, deep - 1)) for key, item in list(value.items())[:_LONG]]
        return "{" + ", ".join(f"{key}: {text}" for key, text in parts if text is not None) + "}"
    if deep and isinstance(value, list | tuple | set | frozenset | deque):
        texts = [_shown(item, deep - 1) for item in list(value)[-_LONG:]]
        known = [text for text in texts if text is not None]
        if isinstance(value, set | frozenset):
            known.sort()
        return f"{len(value)} of [" + ", ".join(known) + "]"
    return None


def _now(value: Any) -> str:
    """An indicator, or an operation of lines, at this bar."""
    if not len(value):
        return "no value yet"
    lines = getattr(value, "lines", None) or [value]
    return " ".join(_number(line[0]) for line in lines)


def _named(key: Any) -> str:
    return str(getattr(key, "_name", "") or key)


def _number(value: float) -> str:
    return "nan" if math.isnan(value) else f"{value:.10g}"


def _moment(stamp: float) -> str:
    """Empty for none: a position of the last run does not say since when it is held."""
    return str(from_seconds(seconds_of(stamp))) if stamp else ""


def _round(value: float) -> float:
    return round(float(value), 4)
