"""What was demanded on a day: the dated tables, and how a setting changes them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from btkite.exchange import BadSettings, ExchangeSettings, rulebook
from btkite.exchange.errors import Refusal

from .scene import Scene, candles

FLAT = (100.0, 100.0, 100.0, 100.0)
BEFORE, SINCE = date(2026, 3, 31), date(2026, 4, 1)


@pytest.mark.parametrize(
    ("name", "day", "value"),
    [
        ("market_protection", BEFORE, False),
        ("market_protection", SINCE, True),
        ("static_ip", BEFORE, False),
        ("static_ip", SINCE, True),
        ("orders_per_second", SINCE, 10),
        ("closing_auction", date(2026, 8, 2), False),
        ("closing_auction", date(2026, 8, 3), True),
        ("iceberg_legs", date(2022, 4, 3), 0),
        ("iceberg_legs", date(2022, 4, 4), 10),
        ("iceberg_legs", date(2024, 7, 1), 20),
        ("iceberg_legs", date(2026, 1, 15), 50),
        ("modification_cap", date(2024, 5, 3), 25),
        ("gtt_market", date(2026, 7, 15), False),
        ("gtt_market", date(2026, 7, 16), True),
    ],
)
def test_a_rule_holds_from_its_date(name: str, day: date, value: Any) -> None:
    assert getattr(rulebook.on(day), name) == value


def test_mcx_takes_no_ioc_since_april_2026_and_others_do() -> None:
    assert rulebook.on(BEFORE).takes("IOC", "MCX")
    assert not rulebook.on(SINCE).takes("IOC", "MCX")
    assert rulebook.on(SINCE).takes("IOC", "NSE")
    assert not rulebook.on(date(2021, 1, 4)).takes("TTL", "NSE")
    assert rulebook.on(SINCE).takes("TTL", "NSE")
    assert not rulebook.on(SINCE).takes("TTL", "BFO")


def test_freeze_quantities_and_bands_are_dated_and_a_blank_is_unknown() -> None:
    assert rulebook.on(date(2025, 9, 15)).freeze["BANKNIFTY"] == 900
    assert "BANKNIFTY" not in rulebook.on(date(2025, 10, 15)).freeze
    assert rulebook.on(date(2026, 8, 3)).freeze["BANKNIFTY"] == 600
    assert ("BFO", "stock_option") not in rulebook.on(date(2026, 7, 5)).lpp
    assert rulebook.on(date(2026, 7, 6)).lpp["BFO", "stock_option"].around(20.0) == (0.0, 40.0)
    assert rulebook.on(SINCE).lpp["NFO", "index_option"].around(50.0) == (30.0, 70.0)
    assert rulebook.on(SINCE).lpp["NFO", "index_option"].around(100.0) == (60.0, 140.0)


def test_a_change_of_the_rules_is_merged_or_refused_by_name() -> None:
    rules = rulebook.with_changes(SINCE, {"iceberg_legs": 3, "ioc": {"MCX": True}})
    assert rules.iceberg_legs == 3
    assert rules.takes("IOC", "MCX")
    assert rules.takes("IOC", "NSE")
    with pytest.raises(BadSettings, match="there is no rule 'icebergs'"):
        ExchangeSettings(candles={}, rules={"icebergs": 3})


@pytest.mark.parametrize(("more", "refused"), [({}, False), ({"rules_on": date(2026, 5, 4)}, True)])
def test_a_day_of_2024_plays_by_its_own_rules_unless_another_date_is_named(more: dict[str, Any], refused: bool) -> None:
    from datetime import datetime

    day = datetime(2024, 5, 3)
    given = {"candles": {"NSE:INFY": candles([FLAT] * 2, day=day)}, "require_market_protection": None, **more}
    scene = Scene(**given)
    scene.bar()
    if refused:
        with pytest.raises(Refusal, match="without market protection"):
            scene.place("BUY")
    else:
        assert scene.place("BUY").status == "OPEN"


def test_an_unknown_check_or_choice_is_refused_in_one_sentence() -> None:
    with pytest.raises(BadSettings, match="there is no check 'freezing'"):
        ExchangeSettings(checks=("freezing",))
    with pytest.raises(BadSettings, match="rms 'later': choose sync or async"):
        ExchangeSettings(rms="later")
