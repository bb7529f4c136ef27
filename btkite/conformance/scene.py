"""What the suite knows of the market it is in: an instrument, its price, and prices near it."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from socket import socket
from typing import Any

from .wire import Wire

Seen = AsyncIterator[tuple[str, str, Any]]
"""A sample's name, what was asked, and the answer's data."""

NAMED = ("index", "currency", "commodity")
"""Fields of a scene without which some packets cannot be tried."""
_DUMP_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Judged:
    """What was seen, judged already: in which sentences it differs."""

    deviations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Untried:
    """What cannot be seen, because of what the account is and not of what the server does."""

    why: str


@dataclass
class Scene:
    """``key`` is the EXCHANGE:TRADINGSYMBOL that is traded, a share or two of it; ``derivative`` one that is sliced.

    ``index``, ``currency`` (a contract of CDS) and ``commodity`` (one of NCO or BCD) are only streamed and quoted.
    ``api_secret``, if it is known, lets the suite log in; ``postbacks`` is a bound socket to which the app's postback
    address leads; ``lacks`` names what the server is known not to offer.
    """

    wire: Wire
    key: str = "NSE:INFY"
    derivative: str = ""
    api_secret: str = field(default="", repr=False)
    lacks: frozenset[str] = frozenset()
    last: float = 0.0
    tick: float = 0.05
    token: int = 0
    now: datetime | None = None
    index: str = ""
    currency: str = ""
    commodity: str = ""
    postbacks: socket | None = field(default=None, repr=False)

    @property
    def exchange(self) -> str:
        return self.key.partition(":")[0]

    @property
    def symbol(self) -> str:
        return self.key.partition(":")[2]

    def names(self, need: str) -> bool:
        """False if ``need`` is an instrument that was not named."""
        return need not in NAMED or bool(getattr(self, need))

    async def quote(self, key: str) -> dict[str, Any]:
        """The REST quote of an instrument."""
        row: dict[str, Any] = (await self.wire.data("GET", "/quote", query=[("i", key)]))[key]
        return row

    async def look(self) -> None:
        """Read the instrument's price and row; everything after it needs them."""
        dump = await (await self.wire.ask("GET", f"/instruments/{self.exchange}")).text()
        for row in csv.DictReader(io.StringIO(dump)):
            if row["tradingsymbol"] == self.symbol:
                self.token, self.tick = int(row["instrument_token"]), float(row["tick_size"])
        quote = await self.quote(self.key)
        self.last = float(quote["last_price"])
        self.now = datetime.strptime(quote["timestamp"], _DUMP_TIME)

    def near(self, factor: float) -> float:
        """The last price times ``factor``, on the tick, ₹."""
        return round(round(self.last * factor / self.tick) * self.tick, 4)

    def order(self, **changes: Any) -> dict[str, str]:
        """The form of a small LIMIT order far enough below the market to rest."""
        form = {
            "exchange": self.exchange,
            "tradingsymbol": self.symbol,
            "transaction_type": "BUY",
            "order_type": "LIMIT",
            "quantity": 1,
            "product": "MIS",
            "validity": "DAY",
            "price": self.near(0.99),
            "tag": "conformance",
        }
        return {name: str(value) for name, value in {**form, **changes}.items()}

    def past(self, days: int) -> dict[str, str]:
        """``from`` and ``to`` of the last ``days`` days."""
        end = self.now or datetime(2026, 1, 1)
        return {"from": f"{end - timedelta(days=days):%Y-%m-%d %H:%M:%S}", "to": f"{end:%Y-%m-%d %H:%M:%S}"}
