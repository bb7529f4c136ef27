"""Faults together, at a moment, in storms and scripts; what is refused, and what clearing ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from kiteconnect import exceptions as kite_errors

from btkite.exchange import BadSettings, Exchange, ExchangeSettings
from btkite.exchange.faults import PASSING
from btkite.testing import SteeringError

from ..scene import KEY, candles
from .stage import FLAT, ORDER, SHORT, SOON, Listener, Stage, play, statuses


def test_faults_are_composed(stage: Stage) -> None:
    stage.steer.arm("slow_reply", seconds=SHORT * 2, accepted=True)
    stage.steer.arm("html_502", accepted=True)
    with pytest.raises(kite_errors.DataException):
        stage.patient.place_order(**ORDER)
    assert stage.last_fault() == "slow_reply+html_502"
    assert len(stage.book()) == 1


def test_a_fault_that_acts_at_a_moment(stage: Stage) -> None:
    stage.steer.arm("price_spike", percent=10, at="2026-11-18T09:17:30+05:30")
    stage.steer.play_until("2026-11-18T09:17:29+05:30")
    assert stage.kite.ltp(KEY)[KEY]["last_price"] == 100.0
    stage.steer.play_until("2026-11-18T09:17:31+05:30")
    assert stage.kite.ltp(KEY)[KEY]["last_price"] == 110.0


def test_a_storm_is_the_same_for_the_same_seed(load: Callable[..., Stage]) -> None:
    runs = []
    for seed in (3, 3, 4):
        stage = load()
        stage.steer.storm(seed, every=60)
        stage.steer.advance(601)
        runs.append([row["kind"] for row in stage.steer.faults() if "kind" in row])
    assert runs[0] == runs[1] != runs[2]
    assert len(runs[0]) == 10
    assert set(runs[0]) <= set(PASSING)


def test_clearing_ends_what_lasts(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        stage.steer.arm("heartbeat_only", seconds=600)
        armed = stage.steer.arm("too_many_requests", times=None)
        await listener.do(stage.steer.advance, 60)
        assert await listener.quiet()
        assert stage.steer.disarm(armed["id"]) == 1
        assert [row["kind"] for row in stage.steer.faults()] == ["heartbeat_only"]
        assert stage.steer.disarm() == 1
        await listener.do(stage.steer.advance, 60)
        await listener.frames(1)
        assert stage.steer.faults() == []

    play(stage, test)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"kind": "nothing"}, "is no kind of fault; there are: reply_withheld_before"),
        ({"kind": "html_502", "when": 3}, "a fault knows"),
        ({"kind": "html_502", "match": {"nth": 0}}, "nth of html_502 must be a whole number from 1 on"),
        ({"kind": "html_502", "match": {"minute": 3}}, "match of html_502 knows"),
        ({"kind": "html_502", "match": {"probability": 2}}, "from 0 to 1"),
        ({"kind": "html_502", "match": {"at": "noon"}}, "is not a time"),
        ({"kind": "html_502", "args": {"seconds": 3}}, "has no argument seconds; its arguments are: accepted"),
        ({"kind": "slow_reply", "args": {"seconds": "3"}}, "write something like 2.0"),
        ({"kind": "html_502", "times": -1}, "times of html_502"),
        ({"kind": "price_spike", "times": 3}, "give it a match"),
        ({"kind": "price_spike", "args": {"symbol": "NSE:NONE"}}, "NSE:NONE is not listed here"),
        ({"storm": {"every": 0}}, "every of a storm"),
        ({"storm": {"kinds": ["rain"]}}, "'rain' is no kind"),
    ],
)
def test_a_wrong_fault_is_one_clear_sentence(stage: Stage, body: dict[str, Any], sentence: str) -> None:
    reply = requests.post(f"{stage.exchange.url}/_exchange/faults", json=body, timeout=SOON)
    assert reply.status_code == 400
    assert sentence in reply.json()["message"]
    assert stage.steer.faults() == []


def test_clearing_what_is_not_there_is_refused(stage: Stage) -> None:
    with pytest.raises(SteeringError, match="there is no fault 7"):
        stage.steer.disarm(7)


def test_a_script_of_faults_is_armed_from_the_start(load: Callable[..., Stage]) -> None:
    stage = load(faults=[{"kind": "html_502", "match": {"path": "/orders"}}])
    assert statuses(stage, 2) == [502, 200]
    with pytest.raises(BadSettings, match="fault 1 of the script: 'rain'"):
        Exchange(ExchangeSettings(start=None, candles={KEY: candles([FLAT])}, faults=[{"kind": "rain"}]))
