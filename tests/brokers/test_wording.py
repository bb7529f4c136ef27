from __future__ import annotations

import pytest

from btkite.brokers.wording import KITE_FIELDS, misunderstood
from tests.brokers.scene import CALM, buy, play

WRONG = [
    ({"varity": "amo"}, "varity is no field of an order: did you mean variety?"),
    ({"Product": "CNC"}, "Product is no field of an order: did you mean product?"),
    ({"after_hour": "amo"}, "did you mean after_hours?"),
    ({"market_protecton": 2}, "did you mean market_protection?"),
    ({"exectyp": 2}, "did you mean exectype?"),
    ({"trail_amount": 2.0}, "did you mean trailamount?"),
    ({"order_type": "LIMIT"}, "order_type is exectype in backtrader"),
    ({"trigger_price": 99.0}, "trigger_price is price (with exectype=Order.Stop) in backtrader"),
    ({"product": "XYZ"}, "'XYZ' is no product: use one of CNC, MIS, NRML, MTF"),
    ({"product": "cnc"}, "'cnc' is no product: did you mean CNC?"),
    ({"variety": "amoo"}, "'amoo' is no variety: did you mean amo?"),
    ({"variety": "cover"}, "'cover' is no variety: use one of regular, amo, iceberg, auction"),
    ({"validity": "FOREVER"}, "'FOREVER' is no validity: use one of DAY, IOC, TTL"),
    ({"after_hours": "later"}, "'later' is no after_hours: use one of next_open, amo, refuse"),
    ({"market_protection": 0}, "market_protection must be -1 (Kite's own) or above 0 and at most 100"),
    ({"market_protection": "2"}, "market_protection must be"),
    ({"disclosed_quantity": "all"}, "disclosed_quantity must be a whole number of at least 0, not 'all'"),
    ({"iceberg_legs": 2.5}, "iceberg_legs must be a whole number"),
]
NOTES = {"name": "entry", "reason": "rsi", "signal": 3, "level": 2, "stop": 95.0, "target": 110.0, "strategy_id": "a"}


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_what_is_almost_a_field_of_kites_is_denied_in_the_simulator(given, words):
    ran = play([CALM] * 4, {1: buy(**given)})
    assert ran.story() == ["Rejected"]
    assert words in ran.given[0].info.denied
    assert ran.position.size == 0


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_what_is_almost_a_field_of_kites_never_reaches_kite(live, given, words):
    ran = live.run([CALM] * 4, {1: buy(**given), 2: buy(size=2)})
    assert ran.story() == ["Rejected"]
    assert words in ran.given[0].info.denied
    assert [row["quantity"] for row in live.book()] == [2]


def test_a_bracket_with_a_misspelt_member_is_denied_whole(live):
    ran = live.run(
        [CALM] * 4, {1: lambda s: s.buy_bracket(size=1, stopprice=90.0, limitprice=110.0, stopargs={"prodct": "CNC"})}
    )
    assert [ran.story(n) for n in range(3)] == [["Rejected"]] * 3
    assert live.book() == []


def test_notes_of_the_strategys_own_stay_in_the_orders_info(live):
    for ran in (play([CALM] * 4, {1: buy(**NOTES)}), live.run([CALM] * 4, {1: buy(**NOTES)})):
        assert ran.story()[-1] == "Completed"
        assert {name: ran.given[0].info[name] for name in NOTES} == NOTES


def test_all_that_kite_knows_passes_as_it_is_spelt():
    fine = {"product": "CNC", "variety": "regular", "validity": "TTL", "tag": "a", "market_protection": 2.5}
    assert misunderstood(fine) is None
    assert misunderstood(dict.fromkeys(KITE_FIELDS)) is None


def test_every_field_of_kites_is_recognised_with_a_letter_missing():
    for name in KITE_FIELDS:
        short = name[:1] + name[2:]
        denial = misunderstood({short: 1})
        assert denial is None or f"did you mean {name}?" in denial.reason
        assert denial is not None or name == "tag"  # "tg" is a word of its own
