"""A stop that the price has passed on its way to Kite: Kite takes no such stop, so it goes as what it becomes there.

Whoever is an exit is never left out, or the position would be without a stop. The exchange, which refuses stops on the
wrong side of the price, is the judge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.brokers.scene import CALM, Order
from tests.brokers.test_exits import run
from tests.brokers.test_exits_partly_filled import mirrored
from tests.brokers.wire import lost, passes

LIMIT = Order.Limit
LONG = [CALM] * 5
FALL = [(97.0,) * 4] * 5
KINDS = {
    "stop": {"exectype": Order.Stop, "price": 98.0},
    "stop limit": {"exectype": Order.StopLimit, "price": 98.0, "plimit": 96.0},
    "trail": {"exectype": Order.StopTrail, "trailamount": 2.0},
    "trail limit": {"exectype": Order.StopTrailLimit, "trailamount": 2.0, "price": 100.0, "plimit": 98.0},
}


def passed(price: float) -> Any:
    """The market moves to ``price`` while the order is on its way."""

    def rule(middle: Any, asked: Any) -> Any:
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=price)
        return middle.forward(asked)

    return rule


def exit_of(s: Any, long: bool, **more: Any) -> Any:
    if not long:  # upside down around 100
        more |= {name: 200.0 - more[name] for name in ("price", "plimit") if name in more}
    return (s.sell if long else s.buy)(size=10, **more)


def oco(kind: dict[str, Any], long: bool) -> Any:
    def give(s: Any) -> list[Any]:
        stop = exit_of(s, long, **kind)
        return [stop, exit_of(s, long, exectype=LIMIT, price=110.0, oco=stop)]

    return {2: lambda s: (s.buy if long else s.sell)(size=10), 4: give}


def bracket(kind: dict[str, Any], long: bool) -> Any:
    def give(s: Any) -> list[Any]:
        entry = (s.buy if long else s.sell)(size=10, transmit=False)
        stop = exit_of(s, long, parent=entry, transmit=False, **kind)
        return [entry, stop, exit_of(s, long, exectype=LIMIT, price=110.0, parent=entry)]

    return {2: give}


def refusals(live: Any) -> list[int]:
    return [row["status"] for row in live.exchange.requests() if row["method"] == "POST" and row["status"] != 200]


@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
@pytest.mark.parametrize("group", [oco, bracket])
@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_it_goes_as_what_it_becomes_and_the_position_is_closed(live, kind, group, long):
    fall = 97.0 if long else 103.0
    live.middle.on("POST", passes, passed(fall))
    rows = [*LONG, *FALL]
    ran = run(live, rows if long else mirrored(rows), group(kind, long))
    assert refusals(live) == [400]
    assert [ran.story(n)[-1] for n in (1, 2)] == ["Completed", "Canceled"]
    assert ran.position.size == live.held() == 0


def test_a_refusal_for_another_reason_is_the_strategys_to_hear(live):
    words = {"status": "error", "error_type": "InputException", "message": "Trigger price is not a multiple of tick."}
    live.middle.on("POST", passes, lost((400, "application/json", words)))
    ran = run(live, [CALM] * 10, oco(KINDS["stop"], True))
    assert ran.story(1)[-1] == "Rejected"
    assert live.held() == 10
