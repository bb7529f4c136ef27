"""Mutual funds in Kite's shapes: orders and instalment plans are stored, but nothing is bought or sold.

Kite takes no fund orders by its API either (https://kite.trade/docs/connect/v3/mutual-funds/); the
official client still has the calls, and what it stores here can be listed, changed and cancelled.
"""

from __future__ import annotations

import csv
import hashlib
import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .clock import kite_text
from .errors import bad_input
from .refusals import unknown_order

FREQUENCIES = ("weekly", "monthly", "quarterly")
SIP_STATES = ("active", "paused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fund:
    """One row of the funds' dump; ``tradingsymbol`` is its ISIN, amounts in rupees, quantities in units."""

    tradingsymbol: str
    amc: str
    name: str
    purchase_allowed: bool = True
    redemption_allowed: bool = True
    minimum_purchase_amount: float = 1000.0
    purchase_amount_multiplier: float = 1.0
    minimum_additional_purchase_amount: float = 1000.0
    minimum_redemption_quantity: float = 0.001
    redemption_quantity_multiplier: float = 0.001
    dividend_type: str = "growth"
    scheme_type: str = "equity"
    plan: str = "direct"
    settlement_type: str = "T3"
    last_price: float = 100.0
    last_price_date: str = ""


Form = Mapping[str, str]


def _figure(form: Form, name: str) -> float:
    text = form.get(name, "")
    if text == "":
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise bad_input(f"Invalid `{name}`.")
    return value


class Funds:
    """The user's funds. ``holdings`` are units and average price by tradingsymbol."""

    def __init__(self, funds: Sequence[Fund], holdings: Mapping[str, tuple[float, float]], user_id: str) -> None:
        self._funds = {fund.tradingsymbol: fund for fund in funds}
        self._holdings = dict(holdings)
        self._user_id = user_id
        self.orders: dict[str, dict[str, Any]] = {}
        self.sips: dict[str, dict[str, Any]] = {}

    def dump(self) -> bytes:
        """``/mf/instruments``."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [one.name for one in fields(Fund)]
        writer.writerow(names)
        for fund in self._funds.values():
            values = [getattr(fund, name) for name in names]
            writer.writerow([int(value) if isinstance(value, bool) else value for value in values])
        return text.getvalue().encode()

    def holdings(self) -> list[dict[str, Any]]:
        """``/mf/holdings``."""
        return [
            {
                "folio": f"{9_000_000_001 + at}",
                "average_price": price,
                "last_price": self._funds[symbol].last_price if symbol in self._funds else price,
                "last_price_date": "",
                "pledged_quantity": 0,
                "fund": self._funds[symbol].name if symbol in self._funds else symbol,
                "tradingsymbol": symbol,
                "pnl": 0,
                "quantity": quantity,
            }
            for at, (symbol, (quantity, price)) in enumerate(self._holdings.items())
        ]

    def _fund(self, form: Form) -> Fund:
        fund = self._funds.get(form.get("tradingsymbol", ""))
        if fund is None:
            raise bad_input("Invalid `tradingsymbol`.")
        return fund

    # orders

    def place(self, form: Form, now: int) -> str:
        """A new order; it stays open."""
        fund, side = self._fund(form), form.get("transaction_type", "")
        if side not in ("BUY", "SELL"):
            raise bad_input("Invalid `transaction_type`.")
        amount, quantity = _figure(form, "amount"), _figure(form, "quantity")
        if side == "BUY" and amount < fund.minimum_purchase_amount:
            raise bad_input(f"The minimum purchase amount is {fund.minimum_purchase_amount:g}.")
        if side == "SELL" and quantity <= 0:
            raise bad_input("Invalid `quantity`.")
        digest = hashlib.sha256(f"{self._user_id}:mf:{len(self.orders)}".encode()).digest()[:16]
        order_id = str(uuid.UUID(bytes=digest, version=4))
        self.orders[order_id] = {
            "status": "OPEN",
            "purchase_type": "ADDITIONAL" if fund.tradingsymbol in self._holdings else "FRESH",
            "folio": None,
            "order_timestamp": kite_text(now),
            "average_price": 0.0,
            "exchange_order_id": None,
            "last_price": fund.last_price,
            "tradingsymbol": fund.tradingsymbol,
            "settlement_id": None,
            "transaction_type": side,
            "order_id": order_id,
            "amount": amount if side == "BUY" else 0.0,
            "tag": form.get("tag") or None,
            "placed_by": self._user_id,
            "exchange_timestamp": None,
            "variety": "regular",
            "last_price_date": fund.last_price_date,
            "status_message": "",
            "fund": fund.name,
            "quantity": quantity if side == "SELL" else 0.0,
        }
        return order_id

    def order(self, order_id: str) -> dict[str, Any]:
        """One order, or a refusal."""
        if order_id not in self.orders:
            raise unknown_order()
        return self.orders[order_id]

    def cancel(self, order_id: str) -> None:
        """Take an open order back."""
        row = self.order(order_id)
        if row["status"] != "OPEN":
            raise bad_input("Order cannot be cancelled as it is being processed. Try later.")
        row["status"] = "CANCELLED"

    # instalment plans

    def plan(self, form: Form, now: int) -> str:
        """A new instalment plan."""
        fund, amount = self._fund(form), _figure(form, "amount")
        if amount <= 0:
            raise bad_input("Invalid `amount`.")
        sip_id = f"{100_000_000_000_001 + len(self.sips)}"
        instalments = self._instalments(form, -1)
        self.sips[sip_id] = {
            "status": "ACTIVE",
            "sip_reg_num": None,
            "pending_instalments": instalments,
            "created": kite_text(now),
            "step_up": {},
            "dividend_type": fund.dividend_type,
            "instalment_amount": amount,
            "tag": form.get("tag") or None,
            "instalments": instalments,
            "next_instalment": kite_text(now)[:10],
            "transaction_type": "BUY",
            "trigger_price": 0,
            "fund": fund.name,
            "tradingsymbol": fund.tradingsymbol,
            "frequency": self._frequency(form),
            "last_instalment": None,
            "instalment_day": int(_figure(form, "instalment_day")),
            "sip_type": "sip",
            "fund_source": "pool",
            "completed_instalments": 0,
            "sip_id": sip_id,
        }
        return sip_id

    @staticmethod
    def _instalments(form: Form, default: int) -> int:
        text = form.get("instalments", "")
        if text == "":
            return default
        if text != "-1" and not (text.isdigit() and int(text)):
            raise bad_input("Invalid `instalments`.")
        return int(text)

    @staticmethod
    def _frequency(form: Form) -> str:
        frequency = form.get("frequency", "")
        if frequency not in FREQUENCIES:
            raise bad_input("Invalid `frequency`.")
        return frequency

    def sip(self, sip_id: str) -> dict[str, Any]:
        """One plan, or a refusal."""
        if sip_id not in self.sips:
            raise bad_input("Couldn't find that `sip_id`.")
        return self.sips[sip_id]

    def change(self, sip_id: str, form: Form) -> None:
        """New figures for a plan; what the form leaves out stays."""
        row = self.sip(sip_id)
        changes: dict[str, Any] = {}
        if form.get("amount"):
            changes["instalment_amount"] = _figure(form, "amount")
        if form.get("status"):
            if form["status"] not in SIP_STATES:
                raise bad_input("Invalid `status`.")
            changes["status"] = form["status"].upper()
        if form.get("instalments"):
            instalments = self._instalments(form, -1)
            changes.update(instalments=instalments, pending_instalments=instalments)
        if form.get("frequency"):
            changes["frequency"] = self._frequency(form)
        if form.get("instalment_day"):
            changes["instalment_day"] = int(_figure(form, "instalment_day"))
        row.update(changes)

    def stop(self, sip_id: str) -> None:
        """End a plan."""
        self.sip(sip_id)["status"] = "CANCELLED"
