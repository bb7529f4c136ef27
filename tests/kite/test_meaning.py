"""Contracts by what they mean, on a made-up dump whose traps are the market's own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from btkite.errors import ConfigError, DataError, UnknownSymbol
from btkite.kite.instruments import InstrumentMaster
from btkite.kite.meaning import chain, expiries, find, is_monthly, parse
from btkite.kite.tables import instrument_table

TODAY = date(2024, 1, 19)
WEEKLY, MONTHLY, LATE, FEBRUARY = date(2024, 1, 24), date(2024, 1, 25), date(2024, 1, 31), date(2024, 2, 29)


def made() -> InstrumentMaster:
    """BANKNIFTY in January 2024: weeklies on the 24th and 31st, a monthly one on the 25th, and February's."""
    rows = []

    def row(symbol: str, name: str, expiry: date, strike: float, kind: str, exchange: str = "NFO") -> None:
        segment = f"{exchange}-{'FUT' if kind == 'FUT' else 'OPT'}"
        rows.append((len(rows) + 1, symbol, name, expiry.isoformat(), strike, 0.05, 15, kind, segment, exchange))

    for day, form in ((WEEKLY, "24124"), (MONTHLY, "24JAN"), (LATE, "24131"), (FEBRUARY, "24FEB")):
        for strike in (44900, 45000, 45100, 45200, 45300):
            for kind in ("CE", "PE"):
                if (day, strike, kind) != (LATE, 45300, "PE"):  # listed later than its call
                    row(f"BANKNIFTY{form}{strike}{kind}", "BANKNIFTY", day, strike, kind)
    for day, form in ((MONTHLY, "24JAN"), (FEBRUARY, "24FEB")):
        row(f"BANKNIFTY{form}FUT", "BANKNIFTY", day, 0, "FUT")
    row("CRUDEOIL24FEBFUT", "CRUDEOIL", date(2024, 2, 16), 0, "FUT", "MCX")
    names = "instrument_token tradingsymbol name expiry strike tick_size lot_size instrument_type segment exchange"
    return InstrumentMaster(pd.DataFrame(rows, columns=names.split()), TODAY)


MASTER = made()


def meant(text: str, on: date = TODAY, spot: float | None = 45_120.0) -> str:
    said = parse(text)
    assert said is not None
    return find(MASTER, said, on, spot).tradingsymbol


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("NFO:BANKNIFTY FUT near", "BANKNIFTY24JANFUT"),
        ("NFO:BANKNIFTY FUT", "BANKNIFTY24JANFUT"),
        ("nfo:banknifty  fut next", "BANKNIFTY24FEBFUT"),
        ("NFO:BANKNIFTY FUT 2024-02-29", "BANKNIFTY24FEBFUT"),
        ("MCX:CRUDEOIL FUT near", "CRUDEOIL24FEBFUT"),
        ("NFO:BANKNIFTY CE ATM weekly", "BANKNIFTY2412445100CE"),
        ("BANKNIFTY CE", "BANKNIFTY2412445100CE"),
        ("NFO:BANKNIFTY CE ATM+2 weekly", "BANKNIFTY2412445300CE"),
        ("NFO:BANKNIFTY PE ATM+2 weekly", "BANKNIFTY2412445300PE"),
        ("NFO:BANKNIFTY PE ATM-1", "BANKNIFTY2412445000PE"),
        ("NFO:BANKNIFTY CE OTM1 weekly", "BANKNIFTY2412445200CE"),
        ("NFO:BANKNIFTY PE OTM1 weekly", "BANKNIFTY2412445000PE"),
        ("NFO:BANKNIFTY PE ITM2 weekly", "BANKNIFTY2412445300PE"),
        ("NFO:BANKNIFTY CE ATM next weekly", "BANKNIFTY24JAN45100CE"),
        ("NFO:BANKNIFTY CE ATM monthly", "BANKNIFTY24JAN45100CE"),
        ("NFO:BANKNIFTY CE ATM next monthly", "BANKNIFTY24FEB45100CE"),
        ("NFO:BANKNIFTY PE 44900 2024-01-31", "BANKNIFTY2413144900PE"),
    ],
)
def test_a_sentence_means_a_contract(text: str, symbol: str) -> None:
    assert meant(text) == symbol


def test_an_expiry_of_today_counts_and_one_of_yesterday_does_not() -> None:
    assert meant("NFO:BANKNIFTY CE ATM weekly", on=WEEKLY) == "BANKNIFTY2412445100CE"
    assert meant("NFO:BANKNIFTY CE ATM weekly", on=MONTHLY) == "BANKNIFTY24JAN45100CE"
    # the last expiry of January is a weekly one: the monthly ones are February's from the 26th on
    assert meant("NFO:BANKNIFTY CE ATM weekly", on=date(2024, 1, 26)) == "BANKNIFTY2413145100CE"
    assert meant("NFO:BANKNIFTY CE ATM monthly", on=date(2024, 1, 26)) == "BANKNIFTY24FEB45100CE"


@pytest.mark.parametrize(
    ("spot", "strike"), [(45_049.9, "45000"), (45_050.0, "45000"), (45_050.1, "45100"), (1.0, "44900"), (9e9, "45300")]
)
def test_the_money_is_the_nearest_listed_strike_the_lower_of_two(spot: float, strike: str) -> None:
    assert meant("NFO:BANKNIFTY CE ATM", spot=spot) == f"BANKNIFTY24124{strike}CE"


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("NFO:BANKNIFTI FUT near", UnknownSymbol, "did you mean NFO:BANKNIFTY"),
        ("NFO:BANKNIFTY FUT far", UnknownSymbol, "there are 2024-01-25, 2024-02-29"),
        ("NFO:BANKNIFTY CE ATM 2024-01-30", UnknownSymbol, "no such expiry; there are 2024-01-24, 2024-01-25"),
        ("NFO:BANKNIFTY CE 45050 weekly", UnknownSymbol, "near it are 45000, 45100"),
        ("NFO:BANKNIFTY CE ATM+3 weekly", UnknownSymbol, "strikes are listed from 44900 to 45300"),
        ("NFO:BANKNIFTY CE ATM-3 weekly", UnknownSymbol, "strikes are listed from 44900"),
    ],
)
def test_what_is_not_listed_is_refused_with_what_is(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        meant(text)


def test_the_money_needs_a_price_and_a_strike_does_not() -> None:
    with pytest.raises(ConfigError, match="the price of NSE:NIFTY BANK is needed"):
        meant("NFO:BANKNIFTY CE ATM", spot=None)
    with pytest.raises(DataError, match="nan is no price"):
        meant("NFO:BANKNIFTY CE ATM", spot=float("nan"))
    assert meant("NFO:BANKNIFTY CE 45000", spot=None) == "BANKNIFTY2412445000CE"


@pytest.mark.parametrize(
    "text", ["NSE:INFY", "NFO:BANKNIFTY24JANFUT", "NSE:NIFTY 50", "NSE:NIFTY BANK", "NFO:X CE ATM~1"]
)
def test_a_symbol_is_no_sentence(text: str) -> None:
    assert parse(text) is None


def test_expiries_and_which_are_monthly() -> None:
    assert expiries(MASTER, "NFO", "BANKNIFTY") == [WEEKLY, MONTHLY, LATE, FEBRUARY]
    assert expiries(MASTER, "NFO", "BANKNIFTY", kind="FUT") == [MONTHLY, FEBRUARY]
    assert expiries(MASTER, "NFO", "BANKNIFTY", on=MONTHLY) == [MONTHLY, LATE, FEBRUARY]
    assert is_monthly(MASTER.find("NFO:BANKNIFTY24JAN45000CE"))
    assert not is_monthly(MASTER.find("NFO:BANKNIFTY2413145000CE"))


def test_a_chain_is_a_row_a_strike() -> None:
    found = chain(MASTER, "NFO", "BANKNIFTY", LATE)
    assert list(found.index) == [44900, 45000, 45100, 45200, 45300]
    assert list(found.columns) == ["ce", "pe", "ce_token", "pe_token", "lot_size", "tick_size"]
    assert found.loc[45000, "pe"] == "BANKNIFTY2413145000PE"
    assert found.loc[45000, "pe_token"] == MASTER.find("NFO:BANKNIFTY2413145000PE").instrument_token
    assert pd.isna(found.loc[45300, "pe"])
    assert pd.isna(found.loc[45300, "pe_token"])
    assert found.attrs["expiry"] == LATE
    with pytest.raises(UnknownSymbol, match="has no options that expire on 2024-01-30; there are 2024-01-24"):
        chain(MASTER, "NFO", "BANKNIFTY", date(2024, 1, 30))


@pytest.mark.shared
def test_meanings_on_a_real_dump(shared: Path) -> None:
    path = shared / "instruments" / "kite_instruments_NFO_BFO_2026-08-18.csv.gz"
    if not path.exists():
        pytest.skip(f"the real instruments dump {path.name} is absent")
    import gzip

    master = InstrumentMaster(instrument_table(gzip.decompress(path.read_bytes())), date(2026, 8, 18))
    on = date(2026, 8, 18)

    def of(text: str, spot: float | None = None) -> str:
        said = parse(text)
        assert said is not None
        return find(master, said, on, spot).tradingsymbol

    assert of("NFO:NIFTY FUT near") == "NIFTY26AUGFUT"
    assert of("NFO:NIFTY CE ATM+2 weekly", 24_361.0) == "NIFTY2681824450CE"
    assert of("NFO:NIFTY CE ATM monthly", 24_361.0) == "NIFTY26AUG24350CE"
    assert of("BFO:SENSEX FUT near") == "SENSEX26AUGFUT"
    weekly = expiries(master, "NFO", "NIFTY", kind="CE", on=on)[0]
    whole = chain(master, "NFO", "NIFTY", weekly)
    assert len(whole) > 50
    assert whole["lot_size"].eq(65).all()
