"""Scenario 4: orders that fill and end while the process is dead. The exchange's book is the judge."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from btkite.watch.explaining import explained
from btkite.watch.stories import events_of_journal, find, stories
from tests.faults.lives import life
from tests.faults.resting import orders_of
from tests.faults.scene import held
from tests.faults.seeds import seeds
from tests.faults.test_scenario_03 import said


def test_fills_and_ends_while_we_are_down_are_delivered_once(kite_exchange, tmp_path):
    kite_exchange.reset([100.0] * 60)
    first = life(kite_exchange, tmp_path, "rest", "resting")
    filled, cancelled = (one["ref"] for one in said(first, "order") if one["status"] == "Submitted")
    steer = kite_exchange.steer
    steer.put_price("NSE:TEST", 97.0)
    steer.cancel(kite_exchange.orders()[1]["order_id"])
    steer.put_price("NSE:TEST", 100.0)
    assert [row["status"] for row in kite_exchange.orders()] == ["COMPLETE", "CANCELLED"]

    second = life(kite_exchange, tmp_path, "rest")
    stories = {
        ref: [one["status"] for one in said(second, "order") if one["ref"] == ref] for ref in (filled, cancelled)
    }
    assert stories[filled].count("Completed") == 1
    assert stories[cancelled].count("Canceled") == 1
    row = next(row for row in kite_exchange.positions() if row["quantity"])
    end = said(second, "end")[0]
    assert end["size"] == held(kite_exchange) == 10
    assert end["price"] == pytest.approx(row["average_price"], abs=0.01)
    assert end["value"] == pytest.approx(100_000 + row["pnl"] - end["charges"], abs=0.01)
    assert said(second, "restored")[0]["orders"] == 2

    third = life(kite_exchange, tmp_path, "rest")
    assert [one for one in said(third, "order") if one["ref"] in (filled, cancelled)] == []
    assert len(kite_exchange.orders()) == 2
    assert {name: said(third, "end")[0][name] for name in ("size", "price", "value", "charges")} == {
        name: end[name] for name in ("size", "price", "value", "charges")
    }


def test_a_fill_that_was_made_while_we_were_down_has_the_exchanges_time(kite_exchange, tmp_path):
    """Of an order that was cancelled minutes later, too: the order book has the time of the cancellation."""
    kite_exchange.reset([100.0] * 60)
    life(kite_exchange, tmp_path, "rest", "resting")
    steer = kite_exchange.steer
    steer.advance(20)
    steer.put_depth("NSE:TEST", sell=[[97.0, 4]])
    steer.put_price("NSE:TEST", 100.0)
    steer.advance(100)
    steer.cancel(kite_exchange.orders()[0]["order_id"])
    steer.advance(60)
    (traded,) = kite_exchange.steer.trades()
    book = kite_exchange.orders()[0]
    assert (book["status"], book["filled_quantity"]) == ("CANCELLED", 4)
    filled, over = traded["fill_timestamp"], book["exchange_update_timestamp"]
    assert filled < over

    heard = life(kite_exchange, tmp_path, "rest")
    (partial,) = [one for one in said(heard, "order") if one["status"] == "Partial"]
    assert partial["at"][:19] == filled
    (trade,) = said(heard, "trade")
    assert trade["opened"][:19] == filled
    assert trade["told"] > over  # the bar at which the strategy heard of it
    told = find(stories(events_of_journal(tmp_path / "journal.sqlite")), str(partial["ref"]))
    (course,) = [line for line in explained(told) if "filled 4" in line]
    assert filled in course
    assert any("btkite started again" in line for line in explained(told))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", seeds(3, 60))
def test_whatever_becomes_of_them_is_told_once_and_is_the_books(kite_exchange, tmp_path, seed):
    """Several orders, filled, filled in parts and cancelled by chance in what time we are dead."""
    kite_exchange.reset([100.0] * 60)
    first = life(kite_exchange, tmp_path, f"rest:{seed}", "resting")
    refs = [one["ref"] for one in said(first, "order") if one["status"] == "Submitted"]
    placed = kite_exchange.orders()
    assert [(row["price"], row["quantity"]) for row in placed] == orders_of(seed)
    rng, steer = random.Random(-seed - 1), kite_exchange.steer
    for _ in range(rng.randint(1, 6)):
        act = rng.choice(["price", "depth", "cancel", "time"])
        if act == "price":
            steer.put_price("NSE:TEST", rng.randint(180, 200) / 2)
        elif act == "depth":
            steer.put_depth("NSE:TEST", sell=[[rng.randint(180, 194) / 2, rng.randint(1, 30)]])
            steer.put_price("NSE:TEST", 100.0)
        elif act == "cancel":
            working = [row["order_id"] for row in kite_exchange.orders() if row["status"] == "OPEN"]
            if working:
                steer.cancel(rng.choice(working))
        else:
            steer.advance(rng.randint(1, 60))
    steer.put_depth("NSE:TEST", sell=[[100.0, 1000]])
    steer.put_price("NSE:TEST", 100.0)
    while_dead = kite_exchange.orders()

    second = life(kite_exchange, tmp_path, f"rest:{seed}")
    book = kite_exchange.orders()
    filled = {row["order_id"]: row["filled_quantity"] for row in book}
    assert filled == {row["order_id"]: row["filled_quantity"] for row in while_dead}  # nothing was sent or filled since
    for ref, row in zip(refs, book, strict=True):
        told = [one for one in said(second, "order") if one["ref"] == ref]
        ends = [one["status"] for one in told if one["status"] in ("Completed", "Canceled", "Rejected")]
        assert ends == {"COMPLETE": ["Completed"], "CANCELLED": ["Canceled"]}.get(row["status"], []), (row, told)
        sizes = [0, *(one["filled"] for one in told)]
        assert sizes[-1] == row["filled_quantity"]
        assert all(earlier <= later for earlier, later in pairwise(sizes))
        if row["filled_quantity"]:
            assert told[-1]["price"] == pytest.approx(row["average_price"], abs=0.0001)
    end = said(second, "end")[0]
    assert end["size"] == held(kite_exchange) == sum(filled.values())
    pnl = sum(row["pnl"] for row in kite_exchange.positions())
    assert end["value"] == pytest.approx(100_000 + pnl - end["charges"], abs=0.01)

    third = life(kite_exchange, tmp_path, f"rest:{seed}")
    assert [one for one in said(third, "order") if one["ref"] in refs] == []
    assert [row["tag"] for row in kite_exchange.orders()] == [row["tag"] for row in placed]
    assert {name: said(third, "end")[0][name] for name in ("size", "price", "value", "charges")} == {
        name: end[name] for name in ("size", "price", "value", "charges")
    }
