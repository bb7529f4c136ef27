"""What is a fund pays a fund's tax: the same in all modes, on the exchange's note and on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from btkite.config import Config, load
from btkite.errors import ConfigError
from tests.runs.scene import MODES, SYMBOL, go

KINDS = ("share", "equity_etf", "other_etf")


def charged(config: Config, mode: str, **more: Any) -> float:
    return round(float(go(config, mode=mode, **more).portfolio.charges), 2)


@pytest.mark.parametrize("product", ["MIS", "CNC"])
def test_each_kind_is_charged_alike_in_every_mode(config: Config, product: str) -> None:
    found: dict[str, float] = {}
    for kind in KINDS:
        told = config.with_(
            **{"broker.default_product": product, "broker.securities": [f"{SYMBOL.lower()} {kind}"], "run.quiet": True}
        )
        amounts = {mode: charged(told, mode) for mode in MODES}
        assert len(set(amounts.values())) == 1, (kind, amounts)
        found[kind] = amounts["backtest"]
    if product == "CNC":  # of both sides 0.1 %, of the sale 0.001 %, nothing
        assert found["share"] > found["equity_etf"] > found["other_etf"] > 0
    else:
        assert found["share"] == found["equity_etf"] > found["other_etf"] > 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("NSE:GOLDBEES gold", "must have rows as 'NSE:NIFTYBEES equity_etf'"),
        ("NFO:NIFTY26NOVFUT equity_etf", "must have rows as"),
        ("GOLDBEES other_etf", "must have rows as"),
        ("NSE:RVNL bse_X", "it is a group of BSE's"),
    ],
)
def test_a_row_that_is_not_understood_is_refused(rows: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(overrides={"broker.securities": rows})


def test_rows_may_be_a_table_and_the_later_one_counts() -> None:
    told = load(overrides={"broker.securities": {"nse:goldbees": "other_etf", "BSE:X": "bse_X"}})
    assert told.broker.securities == ("NSE:GOLDBEES other_etf", "BSE:X bse_X")
    told = load(env={"BTKITE_BROKER__SECURITIES": "NSE:A equity_etf; NSE:A other_etf"})
    assert told.broker.securities == ("NSE:A other_etf",)
