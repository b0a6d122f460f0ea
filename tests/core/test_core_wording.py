import pytest

from landslip.wording import counted


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (counted(1, "landslide"), "1 landslide"),
        (counted(0, "landslide"), "0 landslides"),
        (counted(1200, "patch", "patches", spec=","), "1,200 patches"),
        (counted(1, "was", "were"), "1 was"),
        (counted(1, "other change", shown="one"), "one other change"),
    ],
)
def test_counts_have_their_noun_in_the_right_number(words, text):
    assert words == text
