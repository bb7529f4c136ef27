"""Portfolio: what an account has, owes and has made, at one moment, in ₹; the same object in every mode.

A broker makes it when it is asked (``broker.portfolio``), and a result carries the last one. Totals are the ledger's
own figures, so that they are equal in backtest, paper and live to the last bit; a line is one instrument in one
product, with the figures of Kite's positions: what was carried over the night and what was traded today.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Line:
    """One instrument in one product.

    ``quantity``, ``average_price``: what is held (signed; units, or lots where Kite counts lots), by backtrader's
    average · ``value``: its worth at ``last_price`` · ``realized``, ``unrealized``, ``charges``: ₹ since the account
    began; the first two before charges · ``realized_today``, ``charges_today``: of this session.

    The rest is of this session, as Kite's positions have it: ``pnl`` (of the row in ``net``: a carried leg counts from
    its average), ``m2m`` (from the last close), its two parts ``day_pnl`` (of today's trades alone, Kite's row in
    ``day``) and ``overnight_pnl`` (of what was carried); ``buy_*`` and ``sell_*``: today's trades, in units and ₹ ·
    ``day_quantity``: their net · ``overnight_quantity``, ``overnight_price``, ``close_price``: what was carried, its
    average, and the close from which today counts (0 if nothing was).
    """

    symbol: str
    product: str
    quantity: int
    average_price: float
    last_price: float
    multiplier: float
    value: float
    realized: float
    unrealized: float
    charges: float
    realized_today: float
    charges_today: float
    pnl: float
    m2m: float
    day_pnl: float
    overnight_pnl: float
    day_quantity: int
    overnight_quantity: int
    overnight_price: float
    close_price: float
    buy_quantity: int
    buy_value: float
    sell_quantity: int
    sell_value: float


@dataclass(frozen=True, slots=True)
class Margins:
    """``used``: ₹ that positions block · ``working``: what working orders may come to block beyond that · ``free``:
    what the next order may use · ``cash``: what is not blocked, working orders aside · ``kite``: what Kite says is
    there; None where it was not asked."""

    used: float
    working: float
    free: float
    cash: float
    kite: float | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """₹ at last prices, lots and multipliers counted: ``long`` and ``short`` (both positive), ``gross``: their sum,
    ``net``: long less short."""

    gross: float
    net: float
    long: float
    short: float


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An account at ``time`` (IST).

    ``total_value``: ``capital`` + ``realized`` + ``unrealized`` − ``charges`` · ``total_pnl``: what it is above the
    capital · ``day_pnl``: ₹ made in this session, after ``day_charges``; before them it is ``day_realized`` with what
    open positions have gained since the last close, or, otherwise divided, ``intraday_pnl`` (of today's trades) +
    ``overnight_pnl`` (of what was carried) · ``lines``: by instrument and product; one that is flat stays, for what it
    has made.
    """

    time: datetime
    capital: float
    total_value: float
    total_pnl: float
    realized: float
    unrealized: float
    charges: float
    day_pnl: float
    day_realized: float
    day_charges: float
    intraday_pnl: float
    overnight_pnl: float
    margins: Margins
    exposure: Exposure
    lines: tuple[Line, ...] = ()

    @property
    def open(self) -> tuple[Line, ...]:
        """The lines of what is held."""
        return tuple(line for line in self.lines if line.quantity)

    def line(self, symbol: str, product: str = "") -> Line | None:
        """The line of ``EXCHANGE:TRADINGSYMBOL``; without a product the one that is held, else the first."""
        found = [line for line in self.lines if line.symbol == symbol and product in ("", line.product)]
        return next((line for line in found if line.quantity), found[0] if found else None)

    def frame(self) -> pd.DataFrame:
        """The lines as a DataFrame, a column for each figure, by ``symbol`` and ``product``."""
        import pandas as pd

        names = [field.name for field in fields(Line)]
        rows = [[getattr(line, name) for name in names] for line in self.lines]
        return pd.DataFrame(rows, columns=names).set_index(["symbol", "product"])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: ``time`` in ISO 8601 (IST, no offset)."""
        found = asdict(self)
        found["time"] = self.time.isoformat()
        found["lines"] = [dict(line) for line in found["lines"]]
        return found


def exposure_of(values: list[float]) -> Exposure:
    """Of the signed worth of each position, ₹."""
    long = sum((value for value in values if value > 0), 0.0)
    short = sum((-value for value in values if value < 0), 0.0)
    return Exposure(gross=long + short, net=long - short, long=long, short=short)
