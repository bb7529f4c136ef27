"""Our calendar beside those of exchange_calendars and pandas_market_calendars (the extra ``calendars``): every
difference of 2016 to 2026 is listed here with its reason, so that a new one, on either side, is seen."""

from __future__ import annotations

import warnings
from datetime import date
from typing import Any

import pytest

from btkite.market.calendar import shipped

FIRST, LAST = date(2016, 1, 1), date(2026, 12, 31)

MUHURAT = "the library knows no muhurat session on this day; candles and circulars have it"
WEEKEND = "a session at a weekend; the library opens on none"
BUDGET = "Saturday or Sunday of the Union Budget, traded at normal hours"
DRILL = "Saturday of the recovery site's drill, two sessions"
LATE = "announced as a drill, traded as a full day (candles from 09:15 to 15:29)"
LONGER = "BSE traded on to 17:00 on the day of NSE's outage"

SPECIAL = {
    "2020-02-01": BUDGET,
    "2024-01-20": LATE,
    "2024-03-02": DRILL,
    "2024-05-18": DRILL,
    "2025-02-01": BUDGET,
    "2026-02-01": BUDGET,
}
AT_WEEKENDS = {
    **dict.fromkeys(("2016-10-30", "2019-10-27", "2020-11-14", "2023-11-12", "2026-11-08"), MUHURAT),
    **SPECIAL,
}
LATER_MUHURAT = dict.fromkeys(("2021-11-04", "2022-10-24", "2024-11-01", "2025-10-21"), MUHURAT)

# day -> why: days that only we trade, that only they trade, and that both trade at other hours
DIFFERENCES: dict[str, tuple[str, dict[str, str], dict[str, str], dict[str, str]]] = {
    "exchange_calendars XBOM": (
        "BSE",
        {**AT_WEEKENDS, **LATER_MUHURAT, "2017-10-19": MUHURAT, "2018-11-07": MUHURAT},
        {},
        {"2021-02-24": LONGER},
    ),
    "pandas_market_calendars NSE": ("NSE", AT_WEEKENDS, {}, {}),
    "pandas_market_calendars BSE": (
        "BSE",
        {
            **AT_WEEKENDS,
            **LATER_MUHURAT,
            "2020-07-31": "the library closes on the Friday before Bakri Id; it was traded",
        },
        {"2020-05-25": "Id-Ul-Fitr: no exchange traded, no candle of this day exists"},
        {
            "2017-10-19": "a muhurat day, which the library takes for a full one",
            "2018-11-07": "a muhurat day, which the library takes for a full one",
            "2021-02-24": LONGER,
        },
    ),
}

Hours = dict[str, tuple[str, str]]


def theirs(name: str) -> Hours:
    library, calendar = name.split()
    module = pytest.importorskip(library, reason=f"needs {library}: pip install btkite[calendars]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library == "exchange_calendars":
            schedule: Any = module.get_calendar(calendar, start=FIRST.isoformat()).schedule.loc[: LAST.isoformat()]
            columns = ("open", "close")
        else:
            schedule = module.get_calendar(calendar).schedule(FIRST.isoformat(), LAST.isoformat())
            columns = ("market_open", "market_close")
    moments = [schedule[column].dt.tz_convert("Asia/Kolkata").dt.strftime("%H:%M") for column in columns]
    return {f"{day:%Y-%m-%d}": (opens, closes) for day, opens, closes in zip(schedule.index, *moments, strict=True)}


def ours(exchange: str) -> Hours:
    return {
        session.date.isoformat(): (f"{session.open:%H:%M}", f"{session.close:%H:%M}") if session.parts else ("", "")
        for session in shipped().sessions(exchange, FIRST, LAST)
    }


@pytest.mark.parametrize("name", DIFFERENCES)
def test_every_difference_to_a_library_has_its_reason(name: str) -> None:
    exchange, only_ours, only_theirs, other_hours = DIFFERENCES[name]
    mine, other = ours(exchange), theirs(name)
    assert sorted(set(mine) - set(other)) == sorted(only_ours)
    assert sorted(set(other) - set(mine)) == sorted(only_theirs)
    differ = [day for day in mine if day in other and mine[day] != other[day]]
    assert sorted(differ) == sorted(other_hours)
    assert all(reason for part in (only_ours, only_theirs, other_hours) for reason in part.values())
    assert len(other) > 2600  # they were there
