"""``btkite exchange``, as a person starts it."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from kiteconnect import KiteConnect

from btkite.cli.app import main
from btkite.cli.exchange import status_line
from btkite.exchange import Status
from btkite.testing import Steering


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "btkite", "exchange", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told_by(run: subprocess.Popen[str]) -> dict[str, str]:
    """What it says of itself, by name, up to the line about Ctrl-C."""
    assert run.stdout is not None
    told: dict[str, str] = {}
    for line in run.stdout:
        if "Ctrl-C" in line:
            break
        name, _, value = line.strip().rpartition("  ")
        told[name.strip()] = value.strip()
    return told


def test_it_says_how_to_reach_it_serves_and_stops_on_ctrl_c() -> None:
    with start(
        "--port", "0", "--symbols", "NSE:INFY", "--speed", "lockstep", "--from", "2026-11-18", "--cash", "5000"
    ) as run:
        told = told_by(run)
        port = int(told["REST"].rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        header = {"Authorization": f"token {told['api key']}:{told['access token']}"}
        connection.request("GET", "/user/margins/equity", headers=header)
        assert json.loads(connection.getresponse().read())["data"]["net"] == 5000
        connection.request("POST", "/_exchange/clock", "{}")
        assert json.loads(connection.getresponse().read())["data"]["now"] == "2026-11-18T09:14:55+05:30"
        connection.close()
        run.send_signal(signal.SIGINT)
        assert run.wait(10) == 0


@contextmanager
def served(*arguments: str) -> Iterator[dict[str, str]]:
    """A running exchange; what it told."""
    with start("--port", "0", "--speed", "lockstep", *arguments) as run:
        told = told_by(run)
        try:
            assert told, run.communicate()
            yield told
        finally:
            run.send_signal(signal.SIGINT)
            assert run.wait(10) == 0


@pytest.mark.parametrize(
    ("given", "place"),
    [((), "http://127.0.0.1:8766/?"), (("--redirect-url", "http://localhost:9/x"), "http://localhost:9/x?")],
    ids=["where btkite login waits", "as told"],
)
def test_its_login_page_sends_the_browser_on(given: tuple[str, ...], place: str) -> None:
    with served(*given) as told:
        connection = http.client.HTTPConnection("127.0.0.1", int(told["REST"].rpartition(":")[2]), timeout=10)
        connection.request("GET", told["login page"].partition("0.1:")[2].partition("/")[2].join(("/", "&auto=1")))
        answer = connection.getresponse()
        assert (answer.status, str(answer.getheader("Location"))[: len(place)]) == (302, place)
        connection.close()


ACCOUNT = """
cash: 75000
user_id: AB1234
holdings:
  NSE:INFY: {quantity: 10, average_price: 1450.5}
  NSE:TCS: [5, 3900]
apps:
  - {api_key: second, api_secret: s, access_token: of-the-second, plan: personal}
"""
FAULTS = """
- kind: html_502
  match: {method: GET, path: /orders, nth: 2, at: 2026-11-18T09:00:00}
- storm: {seed: 7}
"""


def test_an_account_a_day_and_faults_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "account.yaml").write_text(ACCOUNT)
    (tmp_path / "faults.yaml").write_text(FAULTS)
    with served(
        "--account", str(tmp_path / "account.yaml"), "--faults", str(tmp_path / "faults.yaml"), "--date", "2026-11-18",
        "--generate", "3", "--symbols", "NSE:INFY", "--access-token", "mine",
    ) as told:  # fmt: skip
        assert (told["user"], told["access token"]) == ("AB1234", "mine")
        steer = Steering(told["REST"])
        state = steer.state()
        assert state["account"]["available"] == 75_000
        assert {row["tradingsymbol"]: row["quantity"] for row in state["holdings"]} == {"INFY": 10, "TCS": 5}
        assert [row.get("kind", "storm") for row in steer.faults()] == ["html_502", "storm"]
        second = KiteConnect(api_key="second", access_token="of-the-second", root=told["REST"])
        assert second.profile()["user_id"] == "AB1234"
        assert state["clock"]["now"] == "2026-11-18T09:14:55+05:30"
        steer.play_until("2026-11-18T23:00:00")
        assert steer.next_bar()["done"]
        connection = http.client.HTTPConnection(told["REST"].removeprefix("http://"), timeout=10)
        connection.request("GET", "/")
        assert b"Simulated exchange" in connection.getresponse().read()
        connection.close()


def test_the_sandboxs_shape(tmp_path: Path) -> None:
    with served("--profile", "sandbox", "--symbols", "NSE:INFY", "--from", "2026-11-18") as told:
        assert told["REST"].endswith("/oms")
        root = told["REST"].removesuffix("/oms")
        kite = KiteConnect(api_key=told["api key"], access_token=told["access token"], root=root)
        assert kite.instruments("NSE")[0]["tradingsymbol"] == "INFY"  # without the prefix
        with pytest.raises(Exception, match="Route not found"):
            kite.orders()
        kite._routes = {
            name: route if name.startswith("market.instruments") else f"/oms{route}"
            for name, route in kite._routes.items()
        }
        assert kite.orders() == []
        Steering(root).play_until("2026-11-18T09:20:00")
        order = {"variety": "regular", "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY",
                 "quantity": 1, "product": "MIS"}  # fmt: skip
        with pytest.raises(Exception, match=r"LIMIT|MARKET"):
            kite.place_order(**order, order_type="MARKET", market_protection=-1)
        last = Steering(root).state()["market"][0]["last_price"]
        assert kite.place_order(**order, order_type="LIMIT", price=last)
        with pytest.raises(Exception, match="Route not found"):
            kite.get_gtts()


def test_its_default_keys_are_those_of_the_built_in_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from btkite import runs
    from btkite.config import Config

    with served("--symbols", "NSE:INFY", "--from", "2026-11-18") as told:
        config = Config().with_(**{"exchange.port": int(told["REST"].rpartition(":")[2])})
        found = runs.reached(config)
        kite = found.broker.kite_connect
        assert kite.api_key == told["api key"]
        assert kite.access_token.get_secret_value() == told["access token"] == config.exchange.access_token


def test_in_a_terminal_one_line_says_how_the_market_stands() -> None:
    reader, writer = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "btkite", "exchange", "--port", "0", "--speed", "600", "--from", "2026-11-18"],
        stdout=subprocess.DEVNULL, stderr=writer,
    ) as run:  # fmt: skip
        os.close(writer)
        seen = b""
        while len(re.findall(rb"600\xc3\x97", seen)) < 2:
            seen += os.read(reader, 4096)
        run.send_signal(signal.SIGINT)
        assert run.wait(10) == 0
    os.close(reader)
    lines = seen.decode().split("\r")
    assert lines[1] != lines[2]
    assert re.search(r"Wed 18 Nov 2026 \d\d:\d\d:\d\d  600×  ·  orders 0 \(0 working\)", lines[1])


def test_the_line_of_a_market() -> None:
    usual = {"now": datetime(2026, 11, 18, 9, 31), "speed": 0.0, "lockstep": True, "done": False, "orders": 3,
             "working": 1, "requests": 41, "sockets": 1, "faults": 0}  # fmt: skip
    assert status_line(Status(**usual)) == (  # type: ignore[arg-type]
        "Wed 18 Nov 2026 09:31:00  lock step  ·  orders 3 (1 working)  ·  requests 41  ·  sockets 1"
    )
    late = status_line(Status(**{**usual, "lockstep": False, "done": True, "faults": 2}))  # type: ignore[arg-type]
    assert "paused, at its end" in late
    assert late.endswith("faults 2 armed")


def test_strict_is_kite_with_its_checks_and_set_goes_over_it() -> None:
    with served("--symbols", "NSE:INFY", "--date", "2026-11-18", "--strict", "--set", "depth=75") as told:
        kite = KiteConnect(told["api key"], told["access token"], root=told["REST"])
        steer = Steering(told["REST"])
        steer.play_until("2026-11-18T10:00:00")
        book = kite.quote("NSE:INFY")["NSE:INFY"]["depth"]
        assert {level["quantity"] for level in book["buy"] + book["sell"]} == {75}
        order_id = kite.place_order("regular", "NSE", "INFY", "BUY", 1000, "MIS", "MARKET", market_protection=-1)
        steer.next_bar()
        order = kite.order_history(order_id)[-1]
        assert (order["order_type"], "mktp" in order["tags"]) == ("LIMIT", True)


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--account", "cash: much", "cash is 'much'; give rupees"),
        ("--account", "money: 3", "money is not known; an account has cash"),
        ("--account", "- 3", "must be a mapping"),
        ("--account", "holdings: {NSE:INFY: 3}", "the holding NSE:INFY is written as"),
        ("--account", "holdings: {NSE:INFY: [0, 3]}", "a whole number from 1 on"),
        ("--account", "holdings: {INFY: [1, 3]}", "EXCHANGE:TRADINGSYMBOL"),
        ("--account", "apps: [{api_key: a}]", "app 1 needs api_key and api_secret"),
        ("--account", "apps: [{api_key: a, api_secret: b, colour: c}]", "app 1: colour is not known"),
        ("--account", "cash: [", "this is neither YAML nor JSON"),
        ("--faults", "kind: html_502", "must be a list of faults"),
        ("--faults", "[{kind: html_502}, {kind: rain}]", "fault 2 of the script: 'rain' is no kind of fault"),
        ("--account", None, "there is no file"),
    ],
)
def test_a_wrong_file_is_one_clear_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, text: str | None, message: str
) -> None:
    path = tmp_path / "file.yaml"
    if text is not None:
        path.write_text(text)
    assert main(["exchange", "--port", "0", "--symbols", "NSE:INFY", option, str(path)]) == 2
    error = capsys.readouterr().err
    assert message in " ".join(error.split())
    assert "Traceback" not in error


def test_a_port_in_use_is_one_clear_sentence() -> None:
    with served("--symbols", "NSE:INFY") as told:
        port = told["REST"].rpartition(":")[2]
        with start("--port", port, "--symbols", "NSE:INFY") as second:
            _, error = second.communicate(timeout=20)
    assert second.returncode == 2
    assert "stop the other program or choose another port" in " ".join(error.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--date", "2026-11-18", "--from", "2026-11-18"), "--date for one day, or --from and --to"),
        (("--date", "2026-11-22"), "2026-11-22 is a Sunday, no trading day; the next trading day is Monday 2026-11-23"),
        (("--date", "2026-11-24"), "2026-11-24 is a Tuesday, no trading day; the next trading day is Wednesday"),
        (("--date", "2026-11-08"), "a muhurat session whose hours are not known; the next trading day is Monday"),
        (("--sessions", "0"), "--sessions 0: give 1 day or more"),
        (("--generate", "7", "--candles", "somewhere"), "give one source of prices"),
        (("--set", "depth"), "write NAME=VALUE"),
        (("--set", "closing_auctoin=true"), "did you mean closing_auction?"),
        (("--set", "closing_auction=7"), "should be a valid boolean"),
        (("--set", "speed=3"), "an option of its own sets it"),
        (("--set", "chains={"), "is no YAML value"),
        (("--set", "rms=later"), "choose sync or async"),
        (("--cache", "nowhere"), "there are no candles at"),
        (("--symbols", "INFY"), "EXCHANGE:TRADINGSYMBOL"),
        (("--speed", "fast"), "realtime or lockstep"),
    ],
)
def test_a_wrong_option_is_one_clear_sentence(arguments: tuple[str, ...], message: str) -> None:
    with start("--port", "0", *arguments) as run:
        _, error = run.communicate(timeout=20)
    assert run.returncode == 2
    assert message in " ".join(error.split())
    assert "Traceback" not in error
