"""CommissionInfo for Kite's instruments: an *estimate* for sizers and for brokers that know no better.

btkite's own brokers charge per order and hand the exact figure to ``order.execute`` (a CommissionInfo sees
one execution at a time and would take the ₹20 cap twice for an order that reverses a position).
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any, Self, cast

import backtrader as bt

from .config import Client
from .market.charges import Terms, charge_order
from .values import Instrument, Security, Side

DEBIT_EXTRA = 20.0
"""₹ that an account in debit pays more for every executed order (zerodha.com/charges since 2023)."""


def terms_of(client: Client) -> Terms:
    """What of the charges depends on the client."""
    return Terms(
        extra_per_order=DEBIT_EXTRA if client.in_debit else 0.0,
        state_stamp=(client.stamp_delivery_pct, client.stamp_other_pct),
        split_gst=client.karnataka,
        woman=client.woman,
    )


@lru_cache(maxsize=1024)
def security_of(key: str, rows: tuple[str, ...]) -> Security:
    """What ``EXCHANGE:SYMBOL`` is by the rows of ``broker.securities``."""
    named = dict(row.split(" ", 1) for row in rows)
    return cast("Security", named.get(key, "share"))


def default_product(instrument: Instrument, named: str) -> str:
    """Kite's product of an order that names none: a contract has no delivery, so that CNC and MTF mean NRML."""
    if named in ("CNC", "MTF") and (instrument.is_future or instrument.is_option):
        return "NRML"
    return named


class InstrumentCommission(bt.CommInfoBase):
    """Charges of one order of one instrument.

    Params:
      - ``instrument``: the :class:`~btkite.values.Instrument`.
      - ``product`` (``"MIS"``): Kite's product.
      - ``on`` (``None``): a date, or a function that gives one; the day whose rates apply.
      - ``terms`` (``None``): what depends on the client, a :class:`~btkite.market.charges.Terms`.
      - ``security`` (``"share"``): a share, or which kind of fund or group (:data:`~btkite.values.Security`).
    """

    params = (
        ("instrument", None), ("product", "MIS"), ("on", None), ("terms", None), ("security", "share"),
        ("stocklike", True), ("percabs", True),
    )  # fmt: skip

    @classmethod
    def of(cls, instrument: Instrument, broker: Any) -> Self:
        """For an instrument of a btkite broker, at the rates of the broker's own day."""
        from .linetime import from_seconds

        found: Self = cls(
            instrument=instrument,
            product=default_product(instrument, broker.config.broker.default_product),
            mult=instrument.multiplier,
            terms=terms_of(broker.config.client),
            security=security_of(instrument.key, broker.config.broker.securities),
            on=lambda: from_seconds(max(broker.now, 0)).date(),
        )
        return found

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        quantity = int(abs(size))
        if not quantity or self.p.on is None:
            return 0.0
        on: date = self.p.on() if callable(self.p.on) else self.p.on
        side = Side.BUY if size > 0 else Side.SELL
        fills, terms, security = [(quantity, price)], self.p.terms, self.p.security
        return float(charge_order(self.p.instrument, side, self.p.product, fills, on, terms, security=security).total)
