"""CommissionInfo for Kite's instruments: an *estimate* for sizers and for brokers that know no better.

btkite's own brokers charge per order and hand the exact figure to ``order.execute`` (a CommissionInfo sees
one execution at a time and would take the ₹20 cap twice for an order that reverses a position).
"""

from __future__ import annotations

from datetime import date
from typing import Any, Self

import backtrader as bt

from .market.charges import charge_order
from .values import Instrument, Side


class InstrumentCommission(bt.CommInfoBase):
    """Charges of one order of one instrument.

    Params:
      - ``instrument``: the :class:`~btkite.values.Instrument`.
      - ``product`` (``"MIS"``): Kite's product.
      - ``on`` (``None``): a date, or a function that gives one; the day whose rates apply.
    """

    params = (("instrument", None), ("product", "MIS"), ("on", None), ("stocklike", True), ("percabs", True))

    @classmethod
    def of(cls, instrument: Instrument, broker: Any) -> Self:
        """For an instrument of a btkite broker, at the rates of the broker's own day."""
        from .linetime import from_seconds

        found: Self = cls(
            instrument=instrument,
            product=broker.config.broker.default_product,
            mult=instrument.multiplier,
            on=lambda: from_seconds(max(broker.now, 0)).date(),
        )
        return found

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        quantity = int(abs(size))
        if not quantity or self.p.on is None:
            return 0.0
        on: date = self.p.on() if callable(self.p.on) else self.p.on
        side = Side.BUY if size > 0 else Side.SELL
        return float(charge_order(self.p.instrument, side, self.p.product, [(quantity, price)], on).total)
