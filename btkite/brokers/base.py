"""GatedBroker: every order, in every mode, passes the gate before it can go anywhere.

A mixin over any backtrader broker. It collects a bracket until its last member is transmitted, puts
all members before the gate as one, and sends them on or hands every one back: *Rejected* (or *Margin*,
for lack of money), with ``order.info.denied`` saying why. An order is never answered with ``None``.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import backtrader as bt

from ..linetime import seconds_of
from ..log import get_logger
from ..values import Denial, Instrument, Proposal

if TYPE_CHECKING:
    from ..risk.gate import RiskGate

log = get_logger(__name__)


class GatedType(abc.ABCMeta, type(bt.BrokerBase)):  # type: ignore[misc]
    """backtrader's classes have a metaclass of their own; with this one a broker that lacks a part is not made."""


class GatedBroker(bt.BrokerBase, metaclass=GatedType):
    """What ``submit`` does in every btkite broker."""

    hears_late = False
    """Whether a fill may be heard bars after it was made."""

    gate: RiskGate | None = None
    on_denied: Any = None  # called with (order, denial): alerts, journal
    on_alert: Any = None  # called with (level, sentence, key) when a person should know at once

    def instrument(self, data: Any) -> Instrument:
        """The instrument that orders of ``data`` are for, now."""
        return instrument_of(data)

    def rebound(self, data: Any) -> None:
        """During a run, ``data`` is another instrument's now."""

    def judge(self, orders: Sequence[Any]) -> Denial | None:
        """The gate's word on orders that belong together."""
        if self.gate is None:
            return None
        if any(is_warming(order.data) for order in orders) and not self._exit_before_the_first_bar(orders):
            denial = Denial(
                "warmup",
                "bars before the start only warm up indicators; this order was given before every feed was live",
                "data.warmup",
            )
            return self.gate.deny(denial, len(orders))
        proposals = [self.proposal(order) for order in orders]
        if not self.trades_repaired and not proposals[0].reduces and is_repaired(self.cerebro.datas):
            denial = Denial(
                "repaired",
                "the bar that it was decided on came from history after an outage, and its prices are gone",
                "data.trade_repaired",
            )
            return self.gate.deny(denial, len(orders))
        return self.gate.judge(proposals)

    def _exit_before_the_first_bar(self, orders: Sequence[Any]) -> bool:
        """Whether a timer, or news of an order, has the strategy close what it holds, between the warm-up and the first
        bar to trade."""
        if self.gate is None or not all(getattr(order.data, "awaits_first_bar", False) for order in orders):
            return False
        return all(one.reduces for one in self.gate.classify([self.proposal(order) for order in orders]))

    @property
    def trades_repaired(self) -> bool:
        """Whether entries may be given on a repaired bar."""
        return True

    @abc.abstractmethod
    def proposal(self, order: Any) -> Proposal:
        """What the order asks of the market, in Kite's words."""

    def deny(self, orders: Sequence[Any], denial: Denial) -> None:
        """Hand orders back, each notified."""
        for order in orders:
            order.addinfo(denied=str(denial), denied_by=denial.key or denial.rule)
            if denial.funds:
                order.margin()
            else:
                order.reject(self)
            self.notify(order)
            if self.on_denied is not None:
                self.on_denied(order, denial)

    def alert(self, level: str, sentence: str, key: str = "") -> None:
        """A person must know: the log, the strategy's ``notify_store`` and the alerts."""
        (log.error if level == "critical" else log.warning)(sentence)
        store = getattr(self, "store", None)
        if store is not None:
            store.put_notification(sentence)
        if self.on_alert is not None:
            self.on_alert(level, sentence, key)

    @abc.abstractmethod
    def notify(self, order: Any) -> None:
        """Tell the order's strategy how it stands."""


def instrument_of(data: Any) -> Instrument:
    """A KiteData's instrument; any other data is an instrument of its own, without ticks and lots."""
    found = getattr(data, "instrument", None)
    if isinstance(found, Instrument):
        return found
    name = data._name or f"data{getattr(data, '_id', '')}"
    return Instrument(exchange="", tradingsymbol=str(name), tick_size=0.0)


def is_warming(data: Any) -> bool:
    """Whether ``data`` is still delivering bars from before the start, or has none yet."""
    if not len(data):
        return True
    if not hasattr(data, "live_from"):
        return False
    if data.live_from is None:
        return True
    return seconds_of(data.datetime[0]) <= data.live_from


def is_repaired(datas: Sequence[Any]) -> bool:
    """Whether any feed has given its bar of the last bar's time from history, after an outage."""
    last = max((data.datetime[0] for data in datas if len(data)), default=0.0)
    return any(getattr(data, "repaired", False) for data in datas if len(data) and data.datetime[0] == last)


def strategy_name(order: Any) -> str:
    owner = order.p.owner
    return type(owner).__name__ if isinstance(owner, bt.Strategy) else ""
