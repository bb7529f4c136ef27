"""From a form to an order: Kite's pre-checks, with Kite's own texts.

What is refused here never gets a row in the book (https://kite.trade/docs/connect/v3/orders/; texts as
clients have recorded them).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

from . import checks, co, iceberg
from .account import product_allowed
from .checks import Terms
from .errors import bad_input
from .listing import Listing
from .orders import Order

VARIETIES = ("regular", "amo", "co", "iceberg")
FIXED_QUANTITY = ("co", "iceberg")
ORDER_TYPES = ("MARKET", "LIMIT", "SL", "SL-M")
VALIDITIES = ("DAY", "IOC", "TTL")
MAX_TAG = 20
MAX_TTL = 120  # minutes

NO_PROTECTION = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)
NO_AMO = "Your order could not be converted to a After Market Order (AMO)."

Form = Mapping[str, str]


def _number(form: Form, name: str, default: float = 0.0) -> float:
    text = form.get(name, "")
    if text == "":
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise bad_input(f"Invalid `{name}`.")
    return value


def _whole(form: Form, name: str, default: int = 0) -> int:
    value = _number(form, name, float(default))
    if value != int(value) or value < 0:
        raise bad_input(f"Invalid `{name}`.")
    return int(value)


def _choice(form: Form, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
    value = form.get(name) or default
    if value is None:
        raise bad_input(f"Missing `{name}`.")
    if value not in choices:
        raise bad_input(f"Invalid `{name}`.")
    return value


def find_listing(form: Form, listings: Mapping[str, Listing], day: date) -> Listing:
    """The instrument that a form names, if it trades on ``day``."""
    exchange, symbol = form.get("exchange", ""), form.get("tradingsymbol", "")
    if not exchange or not symbol:
        raise bad_input(f"Missing `{'tradingsymbol' if exchange else 'exchange'}`.")
    listing = listings.get(f"{exchange}:{symbol}")
    if listing is None or not listing.row.trades_on(day):
        raise bad_input("The instrument you are placing an order for has either expired or does not exist.")
    if listing.row.is_index:
        raise bad_input("Invalid `tradingsymbol`: an index is not tradable.")
    return listing


def fill_in(order: Order, variety: str, form: Form, terms: Terms) -> None:
    """Write what the form says into a new order."""
    if variety == "auction":
        if not form.get("auction_number"):
            raise bad_input("Missing `auction_number`.")
        raise bad_input("There is no auction that this holding is eligible for.")
    order.variety = _choice({"variety": variety}, "variety", VARIETIES)
    order.transaction_type = _choice(form, "transaction_type", ("BUY", "SELL"))
    order.product = co.PRODUCT if variety == "co" else form.get("product") or "CNC"
    order.quantity = _whole(form, "quantity")
    order.tag = form.get("tag") or None
    if order.tag is not None and len(order.tag) > MAX_TAG:
        raise bad_input("Invalid `tag`. It can be at most 20 characters.")
    order.algo_id = form.get("algo_id") or None
    registered = terms.settings.algo_ids
    if order.algo_id is not None and registered is not None and order.algo_id not in registered:
        raise bad_input("Invalid `algo_id`.")
    _figures(order, form)
    if variety == "iceberg":
        check_quantity(order)
        count, size = _whole(form, "iceberg_legs"), _whole(form, "iceberg_quantity")
        iceberg.begin(order, order.quantity, count, size, terms.rules)


def change(order: Order, form: Form, *, remaining: bool = False) -> None:
    """Write a modification's figures into ``order``; what the form leaves out stays.

    The quantity is the new total, or with ``remaining`` what is still to trade.
    """
    if order.variety == "co":
        co.check_change(order, form)
    if order.variety in FIXED_QUANTITY:
        if form.get("quantity") and _whole(form, "quantity") != order.quantity:
            raise bad_input(f"The quantity of an order of variety {order.variety} cannot be changed.")
    elif form.get("quantity"):
        quantity = _whole(form, "quantity") + (order.filled_quantity if remaining else 0)
        if quantity < max(order.filled_quantity, 1):
            raise bad_input("Invalid `quantity`: it cannot be less than the quantity that is filled.")
        order.quantity = quantity
    before = {
        "order_type": order.order_type,
        "validity": order.validity,
        "validity_ttl": str(order.validity_ttl),
        "price": repr(order.price),
        "trigger_price": repr(order.trigger_price),
        "disclosed_quantity": str(order.disclosed_quantity),
        "market_protection": repr(order.market_protection),
    }
    was = order.order_type
    _figures(order, {**before, **{name: text for name, text in form.items() if text != ""}})
    if order.order_type != was:
        order.triggered = False  # a stop anew, or none


def _figures(order: Order, form: Form) -> None:
    order.order_type = _choice(form, "order_type", ORDER_TYPES)
    order.validity = _choice(form, "validity", VALIDITIES, "DAY")
    order.validity_ttl = _whole(form, "validity_ttl") if order.validity == "TTL" else 0
    order.disclosed_quantity = _whole(form, "disclosed_quantity")
    order.price = _number(form, "price") if order.order_type in ("LIMIT", "SL") else 0.0
    has_trigger = order.order_type in ("SL", "SL-M") or order.variety == "co"
    order.trigger_price = _number(form, "trigger_price") if has_trigger else 0.0
    is_market = order.order_type in ("MARKET", "SL-M")
    order.market_protection = _number(form, "market_protection") if is_market else 0.0


def check_quantity(order: Order) -> None:
    """Above zero, and whole lots."""
    if order.quantity <= 0:
        raise bad_input("Invalid `quantity`.")
    lot = order.listing.row.lot_size
    if order.quantity % lot:
        raise bad_input(f"Order quantity must be a multiple of the lot size of {lot}.")


def check(order: Order, terms: Terms, *, protection_known: bool = False, sliced: bool = False) -> None:
    """All that Kite refuses before an order reaches the exchange, but for hours and money.

    ``protection_known`` is true for a change of an order that was a market order already; ``sliced`` for an
    order that will be cut below the freeze quantity.
    """
    row, settings = order.listing.row, terms.settings
    checks.check_exchange(row)
    if order.variety == "co":
        co.check_instrument(order.listing)
    else:
        product_allowed(row, order.product)
    check_quantity(order)
    if order.disclosed_quantity > order.quantity:
        raise bad_input("Disclosed quantity cannot be greater than the order quantity.")
    _check_validity(order, terms)
    if order.order_type in ("MARKET", "SL-M"):
        _check_protection(order, demanded=terms.protection_demanded and not protection_known)
    if order.order_type in ("LIMIT", "SL") and order.price <= 0:
        raise bad_input("Invalid `price`.")
    if order.is_stop and order.trigger_price <= 0:
        raise bad_input("Invalid `trigger_price`.")
    for name in ("price", "trigger_price"):
        if getattr(order, name) > row.largest_price:
            raise bad_input(f"Invalid `{name}`.")  # no packet could show it
    if settings.check_tick_size:
        _check_tick(row.tick_size, order.price, "price")
        _check_tick(row.tick_size, order.trigger_price, "trigger price")
    if order.variety == "co" and order.parent_order_id is None:
        co.check_trigger(order, settings.co_range_percent)
    circuit = settings.check_circuit or "circuit" in terms.enforced
    if settings.check_trigger_side and order.is_stop:
        if order.order_type == "SL":
            _check_stop_limit(order)
        _check_side(order)
        if circuit:
            _check_trigger_circuit(order)
    if circuit:
        _check_circuit(order)
    checks.check(order, terms, sliced=sliced)


def _check_validity(order: Order, terms: Terms) -> None:
    exchange = order.listing.row.exchange
    if order.validity == "TTL" and not 1 <= order.validity_ttl <= MAX_TTL:
        raise bad_input(f"Invalid `validity_ttl`. It must be between 1 and {MAX_TTL} minutes.")
    if not terms.rules.takes(order.validity, exchange):
        raise bad_input(f"{order.validity} orders are not allowed on {exchange}.")


def _check_protection(order: Order, *, demanded: bool) -> None:
    protection = order.market_protection
    if protection == -1 or 0 < protection <= 100:
        return
    if protection == 0:
        if demanded:
            raise bad_input(NO_PROTECTION)
        return
    raise bad_input("Invalid `market_protection`.")


def _check_tick(tick: float, price: float, name: str) -> None:
    steps = price / tick
    if abs(steps - round(steps)) > 1e-6:
        raise bad_input(
            f"Tick size for this script is {tick:.2f}. Kindly enter {name} in the multiple of tick size for this script"
        )


def _check_stop_limit(order: Order) -> None:
    """A stop-limit whose limit lies before its trigger could never trade when it goes off."""
    if order.buys and order.trigger_price > order.price:
        raise bad_input("Trigger price for stoploss buy orders should be lower than or equal to the limit price.")
    if not order.buys and order.trigger_price < order.price:
        raise bad_input("Trigger price for stoploss sell orders should be higher than or equal to the limit price.")


def _check_side(order: Order) -> None:
    last = order.listing.path
    if not last:
        return
    if order.buys and order.trigger_price <= last:
        raise bad_input("Trigger price for stoploss buy orders should be higher than the last traded price")
    if not order.buys and order.trigger_price >= last:
        raise bad_input("Trigger price for stoploss sell orders should be lower than the last traded price")


def _check_trigger_circuit(order: Order) -> None:
    lower, upper = order.listing.circuit()
    if not upper:
        return
    if order.buys and order.trigger_price > upper:
        raise bad_input(
            "Trigger price for stoploss buy orders cannot be above the upper circuit price. "
            f"Please try placing the order with trigger price below {upper:g}."
        )
    if not order.buys and order.trigger_price < lower:
        raise bad_input(
            "Trigger price for stoploss sell orders cannot be below the lower circuit price. "
            f"Please try placing the order with trigger price above {lower:g}."
        )


def _check_circuit(order: Order) -> None:
    lower, upper = order.listing.circuit()
    price = order.price or order.trigger_price
    if not price or not upper:
        return
    if price < lower:
        side, limit = "lower", lower
    elif price > upper:
        side, limit = "upper", upper
    else:
        return
    word = "lower" if side == "lower" else "higher"
    raise bad_input(
        f"Your order price is {word} than the current {side} circuit limit of {limit:g}. "
        "Place an order within the daily range."
    )
