"""What a run says: a line for each thing that happens to an order, what is left open, how it failed."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt

from ..carried import was_held
from ..errors import BtkiteError, ConfigError
from ..linetime import from_seconds, seconds_of
from ..report.table import inr, number
from ..risk.gate import State
from ..risk.rules import EXCHANGE_RULES
from ..watch.showing import KEPT_HERE

Tell = Callable[[datetime, str], None]

_MISTAKES = {type(rule).__name__ for rule in EXCHANGE_RULES} | {"quantity", "exectype"}


class Told(bt.Analyzer):
    """Says a line for each thing that happens to an order.

    Params:
      - ``tell``: called with market time and the line.
    """

    params = (("tell", None),)

    def notify_order(self, order: Any) -> None:
        if order.status in (order.Submitted, order.Accepted):
            return
        if was_held(order):
            whence = "from outside" if order.info.get("foreign") else "from before"
            held = _position_text(order.size, _symbol(order), order.executed.price)
            self.p.tell(from_seconds(self.strategy.broker.now), f"{whence}: {held}")
            return
        self.p.tell(self._moment(order), f"{order_text(order)}: {_outcome(order)}")

    def _moment(self, order: Any) -> datetime:
        """When it happened in the market: a fill and an end have times of their own, a denial is of now."""
        if order.status in (order.Completed, order.Partial):
            return from_seconds(seconds_of(order.executed.dt))
        second = order.info.get("ended", getattr(self.strategy.broker, "now", None))
        return self.strategy.datetime.datetime(0) if second is None else from_seconds(second)


def _outcome(order: Any) -> str:
    if order.executed.size and order.status in (order.Completed, order.Partial):
        word = "filled" if order.status == order.Completed else f"filled {number(abs(order.executed.size), 0)} so far"
        return f"{word} at {inr(order.executed.price)}"
    why = order.info.get("denied") or order.info.get("reason") or ""
    return ("denied" if order.info.get("denied") else order.getstatusname().lower()) + (f", {why}" if why else "")


def order_text(order: Any) -> str:
    """``BUY 5 NSE:INFY Limit ₹1,500.00``."""
    side = "BUY" if order.isbuy() else "SELL"
    symbol = _symbol(order)
    price = order.created.price if order.exectype != order.Market and order.created.price else None
    return f"{side} {number(abs(order.size), 0)} {symbol} {order.getordername()}" + (f" {inr(price)}" if price else "")


def _symbol(order: Any) -> str:
    return str(order.info.get("instrument") or order.data._name)


def _position_text(size: float, symbol: str, price: float) -> str:
    return f"position {number(size, 0)} {symbol} at {inr(price)}"


def left_open(broker: Any, datas: Sequence[Any]) -> Iterator[str]:
    """Orders that still work, and positions."""
    for order in broker.get_orders_open():
        done = f", {number(abs(order.executed.size), 0)} filled" if order.executed.size else ""
        kite = order.info.get("order_id")
        where = f", {KEPT_HERE}" if order.info.get("watched") else f", Kite {kite}" if kite else ""
        yield f"order {order_text(order)} ({order.getstatusname()}{done}{where})"
    seen = set()
    for data in datas:
        position = broker.getposition(data)
        key = data.instrument.key
        if position.size and key not in seen:
            seen.add(key)
            yield _position_text(position.size, key, position.price)


def halted(gate: Any) -> str:
    """Why the gate lets nothing be opened any more; empty if it does."""
    if gate is None:
        return ""
    stopped = gate.state is State.HALTED or gate.ledger.latched is not None
    return str(gate.reason) if stopped else ""


def mistake(broker: Any) -> str:
    """The first denial of what no market takes, such as a quantity off the lot size: the strategy's mistake."""
    orders = broker.orders.values() if isinstance(broker.orders, Mapping) else broker.orders
    for order in orders:
        if order.info.get("denied_by") in _MISTAKES:
            return str(order.info["denied"])
    return ""


def untraded(strategy: Any) -> str:
    """Why ``next()`` was never called, if there were fewer bars than the indicators need; else empty."""
    for period, data in zip(strategy._minperiods, strategy.datas, strict=False):
        if len(data) < period and not getattr(data.p, "slot", False):
            key = data.instrument.key if hasattr(data, "instrument") else data._name
            return (
                f"{type(strategy).__name__} never came to trade: its indicators need {number(period, 0)} bars "
                f"of {key}, and there were {number(len(data), 0)}; "
                "give it more history (--from, --warmup) or shorter periods"
            )
    return ""


def failed(error: Exception, strategy: type[bt.Strategy]) -> BtkiteError:
    """What to say of a run that an error ended: where that was, if the strategy made it."""
    if _in_init(error, strategy):
        return ConfigError(f"{strategy.__name__} does not start: {error}")
    if isinstance(error, BtkiteError):
        return error
    source = inspect.getsourcefile(strategy)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return BtkiteError(f"{strategy.__name__} failed{where} with {type(error).__name__}: {error}")


def with_open(error: BtkiteError, broker: Any, datas: Sequence[Any]) -> BtkiteError:
    """The error that ended a run that had begun, its sentence followed by what is still open."""
    found = "; ".join(left_open(broker, datas)) if error.result is not None else ""
    if found:
        error.args = (f"{error}; still open: {found}", *error.args[1:])
    return error


def _in_init(error: BaseException, strategy: type[bt.Strategy]) -> bool:
    """Whether the strategy's own ``__init__`` raised it: its word on its parameters."""
    code = getattr(strategy.__init__, "__code__", None)
    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1] is code
