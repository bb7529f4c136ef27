"""Login, tokens and the user."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from . import pages
from .call import HTML, Call, Raw, Route


def login_page(call: Call) -> Raw:
    """The login page: one button. With ``auto=1`` the app is sent on at once, as after a login."""
    app = call.venue.sessions.check_api_key(call.query.get("api_key", ""))
    if call.query.get("auto") == "1":
        return login(call)
    kept = {name: call.query[name] for name in ("api_key", "redirect_params") if name in call.query}
    settings = call.venue.settings
    return Raw(pages.login(settings.user_id, settings.user_name, app, kept), HTML)


def login(call: Call) -> Raw:
    """The button: to the app's redirect address with a ``request_token``, or a page that shows it."""
    given = {**call.query, **call.form}
    sessions = call.venue.sessions
    app = sessions.check_api_key(given.get("api_key", ""))
    token = sessions.new_request_token(app.api_key, call.venue.now)
    answer = {"action": "login", "type": "login", "status": "success", "request_token": token}
    answer.update(parse_qsl(given.get("redirect_params", "")))
    address = app.redirect_url
    if address:
        joined = "&" if "?" in address else "?"
        return Raw(b"", HTML, 302, f"{address}{joined}{urlencode(answer)}")
    if given.get("auto") == "1":
        return Raw(b"", HTML, 302, f"/connect/finish?{urlencode(answer)}")
    return Raw(pages.logged_in(token), HTML)


def finished(call: Call) -> Raw:
    """Where a login without a redirect address ends: the token in the address and on the page."""
    return Raw(pages.logged_in(call.query.get("request_token", "")), HTML)


def make_session(call: Call) -> Any:
    return call.venue.sessions.exchange_token(dict(call.form), call.venue.now)


def end_session(call: Call) -> Any:
    sessions, api_key = call.venue.sessions, call.query.get("api_key", "")
    if "refresh_token" in call.query:
        sessions.drop_refresh_token(api_key, call.query["refresh_token"])
    else:
        sessions.log_out(api_key, call.query.get("access_token", ""), call.venue.now)
    return True


def renew_session(call: Call) -> Any:
    return call.venue.sessions.renew(dict(call.form), call.venue.now)


def profile(call: Call) -> Any:
    return call.venue.sessions.profile()


def full_profile(call: Call) -> Any:
    return call.venue.sessions.full_profile()


TABLE = (
    Route("GET", "/connect/login", login_page, needs_token=False, unprefixed=True),
    Route("POST", "/connect/login", login, needs_token=False, unprefixed=True),
    Route("GET", "/connect/finish", finished, needs_token=False, unprefixed=True),
    Route("POST", "/session/token", make_session, needs_token=False),
    Route("DELETE", "/session/token", end_session, needs_token=False),
    Route("POST", "/session/refresh_token", renew_session, needs_token=False),
    Route("GET", "/user/profile", profile),
    Route("GET", "/user/profile/full", full_profile),
)
