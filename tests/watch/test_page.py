"""The status as a page: of this machine alone, with a word in its address, and a button that kills."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from btkite.config import Config
from btkite.risk.gate import KillSwitch
from btkite.watch.page import LOOPBACK, Page
from btkite.watch.places import places
from btkite.watch.reading import standing

SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    config = Config().with_(
        **{
            "paths.state": tmp_path / "state",
            "broker.kite_connect.endpoint": "http://127.0.0.1:9",
            "broker.kite_connect.user_id": "SIM001",
            "broker.kite_connect.api_secret": SECRET,
            "broker.kite_connect.access_token": SECRET,
        }
    )
    (place,) = places("live", config, None)
    with Page(config, lambda: [standing(place)]) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def switch(tmp_path: Path) -> KillSwitch:
    return KillSwitch(tmp_path / "state" / "127.0.0.1-9" / "SIM001" / "live" / "kill")


def ask(page: Page, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
    parts = urlsplit(page.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    sent = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    connection.request(method, path, urlencode(form) if form is not None else None, {**sent, **headers})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_it_listens_on_the_loopback_alone(page: Page) -> None:
    assert page.server_address[0] == LOOPBACK == "127.0.0.1"


def test_it_shows_the_status_and_no_secret(page: Page) -> None:
    status, text = ask(page, "GET", f"/{page.word}/")
    assert status == 200
    assert "SIM001 · live on 127.0.0.1:9" in text
    assert SECRET not in text
    assert page.word not in text


def test_the_button_kills(page: Page, tmp_path: Path) -> None:
    form = {"mode": "live", "reason": "<b>enough</b>", "flatten": "yes"}
    assert ask(page, "POST", f"/{page.word}/kill", form)[0] == 303
    assert switch(tmp_path).flatten
    assert switch(tmp_path).reason.startswith("<b>enough</b>, since ")
    _, text = ask(page, "GET", f"/{page.word}/")
    assert "is engaged" in text
    assert "<b>enough" not in text
    assert "btkite kill --confirm USER_ID" in text


def test_without_flatten_it_only_stops(page: Page, tmp_path: Path) -> None:
    ask(page, "POST", f"/{page.word}/kill", {"mode": "live", "reason": ""})
    assert switch(tmp_path).reason.startswith("the page, since ")
    assert not switch(tmp_path).flatten


@pytest.mark.parametrize("path", ["/", "/kill", "//kill", "/wrong/", "/wrong/kill", "/{word}/other", "/{word}"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_the_word_nothing_is_shown_or_done(page: Page, tmp_path: Path, path: str, method: str) -> None:
    status, text = ask(page, method, path.format(word=page.word), {"mode": "live"} if method == "POST" else None)
    assert status == 404
    assert "SIM001" not in text
    assert not switch(tmp_path).engaged()


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:80"}, {"Origin": "http://evil.example"}], ids=["host", "origin"]
)
def test_a_page_of_somebody_elses_cannot_press_the_button(page: Page, tmp_path: Path, headers: dict[str, str]) -> None:
    assert ask(page, "POST", f"/{page.word}/kill", {"mode": "live"}, **headers)[0] == 404
    assert not switch(tmp_path).engaged()


def test_looking_kills_nobody(page: Page, tmp_path: Path) -> None:
    assert ask(page, "GET", f"/{page.word}/kill?mode=live")[0] == 404
    assert not switch(tmp_path).engaged()
