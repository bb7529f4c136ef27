"""Killed anywhere and started again: nothing twice, nothing lost, and then as if nothing had been.

The exchange's own book is the judge. A sample of the boundaries; all of them under ``make soak``.
"""

from __future__ import annotations

import os

import pytest

from btkite.checks import crash
from btkite.checks.boundaries import BETWEEN_BARS, Boundary
from btkite.checks.lives import Stage
from btkite.errors import ConfigError

SOAK = bool(os.environ.get("BTKITE_SOAK"))
SEED = int(os.environ.get("BTKITE_SEED", "1"))
JOBS = 2


@pytest.fixture(scope="module")
def stage():
    with Stage() as one:
        yield one


@pytest.fixture(scope="module")
def what():
    return crash.script(SEED, legs=2)


@pytest.fixture(scope="module")
def whole(stage, what):
    return crash.survey(stage, what)


def test_the_day_has_boundaries_of_every_kind(whole):
    sites = {boundary.site for boundary in whole.crossings}
    for kind in ("order", "intent", "sending", "reply", "placed", "fill", "end", "change"):
        assert {f"journal {kind}: {when}" for when in ("not written yet", "written, not durable", "durable")} <= sites
    for call in ("POST /orders/regular", "PUT /orders/regular/ID", "DELETE /orders/regular/ID", "GET /user/margins"):
        assert {f"{call}: {when}" for when in ("not sent yet", "sent", "answered, not read")} <= sites, call
    assert f"{BETWEEN_BARS}" in sites
    assert len(whole.crossings) == len(set(whole.crossings)) > 300


@pytest.mark.parametrize("text", ["foo", "foo #", " #3", "foo #x"])
def test_what_is_no_boundary_is_told_so(text):
    with pytest.raises(ConfigError, match="is no boundary: write one as"):
        Boundary.parse(text)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "site",
    [
        "journal intent: not written yet",
        "journal fill: written, not durable",
        "journal fill: durable",
        "POST /orders/regular: answered, not read",
        "PUT /orders/regular/ID: sent",
        "DELETE /orders/regular/ID: sent",
        "market: moved, not heard yet",
    ],
)
def test_a_day_with_a_kill_is_the_day_without(stage, what, whole, site):
    there = [boundary for boundary in whole.crossings if boundary.site == site]
    done = crash.trial(stage, what, whole, (there[len(there) // 2],))
    assert done.problems == ()


@pytest.mark.timeout(300)
def test_a_bracket_that_is_durable_and_was_not_sent_has_its_exits_after_the_restart(stage, what, whole):
    done = crash.trial(stage, what, whole, (Boundary("journal order: durable", 2),))
    assert done.problems == ()


@pytest.mark.timeout(300)
def test_an_order_whose_sending_is_not_durable_is_given_again(stage, what, whole):
    done = crash.trial(stage, what, whole, (Boundary("journal intent: durable", 1),))
    assert done.problems == ()
    assert done.recovery >= 1


@pytest.mark.skipif(not SOAK, reason="every boundary of a day takes minutes: make soak")
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("deaths", "thin"), [(1, False), (1, True), (2, False), (2, True)])
def test_every_boundary(deaths, thin, capsys):
    whole_day = crash.script(SEED, thin=thin)
    with Stage() as alone:
        without = crash.survey(alone, whole_day)
    count = None if deaths == 1 else 200
    kills = crash.kills_of(without.crossings, count, deaths, SEED)
    summary = crash.Summary.of(without, list(crash.trials(whole_day, without, kills, jobs=JOBS)))
    with capsys.disabled():
        print("", *summary.lines(), sep="\n")
    assert summary.failed == ()
    assert summary.unreached <= summary.count // 50 or deaths > 1
