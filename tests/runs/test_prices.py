"""Where prices come from, and the sentence where there are none."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from btkite import runs
from btkite.candles import CandleCache
from btkite.config import Config
from btkite.errors import BtkiteError, ConfigError, DataError, SessionExpired, UnknownSymbol
from tests.runs.scene import (
    INTERVAL,
    SYMBOL,
    InAndOut,
    empty,
    go,
)


def test_candles_may_be_brought_along(config: Config, begin: datetime, made: Any, tmp_path: Path) -> None:
    stored = go(config, start=begin)
    frame = made[0][SYMBOL].frame()
    brought = go(empty(tmp_path), start=begin, source={SYMBOL: frame})
    assert brought.orders_digest == stored.orders_digest
    paper = go(empty(tmp_path), start=begin, source=frame, mode="paper")
    assert paper.orders_digest == stored.orders_digest


def test_with_nothing_stored_prices_are_made_up_and_the_banner_says_so(tmp_path: Path) -> None:
    plan = runs.prepare(InAndOut, SYMBOL, mode="paper", interval=INTERVAL, config=empty(tmp_path))
    assert "MADE-UP candles, seed 7" in dict(plan.banner())["endpoint"]
    first, second = plan.go(), go(empty(tmp_path), mode="live")
    assert len(first.trades) > 5
    assert first.orders_digest == second.orders_digest


def test_prices_are_not_made_up_where_others_were_asked_for(tmp_path: Path, config: Config) -> None:
    nothing = r"^no candles of NSE:{} are stored: .*data fetch.*data import.*--made-up"
    with pytest.raises(DataError, match=nothing.format("RELIANCE")):
        go(empty(tmp_path), mode="paper", start="2026-11-04")
    with pytest.raises(DataError, match=nothing.format("RELIANCE")):
        go(empty(tmp_path))
    with pytest.raises(DataError, match=nothing.format("TCS")):
        go(config, symbols=[SYMBOL, "TCS"], mode="paper")
    with pytest.raises(DataError, match=nothing.format("SBIN")):
        go(empty(tmp_path), symbols="NSE:SBIN", mode="paper")
    with pytest.raises(UnknownSymbol, match=r"neither stored nor one of exchange\.symbols; did you mean NSE:INFY\?"):
        go(config, symbols="NSE:INFI", mode="paper")


def test_made_up_prices_that_are_asked_for_are_the_same_in_every_mode(tmp_path: Path) -> None:
    option = "NFO:NIFTY26NOV26000CE"
    rich = empty(tmp_path).with_(**{"broker.capital": 1e8})
    found = [
        go(rich, symbols=option, mode=mode, source="made-up", params={"size": 65}) for mode in ("backtest", "live")
    ]
    assert len(found[0].trades) > 5
    assert found[0].orders_digest == found[1].orders_digest
    assert go(rich, symbols=option, source="made-up", params={"size": 7}).mistake
    with pytest.raises(ConfigError, match="days of their own"):
        go(rich, source="made-up", start="2026-11-04")
    with pytest.raises(ConfigError, match="write EXCHANGE:TRADINGSYMBOL"):
        go(rich, symbols="NYSE:IBM", source="made-up")


def test_made_up_prices_are_not_for_kite(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^prices come from https://api.kite.trade: leave --made-up .*simulator$"):
        go(empty(tmp_path), mode="paper", endpoint="kite", source="made-up")


def test_a_range_without_data_says_what_there_is(config: Config) -> None:
    for mode in ("backtest", "paper"):
        with pytest.raises(DataError, match="is stored from 2026-"):
            go(config, mode=mode, start="2020-01-01", end="2020-02-01")
    with pytest.raises(ConfigError, match="the end must come after the start"):
        go(config, start="2026-11-05", end="2026-11-04")


def test_no_session_at_kite_is_one_sentence(config: Config) -> None:
    with pytest.raises(ConfigError, match="KITE_API_KEY"):
        go(config, mode="paper", endpoint="kite")
    with pytest.raises(SessionExpired, match="btkite login"):
        go(config.with_(**{"broker.kite_connect.api_key": "abcdefgh"}), mode="paper", endpoint="kite")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("mode", ["backtest", "paper"])
def test_candles_of_a_file_serve_a_run(
    tmp_path: Path, config: Config, begin: datetime, made: Any, kind: str, mode: str
) -> None:
    folder = tmp_path / "files" / "NSE"
    folder.mkdir(parents=True)
    frame = made[0][SYMBOL].frame()
    if kind == "csv":
        frame.to_csv(folder / "RELIANCE-15minute.csv", index=False)
    else:
        frame.to_parquet(folder / "RELIANCE-15minute.parquet")
    path = str(tmp_path / "files" / "{exchange}" / "{symbol}-{interval}") + f".{kind}"
    CandleCache(tmp_path / "nothing").write(made[0]["NSE:INFY"])  # what the source is not
    filed = empty(tmp_path).with_(**{"data.source": kind, "data.path": path})
    assert go(filed, start=begin, mode=mode).orders_digest == go(config, start=begin).orders_digest
    for wrong, sentence in (
        (str(tmp_path / "nowhere" / f"none.{kind}"), "nowhere"),
        (None, f"the source {kind} needs a path: set data.path"),
        (str(tmp_path / "files" / ("{ticker}." + kind)), "{exchange}, {symbol} and {interval}"),
    ):
        with pytest.raises(BtkiteError) as refused:
            go(filed.with_(**{"data.path": wrong}), start=begin, mode=mode)
        assert sentence in str(refused.value)
        assert "\n" not in str(refused.value)


def test_an_exchange_that_there_is_not_is_told_with_those_that_there_are(config: Config, tmp_path: Path) -> None:
    for here, mode in ((config, "backtest"), (config, "paper"), (empty(tmp_path), "paper")):
        with pytest.raises(UnknownSymbol, match=r"^FOO is no exchange: use one of NSE, NFO, CDS, BSE, .*NSE:INFY\?$"):
            go(here, symbols="FOO:INFY", mode=mode)
    with pytest.raises(UnknownSymbol) as refused:
        go(empty(tmp_path), symbols="NSE:INFI", mode="paper")
    assert str(refused.value).count("INFI") == 1, "the advice is not to fetch what is misspelt"
