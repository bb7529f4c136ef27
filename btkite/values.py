"""The values that travel between rooms: frozen, typed, standard library only.

Times are naive datetimes in IST wall time everywhere inside btkite (India has one zone and no
daylight saving; :mod:`btkite.clock` converts at the edges). Prices are rupees, quantities are what
Kite calls quantity: units, except lots on MCX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

EMPTY: Mapping[str, Any] = MappingProxyType({})

INTERVALS: Mapping[str, int] = MappingProxyType(
    {
        "minute": 60,
        "3minute": 180,
        "5minute": 300,
        "10minute": 600,
        "15minute": 900,
        "30minute": 1800,
        "60minute": 3600,
        "day": 86400,
    }
)
"""Kite's candle intervals, in seconds (https://kite.trade/docs/connect/v3/historical/)."""

Security = Literal["share", "equity_etf", "other_etf", "bse_X", "bse_SS"]
"""What the instruments dump does not tell: funds pay other STT, BSE's groups X XT Z ZP and SS ST other fees."""

ALERT_KINDS = (
    "trade", "rejection", "denial", "order", "risk", "square-off", "disconnect", "token", "calendar", "run", "summary",
    "other",
)  # fmt: skip
"""What an alert may be about. ``order``: one whose fate was in doubt, or that others gave · ``run``: how it ended."""


class Side(StrEnum):
    """Kite's ``transaction_type``."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """Kite's ``order_type``."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SLM = "SL-M"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of Kite's instruments dump (https://kite.trade/docs/connect/v3/market-quotes/)."""

    exchange: str
    tradingsymbol: str
    instrument_token: int = 0
    name: str = ""
    expiry: date | None = None
    strike: float = 0.0
    tick_size: float = 0.05
    lot_size: int = 1
    instrument_type: str = "EQ"  # EQ FUT CE PE
    segment: str = "NSE"
    multiplier: float = 1.0  # rupees of P&L per unit of price and quantity (1 but on MCX, currency)

    @property
    def key(self) -> str:
        """``EXCHANGE:TRADINGSYMBOL``, the identity of an instrument everywhere in btkite."""
        return f"{self.exchange}:{self.tradingsymbol}"

    @property
    def is_option(self) -> bool:
        return self.instrument_type in ("CE", "PE")

    @property
    def is_future(self) -> bool:
        return self.instrument_type == "FUT"


class Level(NamedTuple):
    """One level of depth: price in rupees, quantity, number of orders."""

    price: float
    quantity: int
    orders: int


class Tick(NamedTuple):
    """One packet of the stream. ``*_time`` are epoch seconds, 0 when the packet has none."""

    instrument_token: int
    mode: str  # ltp quote full
    last_price: float
    volume: int = 0  # of the day, cumulative
    exchange_time: int = 0
    last_trade_time: int = 0
    last_quantity: int = 0
    average_price: float = 0.0
    buy_quantity: int = 0
    sell_quantity: int = 0
    open: float = 0.0  # of the day
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0  # of the day before
    oi: int = 0
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()


class Bar(NamedTuple):
    """One candle: ``start`` inclusive, ``end`` exclusive, naive IST."""

    start: datetime
    end: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    oi: float = 0.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What we ask of a market: one order as the gate, the journal and the wire see it.

    ``quantity`` is positive. ``price`` and ``trigger_price`` are 0 where the type has none.
    ``reference_price`` is the last price known when it was given, for value rules.
    ``reduces`` is true if the worst case of the position and of all working orders neither grows
    nor crosses zero by it.
    """

    ref: int
    instrument: Instrument
    side: Side
    quantity: int
    order_type: OrderType
    product: str
    variety: str
    validity: str = "DAY"
    price: float = 0.0
    trigger_price: float = 0.0
    reference_price: float = 0.0
    tag: str = ""
    reduces: bool = False
    market_protection: float | None = None
    disclosed_quantity: int = 0
    iceberg_legs: int = 0
    iceberg_quantity: int = 0
    autoslice: bool = False
    validity_ttl: int = 0
    strategy: str = ""
    given: datetime | None = None
    group: int = 0  # OCO: ref of the group's first order; only one of them comes to trade; 0 = alone or first
    parent: int = 0  # ref of the bracket's entry: works once that has traded, for as much as that has

    @property
    def worst_price(self) -> float:
        """The price a value rule must assume, in rupees: the dearest at which it may trade.

        Only a buyer's limit bounds that from above: a sell limit far below the market, or a stop that
        the market has passed already, trades at the market.
        """
        if self.side is Side.BUY and self.price > 0:
            return self.price
        return max(self.price, self.trigger_price, self.reference_price)

    @property
    def value(self) -> float:
        """Rupees at :attr:`worst_price`."""
        return self.worst_price * self.quantity * self.instrument.multiplier


@dataclass(frozen=True, slots=True)
class Denial:
    """Our own *no*: the order never left. ``key`` is the config key of the limit, for the reader."""

    rule: str
    reason: str
    key: str = ""
    funds: bool = False  # lack of money: backtrader's status Margin instead of Rejected

    def __str__(self) -> str:
        return f"{self.reason} ({self.key})" if self.key else self.reason


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, or the part of an order's executions that was not known before."""

    quantity: int
    price: float
    time: datetime
    trade_id: str = ""


class Source(StrEnum):
    """How an order update reached us."""

    STREAM = "stream"
    POSTBACK = "postback"
    POLL = "poll"
    REPLY = "reply"


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """What Kite said about one order (a row of the order book, a postback, a stream message)."""

    order_id: str
    status: str
    exchange: str
    tradingsymbol: str
    transaction_type: str
    order_type: str = ""
    product: str = ""
    variety: str = ""
    validity: str = ""
    quantity: int = 0
    filled_quantity: int = 0
    pending_quantity: int = 0
    cancelled_quantity: int = 0
    price: float = 0.0
    trigger_price: float = 0.0
    average_price: float = 0.0
    tag: str = ""
    status_message: str = ""
    exchange_time: datetime | None = None
    order_time: datetime | None = None
    parent_order_id: str = ""
    source: Source = Source.STREAM
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, compare=False, repr=False)

    @property
    def terminal(self) -> bool:
        """COMPLETE, CANCELLED*, REJECTED*; every unknown status is not."""
        return self.status == "COMPLETE" or self.status.startswith(("CANCELLED", "REJECTED"))


class Position(NamedTuple):
    """One row of Kite's positions: signed net quantity, average price in rupees."""

    exchange: str
    tradingsymbol: str
    product: str
    quantity: int
    average_price: float
    overnight_quantity: int = 0
    multiplier: float = 1.0


class Trade(NamedTuple):
    """One row of Kite's trade book: one execution of one order, price in rupees."""

    trade_id: str
    order_id: str
    exchange: str
    tradingsymbol: str
    transaction_type: str
    product: str
    quantity: int
    average_price: float
    time: datetime | None = None
