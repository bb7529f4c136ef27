"""Random days with a fault on every third order call: nothing is placed twice, nothing is lost, nothing is left.

A sample of the seeds; a thousand, and the control on two hundred, under ``make soak`` (``BTKITE_SEED``: the first).
The control resends what was not answered: it has to fail, or the days prove nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.faults.placing import LEFT, LOST, REFUSED, Verdict, play, play_many

SOAK = bool(os.environ.get("BTKITE_SOAK"))
FIRST = int(os.environ.get("BTKITE_SEED", "1"))
SEEDS = 1000
CONTROLS = 200
LEAST_HITS = 5000


def hits_of(verdicts: Iterable[Verdict]) -> Counter[str]:
    return sum((verdict.hits for verdict in verdicts), Counter())


def broken(verdicts: Iterable[Verdict]) -> dict[int, list[str]]:
    return {verdict.seed: verdict.problems for verdict in verdicts if verdict.problems}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + 18))
def test_a_day_of_lost_answers_doubles_nothing_and_loses_nothing(kite_exchange, seed):
    verdict = play(kite_exchange, seed)
    assert verdict.problems == []
    assert hits_of([verdict]).total() > 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + 2))
def test_a_client_that_resends_is_found_out(kite_exchange, seed):
    verdict = play(kite_exchange, seed, naive=True)
    assert verdict.left
    assert any("orders of the tag" in problem for problem in verdict.problems)


@pytest.mark.skipif(not SOAK, reason="a thousand days take a quarter of an hour: make soak")
@pytest.mark.timeout(7200)
def test_a_thousand_days(tmp_path, capsys):
    verdicts = play_many(tmp_path, range(FIRST, FIRST + SEEDS))
    hits = hits_of(verdicts)
    with capsys.disabled():
        placed, left, anew = (sum(getattr(one, name) for one in verdicts) for name in ("placed", "left", "anew"))
        print(f"\n{SEEDS} days: {placed} placements, {left} accepted without an answer, {anew} sent anew")
        print(f"{hits.total()} faults on order calls:")
        for name, count in sorted(hits.items()):
            print(f"  {name:36}{count:6}")
    assert broken(verdicts) == {}
    assert hits.total() >= LEAST_HITS
    assert {kind for kind, *_ in (*LOST, *LEFT, *REFUSED)} <= {name.split()[1] for name in hits}


@pytest.mark.skipif(not SOAK, reason="two hundred days take minutes: make soak")
@pytest.mark.timeout(7200)
def test_the_control_fails_where_an_order_was_left_behind(tmp_path, capsys):
    verdicts = [verdict for verdict in play_many(tmp_path, range(FIRST, FIRST + CONTROLS), naive=True) if verdict.left]
    found = [verdict for verdict in verdicts if verdict.problems]
    with capsys.disabled():
        print(f"\na client that resends: fails on {len(found)} of {len(verdicts)} days that left an order behind")
    assert len(verdicts) > CONTROLS / 2
    assert len(found) >= 0.9 * len(verdicts)
