from __future__ import annotations

import hashlib
import http.client
import json
import logging
import os
import pickle
import stat
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.clock import ManualClock
from btkite.errors import ConfigError, KiteUnavailable, SessionExpired
from btkite.kite.client import KiteClient
from btkite.kite.endpoints import KITE, SANDBOX
from btkite.kite.secret import Secret, mask, redact
from btkite.kite.session import (
    RedirectCatcher,
    Session,
    TokenStore,
    catch_redirect,
    expires_at,
    log_in,
    login_url,
    new_state,
    verify,
)
from tests.kite.fakes import KEY, NOON, TOKEN, FakeRest, data, error

SESSION = Session(KEY, "AB1234", Secret(TOKEN), NOON)


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BTKITE_KEYRING", "off")


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "state", "AB1234")


# -- the day ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("issued", "dies"),
    [
        (datetime(2026, 11, 23, 8, 30), datetime(2026, 11, 24, 6, 0)),
        (datetime(2026, 11, 23, 5, 59, 59), datetime(2026, 11, 23, 6, 0)),
        (datetime(2026, 11, 23, 6, 0), datetime(2026, 11, 24, 6, 0)),
        (datetime(2026, 12, 31, 23, 59), datetime(2027, 1, 1, 6, 0)),
    ],
)
def test_a_token_dies_at_the_next_six_in_the_morning(issued: datetime, dies: datetime) -> None:
    assert expires_at(issued) == dies
    session = Session(KEY, "AB1234", Secret(TOKEN), issued)
    assert session.alive(dies - timedelta(seconds=1))
    assert not session.alive(dies)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))
def test_no_token_lives_longer_than_a_day(issued: datetime) -> None:
    assert timedelta(0) < expires_at(issued) - issued <= timedelta(days=1)
    assert (expires_at(issued).hour, expires_at(issued).minute) == (6, 0)


# -- the login -------------------------------------------------------------------------------------


def test_the_login_page_is_the_endpoints_own() -> None:
    assert login_url(KITE, KEY) == f"https://kite.zerodha.com/connect/login?v=3&api_key={KEY}"
    assert login_url(SANDBOX, KEY).startswith("https://sandbox.kite.trade/connect/login?")
    state = new_state()
    query = parse_qs(urlsplit(login_url(KITE, KEY, state)).query)
    assert parse_qs(query["redirect_params"][0]) == {"state": [state["state"]]}


def test_a_request_token_becomes_a_session(rest: FakeRest, clock: ManualClock) -> None:
    rest.then(data({"user_id": "AB1234", "access_token": TOKEN, "login_time": "2026-11-23 08:31:02"}), data({}))
    client = KiteClient(rest.endpoint, KEY, clock=clock)
    session = log_in(client, "req1", Secret("sec2"), clock)
    assert session == Session(KEY, "AB1234", Secret(TOKEN), datetime(2026, 11, 23, 8, 31, 2))
    form = rest.asked[0].form
    assert form["checksum"] == hashlib.sha256(f"{KEY}req1sec2".encode()).hexdigest()
    assert (form["api_key"], form["request_token"]) == (KEY, "req1")
    client.profile()
    assert rest.asked[1].headers["Authorization"] == f"token {KEY}:{TOKEN}"
    assert client.user_id == "AB1234"


def test_a_used_request_token_says_to_log_in_again(rest: FakeRest, clock: ManualClock) -> None:
    rest.then(error(403, "TokenException", "Token is invalid or has expired."))
    with pytest.raises(SessionExpired, match=r"Token is invalid or has expired\. \(log in again: btkite login\)$"):
        log_in(KiteClient(rest.endpoint, KEY, clock=clock), "req1", "sec2", clock)


@pytest.mark.parametrize("answer", [{}, {"access_token": TOKEN}, {"login_time": None}, [1], None])
def test_a_session_object_with_holes_is_no_crash(rest: FakeRest, clock: ManualClock, answer: Any) -> None:
    rest.then(data(answer))
    with pytest.raises(KiteUnavailable) as raised:
        log_in(KiteClient(rest.endpoint, KEY, clock=clock), "req1", "sec2", clock)
    assert TOKEN not in str(raised.value)


def test_a_token_is_believed_when_the_profile_comes(rest: FakeRest, clock: ManualClock) -> None:
    rest.on("/user/profile", data({"user_id": "AB1234"}))
    client = KiteClient(rest.endpoint, KEY, TOKEN, clock=clock)
    assert verify(client) == {"user_id": "AB1234"}
    assert client.user_id == "AB1234"
    other = KiteClient(rest.endpoint, KEY, TOKEN, clock=clock, user_id="ZZ9999")
    with pytest.raises(ConfigError, match="of user AB1234, not of ZZ9999"):
        verify(other)


def test_without_a_token_nothing_is_asked(rest: FakeRest, clock: ManualClock) -> None:
    with pytest.raises(SessionExpired, match="btkite login"):
        verify(KiteClient(rest.endpoint, KEY, clock=clock))
    assert rest.asked == []


# -- at rest ---------------------------------------------------------------------------------------


def test_a_session_rests_in_a_file_that_only_its_owner_reads(store: TokenStore) -> None:
    assert store.save(SESSION) == str(store.path)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    assert store.load(NOON) == SESSION
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name]


def test_a_wide_umask_does_not_open_the_file(store: TokenStore) -> None:
    before = os.umask(0)
    try:
        store.save(SESSION)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_a_file_that_others_can_read_is_not_used(store: TokenStore) -> None:
    store.save(SESSION)
    store.path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        store.load(NOON)


def test_a_link_is_not_followed(store: TokenStore, tmp_path: Path) -> None:
    elsewhere = TokenStore(tmp_path / "elsewhere", "AB1234")
    elsewhere.save(SESSION)
    store.path.parent.mkdir()
    store.path.symlink_to(elsewhere.path)
    with pytest.raises(ConfigError, match="cannot be read"):
        store.load(NOON)


def test_a_dead_session_is_not_given_out(store: TokenStore) -> None:
    store.save(SESSION)
    assert store.load(datetime(2026, 11, 24, 5, 59)) == SESSION
    assert store.load(datetime(2026, 11, 24, 6, 0)) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"api_key": "x"}', '{"api_key":"x","user_id":"y","access_token":"z","issued":"?"}']
)
def test_a_damaged_file_is_as_none(store: TokenStore, text: str) -> None:
    store.save(SESSION)
    store.path.write_text(text)
    assert store.load(NOON) is None


def test_clear_forgets(store: TokenStore) -> None:
    store.save(SESSION)
    store.clear()
    store.clear()
    assert store.load(NOON) is None
    assert not store.path.exists()


def test_accounts_and_endpoints_are_kept_apart(tmp_path: Path) -> None:
    one = TokenStore(tmp_path, "AB1234")
    others = [
        TokenStore(tmp_path, "AB1234", "sandbox"),
        TokenStore(tmp_path, "../ZZ/9999"),
        TokenStore(tmp_path, "ZZ", "127.0.0.1:80"),
    ]
    one.save(SESSION)
    assert all(other.load(NOON) is None for other in others)
    assert all(other.path.parent == tmp_path for other in others)


@pytest.fixture
def keyring_in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[tuple[str, str], str]]:
    """A real backend of the keyring library that keeps its secrets in a dict."""
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.errors import PasswordDeleteError

    kept: dict[tuple[str, str], str] = {}

    class Memory(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def get_password(self, service: str, username: str) -> str | None:
            return kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            kept[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            if kept.pop((service, username), None) is None:
                raise PasswordDeleteError(username)

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    monkeypatch.delenv("BTKITE_KEYRING")
    yield kept
    keyring.set_keyring(before)


def test_a_keyring_is_preferred_and_no_file_is_left(
    keyring_in_memory: dict[tuple[str, str], str], store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BTKITE_KEYRING", "off")
    store.save(SESSION)
    assert store.path.exists()
    monkeypatch.delenv("BTKITE_KEYRING")
    assert store.save(SESSION).startswith("keyring")
    assert not store.path.exists()
    assert store.load(NOON) == SESSION
    assert list(keyring_in_memory) == [("btkite", "kite-AB1234")]
    store.clear()
    store.clear()
    assert keyring_in_memory == {}


def test_the_later_login_wins_wherever_it_rests(
    keyring_in_memory: dict[tuple[str, str], str], store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(SESSION)
    later = Session(KEY, "AB1234", Secret("later-token"), NOON + timedelta(hours=1))
    with monkeypatch.context() as patched:
        patched.setenv("BTKITE_KEYRING", "off")
        store.save(later)
    assert store.load(NOON + timedelta(hours=2)) == later


@pytest.mark.parametrize("kind", ["fail", "null", "chainer"])
def test_a_keyring_that_keeps_nothing_counts_as_none(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import keyring
    from keyring.backends import chainer, fail, null

    class Empty(chainer.ChainerBackend):
        backends = ()  # type: ignore[assignment]

    monkeypatch.delenv("BTKITE_KEYRING")
    before = keyring.get_keyring()
    keyring.set_keyring({"fail": fail.Keyring, "null": null.Keyring, "chainer": Empty}[kind]())
    try:
        assert store.save(SESSION) == str(store.path)
        assert store.load(NOON) == SESSION
        store.clear()
    finally:
        keyring.set_keyring(before)


def test_a_keyring_that_is_locked_gives_way_to_the_file(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.errors import KeyringLocked

    class Locked(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def get_password(self, *_: str) -> str:
            raise KeyringLocked("locked")

        set_password = delete_password = get_password  # type: ignore[assignment]

    monkeypatch.delenv("BTKITE_KEYRING")
    before = keyring.get_keyring()
    keyring.set_keyring(Locked())
    try:
        assert store.save(SESSION) == str(store.path)
        assert store.load(NOON) == SESSION
        store.clear()
        assert store.load(NOON) is None
    finally:
        keyring.set_keyring(before)
    assert "KeyringLocked" in caplog.text
    assert TOKEN not in caplog.text


# -- the redirect ----------------------------------------------------------------------------------


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def waiting(catcher: RedirectCatcher) -> tuple[threading.Thread, list[Any]]:
    result: list[Any] = []

    def wait() -> None:
        try:
            result.append(catcher.wait(10))
        except SessionExpired as expired:
            result.append(expired)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread, result


def test_the_redirect_brings_the_request_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    state = new_state()
    with RedirectCatcher(0, state) as catcher:
        thread, result = waiting(catcher)
        assert get(catcher.port, "/favicon.ico")[0] == 404
        assert get(catcher.port, "/?request_token=forged&status=success")[0] == 403
        assert get(catcher.port, "/?request_token=forged&status=success&state=guess")[0] == 403
        status, page = get(catcher.port, f"/?action=login&status=success&request_token=req1&state={state['state']}")
        thread.join(10)
    assert (status, result) == (200, ["req1"])
    assert "You are logged in" in page
    assert "req1" not in page + caplog.text


def test_a_login_that_was_given_up_says_so() -> None:
    with RedirectCatcher(0) as catcher:
        thread, result = waiting(catcher)
        assert get(catcher.port, "/?status=cancelled&request_token=")[0] == 400
        thread.join(10)
    assert isinstance(result[0], SessionExpired)
    assert "the login was not completed (cancelled)" in str(result[0])


def test_nobody_is_waited_for_for_ever() -> None:
    with pytest.raises(SessionExpired, match=r"nobody logged in within 0\.05 s"):
        catch_redirect(0, seconds=0.05)


def test_a_port_in_use_is_one_clear_sentence() -> None:
    with RedirectCatcher(0) as first, pytest.raises(ConfigError, match=f"port {first.port} .* is not free"):
        RedirectCatcher(first.port)


# -- secrets ---------------------------------------------------------------------------------------


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(TOKEN)
    for text in (repr(secret), str(secret), f"{secret}", repr(SESSION), repr([SESSION]), str({"s": secret})):
        assert TOKEN not in text
    assert secret.reveal() == TOKEN
    assert secret == Secret(TOKEN) != Secret("other")
    assert not Secret("")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


@pytest.mark.parametrize(("text", "masked"), [("abcdef", "ab…(6)"), ("abcd", "…(4)"), ("a", "…(1)"), ("", "")])
def test_a_mask_tells_beginning_and_length_only(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        f"wss://ws.kite.trade/?api_key={KEY}&access_token={TOKEN}&x=1",
        f"Authorization: token {KEY}:{TOKEN}",
        json.dumps({"access_token": TOKEN}),
        repr({"enctoken": TOKEN}),
        f"api_secret={TOKEN} request_token={TOKEN}",
        f"checksum%3D{TOKEN}",
    ],
)
def test_token_like_parts_of_a_text_are_blotted_out(text: str) -> None:
    assert TOKEN not in redact(text)
    assert "***" in redact(text)


def test_a_known_secret_is_blotted_out_wherever_it_stands() -> None:
    assert redact(f"so {TOKEN} so", TOKEN) == "so *** so"
    assert redact("instrument_token=408065") == "instrument_token=408065"
