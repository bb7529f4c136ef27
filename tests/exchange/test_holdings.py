"""Shares in demat: Kite's formulas, T+1, authorisation, margin trading."""

from __future__ import annotations

import pytest

from btkite.exchange import InstrumentRow
from btkite.exchange.errors import Refusal
from btkite.exchange.holdings import (
    Holding,
    auction_of,
    auctions,
    authorise,
    change_figures,
    compact_of,
    confirm,
    holdings_compact,
    holdings_summary,
    isin_of,
    summary_figures,
)
from btkite.exchange.listing import Listing

from .samples import sample
from .scene import KEY
from .scene_days import days, next_day


def test_a_holdings_row_equals_kites_sample() -> None:
    for wanted in sample("holdings"):
        row = InstrumentRow(
            exchange=wanted["exchange"], tradingsymbol=wanted["tradingsymbol"],
            instrument_token=wanted["instrument_token"],
        )  # fmt: skip
        listing = Listing(row, None, 0)
        listing.last = listing.path = wanted["last_price"]
        listing.previous_close = wanted["close_price"]
        holding = Holding(listing, wanted["quantity"], wanted["average_price"])
        holding.authorised_on = wanted["authorised_date"]
        holding.mtf_quantity, holding.mtf_value = wanted["mtf"]["quantity"], float(wanted["mtf"]["value"])
        holding.loan = holding.mtf_value - wanted["mtf"]["initial_margin"]
        ours = holding.row()
        assert list(ours) == list(wanted)
        nested = {"isin": 0, "mtf": 0, "authorisation": 0}
        assert {**ours, **nested} == pytest.approx({**wanted, **nested}, abs=1e-9)
        assert ours["mtf"] == pytest.approx(wanted["mtf"])


def test_profit_and_the_days_change_are_those_of_the_samples() -> None:
    for row in [*sample("holdings"), *sample("auctions_list")]:
        names = ("average_price", "last_price", "close_price", "quantity", "t1_quantity")
        ours = change_figures(**{name: row[name] for name in names})
        assert ours == pytest.approx({name: row[name] for name in ours})


def test_the_summary_and_the_short_form_are_those_of_the_samples() -> None:
    wanted = sample("holdings_summary")
    ours = summary_figures(
        invested=wanted["invested_amount"], current=wanted["current_value"], today=wanted["today_pnl"]
    )
    assert ours == pytest.approx(wanted)
    assert list(ours) == list(wanted)
    for row in sample("holdings_compact"):
        assert compact_of([{**row, "more": 1}]) == [row]
    for row in sample("auctions_list"):
        ours = auction_of({**row, "mtf": {}}, row["auction_number"])
        assert ours == row
        assert list(ours) == list(row)


def test_bought_shares_are_on_their_way_for_a_day() -> None:
    scene = days(100.0, 104.0, 108.0, charges=False, holdings={KEY: (10, 70.0)})
    scene.opened()
    scene.place("BUY", product="CNC", quantity=20)
    scene.bar()
    venue = scene.venue
    assert [row["quantity"] for row in venue.positions()["net"]] == [20]
    next_day(scene)
    row = venue.account.holdings[KEY].row()
    assert venue.positions()["net"] == []
    assert (row["quantity"], row["t1_quantity"], row["average_price"]) == (10, 20, 90.0)
    assert row["pnl"] == (100.0 - 90.0) * 30
    assert venue.account.opening_balance == 1e9 - 2000
    summary = holdings_summary(venue)
    assert (summary["invested_amount"], summary["current_value"]) == (2700.0, 3000.0)
    assert holdings_compact(venue)[0]["t1_quantity"] == 20
    next_day(scene)
    row = venue.account.holdings[KEY].row()
    assert (row["quantity"], row["t1_quantity"], row["realised_quantity"]) == (30, 0, 30)


def test_shares_on_their_way_may_be_sold() -> None:
    scene = days(100.0, 104.0, 108.0, charges=False, check_holdings=True)
    scene.opened()
    scene.place("BUY", product="CNC", quantity=20)
    next_day(scene)
    with pytest.raises(Refusal, match="Available: 20, Requested: 21"):
        scene.place("SELL", product="CNC", quantity=21)
    scene.place("SELL", product="CNC", quantity=20)
    with pytest.raises(Refusal, match="Available: 0, Requested: 1"):
        scene.place("SELL", product="CNC", quantity=1)
    next_day(scene)
    assert scene.venue.account.holdings == {}
    assert scene.venue.account.opening_balance == 1e9 + 20 * 4


def test_a_sale_from_demat_needs_the_days_authorisation() -> None:
    scene = days(100.0, 104.0, depository_authorisation=True, check_holdings=True, holdings={KEY: (20, 70.0)})
    scene.opened()
    venue = scene.venue
    with pytest.raises(Refusal) as refused:
        scene.place("SELL", product="CNC", quantity=10)
    assert (refused.value.code, refused.value.error_type) == (428, "InputException")
    assert str(refused.value) == "10 quantity needs authorisation at depository."
    request_id = authorise(venue, [(isin_of("INFY"), 15)])["request_id"]
    assert len(request_id) == len(sample("holdings_auth")["request_id"])
    with pytest.raises(Refusal, match="needs authorisation"):
        scene.place("SELL", product="CNC", quantity=10)  # nobody has confirmed yet
    confirm(venue, request_id)
    assert venue.account.holdings[KEY].row()["authorised_date"] == "2026-11-18 00:00:00"
    scene.place("SELL", product="CNC", quantity=10)
    with pytest.raises(Refusal, match="10 quantity needs authorisation"):
        scene.place("SELL", product="CNC", quantity=10)  # with the other it would be 20
    scene.place("SELL", product="CNC", quantity=5)
    next_day(scene)
    with pytest.raises(Refusal, match="needs authorisation"):
        scene.place("SELL", product="CNC", quantity=1)
    with pytest.raises(Refusal, match="request_id"):
        confirm(venue, request_id)


def test_shares_bought_today_need_no_authorisation() -> None:
    scene = days(100.0, 104.0, depository_authorisation=True, check_holdings=True, holdings={KEY: (20, 70.0)})
    scene.opened()
    scene.place("BUY", product="CNC", quantity=5)
    scene.bar()
    scene.place("SELL", product="CNC", quantity=5)
    with pytest.raises(Refusal, match="needs authorisation"):
        scene.place("SELL", product="CNC", quantity=1)


def test_a_request_for_more_than_is_held_is_refused() -> None:
    scene = days(100.0, holdings={KEY: (20, 70.0)})
    for wanted in ((KEY, 21), (KEY, 0), ("INE000000000", 1)):
        with pytest.raises(Refusal, match="isin"):
            authorise(scene.venue, [wanted])
    assert authorise(scene.venue) != authorise(scene.venue)


def test_auctions_show_what_is_held_and_offered() -> None:
    scene = days(100.0, holdings={KEY: (20, 70.0)})
    assert auctions(scene.venue) == []
    scene.venue.account.auctions.update({KEY: "20", "NSE:TCS": "21"})
    [row] = auctions(scene.venue)
    assert (row["tradingsymbol"], row["auction_number"]) == ("INFY", "20")


def test_an_isin_has_the_right_check_digit() -> None:
    def sums_up(isin: str) -> bool:
        digits = "".join(str(int(sign, 36)) for sign in isin)
        doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
        return sum(sum(divmod(one, 10)) for one in doubled) % 10 == 0

    assert sums_up("INE009A01021")  # a real one
    assert all(sums_up(isin_of(name)) and len(isin_of(name)) == 12 for name in ("INFY", "TCS", "RELIANCE", "SBIN"))


def test_margin_trading_is_refused_until_it_is_switched_on() -> None:
    with pytest.raises(Refusal, match=r"Trading in NSE is not allowed using MTF product type\."):
        days(100.0).opened().place("BUY", product="MTF")


def test_margin_trading_lends_a_part_and_gets_it_back() -> None:
    scene = days(100.0, 104.0, 110.0, mtf=True, charges=False, check_holdings=True, cash=1000.0)
    scene.opened()
    scene.bar()
    with pytest.raises(Refusal, match=r"Required margin is 1050\.00"):
        scene.place("BUY", product="MTF", quantity=21)
    scene.place("BUY", product="MTF", quantity=20)
    scene.bar()
    account = scene.venue.account
    assert account.available == 0.0
    next_day(scene)
    assert account.opening_balance == 0.0
    assert account.holdings[KEY].row()["mtf"] == {
        "quantity": 20, "used_quantity": 0, "average_price": 100.0, "value": 2000.0, "initial_margin": 1000.0,
    }  # fmt: skip
    assert account.worth() == 1000.0
    with pytest.raises(Refusal, match="Available: 20"):
        scene.place("SELL", product="MTF", quantity=21)
    scene.place("SELL", product="MTF", quantity=5)
    scene.bar(), scene.bar()
    assert account.holdings[KEY].row()["mtf"]["used_quantity"] == 5
    next_day(scene)
    assert account.opening_balance == 5 * 104 - 250
    assert account.holdings[KEY].loan == 750.0
