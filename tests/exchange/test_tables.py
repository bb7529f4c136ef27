"""The dated tables as the exchange reads them."""

from __future__ import annotations

import pytest

from btkite.exchange import BadSettings
from btkite.exchange.tables import DATA, rows


def test_a_tables_comments_are_no_rows() -> None:
    text = (DATA / "hours.csv").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("#") for line in text)
    assert len(list(rows("hours.csv"))) == sum(not line.startswith("#") for line in text) - 1  # its header


def test_a_missing_table_is_one_clear_sentence() -> None:
    with pytest.raises(BadSettings, match=r"the table nothing\.csv is missing from btkite/data: install btkite anew"):
        list(rows("nothing.csv"))
