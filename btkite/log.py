"""One log: an event and key-values, JSON lines in a file, people's lines on stderr, no secret in either.

structlog in front, the standard library's handlers behind, so that the lines of kiteconnect, urllib3
and aiohttp go the same way and through the same mask. A secret is masked twice: by the name of its key
(``access_token=…``, in events, URLs and headers alike) and, once :func:`register_secret` knows it, by
its value wherever it turns up, tracebacks included.

::

    log = get_logger(__name__)
    log.info("order placed", ref=7, order_id="2511…")
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import quote

from .clock import from_epoch

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from structlog.typing import Processor

MASK: Final = "***"
FILE_BYTES: Final = 10_000_000
FILES_KEPT: Final = 5
_SHORTEST: Final = 4  # a shorter "secret" would black out ordinary words
_ORDINARY: Final = frozenset({"simulator"})  # key and token of the simulated exchange: in every second sentence of ours

# instrument_token and exchange_token are Kite's names of instruments, and stay readable.
_NAMES: Final = frozenset(
    {
        "access_token",
        "api_secret",
        "authorization",
        "checksum",
        "cookie",
        "enctoken",
        "otp",
        "passphrase",
        "passwd",
        "password",
        "pin",
        "proxy_authorization",
        "public_token",
        "refresh_token",
        "request_token",
        "secret",
        "set_cookie",
        "totp",
        "twofa",
        "twofa_value",
    }
)
_NAME_ENDS: Final = ("_secret", "_password", "_passwd")
_WORDS: Final = "|".join(sorted((re.escape(name).replace("_", "[-_]") for name in _NAMES), key=len, reverse=True))
_NAMED: Final = re.compile(
    rf"""(?ix) (?:(?<![a-z0-9])|(?<=%[0-9a-f]{{2}}))((?:[a-z0-9]+[-_])*(?:{_WORDS})) (\\?["']?\s*(?:=|:|%3D)\s*\\?["']?)
    ((?:token|bearer|basic|enctoken)\s+)? ([^\s&"'\\,;}}\])]+)"""
)
_COOKIES: Final = re.compile(r"(?i)\b((?:set-)?cookie\\?[\"']?\s*:\s*)([^\r\n\"\\]+)")
_USERINFO: Final = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")

_lock = threading.Lock()
_secrets: frozenset[str] = frozenset()
_values: re.Pattern[str] | None = None
_handlers: list[logging.Handler] = []
_level_before: int | None = None


def register_secret(value: str) -> None:
    """Mask ``value`` (and its form in a URL) in every line from now on. Ignored: fewer than 4 characters."""
    global _secrets, _values
    if len(value) < _SHORTEST or value in _ORDINARY:
        return
    with _lock:
        if value in _secrets:
            return
        _secrets = _secrets | {value, quote(value, safe="")}
        longest_first = sorted(_secrets, key=len, reverse=True)
        _values = re.compile("|".join(re.escape(secret) for secret in longest_first))


def forget_secrets() -> None:
    """Mask by name only from now on: the session that the registered values belonged to is over."""
    global _secrets, _values
    with _lock:
        _secrets, _values = frozenset(), None


def redact_text(text: str) -> str:
    """``text`` without a secret: neither a registered value nor what follows a secret's name."""
    values = _values
    if values is not None:
        text = values.sub(MASK, text)
    text = _COOKIES.sub(rf"\1{MASK}", text)
    text = _NAMED.sub(lambda found: f"{found[1]}{found[2]}{found[3] or ''}{MASK}", text)
    return _USERINFO.sub(rf"\1:{MASK}@", text)


def redact(value: Any, name: str = "") -> Any:
    """The same for a value of an event, however deep: mappings, sequences, objects (as their text)."""
    if _is_secret(name, value):
        return MASK if value not in ("", None) else value
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): redact(item, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(item) for item in value]
    return redact_text(str(value))


def _is_secret(name: str, value: Any) -> bool:
    name = name.lower().replace("-", "_")
    if name == "token":  # Kite's word for an instrument (a number) and for a secret (text)
        return isinstance(value, (str, bytes))
    return name in _NAMES or name.endswith(_NAME_ENDS)


def get_logger(name: str) -> BoundLogger:
    """A logger: ``info(event, **key_values)`` and its like. It needs no :func:`configure`."""
    import structlog

    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.format_exc_info,
            _redact_event,
            _to_record,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def configure(
    level: str = "info",
    file: str | os.PathLike[str] | None = None,
    json: bool = False,
    *,
    stderr_level: str = "warning",
) -> None:
    """Send the log of this process to ``file`` (JSON lines, from ``level`` on) and to stderr.

    stderr gets lines for people from ``stderr_level`` on, or with ``json`` JSON lines from ``level`` on.
    The file is readable by its owner only, and rotates at 10 MB, five kept. A second call replaces the
    first. Times are IST.

    Raises:
        OSError: the file's folder cannot be made or written.
    """
    handlers: list[logging.Handler] = []
    if file is not None:
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        rotating = _OwnersFile(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
        rotating.setLevel(level.upper())
        rotating.setFormatter(_formatter(_as_json))
        handlers.append(rotating)
    stderr = _Stderr(for_people=not json)
    stderr.setLevel((level if json else stderr_level).upper())
    stderr.setFormatter(_formatter(_as_json if json else _as_line))
    handlers.append(stderr)
    _replace(handlers)


@contextmanager
def writing(file: str | os.PathLike[str], level: str = "info") -> Iterator[None]:
    """Write the log to one more file (JSON lines) while the ``with`` block lasts, whatever else is configured."""
    handler = _OwnersFile(Path(file), maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
    handler.setLevel(level.upper())
    handler.setFormatter(_formatter(_as_json))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(min(before or logging.WARNING, handler.level))
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()


def close() -> None:
    """Take the handlers of :func:`configure` off again and close the file."""
    _replace([])


def mute() -> bool:
    """No more lines for people on stderr, because the caller speaks there itself; True if a log remains."""
    root = logging.getLogger()
    with _lock:
        for handler in [one for one in _handlers if isinstance(one, _Stderr) and one.for_people]:
            root.removeHandler(handler)
            _handlers.remove(handler)
        return bool(_handlers)


def _replace(handlers: list[logging.Handler]) -> None:
    global _level_before
    root = logging.getLogger()
    with _lock:
        for old in _handlers:
            root.removeHandler(old)
            old.close()
        _handlers[:] = handlers
        if not handlers:
            if _level_before is not None:
                root.setLevel(_level_before)
                _level_before = None
            return
        if _level_before is None:
            _level_before = root.level
        root.setLevel(min(handler.level for handler in handlers))
        for handler in handlers:
            root.addHandler(handler)


class _OwnersFile(logging.handlers.RotatingFileHandler):
    """0600 from its first byte, after every rotation."""

    def _open(self) -> Any:
        return open(
            self.baseFilename,
            self.mode,
            encoding=self.encoding,
            errors=self.errors,
            opener=lambda name, flags: os.open(name, flags, 0o600),
        )


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what ``sys.stderr`` is now, not to what it was when the handler was made."""

    def __init__(self, *, for_people: bool) -> None:
        logging.Handler.__init__(self)
        self.for_people = for_people

    @property
    def stream(self) -> IO[str]:
        return sys.stderr

    @stream.setter
    def stream(self, value: IO[str]) -> None:
        raise AttributeError("the stream is sys.stderr")


def _formatter(render: Callable[[Any, str, MutableMapping[str, Any]], str]) -> logging.Formatter:
    import structlog

    processors: list[Processor] = [
        _stamp,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redact_event,
        render,
    ]
    return structlog.stdlib.ProcessorFormatter(processors=processors)


def _stamp(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put time, level, logger and event first; they come from the record, ours or another library's."""
    record: logging.LogRecord = event["_record"]
    first = {
        "time": from_epoch(record.created).isoformat(timespec="milliseconds") + "+05:30",
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event.pop("event", ""),
    }
    return {**first, **{key: value for key, value in event.items() if key not in first}}


def _redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if key == "exc_info" else redact(value, key) for key, value in event.items()}


class _Event(dict[str, Any]):
    """What a record carries: key-values for our formatters, a sentence for those of anybody else."""

    def __str__(self) -> str:
        return _sentence(dict(self))


def _to_record(logger: Any, method: str, event: MutableMapping[str, Any]) -> tuple[tuple[_Event], dict[str, Any]]:
    """The last step of an event: into the standard library's record, as structlog's own formatter wants it."""
    return (_Event(event),), {"extra": {"_logger": logger, "_name": method}}


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, default=str)


def _as_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """``09:15:02 warning  feed silent  seconds=12  (btkite.feed)``, a traceback below it."""
    event = dict(event)
    time, level, logger = (event.pop(key) for key in ("time", "level", "logger"))
    exception = event.pop("exception", None)
    line = f"{time[11:19]} {level}  {_sentence(event)}  ({logger})"
    return f"{line}\n{exception}" if exception else line


def _sentence(event: dict[str, Any]) -> str:
    """``feed silent  seconds=12``."""
    said = event.pop("event", "")
    return "".join([str(said), *(f"  {key}={value}" for key, value in event.items())])
