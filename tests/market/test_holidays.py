"""The exchanges' own lists, in the forms in which they can be saved."""

from __future__ import annotations

import json
from datetime import date, time

import pytest

from btkite.errors import ConfigError
from btkite.market.calendar import shipped
from btkite.market.holidays import covers, read_list

# A year as the exchanges print it: the fixed holidays of 2027 and invented dates for the moving ones.
YEAR = [
    ("26-Jan-2027", "Republic Day"),
    ("08-Mar-2027", "Mahashivratri"),
    ("22-Mar-2027", "Holi"),
    ("26-Mar-2027", "Good Friday"),
    ("14-Apr-2027", "Dr. Baba Saheb Ambedkar Jayanti"),
    ("15-Apr-2027", "Shri Ram Navami"),
    ("17-May-2027", "Bakri Id"),
    ("16-Jun-2027", "Muharram"),
    ("15-Aug-2027", "Independence Day"),
    ("02-Oct-2027", "Mahatma Gandhi Jayanti"),
    ("29-Oct-2027", "Diwali Laxmi Pujan*"),
    ("01-Nov-2027", "Diwali Balipratipada"),
    ("25-Dec-2027", "Christmas"),
]


def nse(rows: list[tuple[str, str]]) -> str:
    """As /api/holiday-master?type=trading answers."""
    listed = [
        {"tradingDate": day, "weekDay": "", "description": why, "morning_session": None, "evening_session": None}
        for day, why in rows
    ]
    return json.dumps(
        {"CM": listed, "FO": listed, "CD": [*listed, listed[0] | {"tradingDate": "01-Apr-2027"}], "MF": []}
    )


def csv_of(rows: list[tuple[str, str]]) -> str:
    lines = [f'{number},"{day}",Monday,{why}' for number, (day, why) in enumerate(rows, 1)]
    return "\ufeffSr. No,Date,Day,Description\n" + "\n".join(lines)


@pytest.mark.parametrize("text", [nse(YEAR), csv_of(YEAR), csv_of(YEAR).replace(",", "\t")])
def test_a_years_list_closes_its_weekdays_and_knows_the_muhurat_day(text: str) -> None:
    rows = [row for row in read_list(text, "NSE", shipped()) if row.exchange == "NSE"]
    closed = [row.date for row in rows if row.kind == "closed"]
    assert date(2027, 1, 26) in closed
    assert date(2027, 8, 15) not in closed  # a Sunday
    assert len(closed) == 9
    muhurat = [row for row in rows if row.kind == "muhurat"]
    assert [(row.date, row.open, row.note) for row in muhurat] == [(date(2027, 10, 29), None, "Diwali Laxmi Pujan")]
    assert covers(rows)["NSE"] == 2027


def test_nses_answer_has_currency_apart() -> None:
    rows = read_list(nse(YEAR), "NSE", shipped())
    april = {row.exchange for row in rows if row.date == date(2027, 4, 1)}
    assert april == {"CDS", "BCD"}
    assert {row.exchange for row in rows} == {"NSE", "NFO", "CDS", "BCD"}


def test_a_holiday_declared_late_is_no_years_list() -> None:
    rows = read_list("Date,Description\n15-01-2027,Municipal polling\n", "NSE", shipped())
    assert [(row.date, row.kind) for row in rows] == [(date(2027, 1, 15), "closed")]
    assert covers(rows) == {}


def test_a_years_list_without_a_day_that_is_always_closed_is_refused() -> None:
    rows = read_list(csv_of(YEAR[1:]), "NSE", shipped())
    with pytest.raises(ConfigError, match="lacks Tuesday, 26 January"):
        covers(rows)


def test_mcx_has_mornings_and_evenings() -> None:
    text = (
        "Holidays,Date,Day,Morning Session,Evening Session\n"
        'New Year,"January 01, 2027",Friday,Open,Closed\n'
        'Holi,"March 22, 2027",Monday,Closed,Open\n'
        'Good Friday,"March 26, 2027",Friday,Closed,Closed\n'
        'Some day,"March 30, 2027",Tuesday,Open,Open\n'
    )
    rows = read_list(text, "MCX", shipped())
    assert [(row.date.day, row.kind, row.open, row.close) for row in rows] == [
        (1, "early", time(9), time(17)),
        (22, "special", time(17), time(23, 30)),
        (26, "closed", None, None),
    ]


def test_btkites_own_form_is_read_too() -> None:
    text = (
        "date,exchange_segment,kind,open,close,second_open,second_close,note,source,confidence\n"
        "2027-03-06,NSE,special,09:15,10:00,11:30,12:30,drill,NSE/MSD/1,1\n"
    )
    (row,) = read_list(text, "NSE", shipped())
    assert (row.second_close, row.source) == (time(12, 30), "NSE/MSD/1")


@pytest.mark.parametrize(
    "written", ["2027-01-26", "26-Jan-2027", "26-01-2027", "26/01/2027", "January 26,2027", "26 January 2027"]
)
def test_dates_as_exchanges_write_them(written: str) -> None:
    (row,) = read_list(f"Date;Holiday\n{written};Republic Day\n", "BSE", shipped())
    assert (row.date, row.exchange, row.note) == (date(2027, 1, 26), "BSE", "Republic Day")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("%PDF-1.4 …", "no table"),
        ("<html>", "no table"),
        ("{", "no JSON"),
        (json.dumps({"MF": []}), "none of NSE's segments CM, FO, CD"),
        ("Holiday,Day\nHoli,Monday\n", "no date"),
        ("Date,Holiday\nthe 3rd of May,Holi\n", "no date that is understood"),
        ("Date,Holiday\n2027-08-15,Independence Day\n", "no holiday on a weekday"),
        ("", "no table"),
    ],
)
def test_what_is_no_list_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_list(text, "NSE", shipped())
