"""What is varied, as it is typed and as Python says it; and how what is no range is refused."""

from __future__ import annotations

from datetime import time
from typing import Any

import backtrader as bt
import pytest

from btkite.errors import ConfigError
from btkite.loading import parse_params
from btkite.sweeps.space import Space, space_of, text_of


class Many(bt.Strategy):
    params = (
        ("fast", 10),
        ("percent", 9.0),
        ("exit", time(15, 10)),
        ("short", False),
        ("side", "long"),
        ("free", None),
    )


def space(*said: str, fixed: Any = None) -> Space:
    return space_of(Many, said, fixed or {})


def values(said: Any, name: str = "fast") -> tuple[Any, ...]:
    return space_of(Many, {name: said}, {}).dimensions[0].values


def test_from_to_step_includes_both_ends() -> None:
    assert values("5..50:5") == (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
    assert values("5..9") == (5, 6, 7, 8, 9)
    assert values("5..9:3") == (5, 8)
    assert values("-2..2:2") == (-2, 0, 2)


def test_decimals_are_those_that_are_typed() -> None:
    assert values("0.1..0.5:0.1", "percent") == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert values("1..3:1", "percent") == (1.0, 2.0, 3.0)
    assert all(isinstance(value, float) for value in values("1..3:1", "percent"))


def test_values_may_be_listed() -> None:
    assert values("20,10,20") == (20, 10)
    assert values("15:10, 15:20", "exit") == (time(15, 10), time(15, 20))
    assert values("true,false", "short") == (True, False)
    assert values("a,2,none", "free") == ("a", 2, None)
    assert values(range(2, 8, 2)) == (2, 4, 6)
    assert values([1, 2.5], "percent") == (1.0, 2.5)


def test_a_stretch_of_a_fractional_parameter_without_a_step_is_for_a_search_that_picks_freely() -> None:
    (dimension,) = space("percent=0.5..2").dimensions
    assert dimension.continuous
    assert (dimension.low, dimension.high) == (0.5, 2.0)
    with pytest.raises(ConfigError, match=r"a grid needs a step: write percent=0.5..2:STEP, or use --search random"):
        space("percent=0.5..2").grid()


def test_every_value_can_be_typed_again() -> None:
    for name, said in {"fast": "5..9", "percent": "0.1..0.9:0.1", "exit": "15:10,15:20:30", "side": "a,b"}.items():
        for value in values(said, name):
            assert parse_params(Many, [f"{name}={text_of(value)}"]) == {name: value}


def test_the_last_dimension_turns_fastest() -> None:
    found = list(space("fast=1..2", "side=a,b").grid())
    assert found == [
        {"fast": 1, "side": "a"},
        {"fast": 1, "side": "b"},
        {"fast": 2, "side": "a"},
        {"fast": 2, "side": "b"},
    ]


def test_chance_is_the_same_for_the_same_seed_and_repeats_no_set() -> None:
    whole = space("fast=1..20", "side=a,b")
    first = whole.drawn(15, 4)
    assert first == whole.drawn(15, 4) != whole.drawn(15, 5)
    assert len({(one["fast"], one["side"]) for one in first}) == 15
    assert len(whole.drawn(1000, 1)) == 40
    free = space("percent=0.5..2", "fast=1..3").drawn(50, 1)
    assert all(0.5 <= one["percent"] <= 2 and one["fast"] in (1, 2, 3) for one in free)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([], "nothing is varied: give --set fast=5..50:5 (sets={'fast': '5..50:5'} in Python)"),
        (["fast"], "'fast' says nothing to vary: write name=5..50:5 (from, to, step) or name=5,10,20"),
        (["fats=1..2"], "Many has no parameter 'fats'; did you mean fast?"),
        (["fast=1..2", "fast=3"], "the parameter fast is varied twice: once is enough"),
        (["fast=9..2"], "fast=9..2 is empty: 9 is more than 2"),
        (["fast=1..9:0"], "fast=1..9:0: the step must be more than 0"),
        (["fast=1..x"], "fast=1..x is no range: write name=5..50:5 (from, to, step) or name=5,10,20"),
        (["fast=1..nan"], "fast=1..nan is no range: write name=5..50:5 (from, to, step) or name=5,10,20"),
        (["fast=1..5:0.5"], "Many's parameter fast is a whole number (default 10), not '1.5'"),
        (["fast=1,,2"], "a value of fast is empty: write name=5..50:5 (from, to, step) or name=5,10,20"),
        (["fast=1,b"], "Many's parameter fast is a whole number (default 10), not 'b'"),
        (["exit=15..16"], "Many's parameter exit is no number: name its values one by one, exit=a,b"),
        (["short=0..1"], "Many's parameter short is no number: name its values one by one, short=a,b"),
        (["fast=1..9999999"], "fast=1..9999999 has 9,999,999 values, more than 1,000,000: widen the step"),
    ],
)
def test_what_is_no_range_is_refused_in_one_sentence(said: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        space(*said)
    assert str(refused.value) == sentence


def test_python_is_refused_as_plainly() -> None:
    with pytest.raises(ConfigError, match="fast has one value, 5: put it into params, or give several"):
        values(5)
    with pytest.raises(ConfigError, match="fast has no value"):
        values([])
    with pytest.raises(ConfigError, match="free cannot be varied over"):
        values([object()], "free")
    with pytest.raises(ConfigError, match=r"fast is a whole number \(default 10\), not '2.5'"):
        values([2.5])
    with pytest.raises(ConfigError, match="the parameter fast is varied and fixed: take it out of one of the two"):
        space("fast=1..2", fixed={"fast": 1})
    with pytest.raises(ConfigError, match="that are 4,000,000 sets, more than 1,000,000"):
        space("fast=1..2000", "free=1..2000").grid()
