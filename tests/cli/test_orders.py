"""``btkite orders list`` and ``explain``: the story of an order, from the journal of a live account and from a saved
run. What was filled and sent is compared with the exchange's own book."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from btkite.cli.app import main
from btkite.exchange import CandleSeries, Exchange, ExchangeSettings
from btkite.market.charges import charge_order
from btkite.testing import Steering, bars
from btkite.values import Instrument, Side

SYMBOL = "NSE:TEST"
USER = "SIM001"
TOKEN = "token-of-the-explained"
CODE = '''
import backtrader as bt

from btkite.sizers import PercentOfValue


class Trader(bt.Strategy):
    """Buys by its sizer on the first bar, tries far too much on the second, sells on the fourth."""

    params = (("limit", 0.5),)

    def __init__(self):
        self.setsizer(PercentOfValue(percent=5))
        self.mean = bt.ind.SMA(self.data - 0.0, period=1)
        self.bands = {self.data: bt.ind.BollingerBands(self.data, period=1)}

    def next(self):
        if len(self) == 1:
            self.buy()
        elif len(self) == 2:
            self.buy(size=900)
            self.buy(size=3, exectype=bt.Order.Limit, price=self.data.close[0] * self.p.limit, tag="deep")
        elif len(self) == 4:
            self.close()
'''
Btkite = Callable[..., tuple[int, str, str]]
PLACED = ("POST", "/orders/regular")


@dataclass
class Ran:
    """A live run that is over, on an exchange that still answers."""

    steer: Steering
    folder: Path
    refs: list[int]
    """Of the sized entry, the one that is too large, the deep limit and the exit."""

    @property
    def booked(self) -> list[dict[str, Any]]:
        return self.steer.orders()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    with pytest.MonkeyPatch.context() as around:
        yield from _ran(tmp_path_factory.mktemp("explained"), around)


def _ran(tmp_path: Path, around: pytest.MonkeyPatch) -> Iterator[Ran]:
    around.setenv("BTKITE_KEYRING", "off")
    around.setenv("KITE_ACCESS_TOKEN", TOKEN)
    around.chdir(tmp_path)
    candles = bars.from_rows([100.0, 100.0, 100.5, 100.5, 101.0, 101.0, 101.0], interval="60minute")
    columns = ("interval", "start", "open", "high", "low", "close", "volume")
    series = CandleSeries(**{name: getattr(candles, name) for name in columns})
    settings = ExchangeSettings(
        candles={SYMBOL: series}, start=candles.first, auto_token=TOKEN, api_key="key-1", expire_tokens=False
    )
    with Exchange(settings) as running:
        (tmp_path / "trader.py").write_text(CODE)
        (tmp_path / "config.yaml").write_text(
            f"broker:\n  kite_connect:\n    endpoint: {running.url}\n    user_id: {USER}\n    api_key: key-1\n"
            f"paths:\n  state: state\n  runs: runs\n"
        )
        code = main([
            "run", "trader.py:Trader", "-s", SYMBOL, "-i", "60minute", "--mode", "live", "--sessions", "1",
            "--confirm", USER, "-p", "limit=0.9",
        ])  # fmt: skip
        assert code == 0
        (folder,) = [path for path in (tmp_path / "runs").iterdir() if path.is_dir()]
        lines = (folder / "events.jsonl").read_text().splitlines()
        rows = [row["ref"] for line in lines for row in json.loads(line).get("orders", ())]
        assert len(rows) == 4
        yield Ran(Steering(running.url), folder, rows)


def explained(btkite: Btkite, *args: Any) -> dict[str, Any]:
    code, out, err = btkite("orders", "explain", *args, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_an_order_is_explained_from_the_bar_to_the_last_paisa(btkite: Btkite, ran: Ran) -> None:
    ours = ran.booked[0]
    story = explained(btkite, ours["order_id"])
    given = story["explained"]
    (bar,) = given["bars"]
    assert (bar["symbol"], bar["close"], bar["length"]) == (SYMBOL, 100.0, 1)
    assert given["inputs"] == {
        "mean": 100.0, "bands[NSE:TEST].mid": 100.0, "bands[NSE:TEST].top": 100.0, "bands[NSE:TEST].bot": 100.0,
    }  # fmt: skip
    assert given["strategy"] == "Trader"
    assert story["strategy"]["params"] == {"limit": 0.9}
    assert len(given["digest"]) == 12
    sizing = given["sizing"]
    assert (sizing["sizer"], sizing["params"]) == ("PercentOfValue", {"percent": 5})
    assert (sizing["cash"], sizing["value"], sizing["price"], sizing["size"]) == (100_000.0, 100_000.0, 100.0, 50)
    verdicts = {row["key"]: row for row in given["verdicts"]}
    assert (verdicts["risk.max_position_pct"]["value"], verdicts["risk.max_position_pct"]["limit"]) == (5_000, 10_000)
    assert (verdicts["risk.max_daily_trades"]["value"], verdicts["risk.max_daily_trades"]["reason"]) == (0.0, "")
    # What went over the wire is what the exchange was asked.
    (asked,) = [
        row["form"] for row in ran.steer.requests() if row["method"] == "POST" and row["path"] == "/orders/regular"
    ][:1]
    (sending,) = [event for event in story["events"] if event["kind"] == "sending"]
    assert {name: str(value) for name, value in sending["fields"].items()} == asked
    assert story["tags"] == [ours["tag"]]
    updates = [event for event in story["events"] if event["kind"] == "update"]
    assert updates[-1]["status"] == "COMPLETE"
    assert {event["source"] for event in updates} <= {"stream", "poll", "postback"}
    assert (story["filled"], story["average_price"]) == (ours["filled_quantity"], ours["average_price"])
    (fill,) = [event for event in story["events"] if event["kind"] == "fill"]
    assert fill["at"][:19].replace("T", " ") == ours["exchange_timestamp"]
    instrument = Instrument(exchange="NSE", tradingsymbol="TEST")
    day = ran.steer.now().date()
    cost = charge_order(instrument, Side.BUY, "MIS", [(ours["filled_quantity"], ours["average_price"])], day)
    assert story["charges"] == pytest.approx(cost.total, abs=0.005)
    assert fill["of_it"]["brokerage"] == pytest.approx(cost.brokerage)
    assert story["slippage"]["rupees"] == pytest.approx((ours["average_price"] - 100.0) * 50)


def test_it_reads_well(btkite: Btkite, ran: Ran) -> None:
    code, out, err = btkite("orders", "explain", ran.refs[0])
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 100
    assert out.startswith(f"order {ran.refs[0]} · BUY 50 {SYMBOL} Market · completed at ₹")
    for words in (
        "bar seen    NSE:TEST 60minute to 20",
        "inputs      bands[NSE:TEST].bot 100, bands[NSE:TEST].mid 100,",
        "decided by  Trader(limit=0.9) [",
        "sized by    PercentOfValue(percent=5): cash ₹1,00,000.00",
        "✓ max position 10 %: ₹5,000.00 of ₹10,000.00",
        "asked       MARKET MIS regular DAY",
        "→ place exchange=NSE",
        "← stream: COMPLETE, 50 of 50 at ₹",
        "slippage ",
        "charges     ₹",
    ):
        assert words in out, words
    assert TOKEN not in out


def test_a_denied_order_says_which_limit_and_by_how_much(btkite: Btkite, ran: Ran) -> None:
    denied = next(event for event in explained(btkite, ran.refs[1])["events"] if event["kind"] == "denied")
    assert denied["key"] == "risk.max_position_pct"
    _, out, _ = btkite("orders", "explain", ran.refs[1])
    assert "✗ max position 10 %: ₹95,000.00 of ₹" in out
    assert "denied      " in out
    assert "sized by    the strategy itself" in out
    assert "→ place" not in out


def test_a_tag_a_ref_and_an_id_are_the_same_order(btkite: Btkite, ran: Ran) -> None:
    row = next(row for row in ran.booked if row["tag"] and row["tag"].startswith("deep"))
    found = [explained(btkite, name)["ref"] for name in (row["tag"], row["order_id"], f"#{ran.refs[2]}", ran.refs[2])]
    assert found == [ran.refs[2]] * 4


def test_a_wrong_name_is_met_with_suggestions(btkite: Btkite, ran: Ran) -> None:
    order_id = ran.booked[0]["order_id"]
    wrong = order_id[:-1] + ("9" if order_id[-1] != "9" else "8")
    code, out, err = btkite("orders", "explain", wrong)
    assert (code, out) == (2, "")
    assert f"there is no order {wrong} here; did you mean " in err
    assert order_id in err
    code, _, err = btkite("orders", "explain", "nothing-like-it")
    assert code == 2
    assert f"the newest is {ran.refs[3]}" in err
    assert "`btkite orders list` lists them" in err


def test_the_saved_run_tells_the_same(btkite: Btkite, ran: Ran) -> None:
    name = ran.booked[0]["order_id"]
    assert explained(btkite, name, "--run", ran.folder) == explained(btkite, name)
    code, _, err = btkite("orders", "explain", "1", "--run", ran.folder.parent)
    assert code == 2
    assert "holds no events.jsonl: name the folder of a run that was saved" in err


def test_the_days_orders_are_listed_from_the_journal(btkite: Btkite, ran: Ran) -> None:
    code, out, _ = btkite("orders", "list", "--json")
    assert code == 0
    rows = {row["ref"]: row for row in json.loads(out)}
    assert [rows[ref]["state"] for ref in ran.refs] == ["completed", "denied", "canceled", "completed"]
    for row in ran.booked:
        (ours,) = [one for one in rows.values() if row["order_id"] in one["order_ids"]]
        assert (ours["filled"], ours["average_price"]) == (row["filled_quantity"], row["average_price"])
    _, out, _ = btkite("orders", "list")
    assert "canceled" in out
    assert SYMBOL in out


def test_a_backtest_is_explained_from_its_folder(btkite: Btkite, ran: Ran, tmp_path: Path) -> None:
    frame = tmp_path / "bars.csv"
    frame.write_text(
        "date,open,high,low,close,volume\n"
        + "".join(f"2026-11-18 09:{15 + minute}:00,100,101,99.5,100.5,1000\n" for minute in range(10))
    )
    config = tmp_path / "other.yaml"
    config.write_text(f"data:\n  source: csv\n  path: {frame}\n  warmup: 0\npaths:\n  runs: {tmp_path / 'more'}\n")
    code, out, err = btkite("run", "trader.py:Trader", "-s", SYMBOL, "--config", config)
    assert code == 0, (out, err)
    (folder,) = [path for path in (tmp_path / "more").iterdir() if path.is_dir()]
    first, second = ran.refs[3] + 1, ran.refs[3] + 2
    story = explained(btkite, first, "--run", folder)
    assert story["explained"]["sizing"]["sizer"] == "PercentOfValue"
    assert story["state"] == "completed"
    assert story["charges"] > 0
    assert "✗ max position 10 %" in btkite("orders", "explain", second, "--run", folder)[1]


def test_where_no_journal_is_it_says_so(btkite: Btkite, ran: Ran) -> None:
    code, _, err = btkite("orders", "explain", "1", "--mode", "paper")
    assert code == 1
    assert "no paper or live run of this account has kept one" in err
    code, _, err = btkite("orders", "list", "--mode", "backtest")
    assert code == 2
    assert "backtest keeps no account that could be looked at" in err


def test_the_order_book_at_kite_is_still_there(btkite: Btkite, ran: Ran) -> None:
    code, out, err = btkite("orders", "--json")
    assert code == 0, err
    assert [row["order_id"] for row in json.loads(out)] == [row["order_id"] for row in ran.booked]
