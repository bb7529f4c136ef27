"""Scenario 15: long days of many instruments, with a fault a minute. What the exchange's books say before each close
is what ours say, to the paisa; the square-off leaves nothing; and the process does not grow.

A short day of five instruments, with a fault every other minute; two whole days of fifty, and the night between them,
under ``make soak`` (``BTKITE_SEED``: of the faults)."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from btkite.clock import SystemClock
from btkite.journal import Journal
from tests.faults.long_day import CAPITAL, SQUARE_OFF, Lived, after_warming, fees, live_through

SOAK = bool(os.environ.get("BTKITE_SOAK"))
SEED = int(os.environ.get("BTKITE_SEED", "15"))
FIRST = date(2026, 11, 18)
PAISA = Decimal("0.01")
GROWTH = 50 << 20
OVER = ("COMPLETE", "CANCELLED", "REJECTED")
SHORT = {kind: {"seconds": 0.4} for kind in ("reply_withheld_before", "reply_withheld_after", "slow_reply")}
STORM = {"seed": SEED, "every": 60, "args": SHORT}


def minute(text: str) -> time:
    return datetime.fromisoformat(text).time()


def squared_off(day: dict[str, Any]) -> None:
    """Nothing is held and nothing works, on either side, and it was the square-off's doing, not the exchange's."""
    orders, ours = day["state"]["orders"], day["ours"]
    assert [row for row in day["state"]["positions"]["net"] if row["quantity"]] == []
    assert [row for row in orders if row["status"] not in OVER] == []
    assert {key: size for key, size in ours["held"].items() if size} == {}
    assert ours["working"] == []
    assert any(minute(row["order_timestamp"]) >= SQUARE_OFF for row in orders)
    tags = Counter(row["tag"] for row in orders)
    assert None not in tags
    assert [tag for tag, count in tags.items() if count > 1] == []


def same_money(days: dict[str, dict[str, Any]]) -> None:
    """Profit, fees and cash of each day, in the exchange's books and by its tables, and in ours."""
    made, paid = Decimal(0), Decimal(0)
    for name, day in days.items():
        account, ours = day["state"]["account"], day["ours"]
        profit = sum(Decimal(str(row["pnl"])) for row in day["state"]["positions"]["net"])
        made, paid = made + profit, paid + fees(day["state"]["orders"], date.fromisoformat(name))
        assert profit
        assert abs(Decimal(str(account["available"])) - Decimal(str(account["opening_balance"])) - profit) <= PAISA
        assert abs(Decimal(ours["charges"]) - paid) <= PAISA * len(days), (ours["charges"], paid)
        assert abs(Decimal(ours["value"]) - (Decimal(CAPITAL) + made - paid)) <= PAISA * len(days), (ours, made, paid)
        assert ours["cash"] == pytest.approx(ours["value"], abs=0.01)  # flat: all of it is cash


def nobody_else(lived: Lived) -> None:
    """No order of ours was taken for a stranger's, and none was at the exchange twice."""
    strange = [line["text"] for line in lived.said("store") if "foreign" in line["text"] or "outside" in line["text"]]
    assert strange == []
    assert not [line for line in lived.said("store") if "twice" in line["text"]]


def hit(lived: Lived, storms: int) -> None:
    """Most of what a storm arms finds something to spoil."""
    assert len(lived.faults) >= storms * 0.7, Counter(row["kind"] for row in lived.faults)


def whole(folder: Path) -> None:
    """The journal's chain."""
    (path,) = (folder / "state").rglob("journal.sqlite")
    with Journal(path, SystemClock()) as journal:
        assert journal.verify() is None
    with sqlite3.connect(path) as kept:
        assert kept.execute("SELECT count(*) FROM events").fetchone()[0] > 50


@pytest.mark.timeout(300)
def test_a_short_day_of_faults_ends_flat_and_to_the_paisa(tmp_path):
    lived = live_through(
        tmp_path,
        symbols=5,
        first=FIRST,
        sessions=1,
        begin=time(14, 50),
        storm={**STORM, "every": 120},
        patience=200,
        round=12,
    )
    assert lived.code == 0, lived.output
    ((_, day),) = lived.days.items()
    squared_off(day)
    same_money(lived.days)
    nobody_else(lived)
    hit(lived, 20)
    whole(tmp_path)


@pytest.mark.skipif(not SOAK, reason="two days of fifty instruments take a quarter of an hour: make soak")
@pytest.mark.timeout(7200)
def test_two_days_of_fifty_instruments(tmp_path, capsys):
    lived = live_through(tmp_path, symbols=50, first=FIRST, sessions=2, storm=STORM, patience=7000, round=40)
    sizes = after_warming(lived.sizes, FIRST)
    memory = [line["rss"] for line in sizes]
    with capsys.disabled():
        orders = sum(len(day["state"]["orders"]) for day in lived.days.values())
        print(f"\ntwo days in {lived.seconds:.0f} s: {orders} orders, {len(lived.faults)} faults, "
              f"{lived.requests} requests; memory {memory[0] >> 20} MB after half an hour, at most "
              f"{max(memory) >> 20} MB, threads {sizes[0]['threads']} to {max(line['threads'] for line in sizes)}, "
              f"descriptors {sizes[0]['files']} to {max(line['files'] for line in sizes)}, "
              f"journal {sizes[-1]['journal'] >> 20} MB")  # fmt: skip
    assert lived.code == 0, lived.output
    assert list(lived.days) == [str(FIRST), str(FIRST + timedelta(days=1))]
    for day in lived.days.values():
        squared_off(day)
    same_money(lived.days)
    nobody_else(lived)
    hit(lived, 2 * 375)
    assert len(lived.said("login")) == 1  # the token of the first morning died at 06:00
    assert max(memory) - memory[0] < GROWTH
    for name, slack in (("threads", 1), ("files", 3)):
        flat = [line[name] for line in sizes]
        assert max(flat) <= flat[0] + slack, flat
    whole(tmp_path)
