"""GTT: triggers that outlive the day, single or two-leg, and the orders that they place once.

A trigger watches prints only: it fires on the first one at or beyond its value, places an ordinary DAY order
(funds and holdings are asked then, not before) and is done, whether the order trades or is refused
(https://kite.trade/docs/connect/v3/gtt/ and Zerodha's samples). Which side a value lies on is told by the
``last_price`` of its condition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import orjson

from . import checks
from .checks import Terms
from .clock import DAY, day_of, kite_text, moment, stamp
from .entry import NO_PROTECTION
from .errors import Refusal, bad_input
from .instruments import InstrumentRow
from .listing import Listing
from .orders import Order

SINGLE, TWO_LEG = "single", "two-leg"
LEGS = {SINGLE: 1, TWO_LEG: 2}
ACTIVE, TRIGGERED, DISABLED, EXPIRED, DELETED = "active", "triggered", "disabled", "expired", "deleted"
SHOWN_DAYS = 7
_CHEAP = 50.0  # rupees: below it the least distance is in paise
_LEAST_PERCENT, _LEAST_RUPEES = 0.25, 0.09
_CURRENCY = ("CDS", "BCD")
_END = time(23, 59, 59)

Form = Mapping[str, str]
Place = Callable[[str, Form], Order]


class Trigger:
    """One GTT: its condition, its orders, what became of it."""

    __slots__ = ("created", "expires", "id", "last_price", "listing", "orders", "status", "type", "updated", "values")

    def __init__(self, number: int, listing: Listing, us: int) -> None:
        self.id = number
        self.listing = listing
        self.created = self.updated = us
        self.expires = us
        self.status = ACTIVE
        self.type = SINGLE
        self.values: list[float] = []
        self.last_price: float = 0.0
        self.orders: list[dict[str, Any]] = []

    def fired_by(self, price: float) -> int | None:
        """Index of the leg that a print at ``price`` sets off, if any."""
        for number, value in enumerate(self.values):
            if price >= value if value > self.last_price else price <= value:
                return number
        return None

    def row(self, user_id: str) -> dict[str, Any]:
        """Kite's object."""
        return {
            "id": self.id,
            "user_id": user_id,
            "parent_trigger": None,
            "type": self.type,
            "created_at": kite_text(self.created),
            "updated_at": kite_text(self.updated),
            "expires_at": kite_text(self.expires),
            "status": self.status,
            "condition": {
                "exchange": self.listing.row.exchange,
                "last_price": self.last_price,
                "tradingsymbol": self.listing.row.tradingsymbol,
                "trigger_values": list(self.values),
                "instrument_token": self.listing.token,
            },
            "orders": [dict(order) for order in self.orders],
            "meta": {},
        }


class Triggers:
    """The GTT book. ``place`` is the way of an order, ``terms`` what holds now."""

    def __init__(
        self,
        listings: Mapping[str, Listing],
        user_id: str,
        app_id: int,
        *,
        place: Place,
        terms: Callable[[], Terms],
        now: Callable[[], int],
    ) -> None:
        self._listings = listings
        self._user_id, self._app_id = user_id, app_id
        self._place, self._terms, self._now = place, terms, now
        self._all: dict[int, Trigger] = {}
        self._watched: dict[str, list[Trigger]] = {}
        self._serial = 100_000

    # the calls of the wire

    def create(self, form: Form) -> dict[str, int]:
        """``POST /gtt/triggers``."""
        most = self._terms().rules.gtt_active
        if sum(one.status == ACTIVE for one in self._all.values()) >= most:
            raise bad_input(f"You have reached the limit of {most} active GTTs.")
        trigger = self._read(form, self._serial + 1)
        self._serial += 1
        self._all[trigger.id] = trigger
        self._watch(trigger)
        return {"trigger_id": trigger.id}

    def modify(self, trigger_id: str, form: Form) -> dict[str, int]:
        """``PUT /gtt/triggers/{id}``: the full object anew."""
        known = self._live(trigger_id, "modified")
        changed = self._read(form, known.id)
        changed.created, changed.expires = known.created, known.expires
        self._forget(known)
        self._all[known.id] = changed
        self._watch(changed)
        return {"trigger_id": known.id}

    def get(self, trigger_id: str) -> dict[str, Any]:
        """``GET /gtt/triggers/{id}``."""
        return self._known(trigger_id).row(self._user_id)

    def rows(self) -> list[dict[str, Any]]:
        """``GET /gtt/triggers``: what is active, and what became of the others in the last seven days."""
        since = self._now() - SHOWN_DAYS * DAY
        return [
            one.row(self._user_id)
            for one in self._all.values()
            if one.status in (ACTIVE, DISABLED) or one.updated >= since
        ]

    def delete(self, trigger_id: str) -> dict[str, int]:
        """``DELETE /gtt/triggers/{id}``."""
        known = self._live(trigger_id, "deleted")
        self._close(known, DELETED)
        return {"trigger_id": known.id}

    # what the market does

    def on_prints(self, listings: Iterable[Listing]) -> None:
        """Prints were played: what they set off places its order, which meets the next print."""
        if not self._watched:
            return
        for listing in listings:
            for trigger in list(self._watched.get(listing.key, ())):
                leg = trigger.fired_by(listing.last)
                if leg is not None:
                    self._fire(trigger, leg)

    def on_roll(self) -> None:
        """A new day: who is too old expires."""
        now = self._now()
        for trigger in self._all.values():
            if trigger.status == ACTIVE and trigger.expires <= now:
                self._close(trigger, EXPIRED)

    def _fire(self, trigger: Trigger, leg: int) -> None:
        self._close(trigger, TRIGGERED)
        order = trigger.orders[leg]
        form = {name: str(value) for name, value in order.items() if name != "result" and value is not None}
        outcome: dict[str, Any] = {"status": "success", "order_id": "", "rejection_reason": ""}
        try:
            placed = self._place("regular", {**form, "validity": "DAY"})
        except Refusal as refusal:
            outcome.update(status="failed", rejection_reason=refusal.message)
        else:
            outcome["order_id"] = placed.order_id
        order["result"] = {
            "account_id": self._user_id,
            **{name: value for name, value in order.items() if name != "result"},
            "validity": "DAY",
            "meta": orjson.dumps({"app_id": self._app_id, "gtt": trigger.id}).decode(),
            "timestamp": kite_text(self._now()),
            "triggered_at": trigger.values[leg],
            "order_result": outcome,
        }

    # keeping

    def _known(self, trigger_id: str) -> Trigger:
        found = self._all.get(int(trigger_id)) if trigger_id.isdecimal() else None
        if found is None:
            raise Refusal(404, "GeneralException", "Trigger not found.")
        return found

    def _live(self, trigger_id: str, verb: str) -> Trigger:
        known = self._known(trigger_id)
        if known.status not in (ACTIVE, DISABLED):
            raise bad_input(f"Trigger cannot be {verb}: it is {known.status}.")
        return known

    def _watch(self, trigger: Trigger) -> None:
        if trigger.status == ACTIVE:
            self._watched.setdefault(trigger.listing.key, []).append(trigger)

    def _forget(self, trigger: Trigger) -> None:
        watched = self._watched.get(trigger.listing.key, [])
        if trigger in watched:
            watched.remove(trigger)
        if not watched:
            self._watched.pop(trigger.listing.key, None)

    def _close(self, trigger: Trigger, status: str) -> None:
        trigger.status = status
        trigger.updated = self._now()
        self._forget(trigger)

    # reading

    def _read(self, form: Form, number: int) -> Trigger:
        kind = form.get("type", "")
        if kind not in LEGS:
            raise bad_input("Invalid `type`.")
        condition, orders = _object(form, "condition", dict), _object(form, "orders", list)
        listing = self._listing(condition)
        trigger = Trigger(number, listing, self._now())
        trigger.type = kind
        trigger.last_price = _amount(condition, "last_price")
        values = condition.get("trigger_values")
        if not isinstance(values, list) or len(values) != LEGS[kind] or not all(map(_is_price, values)):
            raise bad_input("Invalid `trigger_values`.")
        trigger.values = values
        if len(orders) != LEGS[kind] or not all(isinstance(order, dict) for order in orders):
            raise bad_input("Invalid `orders`.")
        trigger.orders = [self._order(order, listing) for order in orders]
        self._check_values(trigger)
        if kind == TWO_LEG and not listing.row.is_derivative and any(o["transaction_type"] == "BUY" for o in orders):
            raise bad_input("Two-leg triggers to buy are allowed for futures and options only.")
        trigger.expires = _expiry(listing.row, trigger.created)
        if any(_too_near(value, trigger.last_price) for value in trigger.values):
            trigger.status = DISABLED
        return trigger

    def _listing(self, condition: Mapping[str, Any]) -> Listing:
        listing = self._listings.get(f"{condition.get('exchange')}:{condition.get('tradingsymbol')}")
        if listing is None or listing.row.is_index:
            raise bad_input("The instrument you are placing an order for has either expired or does not exist.")
        if listing.row.exchange in _CURRENCY:
            raise bad_input("GTT is not available for currency derivatives.")
        checks.check_exchange(listing.row)
        return listing

    def _order(self, given: Mapping[str, Any], listing: Listing) -> dict[str, Any]:
        """One leg as it is kept: Kite's keys, with room for what comes of it."""
        row = listing.row
        if (given.get("exchange"), given.get("tradingsymbol")) != (row.exchange, row.tradingsymbol):
            raise bad_input("Invalid `orders`: they must be for the instrument of the condition.")
        if given.get("transaction_type") not in ("BUY", "SELL"):
            raise bad_input("Invalid `transaction_type`.")
        order_type = given.get("order_type")
        market = order_type == "MARKET" and self._terms().rules.gtt_market
        if order_type != "LIMIT" and not market:
            raise bad_input("Invalid `order_type`.")
        quantity = given.get("quantity")
        if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity <= 0 or quantity % row.lot_size:
            raise bad_input("Invalid `quantity`.")
        most = checks.freeze_quantity(row, self._terms().rules)
        if "freeze" in self._terms().enforced and most and quantity > most:
            raise bad_input(f"Invalid `quantity`: the most that one order may have is {most}.")
        price = given.get("price", 0)
        if order_type == "LIMIT" and not _is_price(price):
            raise bad_input("Invalid `price`.")
        kept = {
            "exchange": row.exchange,
            "tradingsymbol": row.tradingsymbol,
            "product": _product(given, row),
            "order_type": order_type,
            "transaction_type": given["transaction_type"],
            "quantity": quantity,
            "price": price,
        }
        if market:
            protection = given.get("market_protection", 0)
            if protection != -1 and not (_is_price(protection) and protection <= 100):
                raise bad_input(NO_PROTECTION)
            kept["market_protection"] = protection
        return {**kept, "result": None}

    @staticmethod
    def _check_values(trigger: Trigger) -> None:
        """Texts: Kite forum c/45755; that of the first value mirrors that of the second."""
        if trigger.last_price in trigger.values:
            raise bad_input("Trigger cannot be created with one of the trigger values equal to the last price.")
        if trigger.type != TWO_LEG:
            return
        first, second = trigger.values
        if second < trigger.last_price:
            raise bad_input("Trigger cannot be created with the second trigger price less than the last price.")
        if first > trigger.last_price:
            raise bad_input("Trigger cannot be created with the first trigger price more than the last price.")


def _object(form: Form, name: str, kind: type) -> Any:
    try:
        value = orjson.loads(form.get(name, ""))
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise bad_input(f"Invalid `{name}`.")
    return value


def _is_price(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _amount(condition: Mapping[str, Any], name: str) -> float:
    """A price as it was written: Kite's own rows have whole ones without a point."""
    value: Any = condition.get(name)
    if not _is_price(value):
        raise bad_input(f"Invalid `{name}`.")
    amount: float = value
    return amount


def _product(given: Mapping[str, Any], row: InstrumentRow) -> str:
    """A trigger outlives the day, so an intraday product is none of its own."""
    product = str(given.get("product") or "")
    allowed: Sequence[str] = ("NRML",) if row.is_derivative else ("CNC", "MTF")
    if product == "MIS":
        raise bad_input(f"Invalid `product`: a GTT is placed with {' or '.join(allowed)}, not with MIS.")
    if product not in allowed:
        raise bad_input("Invalid `product`.")
    return product


def _too_near(value: float, last: float) -> bool:
    """Kite disables what would fire at once."""
    distance = abs(value - last)
    return distance < last * _LEAST_PERCENT / 100 - 1e-9 if last > _CHEAP else distance < _LEAST_RUPEES - 1e-9


def _expiry(row: InstrumentRow, created: int) -> int:
    """A year, or the end of the contract's last day."""
    if row.expiry is not None:
        return stamp(datetime.combine(row.expiry, _END))
    begun = moment(created)
    day: date = day_of(created)
    last = date(day.year + 1, day.month, 28) if (day.month, day.day) == (2, 29) else day.replace(year=day.year + 1)
    return stamp(datetime.combine(last, begun.time()))
