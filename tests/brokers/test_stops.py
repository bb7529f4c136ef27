"""Stops that the price has reached already: Kite refuses them, and so does every broker of ours, in every mode."""

from __future__ import annotations

import pytest

from tests.brokers.scene import CALM, UP, Order, buy, play, sell

STOP, STOPLIMIT, LIMIT = Order.Stop, Order.StopLimit, Order.Limit
ROWS = [CALM, CALM, CALM, UP, CALM, CALM]
CHECKED = {"check_trigger_side": True}
ABOVE, BELOW = (
    f"Trigger price for stoploss {way} orders should be {where} than the last traded price"
    for way, where in (("buy", "higher"), ("sell", "lower"))
)


@pytest.fixture(params=["backtest", "live"])
def ran(request):
    """Runs a plan on rows, simulated or before the exchange with its check on."""
    if request.param == "backtest":
        return play
    live = request.getfixturevalue("live")
    return lambda rows, plan, **more: live.run(rows, plan, settings=CHECKED, **more)


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (buy(exectype=STOP, price=99.5), "a BUY stop must lie above the last price 100.00: Kite refuses 99.50"),
        (buy(exectype=STOP, price=100.0), "a BUY stop must lie above the last price 100.00: Kite refuses 100.00"),
        (sell(exectype=STOP, price=100.0), "a SELL stop must lie below the last price 100.00: Kite refuses 100.00"),
        (sell(exectype=STOPLIMIT, price=101.0, plimit=99.0), "a SELL stop must lie below the last price 100.00"),
        (sell(exectype=Order.StopTrail, price=105.0, trailamount=1.0), "a SELL stop must lie below the last price"),
        (
            buy(exectype=STOPLIMIT, price=102.0, plimit=101.95),
            "the limit of a BUY stop-limit must lie at its trigger 102.00 or above it: Kite refuses 101.95",
        ),
        (
            sell(exectype=STOPLIMIT, price=98.0, plimit=98.05),
            "the limit of a SELL stop-limit must lie at its trigger 98.00 or below it: Kite refuses 98.05",
        ),
    ],
)
def test_a_stop_behind_the_last_price_is_denied_before_the_wire(ran, give, words):
    found = ran(ROWS, {2: give})
    assert found.story() == ["Rejected"]
    assert words in found.given[0].info.denied


def test_nothing_of_a_denied_stop_is_on_the_wire(live):
    live.run(ROWS, {2: buy(exectype=STOP, price=99.5)}, settings=CHECKED)
    assert live.middle.calls() == []


@pytest.mark.parametrize(
    ("give", "price"),
    [
        (buy(exectype=STOP, price=100.05), 100.05),
        (sell(exectype=STOP, price=99.95), 99.95),
        (buy(exectype=STOPLIMIT, price=101.0, plimit=101.0), 101.0),
        (sell(exectype=Order.StopTrail, trailamount=0.05), 99.95),
    ],
)
def test_a_stop_ahead_of_the_price_trades(ran, give, price):
    assert ran(ROWS, {2: give}).prices() == [price]


def test_a_bracket_whose_entry_is_behind_is_denied_as_one(ran):
    def bracket(s):
        return s.buy_bracket(size=1, exectype=STOP, price=99.0, stopprice=95.0, limitprice=110.0)

    found = ran(ROWS, {2: bracket})
    assert [found.story(number) for number in range(3)] == [["Rejected"]] * 3


def test_a_change_to_behind_the_price_is_denied(ran):
    said = []
    plan = {
        2: buy(exectype=STOP, price=105.0),
        3: lambda s: said.append(s.broker.modify(s.given[0], price=99.0)),
    }
    found = ran(ROWS, plan)
    assert said == [False]
    assert "a BUY stop must lie above the last price 100.00" in found.given[0].info.denied_change
    assert found.given[0].created.price == 105.0


def test_a_stop_given_in_answer_to_a_fill_is_judged_by_the_price_of_that_moment(ran):
    """The entry trades at 102 on the way from 98 to 103: behind is what is not beyond 102, whatever the last close."""

    def react(s, order):
        if order.ref == s.given[0].ref and order.status == order.Completed:
            return [
                s.sell(size=1, exectype=STOP, price=102.0),  # not below 102
                s.sell(size=1, exectype=STOP, price=101.5),  # above the last close of 100, and right
            ]
        return None

    found = ran(ROWS, {2: buy(exectype=STOP, price=102.0)}, react=react)
    assert found.prices(0) == [102.0]
    assert found.story(1) == ["Submitted", "Rejected"]
    assert "denied" not in found.given[1].info
    assert BELOW in found.given[1].info.reason
    assert found.story(2)[-1] == "Completed"


def test_a_brackets_stop_that_its_entrys_fill_has_passed_is_rejected_and_the_target_works_on(ran):
    def bracket(s):
        return s.buy_bracket(size=1, exectype=LIMIT, price=99.0, stopprice=98.0, limitprice=101.0)

    gap = (97.0, 101.5, 96.5, 101.0)
    found = ran([CALM, CALM, CALM, gap, CALM], {2: bracket})
    assert found.prices(0) == [97.0]
    assert found.story(1) == ["Submitted", "Accepted", "Rejected"]
    assert BELOW in found.given[1].info.reason
    assert found.prices(2) == [101.0]


def test_a_change_in_answer_to_a_fill_is_left_undone_if_the_price_is_past_it(ran):
    """Sent in live and refused there; either way the order stays as it was, and says so."""
    said = []

    def react(s, order):
        if order.ref == s.given[1].ref and order.status == order.Completed:
            said.append(s.broker.modify(s.given[0], price=101.0))

    plan = {2: lambda s: [buy(exectype=STOP, price=110.0)(s), buy(exectype=STOP, price=102.0)(s)]}
    found = ran(ROWS, plan, react=react)
    assert said == [True]
    assert ABOVE in found.given[0].info.modify_failed
    assert found.given[0].created.price == 110.0
    assert found.prices(0) == []


def test_a_parent_that_is_rejected_takes_its_children_along(ran):
    def react(s, order):
        if len(s.given) == 1 and order.status == order.Completed:
            return s.sell_bracket(size=1, exectype=STOP, price=102.5, stopprice=120.0, limitprice=90.0)
        return None

    found = ran(ROWS, {2: buy(exectype=STOP, price=102.0)}, react=react)
    assert found.story(1) == ["Submitted", "Rejected"]
    assert [found.story(number) for number in (2, 3)] == [["Submitted", "Accepted", "Canceled"]] * 2


def test_the_bar_rule_takes_them_as_backtrader_does():
    found = play(ROWS, {2: buy(exectype=STOP, price=99.5)}, rule="backtrader")
    assert found.prices() == [100.0]


# ---- fractions ----


@pytest.mark.parametrize(("size", "given"), [(1.5, 1), (2.999, 2), (37.4, 37)])
def test_a_fractional_size_is_floored_and_says_what_was_asked_for(ran, size, given):
    found = ran(ROWS, {2: buy(size=size)})
    order = found.given[0]
    assert [size for _, size, _, _ in found.fills] == [given]
    assert order.info.asked_size == size


@pytest.mark.parametrize("size", [3, 3.0, 2.9999999999])
def test_a_whole_size_has_no_note(ran, size):
    found = ran(ROWS, {2: buy(size=size)})
    assert [size for _, size, _, _ in found.fills] == [3]
    assert "asked_size" not in found.given[0].info


def test_less_than_one_is_denied(ran):
    found = ran(ROWS, {2: buy(size=0.5)})
    assert "less than one" in found.given[0].info.denied


def test_the_log_is_told_of_the_first_fraction_of_a_run_only(caplog):
    found = play(ROWS, {1: buy(size=1.5), 2: buy(size=2.5), 3: lambda s: s.broker.modify(s.given[1], size=3.5)})
    assert [order.info.asked_size for order in found.given] == [1.5, 2.5]
    assert sum("floored to whole units" in record.getMessage() for record in caplog.records) == 1


def test_a_change_to_a_fraction_is_floored_too(ran):
    plan = {
        2: buy(size=2, exectype=LIMIT, price=90.0),
        3: lambda s: s.broker.modify(s.given[0], size=4.7),
        4: lambda s: s.broker.modify(s.given[0], size=6),
    }
    sizes = []
    plan[5] = lambda s: sizes.append((s.given[0].size, s.given[0].info.get("asked_size")))
    before = dict(plan)
    del before[4]
    ran(ROWS, before)
    assert sizes == [(4, 4.7)]
    ran(ROWS, plan)
    assert sizes[-1] == (6, None)
