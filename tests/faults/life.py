"""One life of a live process, for the scenarios that end it with SIGKILL: ``python life.py URL FOLDER PLAN DEATH``.

It trades NSE:TEST (a future on NIFTY by the plan "slices") on the exchange that serves on URL, with the account's
journal in FOLDER, by the PLAN's name, and dies at DEATH, if that is a moment of it: after the intent, before the first
byte, when the answer has come, after the first part of a fill. What its strategy hears goes to FOLDER/told.jsonl.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import backtrader as bt

from btkite.brokers.record import Record
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.journal import Journal
from btkite.store import KiteStore
from tests.faults.resting import orders_of

URL, FOLDER, PLAN, DEATH = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]


SYMBOL = "NFO:NIFTY26NOVFUT" if PLAN == "slices" else "NSE:TEST"
SLICED = 2 * 1755 + 390
_times: Counter[str] = Counter()


def die(at: str) -> None:
    """At ``at``; with a number behind it, at its so-manieth time."""
    _times[at] += 1
    if DEATH in (at, f"{at}{_times[at]}"):
        os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Record):
    """The record of a process that may die right after a line of it."""

    def intent(self, *args: Any) -> None:
        super().intent(*args)
        die("exit intent" if args[1].reduces else "intent")

    def sending(self, *args: Any) -> None:
        super().sending(*args)
        die("sending")

    def reply(self, reply: Any) -> None:
        if reply.action == "place":
            die("answer")
        super().reply(reply)


class Lives(bt.Strategy):
    """Enters once in its account's life, at its second bar; says what it hears."""

    def __init__(self) -> None:
        told = FOLDER / "told.jsonl"
        self.before = PLAN.startswith("rest:") and told.exists()  # all of it may be over by now
        self.file = told.open("a", encoding="utf-8")

    def say(self, **facts: Any) -> None:
        self.file.write(json.dumps(facts) + "\n")
        self.file.flush()

    def restored(self, orders: Any, positions: Any) -> None:
        self.before = self.before or bool(orders) or any(position.size for position in positions.values())
        self.say(what="restored", orders=len(orders), sizes=[p.size for p in positions.values()])

    def next(self) -> None:
        if len(self) == 1:
            self.say(what="first", cash=self.broker.getcash(), size=self.position.size, price=self.position.price)
        if PLAN == "enter" and len(self) == 2 and not self.before:
            self.buy(size=10, exectype=bt.Order.Limit, price=99.0)
        if PLAN == "slices" and len(self) == 2 and not self.before:
            self.buy(size=SLICED, exectype=bt.Order.Limit, price=99.0)
        if PLAN == "leave" and len(self) == 2 and not self.before:
            self.buy(size=10)
        if PLAN == "leave" and len(self) == 4 and not self.before:
            self.close()
        if PLAN == "rest" and len(self) == 2 and not self.before:
            self.buy(size=10, exectype=bt.Order.Limit, price=97.0)
            self.buy(size=5, exectype=bt.Order.Limit, price=90.0)
        if PLAN.startswith("rest:") and len(self) == 2 and not self.before:
            for price, size in orders_of(int(PLAN.partition(":")[2])):
                self.buy(size=size, exectype=bt.Order.Limit, price=price)
        if PLAN.startswith("rest") and len(self) == 4 and DEATH == "resting":
            die("resting")
        if len(self) == 8:
            self.say(
                what="end", value=self.broker.getvalue(), size=self.position.size, price=self.position.price,
                charges=self.broker.ledger.charges, realized=self.broker.ledger.realized,
            )  # fmt: skip
            self.env.runstop()

    def notify_order(self, order: Any) -> None:
        if order.info.get("adopted") and order.p.simulated:
            return  # what was held already
        self.say(
            what="order", ref=order.ref, status=order.getstatusname(), filled=order.executed.size,
            price=order.executed.price, at=str(bt.num2date(order.executed.dt)) if order.executed.dt else "",
        )  # fmt: skip
        if order.status == order.Partial:
            die("partial")

    def notify_trade(self, trade: Any) -> None:
        if trade.justopened and trade.dtopen:  # what was held already has no time of its own
            self.say(what="trade", opened=str(bt.num2date(trade.dtopen)), told=str(self.data.datetime.datetime(0)))


config = Config().with_(
    **{
        "broker.kite_connect.endpoint": URL,
        "broker.kite_connect.api_key": os.environ["LIFE_KEY"],
        "broker.kite_connect.access_token": os.environ["LIFE_TOKEN"],
        "broker.kite_connect.user_id": os.environ["LIFE_USER"],
        "risk.max_order_value": None,
        **({"broker.capital": 1e9} if PLAN == "slices" else {}),
        "data.cache": str(FOLDER / "candles"),
        "paths.state": str(FOLDER / "state"),
    }
)
store: Any = KiteStore(mode="live", config=config, confirm=os.environ["LIFE_USER"])  # type: ignore[call-arg]
with Journal(FOLDER / "journal.sqlite", store.clock) as journal:
    engine = Cerebro(stdstats=False)
    engine.adddata(store.getdata(SYMBOL, interval="minute"))
    engine.setbroker(store.getbroker(record=Mortal(journal)))
    engine.addstrategy(Lives)
    engine.run()
