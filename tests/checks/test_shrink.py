"""Failures are made short: nothing is left that could be left out, and a script says the same as the scenario."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from btkite.checks.acts import KILL, Act
from btkite.checks.chaos import Verdict
from btkite.checks.scenario import OPEN, WARMUP, Scenario, candles
from btkite.checks.shrink import fewest, shortest, shrunk
from btkite.checks.storm import scenario_of
from btkite.errors import ConfigError


@pytest.mark.parametrize("guilty", [{3}, {1, 8}, {0, 5, 9}, set(range(10))])
def test_what_is_left_is_what_it_takes(guilty: set[int]) -> None:
    calls = []

    def fails(some: object) -> bool:
        calls.append(some)
        return guilty <= set(some)  # type: ignore[call-overload]

    assert set(fewest(range(10), fails)) == guilty
    assert len(calls) < 60


def test_if_it_fails_without_anything_nothing_is_left() -> None:
    assert fewest([1, 2, 3], lambda some: True) == []


def test_the_shortest_time_is_found() -> None:
    assert shortest(20, lambda minutes: minutes >= 7) == 7
    assert shortest(20, lambda minutes: minutes >= 20) == 20


def test_a_failure_keeps_the_faults_and_minutes_it_needs_and_loses_the_rest() -> None:
    whole = replace(scenario_of(5), acts=(Act(OPEN + timedelta(minutes=WARMUP + 2), KILL),), deaths=("market #1",))
    guilty = whole.faults[1]["kind"]

    def play(scenario: Scenario) -> Verdict:
        breaks = scenario.minutes >= 6 and guilty in {fault["kind"] for fault in scenario.faults}
        return Verdict(scenario, {"no order twice": ["2 orders of the tag A"]} if breaks else {})

    found = shrunk(play(whole), play).scenario
    assert [fault["kind"] for fault in found.faults] == [guilty]
    assert (found.acts, found.deaths, found.minutes, found.settings) == ((), (), 6, {})


def test_a_failure_that_does_not_come_again_stays_as_it_was() -> None:
    first = Verdict(scenario_of(5), {"no order twice": ["2 orders of the tag A"]})
    assert shrunk(first, lambda scenario: Verdict(scenario)) is first


# -- scenarios and scripts ------------------------------------------------------------------------------------


def test_a_seed_is_one_scenario_and_another_seed_another() -> None:
    assert scenario_of(7) == scenario_of(7)
    assert scenario_of(7).faults != scenario_of(8).faults


@pytest.mark.parametrize("seed", range(30))
def test_a_script_says_what_the_scenario_says_and_its_faults_can_be_armed(seed: int, tmp_path: Path) -> None:
    scenario = scenario_of(seed)
    scenario.check()
    path = tmp_path / "script.json"
    path.write_text(scenario.text())
    assert Scenario.read(path) == scenario
    scenario.shortened(3).check()


def test_a_shorter_day_begins_like_the_longer_one() -> None:
    scenario = scenario_of(4)
    short, long = candles(scenario.shortened(5))["NSE:INFY"], candles(scenario)["NSE:INFY"]
    assert list(short.close) == list(long.close[: len(short)])
    assert len(short) < len(long)


GOOD = json.loads(scenario_of(1).text())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("no json", "cannot be read"),
        ("[]", 'a JSON object with "chaos": 1'),
        (json.dumps({**GOOD, "chaos": 2}), 'a JSON object with "chaos": 1'),
        (json.dumps({key: GOOD[key] for key in GOOD if key != "faults"}), "the script has no 'faults'"),
        (json.dumps({**GOOD, "minutes": 0}), "minutes are from 1 to 360"),
        (json.dumps({**GOOD, "minutes": "many"}), "cannot be read"),
        (json.dumps({**GOOD, "symbols": []}), "at least one symbol"),
        (json.dumps({**GOOD, "faults": [{"kind": "bad_luck"}]}), "'bad_luck' is no kind of fault"),
        (json.dumps({**GOOD, "acts": [{"at": "2026-11-18T09:30", "what": "dance", "fields": {}}]}), "'dance'"),
        (json.dumps({**GOOD, "deaths": ["somewhere"]}), "cannot be read"),
    ],
)
def test_a_script_that_is_none_is_told_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Scenario.parse(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_script_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Scenario.read(tmp_path / "nothing.json")
