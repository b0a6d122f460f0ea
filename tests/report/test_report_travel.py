"""Transfer matrices show intervals where they can be trusted, and the warning beside what was lost."""

from __future__ import annotations

from dataclasses import replace

from landslip.report.model import Estimate, Row, Study, Transfer
from landslip.report.travel import transfer_tables, warning_table, warning_words

F1 = ((Estimate(0.7, 0.6, 0.8), Estimate(0.4, 0.3, 0.5)), (Estimate(0.5, 0.4, 0.6), None))
PAIRS = [
    {"trained": "a", "tested": "b", "layer": "red", "share": 0.31, "warned": True, "drop": 0.3},
    {"trained": "b", "tested": "a", "layer": "slope", "share": 0.02, "warned": False, "drop": None},
    {"trained": "c", "tested": "a", "layer": "slope", "share": 0.02, "warned": False, "drop": -0.04},
]
WARNING = {"pairs": PAIRS, "rank_correlation": 0.9, "drop_warned": 0.3, "drop_silent": -0.04}


def a_study(**changes: object) -> Study:
    one = Transfer("unet", ("a", "b"), F1, "U-Net, as it is", 5, (30, 12), WARNING)
    rows = (Row("unet", "U-Net", "baseline", seeds=(0, 1)),)
    return Study("Valley", "rows", rows, (0, 1), transfer=(replace(one, **changes),))  # type: ignore[arg-type]


def test_intervals_are_left_out_where_the_test_part_has_few_blocks() -> None:
    [table] = transfer_tables(a_study())
    assert table.columns == ("Trained on", "tested on a (30 blocks)", "tested on b (12 blocks)")
    assert [cell.note for cell in table.rows[0]] == ["", "0.60–0.80", ""]
    assert [cell.text for cell in table.rows[1]] == ["b", "0.50", "–"]
    assert "No interval where the test part has fewer than 20 blocks." in table.caption


def test_one_seed_has_no_interval_at_all() -> None:
    [table] = transfer_tables(a_study(seeds=1))
    assert not any(cell.note for row in table.rows for cell in row)
    assert table.caption.endswith("One seed: no intervals.")


def test_warning_stands_beside_the_change_of_f1() -> None:
    table = warning_table(a_study())
    assert table is not None
    assert [cell.text for cell in table.rows[0]] == ["U-Net", "a", "b", "red", "31.0 %", "yes", "−0.300"]
    assert [row[-1].text for row in table.rows] == ["−0.300", "–", "+0.040"]
    assert warning_words(a_study()) == [
        "U-Net: it warned of one of two pairs of places, where F1 changed by −0.30; where it did not warn (one), F1 "
        "changed by +0.04; rank correlation of share outside and loss 0.90."
    ]


def test_without_a_measured_warning_there_is_nothing_to_tell() -> None:
    assert warning_table(a_study(warning={})) is None
    assert warning_words(a_study(warning={})) == []
