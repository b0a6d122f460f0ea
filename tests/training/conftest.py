from pathlib import Path

import pytest
import torch

from helpers.training_tiles import make_tiles
from landslip.data.tileset import TileSet
from landslip.training import TrainConfig


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiles() -> TileSet:
    return make_tiles()


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig(model_options={"width": 4}, epochs=3, batch=3, precision="float32", device="cpu")


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "run"
