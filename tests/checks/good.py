"""A day that kept every promise, in the exchange's words and in btkite's, to be spoilt by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from btkite.checks.evidence import Evidence
from btkite.checks.lives import Day
from btkite.checks.oracle import broken
from btkite.checks.scenario import OPEN, WARMUP, Scenario, candles
from btkite.journal import Event

Row = dict[str, Any]
SCENARIO = Scenario(seed=3, minutes=4, symbols=("NSE:INFY",))
FIRST = OPEN + timedelta(minutes=WARMUP)
TOKEN = "token-of-a-spoilt-day"
TRADED = 1500.0


def at(minute: int) -> str:
    return str(FIRST + timedelta(minutes=minute))


def state(minute: int, status: str, filled: int = 0, **more: Any) -> Row:
    return {"order_timestamp": at(minute), "status": status, "filled_quantity": filled, **more}


def order(number: int, side: str, *states: tuple[int, Row], quantity: int = 5, tag: str = "") -> Row:
    """An order of the book: its states with their rank among those of all."""
    base = {
        "order_id": f"id{number}", "tag": tag or f"T{number}", "exchange": "NSE", "tradingsymbol": "INFY",
        "transaction_type": side, "quantity": quantity, "order_type": "LIMIT", "product": "MIS",
        "average_price": TRADED, "price": TRADED, "trigger_price": 0.0,
    }  # fmt: skip
    history = [{**base, **row} for _, row in states]
    return {**history[-1], "history": history, "ranks": [rank for rank, _ in states]}


def intent(number: int, ref: int, *, reduces: bool = False, parent: int = 0, quantity: int = 5) -> Event:
    proposal = {"tag": f"T{number}", "ref": ref, "reduces": reduces, "parent": parent, "quantity": quantity}
    return event("intent", proposal=proposal)


def event(kind: str, **data: Any) -> Event:
    return Event(1, FIRST, kind, data, "")


def fill(number: int, quantity: int = 5, price: float = TRADED) -> Event:
    return event("fill", ref=number, order_id=f"id{number}", quantity=quantity, price=price)


def call(seq: int, method: str, path: str, minute: int, *, status: int = 200, fault: str = "", **form: str) -> Row:
    return {
        "seq": seq, "time": f"{at(minute).replace(' ', 'T')}+05:30", "method": method, "path": path, "form": form,
        "status": status, "fault": fault or None,
    }  # fmt: skip


def told(ref: int, status: str, filled: float = 0.0, **more: Any) -> Row:
    row = {"ref": ref, "status": status, "filled": filled, "size": 5, "adopted": False, "given": True}
    return {**row, "price": TRADED if filled else 0.0, **more}


def known(ref: int, number: int, status: str, **more: Any) -> Row:
    return {
        "ref": ref, "order_id": f"id{number}", "status": status, "alive": False, "there": False, "uncertain": False,
        "failed": False, "size": 5, "filled": 0, **more,
    }  # fmt: skip


def bars() -> tuple[Row, ...]:
    series = candles(SCENARIO)["NSE:INFY"]
    rows = list(zip(series.open, series.high, series.low, series.close, strict=True))[WARMUP:]
    return tuple(
        {
            "kind": "bar",
            "at": at(n + 1),
            "repaired": False,
            "newest": min(n, 3),
            "prices": {"NSE:INFY": list(map(float, row))},
        }
        for n, row in enumerate(rows)
    )


BUY = order(1, "BUY", (1, state(1, "OPEN")), (2, state(2, "COMPLETE", 5)))
SELL = order(2, "SELL", (3, state(2, "OPEN")), (6, state(4, "COMPLETE", 5)))
REST = order(3, "BUY", (4, state(3, "OPEN")))
READ = tuple(call(n, "GET", path, 0) for n, path in enumerate(("/orders", "/trades", "/portfolio/positions"), 1))
SIDES = {1: "BUY", 2: "SELL", 3: "BUY"}


def form(number: int, **more: str) -> dict[str, str]:
    """What was sent with this tag."""
    return {
        "tag": f"T{number}", "exchange": "NSE", "tradingsymbol": "INFY", "quantity": "5", "product": "MIS",
        "transaction_type": SIDES.get(number, "BUY"), "validity": "DAY", "order_type": "LIMIT", "price": "1500.00",
        **more,
    }  # fmt: skip


CALLS = tuple(call(n + 3, "POST", "/orders/regular", n, **form(n)) for n in SIDES)
EVENTS = (intent(1, 1), intent(2, 2, reduces=True), intent(3, 3), fill(1), fill(2))
TOLD = (told(1, "Accepted"), told(1, "Completed", 5), told(2, "Completed", -5), told(3, "Accepted"))
KNOWN = (known(1, 1, "Completed"), known(2, 2, "Completed"), known(3, 3, "Accepted", alive=True, there=True))
END = {"position": {}, "realized": 0.0, "charges": 1.0, "orders": KNOWN}


def trade(number: int, side: str) -> Row:
    return {
        "order_id": f"id{number}", "product": "MIS", "average_price": TRADED, "quantity": 5, "transaction_type": side,
        "exchange": "NSE", "tradingsymbol": "INFY",
    }  # fmt: skip


GOOD = Day(
    codes=(0,),
    began=(0,),
    bars=bars(),
    told=TOLD,
    orders=(BUY, SELL, REST),
    trades=(trade(1, "BUY"), trade(2, "SELL")),
    requests=(*READ, *CALLS),
    events=EVENTS,
    end=END,
    note={"id1": 0.4, "id2": 0.6},
    secrets=(TOKEN,),
)


def judged(day: Day, scenario: Scenario = SCENARIO) -> dict[str, list[str]]:
    return broken(Evidence(scenario, day))
