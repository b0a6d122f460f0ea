"""Statistics by which simulated scenes are held against real ones; shared by the tests and docs/simulation.md.

python tests/helpers/hardness.py EVENT_FOLDER...      simulated events
python tests/helpers/hardness.py --real ../shared/data      the real clips
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.warp import Resampling, reproject
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from landslip.terrain import slope

BANDS = ("B02", "B03", "B04", "B08")
LAGS = (1, 2, 3, 5, 10, 20)


def pixel_auc(features, truth):
    """Area under the ROC curve of a quadratic discriminant fitted to (pixels, features) and applied to them."""
    model = QuadraticDiscriminantAnalysis().fit(features, truth)
    return float(roc_auc_score(truth, model.predict_proba(features)[:, 1]))


def autocorrelation(field, lags=LAGS):
    """Correlation of a 2-D field with itself, shifted along rows and columns."""
    pairs = [((field[:, :-k], field[:, k:]), (field[:-k], field[k:])) for k in lags]
    return np.array([np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in both]) for both in pairs])


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def slope_on(dem_path, like_path):
    """Horn slope on the elevation model's own grid, then bilinear to another raster's grid."""
    with rasterio.open(dem_path) as dem, rasterio.open(like_path) as like:
        steep = np.full(like.shape, np.nan, np.float32)
        reproject(
            slope(dem.read(1), dem.transform, dem.crs),
            steep,
            src_transform=dem.transform,
            src_crs=dem.crs,
            dst_transform=like.transform,
            dst_crs=like.crs,
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
    return steep


def hardness(folder):
    """Pixel AUC of colours, of all bands, of slope, and of both, over a simulated event."""
    folder = Path(folder)
    truth = read(folder / "truth/labels.tif").ravel()
    bands = np.stack([read(folder / f"post/{b}.tif").ravel() for b in BANDS], axis=1).astype(float)
    steep = slope_on(folder / "dem.tif", folder / "post/B02.tif").ravel()[:, None]
    return {
        "colours": pixel_auc(bands[:, :3], truth),
        "bands": pixel_auc(bands, truth),
        "slope": float(roc_auc_score(truth, steep[:, 0])),
        "colours and slope": pixel_auc(np.hstack([bands[:, :3], steep]), truth),
        "bands and slope": pixel_auc(np.hstack([bands, steep]), truth),
        "prevalence": float(truth.mean()),
    }


def _show(name, values):
    print(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in values.items()))


def _real(data):
    import geopandas as gpd
    import h5py
    from rasterio.features import rasterize

    post = [data / f"iburi/post/{b}.tif" for b in ("B2", "B3", "B4")]
    with rasterio.open(post[0]) as like:
        burn = {"out_shape": like.shape, "transform": like.transform}
    truth = rasterize(gpd.read_file(data / "iburi/inventory.gpkg").geometry, **burn)
    known = rasterize(gpd.read_file(data / "iburi/mapped_extent.gpkg").geometry, **burn) > 0
    bands = np.stack([read(p)[known] for p in post], axis=1).astype(float)
    steep = slope_on(data / "iburi/DSM.tif", post[0])[known][:, None]
    y = truth[known]
    _show(
        "Iburi",
        {
            "colours": pixel_auc(bands, y),
            "slope": float(roc_auc_score(y, steep[:, 0])),
            "colours and slope": pixel_auc(np.hstack([bands, steep]), y),
        },
    )
    for path in post:
        print(path.name, "autocorrelation", autocorrelation(read(path)[300:700, 500:900].astype(float)).round(2))
    images, masks = [], []
    for path in sorted((data / "l4s_h5/img").glob("*.h5")):
        with h5py.File(path) as image, h5py.File(data / "l4s_h5/mask" / path.name.replace("image", "mask")) as mask:
            images.append(image["img"][:][..., [1, 2, 3, 7, 12]].reshape(-1, 5))
            masks.append(mask["mask"][:].ravel())
    x, y = np.concatenate(images), np.concatenate(masks)
    _show(
        "12 patches",
        {
            "colours": pixel_auc(x[:, :3], y),
            "bands": pixel_auc(x[:, :4], y),
            "slope": float(roc_auc_score(y, x[:, 4])),
            "bands and slope": pixel_auc(x, y),
        },
    )
    ratio = np.mean([np.median(i[m > 0], 0) / np.median(i[m == 0], 0) for i, m in zip(images, masks, strict=True)], 0)
    print("landslide over background, median of B02 B03 B04 B08 slope:", ratio.round(2))


def _clips():
    """Spectra and correlation of the clips that the spyndex and xarray-spatial packages carry."""
    import importlib.util

    import spyndex
    from scipy.io import netcdf_file

    dry = np.asarray(spyndex.datasets.open("sentinel").values, float)
    folder = Path(importlib.util.find_spec("xrspatial").origin).parent / "datasets/sentinel-2"
    coast = []
    for name in ("blue", "green", "red", "nir"):
        with netcdf_file(folder / f"{name}_band.nc", mmap=False) as file:
            coast.append(max((v.data.squeeze() for v in file.variables.values()), key=np.size).astype(float))
    for name, clip in (("spyndex", dry), ("xarray-spatial", np.array(coast))):
        for band, field in zip(BANDS, clip, strict=True):
            print(name, band, "autocorrelation", autocorrelation(field).round(2))
    index = (dry[3] - dry[2]) / (dry[3] + dry[2])
    for name, where in (("forest", index > 0.78), ("green", (index > 0.55) & (index < 0.7)), ("bare", index < 0.35)):
        here = dry[:, where]
        print("spyndex", name, "mean", here.mean(1).round(), "sd", here.std(1).round())


def main(arguments):
    if arguments[:1] == ["--real"]:
        _real(Path(arguments[1]))
        _clips()
        return
    for folder in arguments:
        _show(str(folder), hardness(folder))
        for band in BANDS:
            field = read(Path(folder) / f"post/{band}.tif").astype(float)
            print(band, "autocorrelation", autocorrelation(field).round(2))


if __name__ == "__main__":
    main(sys.argv[1:])
