"""The instrument master: look-ups, suggestions, the archive, and a master made of the candle cache."""

from __future__ import annotations

import gzip
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from btkite.candles import CandleCache, Candles
from btkite.clock import ManualClock
from btkite.errors import ConfigError, DataError, UnknownSymbol
from btkite.kite.archive import archived, current, dump_day
from btkite.kite.client import KiteClient
from btkite.kite.instruments import InstrumentMaster, parse_key
from btkite.kite.made import facts, from_candles
from btkite.kite.tables import instrument_table
from btkite.values import Instrument
from tests.kite.fakes import NOON, FakeRest, Reply

DUMP = """\
instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
408065,1594,INFY,INFOSYS,0.0,,0.0,0.1,1,EQ,NSE,NSE
738561,2885,RELIANCE,RELIANCE INDUSTRIES,0.0,,0.0,0.1,1,EQ,NSE,NSE
779521,3045,SBIN,STATE BANK OF INDIA,0.0,,0.0,0.05,1,EQ,NSE,NSE
256265,1001,NIFTY 50,NIFTY 50,0.0,,0.0,0.05,1,EQ,INDICES,NSE
4645121,18145,RELINFRA-BE,RELIANCE INFRASTRUCTURE,0.0,,0.0,0.05,1,EQ,NSE,NSE
519937,2031,M&M,MAHINDRA & MAHINDRA,0.0,,0.0,0.1,1,EQ,NSE,NSE
128083204,500325,RELIANCE,RELIANCE INDUSTRIES,0.0,,0.0,0.05,1,EQ,BSE,BSE
14866434,58072,NIFTY26NOVFUT,NIFTY,0.0,2026-11-24,0.0,0.1,65,FUT,NFO-FUT,NFO
14866690,58073,NIFTY26NOV24350CE,NIFTY,0.0,2026-11-24,24350.0,0.05,65,CE,NFO-OPT,NFO
"""
DAY = date(2026, 11, 23)


@pytest.fixture
def master() -> InstrumentMaster:
    return InstrumentMaster(instrument_table(DUMP), DAY)


def test_a_row_of_the_dump_is_an_instrument(master: InstrumentMaster) -> None:
    assert len(master) == 9
    assert master.find("NSE:INFY") == Instrument("NSE", "INFY", 408065, "INFOSYS", None, 0.0, 0.1, 1, "EQ", "NSE", 1.0)
    option = master.find("NFO:NIFTY26NOV24350CE")
    assert (option.expiry, option.strike, option.lot_size) == (date(2026, 11, 24), 24350.0, 65)
    assert option.is_option
    assert master.find("NFO:NIFTY26NOVFUT").is_future


@pytest.mark.parametrize("text", ["NSE:INFY", "INFY", "nse:infy", " nse : infy "])
def test_keys_as_people_type_them(master: InstrumentMaster, text: str) -> None:
    assert master.find(text).key == "NSE:INFY"


@pytest.mark.parametrize(
    ("text", "exchange", "key"),
    [("INFY", "NSE", "NSE:INFY"), ("infy", "BSE", "BSE:INFY"), ("nfo:nifty26novfut", "NSE", "NFO:NIFTY26NOVFUT")],
)
def test_a_key_gets_the_exchange_it_does_not_name(text: str, exchange: str, key: str) -> None:
    assert parse_key(text, exchange) == key


@pytest.mark.parametrize("text", ["", "NSE:", ":INFY", "N/E:INFY"])
def test_a_text_that_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write EXCHANGE:TRADINGSYMBOL"):
        parse_key(text)


def test_by_token(master: InstrumentMaster) -> None:
    assert master.by_token(256265).key == "NSE:NIFTY 50"
    with pytest.raises(UnknownSymbol, match="no instrument has token 1 in the instruments of 2026-11-23"):
        master.by_token(1)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("NSE:RELIANC", "NSE:RELIANC is not in the instruments of 2026-11-23; did you mean NSE:RELIANCE"),
        ("NSE:NIFTY50", "did you mean NSE:NIFTY 50"),
        ("NSE:NIFTY26NOVFUT", "did you mean NFO:NIFTY26NOVFUT"),
        ("NSE:STATE BANK", "did you mean NSE:SBIN"),
        ("NSE:MM", "did you mean NSE:M&M"),
        ("NSE:RELI", "NSE:RELIANCE, NSE:RELINFRA-BE"),
    ],
)
def test_a_miss_names_what_may_have_been_meant(master: InstrumentMaster, asked: str, words: str) -> None:
    with pytest.raises(UnknownSymbol) as raised:
        master.find(asked)
    assert words in str(raised.value)
    assert str(raised.value).count("NSE:") <= 4


def test_a_miss_far_from_everything_suggests_nothing(master: InstrumentMaster) -> None:
    with pytest.raises(UnknownSymbol, match=r"NSE:QQQQ is not in the instruments of 2026-11-23$"):
        master.find("NSE:QQQQ")


def test_a_mapping_of_columns_does_as_well_as_a_table() -> None:
    master = InstrumentMaster(
        {
            "exchange": ["NSE", "NFO"],
            "tradingsymbol": ["INFY", "X26NOVFUT"],
            "expiry": ["", "2026-11-24"],
            "multiplier": [1, 50],
        }
    )
    assert master.find("INFY") == Instrument("NSE", "INFY", segment="NSE")
    assert (master.find("NFO:X26NOVFUT").expiry, master.find("NFO:X26NOVFUT").multiplier) == (date(2026, 11, 24), 50)


def test_columns_that_cannot_name_anything_are_refused() -> None:
    with pytest.raises(DataError, match="at least the columns"):
        InstrumentMaster({"symbol": ["INFY"]})


# ---- the archive ------------------------------------------------------------------------------


def test_the_archive_gives_back_every_instrument(master: InstrumentMaster, tmp_path: Path) -> None:
    master.save(tmp_path)
    back = InstrumentMaster.load(tmp_path, DAY)
    assert list(back) == list(master)
    assert back.day == DAY
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-11-23.arrow", "2026-11-23.parquet"]
    (tmp_path / "2026-11-23.arrow").unlink()
    assert list(InstrumentMaster.load(tmp_path, DAY)) == list(master)


def test_the_newest_of_the_archive_is_taken_if_no_day_is_named(master: InstrumentMaster, tmp_path: Path) -> None:
    for day in (date(2026, 11, 20), date(2026, 11, 19)):
        InstrumentMaster(master.columns(), day).save(tmp_path)
    (tmp_path / "notes.parquet").write_bytes(b"")
    assert archived(tmp_path) == [date(2026, 11, 19), date(2026, 11, 20)]
    assert InstrumentMaster.load(tmp_path).day == date(2026, 11, 20)
    with pytest.raises(DataError, match=r"of 2026-11-18 .*it has 2026-11-19 to 2026-11-20"):
        InstrumentMaster.load(tmp_path, date(2026, 11, 18))


def test_an_empty_archive_and_a_damaged_file_say_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is empty"):
        InstrumentMaster.load(tmp_path / "none")
    (tmp_path / "2026-11-23.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"cannot be read .* delete it"):
        InstrumentMaster.load(tmp_path)


@pytest.mark.parametrize(
    ("now", "day"), [(datetime(2026, 11, 23, 8, 29), date(2026, 11, 22)), (datetime(2026, 11, 23, 8, 30), DAY)]
)
def test_the_days_dump_is_there_from_half_past_eight(now: datetime, day: date) -> None:
    assert dump_day(now) == day


def test_the_dump_is_asked_for_once_a_day(rest: FakeRest, clock: ManualClock, tmp_path: Path) -> None:
    rest.on("/instruments", Reply(raw=DUMP.encode(), content_type="text/csv"))
    client = KiteClient(rest.endpoint, "kitefakekey", "token", clock=clock)
    first, second = current(tmp_path, client, NOON), current(tmp_path, client, NOON)
    assert len(rest.asked) == 1
    assert list(first) == list(second)
    current(tmp_path, client, datetime(2026, 11, 24, 9, 0))
    assert len(rest.asked) == 2
    assert archived(tmp_path) == [DAY, date(2026, 11, 24)]
    client.close()


def test_an_empty_dump_is_not_kept(rest: FakeRest, clock: ManualClock, tmp_path: Path) -> None:
    rest.on("/instruments", Reply(raw=DUMP.partition("\n")[0].encode() + b"\n", content_type="text/csv"))
    client = KiteClient(rest.endpoint, "kitefakekey", "token", clock=clock)
    with pytest.raises(DataError, match="dump is empty"):
        current(tmp_path, client, NOON)
    assert archived(tmp_path) == []
    client.close()


# ---- of the candle cache ----------------------------------------------------------------------


def keep(cache: CandleCache, key: str, **known: Any) -> None:
    columns = {"date": [datetime(2026, 11, 23)], "open": [1], "high": [1], "low": [1], "close": [1]}
    cache.write(Candles.of(key, "day", columns), facts=known)


def test_the_cache_makes_a_master_without_a_network(tmp_path: Path) -> None:
    cache = CandleCache(tmp_path)
    keep(cache, "NSE:INFY", **facts(Instrument("NSE", "INFY", 408065, "INFOSYS", tick_size=0.1)))
    for key in (
        "NSE:M&M",
        "NSE:NIFTY 50",
        "BSE:SENSEX",
        "NFO:NIFTY26NOVFUT",
        "NFO:NIFTY26NOV24350CE",
        "MCX:GOLD26DECFUT",
    ):
        keep(cache, key)
    master = from_candles(cache)
    assert master.find("NSE:INFY") == Instrument("NSE", "INFY", 408065, "INFOSYS", tick_size=0.1)
    one = master.find("NSE:M&M")
    assert (one.tick_size, one.lot_size, one.instrument_type, one.segment) == (0.05, 1, "EQ", "NSE")
    kinds = {one.key: (one.instrument_type, one.segment, one.instrument_token & 255) for one in master}
    assert kinds["NSE:NIFTY 50"] == ("EQ", "INDICES", 9)
    assert kinds["BSE:SENSEX"] == ("EQ", "INDICES", 9)
    assert kinds["NFO:NIFTY26NOVFUT"] == ("FUT", "NFO-FUT", 2)
    assert kinds["NFO:NIFTY26NOV24350CE"] == ("CE", "NFO-OPT", 2)
    assert kinds["MCX:GOLD26DECFUT"] == ("FUT", "MCX-FUT", 7)
    tokens = [one.instrument_token for one in master]
    assert len(set(tokens)) == len(tokens)
    assert all(0 < token < 2**31 for token in tokens)


def test_a_made_up_token_does_not_depend_on_the_others(tmp_path: Path) -> None:
    few, many = CandleCache(tmp_path / "few"), CandleCache(tmp_path / "many")
    for cache, keys in ((few, ["NSE:TCS"]), (many, ["NSE:A", "NSE:TCS", "NSE:Z"])):
        for key in keys:
            keep(cache, key)
    assert from_candles(few).find("TCS").instrument_token == from_candles(many).find("TCS").instrument_token


def test_an_empty_cache_makes_an_empty_master(tmp_path: Path) -> None:
    master = from_candles(CandleCache(tmp_path))
    assert len(master) == 0
    with pytest.raises(UnknownSymbol, match=r"NSE:INFY is not in the instruments$"):
        master.find("INFY")


# ---- a real dump ------------------------------------------------------------------------------


def test_a_real_dump_is_looked_up_whole(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "instruments").glob("*12col*.gz")) + sorted((shared / "instruments").glob("kite_*BFO*.gz"))
    if len(files) != 2:
        pytest.skip("the real instruments dumps are absent")
    text = "".join(
        gzip.decompress(path.read_bytes()).decode().partition("\n")[2]
        if number
        else gzip.decompress(path.read_bytes()).decode()
        for number, path in enumerate(files)
    )
    table = instrument_table(text)
    began = time.process_time()
    master = InstrumentMaster(table, date(2026, 8, 18))
    assert master.find("NFO:NIFTY26AUGFUT").lot_size == 65
    assert time.process_time() - began < 2.0  # about 0.1 s: columns, and one dict
    assert isinstance(table, pd.DataFrame)
    assert len(master) == len(table) == len(set(master.keys()))
    for row in table.sample(200, random_state=1).itertuples():
        found = master.find(f"{row.exchange}:{row.tradingsymbol}")
        assert (found.instrument_token, found.tick_size, found.lot_size) == (
            row.instrument_token,
            row.tick_size,
            row.lot_size,
        )
        assert found.expiry == (None if pd.isna(row.expiry) else row.expiry.date())
        assert master.by_token(row.instrument_token) == found
    with pytest.raises(UnknownSymbol, match="NSE:RELIANCE"):
        master.find("NSE:RELIANC")
    with pytest.raises(UnknownSymbol, match="NSE:NIFTY 50"):
        master.find("NIFTY50")
    master.save(tmp_path)
    assert InstrumentMaster.load(tmp_path).find("NFO:NIFTY26AUGFUT") == master.find("NFO:NIFTY26AUGFUT")
