"""Settings of a study: data, split, objects, training, and which rows are compared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from landslip.config import Config
from landslip.data.augment import Augment, Variants
from landslip.errors import ConfigError
from landslip.layers.fit import ObjectOptions
from landslip.presets import is_named, preset
from landslip.splits import SplitConfig
from landslip.study.levers import Levers

Role = Literal["baseline", "model", "attention", "data", "control", "attention-control", "forest", "other"]
"""What a row stands for in the paper's question. ``control`` and ``attention-control``: the plain U-Net and the
attention network for as many updates as the data-centric row, without which longer training is taken for better
data."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class DataConfig(Config):
    """Where the pixels come from: exactly one of ``scene``, ``scenes``, ``patches``, ``tiles``.

    Paths count from the folder in which the command is run.
    """

    scene: Path | None = None
    """A scene folder with an inventory."""
    scenes: tuple[Path, ...] = ()
    """Several scene folders; their numbers (0, 1, …) are their regions."""
    patches: Path | None = None
    """A patch data set: Landslide4Sense folder, ``.npz``, or chips."""
    tiles: Path | None = None
    """A tile set that is split already, such as the ``tiles.npz`` of another study."""
    regions: tuple[int, ...] = ()
    """Regions of the patch set that take part; default all."""
    region_names: dict[int, str] = Field(default_factory=dict)
    """What regions of the patch set are called in tables, for example ``{1 = "Taiwan"}``."""
    limit: int | None = Field(None, ge=8)
    """Take part of a patch set only: this many patches, drawn by the split's seed. For trials."""
    stride: int | None = Field(None, ge=16)
    """Step between training tiles of a scene; default the tile size (no overlap). Others never overlap."""
    test_polygon: Path | None = None
    """Polygons that are the test region of a scene, in place of a side."""
    truth: Path | None = None
    """Polygons of the true landslides of a scene, where they are known (``truth/landslides.gpkg`` of a simulated
    event). How large they are is shown beside the inventory's; nothing is trained or scored on them."""
    scale_patches: int = Field(200, ge=1)
    """Training patches on which the segmentation scale is chosen (more take longer and change little)."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("scene", "scenes", "patches", "tiles") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            message = f"give exactly one of scene, scenes, patches, tiles (found {found})"
            raise ValueError(message)
        for name in ("test_polygon", "truth"):
            if getattr(self, name) is not None and self.scene is None:
                message = f"{name} needs a single scene"
                raise ValueError(message)
        if self.region_names and (self.scene or self.scenes):
            message = "region_names are for patches and tiles; scenes are called by their folders"
            raise ValueError(message)
        return self

    def check_names(self, there: Iterable[int]) -> None:
        """Refuse a name for a region that the patches do not have.

        Parameters
        ----------
        there
            Their regions.

        Raises
        ------
        ConfigError
            Names the region, and those that there are.
        """
        known = sorted(set(there))
        absent = [region for region in self.region_names if region not in known]
        if absent:
            message = (
                f"[data]: region_names has region {absent[0]}, which is not in {self.words}; "
                f"there are: {', '.join(map(str, known))}"
            )
            raise ConfigError(message)

    def place(self, region: int) -> str:
        """Return what a region, or a scene by its number, is called in tables."""
        if self.scenes:
            names = [path.name for path in self.scenes]
            return names[region] if len(set(names)) == len(names) else str(self.scenes[region])
        return self.region_names.get(region, str(region))

    @property
    def words(self) -> str:
        """The data in words, for messages: ``scene my/scene``."""
        if self.scenes:
            return f"set of scenes {', '.join(map(str, self.scenes))}"
        return f"{'patch set' if self.patches else self.kind} {self.scene or self.patches or self.tiles}"

    @property
    def kind(self) -> Literal["scene", "patches", "tiles"]:
        """What the data are."""
        return "tiles" if self.tiles else "patches" if self.patches else "scene"


class RowConfig(Config):
    """One row of the comparison: a network trained on one kind of data."""

    name: str
    """Folder name under ``runs/``: lower-case letters, digits, ``-``, ``_``, ``.``."""
    label: str = ""
    """Name in tables; default the name."""
    role: Role = "other"
    """What the row stands for in the paper's question; the report compares rows by it."""
    paper: str | None = None
    """Which row of the paper's Table 1 stands beside it."""
    preset: str = ""
    """A named recipe (:mod:`landslip.presets`), spelled out in the fields of this row; given ones go before it."""
    model: str = "unet"
    """A network's name, or ``forest``: a random forest on object features."""
    layers: tuple[str, ...] = ()
    """Layers it eats; default the study's."""
    augment: str = "none"
    """Flips and rotations of its training tiles, as in ``[train]``."""
    matched_to: str | None = None
    """Another row's name: train for as many updates as that one."""
    train: dict[str, Any] = Field(default_factory=dict)
    """Training settings that differ from the study's."""
    levers: Levers = Field(default_factory=Levers)
    """Changes of the training tiles."""
    variants: Variants = "none"
    """Test-time variants: predictions are the mean over a tile's flips (``flips``), or over all eight of its flips and
    turns (``d4``), in every part, so that the threshold is chosen by them too."""
    factors: dict[str, str] = Field(default_factory=dict)
    """Level of each factor of the design, for the effects."""

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, content: Any) -> Any:  # noqa: ANN401 - whatever was given
        if not isinstance(content, dict) or not is_named(content.get("preset")):
            return content
        if not isinstance(content.get("train", {}), dict):
            return content  # told by the checks of the settings
        settings = dict(preset(content["preset"]).settings)
        own = {name: settings.pop(name) for name in ("model", "layers", "augment") if name in settings}
        return {**own, **content, "train": {**settings, **content.get("train", {})}}

    @field_validator("name")
    @classmethod
    def _folder_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            message = f"row name {value!r} is no folder name; use lower-case letters, digits, '-', '_' and '.'"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _variants_of_networks(self) -> Self:
        if self.model == "forest" and self.variants != "none":
            message = f"row {self.name!r}: a forest has no test-time variants; leave variants out"
            raise ValueError(message)
        return self


class StudyConfig(Config):
    """A study. Everything that an output depends on is here or in the data."""

    title: str = ""
    """Heading of the report."""
    data: DataConfig
    design: Literal["paper", "factorial", "data", "rows"] = "paper"
    """``paper``: the paper's rows and controls; ``factorial``: networks x layer sets x augmentations;
    ``data``: the data levers one at a time; ``rows``: those listed in ``rows`` alone."""
    layers: tuple[str, ...] = ()
    """Layers of the plain rows; default the image bands that are there, and slope."""
    seeds: tuple[int, ...] = Field((0, 1, 2, 3, 4), min_length=1)
    """Every row is trained once with each; one seed claims nothing."""
    split: SplitConfig = Field(default_factory=SplitConfig)
    leave_one_region_out: bool = False
    """One fold for each scene or region of the patch set, tested as a whole."""
    objects: ObjectOptions = Field(default_factory=ObjectOptions)
    train: dict[str, Any] = Field(default_factory=dict)
    """Training settings of all rows, as in ``landslip train``; default 100 epochs. ``weights`` and
    ``freeze_encoder`` reach those rows whose network has an encoder."""
    model_options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Options of networks by name, for example ``width`` of ``unet``."""
    rows: tuple[RowConfig, ...] = ()
    """Rows added to the design's."""
    only: tuple[str, ...] = ()
    """Names of the rows to keep; default all."""
    forest: bool = True
    """Add the random forest on objects, the practice before deep learning."""
    models: tuple[str, ...] = Field(("unet", "resunet34", "attention-resunet34"), min_length=1)
    """Networks of the factorial design."""
    augments: tuple[Augment, ...] = Field(("none", "paper5", "d4"), min_length=1)
    """Augmentations of the factorial design."""
    transfer: bool = False
    """Train on each region, test on every other, as a matrix (several scenes, or a patch set with regions)."""
    transfer_rows: tuple[str, ...] = ("unet", "data-centric")
    """Rows of which the matrix is made, those that there are."""
    transfer_tiles: int = Field(0, ge=0)
    """Tiles of the target that the second matrix fine-tunes on; 0 for none."""
    draws: int = Field(2000, ge=100)
    """Bootstrap draws of the intervals."""
    leakage: Literal["warn", "refuse"] = "warn"
    """What to do when test pixels lie nearer to training pixels than their autocorrelation range."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            message = "seeds must be different whole numbers from 0"
            raise ValueError(message)
        several = (
            "leave_one_region_out" if self.leave_one_region_out
            else "split.folds" if self.split.folds
            else "split.test_regions" if self.split.test_regions
            else ""
        )  # fmt: skip
        given = (
            "data.test_polygon" if self.data.test_polygon is not None
            else "split.design = 'supplied'" if self.split.design == "supplied"
            else "data.tiles" if self.data.tiles is not None
            else ""
        )  # fmt: skip
        if several and given:
            message = f"{several} and {given} both say what is tested; take one of them out"
            raise ValueError(message)
        names = [row.name for row in self.rows]
        if len(set(names)) != len(names):
            message = f"row {next(name for name in names if names.count(name) > 1)!r} is listed twice"
            raise ValueError(message)
        if self.design == "rows" and not self.rows:
            message = "design 'rows' needs at least one [[rows]] entry"
            raise ValueError(message)
        self._set_elsewhere(self.train, "train", "model_options")
        for row in self.rows:
            self._set_elsewhere(row.train, "rows.train")
        return self

    @staticmethod
    def _set_elsewhere(train: dict[str, Any], table: str, *more: str) -> None:
        places = {"seed": "seeds", "model_options": "[model_options.NETWORK]"}
        for name in ("preset", "model", "layers", "augment", "seed", *more):
            if name in train:
                message = f"'{table}.{name}' is set by {places.get(name, 'the rows')}; take it out of [{table}]"
                raise ValueError(message)
