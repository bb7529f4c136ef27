"""Tally: what was carried and what was traded today, by instrument and product, and what it has made so far.

Written to at each fill and at nothing else: a night costs a comparison of two dates, a bar nothing. A row is brought to
the day when it is looked at. Averages that decide on money are backtrader's; what is carried over a night also has
Kite's, the plain average of the whole side, because its positions count from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from ..orders.reconcile import DELIVERED

Key = tuple[str, str]
"""Instrument and product."""


class Row(NamedTuple):
    """``day``: the session that the figures of a day are of · ``quantity``, ``average``, ``realized``: as in the
    ledger, of this product alone · ``overnight``: units carried (signed), ``overnight_value``: ₹ that they cost
    (positive), ``close``: the last price before the day, 0 if nothing was carried · values in ₹, positive."""

    day: date = date.min
    multiplier: float = 1.0
    quantity: int = 0
    average: float = 0.0
    realized: float = 0.0
    charges: float = 0.0
    overnight: int = 0
    overnight_value: float = 0.0
    close: float = 0.0
    bought: int = 0
    bought_value: float = 0.0
    sold: int = 0
    sold_value: float = 0.0
    day_realized: float = 0.0
    day_charges: float = 0.0

    def traded(self, size: int, price: float, charges: float) -> Row:
        """After an execution of ``size`` (signed) at ``price``, which added ``charges`` ₹."""
        quantity, average, closed = _position(self.quantity, self.average, size, price)
        gain = -closed * (price - self.average) * self.multiplier if closed else 0.0
        worth = abs(size) * price * self.multiplier
        return self._replace(
            quantity=quantity,
            average=average,
            realized=self.realized + gain,
            charges=self.charges + charges,
            bought=self.bought + max(size, 0),
            bought_value=self.bought_value + (worth if size > 0 else 0.0),
            sold=self.sold + max(-size, 0),
            sold_value=self.sold_value + (worth if size < 0 else 0.0),
            day_realized=self.day_realized + gain,
            day_charges=self.day_charges + charges,
        )

    def carried_to(self, day: date, close: float, *, delivered: bool) -> Row:
        """The morning of ``day``; ``delivered``: it is a holding from now on, not a position."""
        return self._replace(
            day=day,
            overnight=self.quantity,
            overnight_value=(self._cost_of_shares() if delivered else self._cost()) if self.quantity else 0.0,
            close=close if self.quantity else 0.0,
            bought=0,
            bought_value=0.0,
            sold=0,
            sold_value=0.0,
            day_realized=0.0,
            day_charges=0.0,
        )

    def _cost(self) -> float:
        """₹ of what is open, at the average of all that was carried and traded on its side."""
        long = self.quantity > 0
        carried = abs(self.overnight) if (self.overnight > 0) == long else 0
        units = carried + (self.bought if long else self.sold)
        value = (self.overnight_value if carried else 0.0) + (self.bought_value if long else self.sold_value)
        return value / units * abs(self.quantity)

    def _cost_of_shares(self) -> float:
        """₹ of a holding: what comes in adds its price, what goes out takes its part."""
        net = self.bought - self.sold
        if net > 0 and self.overnight >= 0:
            return self.overnight_value + net * self.bought_value / self.bought
        if net <= 0 < self.overnight and self.quantity > 0:
            return self.overnight_value * self.quantity / self.overnight
        return self._cost()


class Tally:
    """All rows of one account; Cerebro's thread only."""

    def __init__(self) -> None:
        self.day = date.min
        self._rows: dict[Key, Row] = {}
        self._written: dict[str, tuple[Any, ...]] = {}  # the rows as they are written down: each is made once
        self._closes: Mapping[str, float] = {}
        self.found: dict[str, float] = {}
        """The closes before this session that feeds have shown, by instrument: looked for once a day."""

    def turn(self, day: date, closes: Mapping[str, float]) -> None:
        """A session begins; ``closes``: the last prices of what is held, by instrument."""
        if day > self.day:
            self.day, self._closes = day, closes
            self.found.clear()

    def fill(self, key: str, product: str, multiplier: float, size: int, price: float, charges: float) -> None:
        """``size`` units (signed) traded at ``price`` ₹; ``charges``: ₹ that it added."""
        row = self.row(key, product)
        if row.multiplier != multiplier:
            row = row._replace(multiplier=multiplier)
        self._put(key, product, row.traded(size, price, charges))

    def convert(self, key: str, product: str, into: str) -> None:
        """What is held of a product is of another from now on, with its cost; what it has made stays."""
        old, new = self.row(key, product), self.row(key, into)
        moved = old.quantity
        if not moved:
            return
        way = 1 if moved > 0 else -1
        carried = way * min(abs(moved), max(old.overnight * way, 0))
        cost = old.overnight_value * carried / old.overnight if carried else 0.0
        today = moved - carried  # of today's trades, at the average of their side
        units, worth = (old.bought, old.bought_value) if way > 0 else (old.sold, old.sold_value)
        value = worth * abs(today) / units if today else 0.0
        quantity, average, _ = _position(new.quantity, new.average, moved, old.average)
        left = _moved(old, -1, today, value, carried, cost)._replace(quantity=0, average=0.0)
        grown = _moved(new, 1, today, value, carried, cost)._replace(
            multiplier=old.multiplier, quantity=quantity, average=average, close=old.close if carried else new.close
        )
        self._put(key, product, left)
        self._put(key, into, grown)

    def _put(self, key: str, product: str, row: Row) -> None:
        self._rows[key, product] = row
        self._written[f"{key} {product}"] = (row.day.isoformat(), *row[1:])

    def row(self, key: str, product: str) -> Row:
        """As it is today."""
        found = self._rows.get((key, product))
        if found is None:
            return Row(self.day)
        if found.day >= self.day:
            return found
        return found.carried_to(self.day, self._closes.get(key, 0.0), delivered=product in DELIVERED)

    def rows(self) -> dict[Key, Row]:
        """All of them, as they are today, in the order of their names."""
        return {(key, product): self.row(key, product) for key, product in sorted(self._rows)}

    # -- restarts -----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "day": self.day.isoformat(),
            "closes": dict(self._closes),
            "rows": dict(self._written),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What :meth:`state` was."""
        self.day = date.fromisoformat(saved["day"])
        self._closes = dict(saved["closes"])
        for name, (day, *figures) in saved["rows"].items():
            key, _, product = name.rpartition(" ")
            self._put(key, product, Row(date.fromisoformat(day), *figures))

    def adopt(self, key: str, product: str, quantity: int, average: float, multiplier: float, since: date) -> None:
        """A position of which only this much is known: of an account that was written down without its rows."""
        value = abs(quantity) * average * multiplier
        row = Row(since, multiplier, quantity, average)
        if quantity > 0:
            row = row._replace(bought=quantity, bought_value=value)
        else:
            row = row._replace(sold=-quantity, sold_value=value)
        self._put(key, product, row)
        self.day = max(self.day, since)


def _position(old: int, average: float, size: int, price: float) -> tuple[int, float, int]:
    """backtrader's ``Position.update``: units, their average, and what was closed (with the sign of ``size``)."""
    new = old + size
    if not new:
        return 0, 0.0, size
    if not old:
        return new, price, 0
    if (old > 0) == (size > 0):
        return new, (average * old + size * price) / new, 0
    if (old > 0) == (new > 0):
        return new, average, size
    return new, price, -old


def _moved(row: Row, way: int, today: int, value: float, carried: int, cost: float) -> Row:
    """With (``way`` 1) or without (−1) ``today`` units (signed) of today's trades, worth ``value`` ₹, and ``carried``
    ones that cost ``cost``."""
    row = row._replace(overnight=row.overnight + way * carried, overnight_value=row.overnight_value + way * cost)
    if today > 0:
        return row._replace(bought=row.bought + way * today, bought_value=row.bought_value + way * value)
    return row._replace(sold=row.sold - way * today, sold_value=row.sold_value + way * value)
