"""Days of many instruments with a fault a minute: ``btkite run --mode live`` as a process of its own, which looks at
itself as it goes, and asks the exchange for its books before each close."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from btkite.exchange import Exchange, ExchangeSettings
from btkite.exchange.charges import Deal, brokerage, decimal, fee_rates, rate, sebi_rate, stamp_rate, tax_rate
from btkite.exchange.instruments import describe

ROOT = Path(__file__).resolve().parents[2]
KEY, SECRET, USER = "longdaykey000000", "longdaysecret000000000000000000x", "SIM015"
TOKEN = "tokenOfTheFirstMorning1234567890ab"
CAPITAL = 5_000_000.0
SQUARE_OFF = time(15, 10)
LOOK = time(15, 25)
"""When the exchange is asked for its books: the square-off is over, the day is not."""

PROBE = '''
import json, os, threading
from datetime import time
from pathlib import Path
import backtrader as bt
from btkite.linetime import from_seconds
from btkite.testing import Steering

class Soak(bt.Strategy):
    """Each instrument goes through the same round, one bar after the other: in by a market order, a limit or a
    bracket; a change; out. At the square-off everything is cancelled and closed, and again until nothing is left."""

    params = (("square_off", "15:10"), ("look", "15:25"), ("round", 12), ("url", ""))

    def __init__(self):
        self.working = {}
        self.closing = False
        self.ends = [0, 0]
        self.bars = self.news = 0
        self.add_timer(when=time.fromisoformat(self.p.square_off), cheat=False)
        self.add_timer(when=time.fromisoformat(self.p.look), cheat=False)
        self.steer = Steering(self.p.url)
        self.day = None

    def say(self, what, **facts):
        with open("told.jsonl", "a") as file:
            file.write(json.dumps({"what": what, "at": str(from_seconds(self.broker.now)), **facts}) + "\\n")

    def size_up(self):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.say("size", rss=pages * os.sysconf("SC_PAGE_SIZE"), threads=threading.active_count(),
                 files=len(os.listdir("/proc/self/fd")), orders=len(self.broker.orders),
                 journal=sum(one.stat().st_size for one in Path("state").rglob("journal.sqlite*")))

    def notify_timer(self, timer, when, *args, **kwargs):
        if when.strftime("%H:%M") == self.p.square_off:
            self.closing = True
            self.say("square off")
        else:
            state = self.steer.state()
            Path(f"day-{when:%Y-%m-%d}.json").write_text(json.dumps({
                "state": state,
                "ours": {
                    "value": self.broker.getvalue(), "cash": self.broker.getcash(),
                    "realized": self.broker.ledger.realized, "charges": self.broker.ledger.charges,
                    "held": {data._name: self.getposition(data).size for data in self.datas},
                    "working": [order.ref for order in self.broker.orders.values() if order.alive()],
                },
            }))
            self.closing = False

    def notify_store(self, msg, *args, **kwargs):
        self.news += 1
        text = " ".join(map(str, (msg, *args)))
        if "foreign" in text or "outside" in text or "lost" in text or "renewed" in text or "twice" in text:
            self.say("store", text=text)
        if msg == "session lost" and "access_token" in text:  # it is dead, not refused by mistake: somebody logs in
            token = self.steer.issue_token()
            Path(".env.new").write_text(f"KITE_ACCESS_TOKEN={token}\\n")
            Path(".env.new").replace(".env")
            self.say("login")

    def notify_order(self, order):
        if order.alive():
            self.working[order.ref] = order
        else:
            self.ends[0 if order.executed.size else 1] += 1
            self.working.pop(order.ref, None)
        if order.info.get("denied") and not order.alive():
            self.say("denied", text=str(order.info.denied))

    def next(self):
        self.bars += 1
        now = self.data.datetime.datetime(0)
        if now.date() != self.day:
            self.day = now.date()
            self.say("day", date=str(self.day))
        for number, data in enumerate(self.datas):
            if not len(data) or data.datetime.datetime(0) != now:
                continue
            mine = [order for order in self.working.values() if order.data is data]
            held = self.getposition(data).size
            if self.closing:
                for order in mine:
                    self.cancel(order)
                if held and not mine:
                    self.close(data=data)
            elif now.time() < time(15, 9):
                self.act(data, (len(data) + 7 * number) % self.p.round, number, mine, held)
        if now.minute % 15 == 0:
            self.size_up()

    def act(self, data, step, number, mine, held):
        near = lambda percent: round(round(data.close[0] * (1 + percent / 100) / 0.05) * 0.05, 2)
        if step == 0 and not held and not mine:
            kind, size = (len(data) // self.p.round + number) % 4, 3 + number % 7
            if kind == 0:
                self.buy(data=data, size=size)
            elif kind == 1:
                self.sell(data=data, size=size, exectype=bt.Order.Limit, price=near(0.03))
            elif kind == 2:
                self.buy_bracket(data=data, size=size, exectype=bt.Order.Market, limitprice=near(0.3),
                                 stopprice=near(-0.3))
            else:
                self.buy(data=data, size=size, exectype=bt.Order.Stop, price=near(0.05))
        elif step == 3 and held and not mine:
            give = self.sell if held > 0 else self.buy
            give(data=data, size=abs(held), exectype=bt.Order.Stop, price=near(-0.4 if held > 0 else 0.4))
        elif step == 5 and len(mine) == 1 and mine[0].exectype == bt.Order.Limit:
            self.broker.modify(mine[0], price=near(0.01 if not mine[0].isbuy() else -0.01))
        elif step == 8:
            for order in mine:
                self.cancel(order)
        elif step == 10 and held and not mine:
            self.close(data=data)

    def stop(self):
        self.say("end", bars=self.bars, filled=self.ends[0], unfilled=self.ends[1], news=self.news)
'''


@dataclass
class Lived:
    """What came of it: the process's lines by kind, the books before each close (the exchange's and ours), the fault
    rows, the exit code."""

    code: int
    output: str
    lines: list[dict[str, Any]]
    days: dict[str, dict[str, Any]]
    faults: list[dict[str, Any]]
    requests: int
    seconds: float = 0.0
    sizes: list[dict[str, Any]] = field(default_factory=list)

    def said(self, what: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["what"] == what]


def live_through(
    folder: Path, *, symbols: int, first: date, sessions: int, storm: dict[str, Any], begin: time = time(9, 0),
    patience: float, round: int, **settings: Any,
) -> Lived:  # fmt: skip
    """``sessions`` days from ``first`` on (at ``begin``) in lock step, to their end; ``round``: bars of one."""
    names = [f"NSE:SOAK{number:02}" for number in range(symbols)]
    given = {
        "symbols": names, "seed": 15, "generate_from": first, "generate_sessions": sessions,
        "start": datetime.combine(first, begin), "api_key": KEY, "api_secret": SECRET, "user_id": USER,
        "auto_token": TOKEN, "cash": CAPITAL, "mis_squareoff": True, "faults": [{"storm": storm}], **settings,
    }  # fmt: skip
    (folder / "probe.py").write_text(PROBE)
    (folder / ".env").write_text(f"KITE_ACCESS_TOKEN={TOKEN}\n")
    with Exchange(ExchangeSettings(**given)) as exchange:
        words = ["run", "probe.py:Soak", "--mode", "live", "--confirm", USER, "-p", f"url={exchange.url}"]
        words += ["-p", f"round={round}", "-p", f"square_off={SQUARE_OFF:%H:%M}", "-p", f"look={LOOK:%H:%M}"]
        words += [word for name in names for word in ("-s", name)]
        began = datetime.now()
        done = subprocess.run(
            [sys.executable, "-m", "btkite", *words], cwd=folder, env=_environment(folder, exchange.url),
            capture_output=True, text=True, timeout=patience,
        )  # fmt: skip
        server = exchange._server
        faults = server.call(lambda: list(server.venue.faults.log))
        requests = server.call(lambda: len(server.venue.requests))
    told = folder / "told.jsonl"
    lines = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
    days = {path.stem[4:]: json.loads(path.read_text()) for path in sorted(folder.glob("day-*.json"))}
    lived = Lived(done.returncode, done.stdout[-3000:] + done.stderr[-3000:], lines, days, faults, requests)
    lived.seconds = (datetime.now() - began).total_seconds()
    lived.sizes = lived.said("size")
    return lived


def _environment(folder: Path, url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BTKITE_", "KITE_"))}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "BTKITE_KEYRING": "off",
        "BTKITE_PATHS__STATE": str(folder / "state"),
        "BTKITE_PATHS__RUNS": str(folder / "runs"),
        "BTKITE_DATA__CACHE": str(folder / "cache"),
        "BTKITE_BROKER__KITE_CONNECT__ENDPOINT": url,
        "BTKITE_BROKER__KITE_CONNECT__TIMEOUT": "0.3",
        "BTKITE_BROKER__CAPITAL": str(CAPITAL),
        "BTKITE_RISK__ENABLED": "false",
        "BTKITE_RUN__QUIET": "true",
        "KITE_API_KEY": KEY,
        "KITE_API_SECRET": SECRET,
        "KITE_USER_ID": USER,
    }


def moment(line: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(line["at"])


def after_warming(sizes: list[dict[str, Any]], first: date) -> list[dict[str, Any]]:
    """Those from half an hour after the first open on."""
    warm = datetime.combine(first, time(9, 15)) + timedelta(minutes=30)
    return [line for line in sizes if moment(line) >= warm]


def fees(orders: list[dict[str, Any]], day: date) -> Decimal:
    """What the exchange's own tables charge for the orders of a day, each by itself and unrounded, in rupees."""
    total = Decimal(0)
    for order in orders:
        if not order["filled_quantity"]:
            continue
        row = describe(f"NSE:{order['tradingsymbol']}")
        value = decimal(float(order["average_price"])) * order["filled_quantity"]
        buys = order["transaction_type"] == "BUY"
        deal = Deal(row, order["product"], buys, order["filled_quantity"], value, intraday=order["product"] == "MIS")
        fee_rate, fund_rate = fee_rates(deal, day)
        paid, fee, sebi = brokerage(deal, day), deal.value * fee_rate, deal.value * sebi_rate(deal, day)
        gst = (paid + fee + sebi) * rate("gst", day)
        tax, stamp = deal.value * tax_rate(deal, day), deal.value * stamp_rate(deal, day)
        total += paid + fee + deal.value * fund_rate + sebi + gst + tax + stamp
    return total
