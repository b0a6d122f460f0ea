"""Archives of arrays: whatever bit is wrong in one, it is one line."""

import numpy as np
import pytest

from landslip.errors import FormatError
from landslip.files.arrays import open_arrays

DAMAGED = "the split is damaged; make it again"


def read(path):
    with open_arrays(path, DAMAGED) as content:
        return content["part"]


def test_any_flipped_byte_is_told_or_changes_nothing(tmp_path):
    part = np.random.default_rng(0).integers(0, 4, (24, 24), np.uint8)
    path = tmp_path / "split.npz"
    np.savez_compressed(path, part=part)
    whole, told = path.read_bytes(), []
    for place in range(len(whole)):
        for flip in (0x01, 0xFF):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            try:
                found = read(path)
            except FormatError as error:
                told.append(str(error))
            else:
                assert np.array_equal(found, part)
    assert set(told) == {f"{path}: {DAMAGED}"}
    assert len(told) > len(whole)


@pytest.mark.parametrize("name", ["absent", "cut", "single", "other", "words"])
def test_what_is_no_such_archive_is_told(tmp_path, name):
    path = tmp_path / f"{name}.npz"
    if name == "single":
        with path.open("wb") as handle:
            np.save(handle, np.zeros(3))
    elif name == "words":
        path.write_text("part")
    elif name != "absent":
        np.savez(path, other=np.zeros(3))
    if name == "cut":
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FormatError, match=f"{name}\\.npz: {DAMAGED}"):
        read(path)
