from __future__ import annotations

import math
from datetime import date, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.report.stats import FIGURES
from btkite.report.table import comparison_rows, comparison_table, inr, number, shown, stats_table, text, when


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "₹0.00"),
        (999, "₹999.00"),
        (1_000, "₹1,000.00"),
        (99_999.994, "₹99,999.99"),
        (100_000, "₹1,00,000.00"),
        (1_234_567.89, "₹12,34,567.89"),
        (12_345_678_901, "₹12,34,56,78,901.00"),
        (-1_234.5, "-₹1,234.50"),
        (-0.001, "₹0.00"),
        (999.999, "₹1,000.00"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_rupees_are_grouped_as_in_india(value, expected):
    assert inr(value) == expected


def test_rupees_without_paise():
    assert inr(1_00_000.5, 0) == "₹1,00,000"


@given(st.integers(-(10**14), 10**14))
def test_no_digit_is_lost_in_grouping(value):
    digits = number(value, 0)
    assert int(digits.replace(",", "")) == value
    groups = digits.lstrip("-").split(",")
    assert all(len(group) == 2 for group in groups[1:-1])
    assert len(groups) == 1 or len(groups[-1]) == 3


def test_times_show_seconds_only_if_there_are_some():
    assert when(datetime(2026, 11, 18, 9, 16)) == "2026-11-18 09:16"
    assert when(datetime(2026, 11, 18, 9, 16, 5)) == "2026-11-18 09:16:05"
    assert when(date(2026, 11, 18)) == "2026-11-18"
    assert when(None) == "–"


def test_every_figure_can_be_shown_and_unknown_ones_are_a_dash():
    assert {shown(figure.key, None) for figure in FIGURES} == {"–"}
    assert shown("win_rate_percent", 62.5) == "62.50 %"
    assert shown("trades", 1234) == "1,234"


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_table_fits_its_width_and_has_no_colour_codes(made, width):
    result = made([100_500.0], [500.0], [10.0], denied=["5 entries today, the limit is 5"])
    shown_text = text(stats_table(result), width)
    assert max(len(line) for line in shown_text.splitlines()) <= width
    assert "\x1b" not in shown_text


def test_the_table_has_every_figure_with_its_unit(made):
    shown_text = made([1_50_500.0], [500.0], [10.0], denied=["too many"]).show()
    for figure in FIGURES:
        assert figure.label in shown_text
    assert "₹1,50,500.00" in shown_text
    assert "denied: too many" in shown_text
    assert "nan" not in shown_text.lower().replace("nance", "")


def test_three_modes_side_by_side_say_whether_they_are_the_same(made):
    modes = [made([100_500.0], [500.0], [10.0], mode=mode) for mode in ("backtest", "paper", "live")]
    rows = text(comparison_table(modes), 120)
    assert all(mode in rows for mode in ("backtest", "paper", "live", "same"))
    assert " no " not in rows
    assert {len(set(cells)) for _, cells in comparison_rows(modes)} == {1}


def test_a_difference_of_a_paisa_is_a_no(made):
    different = [made([100_500.0], [500.0]), made([100_500.01], [500.0], mode="paper")]
    unlike = {label for label, cells in comparison_rows(different) if len(set(cells)) > 1}
    assert unlike == {"End value", "Return (₹)", "Before charges"}


def test_a_trade_at_another_minute_is_a_no_even_if_all_figures_agree(made):
    one, two = made([100_500.0], [500.0]), made([100_500.0], [500.0], mode="paper")
    two.trades.loc[0, "exit_time"] += pd.Timedelta(minutes=1)
    unlike = {label for label, cells in comparison_rows([one, two]) if len(set(cells)) > 1}
    assert unlike == {"Trade list"}
