"""Wishes: what a strategy asks its broker for, in its own words, before anybody has rounded, cut or judged them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..brokers.translate import TRAILING
from ..linetime import from_seconds

Write = Callable[..., None]
_BROKERS = "btkite.brokers."
_NAMED = ("product", "validity", "tag", "market_protection")
"""Kite's own fields that a strategy may name."""


def overhear(strategy: Any, write: Write) -> None:
    """Pass each order, change and cancellation of ``strategy`` on as it is, and ``write`` down what it was."""
    _gives(strategy, "buy", write)
    _gives(strategy, "sell", write)
    _cancels(strategy, write)
    _changes(strategy, write)
    _trails(strategy, write)


def _gives(strategy: Any, name: str, write: Write) -> None:
    give = getattr(strategy, name)

    def given(*args: Any, **words: Any) -> Any:
        order = give(*args, **words)
        if order is None:
            return None
        named = dict(zip(("data", "size", "price", "plimit", "exectype"), args, strict=False)) | words
        instrument = strategy.broker.instrument_of_order(order)
        write(
            what="give",
            now=_now(strategy),
            ref=order.ref,
            side="BUY" if order.isbuy() else "SELL",
            key=instrument.key,
            tick=instrument.tick_size,
            size=abs(order.created.size),
            type=order.getordername(),
            price=_plain(named.get("price")),
            plimit=_plain(named.get("plimit")),
            parent=getattr(named.get("parent"), "ref", 0),
            oco=getattr(named.get("oco"), "ref", 0),
            valid=bool(named.get("valid")),
            done=order.alive(),
            **{field: named.get(field) for field in _NAMED},
        )
        return order

    setattr(strategy, name, given)


def _cancels(strategy: Any, write: Write) -> None:
    cancel = strategy.cancel

    def cancelled(order: Any) -> Any:
        answer = cancel(order)
        write(what="cancel", now=_now(strategy), ref=order.ref)
        return answer

    strategy.cancel = cancelled


def _changes(strategy: Any, write: Write) -> None:
    broker = strategy.broker
    modify = getattr(broker, "modify", None)
    if modify is None:
        return

    def modified(order: Any, size: float | None = None, price: float | None = None, plimit: float | None = None) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith(_BROKERS):  # a broker changes orders itself, too
            return modify(order, size, price, plimit)
        wish = {"ref": order.ref, "size": size, "price": _plain(price), "plimit": _plain(plimit)}
        write(what="try", now=_now(strategy), **wish)  # the process may die before there is an answer
        answer = modify(order, size, price, plimit)
        write(what="change", now=_now(strategy), done=bool(answer), **wish)
        return answer

    broker.modify = modified


def _trails(strategy: Any, write: Write) -> None:
    """Where a trailing stop follows the price; the warm-up after a restart is heard of nowhere else."""
    broker = strategy.broker
    reroute = broker.reroute

    def rerouted(order: Any) -> None:
        if order.exectype in TRAILING:
            write(
                what="trail",
                now=_now(strategy),
                ref=order.ref,
                price=_plain(order.created.price),
                plimit=_plain(order.created.pricelimit),
            )
        reroute(order)

    broker.reroute = rerouted


def _now(strategy: Any) -> str:
    return str(from_seconds(max(strategy.broker.now, 0)))


def _plain(price: Any) -> float | None:
    return None if price is None else float(price)
