"""One order of the book and the history of its states, in Kite's rows.

Every change writes a row; the last row is what ``GET /orders`` shows, all of them are
``GET /orders/{id}`` (sequences: https://kite.trade/docs/connect/v3/orders/ and real dumps).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .clock import SECOND, kite_text
from .listing import Listing

OPEN = "OPEN"
TRIGGER_PENDING = "TRIGGER PENDING"
AMO_RECEIVED = "AMO REQ RECEIVED"
RECEIVED = "PUT ORDER REQ RECEIVED"
COMPLETE = "COMPLETE"
CANCELLED = "CANCELLED"
REJECTED = "REJECTED"
WORKING = (OPEN, TRIGGER_PENDING)
TERMINAL = (COMPLETE, CANCELLED, REJECTED)
_SERIALS = count(1)


@dataclass(slots=True, eq=False, repr=False)
class Order:
    """Quantities as Kite counts them, prices in rupees (0 where the type has none), times as moments."""

    order_id: str
    listing: Listing
    us: int
    placed_by: str
    placed_us: int = field(init=False)
    guid: str = field(init=False)
    exchange_us: int = 0
    exchange_order_id: str | None = None
    variety: str = "regular"
    transaction_type: str = "BUY"
    order_type: str = "LIMIT"
    product: str = "CNC"
    validity: str = "DAY"
    validity_ttl: int = 0
    quantity: int = 0
    disclosed_quantity: int = 0
    price: float = 0.0
    trigger_price: float = 0.0
    market_protection: float = 0.0
    algo_id: str | None = None
    parent_order_id: str | None = None
    child: Order | None = None  # the second leg of a cover order
    protected: bool = False  # was MARKET or SL-M, and its protection binds
    tag: str | None = None
    system_tags: list[str] = field(default_factory=list)
    iceberg: dict[str, int] = field(default_factory=dict)
    status: str = ""
    status_message: str | None = None
    status_message_raw: str | None = None
    average_price: float = 0.0
    filled_quantity: int = 0
    cancelled_quantity: int = 0
    modifications: int = 0
    foreign: bool = False
    triggered: bool = False
    arrival: int = 0  # order of arrival in the market; a change of the order is a new arrival
    after: int = 0  # its instrument's print count at arrival: it meets the next print
    dry: int = 0  # the print whose displayed depth it has used up
    works_from: int = 0
    deadline: int = 0
    blocked: float = 0.0  # rupees of margin held for it
    reserved: int = 0  # quantity of it that closes a position
    history: list[dict[str, Any]] = field(default_factory=list)
    serials: list[int] = field(default_factory=list)  # rank of each row among the rows of all orders, for a judge

    def __post_init__(self) -> None:
        self.placed_us = self.us
        self.guid = f"{self.order_id[-6:]}X{self.order_id[:6]}"

    @property
    def buys(self) -> bool:
        return self.transaction_type == "BUY"

    @property
    def pending_quantity(self) -> int:
        """What may still trade."""
        return self.quantity - self.filled_quantity - self.cancelled_quantity

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def working(self) -> bool:
        return self.status in WORKING

    @property
    def is_stop(self) -> bool:
        """A stop that has not been triggered yet."""
        return self.order_type in ("SL", "SL-M") and not self.triggered

    @property
    def rests(self) -> bool:
        """A limit order that stands in the exchange's book."""
        return self.status == OPEN and self.price > 0 and self.order_type in ("LIMIT", "SL") and not self.is_stop

    def note(self, status: str, us: int, *, at_exchange: bool = False, shown: str | None = None) -> dict[str, Any]:
        """Pass to ``status`` and write the row; ``shown`` is written instead where the two differ."""
        self.status = status
        self.us = us
        if at_exchange:
            self.exchange_us = us
        row = self.row()
        if shown is not None:
            row["status"] = shown
        self.history.append(row)
        self.serials.append(next(_SERIALS))
        return row

    def row(self) -> dict[str, Any]:
        """The order as Kite shows it now."""
        exchange_text = kite_text(self.exchange_us) if self.exchange_us else None
        pending = self.cancelled_quantity if self.status == CANCELLED else self.pending_quantity
        return {
            "account_id": self.placed_by,
            "placed_by": self.placed_by,
            "order_id": self.order_id,
            "exchange_order_id": self.exchange_order_id,
            "parent_order_id": self.parent_order_id,
            "status": self.status,
            "status_message": self.status_message,
            "status_message_raw": self.status_message_raw,
            "order_timestamp": kite_text(self.us),
            "exchange_update_timestamp": exchange_text,
            "exchange_timestamp": exchange_text,
            "variety": self.variety,
            "modified": False,  # stays false on Kite even after a modification
            "exchange": self.listing.row.exchange,
            "tradingsymbol": self.listing.row.tradingsymbol,
            "instrument_token": self.listing.token,
            "order_type": self.order_type,
            "transaction_type": self.transaction_type,
            "validity": self.validity,
            "validity_ttl": self.validity_ttl,
            "product": self.product,
            "quantity": self.quantity,
            "disclosed_quantity": self.disclosed_quantity,
            "price": self.price,
            "trigger_price": self.trigger_price,
            "average_price": self.average_price,
            "filled_quantity": self.filled_quantity,
            "pending_quantity": 0 if self.status == REJECTED else pending,
            "cancelled_quantity": self.cancelled_quantity,
            "market_protection": self.market_protection,
            "meta": {"iceberg": dict(self.iceberg)} if self.iceberg else {},
            "tag": self.tag,
            "tags": [*([self.tag] if self.tag else []), *self.system_tags],
            "guid": self.guid,
        }

    def latest(self) -> dict[str, Any]:
        """Its row in the order book."""
        return self.history[-1]


def trade_row(order: Order, trade_id: str, quantity: int, price: float, us: int) -> dict[str, Any]:
    """One execution as ``GET /trades`` shows it."""
    text = kite_text(us)
    return {
        "trade_id": trade_id,
        "order_id": order.order_id,
        "exchange": order.listing.row.exchange,
        "tradingsymbol": order.listing.row.tradingsymbol,
        "instrument_token": order.listing.token,
        "product": order.product,
        "average_price": price,
        "quantity": quantity,
        "exchange_order_id": order.exchange_order_id,
        "transaction_type": order.transaction_type,
        "fill_timestamp": text,
        "order_timestamp": kite_text(order.placed_us - order.placed_us % SECOND)[-8:],
        "exchange_timestamp": text,
    }
