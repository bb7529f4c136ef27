"""Chaos: what goes wrong by a seed breaks no promise; the control, which doubles orders, is caught and made short.

With BTKITE_SOAK=1 a thousand seeds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from btkite.checks.chaos import Summary, Verdict, lines, play, plays
from btkite.checks.lives import Stage
from btkite.checks.storm import scenario_of

SOAK = bool(os.environ.get("BTKITE_SOAK"))
SEEDS = range(1000) if SOAK else range(15)
JOBS = int(os.environ.get("BTKITE_JOBS", "2"))

pytestmark = pytest.mark.timeout(7200 if SOAK else 180)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


def told(verdict: Verdict) -> str:
    return "\n".join(lines(verdict))


@pytest.mark.skipif(SOAK, reason="the soak plays them all")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_breaks_no_promise(stage: Stage, seed: int) -> None:
    verdict = play(stage, scenario_of(seed))
    assert verdict.kept, told(verdict)


@pytest.mark.skipif(not SOAK, reason="a thousand seeds take a quarter of an hour: BTKITE_SOAK=1")
def test_a_thousand_seeds_break_no_promise() -> None:
    summary, failed = Summary(), []
    for verdict in plays([scenario_of(seed) for seed in SEEDS], jobs=JOBS):
        summary.add(verdict)
        if not verdict.kept:
            failed.append(told(verdict))
    print("\n".join(summary.lines()))
    assert not failed, "\n\n".join(failed[:10])


def test_the_same_seed_is_the_same_day(stage: Stage) -> None:
    scenario = replace(scenario_of(11), deaths=())
    first, again = play(stage, scenario), play(stage, scenario)
    assert replace(first, output="") == replace(again, output="")
    assert first.orders > 5
    assert sum(sum(row) for row in first.fired.values()) > 0
