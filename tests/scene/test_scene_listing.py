"""Scenes as they are given to a command."""

import json
import os

import pytest

from landslip.errors import FormatError, InputError, LandslipError, MissingInputError, OutputError
from landslip.scene.listing import list_scenes


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a", "other"):
        (tmp_path / name).mkdir()
        if name != "other":
            (tmp_path / name / "scene.json").write_text("{}")
    return tmp_path


def collection(*items):
    return json.dumps({"type": "FeatureCollection", "features": list(items)})


def item(name, **assets):
    return {"id": name, "assets": {key: {"href": href} for key, href in assets.items()}}


def test_a_folder_is_taken_as_it_is_and_a_list_of_one_is_a_list(folder):
    alone = list_scenes([str(folder / "a")])
    assert (alone.paths, alone.several) == ((folder / "a",), False)
    (folder / "list.txt").write_text("a\n")
    listed = list_scenes([str(folder / "list.txt")])
    assert (listed.paths, listed.several) == ((folder / "a",), True)


def test_patterns_take_finished_scenes_in_order(folder, monkeypatch):
    assert list_scenes([str(folder / "*")]).paths == (folder / "a", folder / "b")
    monkeypatch.chdir(folder)
    assert [os.fspath(path) for path in list_scenes(["[ab]"]).paths] == ["a", "b"]


def test_text_files_are_relative_to_themselves(folder):
    (folder / "list.txt").write_text(f"# the coast\nb\n\n  {folder / 'a'}  \n")
    assert list_scenes([str(folder / "list.txt"), str(folder / "other")]).paths == tuple(
        folder / name for name in ("b", "a", "other")
    )


def test_item_collections_name_scenes(folder):
    (folder / "items.json").write_text(
        collection(
            item("one", thumbnail="b/x.png", scene="./a"),
            item("two", metadata="%62/scene.json"),
            item("three", scene=f"file://{folder}/other/"),
        )
    )
    found = list_scenes([str(folder / "items.json")]).paths
    assert [path.resolve() for path in found] == [folder / name for name in ("a", "b", "other")]


def test_a_scene_of_which_a_mosaic_had_two_maps_is_taken_once(folder):
    (folder / "items.json").write_text(
        collection(item("old", scene="./a"), item("b", scene="./b"), item("new", scene="a"))
    )
    found = list_scenes([str(folder / "items.json")])
    assert [path.name for path in found.paths] == ["a", "b"]
    assert list(found.named(folder, "maps")) == ["a", "b"]


def test_names(folder):
    listing = list_scenes([str(folder / "a"), str(folder / "sub" / ".." / "b"), str(folder / "c.tif")])
    assert list(listing.named(folder / "out", "maps")) == ["a", "b", "c"]
    with pytest.raises(
        OutputError, match=r"two scenes are called 'a' \(.*, .*\), and their maps would go to one place"
    ):
        list_scenes([str(folder / "a"), str(folder / "x" / "a")]).named(folder / "out", "maps")


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("list.txt", "# nothing\n", InputError, "no scene in the list; give one path per line"),
        ("list.txt", b"\xff\xfe\x00", FormatError, "not a text file (UTF-8)"),
        ("items.json", "{", FormatError, "not valid JSON"),
        ("items.json", "[1]", FormatError, "not a STAC item collection (no list 'features' in it)"),
        ("items.json", collection(), InputError, "the item collection is empty"),
        (
            "items.json",
            collection(item("x", red="a/bands.tif")),
            InputError,
            "item 'x' names no scene; give it",
        ),
        ("items.json", collection(3), InputError, "item '?' names no scene"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, name, content, error, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error) as caught:
        list_scenes([str(tmp_path / name)])
    assert message in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("word", ["gone.txt", "gone.json", "gone/*"])
def test_lists_that_are_not_there(tmp_path, word):
    with pytest.raises(MissingInputError) as caught:
        list_scenes([str(tmp_path / word)])
    assert isinstance(caught.value, LandslipError)
    assert word in str(caught.value)
