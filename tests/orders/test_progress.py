"""Histories are made whole by hypothesis, then told in pieces, out of order and twice."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.orders.progress import Progress, apply, apply_trade
from btkite.values import Fill, OrderUpdate, Trade

T0 = datetime(2026, 11, 20, 9, 15)


def at(seconds: int) -> datetime:
    return T0 + timedelta(seconds=seconds)


def update(status: str, filled: int = 0, average: float = 0.0, second: int = 0, **more: Any) -> OrderUpdate:
    return OrderUpdate(
        order_id=more.pop("order_id", "1"),
        status=status,
        exchange="NSE",
        tradingsymbol="INFY",
        transaction_type="BUY",
        quantity=more.pop("quantity", 100),
        filled_quantity=filled,
        average_price=average,
        exchange_time=more.pop("exchange_time", at(second)),
        **more,
    )


def tell(*messages: OrderUpdate | Fill, progress: Progress | None = None) -> tuple[Progress, list[Fill]]:
    fills = []
    for message in messages:
        if isinstance(message, OrderUpdate):
            progress, fill = apply(progress, message, at(9999))
        else:
            assert progress is not None
            progress, fill = apply_trade(progress, message)
        if fill is not None:
            fills.append(fill)
    assert progress is not None
    return progress, fills


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[OrderUpdate], list[Fill]]:
    """The true life of one order: its messages in their order, and its trades."""
    parts = draw(st.lists(st.integers(1, 60), max_size=6))
    prices = draw(st.lists(st.integers(1900, 2100), min_size=len(parts), max_size=len(parts)))
    quantity = sum(parts) + draw(st.integers(0, 40))
    if not quantity:
        quantity = 10
    step = draw(st.integers(0, 2))  # 0: everything within one second
    clock = iter(range(0, 10_000, step)) if step else iter([0] * 100)
    said = {"quantity": quantity}
    messages = [
        update("PUT ORDER REQ RECEIVED", second=next(clock), exchange_time=None, **said),
        update("OPEN PENDING", second=next(clock), **said),
        update("OPEN", second=next(clock), **said),
    ]
    filled, value, trades = 0, 0.0, []
    for number, (part, ticks) in enumerate(zip(parts, prices, strict=True)):
        second = next(clock)
        filled, value = filled + part, value + part * ticks * 0.05
        trades.append(Fill(part, ticks * 0.05, at(second), f"T{number}"))
        status = "COMPLETE" if filled == quantity else draw(st.sampled_from(["OPEN", "UPDATE"]))
        messages.append(update(status, filled, value / filled, second, **said))
    if filled < quantity and draw(st.booleans()):
        messages.append(
            update(
                draw(st.sampled_from(["CANCELLED", "REJECTED", "CANCELLED AMO"])),
                filled,
                value / filled if filled else 0.0,
                next(clock),
                cancelled_quantity=quantity - filled,
                **said,
            )
        )
    return messages, trades


def told_badly(messages: list[Any], seed: int) -> list[Any]:
    """Each message at least once, some three times, in any order."""
    chance = random.Random(seed)
    told = [message for message in messages for _ in range(chance.choice([1, 1, 2, 3]))]
    chance.shuffle(told)
    return told


@settings(deadline=None)
@given(history=histories(), seed=st.integers(0, 2**32))
def test_however_a_history_is_told_the_end_is_the_same(history: Any, seed: int) -> None:
    messages, trades = history
    truth, _ = tell(*messages)
    progress, fills = tell(*told_badly(messages, seed))
    assert progress == truth
    assert sum(fill.quantity for fill in fills) == truth.filled == sum(trade.quantity for trade in trades)
    assert truth.terminal is messages[-1].terminal
    value = sum(trade.quantity * trade.price for trade in trades)
    assert sum(fill.quantity * fill.price for fill in fills) == pytest.approx(value, rel=1e-9)
    if trades:
        assert progress.average_price == pytest.approx(value / truth.filled, rel=1e-9)


@settings(deadline=None)
@given(history=histories(), seed=st.integers(0, 2**32))
def test_trades_and_updates_together_count_each_execution_once(history: Any, seed: int) -> None:
    messages, trades = history
    first = update("OPEN PENDING", quantity=messages[0].quantity)
    progress, fills = tell(first, *told_badly([*messages, *trades], seed))
    assert sum(fill.quantity for fill in fills) == progress.filled == sum(trade.quantity for trade in trades)
    value = sum(trade.quantity * trade.price for trade in trades)
    assert sum(fill.quantity * fill.price for fill in fills) == pytest.approx(value, rel=1e-9)
    assert len(progress.trades) == len(trades)
    assert progress == tell(first, *messages, *trades)[0]


@settings(deadline=None)
@given(history=histories(), seed=st.integers(0, 2**32))
def test_trades_alone_tell_every_fill(history: Any, seed: int) -> None:
    messages, trades = history
    _, fills = tell(messages[0], *told_badly(trades, seed))
    assert sorted((fill.trade_id, fill.quantity) for fill in fills) == [(t.trade_id, t.quantity) for t in trades]
    for fill in fills:
        assert fill.price == pytest.approx(next(t.price for t in trades if t.trade_id == fill.trade_id), rel=1e-9)


@settings(deadline=None)
@given(history=histories(), seed=st.integers(0, 2**32))
def test_nothing_known_is_ever_taken_back(history: Any, seed: int) -> None:
    messages, _ = history
    progress = None
    for message in told_badly(messages, seed):
        before = progress
        progress, fill = apply(progress, message, at(9999))
        if before is not None:
            assert progress.filled >= before.filled
            assert progress.terminal or not before.terminal
        if fill is not None:
            assert fill.quantity > 0
            assert fill.price > 0


@settings(deadline=None)
@given(history=histories(), lost=st.sets(st.integers(0, 8)))
def test_what_is_lost_is_made_good_by_the_last_message(history: Any, lost: set[int]) -> None:
    messages, _ = history
    kept = [message for place, message in enumerate(messages[:-1]) if place not in lost]
    progress, fills = tell(*kept, messages[-1])
    assert (progress.status, progress.filled) == (messages[-1].status, messages[-1].filled_quantity)
    assert sum(fill.quantity for fill in fills) == messages[-1].filled_quantity


def test_a_fill_is_what_a_message_adds_in_units_and_money() -> None:
    progress, fills = tell(update("OPEN", 40, 100.0, 1), update("COMPLETE", 100, 100.6, 2))
    assert fills == [Fill(40, 100.0, at(1)), Fill(60, pytest.approx(101.0), at(2))]
    assert (progress.terminal, progress.remaining, progress.average_price) == (True, 0, pytest.approx(100.6))


def test_complete_before_open_is_one_fill_and_stays_complete() -> None:
    progress, fills = tell(update("COMPLETE", 100, 99.5, 2), update("OPEN", 40, 99.0, 1), update("OPEN", 0, 0.0, 0))
    assert (progress.status, progress.filled, len(fills)) == ("COMPLETE", 100, 1)


def test_a_cancel_that_raced_a_fill_still_yields_the_fill() -> None:
    progress, fills = tell(update("CANCELLED", 40, 100.0, 5), update("UPDATE", 55, 100.0, 4))
    assert (progress.status, progress.terminal, progress.filled) == ("CANCELLED", True, 55)
    assert [fill.quantity for fill in fills] == [40, 15]


@pytest.mark.parametrize("status", ["MODIFY PENDING", "AMO REQ RECEIVED", "SOMETHING NEW OF 2031"])
def test_an_unknown_or_interim_status_is_no_end(status: str) -> None:
    progress, _ = tell(update(status, 10, 100.0))
    assert (progress.terminal, progress.remaining) == (False, 90)


def test_of_messages_of_one_second_the_later_stage_is_believed() -> None:
    stages = [
        update("OPEN PENDING"),
        update("TRIGGER PENDING"),
        update("OPEN"),
        update("MODIFIED", quantity=80),
    ]
    for told in (stages, stages[::-1]):
        assert tell(*told)[0].status == "MODIFIED"
        assert tell(*told)[0].quantity == 80
    assert tell(update("OPEN"), update("MODIFY PENDING"), update("MODIFY VALIDATION PENDING"))[0].status == "OPEN"


def test_a_stop_that_waits_for_its_trigger_is_further_than_one_that_is_looked_at() -> None:
    """``TRIGGER PENDING`` is told as those in transit are, and is none of them."""
    both = [update("VALIDATION PENDING", 0, 0.0, 1), update("TRIGGER PENDING", 0, 0.0, 1)]
    for messages in (both, both[::-1]):
        assert tell(*messages)[0].status == "TRIGGER PENDING"


def test_a_change_of_the_order_is_seen() -> None:
    progress, _ = tell(update("OPEN", price=100.0, second=1), update("OPEN", price=101.0, quantity=50, second=2))
    assert (progress.quantity, progress.price, progress.remaining) == (50, 101.0, 50)


def test_a_fill_without_an_average_waits_for_a_message_that_has_one() -> None:
    progress, fills = tell(update("COMPLETE", 100, 0.0, 1))
    assert (progress.terminal, progress.filled, fills) == (True, 0, [])
    progress, fills = tell(update("COMPLETE", 100, 101.5, 1), progress=progress)
    assert (progress.filled, fills) == (100, [Fill(100, 101.5, at(1))])


def test_a_rounded_average_never_makes_a_price_below_zero_and_is_made_good() -> None:
    _, fills = tell(
        update("OPEN", 99_999, 100.01, 1, quantity=200_000),
        update("OPEN", 100_000, 100.0, 2, quantity=200_000),
        update("COMPLETE", 200_000, 100.0, 3, quantity=200_000),
    )
    assert all(fill.price > 0 for fill in fills)
    assert sum(fill.quantity * fill.price for fill in fills) == pytest.approx(200_000 * 100.0)


def test_a_fill_without_a_time_is_dated_by_the_reader() -> None:
    assert tell(update("COMPLETE", 100, 1.0, exchange_time=None))[1][0].time == at(9999)
    assert tell(update("COMPLETE", 100, 1.0, exchange_time=None, order_time=at(3)))[1][0].time == at(3)


def test_a_trade_is_told_with_its_id_and_counts_once() -> None:
    trade = Fill(40, 100.0, at(1), "T1")
    progress, fills = tell(update("OPEN"), trade, trade)
    assert fills == [trade]
    assert (progress.filled, progress.status) == (40, "OPEN")


def test_another_orders_message_is_refused() -> None:
    progress, _ = tell(update("OPEN"))
    with pytest.raises(ValueError, match="an update of order 2 was handed to order 1"):
        apply(progress, update("OPEN", order_id="2"), T0)


@pytest.mark.parametrize("told_by", ["trades", "updates"])
def test_fills_at_one_price_have_kites_own_figure(told_by: str) -> None:
    """₹1,479.65 six times over is not ₹1,479.6500000000003."""
    price, done = 1479.65, 0
    messages: list[OrderUpdate | Fill] = [update("OPEN")]
    for number, units in enumerate((6, 1, 3), 1):
        done += units
        by_trade = Fill(units, price, at(number), f"T{number}")
        messages.append(by_trade if told_by == "trades" else update("OPEN", done, price, number))
    progress, fills = tell(*messages)
    assert [fill.price for fill in fills] == [price] * 3
    assert progress.average_price == price


def both_ways(*messages: OrderUpdate) -> Progress:
    """What is known in the end, which is the same in whatever order they are told."""
    progress, _ = tell(*messages)
    assert tell(*messages[::-1])[0] == progress
    return progress


def test_of_two_messages_the_one_that_knows_of_more_fills_is_believed_whatever_its_time() -> None:
    """A lagging row of the order book is dated by a later change, and has not heard of the last fill."""
    progress = both_ways(
        update("UPDATE", 40, 100.0, 1, price=101.0, trigger_price=99.0, quantity=90, order_type="LIMIT"),
        update("OPEN", 10, 100.0, 2, price=105.0, trigger_price=95.0, quantity=100, order_type="SL"),
    )
    assert (progress.status, progress.filled, progress.quantity, progress.remaining) == ("UPDATE", 40, 90, 50)
    assert (progress.price, progress.trigger_price, progress.order_type) == (101.0, 99.0, "LIMIT")
    assert progress.exchange_time == at(1)


def test_an_end_is_believed_over_a_message_that_knows_of_more_fills_and_is_later() -> None:
    progress = both_ways(
        update("CANCELLED", 40, 100.0, 1, cancelled_quantity=60, status_message="by you"),
        update("OPEN", 70, 100.0, 5, status_message="later"),
    )
    assert (progress.status, progress.terminal, progress.remaining) == ("CANCELLED", True, 0)
    assert (progress.cancelled, progress.status_message) == (60, "by you")
    assert progress.filled == 70


def test_of_messages_with_the_same_fills_the_later_is_believed_whatever_its_stage() -> None:
    progress = both_ways(update("OPEN", 40, 100.0, 2, price=101.0), update("TRIGGER PENDING", 40, 100.0, 3, price=0.0))
    assert (progress.status, progress.price, progress.exchange_time) == ("TRIGGER PENDING", 0.0, at(3))


def test_a_message_without_the_exchanges_time_is_dated_by_the_orders() -> None:
    later = update("OPEN", price=102.0, exchange_time=None, order_time=at(3))
    progress = both_ways(update("OPEN", price=101.0, second=2), later)
    assert (progress.price, progress.exchange_time) == (102.0, at(3))
    # Where both are told the exchange's counts: it is that of the last change.
    progress = both_ways(update("OPEN", price=101.0, second=4, order_time=at(1)), later)
    assert (progress.price, progress.exchange_time) == (101.0, at(4))


def test_a_message_with_no_time_at_all_is_the_oldest() -> None:
    progress = both_ways(update("OPEN", price=101.0, second=0), update("OPEN", price=102.0, exchange_time=None))
    assert progress.price == 101.0


def trade(number: int, units: int, second: int | None) -> Trade:
    when = None if second is None else at(second)
    return Trade(f"T{number}", "1", "NSE", "INFY", "BUY", "MIS", units, 100.0, when)


@pytest.mark.parametrize(
    ("filled", "when"),
    [
        (30, 1),  # the first trade alone
        (31, 4),  # and one unit of the second
        (70, 4),
        (71, 9),
        (100, 9),
    ],
)
def test_a_fill_is_dated_by_the_trade_that_made_it_whole(filled: int, when: int) -> None:
    trades = [trade(2, 40, 4), trade(3, 30, 9), trade(1, 30, 1)]
    _, fill = apply(None, update("CANCELLED", filled, 100.0, 60), at(9999), trades)
    assert fill is not None
    assert (fill.quantity, fill.time) == (filled, at(when))


@pytest.mark.parametrize("trades", [[], [trade(1, 30, 1)], [trade(1, 100, None)]], ids=["none", "too few", "no time"])
def test_trades_that_do_not_know_leave_the_time_to_the_order(trades: list[Trade]) -> None:
    _, fill = apply(None, update("CANCELLED", 60, 100.0, 60), at(9999), trades)
    assert fill is not None
    assert fill.time == at(60)


def test_an_average_of_fewer_fills_does_not_replace_that_of_more() -> None:
    progress, fills = tell(update("UPDATE", 40, 100.0, 1), update("OPEN", 10, 90.0, 2), update("OPEN", 40, 95.0, 3))
    assert (progress.filled, progress.average_price) == (40, 100.0)
    assert fills == [Fill(40, 100.0, at(1))]


def test_trades_that_know_as_much_as_the_messages_are_the_price() -> None:
    """An average is rounded; the trades are not."""
    one = Fill(40, 100.003, at(1), "T1")
    assert tell(update("UPDATE", 40, 100.0, 1), one)[0].average_price == 100.003
    assert tell(update("UPDATE", 41, 100.0, 1), one)[0].average_price == 100.0


def test_what_is_over_has_nothing_left_to_trade() -> None:
    open_, _ = tell(update("OPEN", 40, 100.0, 1))
    gone, _ = tell(update("OPEN", 40, 100.0, 1), update("CANCELLED", 40, 100.0, 2, cancelled_quantity=60))
    assert (open_.remaining, gone.remaining) == (60, 0)


def test_without_the_exchanges_time_kites_own_says_how_new_it_is() -> None:
    known, _ = tell(update("OPEN", 0, 0.0, exchange_time=None, order_time=at(7)))
    assert known.exchange_time == at(7)
    assert tell(update("OPEN", 0, 0.0, 3, order_time=at(7)))[0].exchange_time == at(3)
