"""Prints the keys as the files that document them: config.yaml, env.example, the tables of the docs.

One source (:mod:`.sections`), three prints: none of them can fall behind.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .reading import ALIASES, keys, variable
from .sentences import demand, is_secret

_WIDTH: Final = 110
_SHORT_NAMES: Final = {key: name for name, key in ALIASES.items()}

_YAML_HEAD: Final = """\
# btkite's configuration: every key, at its default, with what it means.
#
# Precedence: command line > environment > .env > this file > default. The environment variable of a key is
# BTKITE_<SECTION>__<KEY>, two underscores between levels: BTKITE_RISK__MAX_POSITION_PCT=5. Secrets belong there
# (KITE_API_KEY, KITE_API_SECRET; env.example), not here. Kite's password, PIN and TOTP belong nowhere: the login is
# interactive (btkite login), and a key of such a name is refused. Unknown keys are refused too.
#
# `btkite config check` tests this file, `btkite config show` prints what is in force.
"""

_ENV_HEAD: Final = """\
# btkite's environment: copy to .env (which git must ignore) or export; an empty variable counts as not set.
# Precedence: environment > .env > config.yaml > default. Every key of config.yaml has a variable.
# Lists are words between commas or blanks; null is written null.

# Another configuration file than ./config.yaml.
BTKITE_CONFIG=

# off: keep the access token in a file of mode 0600 in paths.state, not in the desktop's keyring. Read from the
# environment itself, not from .env.
BTKITE_KEYRING=
"""


def default_of(info: FieldInfo) -> Any:
    """The default as config.yaml writes it."""
    value = info.default
    if is_secret(info):
        return [] if isinstance(value, tuple) else ""
    if isinstance(value, tuple):
        return list(value)
    return value.as_posix() if isinstance(value, Path) else value


def scalar(value: Any) -> str:
    """A value in YAML, on one line."""
    if value == "":
        return '""'
    if isinstance(value, float):
        return f"{value:.1f}" if value == int(value) else repr(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.strip().removesuffix("\n...").strip()


def as_yaml(model: type[BaseModel]) -> str:
    """config.yaml: every key at its default, under a comment."""
    return _YAML_HEAD + "".join(_yaml_section(model, ""))


def _yaml_section(model: type[BaseModel], indent: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if _is_section(info):
            kind = info.annotation
            assert isinstance(kind, type)  # for the type checker; _is_section has looked
            yield f"\n{indent}# {inspect.getdoc(kind)}\n{indent}{name}:\n"
            yield from _yaml_section(kind, indent + "  ")
        else:
            yield _comment(_meaning(info), indent)
            yield f"{indent}{name}: {scalar(default_of(info))}\n"


def as_env(model: type[BaseModel]) -> str:
    """env.example: the short names first, then a variable for every key, at nothing (not set)."""
    parts = [_ENV_HEAD]
    fields = dict(_fields(model))
    for name, key in ALIASES.items():
        parts.append(f"\n{_comment(fields[key].description or '')}{name}=\n")
    for path, section in keys(model):
        if section is not None:
            parts.append(f"\n# {path}: {inspect.getdoc(section)}\n")
        elif path not in _SHORT_NAMES:
            shown = scalar(default_of(fields[path]))
            parts.append(f"{_comment(_meaning(fields[path]))}#   default: {shown}\n{variable(path)}=\n")
    return "".join(parts)


def as_markdown(model: type[BaseModel]) -> str:
    """The tables of docs/configuration.md, a section each."""
    parts: list[str] = []
    fields = dict(_fields(model))
    for path, section in keys(model):
        if section is None:
            continue
        parts.append(f"### `{path}`\n\n{inspect.getdoc(section)}\n\n| key | default | what it may be | meaning |\n")
        parts.append("|---|---|---|---|\n")
        for name, info in section.model_fields.items():
            if _is_section(info):
                continue
            key = f"{path}.{name}"
            also = f" (`{_SHORT_NAMES[key]}`)" if key in _SHORT_NAMES else ""
            cells = (f"`{key}`{also}", f"`{scalar(default_of(fields[key]))}`", demand(info), info.description or "")
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def _fields(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{above}{name}.")
        else:
            yield f"{above}{name}", info


def _is_section(info: FieldInfo) -> bool:
    return isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)


def _meaning(info: FieldInfo) -> str:
    """The description, and the choices if there are any."""
    words = [str(word) for word in get_args(info.annotation)] if get_origin(info.annotation) is Literal else []
    return (info.description or "") + (f" [{' | '.join(words)}]" if words else "")


def _comment(text: str, indent: str = "") -> str:
    lines = textwrap.wrap(text, _WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
    return "".join(f"{indent}# {line}\n" for line in lines)
