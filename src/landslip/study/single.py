"""One training by itself, and tiles prepared for one, from the same settings as a study's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from landslip.config import Config, read_toml
from landslip.data.tileset import Part, TileSet
from landslip.errors import MissingInputError
from landslip.files.places import address_of
from landslip.layers.catalogue import bands_needed
from landslip.layers.fit import ObjectOptions
from landslip.progress import SILENT, Progress
from landslip.splits import SplitConfig
from landslip.study.config import DataConfig, StudyConfig
from landslip.study.design import IMAGE, base_layers, layer_sets
from landslip.study.folds import plan_folds
from landslip.study.prepare import Prepared, prepare
from landslip.study.sources import bands_there, open_source
from landslip.training import TrainConfig


class TilesConfig(Config):
    """Settings of ``landslip prepare``: data, split and objects as in a study, and which layers."""

    data: DataConfig
    split: SplitConfig = Field(default_factory=SplitConfig)
    objects: ObjectOptions = Field(default_factory=ObjectOptions)
    layers: tuple[str, ...] | None = None
    """Layers to build; default the image bands and slope, those that there are, and (``landslip prepare``) a
    vegetation index and the object means of all of them."""


class SingleConfig(Config):
    """Settings of ``landslip train``: data, split and objects as in a study, and one training."""

    data: DataConfig
    split: SplitConfig = Field(default_factory=SplitConfig)
    objects: ObjectOptions = Field(default_factory=ObjectOptions)
    train: TrainConfig = Field(default_factory=TrainConfig)

    def tiles(self) -> TilesConfig:
        """Return the settings of the tiles that it is trained on."""
        return TilesConfig(data=self.data, split=self.split, objects=self.objects, layers=self.train.layers)


def prepare_tiles(config: TilesConfig, *, objects: bool = False, progress: Progress = SILENT) -> Prepared:
    """Make tiles: read, split, fit the layers on training pixels, cut.

    Parameters
    ----------
    config
        Tiles that were prepared before (``data.tiles``) are loaded as they are.
    objects
        Without ``layers``, add the index and the object means.

    Raises
    ------
    LandslipError
        What is wrong with the data, the split or the layers, in one line.
    """
    if config.data.tiles is not None:
        tiles = TileSet.load(config.data.tiles)
        return Prepared(tiles if config.layers is None else tiles.select(config.layers))
    settings = StudyConfig(data=config.data, split=config.split, objects=config.objects)

    def choose(bands: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        base = base_layers(settings, bands) if config.layers is None else config.layers
        return base, layer_sets(base, bands)["objects"] if objects and config.layers is None else base

    def needed(bands: tuple[str, ...]) -> tuple[str, ...]:
        return bands_needed((*choose(bands)[1], *(config.objects.inputs or (name for name in IMAGE if name in bands))))

    with progress.task("reading data", 1) as task:
        source = open_source(config.data, seed=config.split.seed, bands=needed)
        task.advance()
    base, layers = choose(source.bands)
    plain = tuple(name for name in base if not name.endswith("_obj")) or base
    with progress.task("building layers and tiles", 1) as task:
        prepared = prepare(source, plain, layers, plan_folds(settings, source)[0], settings)
        task.advance()
    return prepared


def layers_there(config: TilesConfig) -> tuple[str, ...]:
    """Name the layers that :func:`prepare_tiles` would make, without reading a pixel of scenes or patches.

    Raises
    ------
    LandslipError
        There are no such data, or a layer cannot be made from them.
    """
    if config.data.tiles is not None:
        return prepare_tiles(config).tiles.layers
    bands = bands_there(config.data)
    settings = StudyConfig(data=config.data, layers=config.layers or ())
    return base_layers(settings, bands)


def tiles_config(path: Path, layers: tuple[str, ...] = (), config: Path | None = None) -> TilesConfig:
    """Put together the settings of ``landslip prepare``: a scene or patch set, and a config file for the rest.

    Raises
    ------
    MissingInputError
        There is no such scene or patch set.
    ConfigError
        The file is not valid settings.
    """
    if address_of(path) is None and not path.exists():
        message = f"{path}: no such scene or patch set; check the path"
        raise MissingInputError(message)
    content = read_toml(config) if config is not None else {}
    kind = "scene" if (path / "scene.json").is_file() else "patches"
    content["data"] = {**content.get("data", {}), kind: str(path)}
    if layers:
        content["layers"] = layers
    return TilesConfig.from_dict(content, where=str(config or "settings"))


def count_tiles(tiles: TileSet) -> dict[str, int]:
    """Count tiles by part."""
    parts = {"train": Part.TRAIN, "validation": Part.VALIDATION, "test": Part.TEST}
    return {name: int((tiles.part == part).sum()) for name, part in parts.items()}
