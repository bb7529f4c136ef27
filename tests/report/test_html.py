from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from btkite.report import html
from btkite.report.curve import POINTS
from btkite.report.html import ROWS, chart, render, write_report

ROOT = Path(__file__).resolve().parents[2]


class Page(HTMLParser):
    """Tags, their attributes and the text between them; open tags must be closed."""

    VOID = {"meta", "img", "br", "link"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())


def embedded(page: str) -> dict:
    return json.loads(re.search(r"const data = (\{.*\});", page).group(1))


def full(made, bars=50, **fields):
    rng = random.Random(2)
    values = [100_000 + rng.gauss(0, 500) for _ in range(bars)]
    return made(values, [50.0, -20.0], [10.0, 10.0, 0.0], denied=["", "", "too many"], **fields)


def test_the_page_is_well_formed_and_holds_the_figures_trades_and_orders(made):
    text = render(full(made), config="mode: backtest", files=["trades.csv"])
    page = Page(text)
    assert page.open == []
    for word in ("SmaCross", "NSE:INFY", "Trades", "Orders", "mode: backtest", "1 × too many", "trades.csv"):
        assert word in page.words, word
    assert "₹50.00" in page.words
    assert "nan" not in [word.lower() for word in page.words]


def test_what_a_reader_must_know_first_stands_above_the_figures(made):
    remarks = {
        "stopped": "Ctrl-C",
        "denied": "2 of 9 orders denied: max position 10 %",
        "halted": "the kill switch is engaged",
        "overnight": "MIS held overnight: 2 NSE:INFY",
        "untraded": "SmaCross never came to trade",
    }
    left_open = ("order BUY 1 NSE:INFY", "position 9 NSE:INFY at ₹1,500.00")
    text = render(replace(full(made), **remarks, left_open=left_open))
    for words in (*remarks.values(), "still open: order BUY 1 NSE:INFY; position 9 NSE:INFY at ₹1,500.00"):
        assert 0 < text.index(words) < text.index("Growth a year"), words
    assert "still open" not in render(full(made))


def test_the_page_loads_nothing_from_elsewhere(made):
    text = render(full(made))
    links = [value for _, attrs in Page(text).tags for name, value in attrs.items() if name in ("src", "href")]
    assert links
    assert not [link for link in links if re.match(r"(https?:)?//", link)]
    assert "@import" not in text


def test_what_the_user_named_is_escaped(made):
    hostile = "</script><script>alert(1)</script>"
    result = made([1.0, 2.0], [5.0], [1.0], denied=[hostile], strategy=hostile, symbols=(hostile,))
    result.trades["symbol"] = hostile
    text = render(result, config=hostile)
    assert "<script>alert(1)" not in text
    assert len([tag for tag, _ in Page(text).tags if tag == "script"]) == 2


def test_the_script_is_written_once_and_named_relatively(made, tmp_path):
    runs = tmp_path / "runs"
    script = runs / "plotly.min.js"
    for name in ("one", "two"):
        (runs / name).mkdir(parents=True)
        write_report(full(made), runs / name / "report.html", script=script)
        assert 'src="../plotly.min.js"' in (runs / name / "report.html").read_text(encoding="utf-8")
    first = script.stat().st_mtime_ns
    write_report(full(made), runs / "two" / "report.html", script=script)
    assert script.stat().st_mtime_ns == first
    assert script.stat().st_size > 1_000_000
    assert sorted(path.name for path in runs.iterdir()) == ["one", "plotly.min.js", "two"]


def test_a_script_of_another_version_is_replaced(tmp_path):
    script = tmp_path / "plotly.min.js"
    script.write_text("old")
    html.place_script(script)
    assert script.stat().st_size > 1_000_000


def test_a_report_alone_has_its_script_beside_it(made, tmp_path):
    write_report(full(made), tmp_path / "report.html")
    assert (tmp_path / "plotly.min.js").exists()


def test_a_run_without_bars_or_trades_has_a_page_too(made):
    page = Page(render(made()))
    assert "There was no bar to draw." in page.words
    assert page.words.count("None.") == 2
    assert "script" not in [tag for tag, _ in page.tags]


def test_long_curves_are_thinned_and_say_so(made):
    result = full(made, bars=20_000)
    data = chart(result)
    assert len(data["x"]) == len(data["equity"]) == len(data["drawdown"]) <= POINTS
    assert data["thinned"] == 20_000
    assert max(data["equity"]) == pytest.approx(result.equity["value"].max(), abs=0.01)
    assert min(data["equity"]) == pytest.approx(result.equity["value"].min(), abs=0.01)
    assert min(data["drawdown"]) == pytest.approx(-result.stats["max_drawdown_percent"], abs=1e-4)


def test_long_tables_are_cut_and_say_where_the_rest_is(made):
    result = made([1.0, 2.0], [1.0] * (ROWS + 5))
    page = Page(render(result))
    assert f"{ROWS + 5}, the first {ROWS} are listed; all are in trades.csv" in page.words
    assert len([tag for tag, _ in page.tags if tag == "tr"]) < ROWS + 60


def test_short_bars_leave_no_gap_for_the_night_and_days_stand_on_dates(made):
    assert embedded(render(full(made)))["intraday"] is True
    days = embedded(render(full(made, freq="B", start="2026-01-01")))
    assert days["intraday"] is False
    assert days["x"][0] == "2026-01-01"


def test_labels_of_short_bars_are_unique(made):
    labels = chart(full(made, bars=2_000))["x"]
    assert len(set(labels)) == len(labels)


def test_a_trade_is_noted_on_a_bar_that_is_drawn(made):
    data = chart(full(made))
    assert data["result"] == [50.0, -20.0]
    assert set(data["exit_x"]) <= set(data["x"])


def test_heavy_libraries_wait_until_they_are_needed():
    heavy = ("pandas", "matplotlib", "jinja2", "plotly", "rich", "backtrader")
    code = (
        "import sys; import btkite.report.result, btkite.report.folder, btkite.report.html, btkite.report.table;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
