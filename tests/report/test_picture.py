"""The curve as a picture: what is written on its axes."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from btkite.report.picture import TICKS, decimals, time_ticks, write_png

OPEN = datetime(2026, 11, 18, 9, 15)


def bars(days: int, minutes: int = 5, count: int = 75) -> list[datetime]:
    return [OPEN + timedelta(days=day, minutes=minutes * (at + 1)) for day in range(days) for at in range(count)]


def test_the_picture_is_a_png_and_needs_no_display(made, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    path = write_png(made([100_000 + random.Random(2).gauss(0, 500) for _ in range(50)]), tmp_path / "equity.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["equity.png"]


@pytest.mark.parametrize("days", [2, 3, 5, 8, 30, 250, 900])
def test_no_two_labels_of_the_time_axis_are_alike(days: int) -> None:
    ticks = time_ticks(bars(days))
    labels = [label for _, label in ticks]
    assert len(set(labels)) == len(labels) <= TICKS
    assert len(labels) > 1
    assert labels[0] == ("18 Nov" if days < 300 else "18 Nov 26")


def test_each_label_stands_at_the_first_bar_of_its_day() -> None:
    assert time_ticks(bars(3)) == [(0, "18 Nov"), (75, "19 Nov"), (150, "20 Nov")]


def test_one_day_is_labelled_with_hours() -> None:
    labels = [label for _, label in time_ticks(bars(1))]
    assert labels[:2] == ["09:20\n18 Nov", "10:10"]
    assert len(set(labels)) == len(labels) <= TICKS
    assert time_ticks([OPEN]) == [(0, "09:15\n18 Nov")]


@pytest.mark.parametrize(
    ("places", "expected"),
    [([0, 50, 100], 0), ([0.0, 0.1, 0.2], 1), ([-0.05, 0.0, 0.05], 2), ([0.0, 0.25], 2), ([0.0, 0.02], 2), ([1.0], 0)],
)
def test_ticks_have_as_many_decimals_as_tell_them_apart(places: list[float], expected: int) -> None:
    assert decimals(places) == expected
    assert len({f"{place:.{expected}f}" for place in places}) == len(places)
