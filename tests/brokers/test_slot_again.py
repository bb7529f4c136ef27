"""A restart knows again what a slot was bound to, if something of ours is left in it. The exchange is the judge."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest

from btkite.brokers.record import Record
from btkite.engine import Cerebro
from btkite.journal import Journal
from btkite.testing import bars as canned
from tests.brokers.scene import CALM, UP

CALL = "NSE:CALL"


class Slotted(bt.Strategy):
    """``plan`` maps bars of the first feed to what is done then."""

    params = (("plan", {}), ("begin", None))

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.kept: list[Any] = []
        self.held: dict[str, Any] = {}
        self.trades: list[float] = []

    def start(self) -> None:
        if self.p.begin is not None:
            self.datas[1].bind(self.p.begin)

    def restored(self, orders: Any, positions: Any) -> None:
        self.kept, self.held = orders, positions

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        if len(self.datas[0]) in self.p.plan:
            self.p.plan[len(self.datas[0])](self)

    def notify_order(self, order: Any) -> None:
        self.told.append((order.info.instrument, order.getstatusname()))

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.trades.append(trade.pnl)


def life(exchange: Any, folder: Any, mode: str, plan: Any, begin: str | None = None) -> Any:
    store = exchange.store(mode, config=exchange.config())
    engine = Cerebro(stdstats=False)
    engine.adddata(store.getdata("NSE:INDEX", interval="minute"))
    engine.adddata(store.getdata(None, interval="minute", name="CE"))
    with Journal(folder / "journal.sqlite", store.clock) as journal:
        engine.setbroker(store.getbroker(record=Record(journal)))
        engine.addstrategy(Slotted, plan=plan, begin=begin)
        return engine.run()[0]


FIRST = {
    1: lambda s: s.datas[1].bind(CALL),
    3: lambda s: s.buy(data=s.datas[1], size=2),
    4: lambda s: s.buy(data=s.datas[1], size=1, exectype=bt.Order.Limit, price=99.0),
    6: lambda s: s.env.runstop(),
}


def market(exchange: Any, rows: Any) -> None:
    exchange.reset(
        {key: canned.from_rows(rows, symbol=key, interval="minute") for key in ("NSE:INDEX", CALL, "NSE:PUT")}
    )


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_an_empty_slot_has_again_what_is_left_in_it(kite_exchange, tmp_path, mode):
    market(kite_exchange, [*[CALM] * 9, UP, *[CALM] * 6])  # the low of 98 takes the limit
    life(kite_exchange, tmp_path, mode, FIRST)
    after = life(kite_exchange, tmp_path, mode, {6: lambda s: s.close(data=s.datas[1])})
    assert after.datas[1].instrument.key == CALL
    assert [order.info.instrument for order in after.kept] == [CALL]
    assert [(key, status) for key, status in after.told if status == "Completed"][-2:] == [(CALL, "Completed")] * 2
    assert after.broker.position_of(CALL).size == 0
    assert len(after.trades) == 1
    if mode == "live":
        assert [row["quantity"] for row in kite_exchange.positions()] == [0]


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_what_is_left_in_an_instrument_that_the_slot_has_no_more_is_tradable(kite_exchange, tmp_path, mode):
    """The strategy binds another one at once; its order in the old one still fills, and its position is known."""
    market(kite_exchange, [*[CALM] * 9, UP, *[CALM] * 6])
    life(kite_exchange, tmp_path, mode, FIRST)
    after = life(kite_exchange, tmp_path, mode, {}, begin="NSE:PUT")
    assert after.datas[1].instrument.key == "NSE:PUT"
    assert after.held[CALL].size == 3
    assert (CALL, "Completed") in after.told
    if mode == "live":
        assert {row["tradingsymbol"]: row["quantity"] for row in kite_exchange.positions()} == {"CALL": 3}


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_what_was_bound_comes_back_also_if_nothing_is_left_in_it(kite_exchange, tmp_path, mode):
    market(kite_exchange, [CALM] * 20)
    life(kite_exchange, tmp_path, mode, {1: FIRST[1], 6: FIRST[6]})
    after = life(kite_exchange, tmp_path, mode, {4: lambda s: s.buy(data=s.datas[1], size=1)})
    assert after.datas[1].instrument.key == CALL
    assert (CALL, "Completed") in after.told


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_a_slot_that_was_emptied_stays_empty(kite_exchange, tmp_path, mode):
    market(kite_exchange, [CALM] * 20)
    life(kite_exchange, tmp_path, mode, {1: FIRST[1], 4: lambda s: s.datas[1].unbind(), 6: FIRST[6]})
    after = life(kite_exchange, tmp_path, mode, {})
    assert after.datas[1].instrument is None


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_what_a_slot_had_left_is_closed_by_the_next_life(kite_exchange, tmp_path, mode):
    market(kite_exchange, [CALM] * 24)
    plan = {1: FIRST[1], 3: FIRST[3], 5: lambda s: s.datas[1].bind("NSE:PUT"), 8: FIRST[6]}
    life(kite_exchange, tmp_path, mode, plan)
    held = []

    def close(s: Any) -> None:
        (left,) = s.datas[1].left
        held.append((left.instrument.key, s.getposition(left).size))
        s.close(data=left)

    after = life(kite_exchange, tmp_path, mode, {6: close})
    assert after.datas[1].instrument.key == "NSE:PUT"
    assert held == [(CALL, 2)]
    assert after.broker.position_of(CALL).size == 0
    assert len(after.trades) == 1
    if mode == "live":
        assert {row["tradingsymbol"]: row["quantity"] for row in kite_exchange.positions()} == {"CALL": 0}
