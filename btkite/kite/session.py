"""Logging in, once a day, and where the token rests.

Kite wants a person at the browser every day: the login page redirects to the app's URL with a
``request_token``, which is exchanged (with the api_secret) for an ``access_token``. That one dies at
06:00 IST the next morning, by a logout, or by the next login with the same key
(https://kite.trade/docs/connect/v3/user/). So a token issued before the last 06:00 is dead without
asking, and any other is only believed after :func:`verify`.

At rest the token lies in the system's keyring, if there is one that works; else in a file that only
its owner can read (mode 0600). Such a file is not encrypted: whoever can act as that user, or reads
the disk or a backup of it, can trade until 06:00. ``BTKITE_KEYRING=off`` chooses the file on purpose.
The api_secret is never written anywhere by btkite.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as time_of_day
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from ..clock import Clock
from ..errors import ConfigError, SessionExpired
from .client import KiteClient
from .endpoints import Endpoint
from .frames import moment
from .secret import Secret, mask, redact

log = logging.getLogger("btkite.kite.session")

DEATH = time_of_day(6, 0)  # IST, every day
SERVICE = "btkite"  # in the keyring
LOGIN_SECONDS = 300.0  # for a person to log in


def expires_at(issued: datetime) -> datetime:
    """The first 06:00 after a token was issued, naive IST."""
    today = datetime.combine(issued.date(), DEATH)
    return today if issued < today else today + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Session:
    """One day's login. Its repr shows no token."""

    api_key: str
    user_id: str
    access_token: Secret
    issued: datetime  # naive IST

    @property
    def expires(self) -> datetime:
        return expires_at(self.issued)

    def alive(self, now: datetime) -> bool:
        """Whether the token can still be good at ``now`` (naive IST). Kite may have ended it earlier."""
        return now < self.expires

    def __repr__(self) -> str:
        return f"Session({self.user_id}, api_key={mask(self.api_key)!r}, issued={self.issued:%Y-%m-%d %H:%M})"


def login_url(endpoint: Endpoint, api_key: str, redirect_params: Mapping[str, str] | None = None) -> str:
    """The page at which a person logs in. ``redirect_params`` come back with the redirect."""
    query = {"v": "3", "api_key": api_key}
    if redirect_params:
        query["redirect_params"] = urlencode(redirect_params)
    return f"{endpoint.login_root}?{urlencode(query)}"


def new_state() -> dict[str, str]:
    """A nonce to send as ``redirect_params`` and to expect back, so that only our own login counts."""
    return {"state": secrets.token_urlsafe(16)}


def log_in(client: KiteClient, request_token: str, api_secret: str | Secret, clock: Clock) -> Session:
    """Exchange a request token; the client uses the new access token from here on.

    Raises:
        SessionExpired: the request token is used up, too old (minutes), or not of this key.
    """
    secret = api_secret.reveal() if isinstance(api_secret, Secret) else api_secret
    answer = client.login(request_token, secret)
    return Session(
        api_key=client.api_key,
        user_id=str(answer.get("user_id") or client.user_id),
        access_token=Secret(str(answer["access_token"])),
        issued=moment(answer.get("login_time")) or clock.now(),
    )


def verify(client: KiteClient) -> dict[str, Any]:
    """Ask Kite whether the client's token is good; returns the profile.

    Raises:
        SessionExpired: there is no token, or it is dead.
        ConfigError: it is somebody else's.
    """
    if not client.access_token:
        raise SessionExpired("there is no access token of today: run `btkite login`")
    profile = client.profile()
    user_id = str(profile.get("user_id") or "")
    if client.user_id and user_id and user_id != client.user_id:
        raise ConfigError(f"the access token is of user {user_id}, not of {client.user_id}: log in again as the latter")
    client.user_id = user_id or client.user_id
    return profile


class TokenStore:
    """Where one account's session rests between runs.

    Params:
      - ``state_dir``: the folder for the file, made with mode 0700 if it is not there
      - ``account``: the user id, or the api_key
      - ``endpoint``: its name: tokens of the sandbox and of Kite are kept apart
    """

    def __init__(self, state_dir: Path | str, account: str, endpoint: str = "kite") -> None:
        self._folder = Path(state_dir).expanduser()
        self._name = f"{re.sub(r'[^A-Za-z0-9._-]', '_', endpoint)}-{re.sub(r'[^A-Za-z0-9._-]', '_', account)}"

    def __repr__(self) -> str:
        return f"TokenStore({self.where})"

    @property
    def path(self) -> Path:
        """The file that holds the session where there is no keyring."""
        return self._folder / f"session-{self._name}.json"

    @property
    def where(self) -> str:
        """For people: the keyring's name, or the file."""
        backend = _keyring()
        return f"keyring {backend.name}" if backend is not None else str(self.path)

    def load(self, now: datetime) -> Session | None:
        """The session, if there is one that can be alive at ``now`` (naive IST).

        Raises:
            ConfigError: the file may be read by others.
        """
        found = [session for session in (self._from_keyring(), self._from_file()) if session is not None]
        found = [session for session in found if session.alive(now)]
        return max(found, key=lambda session: session.issued, default=None)

    def save(self, session: Session) -> str:
        """Keep a session, in one place only; says where."""
        text = json.dumps(
            {
                "api_key": session.api_key,
                "user_id": session.user_id,
                "access_token": session.access_token.reveal(),
                "issued": session.issued.isoformat(timespec="seconds"),
            }
        )
        backend = _keyring()
        if backend is not None:
            try:
                backend.set_password(SERVICE, self._name, text)
            except _keyring_errors() as error:
                log.warning("the keyring refused (%s): the token goes to a file of mode 0600", type(error).__name__)
            else:
                self.path.unlink(missing_ok=True)
                return self.where
        self._write(text)
        return str(self.path)

    def clear(self) -> None:
        """Forget the session, wherever it is."""
        self.path.unlink(missing_ok=True)
        backend = _keyring()
        if backend is not None:
            try:
                backend.delete_password(SERVICE, self._name)
            except _keyring_errors():
                log.debug("the keyring held no session")

    def _from_keyring(self) -> Session | None:
        backend = _keyring()
        if backend is None:
            return None
        try:
            text = backend.get_password(SERVICE, self._name)
        except _keyring_errors() as error:
            log.warning("the keyring cannot be read: %s", type(error).__name__)
            return None
        return _parse(text) if text else None

    def _from_file(self) -> Session | None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"the token file {self.path} cannot be read: {error.strerror}") from error
        with os.fdopen(descriptor) as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
                raise ConfigError(
                    f"the token file {self.path} can be read by others: delete it and log in again (btkite login)"
                )
            return _parse(file.read())

    def _write(self, text: str) -> None:
        """Whole or not at all, and never readable by others, not even for a moment."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{self.path.name}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def _parse(text: str) -> Session | None:
    """A session from its text; None if the text is none (an older btkite, a damaged file)."""
    try:
        row = json.loads(text)
        return Session(
            api_key=str(row["api_key"]),
            user_id=str(row["user_id"]),
            access_token=Secret(str(row["access_token"])),
            issued=datetime.fromisoformat(row["issued"]).replace(tzinfo=None),
        )
    except (ValueError, KeyError, TypeError):
        log.warning("the stored session cannot be read: log in again")
        return None


def _keyring() -> Any:
    """The keyring's backend, or None if it is switched off, has none, or keeps secrets in the open."""
    if os.environ.get("BTKITE_KEYRING", "").lower() in ("off", "0", "no", "false"):
        return None
    import keyring
    from keyring.backends import chainer, fail, null

    backend = keyring.get_keyring()
    if isinstance(backend, fail.Keyring | null.Keyring):
        return None
    if isinstance(backend, chainer.ChainerBackend) and not backend.backends:
        return None
    if "plaintext" in type(backend).__name__.lower():
        return None
    return backend


def _keyring_errors() -> tuple[type[Exception], ...]:
    """What a keyring raises: its own errors, and those of the service behind it going away."""
    from keyring.errors import KeyringError

    return (KeyringError, OSError, RuntimeError)


class RedirectCatcher:
    """A web server on this machine that waits for one login to come back.

    The app's redirect URL at Kite must be :attr:`url`. Anything that does not carry what is
    ``expected`` (:func:`new_state`) is not our login and is turned away.
    """

    def __init__(self, port: int, expected: Mapping[str, str] | None = None, host: str = "127.0.0.1") -> None:
        wanted = dict(expected or {})
        catcher = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                if "request_token" not in query and "status" not in query:
                    self._say(404, "Nothing here.")
                elif any(query.get(name) != value for name, value in wanted.items()):
                    self._say(403, "This login was not started by btkite.")
                elif query.get("status", "success") != "success" or not query.get("request_token"):
                    catcher._failure = query.get("message") or query.get("status") or "no request_token"
                    self._say(400, "The login was not completed.")
                else:
                    catcher._token = query["request_token"]
                    self._say(200, "You are logged in. This window may be closed.")

            def _say(self, status: int, text: str) -> None:
                page = f"<!doctype html><title>btkite</title><p>{text}</p>".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: Any) -> None:
                """Nothing: the path holds the request token."""

        self._token = ""
        self._failure = ""
        try:
            self._server = HTTPServer((host, port), Handler)
        except OSError as error:
            raise ConfigError(f"port {port} for the login's redirect is not free: {error.strerror}") from error
        self.port = int(self._server.server_address[1])
        self.url = f"http://{host}:{self.port}/"

    def __enter__(self) -> RedirectCatcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.server_close()

    def wait(self, seconds: float = LOGIN_SECONDS) -> str:
        """The request token, once the browser brings it.

        Raises:
            SessionExpired: nobody logged in within ``seconds`` (real), or the login failed.
        """
        end = time.monotonic() + seconds
        while not self._token and not self._failure:
            left = end - time.monotonic()
            if left <= 0:
                raise SessionExpired(f"nobody logged in within {seconds:g} s: start again with btkite login")
            self._server.timeout = min(left, 1.0)
            self._server.handle_request()
        if self._failure:
            raise SessionExpired(f"the login was not completed ({redact(self._failure)[:200]}): start again")
        return self._token


def catch_redirect(port: int, *, seconds: float = LOGIN_SECONDS, expected: Mapping[str, str] | None = None) -> str:
    """Wait on ``http://127.0.0.1:port/`` for the login's redirect; returns its request token."""
    with RedirectCatcher(port, expected) as catcher:
        return catcher.wait(seconds)
