"""The depository's charge in an account's books: once a share and day, with the fill that makes it due."""

from __future__ import annotations

import json
from datetime import date

import pytest

from btkite.brokers.demat import Demat
from btkite.market.charges import charge_order
from btkite.values import Instrument, Side
from tests.brokers.scene import buy, overnight, sell

DAY, NEXT = date(2026, 11, 18), date(2026, 11, 19)
INSTRUMENT = Instrument("NSE", "TEST")
CNC = {"product": "CNC"}


def exact(ran, number, price, quantity):
    order = ran.given[number]
    side = Side.BUY if order.isbuy() else Side.SELL
    day = NEXT if number else DAY
    return charge_order(INSTRUMENT, side, "CNC", [(quantity, price)], day).total


def test_a_delivery_sale_of_what_was_bought_before_pays_once_a_day():
    plan = {1: buy(size=100, **CNC), 8: sell(size=40, **CNC), 9: sell(size=60, **CNC)}
    ran = overnight(plan, charges=True, cash=1e6)
    paid = [order.executed.comm for order in ran.given]
    fills = ran.prices()
    assert paid[0] == pytest.approx(exact(ran, 0, fills[0], 100), abs=1e-9)
    assert paid[1] == pytest.approx(exact(ran, 1, fills[1], 40) + 15.34, abs=1e-9)
    assert paid[2] == pytest.approx(exact(ran, 2, fills[2], 60), abs=1e-9)
    assert ran.broker.ledger.charges == pytest.approx(sum(paid), abs=1e-9)
    (trade,) = ran.trades
    assert trade.pnl - trade.pnlcomm == pytest.approx(sum(paid), abs=1e-9)


def test_what_is_bought_and_sold_on_one_day_never_reaches_the_demat_account():
    ran = overnight({1: buy(size=100, **CNC), 3: sell(size=100, **CNC)}, charges=True, cash=1e6)
    assert ran.given[1].executed.comm < 15


def test_an_intraday_sale_pays_nothing_to_the_depository():
    ran = overnight({1: buy(size=1), 8: sell(size=1)}, charges=True, cash=1e6)
    assert ran.given[1].executed.comm < 1


def test_a_woman_pays_less():
    plan = {1: buy(size=100, **CNC), 8: sell(size=100, **CNC)}
    dear = overnight(plan, charges=True, cash=1e6)
    cheap = overnight(plan, charges=True, cash=1e6, config={"client.woman": True})
    assert dear.broker.ledger.charges - cheap.broker.ledger.charges == pytest.approx(15.34 - 15.05, abs=1e-6)


def test_an_account_in_debit_pays_twenty_more_for_an_order():
    plan = {1: buy(size=100)}
    usual = overnight(plan, charges=True, cash=1e6).broker.ledger.charges
    owing = overnight(plan, charges=True, cash=1e6, config={"client.in_debit": True}).broker.ledger.charges
    assert owing - usual == pytest.approx(20 * 1.18, abs=1e-6)


def test_one_share_on_two_exchanges_is_one():
    demat = Demat()
    assert demat.charge(1, "NSE:INFY", "CNC", -10, NEXT) == 15.34
    assert demat.charge(2, "BSE:INFY", "CNC", -10, NEXT) == 0
    assert demat.charge(3, "NSE:TCS", "MTF", -10, NEXT) == 15.34
    assert demat.charge(4, "NFO:INFY26NOVFUT", "NRML", -10, NEXT) == 0


def test_only_what_was_sold_beyond_the_days_purchases_counts():
    demat = Demat()
    assert demat.charge(1, "NSE:INFY", "CNC", 10, DAY) == 0
    assert demat.charge(2, "NSE:INFY", "CNC", -10, DAY) == 0
    assert demat.charge(3, "NSE:INFY", "CNC", -1, DAY) == 15.34
    assert demat.charge(4, "NSE:INFY", "CNC", -1, NEXT) == 15.34


@pytest.mark.parametrize("bill", [7, "261118100000007"])
def test_what_a_bill_has_paid_the_depository_is_known_after_a_restart(bill):
    before, after = Demat(), Demat()
    before.charge(bill, "NSE:INFY", "CNC", -10, DAY)
    after.restore(json.loads(json.dumps(before.state())))
    assert after.charge(bill, "NSE:INFY", "CNC", -5, DAY) == 15.34


def test_what_is_bought_back_on_the_day_has_not_left():
    demat = Demat()
    assert demat.charge(1, "NSE:INFY", "CNC", -10, DAY) == 15.34
    assert demat.charge(2, "NSE:INFY", "CNC", 9, DAY) == 0
    assert demat.charge(3, "NSE:INFY", "CNC", 1, DAY) == -15.34
    assert demat.charge(4, "NSE:INFY", "CNC", -1, DAY) == 15.34, "it leaves after all"
    assert demat.charge(5, "NSE:INFY", "CNC", 1, NEXT) == 0, "another day's purchase spares nothing"


def test_shares_that_are_sold_and_bought_back_cost_what_their_notes_say():
    plan = {1: buy(size=100, **CNC), 8: sell(size=100, **CNC), 9: buy(size=100, **CNC)}
    ran = overnight(plan, charges=True, cash=1e6)
    fills = ran.prices()
    notes = sum(exact(ran, number, fills[number], 100) for number in range(3))
    assert ran.broker.ledger.charges == pytest.approx(notes, abs=1e-9)


def test_an_order_of_others_that_sells_in_parts_pays_the_depository_once():
    parts = {step: sell(size=size, foreign="261118100000009", **CNC) for step, size in ((8, 40), (9, 60))}
    ran = overnight({1: buy(size=100, **CNC), **parts}, charges=True, cash=1e6)
    fills = ran.prices()
    sold = charge_order(INSTRUMENT, Side.SELL, "CNC", [(40, fills[1]), (60, fills[2])], NEXT).total
    charges = exact(ran, 0, fills[0], 100) + sold + 15.34
    assert ran.broker.ledger.charges == pytest.approx(charges, abs=1e-9)


def test_a_restart_charges_neither_again_nor_back():
    demat, again = Demat(), Demat()
    demat.charge(7, "NSE:INFY", "CNC", -10, DAY)
    again.restore(demat.state())
    assert again.charge(7, "NSE:INFY", "CNC", -5, DAY) == 15.34  # the rest of the order: still what it owes in all
    assert again.charge(8, "NSE:INFY", "CNC", -5, DAY) == 0
    again.restore({})
    assert again.charge(9, "NSE:INFY", "CNC", -5, DAY) == 15.34
