"""What Kite's products allow: delivery needs the shares and all of the money, MIS has the leverage of its day."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from btkite.brokers.account import _margin_rate
from btkite.market.naming import described
from btkite.values import OrderType, Proposal, Side
from tests.brokers.scene import CALM, DOWN, UP, Order, buy, overnight, play, sell

CNC, MTF = {"product": "CNC"}, {"product": "MTF"}


@pytest.mark.parametrize("product", ["CNC", "MTF"])
def test_a_delivery_sale_of_what_is_not_held_is_denied(product):
    ran = play([CALM] * 4, {1: sell(size=10, product=product)})
    (order,) = ran.given
    assert ran.story() == ["Rejected"]
    assert order.info.denied_by == "holdings"
    assert f"10 of 10 NSE:TEST ({product}) were not bought by this strategy's orders" in order.info.denied


def test_mis_sells_short():
    assert play([CALM] * 4, {1: sell(size=10)}).story()[-1] == "Completed"


def test_more_than_is_held_is_denied_and_what_is_held_may_go():
    ran = play([CALM] * 6, {1: buy(size=10, **CNC), 3: sell(size=11, **CNC), 4: sell(size=10, **CNC)})
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Rejected", "Completed"]
    assert ran.given[1].info.denied.startswith("1 of 11 ")
    assert ran.broker.getposition(ran.data).size == 0


def test_yesterdays_shares_may_be_sold_today():
    ran = overnight({1: buy(size=10, **CNC), 8: sell(size=10, **CNC)})
    assert ran.story(1)[-1] == "Completed"


def test_shares_are_not_sold_twice():
    """A resting sale of all that is held: a second one would have nothing to deliver."""
    plan = {
        1: buy(size=10, **CNC),
        3: sell(size=10, exectype=Order.Limit, price=110.0, **CNC),
        4: sell(size=10, **CNC),
    }
    ran = play([CALM] * 6, plan)
    assert ran.story(2) == ["Rejected"]
    assert ran.given[2].info.denied.startswith("10 of 10 ")


def test_two_exits_of_one_group_deliver_once():
    def exits(s):
        stop = s.sell(size=10, exectype=Order.Stop, price=90.0, **CNC)
        return [stop, s.sell(size=10, exectype=Order.Limit, price=102.0, oco=stop, **CNC)]

    ran = play([CALM, CALM, CALM, UP, CALM], {1: buy(size=10, **CNC), 3: exits})
    assert ran.story(2)[-1] == "Completed"
    assert ran.broker.getposition(ran.data).size == 0


def test_a_brackets_exits_deliver_what_its_entry_buys():
    def enter(s):
        return s.buy_bracket(size=5, exectype=Order.Market, stopprice=98.5, limitprice=110.0, oargs=dict(CNC))

    ran = play([CALM, CALM, DOWN, CALM], {1: enter})
    assert ran.story(1)[-1] == "Completed"
    assert ran.broker.getposition(ran.data).size == 0


def test_a_sale_does_not_grow_beyond_what_is_held():
    def grow(s):
        assert s.broker.modify(s.given[1], size=20) is False
        return s.given[1]

    plan = {1: buy(size=10, **CNC), 3: sell(size=10, exectype=Order.Limit, price=110.0, **CNC), 4: grow}
    ran = play([CALM] * 6, plan)
    assert "10 of 20 NSE:TEST (CNC) were not bought" in ran.given[1].info.denied_change
    assert (ran.given[1].size, ran.given[1].executed.remsize) == (-10, -10)


# -- leverage ---------------------------------------------------------------------------------------


def rate(key: str, product: str, day: date, leverage: float, side: Side = Side.BUY) -> float:
    order = Proposal(
        ref=1, instrument=described(key), side=side, quantity=65, order_type=OrderType.LIMIT, product=product,
        variety="regular", price=100.0, reference_price=100.0, given=datetime.combine(day, datetime.min.time()),
    )  # fmt: skip
    return _margin_rate(leverage, order)


NOW = date(2026, 11, 10)


@pytest.mark.parametrize(
    ("product", "day", "leverage", "wanted"),
    [
        ("MIS", NOW, 1.0, 1.0),
        ("MIS", NOW, 4.0, 0.25),
        ("MIS", NOW, 10.0, 0.2),
        ("MIS", date(2021, 4, 1), 10.0, 0.1),
        ("CNC", NOW, 5.0, 1.0),
        ("MTF", NOW, 5.0, 0.5),
        ("MTF", NOW, 1.0, 1.0),
    ],
)
def test_shares_are_leveraged_as_far_as_product_day_and_setting_allow(product, day, leverage, wanted):
    assert rate("NSE:SBIN", product, day, leverage) == wanted


def test_contracts_need_their_margin_whatever_the_setting_is():
    assert rate("NFO:NIFTY26NOVFUT", "NRML", NOW, 5.0) == pytest.approx(0.15)
    assert rate("NFO:NIFTY26NOV25000CE", "NRML", NOW, 5.0) == 1.0
    assert rate("NFO:NIFTY26NOV25000CE", "NRML", NOW, 5.0, Side.SELL) * 100 == pytest.approx(0.15 * 25_000)


@pytest.mark.parametrize(("product", "status"), [("MIS", "Completed"), ("CNC", "Margin")])
def test_delivery_is_paid_in_full(product, status):
    config = {"broker.leverage": 5.0}
    ran = play([CALM] * 4, {1: buy(size=4000, product=product)}, cash=100_000.0, config=config)
    assert ran.story()[-1] == status
