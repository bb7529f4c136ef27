"""The page at ``/``: what it asks for exists, and in a real browser it shows the market and moves it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
import requests

from btkite.exchange import Exchange, ExchangeSettings, control
from btkite.exchange.faults import TABLE
from btkite.exchange.page import page
from btkite.testing import Steering

from .scene import KEY, Client

Load = Callable[..., Client]
FLAT = (1_23_456.0, 1_23_456.0, 1_23_456.0, 1_23_456.0)
SECONDS = 30.0
ASKED = re.compile(r"""ask\("(GET|POST|DELETE)", "([a-z/]+)""")


def test_everything_that_the_page_asks_for_exists() -> None:
    asked = set(ASKED.findall(page().decode()))
    tables = {"GET": control.GETS, "POST": control.POSTS, "DELETE": control.DELETES}
    assert asked >= {("GET", "state"), ("GET", "requests"), ("POST", "clock"), ("POST", "market"), ("POST", "faults")}
    assert [call for call in sorted(asked) if call[1] not in tables[call[0]]] == []


def test_the_page_needs_no_other_server() -> None:
    text = page().decode()
    assert re.findall(r"https?://", text) == []
    assert re.findall(r"<(?:script|link)[^>]+(?:src|href)=\"(?!data:)", text) == []


def test_the_page_is_served_at_the_root(load: Load) -> None:
    client = load([FLAT])
    status, headers, body = client.raw("GET", "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"Simulated exchange" in body
    assert client.raw("GET", "/ws")[0] == 404


def test_pages_of_other_sites_cannot_steer(load: Load) -> None:
    client = load([FLAT])
    body = json.dumps({"pause": True}).encode()
    assert client.raw("POST", "/_exchange/clock", body, Origin="http://example.com")[0] == 403
    assert client.raw("POST", "/_exchange/clock", body, Origin=f"http://127.0.0.1:{client.port}")[0] == 200
    assert client.raw("GET", "/", Origin="http://example.com")[0] == 403


# ---- in a browser -----------------------------------------------------------------------------------


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[str]:
    """A headless Chromium; the address of its DevTools."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine: the page is not checked in a browser")
    process = subprocess.Popen(
        [found, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0",
         f"--user-data-dir={tmp_path}", "about:blank"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        address = next((line for line in process.stderr if "DevTools listening on" in line), "")
        if not address:
            pytest.skip("Chromium does not start on this machine: the page is not checked in a browser")
        yield address.split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


class Tab:
    """A page in the browser, by the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str) -> None:
        self._socket, self._session, self._numbers = socket, session, itertools.count(100)
        self.errors: list[str] = []
        self.loaded = False

    async def call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params, "sessionId": self._session})
        while True:
            message = json.loads(await self._socket.receive_str(timeout=SECONDS))
            self._hear(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(message["params"]["exceptionDetails"]))
        self.loaded |= message.get("method") == "Page.loadEventFired"

    async def go(self, url: str) -> None:
        """Open an address, and wait until it is loaded."""
        await self.call("Page.enable")
        await self._until_loaded("Page.navigate", url=url)

    async def leave(self, text: str) -> None:
        """Do what leads to another page, and wait until that is loaded."""
        await self._until_loaded("Runtime.evaluate", expression=f"void setTimeout(() => {text})")

    async def _until_loaded(self, method: str, **params: Any) -> None:
        self.loaded = False
        await self.call(method, **params)
        while not self.loaded:
            self._hear(json.loads(await self._socket.receive_str(timeout=SECONDS)))

    async def script(self, text: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def wait(self, condition: str) -> None:
        """Until a condition of the page holds."""
        polled = f"""new Promise((done, fail) => {{ let left = 600; const look = () => {{
            if ({condition}) done(true); else if (--left) setTimeout(look, 50); else fail(new Error("never")); }};
            look(); }})"""
        assert await self.script(polled) is True


@asynccontextmanager
async def tab(browser: str, url: str) -> AsyncIterator[Tab]:
    async with aiohttp.ClientSession() as http, http.ws_connect(browser, max_msg_size=0) as socket:

        async def ask(number: int, method: str, **params: Any) -> Any:
            await socket.send_json({"id": number, "method": method, "params": params})
            while True:
                message = json.loads(await socket.receive_str(timeout=SECONDS))
                if message.get("id") == number:
                    return message["result"]

        target = (await ask(1, "Target.createTarget", url="about:blank"))["targetId"]
        session = (await ask(2, "Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        opened = Tab(socket, session)
        await opened.call("Runtime.enable")
        await opened.go(url)
        yield opened


def form(name: str, **fields: str) -> str:
    """Fill a form in and press its button."""
    parts = [f"const form = document.getElementById({name!r});"]
    for field, value in fields.items():
        parts.append(f"form.elements[{field.replace('__', ':')!r}].value = {value!r};")
        if field == "kind":
            parts.append("form.elements.kind.dispatchEvent(new Event('change'));")
    return "(() => {" + "".join(parts) + "form.requestSubmit(); })()"


def text(place: str) -> str:
    return f"document.getElementById({place!r}).textContent"


def test_a_person_sees_the_market_and_moves_it(load: Load, browser: str) -> None:
    client = load([FLAT] * 10)
    url = f"http://127.0.0.1:{client.port}/"
    steer = Steering(url)
    steer.play_until("2026-11-18T09:16:00+05:30")
    requests.get(f"{url}orders", headers=client.headers, timeout=SECONDS)

    async def main() -> None:
        async with tab(browser, url) as page:
            await page.wait(f"{text('link')} === 'connected' && {text('kinds')} !== ''")
            assert "1,23,456.00" in await page.script(text("market"))  # Indian digit grouping
            assert "09:16:00" in await page.script(text("now"))
            assert await page.script(text("pace")) == "lock step"
            assert "/orders" in await page.script(text("requests"))
            assert await page.script("document.getElementById('kinds').options.length") == len(TABLE)

            await page.script(form("order", symbol=KEY, quantity="3", order_type="LIMIT", price="123400"))
            await page.wait(f"{text('orders')}.includes('OPEN')")
            await page.script(form("price", symbol=KEY, last_price="123390.05", volume="7"))
            await page.wait(f"{text('orders')}.includes('COMPLETE') && {text('positions')}.includes('1,23,390.05')")
            assert [row["filled_quantity"] for row in steer.orders()] == [3]
            assert steer.positions()[0]["quantity"] == 3

            await page.script(form("fault", kind="slow_reply", nth="2", arg__seconds="0.5", times="0"))
            await page.wait(f"{text('faults')}.includes('slow_reply')")
            (armed,) = steer.faults()
            assert (armed["args"]["seconds"], armed["match"]["nth"], armed["times"]) == (0.5, 2, None)
            await page.script("document.getElementById('clear').click()")
            await page.wait(f"{text('faults')}.includes('Nothing is armed')")

            await page.script("document.getElementById('speed').value = '7'; document.getElementById('run').click()")
            await page.wait(f"{text('pace')} === '7×'")
            await page.script("document.querySelector('[data-clock*=pause]').click()")
            await page.wait(f"{text('pace')} === 'paused'")
            assert steer.clock()["speed"] == 0

            await page.script(form("order", symbol=KEY, quantity="3", order_type="LIMIT", price="0.01"))
            await page.wait("document.getElementById('said').className.includes('bad')")  # the refusal is shown
            assert page.errors == []

    asyncio.run(main())


def test_a_person_logs_in_with_one_button_and_is_sent_to_the_app(load: Load, running: Exchange, browser: str) -> None:
    home = f"http://127.0.0.1:{running.port}/"
    client = load([FLAT], redirect_url=home, user_name="Asha & Co")

    secret = ExchangeSettings(candles={}, symbols=(KEY,)).api_secret

    async def main() -> None:
        async with tab(browser, f"{home}connect/login?api_key=sandboxkey000000&v=3&redirect_params=next%3D7") as page:
            assert await page.script("document.querySelectorAll('button').length") == 1
            assert "Asha & Co" in await page.script("document.body.textContent")
            await page.leave("document.querySelector('button').click()")
            assert await page.script("location.origin + location.pathname") == home
            query = dict(parse_qsl((await page.script("location.search"))[1:]))
            assert {**query, "request_token": ""} == {
                "type": "login", "status": "success", "request_token": "", "action": "login", "next": "7",
            }  # fmt: skip
            token = query["request_token"]
            checksum = hashlib.sha256(f"sandboxkey000000{token}{secret}".encode()).hexdigest()
            made = client.data(
                "POST", "/session/token", api_key="sandboxkey000000", request_token=token, checksum=checksum
            )
            assert made["user_name"] == "Asha & Co"
            assert page.errors == []

    asyncio.run(main())
