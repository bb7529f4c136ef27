"""config.yaml, .env and environment into one frozen Config: precedence, bounds, sentences, secrets."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from btkite import log
from btkite.config import Config, examine, load, read
from btkite.errors import ConfigError

REPOSITORY = Path(__file__).parents[1]
WriteYaml = Callable[[str], Path]


@pytest.fixture(autouse=True)
def plain_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Config() asks the process's environment where files go; load(env={}) does not."""
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path: Path) -> WriteYaml:
    def write(text: str) -> Path:
        file = tmp_path / "config.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own and an environment without btkite in it."""
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(path: Path | None = None, **given: Any) -> str:
    given.setdefault("env", {})
    with pytest.raises(ConfigError) as caught:
        load(path, **given)
    return str(caught.value)


def test_the_shipped_file_is_the_defaults() -> None:
    assert load(REPOSITORY / "config.yaml", env={}) == load(env={}, overrides={}) == Config()


def test_without_file_and_environment_the_defaults_are_in_force(empty_folder: Path) -> None:
    assert load() == Config()
    assert load().broker.capital == 100_000.0


def test_environment_wins_over_dotenv_wins_over_yaml_wins_over_default(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trades = "max_daily_trades"
    assert load().risk.max_daily_trades == 50
    (empty_folder / "config.yaml").write_text(f"risk: {{{trades}: 40, max_position_pct: 4}}\n", encoding="utf-8")
    assert load().risk.max_daily_trades == 40
    (empty_folder / ".env").write_text("BTKITE_RISK__MAX_DAILY_TRADES=30\n", encoding="utf-8")
    assert load().risk.max_daily_trades == 30
    monkeypatch.setenv("BTKITE_RISK__MAX_DAILY_TRADES", "20")
    assert load().risk.max_daily_trades == 20
    assert load(overrides={"risk.max_daily_trades": 10}).risk.max_daily_trades == 10
    assert load().risk.max_position_pct == 4  # its neighbour stays what the file says


def test_the_origin_of_each_value_is_known(write: WriteYaml) -> None:
    file = write("risk:\n  max_position_pct: 4\n  max_daily_trades: 9\n")
    loaded = read(file, env={"BTKITE_RISK__MAX_DAILY_TRADES": "8"}, overrides={"run.quiet": True})
    assert loaded.path == file
    assert loaded.origins == {
        "risk.max_position_pct": "config.yaml, line 2",
        "risk.max_daily_trades": "environment, BTKITE_RISK__MAX_DAILY_TRADES",
        "run.quiet": "command line",
    }


def test_the_variable_names_another_file_even_beside_a_config_yaml(empty_folder: Path) -> None:
    (empty_folder / "config.yaml").write_text("run: {sessions: 1}\n", encoding="utf-8")
    other = empty_folder / "other.yaml"
    other.write_text("run: {sessions: 2}\n", encoding="utf-8")
    assert load().run.sessions == 1
    assert load(env={"BTKITE_CONFIG": str(other)}).run.sessions == 2
    assert load("config.yaml", env={"BTKITE_CONFIG": str(other)}).run.sessions == 1


def test_a_given_environment_replaces_dotenv_too(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("BTKITE_RUN__SESSIONS=3\n", encoding="utf-8")
    assert load().run.sessions == 3
    assert load(env={}).run.sessions is None


@pytest.mark.parametrize("name", ["KITE_API_SECRET", "BTKITE_BROKER__KITE_CONNECT__API_SECRET"])
def test_credentials_come_from_either_variable(name: str) -> None:
    config = load(env={name: "s3cretvalue"})
    assert config.broker.kite_connect.api_secret.get_secret_value() == "s3cretvalue"


def test_the_two_names_of_one_credential_must_agree() -> None:
    both = {"KITE_API_KEY": "one", "BTKITE_BROKER__KITE_CONNECT__API_KEY": "one"}
    assert load(env=both).broker.kite_connect.api_key == "one"
    sentence = refusal(env=both | {"KITE_API_KEY": "two"})
    assert sentence.startswith("broker.kite_connect.api_key is set twice, differently")
    assert "KITE_API_KEY" in sentence


def test_an_empty_variable_counts_as_not_set(write: WriteYaml) -> None:
    file = write("broker: {kite_connect: {api_key: fromfile}}\n")
    assert load(file, env={"KITE_API_KEY": " "}).broker.kite_connect.api_key == "fromfile"


def test_null_and_lists_can_be_said_in_a_variable() -> None:
    config = load(
        env={
            "BTKITE_RISK__MAX_DAILY_TRADES": "null",
            "BTKITE_EXCHANGE__SYMBOLS": "nse:infy, NSE:TCS BSE:SBIN",
            "BTKITE_ALERTS__URLS": "mailto://u:p@h?to=a,b json://z/",
        }
    )
    assert config.risk.max_daily_trades is None
    assert config.exchange.symbols == ("NSE:INFY", "NSE:TCS", "BSE:SBIN")
    assert [url.get_secret_value() for url in config.alerts.urls] == ["mailto://u:p@h?to=a,b", "json://z/"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "risk:\n", "risk:\n  # max_daily_trades: 1\nbroker:\n"])
def test_a_file_or_section_with_all_commented_out_is_the_defaults(write: WriteYaml, text: str) -> None:
    assert load(write(text), env={}) == Config()


def test_an_unknown_key_is_refused_with_file_line_and_the_key_that_was_meant(write: WriteYaml) -> None:
    file = write("risk:\n  max_daily_trades: 5\n  max_postion_pct: 5\n")
    assert refusal(file) == (
        "unknown key risk.max_postion_pct (config.yaml, line 3); did you mean risk.max_position_pct?"
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("broker: {max_position_pct: 5}", "did you mean risk.max_position_pct?"),
        ("max_position_pct: 5", "did you mean risk.max_position_pct?"),
        ("api_key: abc", "did you mean broker.kite_connect.api_key or exchange.api_key?"),
        ("riks: {enabled: true}", "did you mean risk?"),
        ("wholly: {unheard: of}", "docs/configuration.md lists all keys"),
    ],
)
def test_a_key_in_the_wrong_place_is_sent_to_the_right_one(write: WriteYaml, text: str, meant: str) -> None:
    assert refusal(write(text)).endswith(meant)


def test_a_misspelt_variable_is_refused_not_ignored() -> None:
    assert refusal(env={"BTKITE_RISK__MAX_POSTION_PCT": "5"}) == (
        "unknown variable BTKITE_RISK__MAX_POSTION_PCT (environment); did you mean BTKITE_RISK__MAX_POSITION_PCT?"
    )
    assert refusal(env={"BTKITE_RISK_MAX_POSITION_PCT": "5"}).endswith("with two underscores?")


def test_other_programs_variables_are_none_of_our_business() -> None:
    assert load(env={"BTKITE_SHARED": "x", "KITE_HOME": "y", "PATH": "z", "PASSWORD": "w"}) == Config()


OUT_OF_BOUNDS = [
    ("risk.max_position_pct", 250, "must be above 0 and at most 100, it is 250"),
    ("risk.max_position_pct", 0, "must be above 0 and at most 100, it is 0"),
    ("risk.max_position_pct", "ten", "must be a number above 0 and at most 100, it is 'ten'"),
    ("risk.max_position_pct", None, "must be a number above 0 and at most 100, it is empty"),
    ("risk.max_position_pct", float("nan"), "must be a number above 0 and at most 100, it is nan"),
    ("risk.max_order_value", -1, "must be above 0, it is -1"),
    ("risk.max_daily_loss", True, "must be a number, it is true"),
    ("risk.max_daily_trades", 2.5, "must be a whole number above 0 or null, it is 2.5"),
    ("risk.enabled", "perhaps", "must be true or false, it is 'perhaps'"),
    ("broker.capital", 0, "must be above 0, it is 0"),
    ("broker.capital", "1,00,000", "must be a number above 0, it is '1,00,000'"),
    ("broker.default_product", "BO", "must be one of MIS, CNC, NRML, MTF, it is 'BO'"),
    ("broker.stop_as", "SLM", "must be SL-M or SL, it is 'SLM'"),
    ("broker.market_protection", 0, "must be -1 (Kite's own) or above 0 and at most 100, it is 0"),
    ("broker.market_protection", 101, "must be -1 (Kite's own) or above 0 and at most 100, it is 101"),
    ("broker.decide_at", "25:00", "must be null or a time of day in IST such as 15:20, it is '25:00'"),
    ("broker.kite_connect.timeout", 0, "must be above 0 and at most 120, it is 0"),
    ("broker.kite_connect.user_id", 123, "must be text: put it in quotes, it is 123"),
    ("broker.kite_connect.endpoint", "ftp://x", "must be kite, sandbox, simulator, simulator:PORT or an address"),
    ("broker.kite_connect.redirect_url", "127.0.0.1", "must be an http(s) address"),
    ("data.grace", -0.1, "must be at least 0 and at most 60, it is -0.1"),
    ("paths.runs", "", "must be a folder, it is empty"),
    ("exchange.port", 70_000, "must be at least 0 and at most 65535, it is 70000"),
    ("exchange.host", "", "must be text that is not empty, it is ''"),
    ("exchange.speed", 0, "must be lockstep, realtime or a number above 0 and at most 100000, it is 0"),
    ("exchange.interval", "2minute", "must be one of minute, 3minute"),
    ("exchange.symbols", ["RELIANCE"], "must be EXCHANGE:TRADINGSYMBOL, such as NSE:RELIANCE, it is 'RELIANCE'"),
    ("log.file", 3, "must be true or false or a path, it is 3"),
    ("risk", 5, "must be a section of keys"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), OUT_OF_BOUNDS, ids=lambda value: str(value)[:40])
def test_a_value_out_of_bounds_is_refused_in_one_sentence_that_names_key_value_and_file(
    write: WriteYaml, key: str, value: Any, sentence: str
) -> None:
    *sections, name = key.split(".")
    tree: dict[str, Any] = {name: value}
    for section in reversed(sections):
        tree = {section: tree}
    text = json.dumps(tree).replace("NaN", ".nan")  # JSON is YAML
    said = refusal(write(text))
    assert said.startswith(key)
    assert sentence in said
    assert said.endswith("(config.yaml, line 1)")
    assert "\n" not in said


def test_the_simulator_on_another_port_is_the_simulator() -> None:
    config = Config().with_(**{"broker.kite_connect.endpoint": "simulator:8790"})
    assert (config.broker.kite_connect.endpoint, config.exchange.port) == ("simulator", 8790)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("broker.decide_at", "15:20", "15:20"),  # YAML 1.1 reads the number 920
        ("broker.decide_at", "09:15", "09:15"),
        ("broker.decide_at", "9:15", "09:15"),
        ("broker.decide_at", "null", None),
        ("broker.market_protection", "2", 2.0),
        ("exchange.speed", "60", 60.0),
        ("exchange.speed", "realtime", "realtime"),
        ("log.file", "off", False),
        ("log.file", "here.log", Path("here.log")),
        ("risk.max_daily_trades", "null", None),
        ("broker.kite_connect.endpoint", "http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("broker.kite_connect.endpoint", "simulator:9000", "simulator"),
        ("alerts.urls", "", ()),
        ("exchange.user_id", "'007'", "007"),
    ],
)
def test_what_yaml_writes_is_what_is_meant(write: WriteYaml, key: str, text: str, value: Any) -> None:
    *sections, name = key.split(".")
    lines = [f"{'  ' * depth}{section}:" for depth, section in enumerate(sections)]
    lines.append(f"{'  ' * len(sections)}{name}: {text}")
    assert load(write("\n".join(lines)), env={}).get(key) == value


def test_a_key_given_twice_is_refused(write: WriteYaml) -> None:
    file = write("risk:\n  max_daily_trades: 5\n  max_daily_trades: 500\n")
    assert refusal(file) == "risk.max_daily_trades is given twice (config.yaml, line 3); keep one"


def test_yaml_that_cannot_be_parsed_names_file_and_line_and_quotes_nothing(write: WriteYaml) -> None:
    sentence = refusal(write("broker:\n  kite_connect:\n    api_secret: [hunter2hunter2\n"))
    assert "config.yaml is not valid YAML" in sentence
    assert "line 4" in sentence
    assert "hunter2" not in sentence
    assert "\n" not in sentence


def test_yaml_cannot_make_objects(write: WriteYaml) -> None:
    assert "is not valid YAML" in refusal(write("run:\n  quiet: !!python/object/apply:os.getcwd []\n"))


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml") == f"there is no configuration file {tmp_path / 'none.yaml'}"
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert "it is not UTF-8 text" in refusal(tmp_path / "bytes.yaml")


@pytest.mark.parametrize("name", ["password", "twofa", "pin", "totp", "PASSWORD", "totp_secret"])
@pytest.mark.parametrize(
    "text", ["{name}: x", "broker: {{kite_connect: {{{name}: x}}}}", "login: {{kite: {{{name}: x}}}}"]
)
def test_what_only_a_person_may_type_is_refused_wherever_it_stands(write: WriteYaml, name: str, text: str) -> None:
    loaded, problems = examine(write(text.format(name=name)), env={})
    assert loaded is None
    (sentence,) = [problem for problem in problems if "interactive" in problem]
    assert name in sentence
    assert "config.yaml, line 1" in sentence
    assert "btkite login" in sentence


@pytest.mark.parametrize("name", ["KITE_PASSWORD", "KITE_TOTP_SECRET", "BTKITE_BROKER__KITE_CONNECT__PIN"])
def test_what_only_a_person_may_type_is_refused_in_the_environment_too(empty_folder: Path, name: str) -> None:
    assert "interactive" in refusal(env={name: "hunter2"})
    (empty_folder / ".env").write_text(f"{name}=hunter2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\(\.env\)") as caught:
        load()
    assert "hunter2" not in str(caught.value)


def test_every_problem_is_found_at_once_and_the_first_is_told_with_their_number(write: WriteYaml) -> None:
    file = write("riks: {}\nrisk:\n  max_position_pct: 0\n  max_daily_trades: 0\n")
    loaded, problems = examine(file, env={})
    assert loaded is None
    assert len(problems) == 3
    assert refusal(file) == f"{problems[0]} (and 2 more: `btkite config check` lists them)"


SECRET = "Qw3rtySecretValue"
SECRETS = {
    "KITE_API_SECRET": SECRET,
    "KITE_ACCESS_TOKEN": f"{SECRET}Token",
    "BTKITE_ALERTS__URLS": f"tgram://{SECRET}Bot/1",
}


def test_secrets_show_in_no_print_of_the_configuration() -> None:
    config = load(env=SECRETS)
    shown = [repr(config), str(config), repr(config.broker), json.dumps(config.snapshot()), config.model_dump_json()]
    assert config.secrets() == list(SECRETS.values())
    assert all(SECRET not in text for text in shown)
    assert config.snapshot()["broker"]["kite_connect"]["api_secret"] == "**********"
    assert config.snapshot()["alerts"]["urls"] == ["**********"]


def test_a_snapshot_of_no_secrets_shows_that_there_are_none() -> None:
    assert Config().snapshot()["broker"]["kite_connect"]["access_token"] == ""


def test_secrets_show_in_no_error() -> None:
    for overrides in (
        {"broker.kite_connect.api_secret": [SECRET]},
        {"alerts.urls": {SECRET: SECRET}},
        {"alerts.urls": [[SECRET]]},
        {"broker.kite_connect.access_token": f"${{{SECRET}}}"},
        {"risk.max_daily_trades": 0},
    ):
        assert SECRET not in refusal(env=SECRETS, overrides=overrides)


def test_secrets_are_masked_in_the_log_from_the_moment_they_are_read() -> None:
    secret = "readTheMomentItIsRead"
    assert secret in log.redact_text(f"sent {secret}")
    load(env={"KITE_API_SECRET": secret})
    assert secret not in log.redact_text(f"sent {secret}")


@pytest.mark.parametrize("placeholder", ["your_api_key_here", "YOUR-API-KEY", "<api key>", "", "${KITE_API_KEY}"])
def test_a_placeholder_counts_as_not_set(write: WriteYaml, placeholder: str) -> None:
    file = write(f'broker: {{kite_connect: {{api_key: "{placeholder}"}}}}\n')
    assert load(file, env={}).broker.kite_connect.api_key == ""
    assert load(file, env={"KITE_API_KEY": "real"}).broker.kite_connect.api_key == "real"


def test_another_variable_in_braces_is_refused_because_nothing_fills_it_in(write: WriteYaml) -> None:
    sentence = refusal(write('broker: {kite_connect: {api_secret: "${MY_SECRET}"}}\n'))
    assert sentence.startswith("broker.kite_connect.api_secret must be a value: btkite fills in no ${…}")


def test_a_dotenv_value_is_taken_as_written(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("KITE_API_SECRET='a$b${HOME}c'\n", encoding="utf-8")
    assert load().broker.kite_connect.api_secret.get_secret_value() == "a$b${HOME}c"


def test_folders_follow_the_desktops_rule_and_the_tilde(tmp_path: Path) -> None:
    config = load(env={"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_STATE_HOME": str(tmp_path / "state")})
    assert config.data.cache == tmp_path / "data" / "btkite" / "candles"
    assert config.paths.state == tmp_path / "state" / "btkite"
    home = load(env={}, overrides={"data.cache": "~/candles"})
    assert home.data.cache == Path("~/candles").expanduser()


def test_a_configuration_is_frozen_and_survives_pickling() -> None:
    config = Config()
    with pytest.raises(ValidationError):
        config.risk.max_daily_trades = 1  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_copy_with_other_values_is_checked_as_a_file_is(tmp_path: Path) -> None:
    config = load(env={"KITE_API_SECRET": SECRET, "XDG_STATE_HOME": str(tmp_path)})
    other = config.with_(risk__max_daily_trades=7, **{"broker.capital": 5e5})
    assert (other.risk.max_daily_trades, other.broker.capital) == (7, 500_000.0)
    assert other.broker.kite_connect.api_secret.get_secret_value() == SECRET
    assert other.paths.state == tmp_path / "btkite"
    assert config.risk.max_daily_trades == 50
    with pytest.raises(ConfigError, match=r"risk\.max_daily_trades must be above 0, it is 0 \(given in code\)"):
        config.with_(risk__max_daily_trades=0)
    with pytest.raises(ConfigError, match=r"did you mean risk\.max_daily_trades\?"):
        config.with_(risk__max_daily_trade=1)


def test_a_value_is_found_by_its_dotted_key_and_an_unknown_one_is_refused() -> None:
    assert Config().get("broker.kite_connect.timeout") == 7.0
    assert Config().get("broker.kite_connect") == Config().broker.kite_connect
    with pytest.raises(ConfigError, match=r"did you mean broker\.stop_as\?"):
        Config().get("broker.stop_is")
