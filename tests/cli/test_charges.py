"""``btkite charges``: the lines of one order."""

from __future__ import annotations

import json

import pytest

from btkite.cli.app import main


def say(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["charges", *words]) == 0
    return capsys.readouterr().out


def test_the_lines_of_an_intraday_order(capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys, "NSE:INFY", "buy", "100", "1500", "--product", "MIS", "--date", "2026-11-10")
    lines = {" ".join(line.split()[:-2]): line.split()[-2:] for line in said.splitlines()[2:9]}
    assert lines == {
        "brokerage": ["20.000000", "20.00"],
        "STT": ["0.000000", "0.00"],
        "exchange charge": ["4.605000", "4.61"],
        "SEBI fee": ["0.150000", "0.15"],
        "stamp duty": ["4.500000", "5.00"],
        "GST": ["4.455900", "4.46"],
        "total": ["33.710900", "34.22"],
    }
    assert "BUY 100 NSE:INFY at ₹1,500.00, MIS, on 2026-11-10: ₹1,50,000.00" in said
    assert "if Zerodha squares it off: ₹59.00" in said


def test_a_day_of_the_past_has_its_own_rates(capsys: pytest.CaptureFixture[str]) -> None:
    def total(day: str) -> float:
        return float(json.loads(say(
            capsys, "NFO:NIFTY26NOVFUT", "sell", "65", "24100", "--product", "NRML", "--date", day, "--json"
        ))["note"]["transaction_tax"])  # fmt: skip

    assert [total("2026-03-31"), total("2026-04-01")] == [313, 783]


def test_a_delivery_sale_tells_of_the_depository(capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(say(capsys, "infy", "SELL", "100", "2500", "--product", "cnc", "--date", "2026-11-10", "--json"))
    assert told["note"]["total"] == 259.37
    assert list(told["ledger"].values()) == [15.34]


def test_a_commodity_counts_lots_and_pays_ctt(capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys, "MCX:CRUDEOIL25JUNFUT", "sell", "1", "6350", "--product", "NRML", "--date", "2025-06-16")
    assert "₹6,35,000.00" in said
    assert "CTT" in said
    assert "STT" not in said


def test_before_the_first_rates_it_is_said_whose_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("NSE:INFY", "buy", "100", "1500")
    assert "no rates are known before 2020-01-01: these are of that day" in say(capsys, *words, "--date", "2019-05-01")
    assert "no rates are known" not in say(capsys, *words, "--date", "2020-01-01")
    assert json.loads(say(capsys, *words, "--date", "2019-05-01", "--json"))["rates_of"] == "2020-01-01"


def test_a_fund_is_named_as_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("NSE:NIFTYBEES", "sell", "1000", "270", "--product", "CNC", "--date", "2026-11-10", "--json")
    assert json.loads(say(capsys, *words, "--security", "equity_etf"))["note"]["total"] == 13.11
    assert json.loads(say(capsys, *words))["note"]["total"] > 200
    monkeypatch.setenv("BTKITE_BROKER__SECURITIES", "NSE:NIFTYBEES equity_etf")
    assert json.loads(say(capsys, *words))["note"]["total"] == 13.11
    assert json.loads(say(capsys, *words, "--security", "share"))["note"]["total"] > 200


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["NSE:NIFTY 50", "buy", "1", "100"], "is an index"),
        (["NSE:INFY", "buy", "1", "100", "--product", "NRML"], "take one of CNC"),
        (["NSE:INFY", "buy", "1", "0"], "PRICE must be above zero"),
        (["NSE:INFY", "buy", "1", "100", "--date", "yesterday"], "--date takes a day"),
        (["MCX:UNHEARD26NOVFUT", "buy", "1", "100"], "give its multiplier"),
        (["NFO:NIFTY", "buy", "1", "100"], "says no contract"),
        (["LSE:VOD", "buy", "1", "100"], "names no instrument"),
        (["NFO:NIFTY26NOVFUT", "buy", "65", "100", "--multiplier", "-1"], "--multiplier must be above zero, not -1"),
        (["MCX:UNHEARD26NOVFUT", "buy", "1", "100", "--multiplier", "nan"], "--multiplier must be above zero"),
        (["NSE:NIFTY26NOVFUT", "buy", "65", "24000"], "has a contract's name"),
        (["NSE:INFY", "buy", "1", "100", "--security", "bse_X"], "is said of a share on BSE"),
        (["NFO:NIFTY26NOVFUT", "buy", "65", "100", "--security", "equity_etf"], "is said of a fund on NSE or BSE"),
    ],
)
def test_what_cannot_be_charged_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main(["charges", *words]) != 0
    assert sentence in capsys.readouterr().err
