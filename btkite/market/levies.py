"""What is on no contract note: the depository's charge, square-off by the broker, pledges, interest, and what an
expiry costs. Rates are in ``data/charges.csv``; amounts are rupees, GST included unless said.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from ..values import Side
from .charges import PAISA, RUPEE, Charges, half_up
from .permitted import largest_order
from .prices import exact
from .rates import rate
from .segments import COMMODITY, CURRENCY

if TYPE_CHECKING:
    from ..values import Instrument

_PERCENT = Decimal("0.01")
_ZERO = Decimal(0)
SQUARED_AT_ONCE = 30_000
"""Shares in one order of Zerodha's own square-off (support: auto square-off)."""


def depository_charge(on: date, *, woman: bool = False) -> float:
    """₹ for each share (ISIN) of which anything left the demat account on a day, whatever the quantity; a share that
    was bought yesterday counts too. ``woman``: the first holder is one."""
    return float(_with_gst(rate("dp_charge_woman" if woman else "dp_charge", on), on))


def square_off_orders(instrument: Instrument, quantity: int, on: date) -> int:
    """The orders in which Zerodha squares a position off, each of which pays."""
    most = largest_order(instrument, on)
    if most is None:
        most = SQUARED_AT_ONCE if instrument.exchange in ("NSE", "BSE") else quantity
    return -(-quantity // max(1, most))


def square_off_charge(on: date, orders: int = 1) -> float:
    """₹ on top of the brokerage of orders by which Zerodha squares off (since 2020-03-19 ₹59 each), or that are given
    by phone."""
    return float(_with_gst(rate("square_off", on) * orders, on))


def pledge_charge(on: date, *, requests: int = 1) -> float:
    """₹ to pledge holdings as collateral, per share and request; taking them back is free."""
    return float(_with_gst(rate("pledge", on) * requests, on))


def mtf_pledge_charge(on: date, *, back: bool = False) -> float:
    """₹ to pledge what was bought with margin trading; ``back``: to take it back."""
    return float(_with_gst(rate("mtf_unpledge" if back else "mtf_pledge", on), on))


def mtf_interest(funded: float, days: int, on: date) -> float:
    """₹ of interest on ``funded`` rupees over ``days`` calendar days, from the day after the purchase to the day of
    the sale. No GST."""
    return float(half_up(exact(funded) * _PERCENT * rate("mtf_interest_per_day", on) * days, PAISA))


def debit_interest(owed: float, days: int, on: date) -> float:
    """₹ of interest on an account that owes ``owed`` rupees, over calendar days. No GST."""
    return float(half_up(exact(max(0.0, owed)) * _PERCENT * rate("debit_interest_per_day", on) * days, PAISA))


def exercise_charges(instrument: Instrument, side: Side, quantity: int, settlement: float, on: date) -> Charges:
    """What an option that ends in the money and is settled in cash costs, as the note rounds it.

    ``side``: BUY for its holder, SELL for its writer, who pays no tax; ``settlement``: the underlying's final price,
    ₹; ``quantity`` as Kite counts it. Nothing if it ends at or out of the money.
    """
    inside = settlement - instrument.strike if instrument.instrument_type == "CE" else instrument.strike - settlement
    if not instrument.is_option or inside <= 0:
        return Charges()
    units = exact(quantity) * exact(instrument.multiplier)
    tax = _ZERO
    if side is Side.BUY and instrument.exchange in COMMODITY:
        tax = half_up(units * exact(settlement) * _PERCENT * rate("ctt_opt_exercise_settlement", on), PAISA)
    elif side is Side.BUY and instrument.exchange not in CURRENCY:
        tax = _whole(units * exact(inside) * _PERCENT * rate("stt_opt_exercise", on))
    return _charges(rate("brokerage_option", on), tax, _ZERO, on)


def delivery_charges(value: float, on: date, *, receives: bool, netted: bool = False) -> Charges:
    """What shares that a future or an option on them moves at its expiry cost; ``value``: ₹ of the contract.

    ``netted``: another contract of the account takes them, so that none move. That strike × quantity is the value of
    an option is an assumption; the DP charge of who gives them comes on top.
    """
    share = exact(value) * _PERCENT
    if netted:
        return _charges(half_up(share * rate("physical_netted_brokerage", on), PAISA), _ZERO, _ZERO, on)
    stamp = half_up(share * rate("stamp_delivery_buy", on), RUPEE) if receives else _ZERO
    paid = half_up(share * rate("physical_delivery_brokerage", on), PAISA)
    return _charges(paid, _whole(share * rate("stt_delivery_both", on)), stamp, on)


def _charges(brokerage: Decimal, tax: Decimal, stamp: Decimal, on: date) -> Charges:
    gst = half_up(brokerage * _PERCENT * rate("gst", on), PAISA)
    return Charges(brokerage=float(brokerage), transaction_tax=float(tax), stamp=float(stamp), gst=float(gst))


def _whole(tax: Decimal) -> Decimal:
    return half_up(half_up(tax, PAISA), RUPEE)


def _with_gst(amount: Decimal, on: date) -> Decimal:
    return half_up(amount * (1 + _PERCENT * rate("gst", on)), PAISA)
