"""Positions by the formulas that hold in Kite's own samples.

The average is that of the whole side, not first in first out; ``unrealised == pnl`` and ``realised == 0`` in
every row; ``m2m`` counts a carried leg at its last close; ``close_price`` is 0 in a row that was opened today;
flat rows stay for the day; products never net against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .listing import Listing
from .margins import Leg

FUNDED = ("CNC", "MTF")


def exact(rupees: float) -> float:
    """Free of the noise of float sums: nothing on an Indian exchange is finer than a hundredth of a paisa."""
    return round(rupees, 4)


def figures(
    *,
    multiplier: float,
    last_price: float,
    close_price: float,
    overnight_quantity: int,
    overnight_value: float,
    day_buy_quantity: int,
    day_buy_value: float,
    day_sell_quantity: int,
    day_sell_value: float,
) -> dict[str, Any]:
    """The derived figures of a row from what was carried and what was traded today.

    Quantities are positive but for ``overnight_quantity``; values in rupees, positive.
    """
    carried_long = max(overnight_quantity, 0)
    carried_short = max(-overnight_quantity, 0)
    bought = day_buy_quantity + carried_long
    sold = day_sell_quantity + carried_short
    bought_value = exact(day_buy_value + (overnight_value if carried_long else 0.0))
    sold_value = exact(day_sell_value + (overnight_value if carried_short else 0.0))
    quantity = bought - sold
    worth = quantity * last_price * multiplier
    buy_m2m = exact(day_buy_value + carried_long * close_price * multiplier)
    sell_m2m = exact(day_sell_value + carried_short * close_price * multiplier)
    buy_price = _each(bought_value, bought, multiplier)
    sell_price = _each(sold_value, sold, multiplier)
    value = exact(sold_value - bought_value)
    pnl = exact(value + worth)
    return {
        "quantity": quantity,
        "overnight_quantity": overnight_quantity,
        "multiplier": multiplier,
        "average_price": (buy_price if quantity > 0 else sell_price) if quantity else 0.0,
        "close_price": close_price,
        "last_price": last_price,
        "value": value,
        "pnl": pnl,
        "m2m": exact(sell_m2m - buy_m2m + worth),
        "unrealised": pnl,
        "realised": 0,
        "buy_quantity": bought,
        "buy_price": buy_price,
        "buy_value": bought_value,
        "buy_m2m": buy_m2m,
        "sell_quantity": sold,
        "sell_price": sell_price,
        "sell_value": sold_value,
        "sell_m2m": sell_m2m,
        "day_buy_quantity": day_buy_quantity,
        "day_buy_price": _each(day_buy_value, day_buy_quantity, multiplier),
        "day_buy_value": day_buy_value,
        "day_sell_quantity": day_sell_quantity,
        "day_sell_price": _each(day_sell_value, day_sell_quantity, multiplier),
        "day_sell_value": day_sell_value,
    }


def _each(value: float, quantity: int, units: float) -> float:
    return value / quantity / units if quantity else 0.0


@dataclass(slots=True, eq=False)
class Position:
    """One row. Quantities are signed only in ``overnight``; values in rupees, positive.

    ``overnight_value`` is what the carried leg cost; ``settled_value`` what the ledger has it at: futures are
    settled each day at their close, so there the two part.
    """

    listing: Listing
    product: str
    overnight: int = 0
    overnight_value: float = 0.0
    settled_value: float = 0.0
    close_price: float = 0.0
    buy_quantity: int = 0
    buy_value: float = 0.0
    sell_quantity: int = 0
    sell_value: float = 0.0

    @property
    def quantity(self) -> int:
        """Net, signed."""
        return self.overnight + self.buy_quantity - self.sell_quantity

    @property
    def is_future(self) -> bool:
        return self.listing.row.is_derivative and not self.listing.row.is_option

    @property
    def pays_in_full(self) -> bool:
        """Cash moves at once (delivery, options), instead of a margin."""
        return self.product in FUNDED or self.listing.row.is_option

    def _sides(self, carried: float) -> tuple[int, float, int, float]:
        """Quantity and value bought, quantity and value sold, the carried leg at ``carried`` rupees included."""
        if self.overnight > 0:
            return self.buy_quantity + self.overnight, self.buy_value + carried, self.sell_quantity, self.sell_value
        return self.buy_quantity, self.buy_value, self.sell_quantity - self.overnight, self.sell_value + carried

    @property
    def average_price(self) -> float:
        """Rupees; the plain average of the open side."""
        bought, bought_value, sold, sold_value = self._sides(self.overnight_value)
        quantity = bought - sold
        if quantity == 0:
            return 0.0
        value, count = (bought_value, bought) if quantity > 0 else (sold_value, sold)
        return _each(value, count, self.listing.row.multiplier)

    @property
    def realised(self) -> float:
        """Rupees made or lost on what is closed, since the ledger was last settled."""
        bought, bought_value, sold, sold_value = self._sides(self.settled_value)
        if bought == sold:
            return exact(sold_value - bought_value)
        closed = min(bought, sold)
        return exact(closed * (sold_value / sold - bought_value / bought)) if closed else 0.0

    @property
    def open_value(self) -> float:
        """Rupees, signed: what the open part stands at in the ledger's eyes."""
        _, bought_value, _, sold_value = self._sides(self.settled_value)
        return exact(bought_value - sold_value + self.realised)

    def cash_flow(self) -> float:
        """Rupees that today's trades brought in."""
        return exact(self.sell_value - self.buy_value) if self.pays_in_full else self.realised

    def unrealised(self) -> float:
        """Rupees that the open part is worth beyond what the ledger has it at; of options and shares: its worth."""
        worth = self.quantity * self.listing.last * self.listing.row.multiplier
        return exact(worth if self.pays_in_full else worth - self.open_value)

    def leg(self) -> Leg:
        """As the margin rules see it."""
        return Leg(self.listing.row, self.product, self.quantity, self.average_price)

    def book(self, buys: bool, quantity: int, value: float) -> None:
        """Add ``quantity`` traded for ``value`` rupees (both may be negative: taken out)."""
        if buys:
            self.buy_quantity += quantity
            self.buy_value = exact(self.buy_value + value)
        else:
            self.sell_quantity += quantity
            self.sell_value = exact(self.sell_value + value)

    def absorb(self, other: Position) -> None:
        """Take over all legs of ``other``, so that the sums stay."""
        self.book(True, other.buy_quantity, other.buy_value)
        self.book(False, other.sell_quantity, other.sell_value)
        if other.overnight:
            self.take_carried(other, other.overnight)

    def take_carried(self, other: Position, quantity: int) -> None:
        """Take over ``quantity`` (signed) of the carried leg of ``other``.

        Where it is paid for here but was not there, it is bought today at what the ledger has it at; so is
        what goes against a carried leg on margin. Options that meet their like cancel out: they are paid for.
        """
        count, whole = abs(quantity), abs(other.overnight)
        value = exact(other.overnight_value * count / whole)
        settled = exact(other.settled_value * count / whole)
        other.overnight -= quantity
        other.overnight_value = exact(other.overnight_value - value)
        other.settled_value = exact(other.settled_value - settled)
        against = self.overnight * quantity < 0
        if self.pays_in_full != other.pays_in_full or (against and not self.pays_in_full):
            self.book(quantity > 0, count, settled)
            return
        if against:
            mine = abs(self.overnight)
            if mine >= count:
                value = settled = -exact(self.overnight_value * count / mine)
            else:
                value = settled = exact(value * (count - mine) / count - self.overnight_value)
        self.overnight += quantity
        self.overnight_value = exact(self.overnight_value + value)
        self.settled_value = exact(self.settled_value + settled)
        self.close_price = other.close_price

    def row(self, *, day_only: bool = False) -> dict[str, Any]:
        """Kite's row; ``day_only`` is the one of the ``day`` list, without the overnight leg."""
        instrument = self.listing.row
        return {
            "tradingsymbol": instrument.tradingsymbol,
            "exchange": instrument.exchange,
            "instrument_token": instrument.instrument_token,
            "product": self.product,
            **figures(
                multiplier=instrument.multiplier,
                last_price=self.listing.path,
                close_price=self.close_price,
                overnight_quantity=0 if day_only else self.overnight,
                overnight_value=0.0 if day_only else self.overnight_value,
                day_buy_quantity=self.buy_quantity,
                day_buy_value=self.buy_value,
                day_sell_quantity=self.sell_quantity,
                day_sell_value=self.sell_value,
            ),
        }


def carried(position: Position, day_flow: float) -> Position:
    """What is left of a margined or option position on the next day; ``day_flow`` is what the ledger was given.

    A future stands in the ledger at its close from now on; anything else at what it cost less what was given.
    """
    units = position.listing.row.multiplier
    kept = Position(position.listing, position.product)
    kept.overnight = quantity = position.quantity
    kept.close_price = position.listing.last
    kept.overnight_value = exact(position.average_price * abs(quantity) * units)
    if position.is_future:
        kept.settled_value = exact(abs(quantity) * kept.close_price * units)
    elif position.pays_in_full:
        kept.settled_value = kept.overnight_value
    else:
        _, bought_value, _, sold_value = position._sides(position.settled_value)
        kept.settled_value = exact(abs(bought_value - sold_value + day_flow))
    return kept
