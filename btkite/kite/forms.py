"""The forms that Kite's order calls take, and what their answers say. Pure: no wire here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from ..errors import OrderRefused, OrderUncertain, RuleViolation
from ..values import OrderType, Proposal, Trade
from .failures import BAD_ANSWER
from .frames import moment
from .secret import redact

log = logging.getLogger("btkite.kite.forms")

TAG_LENGTH = 20  # more and Kite refuses the order
PROTECTED = (OrderType.MARKET, OrderType.SLM)
MODIFIABLE = frozenset(
    {
        "quantity", "price", "order_type", "trigger_price", "validity", "disclosed_quantity",
        "market_protection", "parent_order_id",
    }
)  # fmt: skip


def order_fields(proposal: Proposal) -> dict[str, Any]:
    """The form of ``POST /orders/{variety}``: what the order type needs and what is not empty.

    Raises:
        RuleViolation: what Kite would surely refuse.
    """
    kind = OrderType(proposal.order_type)
    if proposal.quantity <= 0:
        raise RuleViolation(f"quantity {proposal.quantity} is not positive")
    if len(proposal.tag) > TAG_LENGTH:
        raise RuleViolation(f"the tag {proposal.tag!r} is longer than Kite's {TAG_LENGTH} characters")
    fields: dict[str, Any] = {
        "variety": proposal.variety,
        "exchange": proposal.instrument.exchange,
        "tradingsymbol": proposal.instrument.tradingsymbol,
        "transaction_type": str(proposal.side),
        "quantity": int(proposal.quantity),
        "product": proposal.product,
        "order_type": str(kind),
        "validity": proposal.validity,
    }
    if kind in (OrderType.LIMIT, OrderType.SL):
        if proposal.price <= 0:
            raise RuleViolation(f"a {kind} order needs a price")
        fields["price"] = plain(proposal.price)
    if kind in (OrderType.SL, OrderType.SLM):
        if proposal.trigger_price <= 0:
            raise RuleViolation(f"a {kind} order needs a trigger_price")
        fields["trigger_price"] = plain(proposal.trigger_price)
    elif proposal.variety == "co" and proposal.trigger_price > 0:
        fields["trigger_price"] = plain(proposal.trigger_price)
    if kind in PROTECTED:
        check_protection(kind, proposal.market_protection)
        fields["market_protection"] = plain(proposal.market_protection)
    for name in ("disclosed_quantity", "iceberg_legs", "iceberg_quantity", "validity_ttl", "tag"):
        if value := getattr(proposal, name):
            fields[name] = value
    if proposal.autoslice:
        fields["autoslice"] = "true"
    return fields


def check_protection(order_type: str, protection: Any) -> None:
    if protection is None or not (protection == -1 or 0 < float(protection) <= 100):
        raise RuleViolation(
            f"a {order_type} order needs market_protection: -1 (Kite's own table) or a percentage above 0 up to 100, "
            f"not {protection}"
        )


def margin_row(proposal: Proposal) -> dict[str, Any]:
    return {
        "exchange": proposal.instrument.exchange,
        "tradingsymbol": proposal.instrument.tradingsymbol,
        "transaction_type": str(proposal.side),
        "variety": proposal.variety,
        "product": proposal.product,
        "order_type": str(proposal.order_type),
        "quantity": int(proposal.quantity),
        "price": plain(proposal.price),
        "trigger_price": plain(proposal.trigger_price),
    }


def plain(value: Any) -> Any:
    """A value as Kite's form takes it: no enum, no float noise (the finest tick has four decimals)."""
    if isinstance(value, float):
        short = round(value, 4)
        return int(short) if short.is_integer() else short
    return str(value) if isinstance(value, str) else value


def stamp(when: datetime | date) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S") if isinstance(when, datetime) else when.strftime("%Y-%m-%d")


def read_order_id(reply: Any) -> str:
    order_id = reply.get("order_id") if isinstance(reply, dict) else None
    if not order_id:
        raise OrderUncertain("Kite's answer holds no order_id", code=200, error_type=BAD_ANSWER)
    return str(order_id)


def read_placed(reply: Any) -> str:
    """The id in an answer to a placement; a sliced order has children, or comes as a bare list."""
    children = reply if isinstance(reply, list) else reply.get("children") if isinstance(reply, dict) else None
    children = [child for child in children or [] if isinstance(child, dict)]
    errors = [child["error"] for child in children if isinstance(child.get("error"), dict)]
    ids = [str(child["order_id"]) for child in children if child.get("order_id")]
    if errors and not ids:
        first = errors[0]
        raise OrderRefused(
            str(first.get("message", "all slices were refused")),
            code=int(first.get("code") or 400),
            error_type=str(first.get("error_type") or "GeneralException"),
        )
    if errors:
        log.warning("Kite refused %d of %d slices: %s", len(errors), len(children), redact(errors[0].get("message")))
    if isinstance(reply, list) and ids:
        return ids[0]
    return read_order_id(reply)


def read_trade(row: Mapping[str, Any]) -> Trade:
    return Trade(
        trade_id=str(row.get("trade_id") or ""),
        order_id=str(row.get("order_id") or ""),
        exchange=str(row.get("exchange") or ""),
        tradingsymbol=str(row.get("tradingsymbol") or ""),
        transaction_type=str(row.get("transaction_type") or ""),
        product=str(row.get("product") or ""),
        quantity=int(row.get("quantity") or 0),
        average_price=float(row.get("average_price") or 0.0),
        time=moment(row.get("fill_timestamp")) or moment(row.get("exchange_timestamp")),
    )
