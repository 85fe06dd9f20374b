"""The fully connected CRF: its equations, the lattice compared with the exact sum, and models with a CRF."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm2d
from lstm2d import kernels
from lstm2d.config.crf import CRF_SETS, crf_settings
from lstm2d.data.synth import draw_scene
from lstm2d.errors import ConfigError, DataError, ShapeError
from lstm2d.io.model_file import load_model
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.pipeline.crf import described, refine
from lstm2d.pipeline.resize import labels_at
from lstm2d.predict import Predictor

LEAST = 1e-6


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def dense(p: np.ndarray, image: np.ndarray, crf: Any) -> np.ndarray:
    """Return the mean field computed with full matrices, as in the paper."""
    h, w, k = p.shape
    place = np.stack(np.meshgrid(np.arange(h), np.arange(w), indexing="ij"), axis=-1).reshape(-1, 2)
    colour = image.reshape(-1, 3).astype(float)

    def squares(x: np.ndarray) -> np.ndarray:
        return ((x[:, None] - x[None]) ** 2).sum(axis=2)

    near = squares(place)
    bilateral = np.exp(-near / (2 * crf.theta_alpha**2) - squares(colour) / (2 * crf.theta_beta**2))
    spatial = np.exp(-near / (2 * crf.theta_gamma**2))
    pairwise = np.zeros_like(spatial)
    for weight, g in ((crf.bilateral_weight, bilateral), (crf.spatial_weight, spatial)):
        d = g.sum(axis=1)
        pairwise += weight * (
            g / np.sqrt(np.outer(d, d)) if crf.normalisation == "symmetric" else g / d[:, None]
        )
    unary = -np.log(np.maximum(p, LEAST)).reshape(-1, k)
    q = p.reshape(-1, k)
    for _ in range(crf.iterations):
        message = pairwise @ q
        others = message.sum(axis=1, keepdims=True) - message  # Potts: the weight of all other labels
        q = softmax(-unary - others)
    return q.reshape(p.shape)


@settings(max_examples=20)
@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    classes=st.integers(1, 5),
    iterations=st.integers(1, 3),
    weights=st.tuples(st.sampled_from([0.0, 0.7, 10.0]), st.sampled_from([0.0, 3.0])),
    normalisation=st.sampled_from(["symmetric", "after"]),
    seed=st.integers(0, 2**32),
)
def test_exact_is_the_papers_mean_field(
    height: int,
    width: int,
    classes: int,
    iterations: int,
    weights: tuple[float, float],
    normalisation: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), (height, width))
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    values = {"iterations": iterations, "bilateral_weight": weights[0], "spatial_weight": weights[1]}
    crf = crf_settings(values | {"theta_beta": 60, "normalisation": normalisation, "exact": True})
    np.testing.assert_allclose(refine(p, image, crf), dense(p, image, crf), rtol=1e-9, atol=1e-12)


def test_no_weight_changes_nothing(rng: np.random.Generator) -> None:
    p = rng.dirichlet(np.ones(4), (3, 5))
    crf = crf_settings({"bilateral_weight": 0.0, "spatial_weight": 0.0})
    np.testing.assert_allclose(refine(p, np.zeros((3, 5, 3)), crf), p, rtol=1e-12)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("normalisation", ["symmetric", "after"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_follow_the_edges_of_the_image(
    exact: bool, normalisation: str, dtype: type, rng: np.random.Generator
) -> None:
    truth = np.zeros((16, 20), int)
    truth[:, 9:] = 1
    image = np.where(truth[..., None], [200, 60, 40], [30, 90, 180]).astype(np.uint8)
    p = np.full((16, 20, 2), 0.45)
    np.put_along_axis(p, truth[..., None], 0.55, axis=2)
    wrong = rng.random(truth.shape) < 0.3
    p[wrong] = p[wrong][:, ::-1]
    p = p.astype(dtype)
    assert (p.argmax(axis=2) != truth).mean() > 0.2
    q = refine(p, image, crf_settings({"normalisation": normalisation, "exact": exact}))
    assert q.dtype == dtype
    assert (q.argmax(axis=2) == truth).all()
    np.testing.assert_allclose(q.sum(axis=2), 1, rtol=1e-6)


def test_a_probability_of_zero_forbids_nothing() -> None:
    p = np.zeros((5, 5, 2), np.float32)
    p[..., 0] = 1
    p[2, 2] = [0, 1]
    q = refine(p, np.zeros((5, 5, 3), np.uint8), crf_settings(overrides=["crf.bilateral_weight=40"]))
    assert q.argmax(axis=2).tolist() == np.zeros((5, 5)).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_fast_lattice_is_the_slow_one(dtype: type) -> None:
    image, truth = draw_scene(3, 0, 20, 28)
    rng = np.random.default_rng(1)
    p = softmax(rng.standard_normal((*truth.shape, 6)) + 2 * np.eye(6)[truth % 6]).astype(dtype)
    for name in CRF_SETS:
        crf = crf_settings(name)
        fast = refine(p, image, crf)
        with kernels.use(kernels.available("crf")[-1]):
            slow = refine(p, image, crf)
        np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-5 if dtype is np.float64 else 1e-3)


@pytest.mark.parametrize("normalisation", ["symmetric", "after"])
def test_the_lattice_beside_the_exact_sum(normalisation: str) -> None:
    """20x20 crops of drawn scenes, with the bundled model's probabilities."""
    model = lstm2d.load("outdoor")
    crf = crf_settings(overrides=[f"crf.normalisation={normalisation}"])
    exact = crf_settings(overrides=[f"crf.normalisation={normalisation}", "crf.exact=true"])
    for seed in range(4):
        image, _ = draw_scene(seed, 0)
        p = model.predict_proba(image).astype(np.float64)
        rows, columns = np.random.default_rng(seed).integers(0, [100, 140], (4, 2)).T
        for row, column in zip(rows, columns, strict=True):
            crop = (slice(row, row + 20), slice(column, column + 20))
            q, wanted = refine(p[crop], image[crop], crf), refine(p[crop], image[crop], exact)
            assert np.abs(q - wanted).mean() <= 0.02
            assert (q.argmax(axis=2) == wanted.argmax(axis=2)).mean() >= 0.95


@pytest.mark.parametrize("exact", [False, True])
def test_threads_change_no_bit(exact: bool, rng: np.random.Generator) -> None:
    shape = (30, 40) if exact else (120, 160)
    p = rng.dirichlet(np.ones(9), shape).astype(np.float32)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    results = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        results.append(refine(p, image, crf_settings({"exact": exact})).tobytes())
    assert results[0] == results[1] == results[2]


def test_inputs_stay_as_they_are(rng: np.random.Generator) -> None:
    p = rng.dirichlet(np.ones(3), (6, 4)).astype(np.float32)
    image = rng.random((6, 4, 3)) * 255
    before = p.copy(), image.copy()
    p.setflags(write=False)
    refine(p[:, ::-1], image[:, ::-1], crf_settings())
    assert (before[0] == p).all()
    assert (before[1] == image).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"normalisation": "after", "spatial_weight": 0.0}, {"exact": True}])
def test_on_a_device(device: str, rng: np.random.Generator, options: dict[str, Any], dtype: type) -> None:
    image, truth = draw_scene(3, 0)
    image, truth = image[40:47, 60:68], truth[40:47, 60:68]
    p = softmax(rng.standard_normal((*truth.shape, 6)) + 2 * np.eye(6)[truth % 6]).astype(dtype)
    crf = crf_settings(options)
    found = refine(kernels.to_device(p, device), image, crf)
    assert kernels.device_of(found) == device
    assert found.dtype == dtype
    np.testing.assert_allclose(kernels.to_host(found), refine(p, image, crf), rtol=0, atol=1e-4)


def test_labels_alone_come_to_the_host(
    brightness_model: Path,
    device: str,
    image: np.ndarray,
    cupy_module: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predictor = lstm2d.load(brightness_model, crf="krahenbuehl", device=device)
    expected = lstm2d.load(brightness_model, crf="krahenbuehl").predict_proba(image)
    np.testing.assert_allclose(predictor.predict_proba(image), expected, rtol=0, atol=1e-4)
    if not hasattr(cupy_module, "_pool"):
        pytest.skip("what a GPU hands over cannot be watched")
    fetched: list[np.ndarray] = []

    def get(array: Any) -> np.ndarray:
        fetched.append(array._values.copy())
        return fetched[-1]

    monkeypatch.setattr(cupy_module.ndarray, "get", get)
    labels = predictor.predict(image)
    np.testing.assert_array_equal(labels, expected.argmax(axis=2))
    assert labels.dtype == np.uint8
    assert all(array.dtype.kind != "f" for array in fetched)
    assert labels is fetched[-1]


def test_the_first_of_equally_likely_classes(device: str) -> None:
    p = np.array([[[0.25, 0.5, 0.25], [0.5, 0.5, 0.0], [0.2, 0.4, 0.4]]], np.float32)
    for place in ("cpu", device):
        found = labels_at(kernels.to_device(p, place), 1, 3)
        assert found.tolist() == [[1, 0, 1]]


def test_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="do not fit"):
        refine(np.zeros((3, 4, 2)), np.zeros((4, 3, 3)), crf_settings())


def test_the_exact_sum_is_for_small_images() -> None:
    p = np.full((129, 128, 2), 0.5, np.float32)
    with pytest.raises(DataError, match=r"129x128 pixels are too many for crf\.exact"):
        refine(p, np.zeros((129, 128, 3)), crf_settings({"exact": True}))


def test_deviations_too_small_for_the_image(rng: np.random.Generator) -> None:
    p = np.full((20_000, 2, 1), 1, np.float32)
    image = rng.integers(0, 256, (20_000, 2, 3))
    with pytest.raises(ConfigError, match=r"larger crf\.theta_"):
        refine(p, image, crf_settings({"theta_alpha": 0.1, "theta_beta": 0.1}))


def test_settings_in_words() -> None:
    text = described(crf_settings("deeplab-voc", ["crf.exact=true", "crf.theta_alpha=48.5"]))
    assert text.startswith("iterations=10 bilateral_weight=4 theta_alpha=48.5 ")
    assert text.endswith(" normalisation=symmetric exact=true")
    again = crf_settings({}, [f"crf.{item}" for item in text.split()])
    assert described(again) == text
    assert described(None) == ""


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(90, 166, (7, 9, 3), dtype=np.uint8)


def test_a_predictor_applies_what_it_is_given(brightness_model: Path, image: np.ndarray) -> None:
    plain = lstm2d.load(brightness_model)
    assert plain.crf is None
    p = plain.predict_proba(image)
    named = lstm2d.load(brightness_model, crf="deeplab-voc")
    np.testing.assert_array_equal(named.predict_proba(image), refine(p, image, crf_settings("deeplab-voc")))
    own = lstm2d.load(brightness_model, crf=crf_settings({"iterations": 7}))
    assert own.crf is not None
    assert own.crf.iterations == 7
    assert (own.predict_proba(image) != p).any()
    assert (own.predict(image) == own.predict_proba(image).argmax(axis=2)).all()


def with_crf(path: Path, crf: Any) -> Predictor:
    model = load_model(path)
    model.config["crf"] = crf
    return Predictor(model, source=path)


def test_a_model_brings_its_own(brightness_model: Path, image: np.ndarray) -> None:
    p = lstm2d.load(brightness_model).predict_proba(image)
    predictor = with_crf(brightness_model, {"iterations": 3})
    np.testing.assert_array_equal(
        predictor.predict_proba(image), refine(p, image, crf_settings({"iterations": 3}))
    )
    model = load_model(brightness_model)
    model.config["crf"] = {"iterations": 3}
    np.testing.assert_array_equal(Predictor(model, crf=False).predict_proba(image), p)


@pytest.mark.parametrize("crf", [{"iterations": 0}, {"theta": 1.0}, 3, "outdoor", [1, 2]])
def test_a_damaged_section_in_a_model(brightness_model: Path, crf: Any) -> None:
    with pytest.raises(DataError, match="CRF settings that cannot be used"):
        with_crf(brightness_model, crf)


def test_no_such_set(brightness_model: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean deeplab-voc"):
        lstm2d.load(brightness_model, crf="deeplab_voc")
