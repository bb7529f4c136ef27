"""Fitting: the largest size that the gate would let through now, for sizers, which ask before they ask for an order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..linetime import from_seconds
from ..log import get_logger
from ..market.permitted import forbidden
from ..risk.rules import check
from ..values import Denial, OrderType, Proposal, Side
from .account import Account

log = get_logger(__name__)


class Fitting(Account):
    """What a sizer may ask of a broker of ours; nothing here is counted or kept but what was said of it."""

    def init(self) -> None:
        super().init()
        self._told: set[tuple[str, str]] = set()

    def fitting(self, data: Any, isbuy: bool, units: int) -> int:
        """``units`` of the data's instrument, or as many whole lots fewer as the limits allow at the last price.

        If not even one lot passes, it is one lot: the gate then denies it, and says why.
        """
        if units <= 0:
            return 0
        probe = self._probe(data, isbuy)
        lot = max(1, probe.instrument.lot_size)
        denial = self._against(probe, units)
        if denial is None:
            return units
        low, high = 0, -(-units // lot)  # in lots: the one passes, the other does not
        while high - low > 1:
            middle = (low + high) // 2
            if self._against(probe, middle * lot) is None:
                low = middle
            else:
                high = middle
        size = min(units, max(1, low) * lot)
        said = (probe.instrument.key, denial.rule)
        if size < units and said not in self._told:
            self._told.add(said)
            log.warning("a size is cut to what limits allow", symbol=said[0], asked=units, size=size, why=str(denial))
        return size

    def margin_of_unit(self, data: Any, isbuy: bool) -> float:
        """₹ that opening one unit at the last price ties up; 0 if no price is known."""
        probe = self._probe(data, isbuy)
        return float(self.ledger_margin_rate()(probe) * probe.value) if probe.value > 0 else 0.0

    def _probe(self, data: Any, isbuy: bool) -> Proposal:
        instrument, settings = self.instrument(data), self.config.broker
        return Proposal(
            ref=0,
            instrument=instrument,
            side=Side.BUY if isbuy else Side.SELL,
            quantity=1,
            order_type=OrderType.MARKET,
            product=self.product_for(instrument, isbuy),
            variety=settings.default_variety,
            validity=settings.default_validity,
            reference_price=float(data.close[0]) if len(data) else 0.0,
            given=from_seconds(max(self.now, 0)),
        )

    def _against(self, probe: Proposal, units: int) -> Denial | None:
        """What speaks against so many units."""
        order = replace(probe, quantity=units)
        order = replace(order, reduces=self.ledger.reduces(order))
        return forbidden(order, from_seconds(max(self.now, 0)).date()) or check(order, self.gate.sized, self.ledger)
