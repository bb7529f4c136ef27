"""BackBroker behind our gate: backtrader's own bar rule, for proof and comparison."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from ..config import Config
from ..values import OrderType, Proposal
from . import translate
from .base import GatedBroker, strategy_name


class BarRuleBroker(GatedBroker, bt.brokers.BackBroker):
    """What ``SimBroker(rule="backtrader")`` is: orders, prices, cash and value are BackBroker's to the last bit.

    No tick rounding and no charges of ours: commissions are set as on BackBroker. The gate is off unless
    one is given as ``broker.gate``, because BackBroker's money is not our ledger.
    """

    params = (("config", None),)

    def __init__(self, **kwargs: Any) -> None:
        self.config: Config = self.p.config or Config()
        super().__init__()

    def proposal(self, order: Any) -> Proposal:
        price, trigger = translate.kite_prices(order)
        settings = self.config.broker
        held = self.getposition(order.data).size
        return Proposal(
            ref=order.ref,
            instrument=self.instrument(order.data),
            side=translate.side(order),
            quantity=int(abs(order.size)),
            order_type=translate.TO_KITE.get(order.exectype, OrderType.MARKET),
            product=str(order.info.get("product") or settings.default_product),
            variety=settings.default_variety,
            price=price,
            trigger_price=trigger,
            reference_price=float(order.created.pclose),
            strategy=strategy_name(order),
            reduces=held * (1 if order.isbuy() else -1) < 0 and abs(order.size) <= abs(held),
        )

    def submit(self, order: Any, check: bool = True) -> Any:
        """A bracket is judged when its last member is transmitted, as one."""
        if self.gate is None or not order.transmit:
            return super().submit(order, check=check)
        parent = order.parent or order
        group = [*self._pchildren.get(parent.ref, ()), order]
        denial = self.judge(group)
        if denial is None:
            return super().submit(order, check=check)
        self._pchildren.pop(parent.ref, None)
        self.deny(group, denial)
        return order

    def modify(
        self, order: Any, size: float | None = None, price: float | None = None, plimit: float | None = None
    ) -> bool:
        """Change a living order in place; False if it has ended. See ``BookBroker.modify``."""
        order = next((known for known in self.orders if known.ref == order.ref), order)
        if not order.alive() or (size is not None and size <= abs(order.executed.size)):
            return False
        if size is not None:
            order.size = order.created.size = size if order.isbuy() else -size
            order.executed.remsize = order.size - order.executed.size
        if price is not None:
            order.created.price = order.price = price
        if plimit is not None:
            order.created.pricelimit = order.plimit = plimit
        return True

    @property
    def startingvalue(self) -> float:
        """₹ before the first bar; BackBroker knows it as ``startingcash`` only."""
        return float(self.startingcash)

    def orderstatus(self, order: Any) -> int:
        """The order's status now; BackBroker's own raises AttributeError for an order that it knows."""
        return int(next((known for known in self.orders if known.ref == order.ref), order).status)

    def notify(self, order: Any) -> None:
        bt.brokers.BackBroker.notify(self, order)
