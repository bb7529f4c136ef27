"""What others do in the account: followed, left, or halting; and no exit of ours ever turns the account round.

The exchange's book is the judge."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM, DOWN, Order, buy, sell
from tests.brokers.wire import Told

LIMIT, STOP = Order.Limit, Order.Stop
DONE = ["Submitted", "Accepted", "Completed"]
LONG = [CALM] * 14
ADOPT, IGNORE, HALT = ({"broker.foreign": policy} for policy in ("adopt", "ignore", "halt"))


def outside(live: Any, side: str, quantity: int, **form: Any) -> Any:
    """A plan's step: an order from the web."""
    return lambda s: live.exchange.steer.place("NSE:TEST", side, quantity, **form) and None


def working(live: Any, side: str = "SELL") -> list[int]:
    """Units that rest on one side of the exchange's book."""
    rows = [row for row in live.book() if row["transaction_type"] == side]
    return [row["pending_quantity"] for row in rows if row["status"] in ("OPEN", "TRIGGER PENDING")]


# ---- the policies ----


def test_adopt_our_position_follows_and_the_trade_is_right(live):
    ran = live.run(LONG, {3: outside(live, "BUY", 9), 6: sell(size=9, exectype=LIMIT, price=100.0)}, **ADOPT)
    assert ran.position.size == live.held() == 0
    adopted = [order for order in ran.broker.orders.values() if order.info.get("foreign")]
    assert [(order.size, order.executed.price, order.info.adopted) for order in adopted] == [(9, 100.0, True)]
    assert adopted[0].info.foreign == live.book()[0]["order_id"]
    (trade,) = ran.trades
    assert (trade.pnl, trade.price) == (0.0, 100.0)
    assert ran.broker.ledger.latched is None


def test_adopt_an_order_of_others_is_charged_once_however_often_it_trades(live):
    """One brokerage with one cap: ₹100,000 in four executions owe ₹20, not three per ten thousand of each."""
    thin = {"depth": [250], "beyond_depth": "wait"}
    plan = {3: outside(live, "BUY", 1000)}
    ran = live.run(LONG, plan, settings=thin, **ADOPT, **{"broker.charges": True})
    adopted = [order for order in ran.broker.orders.values() if order.info.get("foreign")]
    assert [order.size for order in adopted] == [250] * 4
    (order_id,) = {order.info.foreign for order in adopted}
    assert ran.broker.ledger.charges == pytest.approx(live.exchange.charges()[order_id], abs=0.01)


def test_adopt_it_is_one_bill_also_if_we_restart_in_its_midst(live, tmp_path):
    """The brokerage's cap is of the order, whichever of our lives its executions fall in."""
    thin, ways = {"depth": [100], "beyond_depth": "wait"}, {"broker.charges": True, **ADOPT}
    first = {3: outside(live, "BUY", 1000), 4: lambda s: s.env.runstop()}
    with Journal(tmp_path / "journal.sqlite", ManualClock(datetime(2026, 11, 18, 9, 15))) as journal:
        before = live.run(LONG, first, settings=thin, record=Record(journal), **ways)
        after = live.run(None, {}, record=Record(journal), strategy=Restored, **ways)
    (order_id,) = {row["order_id"] for row in live.book()}
    assert 0 < before.position.size < after.position.size == live.held() == 1000
    assert after.broker.ledger.charges == pytest.approx(live.exchange.charges()[order_id], abs=0.01)


def test_adopt_an_exit_by_hand_closes_our_trade_at_its_price(live):
    plan = {2: buy(size=5), 5: outside(live, "SELL", 5), 8: buy(size=1)}
    rows = [*LONG[:4], (100.0, 104.0, 100.0, 104.0), *[(104.0,) * 4] * 6]
    ran = live.run(rows, plan, **ADOPT)
    assert [trade.pnl for trade in ran.trades] == [20.0]
    assert ran.story(1) == DONE  # entries go on
    assert ran.position.size == live.held() == 1
    assert ran.broker.getvalue() == pytest.approx(100_020.0)


def test_ignore_it_is_theirs(live):
    ran = live.run(LONG, {2: buy(size=2), 3: outside(live, "BUY", 9), 6: sell(size=2), 8: buy(size=1)}, **IGNORE)
    assert (ran.position.size, live.held()) == (1, 10)
    assert ran.story(2) == DONE
    assert len(ran.trades) == 1


def test_halt_our_position_follows_and_only_what_reduces_passes(live):
    plan = {2: buy(size=2), 3: outside(live, "BUY", 3), 5: buy(size=1), 7: sell(size=5)}
    ran = live.run(LONG, plan)  # the default
    assert ran.story(1) == ["Rejected"]
    assert "until a person resumes trading" in ran.given[1].info.denied
    assert ran.story(2) == DONE
    assert ran.position.size == live.held() == 0
    loud = [news for news in ran.news if "from outside" in news]
    assert len(loud) == 1
    assert "our position follows" in loud[0]


def test_another_instrument_and_another_product_are_not_followed(live):
    from btkite.testing import bars as canned

    rows = {key: canned.from_rows(LONG, symbol=key, interval="minute") for key in ("NSE:TEST", "NSE:OTHER")}
    live.exchange.reset(rows)
    store = live.exchange.store("live", config=live.exchange.config(**ADOPT))
    from btkite.engine import Cerebro

    engine = Cerebro(stdstats=False)
    engine.adddata(store.getdata("NSE:TEST", interval="minute"))  # OTHER is no feed of this run
    engine.setbroker(store.getbroker())

    def others(s):
        live.exchange.steer.place("NSE:OTHER", "BUY", 7)
        live.exchange.steer.place("NSE:TEST", "BUY", 4, product="CNC")

    engine.addstrategy(Told, plan={3: others, 5: buy(size=1)}, react=None)
    ran = engine.run()[0]
    assert ran.position.size == 1
    assert {row["tradingsymbol"]: row["quantity"] for row in live.exchange.positions() if row["product"] == "MIS"} == {
        "OTHER": 7, "TEST": 1,
    }  # fmt: skip


# ---- our exits ----


@pytest.mark.parametrize("policy", [ADOPT, IGNORE, HALT], ids=["adopt", "ignore", "halt"])
def test_a_resting_exit_goes_when_the_position_was_closed_by_hand(live, policy):
    plan = {2: buy(size=5), 3: sell(size=5, exectype=STOP, price=98.5), 5: outside(live, "SELL", 5)}
    ran = live.run([*LONG[:7], DOWN, *LONG[:2]], plan, **policy)  # the low of 98 would trigger it
    stop = live.book()[1]
    assert (stop["status"], stop["filled_quantity"]) == ("CANCELLED", 0)
    assert live.held() == 0
    assert ran.story(1)[-1] == "Canceled"


@pytest.mark.parametrize("policy", [ADOPT, IGNORE], ids=["adopt", "ignore"])
def test_a_resting_exit_shrinks_to_what_the_account_still_holds(live, policy):
    plan = {2: buy(size=5), 3: sell(size=5, exectype=STOP, price=98.5), 5: outside(live, "SELL", 2)}
    live.run([*LONG[:7], DOWN, *LONG[:2]], plan, **policy)
    assert live.book()[1]["filled_quantity"] == 3
    assert live.held() == 0


def test_a_brackets_exits_shrink_and_go_together(live):
    plan = {
        2: lambda s: s.buy_bracket(size=6, exectype=Order.Market, stopprice=90.0, limitprice=110.0),
        5: outside(live, "SELL", 2),
        8: outside(live, "SELL", 4),
    }
    seen: list[list[int]] = []
    plan[7] = lambda s: seen.append(working(live))
    plan[10] = lambda s: seen.append(working(live))
    live.run(LONG, plan, **ADOPT)
    assert set(seen[0]) == {4}
    assert seen[1] == []
    assert live.held() == 0


@pytest.mark.parametrize("exits", ["two", "one"])
@pytest.mark.parametrize("policy", [ADOPT, IGNORE], ids=["adopt", "ignore"])
def test_exits_that_others_have_made_smaller_grow_with_what_their_entry_fills_then(live, policy, exits):
    """The entry fills 4 at a time; 2 of the first 4 are sold by hand: the exits are for 4, for 2, and then for 6."""
    plan = {
        2: lambda s: s.buy_bracket(size=8, price=98.5, stopprice=90.0, limitprice=110.0),
        7: outside(live, "SELL", 2),
    }
    seen: list[Any] = []
    for bar in (7, 9, 12):
        plan[bar] = [lambda s, then=plan.get(bar): (seen.append(working(live)), then and then(s)) and None][0]
    rows = [*LONG[:4], DOWN, *LONG[:4], DOWN, *LONG[:4]]
    thin = {"depth": [4], "beyond_depth": "wait"}
    ran = live.run(rows, plan, settings=thin, **policy, **{"groups.exits": exits})
    assert [set(sizes) for sizes in seen] == [{4}, {2}, {6}]
    assert [len(sizes) for sizes in seen] == [1 if exits == "one" else 2] * 3
    most = [int(put.form["quantity"]) for put in live.middle.calls("PUT")]
    assert most
    assert max(most) == 6  # never more than the account bears
    assert live.held() == 6
    assert ran.position.size == (6 if policy is ADOPT else 8)


def test_a_new_exit_beyond_what_the_account_holds_is_denied(live):
    plan = {2: buy(size=5), 3: outside(live, "SELL", 3), 5: sell(size=5), 6: sell(size=2)}
    ran = live.run(LONG, plan, **IGNORE)
    assert ran.given[1].info.denied_by == "broker.foreign"
    assert "the account bears an exit of 2, not of 5" in ran.given[1].info.denied
    assert ran.story(2) == DONE
    assert live.held() == 0


def test_what_a_resting_exit_may_close_is_not_left_for_a_new_one(live):
    """5 are ours and 2 were sold by hand: 3 rest with the stop, and no more is to be had."""
    plan = {
        2: buy(size=5), 3: sell(size=3, exectype=STOP, price=98.5), 4: outside(live, "SELL", 2), 6: sell(size=2),
    }  # fmt: skip
    ran = live.run([*LONG[:7], DOWN, *LONG[:2]], plan, **IGNORE)
    assert "the account bears an exit of 0, not of 2" in ran.given[2].info.denied
    assert live.held() == 0


# ---- delivered shares ----

DELIVERY = {"broker.default_product": "CNC"}


def settings(**more: Any) -> dict[str, Any]:
    return {"holdings": {"NSE:TEST": (50, 80.0)}, **more}


def shares(live: Any) -> int:
    """Of the demat account, less what was sold of them today."""
    rows = live.exchange._exchange._server.call(lambda: live.exchange._exchange._server.venue.account.holdings.values())
    return sum(row.quantity + row.t1 for row in rows) + sum(
        row["quantity"] for row in live.exchange.positions() if row["product"] == "CNC"
    )


def test_other_holdings_of_the_same_stock_are_never_sold(live):
    plan = {2: sell(size=1), 3: buy(size=10), 5: sell(size=11), 6: sell(size=4), 8: sell(size=6), 10: sell(size=1)}
    ran = live.run(LONG, plan, settings=settings(), **DELIVERY)
    assert [ran.story(n)[-1] for n in range(6)] == [
        "Rejected", "Completed", "Rejected", "Completed", "Completed", "Rejected",
    ]  # fmt: skip
    assert "were not bought by this strategy's orders" in ran.given[2].info.denied
    assert (ran.position.size, shares(live)) == (0, 50)


def test_siblings_sell_the_same_shares_once(live):
    def pair(s):
        first = s.sell(size=10, exectype=STOP, price=90.0)
        return [first, s.sell(size=10, exectype=LIMIT, price=110.0, oco=first)]

    ran = live.run(LONG, {3: buy(size=10), 5: pair}, settings=settings(), **DELIVERY)
    assert [ran.story(n)[-1] for n in (1, 2)] == ["Accepted", "Accepted"]
    assert working(live) == [10, 10]


def test_a_sale_leaves_when_the_one_that_it_replaces_is_gone(live):
    def close(s):
        s.cancel(s.given[-1])
        return s.close()

    plan = {3: buy(size=10), 5: sell(size=10, exectype=STOP, price=90.0), 7: close}
    ran = live.run(LONG, plan, settings=settings(), **DELIVERY)
    assert [ran.story(n)[-1] for n in (1, 2)] == ["Canceled", "Completed"]
    assert (ran.position.size, shares(live)) == (0, 50)
    sent = [row["method"] for row in live.exchange.requests() if row["path"].startswith("/orders/regular")]
    assert sent == ["POST", "POST", "DELETE", "POST"]


def test_what_somebody_sells_of_his_own_shares_is_not_ours(live):
    plan = {3: buy(size=10), 5: outside(live, "SELL", 30, product="CNC"), 7: sell(size=10)}
    ran = live.run(LONG, plan, settings=settings(), **DELIVERY, **ADOPT)
    assert ran.story(1) == DONE
    assert (ran.position.size, shares(live)) == (0, 20)


# ---- over a restart ----


class Restored(Told):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def restored(self, orders: Any, positions: Any) -> None:
        self.kept = orders


def test_what_was_followed_is_not_followed_again_and_what_came_meanwhile_is(live, tmp_path):
    clock = ManualClock(datetime(2026, 11, 18, 9, 15))
    first = {3: outside(live, "BUY", 4), 6: lambda s: s.env.runstop()}
    with Journal(tmp_path / "journal.sqlite", clock) as journal:
        before = live.run(LONG, first, record=Record(journal), **ADOPT)
    assert before.position.size == 4
    live.exchange.steer.place("NSE:TEST", "BUY", 3)
    live.exchange.steer.put_price("NSE:TEST", 100.0)
    with Journal(tmp_path / "journal.sqlite", clock) as journal:
        after = live.run(None, {2: lambda s: s.env.runstop()}, record=Record(journal), strategy=Restored, **ADOPT)
        assert after.position.size == live.held() == 7
        again = live.run(None, {}, record=Record(journal), strategy=Restored, **ADOPT)
    assert again.position.size == live.held() == 7
    assert [news for news in again.news if "from outside" in news] == []


def test_killed_at_any_event_a_restart_follows_what_others_traded_once_and_at_its_price(live, tmp_path):
    """Whatever book was the last to be written: what it says of their order is what it holds of it."""
    thin = {"depth": [2], "beyond_depth": "wait"}
    with Journal(tmp_path / "journal.sqlite", ManualClock(datetime(2026, 11, 18, 9, 15))) as journal:
        ran = live.run(LONG, {3: outside(live, "BUY", 5)}, settings=thin, record=Record(journal), **ADOPT)
        books = [event.data["book"] for event in journal.events() if "book" in event.data]
    assert ran.position.size == live.held() == 5
    (order_id,) = (row["order_id"] for row in live.book())
    shown = [
        (book["strangers"].get(order_id, [0])[0], book["positions"].get("NSE:TEST", {"size": 0})["size"])
        for book in books
    ]
    assert list(dict.fromkeys(shown)) == [(0, 0), (2, 2), (4, 4), (5, 5)]


def test_a_halt_lasts_over_a_restart(live, tmp_path):
    clock = ManualClock(datetime(2026, 11, 18, 9, 15))
    with Journal(tmp_path / "journal.sqlite", clock) as journal:
        live.run(LONG, {3: outside(live, "BUY", 4), 6: lambda s: s.env.runstop()}, record=Record(journal))
        after = live.run(None, {2: buy(size=1), 3: sell(size=4)}, record=Record(journal), strategy=Restored)
        events = journal.events("foreign")
    assert (after.story(0), after.story(1)) == (["Rejected"], DONE)
    assert live.held() == 0
    (event,) = events
    assert (event.data["quantity"], event.data["followed"], event.data["policy"]) == (4, 4, "halt")


def test_purchases_that_rest_take_nothing_from_what_may_be_sold(live):
    plan = {3: buy(size=10), 5: buy(size=7, exectype=LIMIT, price=90.0), 7: sell(size=10)}
    ran = live.run(LONG, plan, settings=settings(), **DELIVERY)
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Accepted", "Completed"]
    assert shares(live) == 50


def test_ignore_positions_that_show_others_trade_late_let_no_exit_turn_the_account_round(live):
    """They sold what we hold; positions are 80 s old, and were taken for others' who had bought it back."""
    lag = {"kind": "stale_positions", "times": None, "args": {"seconds": 80.0}}
    reads = lambda s: s.broker._read_account() and None  # noqa: E731  # as the timer does, and every reconnect
    plan = {2: buy(size=10), 5: outside(live, "SELL", 10), 6: reads, 7: lambda s: s.close()}
    ran = live.run(LONG, plan, settings={"faults": [lag]}, **IGNORE)
    assert "would turn it round" in ran.given[1].info.denied
    assert live.held() == 0


def test_a_bracket_that_rests_takes_up_no_shares_that_are_held(live):
    def rests(s):
        return s.buy_bracket(size=20, price=80.0, stopprice=75.0, limitprice=110.0) and None

    ran = live.run(LONG, {3: buy(size=10), 5: rests, 8: lambda s: s.close()}, settings=settings(), **DELIVERY)
    assert ran.given[-1].getstatusname() == "Completed", ran.given[-1].info
    assert (ran.position.size, shares(live)) == (0, 50)
