from __future__ import annotations

from datetime import date, datetime

import backtrader as bt
import pytest

from btkite.brokers.sim import SimBroker
from btkite.commissions import InstrumentCommission
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.linetime import to_seconds
from btkite.market.charges import charge_order
from btkite.testing import bars, run_strategy
from btkite.values import Instrument, Side

INFY = Instrument("NSE", "INFY")
GOLD = Instrument("MCX", "GOLDM26DECFUT", instrument_type="FUT", segment="MCX-FUT", multiplier=10.0, tick_size=1.0)
DAY = date(2026, 11, 18)


def commission(instrument=INFY, **params) -> InstrumentCommission:
    return InstrumentCommission(**{"instrument": instrument, "on": DAY, "mult": instrument.multiplier, **params})


@pytest.mark.parametrize(("size", "side"), [(100, Side.BUY), (-100, Side.SELL)])
@pytest.mark.parametrize("product", ["MIS", "CNC"])
def test_an_execution_costs_what_the_order_would(size, side, product):
    found = commission(product=product).getcommission(size, 1500.0)
    assert found == charge_order(INFY, side, product, [(100, 1500.0)], DAY).total
    assert found > 0


def test_rates_are_those_of_the_day():
    then = commission(on=date(2021, 1, 4)).getcommission(-1000, 1500.0)
    now = commission(on=lambda: DAY).getcommission(-1000, 1500.0)
    assert then == charge_order(INFY, Side.SELL, "MIS", [(1000, 1500.0)], date(2021, 1, 4)).total
    assert now == charge_order(INFY, Side.SELL, "MIS", [(1000, 1500.0)], DAY).total
    assert then != now


def test_without_a_day_nothing_is_known():
    assert commission(on=None).getcommission(100, 1500.0) == 0.0


@pytest.mark.parametrize("size", [0, 0.4, -0.4])
def test_nothing_costs_nothing(size):
    assert commission().getcommission(size, 1500.0) == 0.0


def test_profit_counts_the_multiplier():
    gold = commission(GOLD, product="NRML")
    assert gold.profitandloss(2, 70_000.0, 70_100.0) == 2 * 100 * 10


def test_it_is_like_stock_so_that_sizers_take_the_price():
    assert commission().getoperationcost(10, 100.0) == 1000.0
    assert commission().getsize(100.0, 1050.0) == 10


def test_a_broker_makes_one_for_each_instrument_at_its_own_time():
    broker = SimBroker(config=Config().with_(**{"broker.default_product": "CNC"}))
    found = InstrumentCommission.of(INFY, broker)
    assert (found.p.product, found.p.instrument) == ("CNC", INFY)
    broker._now = to_seconds(datetime(2026, 11, 18, 12))
    assert found.p.on() == DAY


def test_sizers_see_the_estimate_and_the_order_pays_the_exact_sum():
    class Asks(bt.Strategy):
        def __init__(self):
            self.estimates = []
            self.paid = []

        def next(self):
            if len(self) == 2:
                info = self.broker.getcommissioninfo(self.data)
                self.estimates.append(info.getcommission(100, 1000.0))
                self.buy(size=100)

        def notify_order(self, order):
            if order.status == order.Completed:
                self.paid.append(order.executed.comm)

    ran = run_strategy(Asks, bars("flat", count=5, symbol="NSE:INFY"), cash=1e6, charges=True).strategy
    assert ran.paid == ran.estimates
    assert ran.paid[0] > 0


@pytest.mark.parametrize("name", [None, "NSE:INFY"])
def test_a_commission_of_the_users_own_replaces_it(name):
    class Buys(bt.Strategy):
        def next(self):
            if len(self) == 2:
                self.order = self.buy(size=10)

    engine = Cerebro(stdstats=False)
    engine.adddata(KiteData(dataname=bars("flat", count=5, symbol="NSE:INFY")))
    broker = SimBroker(config=Config())
    broker.setcommission(commission=0.001, name=name)
    engine.setbroker(broker)
    engine.addstrategy(Buys)
    ran = engine.run()[0]
    assert ran.order.executed.comm == pytest.approx(10.0)
    assert not isinstance(broker.getcommissioninfo(ran.data), InstrumentCommission)


EVERY_SEGMENT = [
    (INFY, "CNC"),
    (INFY, "MIS"),
    (INFY, "MTF"),
    (Instrument("NFO", "NIFTY26NOVFUT", name="NIFTY", instrument_type="FUT"), "NRML"),
    (Instrument("NFO", "NIFTY26NOV25000CE", name="NIFTY", instrument_type="CE", strike=25_000), "NRML"),
    (Instrument("BFO", "SENSEX26NOV80000PE", name="SENSEX", instrument_type="PE", strike=80_000), "NRML"),
    (Instrument("CDS", "USDINR26NOVFUT", name="USDINR", instrument_type="FUT", multiplier=1000), "NRML"),
    (Instrument("CDS", "USDINR26NOV86CE", name="USDINR", instrument_type="CE", strike=86, multiplier=1000), "NRML"),
    (GOLD, "NRML"),
    (Instrument("MCX", "GOLDM26NOV70000CE", name="GOLDM", instrument_type="CE", strike=70_000, multiplier=10), "NRML"),
]


@pytest.mark.parametrize(("instrument", "product"), EVERY_SEGMENT)
def test_a_stock_cerebro_counts_the_charges_of_every_segment_in_its_profit(instrument, product):
    """backtrader's own broker, with nothing of btkite but the CommissionInfo."""

    class RoundTrip(bt.Strategy):
        closed = None

        def next(self):
            if len(self) == 1:
                self.buy(size=2)
            elif len(self) == 3:
                self.close()

        def notify_trade(self, trade):
            self.closed = trade if trade.isclosed else self.closed

    rows = [(price,) * 4 for price in (100.0, 100.0, 100.0, 110.0, 110.0)]
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(KiteData(dataname=bars.from_rows(rows)))
    cerebro.broker.setcash(1e9)
    cerebro.broker.addcommissioninfo(commission(instrument, product=product))
    cerebro.addstrategy(RoundTrip)
    trade = cerebro.run()[0].closed
    bought = charge_order(instrument, Side.BUY, product, [(2, 100.0)], DAY).total
    sold = charge_order(instrument, Side.SELL, product, [(2, 110.0)], DAY).total
    assert trade.pnl == pytest.approx(20 * instrument.multiplier)
    assert trade.pnl - trade.pnlcomm == pytest.approx(bought + sold)
    assert sold > 0


@pytest.mark.parametrize("named", ["CNC", "MTF", "NRML"])
def test_a_contract_has_no_delivery(named):
    broker = SimBroker(config=Config().with_(**{"broker.default_product": named}))
    assert InstrumentCommission.of(GOLD, broker).p.product == "NRML"
