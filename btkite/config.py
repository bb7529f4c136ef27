"""config.yaml and the environment, read into one frozen :class:`Config`.

Precedence: what the caller overrides > environment > ``.env`` > YAML > default. A key that is not
known, or out of its bounds, stops everything before it starts, in one sentence that names the key and
where it was said. Secrets are pydantic's SecretStr, are made known to :mod:`btkite.log` (which masks
them in every line) and come masked out of :meth:`Config.snapshot`.

::

    config = load("config.yaml")
    config.risk.max_position_pct              # 10.0
    config = config.with_(risk__max_position_pct=5)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from pydantic import BaseModel, Field, SecretStr, ValidationError

from . import log
from .errors import ConfigError
from .settings import reading
from .settings.sections import (
    Alerts,
    Broker,
    Calendar,
    Client,
    Data,
    Exchange,
    Groups,
    KiteConnect,
    Log,
    Network,
    Paths,
    Risk,
    Run,
    Section,
)
from .settings.sentences import did_you_mean, sentences

__all__ = [
    "Alerts",
    "Broker",
    "Calendar",
    "Client",
    "Config",
    "Data",
    "Exchange",
    "Groups",
    "KiteConnect",
    "Loaded",
    "Log",
    "Network",
    "Paths",
    "Risk",
    "Run",
    "Section",
    "default_path",
    "examine",
    "load",
    "read",
]

MASK = "**********"


class Config(Section):
    """Every setting of btkite. ``Config()`` is the defaults; :func:`load` reads files and environment."""

    broker: Broker = Field(default_factory=Broker, description=Broker.__doc__)
    client: Client = Field(default_factory=Client, description=Client.__doc__)
    network: Network = Field(default_factory=Network, description=Network.__doc__)
    data: Data = Field(default_factory=Data, description=Data.__doc__)
    calendar: Calendar = Field(default_factory=Calendar, description=Calendar.__doc__)
    paths: Paths = Field(default_factory=Paths, description=Paths.__doc__)
    risk: Risk = Field(default_factory=Risk, description=Risk.__doc__)
    groups: Groups = Field(default_factory=Groups, description=Groups.__doc__)
    run: Run = Field(default_factory=Run, description=Run.__doc__)
    alerts: Alerts = Field(default_factory=Alerts, description=Alerts.__doc__)
    exchange: Exchange = Field(default_factory=Exchange, description=Exchange.__doc__)
    log: Log = Field(default_factory=Log, description=Log.__doc__)

    def get(self, key: str) -> Any:
        """The value of a dotted key.

        Raises:
            ConfigError: there is no such key.
        """
        here: Any = self
        for name in key.split("."):
            if not isinstance(here, BaseModel) or name not in type(here).model_fields:
                known = [path for path, _ in reading.keys(type(self))]
                raise ConfigError(did_you_mean(key, known, "asked for"))
            here = getattr(here, name)
        return here

    def with_(self, **changes: Any) -> Self:
        """A copy with other values; keys are dotted (``**{"risk.max_daily_trades": 5}``) or ``risk__max_daily_trades``.

        Raises:
            ConfigError: a key is unknown or a value out of bounds.
        """
        given = {key.replace("__", "."): value for key, value in changes.items()}
        layer = reading.read_overrides(given, type(self), "given in code")
        values = {key: self.get(key) for key in reading.leaves(type(self))} | layer.values
        config, problems = _build(values, layer.origins, layer.problems, os.environ)
        _refuse(problems)
        return cast(Self, config)

    def snapshot(self) -> dict[str, Any]:
        """Plain values for a run's folder (JSON, YAML); secrets are masked."""
        return cast(dict[str, Any], _plain(self))

    def secrets(self) -> list[str]:
        """The values that must never be seen: for :func:`btkite.log.register_secret`, nothing else."""
        kite = self.broker.kite_connect
        held = [kite.api_secret, kite.access_token, self.network.proxy, *self.alerts.urls]
        return [secret.get_secret_value() for secret in held if secret.get_secret_value()]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration with the file it came from and, by dotted key, where each value was said."""

    config: Config
    path: Path | None
    origins: Mapping[str, str]


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration in force.

    ``path`` is the YAML file; by default ``$BTKITE_CONFIG``, else ``config.yaml`` in the working folder
    if there is one, else none. ``env`` takes the place of the process's environment and of the working
    folder's ``.env``. ``overrides`` are values by dotted key, which win over all.

    Raises:
        ConfigError: the file is missing or damaged, a key unknown, a value out of bounds.
    """
    return read(path, env=env, overrides=overrides).config


def read(
    path: str | os.PathLike[str] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """As :func:`load`, with the origins."""
    loaded, problems = examine(path, env=env, overrides=overrides)
    _refuse(problems)
    return cast(Loaded, loaded)


def examine(
    path: str | os.PathLike[str] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> tuple[Loaded | None, list[str]]:
    """What :func:`read` gives and a sentence for everything that is wrong (then there is no configuration).

    Raises:
        ConfigError: the file cannot be read at all.
    """
    dotenv = reading.read_dotenv(Path(".env")) if env is None else {}
    variables: Mapping[str, str] = os.environ if env is None else env
    file = default_path({**dotenv, **variables}) if path is None else Path(path)
    if file is not None and not file.is_file():
        raise ConfigError(f"there is no configuration file {file}")
    layers = [
        reading.read_yaml(file, Config) if file is not None else reading.Layer(),
        reading.read_variables(dotenv, Config, ".env"),
        reading.read_variables(variables, Config, "environment"),
        reading.read_overrides(overrides or {}, Config, "command line"),
    ]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    for layer in layers:
        _drop_own_placeholder(layer)
        values |= layer.values
        origins |= layer.origins
        problems += layer.problems
    config, problems = _build(values, origins, problems, {**dotenv, **variables})
    return (Loaded(config, file, origins) if config is not None else None), problems


def default_path(env: Mapping[str, str] | None = None) -> Path | None:
    """The file that :func:`load` reads if it is given none."""
    named = (os.environ if env is None else env).get(reading.CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser()
    here = Path("config.yaml")
    return here if here.is_file() else None


def _drop_own_placeholder(layer: reading.Layer) -> None:
    """``api_key: ${KITE_API_KEY}`` says what happens anyway: the variable is read."""
    for name, key in reading.ALIASES.items():
        if layer.values.get(key) in (f"${{{name}}}", f"${name}"):
            del layer.values[key], layer.origins[key]


def _build(
    values: Mapping[str, Any], origins: Mapping[str, str], problems: list[str], env: Mapping[str, str]
) -> tuple[Config | None, list[str]]:
    try:
        config = Config.model_validate(reading.whole(_with_port(values), Config), context={"env": env})
    except ValidationError as error:
        return None, [*problems, *sentences(error, Config, origins)]
    for secret in config.secrets():
        log.register_secret(secret)
    return (None if problems else config), problems


def _with_port(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """``simulator:8790`` is the endpoint simulator on that port."""
    name, colon, port = str(values.get("broker.kite_connect.endpoint", "")).partition(":")
    if name != "simulator" or not colon or not port.isdecimal() or not 0 < int(port) < 65_536:
        return values
    return {**values, "broker.kite_connect.endpoint": name, "exchange.port": int(port)}


def _refuse(problems: list[str]) -> None:
    if not problems:
        return
    more = f" (and {len(problems) - 1} more: `btkite config check` lists them)" if len(problems) > 1 else ""
    raise ConfigError(problems[0] + more)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
