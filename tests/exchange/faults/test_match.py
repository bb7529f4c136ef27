"""When a fault happens, how often, by what chance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kiteconnect import exceptions as kite_errors

from .stage import Stage, statuses


def test_nth_every_and_times(stage: Stage) -> None:
    stage.steer.arm("too_many_requests", nth=2, every=3, times=2)
    assert statuses(stage, 9) == [200, 429, 200, 200, 429, 200, 200, 200, 200]
    row = stage.steer.faults()[0]
    assert (row["seen"], row["fired"], row["spent"]) == (5, 2, True)


def test_a_chance_is_drawn_from_the_seed(load: Callable[..., Stage]) -> None:
    runs = []
    for seed in (7, 7, 8):
        stage = load()
        stage.steer.arm("too_many_requests", probability=0.5, times=None, seed=seed)
        runs.append(statuses(stage, 20))
    assert runs[0] == runs[1] != runs[2]
    assert {200, 429} == set(runs[0])


def test_a_fault_between_two_moments(stage: Stage) -> None:
    stage.steer.arm("too_many_requests", times=None, at="2026-11-18T09:17:00+05:30", until="2026-11-18T09:18:00+05:30")
    found = []
    for _ in range(4):
        found += statuses(stage, 1)
        stage.steer.advance(40)
    assert found == [200, 200, 429, 200]  # 09:16:00, 09:16:40, 09:17:20, 09:18:00


def test_method_path_and_fields_are_globs(stage: Stage) -> None:
    stage.steer.arm("server_error", method="POST|PUT", path="/orders/*", fields={"tradingsymbol": "IN*"}, times=None)
    assert statuses(stage, 1) == [200]
    with pytest.raises(kite_errors.GeneralException):
        stage.place()
    stage.steer.disarm()
    stage.steer.arm("server_error", fields={"tradingsymbol": "TCS"}, times=None)
    stage.place()
