"""``btkite exchange``, as a person starts it."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys

import pytest


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "btkite", "exchange", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_says_how_to_reach_it_serves_and_stops_on_ctrl_c() -> None:
    with start(
        "--port", "0", "--symbols", "NSE:INFY", "--speed", "lockstep", "--from", "2026-11-18", "--cash", "5000"
    ) as run:
        assert run.stdout is not None
        told: dict[str, str] = {}
        for line in run.stdout:
            if "Ctrl-C" in line:
                break
            name, _, value = line.strip().rpartition("  ")
            told[name.strip()] = value.strip()
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
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
