"""Rupees of a contract's move, and contracts by meaning through a store; the simulated exchange lists and prices."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from btkite.config import Config
from btkite.contracts import valued
from btkite.errors import ConfigError, DataError, UnknownSymbol
from btkite.kite.archive import save
from btkite.kite.instruments import InstrumentMaster
from btkite.store import KiteStore
from btkite.testing.canned import bars
from btkite.values import Instrument

DAY = date(2026, 11, 20)


def future(exchange: str, symbol: str, name: str, **more: Any) -> Instrument:
    return Instrument(
        exchange, symbol, name=name, expiry=date(2026, 12, 31), instrument_type="FUT", segment=f"{exchange}-FUT", **more
    )


@pytest.mark.parametrize(
    ("instrument", "rupees"),
    [
        (future("MCX", "GOLD26DECFUT", "GOLD"), 100.0),
        (future("MCX", "GOLD26DECFUT", "GOLD26DECFUT"), 100.0),  # as the candle cache knows it
        (future("MCX", "NATURALGAS26DECFUT", "NATURALGAS"), 1250.0),
        (future("CDS", "USDINR26DECFUT", "USDINR"), 1000.0),
        (future("MCX", "GOLD26DECFUT", "GOLD", multiplier=7.0), 7.0),  # told
        (future("NFO", "NIFTY26DECFUT", "NIFTY"), 1.0),
        (Instrument("NSE", "INFY"), 1.0),
    ],
)
def test_a_move_of_a_rupee_is_worth_what_the_table_says(instrument: Instrument, rupees: float) -> None:
    assert valued(instrument, DAY).multiplier == rupees


@pytest.mark.parametrize("exchange", ["MCX", "CDS", "BCD"])
def test_a_contract_of_unknown_worth_is_refused(exchange: str) -> None:
    with pytest.raises(DataError, match=f"{exchange}:SAFFRON26DECFUT: how many rupees one lot of SAFFRON moves"):
        valued(future(exchange, "SAFFRON26DECFUT", "SAFFRON"), DAY)


def store_on(tmp_path: Path, master: InstrumentMaster | None, **keys: Any) -> Any:
    config = Config().with_(**{"data.cache": str(tmp_path / "candles"), "paths.state": str(tmp_path), **keys})
    made: Any = KiteStore
    store = made(mode="backtest", config=config)
    if master is not None:
        save(master, store._dumps)
    return store


def listed() -> InstrumentMaster:
    rows = [
        ("NFO", f"NIFTY26NOV{strike}{kind}", "NIFTY", strike, kind, 65)
        for strike in (26000, 26050)
        for kind in ("CE", "PE")
    ]
    rows.append(("NFO", "NIFTY26NOVFUT", "NIFTY", 0, "FUT", 65))
    names = ("exchange", "tradingsymbol", "name", "strike", "instrument_type", "lot_size")
    columns: dict[str, Any] = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    columns["expiry"] = [date(2026, 11, 24)] * len(rows)
    columns["instrument_token"] = list(range(1, len(rows) + 1))
    return InstrumentMaster(columns, DAY)


def test_history_means_what_was_listed_on_the_day(tmp_path: Path) -> None:
    store = store_on(tmp_path, listed())
    found = store.instrument("NFO:NIFTY CE ATM+1 weekly", on=DAY, spot=26_010.0)
    assert (found.key, found.lot_size, found.expiry) == ("NFO:NIFTY26NOV26050CE", 65, date(2026, 11, 24))
    assert store.instrument("NFO:NIFTY FUT near", on=DAY).key == "NFO:NIFTY26NOVFUT"
    assert store.expiries("NFO:NIFTY", on=DAY) == [date(2026, 11, 24)]
    chain = store.chain("NIFTY", on=DAY)
    assert list(chain["ce"]) == ["NIFTY26NOV26000CE", "NIFTY26NOV26050CE"]
    with pytest.raises(ConfigError, match="the price of NSE:NIFTY 50 is needed"):
        store.instrument("NFO:NIFTY CE ATM", on=DAY)
    with pytest.raises(DataError, match="no instruments of 2026-11-19 or before are in the archive"):
        store.instrument("NFO:NIFTY FUT near", on=date(2026, 11, 19))
    with pytest.raises(UnknownSymbol, match="no such expiry from 2026-11-25 on"):
        store.instrument("NFO:NIFTY FUT near", on=date(2026, 11, 25))


def test_live_the_money_is_where_the_exchange_prices_the_underlying(kite_exchange: Any) -> None:
    symbols = ["NSE:NIFTY 50", "NFO:NIFTY26NOVFUT", "NFO:NIFTY26NOV26000CE", "NFO:NIFTY26NOV26100CE"]
    market = {key: bars.from_closes([26_070.0] * 30, symbol=key, day=DAY) for key in symbols}
    kite_exchange.reset(market, start=datetime(2026, 11, 20, 9, 25))
    store = kite_exchange.store("live")
    try:
        assert store.instrument("NFO:NIFTY FUT near").key == "NFO:NIFTY26NOVFUT"
        assert store.instrument("NFO:NIFTY CE ATM", spot=26_010.0).key == "NFO:NIFTY26NOV26000CE"
        assert store.instrument("NFO:NIFTY CE 26100").key == "NFO:NIFTY26NOV26100CE"
        assert store.instrument("NFO:NIFTY CE ATM").key == "NFO:NIFTY26NOV26100CE"
    finally:
        store.client.close()
