"""Logging in and out of a simulated exchange, with everything real but the person at the browser."""

from __future__ import annotations

import io
import os
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from btkite.cli.app import main
from btkite.cli.login import request_token_of
from btkite.clock import SystemClock
from btkite.errors import ConfigError, SessionExpired
from btkite.exchange import Exchange, ExchangeSettings
from btkite.kite.session import Session, TokenStore

Capture = pytest.CaptureFixture[str]
TOKEN = "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zZ"
KEY, SECRET = "loginkey0000000x", "loginsecret00000000000000000000x"


def settings(redirect_url: str | None = None) -> ExchangeSettings:
    return ExchangeSettings(
        start=datetime(2025, 3, 3, 9, 0),  # long ago: the token must be good all the same
        end=datetime(2025, 3, 3, 16, 0),
        api_key=KEY,
        api_secret=SECRET,
        user_id="SIM007",
        redirect_url=redirect_url,
        rate_limits=False,
    )


@pytest.fixture(scope="module")
def running() -> Iterator[Exchange]:
    with Exchange(settings()) as exchange:
        yield exchange


@pytest.fixture
def exchange(running: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exchange:
    """A fresh exchange, and a configuration that points at it."""
    running.reset(settings())
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BTKITE_KEYRING", "off")
    monkeypatch.setenv("BTKITE_PATHS__STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BTKITE_BROKER__KITE_CONNECT__ENDPOINT", running.url)
    monkeypatch.setenv("KITE_API_KEY", KEY)
    monkeypatch.setenv("KITE_API_SECRET", SECRET)
    return running


def request_token(exchange: Exchange) -> str:
    """What a person gets by pressing the button of the login page."""
    with urllib.request.urlopen(f"{exchange.url}/connect/login?api_key={KEY}&auto=1", timeout=10) as page:
        return parse_qs(urlsplit(page.url).query)["request_token"][0]


def kept(exchange: Exchange, folder: Path, now: datetime = datetime.min) -> Session | None:
    """The session in the store, if it is not dead at ``now``."""
    return TokenStore(folder / "state", KEY, urlsplit(exchange.url).netloc).load(now)


def accepted(exchange: Exchange, token: str) -> bool:
    request = urllib.request.Request(f"{exchange.url}/user/profile", headers={"Authorization": f"token {KEY}:{token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError as error:
        return error.code != 403


def test_a_login_keeps_a_token_that_works_and_shows_neither_it_nor_the_secret(
    exchange: Exchange, tmp_path: Path, capsys: Capture
) -> None:
    once = request_token(exchange)
    assert main(["login", "--request-token", once]) == 0
    session = kept(exchange, tmp_path, SystemClock().now())
    assert session is not None
    assert session.user_id == "SIM007"
    token = session.access_token.reveal()
    assert accepted(exchange, token)
    out, err = capsys.readouterr()
    log_text = (tmp_path / "state" / "btkite.log").read_text(encoding="utf-8")
    assert "as SIM007" in out
    assert all(hidden not in out + err + log_text for hidden in (token, once, SECRET))
    files = list((tmp_path / "state").iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_the_browser_is_opened_and_brings_the_login_back(exchange: Exchange, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        redirect = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    exchange.reset(settings(redirect))
    browser = tmp_path / "browser.py"
    browser.write_text(
        "import sys, urllib.request\nurllib.request.urlopen(sys.argv[1] + '&auto=1', timeout=10).read()\n",
        encoding="utf-8",
    )
    environment = os.environ | {
        "BROWSER": f"{sys.executable} {browser} %s",
        "BTKITE_BROKER__KITE_CONNECT__REDIRECT_URL": redirect,
    }
    done = subprocess.run(
        [sys.executable, "-m", "btkite", "login", "--wait", "30"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"Waiting at {redirect}" in done.stdout
    session = kept(exchange, tmp_path)
    assert session is not None
    assert accepted(exchange, session.access_token.reveal())


def test_a_redirect_url_of_another_machine_means_pasting(
    exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BTKITE_BROKER__KITE_CONNECT__REDIRECT_URL", "https://example.com/cb")
    pasted = f"https://example.com/cb?request_token={request_token(exchange)}&action=login&status=success\n"
    done = subprocess.run(
        [sys.executable, "-m", "btkite", "login", "--no-browser"],
        input=pasted,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Log in here: http://127.0.0.1" in done.stdout
    assert kept(exchange, tmp_path) is not None


def test_a_login_as_somebody_else_is_ended_and_not_kept(
    exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("KITE_USER_ID", "AB1234")
    assert main(["login", "--request-token", request_token(exchange)]) == 2
    assert "the login was as SIM007, but user_id is AB1234" in capsys.readouterr().err
    assert kept(exchange, tmp_path) is None


def test_a_used_request_token_is_a_matter_of_logging_in_again(exchange: Exchange, capsys: Capture) -> None:
    once = request_token(exchange)
    assert main(["login", "--request-token", once]) == 0
    assert main(["login", "--request-token", once]) == 4
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert once not in err


def test_nobody_at_the_browser_is_told_after_the_wait(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("BTKITE_BROKER__KITE_CONNECT__REDIRECT_URL", "http://127.0.0.1:0/")
    assert main(["login", "--no-browser", "--wait", "0.2"]) == 4
    assert "nobody logged in within 0.2 s" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["KITE_API_KEY", "KITE_API_SECRET"])
def test_a_missing_credential_is_named_before_anything_is_opened(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, capsys: Capture, missing: str
) -> None:
    monkeypatch.delenv(missing)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["login"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert missing in err


def test_logging_out_ends_the_session_at_kite_and_forgets_it(
    exchange: Exchange, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["login", "--request-token", request_token(exchange)]) == 0
    session = kept(exchange, tmp_path)
    assert session is not None
    assert main(["logout"]) == 0
    assert "logged out of" in capsys.readouterr().out
    assert kept(exchange, tmp_path) is None
    assert not accepted(exchange, session.access_token.reveal())
    assert main(["logout"]) == 0
    assert "no token of" in capsys.readouterr().out


def test_logging_out_locally_leaves_the_token_alive(exchange: Exchange, tmp_path: Path) -> None:
    assert main(["login", "--request-token", request_token(exchange)]) == 0
    session = kept(exchange, tmp_path)
    assert session is not None
    assert main(["logout", "--local"]) == 0
    assert kept(exchange, tmp_path) is None
    assert accepted(exchange, session.access_token.reveal())


def test_a_token_that_died_meanwhile_is_forgotten_without_ado(exchange: Exchange, tmp_path: Path) -> None:
    assert main(["login", "--request-token", request_token(exchange)]) == 0
    exchange.issue_token()  # a login elsewhere: the one before is dead
    assert main(["logout"]) == 0
    assert kept(exchange, tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"  {TOKEN}\n",
        f"http://127.0.0.1:8766/?request_token={TOKEN}&action=login&status=success",
        f"https://example.com/cb?type=login&status=success&request_token={TOKEN}&state=mine",
        f"127.0.0.1:8766/?request_token={TOKEN}",
    ],
)
def test_a_request_token_is_found_in_what_is_pasted(text: str) -> None:
    assert request_token_of(text, {"state": "mine"}) == TOKEN


@pytest.mark.parametrize("text", ["", "hello world", "http://127.0.0.1:8766/", "http://h/?request_token=", "a/b?x=1"])
def test_what_holds_no_request_token_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="whole address"):
        request_token_of(text)


def test_an_address_of_another_login_is_refused() -> None:
    with pytest.raises(ConfigError, match="another login"):
        request_token_of(f"http://h/?request_token={TOKEN}&state=theirs", {"state": "mine"})


def test_a_login_that_kite_calls_failed_is_no_token() -> None:
    with pytest.raises(SessionExpired, match="did not succeed"):
        request_token_of(f"http://h/?request_token={TOKEN}&status=error")


def test_what_a_missing_secret_is_told_with_is_not_masked(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("KITE_API_SECRET")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["login", "--no-browser"]) == 2
    assert "no api_secret is known: set KITE_API_SECRET to the secret" in capsys.readouterr().err


def test_a_login_that_reaches_nobody_says_what_to_do(
    tmp_path: Path, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("BTKITE_BROKER__KITE_CONNECT__ENDPOINT", nobody)
    assert main(["login", "--request-token", TOKEN]) == 1
    assert f"see that this machine is online and reaches {nobody}, and try again" in capsys.readouterr().err
