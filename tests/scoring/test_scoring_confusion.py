import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslip.scoring import Confusion, confusions_by_group

counts = st.integers(0, 10**12)


def test_scores_of_a_table_worked_by_hand():
    table = Confusion(tp=6, fp=2, fn=4, tn=88)
    assert table.precision == 0.75
    assert table.recall == 0.6
    assert table.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert table.iou == 0.5
    assert table.mcc == pytest.approx((6 * 88 - 2 * 4) / math.sqrt(8 * 10 * 90 * 92))
    assert table.prevalence == 0.1


def test_undefined_scores_are_nan_and_json_none():
    nothing_predicted = Confusion(0, 0, 3, 7)
    assert math.isnan(nothing_predicted.precision)
    assert nothing_predicted.recall == nothing_predicted.f1 == 0
    assert math.isnan(nothing_predicted.mcc)
    assert nothing_predicted.to_dict()["precision"] is None
    assert math.isnan(Confusion(0, 0, 0, 9).f1)
    assert math.isnan(Confusion(0, 0, 0, 0).prevalence)


@given(counts, counts, counts, counts)
def test_scores_agree_with_one_another(tp, fp, fn, tn):
    table = Confusion(tp, fp, fn, tn)
    if tp:
        assert table.f1 == pytest.approx(2 * table.precision * table.recall / (table.precision + table.recall))
        assert table.iou == pytest.approx(table.f1 / (2 - table.f1))
    if not math.isnan(table.mcc):
        assert -1 - 1e-12 <= table.mcc <= 1 + 1e-12
        assert Confusion(fn, tn, tp, fp).mcc == pytest.approx(-table.mcc)  # the opposite prediction


def test_pooling_parts_equals_counting_the_whole():
    rng = np.random.default_rng(4)
    pred, truth, valid = rng.random((3, 6, 8, 8)) > 0.5
    whole = Confusion.from_arrays(pred, truth, valid)
    assert (
        sum((Confusion.from_arrays(*part) for part in zip(pred, truth, valid, strict=True)), Confusion(0, 0, 0, 0))
        == whole
    )
    groups, table = confusions_by_group(pred, truth, valid, np.array([5, 2, 5, 9, 2, 2]))
    assert groups.tolist() == [2, 5, 9]
    assert table.sum(axis=0).tolist() == [whole.tp, whole.fp, whole.fn, whole.tn]
    assert whole.total == valid.sum()


def test_unknown_labels_must_be_left_out_by_valid():
    truth = np.array([0, 1, 255], np.uint8)
    pred = np.array([1, 1, 1], np.uint8)
    assert Confusion.from_arrays(pred, truth, truth != 255) == Confusion(1, 1, 0, 0)
    with pytest.raises(ValueError, match="truth must be 0 or 1 wherever it counts"):
        Confusion.from_arrays(pred, truth)
    with pytest.raises(ValueError, match="same shape"):
        Confusion.from_arrays(pred[:2], truth)


def test_matches_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth = rng.random(500) < 0.2
    pred = truth ^ (rng.random(500) < 0.15)
    ours = Confusion.from_arrays(pred, truth)
    assert ours.f1 == pytest.approx(metrics.f1_score(truth, pred))
    assert ours.iou == pytest.approx(metrics.jaccard_score(truth, pred))
    assert ours.mcc == pytest.approx(metrics.matthews_corrcoef(truth, pred))
