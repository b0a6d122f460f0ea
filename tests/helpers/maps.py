"""Small scenes and runs made on the spot; networks whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas
import numpy as np
import shapely
import torch
from affine import Affine
from pyproj import CRS
from shapely.geometry import Polygon
from torch import nn

from landslip.bundle import Bundle
from landslip.files import write_json
from landslip.grid import Grid
from landslip.mapping.probability.network import Member
from landslip.models import build_model
from landslip.rasters import RasterSpec, write_raster
from landslip.recipe import LayerStatistics, ObjectRecipe, Recipe
from landslip.scene.inventory import rasterise, read_inventory
from landslip.scene.inventory.store import write_inventory
from landslip.scene.store import Scene

LAYERS = ("red", "green", "slope")
STATISTICS = {
    "red": LayerStatistics(mean=0.15, std=0.05, low=0.0, high=0.3),
    "green": LayerStatistics(mean=0.15, std=0.05, low=0.0, high=0.3),
    "slope": LayerStatistics(mean=20.0, std=10.0, low=0.0, high=60.0),
}


class Constant(nn.Module):
    """Answers one logit everywhere."""

    def __init__(self, logit: float = 0.7) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logit.expand(image.shape[0], 1, *image.shape[2:])


class Pixelwise(nn.Module):
    """Answers each pixel from its own layers alone."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.sum(dim=1, keepdim=True)


def recipe(layers: tuple[str, ...] = LAYERS, objects: ObjectRecipe | None = None) -> Recipe:
    statistics = {name: STATISTICS[name.removesuffix("_obj")] for name in layers}
    return Recipe(layers=layers, statistics=statistics, objects=objects)


def member(network: nn.Module, layers: tuple[str, ...] = LAYERS, name: str = "run") -> Member:
    return Member(name, network, recipe(layers), 0.5, checksum=name)


def unet_bundle(seed: int = 0, layers: tuple[str, ...] = LAYERS, width: int = 4) -> Bundle:
    torch.manual_seed(seed)
    network = build_model("unet", len(layers), width=width).eval()
    with torch.no_grad():  # statistics as if trained, so that answers vary from pixel to pixel
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2.0)
                module.bias.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.05, 0.5)
    architecture = {"name": "unet", "in_channels": len(layers), "options": {"width": width}}
    return Bundle(architecture, recipe(layers), 0.5, network.state_dict(), licence="made in a test")


def member_of_matched(matched: bool) -> Member:
    """A U-Net whose recipe matches images to the training pixels, or does not."""
    bundle = unet_bundle()
    changed = bundle.recipe.model_copy(update={"matched": matched})
    return Member("run", bundle.network().eval(), changed, 0.5, checksum=f"matched {matched}")


def smooth(rng: np.random.Generator, shape: tuple[int, int], cells: int = 8) -> np.ndarray:
    from scipy.ndimage import zoom

    small = rng.random((-(-shape[0] // cells) + 3, -(-shape[1] // cells) + 3))
    return zoom(small, cells, order=3)[: shape[0], : shape[1]].astype(np.float32)


def scene_layers(shape: tuple[int, int], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    elevation = 300 * smooth(rng, shape, 16)
    steep = np.hypot(*np.gradient(np.pad(elevation, 1, mode="edge"), 10.0))[1:-1, 1:-1]
    return {
        "red": 0.05 + 0.2 * smooth(rng, shape),
        "green": 0.05 + 0.2 * smooth(rng, shape),
        "elevation": elevation,
        "slope": np.degrees(np.arctan(steep)).astype(np.float32),
    }


def write_scene(
    folder: Path,
    layers: Mapping[str, np.ndarray],
    *,
    valid: Mapping[str, np.ndarray] | None = None,
    landslides: Sequence[Polygon] | None = None,
    unknown: np.ndarray | None = None,
    corner: tuple[int, int] = (0, 0),
) -> Scene:
    """A finished scene folder with these layers; ``valid`` per source, default all; an inventory if given.

    Its first pixel lies ``corner`` rows and columns from that of other scenes.
    """
    shape = next(iter(layers.values())).shape
    grid = Grid(
        shape, Affine(10, 0, 500_000 + 10 * corner[1], 0, -10, 4_700_000 - 10 * corner[0]), CRS.from_epsg(32654)
    )
    valid = {"image": np.ones(shape, bool), "dem": np.ones(shape, bool)} | dict(valid or {})
    write_raster(folder / "bands.tif", np.stack(list(layers.values())).astype(np.float32),
                 RasterSpec(grid, "float32", tuple(layers), nodata=float("nan")))  # fmt: skip
    write_raster(folder / "valid.tif", np.stack(list(valid.values())).astype(np.uint8),
                 RasterSpec(grid, "uint8", tuple(valid), average=False))  # fmt: skip
    content = {"format": 1, "grid": grid.to_dict(), "layers": list(layers), "validity": dict.fromkeys(valid, 1.0),
               "inventory": None, "dates": {"post": ["2018-09-10"]}}  # fmt: skip
    if landslides is not None:
        content["inventory"] = {"landslides": len(landslides)}
        geopandas.GeoDataFrame(geometry=list(landslides), crs=grid.crs).to_file(folder / "raw.gpkg")
        inventory = read_inventory(folder / "raw.gpkg", grid)
        write_inventory(inventory, folder / "inventory.gpkg")
        labels = rasterise(inventory, grid)[0]
        labels[unknown if unknown is not None else np.zeros(shape, bool)] = 255
        write_raster(folder / "labels.tif", labels[None], RasterSpec(grid, "uint8", ("labels",), average=False))
    write_json(folder / "scene.json", content)
    return Scene.open(folder)


def pixels_box(row: int, col: int, rows: int, cols: int) -> Polygon:
    """The outline of a rectangle of pixels of a scene made here."""
    west, north = 500_000 + 10 * col, 4_700_000 - 10 * row
    return shapely.box(west, north - 10 * rows, west + 10 * cols, north)
