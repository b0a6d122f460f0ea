"""The two sentences say what the numbers support, and nothing more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslip.errors import InputError
from landslip.report.answer import answer, why_nothing_is_claimed
from landslip.report.claim import paper_claim
from landslip.report.limits import limits
from landslip.report.model import Comparison, Effect, Estimate, Row, Study

LABELS = {
    "unet": ("U-Net", "baseline", 0.588),
    "resunet34": ("ResNet-34 U-Net", "model", 0.62),
    "attention": ("ResNet-34 U-Net + attention", "attention", 0.64),
    "data": ("Data-centric U-Net", "data", 0.70),
    "steps": ("U-Net, steps as data-centric", "control", 0.61),
}


def a_study(
    *differences: tuple[str, str, float, float, float],
    seeds: int = 5,
    blocks: int | None = 30,
    design: str = "paper",
    p_holm: float | None = 0.01,
) -> Study:
    rows = tuple(
        Row(name, label, role, seeds=tuple(range(seeds)), scores={"test": {"f1": Estimate(f1)}})  # type: ignore[arg-type]
        for name, (label, role, f1) in LABELS.items()
    )
    compared = tuple(Comparison(a, b, Estimate(v, low, high), 0.001, p_holm) for a, b, v, low, high in differences)
    return Study("Valley", design, rows, tuple(range(seeds)), blocks=blocks, comparisons=compared)


LONGER = Row("longer", "Attention, steps as data-centric", "attention-control", scores={"test": {"f1": Estimate(0.69)}})
AHEAD = ("data", "attention", 0.06, 0.02, 0.10)
OPEN = ("data", "attention", 0.01, -0.03, 0.05)
BEHIND = ("data", "attention", -0.06, -0.10, -0.02)
DATA_GAINS = ("data", "unet", 0.112, 0.07, 0.15)
NETWORK_GAINS = ("attention", "unet", 0.052, 0.01, 0.09)
NETWORK_OPEN = ("attention", "unet", 0.052, -0.01, 0.11)


def test_supported_difference_is_told_with_its_interval() -> None:
    told = answer(a_study(AHEAD, DATA_GAINS, NETWORK_GAINS))
    assert told.verdict == "data ahead"
    assert told.first == (
        "Better training data did more than a bigger network: the data-centric U-Net has an F1 of 0.700 on the test "
        "part, the ResNet-34 U-Net + attention 0.640 (+0.060, 95 % interval +0.020 to +0.100)."
    )
    assert told.second == (
        "Against the U-Net (F1 0.588), the data-centric U-Net (+0.112, +0.070 to +0.150) and the ResNet-34 U-Net + "
        "attention (+0.052, +0.010 to +0.090) do better."
    )


def test_network_ahead() -> None:
    told = answer(a_study(BEHIND, NETWORK_GAINS))
    assert told.verdict == "network ahead"
    assert told.first.startswith("A bigger network did more than better training data:")
    assert told.second == (
        "Against the U-Net (F1 0.588), the ResNet-34 U-Net + attention (+0.052, +0.010 to +0.090) does better."
    )


@pytest.mark.parametrize(
    ("main", "against_plain", "words"),
    [
        (
            AHEAD,
            ("data", "unet", 0.02, -0.01, 0.05),
            "The data-centric U-Net is ahead of the ResNet-34 U-Net + attention, but that is no gain from better "
            "training data: the data-centric U-Net has an F1 of 0.700 on the test part, the ResNet-34 U-Net + "
            "attention 0.640 (+0.060, 95 % interval +0.020 to +0.100), and against the U-Net no difference is "
            "supported (+0.020, 95 % interval −0.010 to +0.050).",
        ),
        (
            AHEAD,
            ("data", "unet", -0.05, -0.08, -0.02),
            "and the U-Net is better still (against it −0.050, 95 % interval −0.080 to −0.020).",
        ),
        (BEHIND, NETWORK_OPEN, "is ahead of the data-centric U-Net, but that is no gain from a bigger network:"),
        (BEHIND, ("data", "unet", 0.1, 0.05, 0.15), "and neither was compared with a plain network."),
    ],
)
def test_being_ahead_of_the_rival_is_no_gain_without_being_ahead_of_the_plain_network(
    main: tuple[str, str, float, float, float], against_plain: tuple[str, str, float, float, float], words: str
) -> None:
    told = answer(a_study(main, against_plain))
    assert told.verdict == "ahead without gain"
    assert "did more than" not in told.first
    assert words in told.first


def test_a_gain_over_the_plain_network_that_the_correction_takes_away_is_none() -> None:
    study = a_study(AHEAD, DATA_GAINS)
    weak = replace(study.comparisons[1], p_holm=0.06)
    told = answer(replace(study, comparisons=(study.comparisons[0], weak)))
    assert told.verdict == "ahead without gain"


@pytest.mark.parametrize(
    ("difference", "changes", "standing", "words"),
    [
        (AHEAD, {}, "held", "the whole interval of the difference lies above zero (+0.060, 95 % interval +0.020 to"),
        (BEHIND, {}, "not held", "lies below zero (−0.060, 95 % interval −0.100 to −0.020)."),
        (OPEN, {}, "not settled", "includes zero (+0.010, 95 % interval −0.030 to +0.050)."),
        (AHEAD, {"p_holm": 0.08}, "not settled", "does not outlast the correction for one comparison (p = 0.08)."),
        (AHEAD, {"blocks": 19}, "not settled", "this study claims no difference between its rows."),
        (AHEAD, {"seeds": 1}, "not settled", "this study claims no difference between its rows."),
    ],
)
def test_the_papers_claim_is_held_only_where_the_interval_lies_on_its_side(
    difference: tuple[str, str, float, float, float], changes: dict[str, float], standing: str, words: str
) -> None:
    told = paper_claim(a_study(difference, **changes))  # type: ignore[arg-type]
    assert told is not None
    assert told.standing == standing
    assert told.text.startswith(
        "The paper’s claim that a data-centric U-Net is at least as good as an attention network (margin 0) is "
        f"{standing} here: "
    )
    assert words in told.text


def test_the_papers_claim_needs_both_of_its_rows() -> None:
    assert paper_claim(a_study(DATA_GAINS)) is None
    study = a_study(AHEAD)
    assert paper_claim(replace(study, rows=tuple(r for r in study.rows if r.role != "attention"))) is None


def test_order_in_which_a_pair_is_stored_does_not_matter() -> None:
    turned = ("attention", "data", -0.06, -0.10, -0.02)
    assert answer(a_study(turned, DATA_GAINS)) == answer(a_study(AHEAD, DATA_GAINS))


def test_interval_with_zero_supports_no_difference() -> None:
    told = answer(a_study(OPEN, DATA_GAINS, NETWORK_OPEN))
    assert told.verdict == "no difference supported"
    assert told.first.startswith("The study supports no difference between better training data and a bigger network")
    assert "the interval of the difference includes zero (+0.010, 95 % interval −0.030 to +0.050)" in told.first
    assert "for the ResNet-34 U-Net + attention no difference is supported" in told.second


def test_correction_for_many_comparisons_can_take_a_claim_away() -> None:
    told = answer(a_study(AHEAD, DATA_GAINS, p_holm=0.08))
    assert told.verdict == "no difference supported"
    assert "does not outlast the correction for two comparisons (p = 0.08)" in told.first


@pytest.mark.parametrize(
    ("difference", "first", "words"),
    [
        (
            (0.09, 0.05, 0.13),
            "Better training data did more than",
            "; longer training alone does not explain what the data gain, which stay ahead of",
        ),
        (
            (0.01, -0.02, 0.04),
            "Better training data, or the longer training that comes with it, did more than",
            "; but longer training alone may explain what the data gain, for against",
        ),
        (
            (-0.05, -0.08, -0.02),
            "and the same network trained as long on the plain data is better still.",
            "does better still (the data −0.050, −0.080 to −0.020), so what helped is longer training",
        ),
    ],
)
def test_control_row_says_whether_longer_training_explains_the_gain(
    difference: tuple[float, float, float], first: str, words: str
) -> None:
    told = answer(a_study(AHEAD, DATA_GAINS, ("data", "steps", *difference)))
    assert first in told.first
    assert words in told.second
    assert "the same network trained for as many updates on the plain data" in told.second


@pytest.mark.parametrize(
    ("difference", "gains", "verdict", "words"),
    [
        ((0.05, 0.01, 0.09), True, "data ahead", "Better training data did more than a bigger network: "),
        (
            (0.01, -0.02, 0.04),
            True,
            "no difference supported",
            "The study supports no difference between better training data and a bigger network that is trained as "
            "long: the data-centric U-Net has an F1 of 0.700 on the test part, the ResNet-34 U-Net + attention 0.640, "
            "but trained for as many updates as the data-centric row, it has 0.690, and the interval of the difference "
            "includes zero (+0.010, 95 % interval −0.020 to +0.040).",
        ),
        (
            (-0.05, -0.08, -0.02),
            True,
            "network ahead",
            "A bigger network, trained as long, did more than better data: ",
        ),
        ((-0.05, -0.08, -0.02), False, "ahead without gain", "only because that was trained less: "),
    ],
)
def test_a_network_that_was_trained_as_long_is_the_better_rival(
    difference: tuple[float, float, float], gains: bool, verdict: str, words: str
) -> None:
    plain = ("longer", "unet", 0.1, 0.05, 0.15) if gains else ("longer", "unet", 0.1, -0.05, 0.15)
    study = a_study(AHEAD, DATA_GAINS, ("data", "longer", *difference), plain)
    told = answer(replace(study, rows=(*study.rows, replace(LONGER, seeds=study.seeds))))
    assert told.verdict == verdict
    assert words in told.first
    assert told.second.startswith("Against the U-Net (F1 0.588), the data-centric U-Net (+0.112")


def test_control_row_is_not_mentioned_where_there_is_no_gain_to_explain() -> None:
    told = answer(a_study(OPEN, ("data", "unet", 0.01, -0.02, 0.04), ("data", "steps", 0.0, -0.1, 0.1)))
    assert "training alone" not in told.second
    assert told.second == "Against the U-Net (F1 0.588), no difference is supported for the data-centric U-Net."


@pytest.mark.parametrize(
    ("led", "words"),
    [
        (
            (0.05, 0.03, 0.07),
            "; what helps is longer training, for the U-Net itself has 0.610 after as many updates as the data-centric "
            "row (+0.068, +0.048 to +0.089), and is ahead of that row too (+0.050, +0.030 to +0.070).",
        ),
        (
            (0.01, -0.03, 0.05),
            "; what helps is longer training, for the U-Net itself has 0.610 after as many updates as the data-centric "
            "row (+0.068, +0.048 to +0.089).",
        ),
    ],
)
@pytest.mark.parametrize(
    ("of_data", "start"),
    [
        ((0.01, -0.02, 0.04), ", no difference is supported for the data-centric U-Net"),
        ((-0.04, -0.06, -0.02), ", the data-centric U-Net (−0.040, −0.060 to −0.020) does worse"),
    ],
)
def test_longer_training_is_named_where_it_alone_helps(
    led: tuple[float, float, float], words: str, of_data: tuple[float, float, float], start: str
) -> None:
    gain = ("steps", "unet", 0.068, 0.048, 0.089)
    told = answer(a_study(OPEN, ("data", "unet", *of_data), ("steps", "data", *led), gain))
    assert told.second == f"Against the U-Net (F1 0.588){start}{words}"


@pytest.mark.parametrize("gain", [(0.02, -0.01, 0.05), (-0.05, -0.08, -0.02)])
def test_longer_training_is_not_named_where_no_gain_is_supported(gain: tuple[float, float, float]) -> None:
    told = answer(a_study(OPEN, ("data", "unet", 0.01, -0.02, 0.04), ("steps", "unet", *gain)))
    assert told.second == "Against the U-Net (F1 0.588), no difference is supported for the data-centric U-Net."


def test_one_seed_claims_nothing_and_says_so() -> None:
    told = answer(a_study(AHEAD, DATA_GAINS, seeds=1))
    assert not told.claims
    assert told.first.startswith("Each row was trained from one seed only, so this study claims no ranking")
    assert told.second == (
        "For the record, F1 on the test part runs from 0.588 (U-Net) to 0.700 (Data-centric U-Net); the order may be "
        "chance."
    )


def test_a_single_seed_of_the_forest_does_not_silence_the_study() -> None:
    study = a_study(AHEAD)
    forest = Row("forest", "Forest", "forest", seeds=(0,), scores={"test": {"f1": Estimate(0.5)}})
    assert answer(replace(study, rows=(*study.rows, forest))).claims


@pytest.mark.parametrize(
    ("blocks", "words"), [(12, "has twelve spatial blocks"), (1, "has one spatial block,"), (19, "19 spatial")]
)
def test_few_blocks_claim_nothing(blocks: int, words: str) -> None:
    told = answer(a_study(AHEAD, blocks=blocks))
    assert not told.claims
    assert words in told.first
    assert "fewer than the 20 that a trustworthy interval needs" in told.first


def test_twenty_blocks_are_enough() -> None:
    assert answer(a_study(AHEAD, blocks=20)).claims


def test_without_intervals_nothing_is_claimed() -> None:
    told = answer(a_study())
    assert told.first == "No intervals were computed for the differences between rows, so this study claims none."


def test_the_study_itself_may_refuse_to_claim() -> None:
    study = replace(a_study(AHEAD), claims_reason="training and test pixels touch.")
    assert answer(study).first == "Training and test pixels touch."


def test_without_a_scored_row_there_is_no_answer() -> None:
    study = replace(a_study(), rows=(Row("unet", "U-Net", "baseline", seeds=(0, 1)),))
    with pytest.raises(InputError, match="no row has a score on the test part; finish the study with --resume"):
        answer(study)


def test_rows_without_roles_are_listed_against_the_first() -> None:
    study = a_study(("resunet34", "unet", 0.03, 0.01, 0.05), ("steps", "unet", 0.02, -0.01, 0.05))
    study = replace(
        study, rows=tuple(replace(row, role="baseline" if row.name == "unet" else "other") for row in study.rows)
    )
    told = answer(study)
    assert told.first == (
        "Of the two rows compared with the U-Net (F1 0.588), one does better: ResNet-34 U-Net (+0.030, +0.010 to "
        "+0.050)."
    )
    assert told.second == "For the remaining one no difference is supported."


def test_two_rows_that_do_not_differ_are_named_both() -> None:
    study = a_study(("steps", "unet", 0.02, -0.01, 0.05))
    rows = (study.row("unet"), replace(study.row("steps"), role="other"))
    assert answer(replace(study, rows=rows)).first == (
        "U-Net, steps as data-centric and U-Net (F1 0.588) differ by no more than chance may explain."
    )


def test_factorial_design_speaks_of_effects() -> None:
    study = replace(
        a_study(DATA_GAINS, design="factorial"),
        effects=(
            Effect("layers", "object means", Estimate(0.03, 0.01, 0.05), 0.01),
            Effect("augment", "d4", Estimate(0.05, 0.02, 0.08), 0.01),
            Effect("model", "ResNet-34", Estimate(0.01, -0.02, 0.04), 0.5),
        ),
    )
    told = answer(study)
    assert told.first == (
        "Averaged over the whole grid, F1 is moved by d4 (+0.050, 95 % interval +0.020 to +0.080) and object means "
        "(+0.030, +0.010 to +0.050)."
    )
    assert told.second == "For one other change no effect is supported."


@settings(deadline=None)
@given(
    value=st.floats(-0.3, 0.3),
    gain=st.floats(-0.3, 0.3),
    below=st.floats(0, 0.2),
    above=st.floats(0, 0.2),
    p_holm=st.floats(0, 1),
    seeds=st.integers(1, 6),
    blocks=st.integers(1, 60),
)
def test_never_a_claim_that_the_interval_does_not_carry(
    value: float, gain: float, below: float, above: float, p_holm: float, seeds: int, blocks: int
) -> None:
    low, high = value - below, value + above
    plain = (gain, gain - below, gain + above)
    study = a_study(
        ("data", "attention", value, low, high),
        ("data", "unet", *plain),
        ("attention", "unet", *plain),
        seeds=seeds,
        blocks=blocks,
        p_holm=p_holm,
    )
    told = answer(study)
    may = seeds > 1 and blocks >= 20 and (low > 0 or high < 0) and plain[1] > 0 and p_holm < 0.05
    claim = paper_claim(study)
    assert claim is not None
    if claim.standing != "not settled":
        assert seeds > 1
        assert blocks >= 20
        assert p_holm < 0.05
        assert low > 0 if claim.standing == "held" else high < 0
    assert (" did more than " in told.first) == may
    assert (told.verdict in {"data ahead", "network ahead"}) == may
    assert told.claims == (not why_nothing_is_claimed(study))
    for sentence in (told.first, told.second):
        assert sentence.endswith(".")
        assert sentence[0].isupper()


def test_limits_name_what_is_missing_and_repeat_nothing() -> None:
    study = replace(
        a_study(AHEAD, seeds=1), simulated=True, info={"limits": ["Snow before."], "warnings": ["Snow before."]}
    )
    told = limits(study)
    assert told[0].startswith("Each row was trained from one seed only")
    assert any("simulated" in text for text in told)
    assert sum(text == "Snow before." for text in told) == 1
    assert not any("paper" in text for text in told)  # no row of the paper in it


def test_limits_name_rows_that_stand_on_fewer_pixels() -> None:
    study = a_study(AHEAD)
    counts = [{"scores": {"test": {"tp": 10, "fp": 10, "fn": 10, "tn": n}}} for n in (70, 70, 70, 25, 69)]
    rows = tuple(replace(row, runs=(run,)) for row, run in zip(study.rows, counts, strict=True))
    told = [text for text in limits(replace(study, rows=rows)) if "fewer test pixels" in text]
    assert len(told) == 1
    assert "reach everywhere: Data-centric U-Net (55 %)." in told[0]
    assert not any("fewer test pixels" in text for text in limits(study))


def test_limits_name_rows_that_chance_would_equal() -> None:
    study = a_study(AHEAD)
    parts = [{"part": "test", "pixels": 1000, "landslide_pixels": 250}]  # calling everything landslide has F1 0.4
    found = [Estimate(0.41, 0.39, 0.5), Estimate(0.6, 0.41, 0.7), Estimate(0.0), Estimate(0.5), None]
    rows = tuple(
        replace(row, scores={"test": {"f1": f1} if f1 else {}}) for row, f1 in zip(study.rows, found, strict=True)
    )
    told = [text for text in limits(replace(study, rows=rows, info={"split": {"parts": parts}})) if "F1 0.4" in text]
    assert told == [
        "At threshold 0.5 not surely better than calling everything landslide (F1 0.400), and so no map yet: "
        f"{study.rows[0].label} and {study.rows[2].label}."
    ]
    assert not any("calling everything" in text for text in limits(replace(study, rows=rows)))  # prevalence unknown


def test_limits_name_rows_that_were_still_learning() -> None:
    study = a_study(AHEAD)
    runs = [[(9, 9), (9, 9), (9, 4)], [(9, 9), (9, 3)], [(9, 2)], [], [(1, 1)]]
    rows = tuple(
        replace(row, runs=tuple({"epochs": last, "best_epoch": best} for last, best in of_row))
        for row, of_row in zip(study.rows, runs, strict=True)
    )
    told = [text for text in limits(replace(study, rows=rows)) if "longer training" in text]
    assert len(told) == 1
    assert told[0].endswith("order: U-Net and U-Net, steps as data-centric.")
