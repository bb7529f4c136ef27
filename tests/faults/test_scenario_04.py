"""Scenario 4: orders that fill and end while the process is dead. The exchange's book is the judge."""

from __future__ import annotations

import pytest

from btkite.watch.explaining import explained
from btkite.watch.stories import events_of_journal, find, stories
from tests.faults.lives import life
from tests.faults.scene import held
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
