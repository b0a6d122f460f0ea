"""A prepared patch set trains where PyTorch is alone: no rasterio, geopandas or numba."""

import subprocess
import sys

from helpers.training_tiles import make_tiles

CODE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"rasterio", "geopandas", "numba", "odc", "pyogrio", "shapely", "pyproj", "h5py"}:
            raise ImportError(f"{name} is not on this machine")

sys.meta_path.insert(0, Refuse())
import torch
torch.set_num_threads(1)
import landslip.bundle, landslip.data, landslip.models, landslip.recipe, landslip.scoring, landslip.splits
import landslip.training
sys.argv = ["landslip", "train", sys.argv[1], "--out", sys.argv[2], "--json"]
from landslip.cli import main
main()
"""


def test_prepared_tiles_train_without_geodata_libraries(tmp_path):
    tiles = make_tiles()
    tiles.save(tmp_path / "tiles.npz")
    (tmp_path / "train.toml").write_text(
        f"""
[data]
tiles = "{tmp_path / "tiles.npz"}"
[train]
epochs = 1
batch = 4
precision = "float32"
device = "cpu"
model_options = {{ width = 4 }}
"""
    )
    arguments = [sys.executable, "-c", CODE, str(tmp_path / "train.toml"), str(tmp_path / "run")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"validation": {"tiles": 4' in done.stdout
    assert (tmp_path / "run" / "model.json").is_file()
