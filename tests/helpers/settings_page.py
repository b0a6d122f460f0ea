"""``docs/settings.md`` from the settings themselves: ``python tests/helpers/settings_page.py > docs/settings.md``."""

from __future__ import annotations

import ast
import datetime
import inspect
import itertools
import json
import re
import textwrap
import types
import typing
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from landslip.layers.fit import ObjectOptions
from landslip.mapping.config import FilterConfig, OutputConfig, PolygonConfig, PredictConfig
from landslip.scene.batch import SceneJob
from landslip.scene.elevation import ElevationConfig
from landslip.simulate import SimulateConfig
from landslip.splits import SplitConfig
from landslip.study.config import DataConfig, RowConfig, StudyConfig
from landslip.study.levers import Levers
from landslip.study.search import SearchOptions
from landslip.training import TrainConfig

HEAD = """\
# Settings and options

Every setting that a TOML file may have, with its default. What a file leaves out has the default; a key that nobody
knows is refused, with the nearest known one. The settings in full are saved beside what a command writes, as
`config.toml` or in its `.json`. This page is made from the code (`python tests/helpers/settings_page.py`), and a test
compares them.

## What all commands share

Options are listed by `landslip COMMAND --help`; one that takes several values is repeated.

| option | what |
|---|---|
| `--json` | the result as one JSON object on standard output, for scripts; progress and remarks go to standard error |
| `--quiet` | no progress, no remarks; errors only |
| `--debug` | log in detail, and show the traceback of an error |
| `--resume` | continue where an interrupted run left off, where a command has it |
| `landslip --version` | print the version |

| exit code | what |
|---|---|
| 0 | done |
| 1 | a problem with the input: one line on standard error says what is wrong, where, and what to do |
| 2 | wrong usage: an unknown option, a missing argument |
| 70 | an error inside landslip; please report it, with what `--debug` shows |
| 130 | interrupted |

## Which file has which tables

| file | tables |
|---|---|
| `landslip train CONFIG` | `[data]`, `[split]`, `[objects]`, `[train]` |
| `landslip search CONFIG` | the same, and `[search]` |
| `landslip prepare PATCHES --config FILE` | `layers` at the top, `[data]` without a source, `[split]`, `[objects]` |
| `landslip study CONFIG` | settings at the top, `[data]`, `[split]`, `[objects]`, `[train]`, `[[rows]]` |
| `landslip map … --config FILE` | `[predict]`, `[polygons]`, `[filters]`, `[output]` |
| `landslip scene --batch FILE` | `[defaults]` and `[[scene]]`, each with `elevation.…` |
| `landslip simulate --config FILE` | settings at the top |

Paths count from the folder in which the command is run; in a list of scenes (`--batch`) from the file.
"""

PARTS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("`[data]`: what is trained on", "Exactly one of `scene`, `scenes`, `patches`, `tiles`.", DataConfig),
    (
        "`[split]`: training, validation, test",
        "The test part is, in this order: `test_regions`; one of `folds` stripes; the supplied one; else a side.",
        SplitConfig,
    ),
    ("`[objects]`: segmentation of object layers", "Used when a layer needs objects (`…_obj`).", ObjectOptions),
    (
        "`[train]`: one training",
        "See [training](training.md). In a study for all rows.",
        TrainConfig,
    ),
    ("`[search]`: a search of settings", "See [training](training.md#searching-settings).", SearchOptions),
    ("A study: settings at the top of the file", "See [study](study.md).", StudyConfig),
    ("`[[rows]]`: a row of a study", "Other settings of a training stand under `train`.", RowConfig),
    ("`[rows.levers]`: changes of a row's training tiles", "See [study](study.md#designs).", Levers),
    ("A map: `[predict]`", "See [maps](maps.md).", PredictConfig),
    ("A map: `[polygons]`", "", PolygonConfig),
    ("A map: `[filters]`", "", FilterConfig),
    ("A map: `[output]`", "", OutputConfig),
    ("A scene: `[[scene]]` of a list", "See [scenes](scenes.md) and [cluster](cluster.md).", SceneJob),
    ("A scene: `elevation`", "See [terrain](terrain.md).", ElevationConfig),
    ("A simulated event", "See [simulation](simulation.md).", SimulateConfig),
)
"""Heading, a line about it, and the settings."""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(f"\n## {heading}\n\n{_said(line)}{_table(config)}" for heading, line, config in PARTS)


def meanings(config: type[BaseModel]) -> dict[str, str]:
    """Return the docstring of each field of ``config``, those of its bases too."""
    found: dict[str, str] = {}
    for base in reversed(config.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, after in itertools.pairwise(body):
            match field, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = text
    return found


def _said(line: str) -> str:
    return f"{line}\n\n" if line else ""


def _table(config: type[BaseModel]) -> str:
    meaning = meanings(config)
    rows = [
        f"| `{name}` | {_values(field)} | {_default(field)} | {_as_markdown(meaning[name])} |"
        for name, field in config.model_fields.items()
        if not _is_table(field)
    ]
    return "\n".join(("| setting | values | default | meaning |", "|---|---|---|---|", *rows)) + "\n"


def _is_table(field: FieldInfo) -> bool:
    """Whether the setting has a part of its own on the page."""
    kinds = (field.annotation, *get_args(field.annotation))
    return any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)


def _as_markdown(text: str) -> str:
    text = re.sub(r":\w+:`([^`]+)`", r"``\1``", " ".join(text.split())).replace("``", "`")
    return text.replace("|", "\\|")


def _values(field: FieldInfo) -> str:
    kind = field.annotation
    options = [option for option in get_args(kind) if option is not types.NoneType] if _is_union(kind) else [kind]
    words = " or ".join(_kind(option) for option in options)
    return f"{words}{_limits(field)}"


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (typing.Union, types.UnionType)


def _kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in get_args(kind))
    if get_origin(kind) is tuple:
        inside = [one for one in get_args(kind) if one is not Ellipsis]
        several = _kind(inside[0]) if get_origin(inside[0]) is Literal else f"{_kind(inside[0])}s"
        return f"{'list of' if Ellipsis in get_args(kind) else len(inside)} {several}"
    if get_origin(kind) is dict:
        return "table"
    names = {str: "text", Path: "path", bool: "`true`, `false`", int: "whole number", float: "number"}
    return {**names, datetime.datetime: "date and time", Any: "any"}[kind]


def _limits(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "a multiple of"}
    found = [
        f"{sign} {getattr(one, name):g}"
        for one in field.metadata
        for name, sign in signs.items()
        if getattr(one, name, None) is not None
    ]
    return f", {', '.join(found)}" if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(needed)"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}):
        return "–"
    if isinstance(value, datetime.datetime):
        return f"`{value.isoformat()}`"
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    print(page(), end="")
