"""Cover orders: an entry and, as it fills, a stop-loss that names it as its parent.

The stop is an order of its own for what the entry has filled. It cannot be cancelled away: a DELETE of it
is an exit at the market. Of the entry only price and trigger can be changed, of the stop its trigger.
"""

from __future__ import annotations

from collections.abc import Mapping

from .errors import bad_input
from .listing import Listing
from .orders import Order

PRODUCT = "CO"
_FUNDS = ("BEES", "ETF")


def check_instrument(listing: Listing) -> None:
    """Cover orders are for NSE shares and futures: no funds, no BSE, no options."""
    row = listing.row
    fund = row.exchange == "NSE" and any(word in row.tradingsymbol for word in _FUNDS)
    if row.exchange in ("BSE", "BFO", "BCD") or row.is_option or fund:
        raise bad_input(f"Cover orders are not allowed for {row.tradingsymbol}.")


def trigger_range(listing: Listing, buys: bool, percent: float) -> tuple[float, float]:
    """Lowest and highest trigger of the stop of an entry at the last price, rupees."""
    last = listing.path
    if buys:
        return round(last * (1 - percent / 100), 7), last
    return last, round(last * (1 + percent / 100), 7)


def check_trigger(order: Order, percent: float) -> None:
    """The stop must lie on the losing side of the price, within the range."""
    if order.order_type not in ("MARKET", "LIMIT"):
        raise bad_input("Invalid `order_type`.")
    if order.trigger_price <= 0:
        raise bad_input("Invalid `trigger_price`.")
    lower, upper = trigger_range(order.listing, order.buys, percent)
    if not order.listing.path:
        return
    if not lower <= order.trigger_price <= upper:
        raise bad_input(f"Trigger price should be between {lower:.2f} and {upper:.2f}.")


def check_change(order: Order, form: Mapping[str, str]) -> None:
    """An entry stays the type that it is; the stop stays a stop."""
    wanted = form.get("order_type") or order.order_type
    if wanted != order.order_type:
        raise bad_input("The order type of a cover order cannot be changed.")


def second_leg(parent: Order, quantity: int, order_id: str, us: int, *, protected: bool) -> Order:
    """The stop-loss for ``quantity`` that an entry has filled."""
    stop = Order(order_id, parent.listing, us, parent.placed_by)
    stop.variety = parent.variety
    stop.product = parent.product
    stop.transaction_type = "SELL" if parent.buys else "BUY"
    stop.order_type = "SL-M"
    stop.trigger_price = parent.trigger_price
    stop.market_protection = -1.0 if protected else 0.0
    stop.quantity = quantity
    stop.parent_order_id = parent.order_id
    stop.foreign = parent.foreign
    stop.algo_id = parent.algo_id
    stop.tag = parent.tag
    return stop
