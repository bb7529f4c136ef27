"""``btkite login`` and ``btkite logout``: a day's session, by way of a person at a browser.

Kite has no other way in: no password, PIN or TOTP is asked here, stored here or filled in from here.
The access token is kept by :mod:`btkite.kite.session` and never printed.
"""

from __future__ import annotations

import sys
import threading
import webbrowser
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qs, urlsplit

import typer

from .. import served
from ..clock import SystemClock
from ..errors import ConfigError, SessionExpired
from ..log import register_secret
from .app import call_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..config import Config, KiteConnect
    from ..kite.client import KiteClient
    from ..kite.endpoints import Endpoint
    from ..kite.session import Session, TokenStore

EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint", metavar="NAME", help="kite, sandbox, simulator or an address, instead of the configured."
    ),
]


def login(
    ctx: typer.Context,
    endpoint: EndpointOption = None,
    paste: Annotated[
        bool, typer.Option("--paste", help="Ask for the address that the browser ends on, instead of waiting there.")
    ] = False,
    request_token: Annotated[
        str | None,
        typer.Option("--request-token", metavar="TOKEN", help="The request token, or the address that holds it."),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the login page, or only print its address.")
    ] = True,
    wait: Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for you.")] = 300.0,
) -> None:
    """Log in to Kite for today; the token dies at 06:00 IST."""
    from ..kite.session import log_in, login_url, new_state

    config = call_of(ctx).config({"broker.kite_connect.endpoint": endpoint})
    if request_token is None and (needless := _needless(config)):
        print(needless)
        return
    config = served.addressed(config)
    kite, place = config.broker.kite_connect, _place(config)
    secret = _api_secret(kite)
    if request_token is not None:
        token = request_token_of(request_token)
    else:
        state = new_state()
        page = login_url(place, kite.api_key, state)
        token = _wait_for_login(page, kite, state, wait, browser=browser, paste=paste)
    with closing(_client(config, place, "")) as client:
        session = log_in(client, token, secret, SystemClock())
        if kite.user_id and session.user_id != kite.user_id:
            client.logout()
            raise ConfigError(
                f"the login was as {session.user_id}, but user_id is {kite.user_id}: it was ended again; "
                f"log in as {kite.user_id}, or correct broker.kite_connect.user_id"
            )
    print(_kept(session, _store(config, place), place))


def logout(
    ctx: typer.Context,
    endpoint: EndpointOption = None,
    local: Annotated[bool, typer.Option("--local", help="Only forget the token here; Kite lets it live on.")] = False,
) -> None:
    """End today's session at Kite and forget its token; Kite's own web and app stay logged in."""
    config = served.addressed(call_of(ctx).config({"broker.kite_connect.endpoint": endpoint}))
    kite, place = config.broker.kite_connect, _place(config)
    store = _store(config, place)
    session = store.load(SystemClock().now())
    token = kite.access_token.get_secret_value() or (session.access_token.reveal() if session else "")
    ended = False
    if token and not local:
        with closing(_client(config, place, token)) as client:
            try:
                client.logout()
                ended = True
            except SessionExpired:
                pass  # somebody, or 06:00, was quicker
    store.clear()
    print(f"logged out of {place.name}" if ended else f"no token of {place.name} is kept here any more")


def _needless(config: Config) -> str:
    """Why no login is needed on the simulated exchange; empty if one is."""
    if not served.is_built_in(config):
        return ""
    url = served.address(config)
    kites = "for Kite: `btkite login --endpoint kite`"
    if not config.exchange.port or served.find(url) is None:
        return f"the simulator needs no login, and none is served on {url} yet (start `btkite exchange`); {kites}"
    if served.credentials(config) is not None:
        return f"the simulated exchange on {url} needs no login: it knows {config.exchange.user_id}; {kites}"
    return ""


def request_token_of(text: str, state: Mapping[str, str] | None = None) -> str:
    """The request token in a pasted address, or the text itself if it is one.

    Raises:
        SessionExpired: the address says that the login failed.
        ConfigError: it holds no request token, or belongs to a login that was not started here.
    """
    text = text.strip()
    query = {name: values[0] for name, values in parse_qs(urlsplit(text).query).items()}
    if query.get("status", "success") != "success":
        raise SessionExpired("Kite says that the login did not succeed; run `btkite login` again")
    for name, value in (state or {}).items():
        if query.get(name, value) != value:
            raise ConfigError("that address belongs to another login; run `btkite login` again and paste its own")
    token = query.get("request_token", text)
    if not token or not token.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(
            "there is no request token in that; paste the whole address of the page that the browser ended on, "
            "with the request_token in it"
        )
    register_secret(token)
    return token


def _wait_for_login(
    page: str, kite: KiteConnect, state: Mapping[str, str], seconds: float, *, browser: bool, paste: bool
) -> str:
    from ..kite.session import RedirectCatcher

    port = _port_here(kite.redirect_url)
    if paste or port is None:
        _show(page, browser=browser)
        return request_token_of(typer.prompt("Then paste the address of the page that the browser ends on"), state)
    with RedirectCatcher(port, state) as catcher:
        _show(page, browser=browser)
        print(f"Waiting at {catcher.url} for at most {seconds:g} s.", flush=True)
        return catcher.wait(seconds)


def _show(page: str, *, browser: bool) -> None:
    print(f"Log in here: {page}", flush=True)
    if browser:
        # A browser in the terminal returns only when it is left; meanwhile the redirect must be served.
        threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()


def _port_here(redirect_url: str) -> int | None:
    """The port to wait at, if the redirect URL is a plain one of this machine."""
    parts = urlsplit(redirect_url)
    here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    return (80 if parts.port is None else parts.port) if here else None


def _api_secret(kite: KiteConnect) -> str:
    if not kite.api_key:
        raise ConfigError("no api_key is known: set KITE_API_KEY to the key of your app (developers.kite.trade)")
    secret = kite.api_secret.get_secret_value()
    if not secret and sys.stdin.isatty():
        secret = typer.prompt("The app's api_secret (not shown, not stored)", hide_input=True).strip()
        register_secret(secret)
    if not secret:
        raise ConfigError(
            "no api_secret is known: set KITE_API_SECRET to the secret of your app (developers.kite.trade)"
        )
    return str(secret)


def _place(config: Config) -> Endpoint:
    from ..kite.endpoints import resolve

    return resolve(config.broker.kite_connect.endpoint)


def _store(config: Config, place: Endpoint) -> TokenStore:
    from ..kite.session import TokenStore

    return TokenStore(config.paths.state, config.broker.kite_connect.api_key, place.name)


def _client(config: Config, place: Endpoint, token: str) -> KiteClient:
    from ..kite.client import KiteClient

    kite = config.broker.kite_connect

    return KiteClient(
        place,
        kite.api_key,
        token,
        user_id=kite.user_id,
        clock=SystemClock(),
        timeout=kite.timeout,
        debug=kite.debug,
        ipv4=config.network.ipv4_only,
        proxy=config.network.proxy.get_secret_value(),
    )


def _kept(session: Session, store: TokenStore, place: Endpoint) -> str:
    if place.rest_root.startswith("https:"):
        dies = f"{session.expires:%d %b %Y %H:%M} IST"
    else:
        # A simulated exchange stamps its own market time, by which the token may be years dead here.
        session = replace(session, issued=SystemClock().now())
        dies = "06:00 IST of its own time"
    where = store.save(session)
    return f"logged in to {place.name} as {session.user_id}; the token is kept in {where} and dies at {dies}"
