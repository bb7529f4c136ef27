"""BackBroker behind our gate: backtrader's own bar rule, for proof and comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backtrader as bt

from ..config import Config
from ..linetime import from_seconds, seconds_of
from ..portfolio import Portfolio
from ..values import Denial, OrderType, Proposal
from . import translate
from .base import GatedBroker, strategy_name
from .changes import reshape, restore, state_of
from .folio import portfolio_of_positions
from .tally import Tally


class BarRuleBroker(GatedBroker, bt.brokers.BackBroker):
    """What ``SimBroker(rule="backtrader")`` is: orders, prices, cash and value are BackBroker's to the last bit.

    No tick rounding and no charges of ours: commissions are set as on BackBroker. The gate is off unless
    one is given as ``broker.gate``; its ledger then follows BackBroker's executions, which decide on what
    reduces, while the money stays BackBroker's own.

    Params (beside BackBroker's own):
      - ``config`` (``None``): a :class:`~btkite.config.Config`.
      - ``cash`` (``None``): ₹ at the start; ``None`` takes ``broker.capital``.
    """

    params: Any = (("config", None), ("cash", None))

    def __init__(self, **kwargs: Any) -> None:
        self.config: Config = self.p.config or Config()
        if self.p.cash is None:
            self.p.cash = float(self.config.broker.capital)
        self._booked: dict[int, int] = {}  # ref -> executions that the gate's ledger knows
        self._filled: dict[int, Any] = {}  # orders with executions that the tally may not know
        self._counted: dict[int, int] = {}  # ref -> executions that it knows
        self.tally = Tally()
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
            product=self.product_of_order(order),
            variety=settings.default_variety,
            price=price,
            trigger_price=trigger,
            reference_price=float(order.created.pclose),
            strategy=strategy_name(order),
            given=order.data.num2date(order.created.dt) if order.created.dt else None,
            reduces=held * (1 if order.isbuy() else -1) < 0 and abs(order.size) <= abs(held),
        )

    def product_of_order(self, order: Any) -> str:
        """Kite's product that it would go with."""
        return str(order.info.get("product") or self.config.broker.default_product)

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

    def judge(self, orders: Sequence[Any]) -> Denial | None:
        """On a ledger that knows today's date and price."""
        if self.gate is not None:
            for order in orders:
                self.gate.ledger.roll(order.data.datetime.date(0))
                self.gate.ledger.mark(self.instrument(order.data).key, order.data.close[0])
            self.gate.ledger.observe()
        return super().judge(orders)

    def modify(
        self, order: Any, size: float | None = None, price: float | None = None, plimit: float | None = None
    ) -> bool:
        """Change a living order in place; False if it has ended or is denied. See ``BookBroker.modify``."""
        order = next((known for known in self.orders if known.ref == order.ref), order)
        if not order.alive() or (size is not None and size <= abs(order.executed.size)):
            return False
        before = state_of(order)
        reshape(order, abs(order.size) if size is None else size, price, plimit)
        denial = self.judge([order])
        if denial is not None:
            restore(order, before)
            order.addinfo(denied_change=str(denial))
        return denial is None

    @property
    def startingvalue(self) -> float:
        """₹ before the first bar; BackBroker knows it as ``startingcash`` only."""
        return float(self.startingcash)

    def orderstatus(self, order: Any) -> int:
        """The order's status now; BackBroker's own raises AttributeError for an order that it knows."""
        return int(next((known for known in self.orders if known.ref == order.ref), order).status)

    @property
    def portfolio(self) -> Portfolio:
        """What the account has and has made, by instrument; made now. Money is BackBroker's; it knows no margins of
        ours, so what is not cash is used."""
        return portfolio_of_positions(self)

    def notify(self, order: Any) -> None:
        if self.gate is not None:
            self._book(order)
        if order.executed.size:
            self._filled[order.ref] = order
        bt.brokers.BackBroker.notify(self, order)

    def _book(self, order: Any) -> None:
        """What has been executed since the last look, for the gate's ledger."""
        ledger, bits = self.gate.ledger, order.executed.exbits  # type: ignore[union-attr]
        for bit in list(bits)[self._booked.get(order.ref, 0) :]:
            ledger.fill(
                self.instrument(order.data), translate.side(order), int(abs(bit.size)), bit.price,
                bit.closedcomm + bit.openedcomm, ref=order.ref,
            )  # fmt: skip
        self._booked[order.ref] = len(bits)
        if not order.alive():
            ledger.done(order.ref)

    def count(self) -> None:
        """The tally learns of what was executed since it was last asked for, in the order of time."""
        orders, self._filled = list(self._filled.values()), {}
        found = [(bit.dt, order, bit) for order in orders for bit in self._new(order)]
        for moment, order, bit in sorted(found, key=lambda one: one[0]):
            self.tally.turn(from_seconds(seconds_of(moment)).date(), {})
            units, charges = float(order.comminfo.p.mult), bit.closedcomm + bit.openedcomm
            key, product = self.instrument(order.data).key, self.product_of_order(order)
            self.tally.fill(key, product, units, int(bit.size), bit.price, charges)

    def _new(self, order: Any) -> list[Any]:
        """Its executions that the tally does not know."""
        done = self._counted.get(order.ref, 0)
        self._counted[order.ref] = len(order.executed.exbits)
        return list(order.executed.exbits)[done:]
