"""Images and masks are paired by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.data.importers.pairing import IMAGE_WORDS, MASK_WORDS, ends_as_mask, pair_names, words_of


@pytest.mark.parametrize(
    ("images", "masks", "pairs", "rule"),
    [
        (["a", "b", "c"], ["c", "a"], [(0, 1), (2, 0)], "equal names"),
        (["a", "b"], ["b_mask", "a_mask"], [(0, 1), (1, 0)], "names that differ at their ends: a_mask for a"),
        (["x1", "x2"], ["x1_gt", "x2_gt"], [(0, 0), (1, 1)], "names that differ"),
        (["image_0001", "image_0002"], ["mask_0002"], [(1, 0)], "names that differ"),
        (["0001TP_006690"], ["0001TP_006690_L"], [(0, 0)], "names that differ"),
        (["100694_sat"], ["100694_mask"], [(0, 0)], "names that differ"),
        (["ISIC_0000000"], ["ISIC_0000000_segmentation"], [(0, 0)], "names that differ"),
        (["IMG-3", "IMG-12"], ["annot012", "annot003"], [(0, 1), (1, 0)], "equal numbers"),
        (["p3", "p12"], ["q012", "q003"], [(0, 1), (1, 0)], "names with equal numbers: q003 for p3"),
        (
            ["21_training", "22_training"],
            ["21_manual1", "22_manual1"],
            [(0, 0), (1, 1)],
            "an equal first number",
        ),
        (["a3", "a4"], ["b1_4", "b1_3"], [(0, 1), (1, 0)], "an equal last number"),
    ],
)
def test_common_namings(images: list[str], masks: list[str], pairs: list, rule: str) -> None:
    found = pair_names([(images, masks)])
    assert found.pairs == (pairs,)
    assert rule in found.rule
    assert found.unclear == ()


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["a", "b"], ["c", "d"]),
        ([], ["a"]),
        (["horse1", "cow2"], ["other1", "thing2"]),  # equal numbers, but the names have several forms
        (["mask"], ["image"]),  # nothing remains without the words
        (["a"], []),
    ],
)
def test_names_that_do_not_belong_together(images: list[str], masks: list[str]) -> None:
    assert pair_names([(images, masks)]).count == 0


def test_the_rule_that_pairs_most_applies_to_all() -> None:
    # one mask has the name of its image, three have an ending
    found = pair_names([(["a", "b", "c", "d_mask"], ["a_mask", "b_mask", "c_mask", "d_mask"])])
    assert found.pairs == ([(0, 0), (1, 1), (2, 2)],)
    # of two rules that pair equally many, the stricter one
    assert pair_names([(["a_1", "b_1"], ["a_1", "b_1"])]).rule == "equal names"


def test_groups_are_kept_apart() -> None:
    found = pair_names([(["a", "b"], ["a_m"]), (["a"], ["a_m", "b_m"])])
    assert found.pairs == ([(0, 0)], [(0, 0)])


def test_several_masks_for_an_image_are_unclear() -> None:
    found = pair_names([(["a", "b"], ["a_mask", "a_gt", "b_gt"])])
    assert found.pairs == ([(1, 2)],)
    assert found.unclear == ("a and a_mask, a_gt",)


def test_words() -> None:
    assert words_of("leftImg8bit_01-Ä") == ["leftimg", "8", "bit", "01", "ä"]


@pytest.mark.parametrize(
    ("stem", "answer"),
    [
        ("a_mask", True),
        ("gt_7", True),
        ("a-labels", True),
        ("mask", False),
        ("a_l", False),
        ("masked_a", False),
    ],
)
def test_names_of_masks(stem: str, answer: bool) -> None:
    assert ends_as_mask(stem) is answer


WORDS = IMAGE_WORDS | MASK_WORDS
CORES = st.lists(
    st.from_regex(r"[a-z]{3,8}[0-9]{1,3}", fullmatch=True).filter(
        lambda core: not WORDS & set(words_of(core))
    ),
    min_size=1,
    max_size=8,
    unique=True,
)


@given(
    cores=CORES,
    image=st.sampled_from(["{}", "image_{}", "{}_rgb", "img-{}", "Photo {}"]),
    mask=st.sampled_from(
        ["{}", "mask_{}", "{}_mask", "{}-gt", "{}_seg", "{}_label", "Label.{}", "image_{}_gt"]
    ),
    order=st.randoms(use_true_random=False),
    half=st.booleans(),
)
def test_any_ends(cores: list[str], image: str, mask: str, order: object, half: bool) -> None:
    """Whatever words are around them, equal names are paired, and nothing else."""
    masks = [mask.format(core) for core in cores[: (len(cores) + 1) // 2 if half else None]]
    shuffled = list(masks)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    images = [image.format(core) for core in cores]
    found = pair_names([(images, shuffled)])
    assert found.pairs == ([(k, shuffled.index(m)) for k, m in enumerate(masks)],)
    assert found.unclear == ()
