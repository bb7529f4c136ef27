"""Dumps of past days: what has expired stays findable, what is stale is told, and a hundred thousand rows are quick."""

from __future__ import annotations

import time
from datetime import date, datetime
from pathlib import Path

import pytest

from btkite.errors import DataError
from btkite.kite.archive import as_of, current, expired, load, save, stale
from btkite.kite.instruments import InstrumentMaster
from btkite.kite.tables import instrument_columns, instrument_table

HEAD = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,"
    "segment,exchange\n"
)
STOCK = "408065,1594,INFY,INFOSYS,0.0,,0.0,0.1,1,EQ,NSE,NSE\n"


def option(number: int, symbol: str, expiry: str, lot: int = 65) -> str:
    return f"{number},{number >> 8},{symbol},NIFTY,0.0,{expiry},24350,0.05,{lot},CE,NFO-OPT,NFO\n"


class Served:
    """The client as far as it is asked: one dump a day."""

    def __init__(self, *dumps: str) -> None:
        self.dumps = list(dumps)

    def dump(self, exchange: str | None = None) -> object:
        return instrument_columns(HEAD + self.dumps.pop(0))


MONDAY, TUESDAY, WEDNESDAY = (datetime(2026, 11, day, 9) for day in (23, 24, 25))
OLD = option(512, "NIFTY26NOV24350CE", "2026-11-24")
NEW = option(768, "NIFTY26D0124350CE", "2026-12-01")
AGAIN = option(512, "NIFTY26D0824350CE", "2026-12-08")  # a token is used again


def test_a_contract_that_has_left_the_dump_stays_findable(tmp_path: Path) -> None:
    client = Served(STOCK + OLD + NEW, STOCK + OLD + NEW, STOCK + NEW + AGAIN, STOCK + AGAIN)
    for now in (MONDAY, TUESDAY):
        current(tmp_path, client, now)  # type: ignore[arg-type]
        assert expired(tmp_path) is None
    master = current(tmp_path, client, WEDNESDAY)  # type: ignore[arg-type]
    assert "NFO:NIFTY26NOV24350CE" not in master
    assert master.by_token(512).tradingsymbol == "NIFTY26D0824350CE"
    gone = expired(tmp_path)
    assert gone is not None
    assert (gone.find("NFO:NIFTY26NOV24350CE").expiry, len(gone)) == (date(2026, 11, 24), 1)
    current(tmp_path, client, datetime(2026, 12, 2, 9))  # type: ignore[arg-type]
    gone = expired(tmp_path)
    assert gone is not None
    assert sorted(gone.keys()) == ["NFO:NIFTY26D0124350CE", "NFO:NIFTY26NOV24350CE"]


def test_the_dump_of_a_day_is_the_last_one_before(tmp_path: Path) -> None:
    client = Served(STOCK + OLD, STOCK + NEW)
    current(tmp_path, client, MONDAY)  # type: ignore[arg-type]
    current(tmp_path, client, WEDNESDAY)  # type: ignore[arg-type]
    assert "NFO:NIFTY26NOV24350CE" in as_of(tmp_path, date(2026, 11, 24))
    assert "NFO:NIFTY26NOV24350CE" not in as_of(tmp_path, date(2026, 11, 30))
    with pytest.raises(DataError, match="no instruments of 2026-11-22 or before"):
        as_of(tmp_path, date(2026, 11, 22))
    assert sorted(path.name for path in tmp_path.glob("*.arrow")) == ["2026-11-25.arrow"]  # the newest only


def test_a_dump_of_another_day_is_stale_and_so_is_one_that_was_not_renewed() -> None:
    fresh = InstrumentMaster(instrument_table(HEAD + STOCK + OLD), date(2026, 11, 24))
    assert stale(fresh, TUESDAY) == ""
    assert stale(fresh, datetime(2026, 11, 25, 8, 29)) == ""  # not renewed before half past eight
    assert "are of 2026-11-24, and those of 2026-11-25 are there" in stale(fresh, WEDNESDAY)
    rows = "".join(option(512 + 256 * n, f"NIFTY26NOV{24000 + 50 * n}CE", "2026-11-24") for n in range(20))
    yesterdays = InstrumentMaster(instrument_table(HEAD + STOCK + rows), date(2026, 11, 25))
    assert "20 contracts of the instruments have expired before 2026-11-25" in stale(yesterdays, WEDNESDAY)
    assert stale(InstrumentMaster(instrument_table(HEAD + STOCK + rows), date(2026, 11, 24)), TUESDAY) == ""


def test_an_isin_finds_the_share_on_nse_first_where_the_dump_knows_it() -> None:
    columns = {
        "exchange": ["BSE", "NSE", "NSE"],
        "tradingsymbol": ["INFY", "INFY", "TCS"],
        "isin": ["INE009A01021", "INE009A01021", ""],
    }
    assert InstrumentMaster(columns).find("INE009A01021").key == "NSE:INFY"


def test_a_hundred_thousand_rows_are_read_in_a_blink_and_then_in_none(tmp_path: Path) -> None:
    rows = [option(256 * n + 2, f"NIFTY{n}CE", "2026-12-29") for n in range(100_000)]
    text = (HEAD + "".join(rows)).encode()

    def seconds(act: object) -> float:
        def once() -> float:
            began = time.process_time()
            act()  # type: ignore[operator]
            return time.process_time() - began

        return min(once() for _ in range(5))

    master = InstrumentMaster(instrument_table(text), date(2026, 11, 23))
    save(master, tmp_path)
    cold = seconds(lambda: InstrumentMaster(instrument_table(text)).find("NFO:NIFTY99999CE"))
    warm = seconds(lambda: load(tmp_path).find("NFO:NIFTY99999CE"))
    assert cold < 0.3, f"{cold:.3f} s"
    assert warm < 0.02, f"{warm:.3f} s"
    for n in range(0, 100_000, 5000):  # beyond the first look-ups an index serves
        assert master.find(f"NFO:NIFTY{n}CE").instrument_token == 256 * n + 2
        assert master.by_token(256 * n + 2).tradingsymbol == f"NIFTY{n}CE"
    assert "NFO:NIFTY100000CE" not in master
