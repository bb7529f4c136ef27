"""backtrader's words for an order and Kite's: one table per direction, and what each type needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import backtrader as bt

from ..config import Broker
from ..market.permitted import is_stock_option
from ..market.prices import is_on_tick, round_limit, round_to_tick, round_trigger
from ..risk.rules import rupees
from ..values import Instrument, OrderType, Side

Order = bt.Order

TO_KITE = {
    Order.Market: OrderType.MARKET,
    Order.Limit: OrderType.LIMIT,
    Order.Stop: OrderType.SLM,
    Order.StopLimit: OrderType.SL,
    Order.StopTrail: OrderType.SLM,
    Order.StopTrailLimit: OrderType.SL,
}
"""backtrader's ``exectype`` as Kite's ``order_type``. ``Close`` and ``Historical`` have none."""

TO_BACKTRADER = {
    OrderType.MARKET: Order.Market,
    OrderType.LIMIT: Order.Limit,
    OrderType.SLM: Order.Stop,
    OrderType.SL: Order.StopLimit,
}

_PRICED = (Order.Limit, Order.Stop, Order.StopLimit, Order.StopTrail, Order.StopTrailLimit)
TRAILING = (Order.StopTrail, Order.StopTrailLimit)
_STOPS = (Order.Stop, Order.StopLimit, Order.StopTrail, Order.StopTrailLimit)
_WITH_LIMIT = (Order.StopLimit, Order.StopTrailLimit)


def side(order: Any) -> Side:
    return Side.BUY if order.isbuy() else Side.SELL


def wrong_product(instrument: Instrument, product: str) -> str | None:
    """Why Kite has no such product for this instrument, or None (https://kite.trade/docs/connect/v3/orders/)."""
    if not instrument.exchange:
        return None
    derivative = instrument.exchange not in ("NSE", "BSE") or instrument.is_future or instrument.is_option
    products = ("NRML", "MIS") if derivative else ("CNC", "MIS", "MTF")
    if product in products:
        return None
    return f"{product} is no product of {instrument.key}: use {', '.join(products[:-1])} or {products[-1]}"


def protection_of(order: Any, broker: Broker) -> float:
    """Per cent that a market order may slip, -1 for Kite's own figure: never none, which Kite refuses."""
    named = order.info.get("market_protection")
    return float(broker.market_protection if named is None else named)


def sent_as(order: Any, instrument: Instrument, broker: Broker, last: float = 0.0) -> tuple[OrderType, float, float]:
    """``order_type``, ``price`` and ``trigger_price`` with which an order goes to the market.

    A stop without a limit is SL-M, or SL with a limit that protects it: if ``broker.stop_as`` says so, and
    wherever the exchange takes no SL-M. A market order in an option on a share, which Kite does not take, is LIMIT
    at the price that would protect it, as far beyond the ``last`` one.
    """
    kind = TO_KITE.get(order.exectype, OrderType.MARKET)
    price, trigger = kite_prices(order)
    named = protection_of(order, broker)
    if kind is OrderType.SLM and (broker.stop_as == "SL" or not takes_slm(instrument)):
        return OrderType.SL, protecting_limit(instrument, trigger, named, buys=order.isbuy()), trigger
    if kind is OrderType.MARKET and last > 0 and is_stock_option(instrument):
        return OrderType.LIMIT, protecting_limit(instrument, last, named, buys=order.isbuy()), 0.0
    return kind, price, trigger


def takes_slm(instrument: Instrument) -> bool:
    """Whether the exchange has stops without a limit. BSE withdrew them everywhere on 2023-10-09, NSE for options
    on 2021-09-27; Kite refuses what they do not have."""
    return instrument.exchange not in ("BSE", "BFO", "BCD") and not instrument.is_option


_PROTECTION = ((100.0, 2.0), (500.0, 1.0), (math.inf, 0.5))
_PROTECTION_OF_OPTIONS = ((10.0, 5.0), (100.0, 3.0), (500.0, 2.0), (math.inf, 1.0))
"""Zerodha's own market protection: per cent for prices below so many ₹."""


def protecting_limit(instrument: Instrument, trigger: float, protection: float, *, buys: bool) -> float:
    """The limit of a stop: ``protection`` per cent beyond its trigger (-1: Zerodha's figure for that price), on the
    tick, and one tick at least."""
    if protection <= 0:
        table = _PROTECTION_OF_OPTIONS if instrument.is_option else _PROTECTION
        protection = next((percent for below, percent in table if trigger < below), table[-1][1])
    way = Side.BUY if buys else Side.SELL
    limit = trigger * (1 + way.sign * protection / 100)
    tick = instrument.tick_size
    if not tick:
        return limit
    limit, nearest = round_limit(limit, tick, way), round_to_tick(trigger + way.sign * tick, tick)
    return max(limit, nearest) if buys else max(min(limit, nearest), tick)


def kite_prices(order: Any) -> tuple[float, float]:
    """``price`` and ``trigger_price`` as Kite means them, in rupees; 0 where the type has none."""
    exectype, created = order.exectype, order.created
    if exectype == Order.Limit:
        return float(created.price), 0.0
    if exectype in (Order.Stop, Order.StopTrail):
        return 0.0, float(created.price)
    if exectype in (Order.StopLimit, Order.StopTrailLimit):
        return float(created.pricelimit), float(created.price)
    return 0.0, 0.0


def on_tick(instrument: Instrument, exectype: int, buys: bool, price: Any, plimit: Any) -> tuple[Any, Any]:
    """``price`` and ``plimit`` moved to the instrument's tick, never to our disadvantage: a buy's limit
    down, a sell's up; a stop away from the market, so that it is not triggered early."""
    tick = instrument.tick_size
    if not tick:
        return price, plimit
    way = Side.BUY if buys else Side.SELL
    if exectype == Order.Limit:
        return _rounded(round_limit, price, tick, way), plimit
    if exectype in (Order.Stop, Order.StopLimit):
        return _rounded(round_trigger, price, tick, way), _rounded(round_limit, plimit, tick, way)
    return price, plimit


def _rounded(rule: Callable[[float, float, Side], float], price: Any, tick: float, way: Side) -> Any:
    """What is no price (None, NaN of an indicator that is not there yet) stays and is denied later."""
    return rule(price, tick, way) if price and math.isfinite(price) else price


def missing_price(order: Any) -> str | None:
    """Why an order cannot work at the prices that it was given; None if it can."""
    needed = {"price": order.created.price} if order.exectype in _PRICED else {}
    if order.exectype in _WITH_LIMIT:
        needed["plimit"] = order.created.pricelimit
    for name, price in needed.items():
        if price is None or not math.isfinite(price) or price <= 0:
            return f"a {order.getordername()} order needs a {name} above zero, not {price}"
    return None


def off_tick(instrument: Instrument, order: Any) -> str | None:
    """Which price of an order the exchange would refuse for its tick; None if they are all on it."""
    for price in kite_prices(order):
        if instrument.tick_size and price and not is_on_tick(price, instrument.tick_size):
            return f"{price:g} is no multiple of {instrument.key}'s tick of {instrument.tick_size:g}"
    return None


def is_waiting_stop(order: Any) -> bool:
    """A stop that has not been triggered: its trigger must lie ahead of the price."""
    return order.exectype in _STOPS and not order.triggered


def crossed(order: Any) -> str | None:
    """Why a stop-limit could not trade when it goes off, which Kite refuses; None if it could."""
    if order.exectype not in _WITH_LIMIT or order.triggered:
        return None
    limit, trigger = kite_prices(order)
    way = side(order)
    if (limit - trigger) * way.sign >= 0:
        return None
    where = "above" if order.isbuy() else "below"
    return (
        f"the limit of a {way.value} stop-limit must lie at its trigger {_plain(trigger)} or {where} it: "
        f"Kite refuses {_plain(limit)}"
    )


def is_behind(order: Any, last: float) -> bool:
    """Whether a stop's trigger is one that the price has reached already: Kite refuses such stops."""
    return bool(last) and is_waiting_stop(order) and (kite_prices(order)[1] - last) * side(order).sign <= 0


def behind(order: Any, last: float) -> str | None:
    """Why the exchange would refuse a stop while the last price is ``last`` (0: not known); None if it would not."""
    if not is_behind(order, last):
        return None
    where = "above" if order.isbuy() else "below"
    return (
        f"a {side(order).value} stop must lie {where} the last price {_plain(last)}: "
        f"Kite refuses {_plain(kite_prices(order)[1])}; use Limit or Market"
    )


def refused_as_behind(order: Any) -> str:
    """Kite's own words for it."""
    way, where = ("buy", "higher") if order.isbuy() else ("sell", "lower")
    return f"Trigger price for stoploss {way} orders should be {where} than the last traded price"


def _plain(price: float) -> str:
    return rupees(price).replace("₹", "")


def whole(size: float) -> int:
    """Whole units of what was asked for; 0 of what is no number. A hair below a whole number is that number."""
    return int(size + 1e-9) if math.isfinite(size) else 0
