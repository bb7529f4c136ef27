"""New MIS orders after Kite's hour of the day are denied, in every mode; exits pass. The exchange keeps the hours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from btkite.market.permitted import mis_cutoff
from btkite.testing import bars as canned
from btkite.testing import run_strategy
from btkite.values import Instrument
from tests.brokers.scene import CALM, DAY, Order, Planned, buy

KEY = {"broker.mis_cutoff": "deny", "broker.square_off": None}


def instrument(key: str) -> Instrument:
    exchange, symbol = key.split(":")
    return Instrument(exchange, symbol)


@pytest.mark.parametrize(
    ("key", "opens", "closes", "until"),
    [
        ("NSE:TEST", "2025-12-29 09:15", "2025-12-29 15:30", "15:20"),
        ("NSE:TEST", "2025-12-30 09:15", "2025-12-30 15:30", "15:25"),
        ("NSE:RELIANCE", "2026-08-02 09:15", "2026-08-02 15:30", "15:25"),
        ("NSE:RELIANCE", "2026-08-03 09:15", "2026-08-03 15:30", "15:12"),
        ("NFO:NIFTY26NOVFUT", "2026-08-03 09:15", "2026-08-03 15:40", "15:25"),
        ("CDS:USDINR26NOVFUT", "2026-08-03 09:00", "2026-08-03 17:00", "16:45"),
        ("MCX:GOLDM26DECFUT", "2025-12-29 09:00", "2025-12-29 23:30", "23:05"),
        ("MCX:GOLDM26DECFUT", "2026-08-03 09:00", "2026-08-03 23:55", "23:45"),
        ("NSE:TEST", "2026-11-08 18:00", "2026-11-08 19:00", "18:50"),  # a short session
        ("XYZ:TEST", "2026-08-03 09:00", "2026-08-03 15:30", None),
    ],
)
def test_the_hour_is_that_of_the_day(key, opens, closes, until):
    found = mis_cutoff(instrument(key), (datetime.fromisoformat(opens), datetime.fromisoformat(closes)))
    assert (found and f"{found:%H:%M}") == until


def market() -> Any:
    return canned.from_rows([CALM] * 75, interval="5minute", day=DAY)


# The 73rd bar ends at 15:20, the 74th at 15:25.
PLAN = {
    2: buy(size=2),
    73: buy(size=1),
    74: lambda s: [
        s.buy(size=1), s.sell(size=3), s.buy(size=1, product="CNC"), s.buy(size=1, exectype=Order.Limit, price=90.0),
    ],
}  # fmt: skip


@pytest.mark.parametrize("mode", ["history", "paper", "live"])
def test_after_it_entries_are_denied_and_exits_pass(kite_exchange, mode):
    if mode == "history":
        ran = run_strategy(Planned, market(), plan=PLAN, config=KEY, interval="5minute").strategy
    else:
        ran = kite_exchange.run_strategy(Planned, market(), mode=mode, plan=PLAN, config=KEY).strategy
    assert [ran.story(n)[-1] for n in range(6)] == [
        "Completed", "Completed", "Rejected", "Completed", "Completed", "Rejected",
    ]  # fmt: skip
    for number in (2, 5):
        assert "no new MIS orders in NSE:TEST from 15:25 on" in ran.given[number].info.denied
        assert ran.given[number].info.denied_by == "broker.mis_cutoff"


def test_an_exit_passes_while_the_stop_that_it_replaces_is_on_its_way_out(kite_exchange):
    plan = {
        2: buy(size=2),
        5: lambda s: s.sell(size=2, exectype=Order.Stop, price=90.0),
        74: lambda s: [s.cancel(s.given[1]), s.sell(size=2)],
    }
    ran = kite_exchange.run_strategy(Planned, market(), plan=plan, config=KEY).strategy
    assert ran.story(2)[-1] == "Completed"
    assert ran.position.size == 0


def test_what_is_allowed_kite_takes(kite_exchange):
    settings = {"checks": ("mis_cutoff",)}
    plan = {73: buy(), 74: lambda s: [s.buy(size=1), s.buy(size=1, product="CNC")]}
    ran = kite_exchange.run_strategy(Planned, market(), plan=plan, config=KEY, settings=settings).strategy
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Rejected", "Completed"]
    assert {row["status"] for row in kite_exchange.requests() if row["method"] == "POST"} == {200}


def test_sent_all_the_same_kite_refuses_it(kite_exchange):
    settings, config = {"checks": ("mis_cutoff",)}, {**KEY, "broker.mis_cutoff": "send"}
    ran = kite_exchange.run_strategy(Planned, market(), plan={74: buy()}, config=config, settings=settings).strategy
    assert ran.story() == ["Submitted", "Rejected"]
    assert "allowed only till" in ran.given[0].info.reason
