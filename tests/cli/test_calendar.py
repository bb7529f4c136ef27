"""``btkite calendar``: what a day is, who says so, and the exchanges' new lists."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from btkite import almanac
from btkite.config import Config, load
from btkite.exchange import hours as exchange_hours
from btkite.market.calendar import calendar, put_in_force, shipped

Btkite = Callable[..., tuple[int, str, str]]

LIST = [
    "2027-01-26,Republic Day",
    "2027-03-08,Mahashivratri",
    "2027-03-22,Holi",
    "2027-03-26,Good Friday",
    "2027-04-14,Ambedkar Jayanti",
    "2027-05-17,Bakri Id",
    "2027-06-16,Muharram",
    "2027-08-15,Independence Day",
    "2027-10-29,Diwali Laxmi Pujan*",
    "2027-11-01,Diwali Balipratipada",
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield
    put_in_force(None)
    exchange_hours.lay_over([])


def listed(folder: Path, rows: list[str], name: str = "holidays.csv") -> Path:
    path = folder / name
    path.write_text("Date,Description\n" + "\n".join(rows) + "\n")
    return path


def test_a_day_is_shown_with_hours_and_sources(btkite: Btkite) -> None:
    code, out, err = btkite("calendar", "show", "2026-08-03")
    assert (code, err) == (0, "")
    assert out.splitlines()[:5] == [
        "Monday, 03 August 2026; the calendar holds until 2026-12-31",
        "NSE  09:15-15:30",
        "     auction shares: 09:15-15:15",
        "     pre-open: 09:00-09:08",
        "     closing auction: 15:15-15:35",
    ]
    assert "square-off: 15:25 / 15:12" in out
    assert "NFO  09:15-15:40" in out
    assert "MCX  09:00-23:30" in out
    assert "source: NSE/FAOP/74467" in out


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2026-12-25", "note: Christmas"),
        ("2026-11-08", "NSE  muhurat, hours not known"),
        ("2024-03-02", "NSE  09:15-10:00 11:30-12:30 (special)"),
        ("2021-02-24", "NSE  09:15-11:40 15:45-17:00 (halt)"),
        ("2026-12-05", "note: weekend"),
        ("2027-01-04", "nobody vouches for this"),
    ],
)
def test_exceptional_days_say_why(btkite: Btkite, day: str, said: str) -> None:
    assert said in btkite("calendar", "show", day)[1]


def test_a_day_as_json(btkite: Btkite) -> None:
    told = json.loads(btkite("calendar", "show", "2025-10-21", "--json")[1])
    (nse,) = [row for row in told["exchanges"] if row["exchange"] == "NSE"]
    assert (nse["hours"], nse["square-off"], nse["verified"]) == ("13:45-14:45 (muhurat)", "14:35", True)


def test_a_years_list_makes_the_calendar_hold_for_that_year(btkite: Btkite, tmp_path: Path) -> None:
    path = listed(tmp_path, LIST)
    code, out, _ = btkite("calendar", "import", path, "--dry-run")
    assert code == 0
    assert "nothing kept" in out
    assert btkite("calendar", "show", "2027-03-22")[1].startswith(
        "Monday, 22 March 2027; the calendar holds until 2026"
    )
    code, out, err = btkite("calendar", "import", path)
    assert (code, err) == (0, "")
    until = "2027-12-31 for NSE BSE NFO BFO, 2026-12-31 for CDS BCD MCX"
    assert f"9 rows, the whole of 2027; the calendar holds until {until}; kept in" in out
    assert "the hours of the muhurat session on 2027-10-29 are not known" in out
    out = btkite("calendar", "show", "2027-03-22")[1]
    assert out.startswith(f"Monday, 22 March 2027; the calendar holds until {until}\n")
    assert "note: Holi\n     source: holidays.csv" in out
    assert "MCX  17:00-23:30 (special)" in out
    # a holiday declared late goes over it, and the overlay over both
    assert btkite("calendar", "import", listed(tmp_path, ["2027-01-15,polling"], "late.csv"))[0] == 0
    known = almanac.observe(load())
    assert known.session("BFO", date(2027, 1, 15)) is None
    assert known.session("NSE", date(2027, 3, 22)) is None
    assert [known.valid_until(name).year for name in ("NSE", "BFO", "CDS", "MCX")] == [2027, 2027, 2026, 2026]
    # the list again, corrected: it takes the place of all that was known of the year
    moved = [row.replace("2027-05-17", "2027-05-18") for row in LIST]
    assert btkite("calendar", "import", listed(tmp_path, moved))[0] == 0
    known = almanac.observe(load())
    assert known.session("NSE", date(2027, 5, 17)) is not None
    assert known.session("NSE", date(2027, 5, 18)) is None


def test_a_list_of_a_year_beyond_the_next_does_not_vouch_for_the_one_between(btkite: Btkite, tmp_path: Path) -> None:
    later = [row.replace("2027-", "2028-") for row in LIST] + ["2028-10-02,Gandhi", "2028-12-25,Christmas"]
    code, out, err = btkite("calendar", "import", listed(tmp_path, [*later, "2028-08-15,Independence Day"]))
    assert code == 0, err
    assert "the calendar holds until 2026-12-31" in out


def test_that_currency_has_holidays_of_its_own_is_said_until_they_are_there(btkite: Btkite, tmp_path: Path) -> None:
    path = listed(tmp_path, LIST)
    assert (
        "currency and commodities have holidays of their own, which this list of 2027 has not"
        in btkite("calendar", "import", path)[1]
    )
    currency = listed(tmp_path, [*LIST, "2027-04-01,Annual bank closing"], "cd.csv")
    for exchange in ("CDS", "BCD", "MCX"):
        assert btkite("calendar", "import", currency, "--exchange", exchange)[0] == 0
    code, out, err = btkite("calendar", "import", path)
    assert (code, err) == (0, "")
    assert "holidays of their own" not in out
    assert "the calendar holds until 2027-12-31;" in out
    known = almanac.observe(load())
    assert [known.session(name, date(2027, 4, 1)) is None for name in ("NSE", "CDS", "BCD")] == [False, True, True]


def test_another_exchanges_list_does_not_vouch_for_nse(btkite: Btkite, tmp_path: Path) -> None:
    """BSE's list closes BSE alone: NSE would be taken for open on every holiday of a year that nobody told it."""
    code, out, err = btkite("calendar", "import", listed(tmp_path, LIST), "--exchange", "BSE")
    assert (code, err) == (0, "")
    assert "the calendar holds until 2026-12-31 for NSE NFO BFO CDS BCD MCX, 2027-12-31 for BSE;" in out
    known = almanac.observe(load())
    assert known.session("BSE", date(2027, 3, 22)) is None
    session = known.session("NSE", date(2027, 3, 22))
    assert session is not None
    assert not session.verified


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "this is no table"), ("Date,Holiday\nsoon,Holi\n", "no date that is understood"), ("<html>", "CSV")],
)
def test_a_file_that_is_no_list_changes_nothing(btkite: Btkite, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "x.csv").write_text(content)
    code, _, err = btkite("calendar", "import", "x.csv")
    assert code == 2
    assert said in err
    assert not almanac.imported_file(load()).exists()
    assert btkite("calendar", "import", "nothing.csv")[0] == 2
    assert "one of NSE" in btkite("calendar", "import", "x.csv", "--exchange", "LSE")[2]


def test_rows_of_the_configuration_lie_over_the_imported_ones(tmp_path: Path, btkite: Btkite) -> None:
    btkite("calendar", "import", listed(tmp_path, LIST))
    config = load(overrides={"calendar.overlay": "2027-10-29 NSE muhurat 18:00-19:00; 2027-03-22 NSE regular"})
    known = almanac.observe(config)
    assert calendar() is known
    session = known.session("NFO", date(2027, 10, 29))
    assert session is not None
    assert f"{session.open:%H:%M}" == "18:00"
    assert known.session("NSE", date(2027, 3, 22)) is not None
    # the simulated exchange has the same days, told in the columns of its table
    exchange_hours.lay_over(almanac.as_rows(known))
    for exchange in ("NSE", "NFO", "CDS", "MCX"):
        for month in range(1, 13):
            for number in range(1, 29):
                day = date(2027, month, number)
                ours = known.session(exchange, day)
                theirs = exchange_hours.session(exchange, day)
                assert (ours is None or not ours.parts) == (theirs is None), (exchange, day)
    assert exchange_hours.windows("NSE", date(2027, 10, 29)) == ((18 * 3600, 19 * 3600),)


def test_a_row_that_is_not_understood_stops_everything_before_it_starts(btkite: Btkite, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("calendar:\n  overlay:\n    - 2026-12-16 NSE shut\n")
    code, _, err = btkite("calendar", "show", "2026-12-16")
    assert code == 2
    assert "the kind is one of closed, regular, special, muhurat, early, halt" in err


def test_an_imported_file_that_was_spoilt_is_named(tmp_path: Path, btkite: Btkite) -> None:
    path = almanac.imported_file(load())
    path.parent.mkdir(parents=True)
    path.write_text("# valid_until: soon\ndate,exchange_segment,kind\n")
    code, _, err = btkite("calendar", "show")
    assert code == 2
    assert f"{path} cannot be read" in err


def test_without_rows_of_ones_own_the_shipped_calendar_is_in_force(tmp_path: Path) -> None:
    assert almanac.observe(Config()) is shipped()
    assert (
        almanac.observe(Config().with_(**{"calendar.valid_until": date(2027, 6, 30)})).valid_until("MCX").year == 2027
    )
    assert almanac.observe(Config()) is shipped()
