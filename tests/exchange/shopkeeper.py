"""What a day of November 2026 costs, counted from the rows of trades alone: a second hand beside the exchange's own.

Rates are those of https://zerodha.com/charges on that day; exact fractions, rounded where a contract note rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Row = dict[str, Any]
SHARES = ("NSE", "BSE")
GST = Fraction(18, 100)
SEBI = Fraction(1, 1_000_000)
CAP = Fraction(20)


def rupees(text: str | float) -> Fraction:
    """A price by the digits it is written with."""
    return Fraction(str(text))


def to(amount: Fraction, unit: Fraction) -> Fraction:
    """Rounded to whole units, halves up."""
    return ((amount / unit + Fraction(1, 2)).__floor__()) * unit


def paise(amount: Fraction) -> Fraction:
    return to(amount, Fraction(1, 100))


def to_rupee(amount: Fraction) -> Fraction:
    return to(paise(amount), Fraction(1))


@dataclass
class Filled:
    """One order's fills of a day."""

    key: str
    product: str
    buys: bool
    quantity: int = 0
    value: Fraction = Fraction(0)
    squared: int = 0  # of the quantity: sold and bought within the day

    def part(self, quantity: int) -> Fraction:
        return self.value * quantity / self.quantity


def orders_of(trades: Iterable[Row], multiplier: dict[str, int]) -> list[Filled]:
    """The day's orders in the order of their first fills."""
    found: dict[str, Filled] = {}
    for row in trades:
        key = f"{row['exchange']}:{row['tradingsymbol']}"
        order = found.setdefault(row["order_id"], Filled(key, row["product"], row["transaction_type"] == "BUY"))
        order.quantity += row["quantity"]
        order.value += row["quantity"] * rupees(row["average_price"]) * multiplier.get(key, 1)
    orders = list(found.values())
    for key in {order.key for order in orders if order.key.startswith(SHARES)}:
        sides = {side: [one for one in orders if one.key == key and one.buys is side] for side in (True, False)}
        met = min(sum(one.quantity for one in side) for side in sides.values())
        for side in sides.values():
            left = met
            for one in side:
                one.squared = min(left, one.quantity)
                left -= one.squared
    return orders


def shares_note(orders: Sequence[Filled]) -> Fraction:
    """NSE: brokerage on what was intraday, or MTF; STT at the day's average of each share."""
    brokerage = fee = stamp = stt_intraday = stt_delivery = Fraction(0)
    for one in orders:
        whole = one.product == "MIS"
        intraday = one.value if whole else one.part(one.squared)
        brokerage += min(intraday * Fraction("0.0003"), CAP)
        if one.product == "MTF":
            brokerage += min((one.value - intraday) * Fraction("0.003"), CAP)
        fee += one.value * Fraction("0.0000307")
        if one.buys:
            stamp += one.part(one.squared) * Fraction("0.00003")
            stamp += one.part(one.quantity - one.squared) * Fraction("0.00015")
    for key in {one.key for one in orders}:
        mine = [one for one in orders if one.key == key]
        average = sum(one.value for one in mine) / sum(one.quantity for one in mine)
        sold = sum(one.squared for one in mine if not one.buys)
        stt_intraday += average * sold * Fraction("0.00025")
        stt_delivery += average * sum(one.quantity - one.squared for one in mine) * Fraction("0.001")
    turnover = sum(one.value for one in orders)
    paid = paise(brokerage) or Fraction(1, 100)
    lines = paid, paise(fee), paise(turnover * SEBI)
    return (
        sum(lines) + to_rupee(stt_intraday) + to_rupee(stt_delivery) + to(stamp, Fraction(1)) + paise(sum(lines) * GST)
    )


def contracts_note(orders: Sequence[Filled], *, commodity: bool) -> Fraction:
    """NFO and MCX: twenty rupees an order (of futures at most), tax on what is sold, stamp on what is bought."""
    brokerage = fee = stamp = tax = Fraction(0)
    for one in orders:
        option = not one.key.endswith("FUT")
        brokerage += CAP if option else min(one.value * Fraction("0.0003"), CAP)
        fee += one.value * Fraction("0.000021" if commodity else "0.0003553" if option else "0.0000183")
        if one.buys:
            stamp += one.value * Fraction("0.00003" if option else "0.00002")
        else:
            tax += one.value * Fraction("0.0001" if commodity else "0.0015" if option else "0.0005")
    lines = paise(brokerage), paise(fee), paise(sum(one.value for one in orders) * SEBI)
    stamped = paise(stamp) if commodity else to(stamp, Fraction(1))
    return sum(lines) + to_rupee(tax) + stamped + paise(sum(lines) * GST)


def notes(trades: Iterable[Row], multiplier: dict[str, int]) -> dict[str, int]:
    """Paise of a day's contract notes, by exchange."""
    by_exchange: dict[str, list[Filled]] = {}
    for one in orders_of(trades, multiplier):
        by_exchange.setdefault(one.key.partition(":")[0], []).append(one)
    return {
        exchange: int(
            100 * (shares_note(orders) if exchange in SHARES else contracts_note(orders, commodity=exchange == "MCX"))
        )
        for exchange, orders in by_exchange.items()
    }


def interest(balance: int, days: int) -> int:
    """Paise owed for a debit balance: 0.05 % a day."""
    return int(to(Fraction(max(0, -balance)) * days * Fraction("0.0005"), Fraction(1)))


def funding_interest(loan: int, days: int) -> int:
    """Paise owed for what margin trading lent: 0.04 % a day."""
    return int(to(Fraction(loan) * days * Fraction("0.0004"), Fraction(1)))
