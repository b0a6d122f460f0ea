from pathlib import Path
from typing import Self

import pytest
from pydantic import model_validator

from landslip.config import Config
from landslip.errors import ConfigError, MissingInputError


class Inner(Config):
    learning_rate: float = 0.1


class Outer(Config):
    epochs: int = 3
    name: str | None = None
    train: Inner = Inner()
    rows: tuple[Inner, ...] = ()
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            message = "low is above high"
            raise ValueError(message)
        return self


def test_round_trip_keeps_everything_and_drops_none(tmp_path: Path) -> None:
    config = Outer(epochs=5, rows=(Inner(learning_rate=0.5),))
    config.to_toml(tmp_path / "a.toml")
    assert Outer.from_toml(tmp_path / "a.toml") == config
    assert "name" not in (tmp_path / "a.toml").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown key 'epoch'; did you mean 'epochs'?"),
        ("[train]\nlearning_rat = 1", "unknown key 'train.learning_rat'; did you mean 'learning_rate'?"),
        ("[[rows]]\nlearning_rtae = 1", "unknown key 'rows.0.learning_rtae'; did you mean 'learning_rate'?"),
        ("zzz = 1", "unknown key 'zzz'; known keys: epochs, high, low, name, rows, train"),
        ("epochs = 'many'", "'epochs': input should be a valid integer"),
        ("epochs = ", "not valid TOML"),
        ("rows = 3", "'rows': input should be a valid list"),
        ("[train]\nlearning_rate = inf", "'train.learning_rate': input should be a finite number"),
        ("[train]\nlearning_rate = nan", "'train.learning_rate': input should be a finite number"),
        ("low = 3\nhigh = 2", "a.toml: low is above high"),
    ],
)
def test_mistakes_are_one_line_with_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Outer.from_toml(tmp_path / "a.toml")
    assert message in str(caught.value)
    assert "a.toml" in str(caught.value)


def test_unknown_key_is_told_before_other_mistakes() -> None:
    with pytest.raises(ConfigError, match="epochz"):
        Outer.from_dict({"epochs": "x", "epochz": 1})


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ConfigError, match=r"a\.toml: no permission to read it; ask its owner"):
        Outer.from_toml(tmp_path / "a.toml")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such config file"):
        Outer.from_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        Outer.from_toml(tmp_path)
