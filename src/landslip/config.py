"""Settings: the base class of every config, and reading and writing them as TOML.

A key that nobody knows is an error that names the nearest known one; nothing is silently ignored.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, Self, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from landslip.errors import ConfigError, MissingInputError
from landslip.files import write_text


class Config(BaseModel):
    """Base of all settings: unknown keys and infinite or undefined numbers refused, values fixed once made."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @classmethod
    def from_dict(cls, content: dict[str, Any], *, where: str = "config") -> Self:
        """Validate ``content``.

        Raises
        ------
        ConfigError
            One line: the first problem, where it is, and the nearest known key for a mistyped one.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise ConfigError(_one_line(cls, error, where)) from error

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Read and validate a TOML file.

        Raises
        ------
        MissingInputError
            There is no such file.
        ConfigError
            It is not TOML, or not valid settings.
        """
        return cls.from_dict(read_toml(path), where=os.fspath(path))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return self.model_dump(mode="json")

    def to_toml(self, path: str | os.PathLike[str]) -> None:
        """Write the settings in full, defaults included, atomically (``None`` values are left out)."""
        write_text(path, tomli_w.dumps(_without_none(self.to_dict())))


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file into a dict, with one clear line when that fails."""
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{path}: no such config file; check the path"
        raise MissingInputError(message) from error
    except IsADirectoryError as error:
        message = f"{path}: is a folder, not a config file; give the file in it"
        raise ConfigError(message) from error
    except PermissionError as error:
        message = f"{path}: no permission to read it; ask its owner, or copy it"
        raise ConfigError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: not valid TOML: {error}"
        raise ConfigError(message) from error


def _without_none(value: Any) -> Any:  # noqa: ANN401 - walks any JSON value
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value if item is not None]
    return value


def _one_line(cls: type[BaseModel], error: ValidationError, where: str) -> str:
    problems = error.errors(include_url=False)
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    location = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = sorted(_fields_at(cls, first["loc"][:-1]))
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        return f"{where}: unknown key '{location}'; {hint}"
    text = first["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list").replace("Tuple", "List")
    place = f" '{location}':" if location else ""  # what excludes each other has no single place
    return f"{where}:{place} {text[0].lower()}{text[1:]}"


def _fields_at(cls: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    model: type[BaseModel] = cls
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        model = _model_in(field.annotation) or model
    return set(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
