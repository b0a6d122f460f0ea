import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslip.study.config import RowConfig
from landslip.study.pairs import compared_pairs, few_draws
from landslip.study.statistics import (
    Draws,
    claims,
    compare,
    comparisons_as_json,
    factor_effects,
    holm,
    row_estimates,
    scores_of,
    two_sided_p,
)


def counts(seeds=3, blocks=30, seed=0, skill=0.7):
    rng = np.random.default_rng(seed)
    landslide = rng.integers(20, 200, blocks)
    tp = rng.binomial(landslide, skill, (seeds, blocks))
    fp = rng.binomial(landslide, 1 - skill, (seeds, blocks))
    return np.stack([tp, fp, landslide - tp, np.full_like(tp, 5000)], axis=-1).astype(np.int64)


def test_a_draw_is_counts_added_up_then_scored():
    table = counts()
    draws = Draws.make(3, 30, 50, seed=1)
    f1 = draws.scores(table)["f1"]
    again = np.zeros(4, np.int64)
    for s in range(3):
        for b in range(30):
            again += draws.seeds[7, s] * draws.blocks[7, b] * table[s, b]
    assert f1[7] == pytest.approx(2 * again[0] / (2 * again[0] + again[1] + again[2]))
    assert (draws.seeds.sum(axis=1) == 3).all()
    assert (draws.blocks.sum(axis=1) == 30).all()


def test_interval_holds_the_figure_and_shrinks_with_more_blocks():
    few, many = counts(blocks=25, seed=2), counts(blocks=400, seed=2)
    widths = []
    for table in (few, many):
        entry = row_estimates(table, Draws.make(3, table.shape[1], 500))["f1"]
        assert entry["low"] < entry["value"] < entry["high"]
        widths.append(entry["high"] - entry["low"])
    assert widths[1] < widths[0] / 2


def test_interval_covers_the_truth_about_as_often_as_it_says():
    truth = 0.7  # with skill p, tp = p L, fp = (1-p) L, fn = (1-p) L: F1 = p
    covered = 0
    for k in range(60):
        table = counts(seeds=1, blocks=60, seed=k, skill=truth)
        entry = row_estimates(table, Draws.make(1, 60, 300, seed=k))["f1"]
        covered += entry["low"] <= truth <= entry["high"]
    assert 0.82 <= covered / 60 <= 1.0


def test_without_draws_there_is_no_interval_and_undefined_is_null():
    nothing = np.zeros((1, 2, 4), np.int64)
    nothing[..., 3] = 9
    entry = row_estimates(nothing, None)
    assert entry["f1"] == {"value": None, "low": None, "high": None}


def test_rows_are_compared_on_the_same_draws():
    table = counts()
    draws = Draws.make(3, 30, 400)
    same = compare("a", "b", table, table.copy(), draws)
    assert same.value == 0
    assert not same.draws.any()
    assert two_sided_p(same.draws) == 1.0
    better = table.copy()
    better[..., 0] += 5
    better[..., 2] -= 5
    better[..., 2] = np.maximum(better[..., 2], 0)
    # a small gain everywhere is certain although the blocks differ widely from one another
    difference = compare("b", "a", better, table, draws)
    assert (difference.draws > 0).all()
    entry = comparisons_as_json([difference, same])
    assert entry[0]["p"] == pytest.approx(2 / 401)
    assert entry[0]["p_holm"] == pytest.approx(4 / 401)
    assert entry[1]["p_holm"] == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_only_raises_and_keeps_the_order(p):
    corrected = holm(p)
    assert all(c >= one for c, one in zip(corrected, p, strict=True))
    assert max(corrected) <= 1
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)
    assert min(corrected) == pytest.approx(min(1, len(p) * min(p)))


def test_holm_worked_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_effects_are_means_over_rows_alike_in_all_else():
    draws = Draws.make(2, 25, 200)
    levels = {
        "a": {"network": "unet", "layers": "base"},
        "b": {"network": "unet", "layers": "index"},
        "c": {"network": "resunet34", "layers": "base"},
        "d": {"network": "resunet34", "layers": "index"},
    }
    tables = {name: counts(2, 25, seed=i, skill=0.5 + 0.08 * i) for i, name in enumerate(levels)}
    effects = {one["factor"]: one for one in factor_effects(levels, tables, draws)}
    f1 = {name: scores_of(table.sum(axis=(0, 1)))["f1"] for name, table in tables.items()}
    assert effects["network"]["label"] == "resunet34 against unet"
    assert effects["network"]["effect"]["value"] == pytest.approx((f1["c"] - f1["a"] + f1["d"] - f1["b"]) / 2)
    assert effects["layers"]["pairs"] == 2
    words = {"network": {"unet": "U-Net", "resunet34": "ResNet-34 U-Net"}}
    labels = [one["label"] for one in factor_effects(levels, tables, draws, words=words)]
    assert labels == ["ResNet-34 U-Net against U-Net", "index against base"]
    assert factor_effects({}, tables, draws) == []


def test_few_blocks_or_one_seed_claim_nothing():
    assert claims(5, 20) == (True, "")
    may, reason = claims(5, 19)
    assert not may
    assert "19 spatial blocks, fewer than 20" in reason
    may, reason = claims(1, 200)
    assert not may
    assert "one seed proves nothing" in reason


def test_same_seed_same_draws():
    one, other = Draws.make(5, 40, 100), Draws.make(5, 40, 100)
    assert np.array_equal(one.blocks, other.blocks)
    assert np.array_equal(one.seeds, other.seeds)


def test_of_many_rows_the_pairs_that_the_question_needs_are_compared_too():
    roles = {"u": "baseline", "r": "model", "a": "attention", "d": "data", "s": "control", "as": "attention-control"}
    named = [RowConfig(name=name, role=role) for name, role in roles.items()]
    others = [RowConfig(name=f"x{i}") for i in range(5)]
    few = compared_pairs([*named, *others[:4]])
    assert len(few) == 45
    again = RowConfig(name="d2", role="data")  # the report takes the first row of a role
    many = compared_pairs([others[0], *named, *others[1:], again])
    assert [pair for pair in many if pair[1] == "x0"] == many[:11]
    assert set(many[11:]) == {
        ("d", "a"), ("d", "r"), ("d", "u"), ("s", "d"), ("as", "d"), ("a", "u"), ("r", "u"), ("s", "u"),
    }  # fmt: skip
    from_plain = compared_pairs([*named, *others])
    assert len(from_plain) == len({frozenset(pair) for pair in from_plain}) == 10 + 4


def test_draws_that_no_difference_could_outlast_are_told():
    rows = [RowConfig(name=f"r{i}") for i in range(6)]  # 15 pairs
    assert few_draws(rows, 600) == ""
    assert holm([two_sided_p(np.ones(600)), *[1.0] * 14])[0] < 0.05
    assert few_draws(rows, 599).startswith("15 comparisons of rows on 599 draws: after Holm's correction no p-value")
    assert few_draws(rows, 599).endswith("no difference can be supported; give draws = 600 or more, or fewer rows")
    assert holm([two_sided_p(np.ones(599)), *[1.0] * 14])[0] >= 0.05
    assert few_draws(rows[:1], 100) == ""
