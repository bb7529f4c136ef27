"""A restart has the same account: whatever the last run's book says of money, positions, orders and groups, the next
one's says too, before anything has happened."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from btkite.brokers.record import book_of
from tests.brokers.scene import CALM, Order
from tests.brokers.test_truth import Restored, end, life

LONG = [CALM] * 14
OWN = {"broker.charges": True}


def enter(s: Any) -> Any:
    return s.buy(size=30) if s.p.plan["long"] else s.sell(size=30)


def give(s: Any) -> list[Any]:
    """Of every kind one that rests: entries, exits, siblings, a bracket that waits for its entry and one that works."""
    long = s.p.plan["long"]
    opens, closes = (s.buy, s.sell) if long else (s.sell, s.buy)
    at = lambda percent: 100.0 + (percent if long else -percent)  # noqa: E731
    first = closes(size=2, exectype=Order.Limit, price=at(11))
    bracket = s.buy_bracket if long else s.sell_bracket
    return [
        opens(size=5, exectype=Order.Limit, price=at(-10), valid=timedelta(hours=2), tag="label"),
        opens(size=6, exectype=Order.Limit, price=at(-11), carry=True, product="CNC" if long else "MIS"),
        closes(size=3, exectype=Order.StopLimit, price=at(-5), plimit=at(-6), tradeid=7),
        closes(size=4, exectype=Order.StopTrail, trailamount=7.0),
        closes(size=2, exectype=Order.StopTrail, trailpercent=0.08),
        closes(size=1, exectype=Order.StopTrailLimit, price=at(-9), plimit=at(-9.5), trailamount=9.0),
        closes(size=1, exectype=Order.StopTrailLimit, price=at(-9), plimit=at(-9.99), trailamount=9.035),
        closes(size=3, exectype=Order.Limit, price=at(10)),
        first,
        closes(size=2, exectype=Order.Stop, price=at(-7), oco=first),
        *bracket(size=4, price=at(-12), stopprice=at(-15), limitprice=at(15)),
        *bracket(size=4, exectype=Order.Market, stopprice=at(-9), limitprice=at(20)),
    ]


def fill_in_part(live: Any) -> Any:
    def step(s: Any) -> None:
        side = "buy" if s.p.plan["long"] else "sell"
        price = 110.0 if s.p.plan["long"] else 90.0
        live.exchange.steer.put_depth("NSE:TEST", **{side: [(price, 1)]})

    return step


def of(broker: Any) -> dict[str, Any]:
    book: dict[str, Any] = json.loads(json.dumps(book_of(broker), default=str))
    for row in book["orders"]:
        for name in ("adopted", "booked"):
            row["info"].pop(name, None)
    book["orders"].sort(key=lambda row: row["ref"])
    book["ledger"]["orders"].sort(key=lambda row: row["ref"])
    for name in ("runs", "strangers"):  # those of the last run, too
        del book[name]
    return book


@pytest.mark.parametrize("exits", ["one", "two"])
@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
def test_the_book_of_the_last_run_is_the_next_ones(live, tmp_path, long, exits):
    books: list[dict[str, Any]] = []
    worst: list[tuple[int, int]] = []
    more = {**OWN, "groups.exits": exits}

    def note(s: Any) -> None:
        books.append(of(s.broker))
        worst.append(s.broker.ledger.worst_case("NSE:TEST"))

    plan = {"long": long, 2: enter, 4: give, 6: fill_in_part(live), 9: lambda s: (note(s), end(s)) and None}
    before = life(live, tmp_path, LONG, plan, **more)
    after = life(
        live, tmp_path, None, {"long": long, 1: lambda s: (note(s), end(s)) and None}, strategy=Restored, **more
    )
    was, now = books
    assert {row["ref"] for row in was["orders"]} == {one.ref for one in before.given if one.alive()}
    assert len(was["orders"]) == 15
    for old, new in zip(was["orders"], now["orders"], strict=True):
        assert new == old
    for old, new in ((was, now), (was["ledger"], now["ledger"])):
        assert {name: new[name] for name in new.keys() - {"orders", "ledger"}} == {
            name: old[name] for name in old.keys() - {"orders", "ledger"}
        }
    # Their worst prices, and what the market was last told of them, are worked out anew.
    facts = ("ref", "key", "sign", "quantity", "filled", "multiplier", "margin_rate", "parent", "entry", "alive")
    then, here = (
        [{name: row[name] for name in facts} for row in book["ledger"]["orders"] if row["alive"]] for book in books
    )
    assert here == then
    assert worst[0] == worst[1]
    assert [order.ref for order in after.kept] == [row["ref"] for row in was["orders"]]
    assert {key: held.size for key, held in after.held.items()} == {"NSE:TEST": before.position.size}


def test_a_limit_that_trails_keeps_the_distance_that_was_asked_for(live, tmp_path):
    """0.99 below a trigger of 98.035, and of 102.035: a sell's limit on the tick above, whoever lived meanwhile.
    Taken from the prices that Kite has, the distance would be 0.95."""
    up = (104.0,) * 4
    stop = {"exectype": Order.StopTrailLimit, "price": 98.0, "plimit": 97.01, "trailamount": 1.965}
    life(
        live, tmp_path, [CALM] * 6 + [up] * 4, {2: lambda s: s.buy(size=5), 3: lambda s: s.sell(size=5, **stop), 5: end}
    )
    terms = [(row["trigger_price"], row["price"]) for row in live.book()]
    life(live, tmp_path, None, {}, strategy=Restored)
    terms += [(row["trigger_price"], row["price"]) for row in live.book()]
    assert terms[1::2] == [(98.0, 97.05), (102.0, 101.05)]
