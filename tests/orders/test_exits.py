"""Which exit the carrier stands for, and whose a fill is: on paths of prices of their own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.orders.exits import Exit, choose, gone_off, traded
from btkite.orders.progress import Progress
from btkite.values import OrderUpdate, Side

S, T, U = 1, 2, 3


def stop(trigger: float, side: Side = Side.SELL, ref: int = S, limit: float = 0.0) -> Exit:
    return Exit(ref, side, limit, trigger)


def target(price: float, side: Side = Side.SELL, ref: int = T, reach: float = 0.3) -> Exit:
    return Exit(ref, side, price, 0.0, reach)


PAIR = (stop(95.0), target(105.0))
BOUGHT_BACK = (stop(105.0, Side.BUY), target(95.0, Side.BUY))


GONE = (Exit(S, Side.SELL, 0.0, 95.0, gone_off=True), target(105.0))
"""The price has been at the stop's trigger, and it went at market."""


def said(order_type: str, price: float = 0.0, trigger: float = 0.0) -> Progress:
    return Progress("X", order_type=order_type, price=price, trigger_price=trigger)


# -- choose ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "carried", "expected"),
    [
        (100.0, 0, S),
        (104.69, S, S),
        (104.70, S, T),
        (106.0, S, T),
        (104.50, T, T),
        (104.40, T, T),
        (104.39, T, S),
        (90.0, T, S),
        (0.0, 0, S),
        (0.0, T, S),
    ],
)
def test_the_target_stands_within_its_reach_and_to_twice_of_it(last: float, carried: int, expected: int) -> None:
    """Of a short position upside down; a price that nobody knows is none, whichever side the exits are on."""
    assert choose(PAIR, last, carried) == expected
    assert choose(BOUGHT_BACK, last and 200.0 - last, carried) == expected


@pytest.mark.parametrize("last", [0.0, 90.0, 100.0, 104.9, 106.0])
@pytest.mark.parametrize("carried", [0, S, T])
def test_a_stop_that_has_gone_off_goes_on_wherever_the_price_is_by_now(last: float, carried: int) -> None:
    assert choose(GONE, last, carried) == S


def test_it_is_the_same_for_a_short_position() -> None:
    pair = (stop(105.0, Side.BUY), target(95.0, Side.BUY))
    assert [choose(pair, last, S) for last in (95.31, 95.3, 94.0)] == [S, T, T]
    assert [choose(pair, last, T) for last in (95.6, 95.61, 110.0)] == [T, S, S]


def test_where_stop_and_target_are_near_each_other_the_stop_has_its_share() -> None:
    """A reach that reached over the stop would leave the position without one for ever."""
    near = (stop(99.9), target(100.05, reach=0.3))
    assert choose(near, 99.97, S) == S
    assert choose(near, 100.0, S) == T
    assert choose(near, 99.96, T) == T
    assert choose(near, 99.94, T) == S


def test_a_single_exit_stands_whatever_the_price() -> None:
    assert choose((target(105.0),), 50.0) == T
    assert choose((stop(95.0),), 200.0) == S


def test_of_several_stops_and_targets_those_next_to_the_price_take_turns() -> None:
    exits = (stop(90.0), target(110.0), stop(95.0, ref=4), target(105.0, ref=U))
    assert choose(exits, 100.0) == 4
    assert choose(exits, 104.9) == U
    assert choose(exits, 111.0) == U


PRICES = st.integers(1_800, 2_200).map(lambda ticks: round(ticks * 0.05, 2))


@settings(deadline=None)
@given(
    side=st.sampled_from(list(Side)),
    low=PRICES,
    span=st.integers(1, 200),
    reach=st.floats(0.05, 5.0),
    path=st.lists(PRICES, max_size=40),
)
def test_on_every_path_the_stop_stands_wherever_it_is_near(
    side: Side, low: float, span: int, reach: float, path: list[float]
) -> None:
    high = round(low + span * 0.05, 2)
    trigger, price = (low, high) if side is Side.SELL else (high, low)
    exits = (stop(trigger, side), target(price, side, reach=reach))
    carried = 0
    for last in path:
        before, carried = carried, choose(exits, last, carried)
        assert choose(exits, last, carried) == carried  # it rests
        away = exits[1].distance(last)
        if exits[0].distance(last) < (high - low) / 3 - 1e-6:
            assert carried == S
        if away <= 0:
            assert carried == T
        if away > 2 * reach + 1e-6:
            assert carried == S
        if {before, carried} == {S, T}:  # a change needs a way of a whole reach since the last
            assert away <= reach + 1e-6 if carried == T else away > min(reach, (high - low) / 3) - 1e-6


# -- traded ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "price", "expected"),
    [
        (said("SL-M", trigger=95.0), 94.9, S),
        (said("SL", 94.0, 95.0), 94.0, S),
        (said("LIMIT", 105.0), 105.0, T),
        (said("LIMIT", 105.0), 105.2, T),
        (said("MARKET"), 99.0, S),
        (said("LIMIT", 105.0), 94.9, S),  # it has traded before it became the target's limit
        (said("SL-M", trigger=95.0), 105.0, T),  # and this before it was the stop again
        (said("SL-M", trigger=95.0), 0.0, S),
        (said("LIMIT", 105.0), 0.0, T),
    ],
)
@pytest.mark.parametrize("carried", [S, T])
def test_a_fill_is_that_ones_for_whom_kites_order_stood(
    what: Progress, price: float, expected: int, carried: int
) -> None:
    if what.order_type == "MARKET" and carried == T:
        assert traded(PAIR, carried, what, price) == S  # a target never goes at market
    assert traded(PAIR, carried, what, price) == expected


def test_a_triggered_stop_that_rests_at_its_limit_is_no_target() -> None:
    exits = (stop(95.0, limit=94.0), target(105.0))
    assert traded(exits, S, said("LIMIT", 94.0), 94.0) == S
    assert traded(exits, T, said("LIMIT", 94.0)) == S
    assert traded(exits, S, said("LIMIT", 105.0)) == T


@pytest.mark.parametrize("carried", [S, T])
@pytest.mark.parametrize("exits", [PAIR, GONE], ids=["Kite's trigger", "ours"])
@pytest.mark.parametrize(("limit", "price"), [(94.0, 94.5), (92.7, 92.9), (88.0, 91.0), (94.0, 0.0), (88.0, 0.0)])
def test_a_limit_beyond_the_trigger_is_what_protection_or_widening_made_of_the_stop(
    exits: tuple[Exit, ...], carried: int, limit: float, price: float
) -> None:
    """Kite shows market orders as the limit that protects them."""
    assert traded(exits, carried, said("LIMIT", limit), price) == S
    assert gone_off(exits[0], said("LIMIT", limit))


@pytest.mark.parametrize("carried", [S, T])
def test_the_same_for_a_short_position(carried: int) -> None:
    pair = (stop(105.0, Side.BUY), target(95.0, Side.BUY))
    assert traded(pair, carried, said("LIMIT", 107.1), 106.0) == S
    assert traded(pair, carried, said("LIMIT", 95.0), 95.0) == T
    assert traded(pair, carried, said("LIMIT", 95.0), 96.0) == S
    assert gone_off(pair[0], said("LIMIT", 107.1))
    assert not gone_off(pair[0], said("LIMIT", 95.0))


@pytest.mark.parametrize(("limit", "expected"), [(105.0, T), (103.0, T), (96.0, T), (107.0, T)])
def test_a_limit_between_trigger_and_target_is_a_target_that_was_moved_since(limit: float, expected: int) -> None:
    assert traded(PAIR, T, said("LIMIT", limit)) == expected
    assert traded(PAIR, S, said("LIMIT", limit), limit) == expected
    assert not gone_off(PAIR[0], said("LIMIT", limit))


def test_but_not_once_the_stop_is_known_to_have_gone_off() -> None:
    """The price came back in the moment in which it was sent at market."""
    assert traded(GONE, S, said("LIMIT", 96.0), 97.0) == S
    assert traded(GONE, S, said("LIMIT", 105.0)) == T  # it never arrived
    assert traded(GONE, S, said("LIMIT", 94.0), 105.0) == T  # so much had traded before


@pytest.mark.parametrize(
    ("what", "expected"),
    [(said("SL-M", trigger=95.0), False), (said("SL", 94.0, 95.0), False), (said("MARKET"), True), (said(""), False)],
)
def test_a_stop_waits_as_long_as_kite_says_that_it_is_one(what: Progress, expected: bool) -> None:
    assert gone_off(PAIR[0], what) == expected


def test_what_says_nothing_changes_nothing() -> None:
    assert [traded(PAIR, ref, said("")) for ref in (S, T)] == [S, T]
    assert traded(PAIR[:1], S, said("LIMIT", 105.0), 105.0) == S


@settings(deadline=None)
@given(
    side=st.sampled_from(list(Side)),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=12),
    lost=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_whatever_is_lost_on_the_way_each_unit_is_somebodys_and_the_price_fits(
    side: Side, steps: list[tuple[bool, int]], lost: list[bool]
) -> None:
    """Kite's order is stop and target in turns, and trades; updates are lost, but the last one. What was heard
    alone goes to the right one."""
    trigger, price = (95.0, 105.0) if side is Side.SELL else (105.0, 95.0)
    exits = (stop(trigger, side), target(price, side))
    done = {S: 0, T: 0}
    filled, heard, carried = 0, 0, S
    single = True  # all fills since the last that was heard are one exit's
    for number, ((is_target, units), gone) in enumerate(zip(steps, lost, strict=False)):
        filled += units
        what = T if is_target else S
        if units and heard != filled - units:
            single = False
        if gone and number < len(steps) - 1:
            continue
        told = OrderUpdate(
            "X", "OPEN", "NSE", "TEST", str(side), order_type="LIMIT" if is_target else "SL-M",
            price=price if is_target else 0.0, trigger_price=0.0 if is_target else trigger, filled_quantity=filled,
        )  # fmt: skip
        if filled > heard:
            ref = traded(exits, carried, told, price if is_target else trigger)
            done[ref] += filled - heard
            if single:
                assert ref == what
            heard, carried, single = filled, ref, True
    assert sum(done.values()) == heard


@pytest.mark.parametrize(("trigger", "expected"), [(95.0, S), (94.0, S), (90.0, U), (91.0, U), (120.0, S)])
def test_of_several_stops_it_is_the_one_whose_trigger_it_has(trigger: float, expected: int) -> None:
    exits = (stop(95.0), stop(90.0, ref=U), target(105.0))
    assert traded(exits, T, said("SL-M", trigger=trigger)) == expected


@pytest.mark.parametrize(("price", "expected"), [(105.0, T), (104.0, T), (110.0, U), (112.0, U)])
def test_of_several_targets_it_is_the_one_whose_limit_it_has(price: float, expected: int) -> None:
    exits = (stop(95.0), target(105.0), target(110.0, ref=U))
    assert traded(exits, S, said("LIMIT", price)) == expected
