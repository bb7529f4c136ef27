"""Reads config.yaml, .env and the environment into layers that know where each value was said.

Not pydantic-settings' sources: they forget which source a value came from, so that an error could not
name the file; they ignore a misspelt ``BTKITE_`` variable, where a limit would silently stay at its
default; and they let the second of two equal keys in YAML win.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from ..errors import ConfigError
from .sentences import NEVER_STORED, did_you_mean, never_stored

PREFIX: Final = "BTKITE_"
CONFIG_VARIABLE: Final = "BTKITE_CONFIG"
ALIASES: Final[Mapping[str, str]] = {
    "KITE_API_KEY": "broker.kite_connect.api_key",
    "KITE_API_SECRET": "broker.kite_connect.api_secret",
    "KITE_ACCESS_TOKEN": "broker.kite_connect.access_token",
    "KITE_USER_ID": "broker.kite_connect.user_id",
}


@dataclass(slots=True)
class Layer:
    """Values by dotted key, and where each was said; ``problems`` are sentences."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def put(self, key: str, value: Any, origin: str) -> None:
        self.values[key] = value
        self.origins[key] = origin


def keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, type[BaseModel] | None]]:
    """Every dotted key of the model, sections (with their model) before their members."""
    for name, info in model.model_fields.items():
        path = f"{above}{name}"
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield path, kind
            yield from keys(kind, f"{path}.")
        else:
            yield path, None


def leaves(model: type[BaseModel]) -> list[str]:
    """Every dotted key that holds a value."""
    return [path for path, section in keys(model) if section is None]


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """``{"risk.max_daily_trades": 5}`` as ``{"risk": {"max_daily_trades": 5}}``."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        _section(tree, sections)[name] = value
    return tree


def whole(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """As :func:`nest`, with every section of the model, empty or not.

    An absent section would get its defaults without the validation context, which holds the environment.
    """
    tree = nest(values)
    for path, section in keys(model):
        if section is not None:
            _section(tree, path.split("."))
    return tree


def _section(tree: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    for name in names:
        tree = tree.setdefault(name, {})
    return tree


def variable(key: str) -> str:
    """The environment variable of a dotted key."""
    return PREFIX + key.upper().replace(".", "__")


def read_yaml(path: Path, model: type[BaseModel]) -> Layer:
    """The keys of a YAML file.

    Raises:
        ConfigError: the file cannot be read or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot read the configuration file {path}: {reason}") from error
    layer = Layer()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _Walk(path.name, layer, model).section(root, "")
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {_yaml_reason(error)}") from None
    return layer


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    # Only the reason and the line: the text around it may hold a secret.
    reason = getattr(error, "problem", None) or "it cannot be parsed"
    return f"{reason}, line {mark.line + 1}" if mark is not None else str(reason)


class _Walk:
    """Walks YAML's nodes instead of the loaded mapping: nodes know lines, and keep both of two equal keys."""

    def __init__(self, name: str, layer: Layer, model: type[BaseModel]) -> None:
        self._name = name
        self._layer = layer
        self._known = dict(keys(model))
        self._loader = yaml.SafeLoader("")

    def section(self, node: yaml.Node, path: str) -> None:
        where = self._where(node)
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return  # a section of which every key is commented out
        if not isinstance(node, yaml.MappingNode):
            self._layer.problems.append(f"{path or 'the configuration'} must be a section of keys ({where})")
            return
        self._loader.flatten_mapping(node)  # <<: *anchor
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = str(self._loader.construct_object(key_node, deep=True))
            self._member(f"{path}.{key}" if path else key, key, value_node, self._where(key_node), seen)

    def _member(self, path: str, key: str, node: yaml.Node, where: str, seen: set[str]) -> None:
        problems = self._layer.problems
        if key.lower() in NEVER_STORED:
            problems.append(never_stored(path, where))
        elif path not in self._known:
            problems.append(did_you_mean(path, self._known, where))
            self._never_stored_below(node, path)
        elif path in seen:
            problems.append(f"{path} is given twice ({where}); keep one")
        elif self._known[path] is not None:
            self.section(node, path)
        else:
            self._layer.put(path, self._loader.construct_object(node, deep=True), where)
        seen.add(path)

    def _never_stored_below(self, node: yaml.Node, path: str) -> None:
        """A password in a section that is itself unknown still gets its own sentence."""
        if not isinstance(node, yaml.MappingNode):
            return
        for key_node, value_node in node.value:
            name = str(getattr(key_node, "value", ""))
            if name.lower() in NEVER_STORED:
                self._layer.problems.append(never_stored(f"{path}.{name}", self._where(key_node)))
            self._never_stored_below(value_node, f"{path}.{name}")

    def _where(self, node: yaml.Node) -> str:
        return f"{self._name}, line {node.start_mark.line + 1}"


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables of a .env file, as written: no ``${…}`` is filled in. No file, no variables.

    Raises:
        ConfigError: the file is there but cannot be read.
    """
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot read {path}: {reason}") from error


def read_variables(variables: Mapping[str, str], model: type[BaseModel], source: str) -> Layer:
    """``KITE_…`` and ``BTKITE_<SECTION>__<KEY>`` out of an environment; an empty one counts as not set.

    ``source`` is ``environment`` or ``.env``, for the sentences.
    """
    layer = Layer()
    known = leaves(model)
    by_name = {variable(key): key for key in known} | dict(ALIASES)
    # BTKITE_RISK_MAX_DAILY_LOSS, with one underscore: the likeliest slip.
    flattened = {name.replace("__", "_"): name for name in by_name}
    for name in sorted(variables):
        upper, value = name.upper(), variables[name].strip()
        where = f"{source}, {upper}"
        if _is_never_stored(upper):
            layer.problems.append(never_stored(upper, source))
        elif not value or upper == CONFIG_VARIABLE:
            continue
        elif upper in by_name:
            _put_variable(layer, by_name[upper], value, where)
        elif upper.startswith(PREFIX) and ("__" in upper or upper in flattened):
            layer.problems.append(_unknown_variable(upper, list(by_name), flattened, source))
    return layer


def _put_variable(layer: Layer, key: str, value: str, where: str) -> None:
    if key in layer.values and layer.values[key] != value:
        layer.problems.append(f"{key} is set twice, differently ({layer.origins[key]}; {where}); keep one")
        return
    layer.put(key, None if value.lower() == "null" else value, where)


def _is_never_stored(name: str) -> bool:
    if name.startswith(PREFIX):
        return name.lower().rpartition("__")[2] in NEVER_STORED
    return name.startswith("KITE_") and name.removeprefix("KITE_").lower() in NEVER_STORED


def _unknown_variable(name: str, known: Sequence[str], flattened: Mapping[str, str], source: str) -> str:
    if name in flattened:
        return f"unknown variable {name} ({source}); did you mean {flattened[name]}, with two underscores?"
    return did_you_mean(name, known, source).replace("unknown key", "unknown variable", 1)


def read_overrides(overrides: Mapping[str, Any], model: type[BaseModel], origin: str) -> Layer:
    """Values given in code or on the command line, by dotted key."""
    layer = Layer()
    known = leaves(model)
    for key, value in overrides.items():
        if key in known:
            layer.put(key, value, origin)
        elif key.rpartition(".")[2].lower() in NEVER_STORED:
            layer.problems.append(never_stored(key, origin))
        else:
            layer.problems.append(did_you_mean(key, known, origin))
    return layer
