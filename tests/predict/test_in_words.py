"""A model in one line of at most 80 columns."""

import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.predict import Predictor, load
from lstm2d.predict.in_words import in_words
from tests.predict.test_predictor import random_model


def test_the_bundled_model() -> None:
    text = "<Predictor outdoor: 8 classes (sky, tree, ...), ~277 px, 177,530 parameters>"
    assert repr(load("outdoor", crf=False)) == text


def test_a_model_without_a_typical_size(rng: np.random.Generator) -> None:
    model = random_model(rng)
    predictor = Predictor(model)
    assert repr(predictor) == f"<Predictor none: 4 classes (a, b, c, d), {predictor.parameters:,} parameters>"


def test_names_are_cut_and_cleaned() -> None:
    assert in_words("P", "", ["1 px"], ["a\nb"]) == "<P: 1 class (a?b), 1 px>"
    long = in_words("Predictor", "n" * 50, ["1 px"], ["c" * 70, "d"])
    assert long == f"<Predictor {'n' * 21}...: 2 classes, 1 px>"


@given(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=12))
def test_it_is_one_line_of_80_columns(name: str, classes: list[str]) -> None:
    text = in_words("TrainedPredictor", name, ["~1234 px", "123,456 parameters"], classes)
    assert text.isprintable()
    assert sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text) <= 80
    assert f"{len(classes)} class" in text
