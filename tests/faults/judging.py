"""The judge of a random day of :mod:`tests.faults.placing`: the exchange's book and its request log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import backtrader as bt

from btkite.brokers.doubt import LOOKS
from btkite.clock import to_ist
from btkite.testing import KiteExchange

CAPITAL = 1e6
"""₹ that the day began with."""
Row = dict[str, Any]


def left_behind(exchange: KiteExchange, asked: list[Row], leaving: set[str]) -> list[str]:
    """Tags of placements that the exchange took while its answer was lost, by one of the faults ``leaving``."""
    there = {row["tag"] for row in exchange.orders()}
    return [
        tag
        for tag, rows in posts(asked).items()
        if tag in there and set((rows[0].get("fault") or "").split("+")) & leaving
    ]


def posts(asked: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in asked:
        if row["method"] == "POST" and row["path"].startswith("/orders/"):
            found[row["form"]["tag"]].append(row)
    return found


def judge(exchange: KiteExchange, ran: Any, asked: list[Row]) -> Iterator[str]:
    """Promises that the day breaks, by the exchange's book and its request log."""
    book, orders = exchange.orders(), list(ran.broker.orders.values())
    yield from _twice(book)
    yield from _sent_blindly(asked)
    yield from _orphans(book, orders)
    yield from _miscounted(book, orders, ran)
    yield from _told(ran, orders)
    if ran.broker.config.groups.exits == "two":  # else one row stands for several orders
        yield from _changed(book, orders, ran.wanted)
    held = {f"{row['exchange']}:{row['tradingsymbol']}": row["quantity"] for row in exchange.positions()}
    for data in ran.datas:
        ours, theirs = ran.getposition(data).size, held.get(data._name, 0)
        if ours or theirs:
            yield f"{data._name} is not flat at the end: {ours} of ours, {theirs} at the exchange"
    profit = sum(row["pnl"] for row in exchange.positions())
    made = ran.broker.getvalue() - CAPITAL
    if abs(profit - made) > 0.01:
        yield f"the day made ₹{made:.2f}, at the exchange ₹{profit:.2f}"


def _twice(book: list[Row]) -> Iterator[str]:
    for tag, count in Counter(row["tag"] for row in book).items():
        if count > 1:
            yield f"{count} orders of the tag {tag} are in the book"


def _sent_blindly(asked: list[Row]) -> Iterator[str]:
    looks = [row for row in asked if (row["method"], row["path"]) == ("GET", "/orders")]
    for tag, rows in posts(asked).items():
        for first, second in pairwise(rows):
            sent = _when(first)
            window = timedelta(seconds=LOOKS[-1])
            looked = any(
                first["seq"] < look["seq"] < second["seq"] and _when(look) >= sent + window and look["status"] == 200
                for look in looks
            )
            if not looked:
                yield f"{tag} was sent at {sent} and again at {_when(second)}, and the book was not asked"


def _when(row: dict[str, Any]) -> datetime:
    return to_ist(datetime.fromisoformat(row["time"]))


def _orphans(book: list[Row], orders: list[Any]) -> Iterator[str]:
    """At the end nothing may work on either side, and nothing is in the book that is nobody's."""
    for row in book:
        if row["status"] not in ("COMPLETE", "CANCELLED", "REJECTED"):
            yield f"{row['order_id']} of {row['tradingsymbol']} still works at the exchange: {row['status']}"
    for order in orders:
        if order.alive():
            yield f"order {order.ref} still works in our book: {order.getstatusname()}"
    there = {row["tag"]: row for row in book}
    for order in orders:
        if str(order.info.get("reason") or "").startswith("unresolved") and order.info.get("tag") in there:
            yield f"order {order.ref} was given up, and the exchange has it"


def _miscounted(book: list[Row], orders: list[Any], ran: Any) -> Iterator[str]:
    """Units and rupees by symbol and side."""
    for data in ran.datas:
        for side in ("BUY", "SELL"):
            theirs = [
                row for row in book if data._name.endswith(row["tradingsymbol"]) and row["transaction_type"] == side
            ]
            ours = [order for order in orders if order.data is data and order.isbuy() == (side == "BUY")]
            units = sum(row["filled_quantity"] for row in theirs), sum(abs(order.executed.size) for order in ours)
            paid = (
                sum(row["filled_quantity"] * row["average_price"] for row in theirs),
                sum(abs(order.executed.size) * order.executed.price for order in ours),
            )
            if units[0] != units[1] or abs(paid[0] - paid[1]) > 0.01:
                theirs_said, ours_said = (f"{n} for ₹{rupees:.2f}" for n, rupees in zip(units, paid, strict=True))
                yield f"{side} {data._name}: {theirs_said} at the exchange, {ours_said} in our book"


def _told(ran: Any, orders: list[Any]) -> Iterator[str]:
    """Each order is submitted once and ends once, and nothing comes after its end."""
    ends = {"Completed", "Canceled", "Rejected", "Margin", "Expired"}
    for ref, told in ran.told.items():
        if told.count("Submitted") > 1 or sum(status in ends for status in told) != 1 or told[-1] not in ends:
            yield f"of order {ref} the strategy heard {told}"


def _changed(book: list[Row], orders: list[Any], wanted: dict[int, float]) -> Iterator[str]:
    """Whatever became of its changes, an order is to us what it was at the exchange when it ended, and nothing of it
    has traded beyond what it was ever to be."""
    for order in orders:
        most = wanted.get(order.ref)
        if most is not None and abs(order.executed.size) > most:
            yield f"order {order.ref} was to be {most} and has traded {order.executed.size}"
    there = {row["tag"]: row for row in book}
    for order in orders:
        row = there.get(order.info.get("tag"))
        if row is None or row["order_type"] != "LIMIT" or order.exectype != bt.Order.Limit:
            continue
        ours = abs(order.size) - order.info.get("filled_before", 0), order.created.price
        if ours != (row["quantity"], row["price"]):
            yield f"order {order.ref} is {ours}, at the exchange {(row['quantity'], row['price'])}, {row['status']}"
