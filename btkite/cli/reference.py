"""The parts of the documents that are printed from the code: ``python -m btkite.cli.reference``.

It rewrites ``config.yaml`` and ``env.example``, the tables of ``docs/configuration.md`` and ``docs/exchange.md``
and the commands of ``docs/cli.md`` in the working folder. A test fails while one of them says something else
than the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from ..config import Config
from ..errors import ConfigError
from ..exchange.faults import as_markdown as faults_as_markdown
from ..settings import rendering
from .app import VERBS, app

BEGIN: Final = "<!-- printed by python -m btkite.cli.reference, do not edit below -->\n"
END: Final = "<!-- end of the printed part -->\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its path (``btkite config show``), groups before their members."""
    root = get_command(app)
    yield "btkite", root
    for name, verb in VERBS.items():
        if verb.exists():
            yield from _tree(f"btkite {name}", verb.load(name))


def _tree(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, member in getattr(command, "commands", {}).items():
        yield from _tree(f"{path} {name}", member)


def as_markdown() -> str:
    """All commands, a section each: what it does, its usage, its arguments and options.

    Not typer's own print, which changes from release to release.
    """
    return "\n".join(_section(path, command) for path, command in commands())


def _section(path: str, command: Any) -> str:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    arguments = [_argument(parameter) for parameter in shown if _is_argument(parameter)]
    members = ["COMMAND [ARGS]..."] if hasattr(command, "commands") else []
    usage = " ".join([path, "[OPTIONS]", *arguments, *members])
    lines = [f"### `{path}`", "", _prose(command.help or ""), "", "```", usage, "```", ""]
    if shown:
        lines += ["| | |", "|---|---|"]
        lines += [f"| `{_cell(_name(one))}` | {_cell(_meaning(one))} |" for one in shown]
        lines.append("")
    return "\n".join(lines)


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _argument(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper()) + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _name(parameter: Any) -> str:
    if _is_argument(parameter):
        return _argument(parameter)
    names = " / ".join(", ".join(spelled) for spelled in (parameter.opts, parameter.secondary_opts) if spelled)
    takes = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return names + takes


def _meaning(parameter: Any) -> str:
    text = _prose(getattr(parameter, "help", None) or "")
    default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    plain = isinstance(default, (str, int, float)) and not isinstance(default, bool) and default != ""
    if not plain or getattr(parameter, "show_default", True) is False:
        return text
    return f"{text} Default: `{default}`."


def _prose(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def printed(document: str, part: str) -> str:
    """``document`` with ``part`` in the place kept for it.

    Raises:
        ConfigError: the document has no such place.
    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ConfigError(f"the document has no place between {BEGIN.strip()} and {END.strip()}")
    return f"{head}{BEGIN}\n{part.strip()}\n\n{END}{tail}"


def files(folder: Path) -> dict[Path, str]:
    """What each document should say now.

    Raises:
        ConfigError: a document is missing, or has no place for the printed part.
    """
    wanted = {
        folder / "config.yaml": rendering.as_yaml(Config),
        folder / "env.example": rendering.as_env(Config),
    }
    parts = {
        "configuration.md": rendering.as_markdown(Config),
        "cli.md": as_markdown(),
        "exchange.md": faults_as_markdown(),
    }
    for name, part in parts.items():
        document = folder / "docs" / name
        if not document.is_file():
            raise ConfigError(f"there is no {document}: run this in the repository")
        wanted[document] = printed(document.read_text(encoding="utf-8"), part)
    return wanted


def main() -> None:
    """Rewrite what is out of date, and say which files were."""
    for path, text in files(Path()).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
