"""One log for all libraries, and no secret in it."""

from __future__ import annotations

import asyncio
import json
import logging
import logging.handlers
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from btkite import log


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """The log's file, at level debug, for the length of a test."""
    path = tmp_path / "deep" / "btkite.log"
    log.configure("debug", path)
    yield path
    log.close()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_event_is_one_json_line_with_time_in_ist_level_and_logger(file: Path) -> None:
    log.get_logger("btkite.test").info("order placed", ref=7, symbol="NSE:INFY", at=datetime(2026, 11, 2, 9, 15))
    (line,) = lines(file)
    assert list(line)[:4] == ["time", "level", "logger", "event"]
    assert line["time"].endswith("+05:30")
    assert datetime.fromisoformat(line["time"]).utcoffset().total_seconds() == 19_800  # type: ignore[union-attr]
    assert (line["level"], line["logger"], line["event"]) == ("info", "btkite.test", "order placed")
    assert (line["ref"], line["symbol"], line["at"]) == (7, "NSE:INFY", "2026-11-02T09:15:00")


def test_other_libraries_go_the_same_way(file: Path) -> None:
    logging.getLogger("urllib3.connectionpool").debug("%s done in %d ms", "GET /profile", 12)
    (line,) = lines(file)
    assert (line["logger"], line["event"]) == ("urllib3.connectionpool", "GET /profile done in 12 ms")


SECRET_NAMES = [
    "access_token",
    "api_secret",
    "authorization",
    "Authorization",
    "request_token",
    "enctoken",
    "password",
    "checksum",
    "public_token",
    "refresh_token",
    "set-cookie",
    "X_SECRET".lower(),
    "totp",
    "twofa",
    "pin",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_value_under_a_secrets_name_is_masked_however_deep(file: Path, name: str) -> None:
    log.get_logger("btkite.test").info(
        "request", **{name: "Zx81unregistered"}, body=[{"data": {name: "Zx81unregistered"}}]
    )
    text = file.read_text(encoding="utf-8")
    assert "Zx81" not in text
    assert text.count('"***"') == 2


@pytest.mark.parametrize(
    "text",
    [
        "GET https://api.kite.trade/x?api_key=abc&access_token=Zx81aaa&y=1",
        "wss://ws.kite.trade?api_key=abc&access_token=Zx81aaa",
        "headers {'Authorization': 'token abc:Zx81aaa', 'X-Kite-Version': '3'}",
        "Authorization: token abc:Zx81aaa",
        '{"data": {"access_token": "Zx81aaa", "user_id": "AB1234"}}',
        r"b'{\"enctoken\": \"Zx81aaa\"}'",
        "send request_token=Zx81aaa checksum=Zx81bbb",
        "Set-Cookie: session=Zx81aaa; kf_session=Zx81bbb; Path=/",
        "mailto://someone:Zx81aaa@example.com",
        "redirect=http%3A%2F%2Fh%3Frequest_token%3DZx81aaa",
    ],
)
def test_a_secret_in_another_librarys_text_is_masked_by_its_name(file: Path, text: str) -> None:
    logging.getLogger("kiteconnect").debug("%s", text)
    (line,) = lines(file)
    assert "Zx81" not in line["event"]
    assert "***" in line["event"]


@pytest.mark.parametrize(
    "text",
    [
        "instrument_token=408065 exchange_token=1594 order_id=2511 status=OPEN",
        "user_id: AB1234 filled at 1500.05",
        "spinning: 3 tokens, api_key=abc",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert log.redact_text(text) == text


def test_instrument_tokens_stay_readable_in_events(file: Path) -> None:
    log.get_logger("btkite.test").info("subscribed", instrument_token=408065, token=408065, tokens=[1, 2])
    (line,) = lines(file)
    assert (line["instrument_token"], line["token"], line["tokens"]) == (408065, 408065, [1, 2])


def test_a_registered_value_is_masked_everywhere_even_in_a_traceback(file: Path) -> None:
    log.register_secret("k9/Plain+Value")
    logger = log.get_logger("btkite.test")

    class Holder:
        def __repr__(self) -> str:
            return "<k9/Plain+Value>"

    def fail() -> None:
        raise RuntimeError("refused k9/Plain+Value")

    try:
        fail()
    except RuntimeError:
        logger.exception("failed", url="http://h/?t=k9%2FPlain%2BValue", holder=Holder())
        logging.getLogger("aiohttp.client").exception("failed k9/Plain+Value")
    text = file.read_text(encoding="utf-8")
    assert "k9" not in text
    for line in lines(file):
        assert "RuntimeError: refused ***" in line["exception"]
        assert "in fail" in line["exception"]


def test_the_longest_of_two_overlapping_secrets_is_masked_whole() -> None:
    log.register_secret("Overlap99")
    log.register_secret("Overlap99Longer")
    assert log.redact_text("x Overlap99Longer y") == "x *** y"


def test_a_word_too_short_for_a_secret_masks_nothing() -> None:
    log.register_secret("buy")
    log.register_secret("")
    assert log.redact_text("buy low") == "buy low"


def test_a_secretstr_masks_itself(file: Path) -> None:
    log.get_logger("btkite.test").info("loaded", held=SecretStr("Zx81hidden"))
    assert "Zx81" not in file.read_text(encoding="utf-8")


def test_without_configuration_a_logger_keeps_quiet_below_warning_and_masks_above() -> None:
    program = (
        "from btkite.log import get_logger\n"
        "log = get_logger('btkite.test')\n"
        "log.info('quiet'); log.warning('loud', access_token='Zx81')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "loud" in done.stderr
    assert "quiet" not in done.stderr
    assert "Zx81" not in done.stderr


def test_people_see_warnings_on_stderr_and_the_file_gets_the_rest(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = log.get_logger("btkite.feed")
    logger.info("bar closed")
    logger.warning("feed silent", seconds=12)
    shown = capsys.readouterr().err
    assert "bar closed" not in shown
    assert shown.rstrip().endswith("warning  feed silent  seconds=12  (btkite.feed)")
    assert [line["event"] for line in lines(file)] == ["bar closed", "feed silent"]


def test_a_traceback_for_people_stands_below_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    try:
        try:
            raise ValueError("nothing")
        except ValueError:
            log.get_logger("btkite.test").exception("failed")
    finally:
        log.close()
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("error  failed  (btkite.test)")
    assert rest[-1] == "ValueError: nothing"


def test_json_on_stderr_is_for_containers(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", json=True)
    try:
        log.get_logger("btkite.test").info("started", mode="paper")
        log.get_logger("btkite.test").debug("detail")
    finally:
        log.close()
    (line,) = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert (line["event"], line["mode"]) == ("started", "paper")


def test_a_second_configuration_replaces_the_first_and_closing_restores_the_root(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    log.configure("debug", tmp_path / "one.log")
    log.configure("info", tmp_path / "two.log")
    log.get_logger("btkite.test").info("once")
    log.close()
    assert (root.level, list(root.handlers)) == before
    assert lines(tmp_path / "one.log") == []
    assert [line["event"] for line in lines(tmp_path / "two.log")] == ["once"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no owner bits")
def test_the_file_and_its_successors_are_the_owners_alone(file: Path) -> None:
    log.get_logger("btkite.test").info("first")
    (handler,) = [one for one in logging.getLogger().handlers if isinstance(one, logging.handlers.RotatingFileHandler)]
    handler.doRollover()
    log.get_logger("btkite.test").info("second")
    names = sorted(file.parent.iterdir())
    assert [path.name for path in names] == ["btkite.log", "btkite.log.1"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in names} == {0o600}


def test_many_threads_write_whole_lines_while_secrets_are_registered(file: Path) -> None:
    logger = log.get_logger("btkite.test")
    start = threading.Barrier(4)

    def work(worker: int) -> None:
        start.wait()
        for n in range(50):
            log.register_secret(f"w{worker}secret{n}")
            logger.info("n", worker=worker, n=n, said=f"w{worker}secret{n}")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = lines(file)
    assert sorted((line["worker"], line["n"]) for line in got) == [(w, n) for w in range(4) for n in range(50)]
    assert {line["said"] for line in got} == {"***"}


def test_context_bound_in_a_task_stays_in_it(file: Path) -> None:
    import structlog

    async def task(ref: int) -> None:
        structlog.contextvars.bind_contextvars(ref=ref)
        await asyncio.sleep(0)
        log.get_logger("btkite.test").info("in task")

    async def both() -> None:
        await asyncio.gather(task(1), task(2))

    asyncio.run(both())
    assert sorted(line["ref"] for line in lines(file) if line["event"] == "in task") == [1, 2]


def test_importing_the_log_does_not_import_structlog() -> None:
    program = "import sys, btkite.log; sys.exit('structlog' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_handlers_of_ours_a_warning_is_a_readable_line(caplog):
    log.get_logger("btkite.test").warning("feed silent", seconds=12, access_token="abcdef")
    assert caplog.messages == ["feed silent  seconds=12  access_token=***"]


def test_the_simulators_own_key_stays_the_word_that_it_is() -> None:
    log.register_secret("simulator")
    log.register_secret("token-of-kite")
    try:
        assert log.redact_text("token-of-kite: use --endpoint simulator") == "***: use --endpoint simulator"
    finally:
        log.forget_secrets()
