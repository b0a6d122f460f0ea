"""The public interface: what programs that use landslip import, under the names they import it by."""

import importlib
import inspect

import pytest

NAMES = {
    "landslip.objects": ("segment", "object_fitness", "choose_scale", "object_means"),
    "landslip.terrain": ("slope",),
    "landslip.scoring": ("Confusion",),
    "landslip.models": ("build_model",),
    "landslip.mapping": ("predict_scene", "map_scene", "MapConfig"),
    "landslip.data": ("open_patches", "TileSet"),
    "landslip.study": ("run_study", "StudyConfig", "StudyResult"),
    "landslip.simulate": ("simulate_event",),
    "landslip.training": ("fit", "predict_tiles", "TrainConfig"),
    "landslip.report": ("write_report",),
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NAMES.items() for name in names])
def test_public_names_are_there_listed_and_described(module, name):
    room = importlib.import_module(module)
    found = getattr(room, name)
    assert len(inspect.getdoc(found).splitlines()[0]) > 15
    assert name in getattr(room, "__all__", (name,))


@pytest.mark.parametrize("module", ["landslip.mapping", "landslip.objects", "landslip.study"])
def test_names_that_are_not_there_are_named(module):
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'sgement'"):
        _ = importlib.import_module(module).sgement
