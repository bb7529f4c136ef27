"""Alerts and alert-triggered orders (ATO), kept as Kite keeps them.

They are stored, changed, deleted and counted, and a crossing writes a row of history. Nothing else follows:
no message on the stream or by postback (so on Kite too), and the basket of an ATO is not placed here.
"""

from __future__ import annotations

import hashlib
import operator
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from .clock import kite_text
from .errors import Refusal, bad_input
from .listing import Listing

MAX_ENABLED = 500
KINDS = ("simple", "ato")
STATUSES = ("enabled", "disabled", "deleted")
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}
ATTRIBUTE = "LastTradedPrice"
_PARAMS: Mapping[str, Any] = {
    "validity": "DAY",
    "validity_ttl": 0,
    "variety": "regular",
    "product": "CNC",
    "order_type": "LIMIT",
    "transaction_type": "BUY",
    "quantity": 0,
    "disclosed_quantity": 0,
    "price": 0,
    "trigger_price": 0,
    "squareoff": 0,
    "stoploss": 0,
    "trailing_stoploss": 0,
    "gtt": {"target": 0, "stoploss": 0},
    "tags": [],
}

Form = Mapping[str, str]


class Alert:
    """One alert: its row, the instruments it watches, and what it saw last."""

    def __init__(self, row: dict[str, Any], left: Listing, right: Listing | None, basket: dict[str, Any] | None):
        self.row = row
        self.left = left
        self.right = right
        self.basket = basket
        self.held = False
        self.history: list[dict[str, Any]] = []

    def full(self) -> dict[str, Any]:
        """Its row with the basket, as lists show it."""
        return self.row if self.basket is None else {**self.row, "basket": self.basket}

    def holds(self) -> bool:
        """True if its condition is met now."""
        value = self.right.last if self.right is not None else float(self.row["rhs_constant"])
        return bool(self.left.last and value and OPERATORS[self.row["operator"]](self.left.last, value))

    @property
    def condition(self) -> str:
        """In Kite's words."""
        row = self.row
        right = f"{row['rhs_constant']:g}"
        if self.right is not None:
            right = f'{row["rhs_attribute"]}("{row["rhs_exchange"]}:{row["rhs_tradingsymbol"]}")'
        return f'{row["lhs_attribute"]}("{row["lhs_exchange"]}:{row["lhs_tradingsymbol"]}") {row["operator"]} {right}'


class Alerts:
    """All alerts of the account, oldest first."""

    def __init__(self, listings: Mapping[str, Listing], user_id: str) -> None:
        self._listings = listings
        self._indices = {listing.row.tradingsymbol: listing for listing in listings.values() if listing.row.is_index}
        self._user_id = user_id
        self._alerts: dict[str, Alert] = {}
        self._watched: dict[Listing, list[Alert]] = {}

    # calls

    def create(self, form: Form, now: int) -> dict[str, Any]:
        """``POST /alerts``."""
        if sum(alert.row["status"] == "enabled" for alert in self._alerts.values()) >= MAX_ENABLED:
            raise bad_input(f"Maximum of {MAX_ENABLED} active alerts are allowed.")
        serial = hashlib.sha256(f"{self._user_id}:{len(self._alerts)}".encode()).digest()[:16]
        name = str(uuid.UUID(bytes=serial, version=4))
        alert = self._read(form, name, kite_text(now), now)
        self._alerts[name] = alert
        self._watch()
        return alert.row

    def replace(self, name: str, form: Form, now: int) -> dict[str, Any]:
        """``PUT /alerts/{uuid}``: the whole alert anew."""
        before = self.get(name)
        alert = self._read(form, name, before.row["created_at"], now)
        alert.row["alert_count"] = before.row["alert_count"]
        alert.history = before.history
        self._alerts[name] = alert
        self._watch()
        return alert.row

    def delete(self, names: Iterable[str], now: int) -> None:
        """``DELETE /alerts``: several at once."""
        found = [self.get(name) for name in names]
        if not found:
            raise bad_input("Missing `uuid`.")
        for alert in found:
            alert.row.update(status="deleted", updated_at=kite_text(now))
        self._watch()

    def get(self, name: str) -> Alert:
        """The alert, or a refusal."""
        alert = self._alerts.get(name)
        if alert is None or alert.row["status"] == "deleted":
            raise Refusal(404, "GeneralException", "Couldn't find that `uuid`.")
        return alert

    def rows(self, status: str, page: int, page_size: int) -> list[dict[str, Any]]:
        """``GET /alerts``; without a status all that are not deleted; pages count from one."""
        if status and status not in STATUSES:
            raise bad_input("Invalid `status`.")
        rows = [
            alert.full()
            for alert in self._alerts.values()
            if (alert.row["status"] == status if status else alert.row["status"] != "deleted")
        ]
        first = (max(page, 1) - 1) * page_size
        return rows[first : first + page_size] if page_size else rows

    # reading a form

    def _read(self, form: Form, name: str, created_at: str, now: int) -> Alert:
        for needed in ("name", "type", "lhs_exchange", "lhs_tradingsymbol", "operator", "rhs_type"):
            if not form.get(needed):
                raise bad_input(f"Missing `{needed}`.")
        for field, choices in (("type", KINDS), ("operator", OPERATORS), ("rhs_type", ("constant", "instrument"))):
            if form[field] not in choices:
                raise bad_input(f"Invalid `{field}`.")
        left = self._find(form, "lhs")
        right, constant = None, 0.0
        if form["rhs_type"] == "instrument":
            right = self._find(form, "rhs")
        else:
            try:
                constant = float(form.get("rhs_constant", ""))
            except ValueError:
                raise bad_input("Invalid `rhs_constant`.") from None
        row = {
            "type": form["type"],
            "user_id": self._user_id,
            "uuid": name,
            "name": form["name"],
            "status": "enabled",
            "disabled_reason": "",
            "lhs_attribute": form.get("lhs_attribute") or ATTRIBUTE,
            "lhs_exchange": form["lhs_exchange"],
            "lhs_tradingsymbol": form["lhs_tradingsymbol"],
            "operator": form["operator"],
            "rhs_type": form["rhs_type"],
            "rhs_attribute": form.get("rhs_attribute") or (ATTRIBUTE if right is not None else ""),
            "rhs_exchange": form.get("rhs_exchange", ""),
            "rhs_tradingsymbol": form.get("rhs_tradingsymbol", ""),
            "rhs_constant": constant,
            "alert_count": 0,
            "created_at": created_at,
            "updated_at": kite_text(now),
        }
        basket = self._basket(form) if form["type"] == "ato" else None
        alert = Alert(row, left, right, basket)
        alert.held = alert.holds()
        return alert

    def _find(self, form: Form, side: str) -> Listing:
        exchange, symbol = form.get(f"{side}_exchange", ""), form.get(f"{side}_tradingsymbol", "")
        found = self._indices.get(symbol) if exchange == "INDICES" else self._listings.get(f"{exchange}:{symbol}")
        if found is None:
            raise bad_input(f"Invalid `{side}_tradingsymbol`.")
        if form.get(f"{side}_attribute", ATTRIBUTE) != ATTRIBUTE:
            raise bad_input(f"Invalid `{side}_attribute`.")
        return found

    def _basket(self, form: Form) -> dict[str, Any]:
        try:
            items = orjson.loads(form.get("basket", ""))["items"]
            rows = [self._item(at, item) for at, item in enumerate(items, 1)]
        except (ValueError, KeyError, TypeError):
            raise bad_input("Invalid `basket`.") from None
        if not rows:
            raise bad_input("Invalid `basket`.")
        return {"items": rows}

    def _item(self, at: int, item: Mapping[str, Any]) -> dict[str, Any]:
        listing = self._listings[f"{item['exchange']}:{item['tradingsymbol']}"]
        return {
            "id": 100_000_000 + len(self._alerts) * 100 + at,
            "tradingsymbol": listing.row.tradingsymbol,
            "exchange": listing.row.exchange,
            "instrument_token": listing.token,
            "weight": int(item.get("weight", 10_000)),
            "params": {**_PARAMS, **dict(item["params"])},
        }

    # watching

    def _watch(self) -> None:
        self._watched = {}
        for alert in self._alerts.values():
            if alert.row["status"] == "enabled":
                for listing in (alert.left, alert.right):
                    if listing is not None:
                        self._watched.setdefault(listing, []).append(alert)

    def look(self, printed: Iterable[Listing], now: int) -> None:
        """Prices changed: a condition that is met and was not before goes into the alert's history."""
        if not self._watched:
            return
        for listing in printed:
            for alert in self._watched.get(listing, ()):
                before, alert.held = alert.held, alert.holds()
                if alert.held and not before:
                    alert.row["alert_count"] += 1
                    alert.history.insert(0, _seen(alert, now))


def _seen(alert: Alert, now: int) -> dict[str, Any]:
    """A row of an alert's history."""
    listing, close = alert.left, alert.left.previous_close
    bids, asks = ([], []) if listing.row.is_index else listing.depth()
    lower, upper = (0.0, 0.0) if listing.row.is_index else listing.circuit()
    meta = {
        "instrument_token": listing.token,
        "tradingsymbol": listing.row.tradingsymbol,
        "timestamp": kite_text(now),
        "last_price": listing.last,
        "ohlc": {"open": listing.open, "high": listing.high, "low": listing.low, "close": close},
        "net_change": round(listing.last - close, 7) if close else 0,
        "exchange": alert.row["lhs_exchange"],
        "last_trade_time": "0001-01-01 00:00:00" if listing.row.is_index else kite_text(listing.last_us),
        "last_quantity": listing.last_quantity,
        "buy_quantity": sum(level[1] for level in bids),
        "sell_quantity": sum(level[1] for level in asks),
        "volume": listing.volume,
        "volume_tick": 0,
        "average_price": 0 if listing.row.is_index else round(listing.average, 4),
        "oi": listing.oi,
        "oi_day_high": listing.oi_high,
        "oi_day_low": listing.oi_low,
        "lower_circuit_limit": lower,
        "upper_circuit_limit": upper,
    }
    return {
        "uuid": alert.row["uuid"],
        "type": alert.row["type"],
        "meta": [meta],
        "condition": alert.condition,
        "created_at": kite_text(now),
        "order_meta": None,
    }
