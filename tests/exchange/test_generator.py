"""Made-up markets: deterministic, on tick, in session."""

from __future__ import annotations

import time
from datetime import date

import numpy as np
import pytest

from btkite.exchange import BadSettings, InstrumentRow
from btkite.exchange.contracts import INDEX_OF
from btkite.exchange.generator import (
    generate,
    generate_derivative,
    option_price,
    trading_days,
    underlying_key,
    usual_price,
)
from btkite.exchange.instruments import describe

from .scene import KEY, Scene

FIRST = date(2026, 11, 9)


def test_the_same_seed_gives_the_same_candles_and_another_seed_others() -> None:
    one, same, other = (generate("NSE:INFY", FIRST, 2, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.close, same.close)
    assert np.array_equal(one.volume, same.volume)
    assert not np.array_equal(one.close, other.close)


def test_a_session_has_375_minutes_and_holidays_have_none() -> None:
    series = generate("NSE:INFY", FIRST, 3)  # 10 November 2026 is a holiday
    assert len(series) == 3 * 375
    days = np.unique(series.start // 86_400).astype("datetime64[D]").astype(str).tolist()
    assert days == ["2026-11-09", "2026-11-11", "2026-11-12"]


@pytest.mark.parametrize("tick", [0.05, 0.1, 0.01, 1.0])
def test_prices_lie_on_tick_within_their_candle(tick: float) -> None:
    series = generate("NSE:INFY", FIRST, 1, tick=tick)
    for column in (series.open, series.high, series.low, series.close):
        assert np.abs(column / tick - np.rint(column / tick)).max() < 1e-6
    assert (series.high > series.low).mean() > 0.5
    assert np.array_equal(series.open[1:], series.close[:-1])


def test_volume_is_heavier_at_the_open_and_the_close_than_at_noon() -> None:
    volume = generate("NSE:INFY", FIRST, 10).volume.reshape(10, 375).mean(axis=0)
    assert volume[:30].mean() > 2 * volume[170:200].mean() < volume[-30:].mean()


def test_longer_candles_are_the_same_market() -> None:
    minute, five, day = (generate("NSE:INFY", FIRST, 2, interval) for interval in ("minute", "5minute", "day"))
    assert np.array_equal(five.high, minute.high.reshape(-1, 5).max(axis=1))
    assert np.array_equal(five.close, minute.close[4::5])
    assert np.array_equal(day.volume, minute.volume.reshape(2, 375).sum(axis=1))
    assert np.array_equal(day.start % 86_400, [0, 0])


def test_an_index_has_no_volume() -> None:
    assert generate("NSE:NIFTY 50", FIRST, 1).volume.sum() == 0


def test_a_call_and_a_put_of_one_strike_share_their_underlying() -> None:
    call, put = (generate_derivative(describe(f"NFO:NIFTY26N1726000{kind}"), FIRST, 5) for kind in ("CE", "PE"))
    spot = call.close - put.close + 26000  # parity without interest
    again = generate_derivative(describe("NFO:NIFTY26N1726100CE"), FIRST, 5)
    other_put = generate_derivative(describe("NFO:NIFTY26N1726100PE"), FIRST, 5)
    assert np.abs(spot - (again.close - other_put.close + 26100)).max() <= 0.2
    assert (call.volume % 65 == 0).all()


def test_an_option_is_worth_its_intrinsic_value_at_expiry() -> None:
    worth = option_price(np.array([26100.0, 25900.0]), 26000.0, np.zeros(2), "CE")
    assert worth == pytest.approx([100.0, 0.0], abs=1e-6)


def test_an_expired_option_is_refused() -> None:
    with pytest.raises(BadSettings, match="expired"):
        generate_derivative(describe("NFO:NIFTY26N1726000CE"), date(2026, 11, 18), 5)


def test_trading_days_know_the_budget_sunday() -> None:
    assert trading_days("NSE", date(2026, 1, 31), 2) == [date(2026, 2, 1), date(2026, 2, 2)]


def test_futures_and_options_follow_the_index_that_is_listed_beside_them() -> None:
    made = Scene(
        seed=3, symbols=("NSE:NIFTY 50",), chains={"NIFTY": 1}, generate_from=date(2026, 11, 18), generate_sessions=1
    ).venue.market.listings
    index, future = made["NSE:NIFTY 50"].tape.series, made["NFO:NIFTY26NOVFUT"].tape.series
    call, put = made["NFO:NIFTY26D0126000CE"].tape.series, made["NFO:NIFTY26D0126000PE"].tape.series
    assert (len(index), len(future), len(call)) == (2 * 375, 2 * 385, 2 * 385)  # a day of history, and the day
    together = np.r_[0:375, 385 : 385 + 375]
    assert np.abs(call.close[together] - put.close[together] + 26000 - index.close).max() <= 0.15
    carry = future.close[together] / index.close - 1
    assert 0 < carry.min() <= carry.max() < 0.003
    assert (future.oi > 0).all()


def test_a_chain_is_listed_with_the_lots_and_ticks_of_its_day_and_yesterdays_dump_lacks_what_is_new() -> None:
    venue = Scene(
        seed=3, symbols=("NSE:NIFTY 50",), chains={"NIFTY": 1}, generate_from=date(2024, 11, 29), generate_sessions=1
    ).venue  # fmt: skip
    rows = {row.key: row for row in venue.rows}
    lots = {row.expiry: row.lot_size for row in rows.values() if row.name == "NIFTY" and row.is_option}
    assert lots[date(2024, 12, 26)] == 25
    assert rows["NFO:NIFTY25JANFUT"].lot_size == 75
    assert rows["NFO:NIFTY25FEBFUT"].listed == date(2024, 11, 29)
    assert b"NIFTY25FEBFUT" in venue.dump
    assert b"NIFTY25FEBFUT" not in venue.dump_of(date(2024, 11, 28))
    assert b"NIFTY24DECFUT" in venue.dump_of(date(2024, 11, 28))
    assert b"NIFTY24DECFUT" not in venue.dump_of(date(2024, 12, 27))


def test_a_generated_day_of_the_closing_auction_ends_in_its_print() -> None:
    made = Scene(
        seed=3,
        symbols=(KEY, "NSE:SBIN", "NSE:NIFTY 50"),
        generate_from=date(2026, 11, 18),
        generate_sessions=1,
        closing_auction=True,
        auction_shares=[KEY],
    ).venue.market.listings
    ends = {key: [int(one) % 86_400 // 60 for one in made[key].tape.series.start[-2:]] for key in made}
    assert ends[KEY] == ends["NSE:NIFTY 50"] == [15 * 60 + 14, 15 * 60 + 29]
    assert ends["NSE:SBIN"] == [15 * 60 + 28, 15 * 60 + 29]


def test_fifty_symbols_of_a_month_are_made_in_a_moment() -> None:
    before = time.process_time()
    for number in range(50):
        generate(f"NSE:STOCK{number}", FIRST, 20)
    assert time.process_time() - before < 3.0


@pytest.mark.parametrize(("name", "index"), INDEX_OF.items())
def test_a_contract_on_an_index_begins_where_the_index_does_and_follows_it(name: str, index: str) -> None:
    exchange, _, symbol = index.partition(":")
    assert usual_price(name) == usual_price(symbol)
    row = InstrumentRow(exchange="BFO" if exchange == "BSE" else "NFO", tradingsymbol=f"{name}26NOVFUT", name=name)
    assert underlying_key(row) == index
