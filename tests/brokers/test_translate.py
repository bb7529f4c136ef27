from __future__ import annotations

from types import SimpleNamespace

import backtrader as bt
import pytest

from btkite.brokers import translate
from btkite.config import Broker
from btkite.values import Instrument, OrderType, Side

Order = bt.Order
INFY, GOLD, SPY = (
    Instrument("NSE", "INFY"),
    Instrument("MCX", "GOLD", tick_size=1.0),
    Instrument("", "spy", tick_size=0),
)


def order(
    exectype: int, price: float = 0.0, plimit: float | None = None, *, buys: bool = True, triggered: bool = False
):
    """What translate looks at of an order."""
    return SimpleNamespace(
        exectype=exectype,
        created=SimpleNamespace(price=price, pricelimit=plimit),
        triggered=triggered,
        info={},
        isbuy=lambda: buys,
    )


def test_every_type_that_kite_has_comes_back_as_it_went():
    for kite, exectype in translate.TO_BACKTRADER.items():
        assert translate.TO_KITE[exectype] is kite
    assert set(translate.TO_BACKTRADER) == set(OrderType)


def test_every_type_of_backtraders_is_kites_or_refused():
    assert set(range(len(Order.ExecTypes))) - set(translate.TO_KITE) == {Order.Close, Order.Historical}


@pytest.mark.parametrize(
    ("given", "price", "trigger"),
    [
        (order(Order.Market, 99.0), 0.0, 0.0),
        (order(Order.Limit, 99.0), 99.0, 0.0),
        (order(Order.Stop, 99.0), 0.0, 99.0),
        (order(Order.StopTrail, 99.0), 0.0, 99.0),
        (order(Order.StopLimit, 99.0, 98.0), 98.0, 99.0),
        (order(Order.StopTrailLimit, 99.0, 98.0), 98.0, 99.0),
    ],
)
def test_price_is_the_limit_and_trigger_price_the_stop(given, price, trigger):
    assert translate.kite_prices(given) == (price, trigger)


# ---- a stop without a limit ----

CALL = Instrument("NFO", "NIFTY26NOV24000CE", instrument_type="CE", segment="NFO-OPT", lot_size=65)
AS_SLM, AS_SL = Broker(), Broker(stop_as="SL")


@pytest.mark.parametrize("exectype", [Order.Stop, Order.StopTrail])
@pytest.mark.parametrize(
    ("instrument", "settings", "expected"),
    [
        (INFY, AS_SLM, (OrderType.SLM, 0.0, 90.0)),
        (GOLD, AS_SLM, (OrderType.SLM, 0.0, 90.0)),
        (INFY, AS_SL, (OrderType.SL, 91.8, 90.0)),
        (Instrument("BSE", "INFY"), AS_SLM, (OrderType.SL, 91.8, 90.0)),
        (CALL, AS_SLM, (OrderType.SL, 92.7, 90.0)),
        (Instrument("BFO", "SENSEX26NOVFUT", instrument_type="FUT"), AS_SLM, (OrderType.SL, 91.8, 90.0)),
        (Instrument("NFO", "NIFTY26NOVFUT", instrument_type="FUT"), AS_SLM, (OrderType.SLM, 0.0, 90.0)),
    ],
)
def test_a_stop_is_given_a_limit_where_the_exchange_takes_none_without(exectype, instrument, settings, expected):
    assert translate.sent_as(order(exectype, 90.0), instrument, settings) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("trigger", "protection", "buys", "limit"),
    [
        (1000.0, -1.0, True, 1005.0),
        (1000.0, -1.0, False, 995.0),
        (499.0, -1.0, False, 494.05),  # 494.01: a sell's limit goes up to the tick
        (1000.0, 3.0, True, 1030.0),
        (1.0, 0.5, True, 1.05),  # a tick beyond the trigger at least
        (1.0, 0.5, False, 0.95),
        (0.05, -1.0, False, 0.05),  # never below a tick
    ],
)
def test_the_limit_of_a_stop_lies_beyond_its_trigger_by_the_market_protection(trigger, protection, buys, limit):
    assert translate.protecting_limit(INFY, trigger, protection, buys=buys) == pytest.approx(limit)


def test_an_orders_own_market_protection_counts_for_its_stop():
    given = order(Order.Stop, 90.0, buys=False)
    given.info["market_protection"] = 10.0
    assert translate.sent_as(given, INFY, AS_SL) == pytest.approx((OrderType.SL, 81.0, 90.0))


def test_sides():
    assert translate.side(order(Order.Market)) is Side.BUY
    assert translate.side(order(Order.Market, buys=False)) is Side.SELL


@pytest.mark.parametrize(
    ("instrument", "exectype", "buys", "asked", "given"),
    [
        (INFY, Order.Limit, True, (100.03, None), (100.0, None)),
        (INFY, Order.Limit, False, (100.03, None), (100.05, None)),
        (INFY, Order.Stop, True, (100.03, None), (100.05, None)),
        (INFY, Order.Stop, False, (100.03, None), (100.0, None)),
        (INFY, Order.StopLimit, True, (100.03, 101.03), (100.05, 101.0)),
        (INFY, Order.StopLimit, False, (100.03, 99.03), (100.0, 99.05)),
        (INFY, Order.Limit, True, (100.1, None), (100.1, None)),
        (INFY, Order.Limit, True, (0.1 + 0.2, None), (0.3, None)),
        (GOLD, Order.Limit, True, (71234.7, None), (71234.0, None)),
        (SPY, Order.Limit, True, (100.0312345, None), (100.0312345, None)),
        (INFY, Order.Market, True, (None, None), (None, None)),
        (INFY, Order.Market, True, (100.03, None), (100.03, None)),
        (INFY, Order.Limit, True, (None, None), (None, None)),
        (INFY, Order.Limit, True, (float("nan"), None), (float("nan"), None)),
    ],
)
def test_prices_move_to_the_tick_never_to_our_disadvantage(instrument, exectype, buys, asked, given):
    found = translate.on_tick(instrument, exectype, buys, *asked)
    assert (str(found[0]), found[1]) == (str(given[0]), given[1])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (order(Order.Limit, float("nan")), "a Limit order needs a price above zero, not nan"),
        (order(Order.Limit, 0.0), "a Limit order needs a price"),
        (order(Order.Stop, -1.0), "a Stop order needs a price above zero, not -1.0"),
        (order(Order.StopLimit, 99.0, None), "a StopLimit order needs a plimit above zero, not None"),
        (order(Order.StopLimit, None, 98.0), "a StopLimit order needs a price"),
        (order(Order.StopTrail, float("inf")), "a StopTrail order needs a price"),
    ],
)
def test_an_order_that_lacks_a_price_says_which(given, words):
    given.getordername = lambda: Order.ExecTypes[given.exectype]
    assert words in translate.missing_price(given)


@pytest.mark.parametrize(
    "given",
    [order(Order.Market, None), order(Order.Limit, 99.0), order(Order.Stop, 99.0), order(Order.StopLimit, 99.0, 98.0)],
)
def test_an_order_with_its_prices_lacks_none(given):
    assert translate.missing_price(given) is None
