import pytest

from helpers.study_area import OPTIONS, TINY, make_area
from landslip.splits import SplitConfig
from landslip.study.config import DataConfig, StudyConfig
from landslip.study.sources import Source


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny networks gain nothing from threads, and lose much where the processor is shared."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def source():
    return Source((make_area(),))


@pytest.fixture
def settings():
    return StudyConfig(
        data=DataConfig(scene="scene"),
        split=SplitConfig(tile=32, block_tiles=1, buffer_px=8),
        objects={"scale": 40.0},
        seeds=(0, 1),
        train=TINY,
        model_options=OPTIONS,
        draws=200,
    )
