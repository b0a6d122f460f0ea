"""Settings of a training."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from landslip.config import Config
from landslip.data.augment import Augment
from landslip.presets import spelled_out

Loss = Literal["bce", "dice", "bce+dice", "focal", "tversky"]
Precision = Literal["auto", "bf16", "float32"]


class TrainConfig(Config):
    """What is trained, on which layers, and how."""

    preset: str = ""
    """A named recipe (:mod:`landslip.presets`) that is spelled out here; what else is given goes before it."""
    model: str = "unet"
    """Network; see :func:`landslip.models.build_model`."""
    model_options: dict[str, Any] = Field(default_factory=dict)
    """Its options, for example ``width`` of the U-Net."""
    weights: str = "none"
    """Pretrained weights: none, a name (``imagenet``, downloaded; ``sentinel2-csmask``), or a file."""
    freeze_encoder: bool = False
    """Fix the pretrained encoder; needs ``weights``."""
    layers: tuple[str, ...] | None = None
    """Layers the network eats, in order; default all that the tiles have."""
    augment: Augment = "d4"
    """Flips and rotations: five of each tile (``paper5``), those and the tile (``six``), one at random (``d4``)."""
    random_scale: float = Field(1.0, ge=1)
    """Image layers of each tile are multiplied by a factor drawn anew in every pass, log-uniform from 1/this to
    this: for patches that were each scaled by their own maximum, and scenes whose scale nobody knows."""
    match_images: bool = False
    """Every tile's image layers are brought to the mean and deviation of the training pixels, each by its own; so is
    a scene as a whole when it is mapped. For models that go elsewhere."""
    loss: Loss = "bce"
    """What is made small: binary cross-entropy, or a measure that minds landslides being rare."""
    prior_bias: bool = True
    """The bias of the network's last convolution begins as the log odds of landslide in the training pixels (as the
    loss weighs them), so that it answers about their share. Otherwise its first updates push every answer down, after
    which some networks can never again answer more than a half."""
    positive_weight: float = Field(1.0, gt=0)
    """Weight of landslide pixels in the binary cross-entropy."""
    focal_gamma: float = Field(2.0, ge=0)
    """How much the focal loss leaves what is easy aside."""
    focal_alpha: float | None = Field(None, gt=0, lt=1)
    """Weight of landslide pixels in the focal loss, one less it of the others; default none."""
    tversky_alpha: float = Field(0.5, ge=0)
    """Weight of false alarms in the Tversky loss."""
    tversky_beta: float = Field(0.5, ge=0)
    """Weight of misses in the Tversky loss."""
    epochs: int = Field(100, ge=1)
    """How often the validation loss is looked at; without ``steps``, the passes over the tiles."""
    steps: int | None = Field(None, ge=1)
    """Updates in all, spread evenly over the epochs, to compare runs at equal numbers of updates."""
    batch: int = Field(16, ge=1)
    """Tiles per update and process, at most: a pass is divided into batches of equal size."""
    learning_rate: float = Field(1e-3, gt=0)
    """Largest learning rate of AdamW."""
    weight_decay: float = Field(1e-2, ge=0)
    """Of AdamW."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """``cosine``: up over the first twentieth of the updates, then down to nothing."""
    patience: int | None = Field(None, ge=1)
    """Stop after so many epochs without a smaller validation loss; default never."""
    seed: int = Field(0, ge=0)
    """Of the first weights, the order of the tiles and what they are turned by."""
    precision: Precision = "auto"
    """``auto``: bf16 where the processor has it natively, else float32."""
    device: str = "auto"
    """``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``."""
    devices: int = Field(1, ge=1)
    """GPUs of each machine that train together, a process for each; with ``device = "cpu"``, processes."""
    num_nodes: int = Field(1, ge=1)
    """Machines that train together, each begun with the same command; see ``docs/training.md``."""

    tracker: str = ""
    """Where curves go beside ``metrics.csv``: ``tensorboard`` (into the run folder), ``mlflow`` (where MLflow's own
    settings say), or ``mlflow:URI``; results do not depend on it."""

    def decisive(self) -> dict[str, Any]:
        """Return the settings that results depend on, as JSON types."""
        return {name: value for name, value in self.to_dict().items() if name != "tracker"}

    @property
    def processes(self) -> int:
        """Processes of all machines."""
        return self.devices * self.num_nodes

    @property
    def tiles_per_update(self) -> int:
        """Tiles per update, at most, of all processes together."""
        return self.batch * self.processes

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, content: Any) -> Any:  # noqa: ANN401 - whatever was given
        return spelled_out(content)

    @field_validator("tracker")
    @classmethod
    def _known_tracker(cls, value: str) -> str:
        kind, _, where = value.partition(":")
        if value not in ("", "tensorboard", "mlflow") and not (kind == "mlflow" and where.strip()):
            message = f"{value!r} is no tracker; use 'tensorboard', 'mlflow', 'mlflow:URI', or leave it out"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _an_update_in_every_epoch(self) -> Self:
        if self.steps is not None and self.steps < self.epochs:
            message = f"steps = {self.steps} are fewer than epochs = {self.epochs}; lower epochs"
            raise ValueError(message)
        return self
