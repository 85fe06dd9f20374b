"""Networks that score subclasses: new heads, and folding them into heads for the classes."""

import numpy as np
import pytest
from scipy.special import softmax

from lstm2d.models import PREDICTION, LSTM2DNetwork, Network, RCNNNetwork, build
from lstm2d.models.subclasses import folded_arrays, score_classes, score_subclasses, scoring_classes
from lstm2d.ops import cubic_resize
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray, Tensor
from tests.models.subclasses import CLASSES, NAMES, PARENTS, SECTIONS, fine_network, image, network

TOLERANCES = [(np.float64, 1e-10), (np.float32, 3e-5)]


def unfolded(net: Network, x: Tensor) -> FloatArray:
    """Return the probabilities of the classes from the scores of the subclasses, step by step."""
    assert net.membership is not None
    with no_grad():
        scores = net.scores(net.frozen(x), PREDICTION).data @ net.membership.weight.data
        result: FloatArray = softmax(scores, axis=-1)
        if isinstance(net, LSTM2DNetwork) and net.stride > 1:
            pixels = np.clip(cubic_resize(Tensor(result), *x.shape[1:3]).data, 0, None)
            result = pixels / pixels.sum(axis=-1, keepdims=True)
    return result


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_folded_model_has_the_same_probabilities(
    name: str, mixed: bool, dtype: type, tolerance: float
) -> None:
    net = fine_network(name, dtype, mixed=mixed)
    x = image(net, dtype)
    expected = unfolded(net, x)
    assert expected.std(axis=(1, 2)).max() > 1e-4  # the pixels differ
    stored = folded_arrays(net)
    plain = build(SECTIONS[name], CLASSES, np.random.default_rng(9), dtype=dtype)
    plain.load_state_dict(stored, strict=True)
    np.testing.assert_allclose(plain.probabilities(x), expected, rtol=0, atol=tolerance)
    with scoring_classes(net):
        assert net.probabilities(x).tobytes() == plain.probabilities(x).tobytes()
        assert (net.n_classes, net.membership) == (CLASSES, None)
    np.testing.assert_array_equal(unfolded(net, x), expected)


@pytest.mark.parametrize("name", NAMES)
def test_new_heads(name: str) -> None:
    """They have the distributions of the old ones; all other layers stay as they are."""
    net, before = network(name), network(name).state_dict()
    score_subclasses(net, PARENTS, np.random.default_rng(2))
    heads = [f"{head}.{part}" for head in net.heads() for part in ("weight", "bias")]
    after = net.state_dict()
    assert net.n_classes == after[heads[0]].shape[-1] == len(PARENTS)
    assert after["membership.weight"].tolist() == [
        [1, 0, 0],
        [1, 0, 0],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 1],
    ]
    for key, values in before.items():
        assert key in heads or after[key].tobytes() == values.tobytes(), key
    assert not after[heads[1]].any()
    weight = after[heads[0]]
    score_classes(net, CLASSES, np.random.default_rng(2))
    again = net.state_dict()
    assert {key: a.shape for key, a in again.items()} == {key: a.shape for key, a in before.items()}
    fresh = build(SECTIONS[name], len(PARENTS), np.random.default_rng(0), dtype=np.float64).head.weight.data
    assert 0.4 < weight.std() / fresh.std() < 2.5
    assert again[heads[0]].tobytes() != before[heads[0]].tobytes()


def test_planes_fed_back_are_those_of_the_classes() -> None:
    net = fine_network("rcnn", mixed=True)
    assert isinstance(net, RCNNNetwork)
    assert net.membership is not None
    assert net.first.planes is not None
    assert net.first.planes.shape[2] == CLASSES
    x = image(net)
    with no_grad():
        first = net.planes(x, 1, 1)[0].data @ net.membership.weight.data
        seen = []
        original = net._image

        def spy(x: Tensor, planes: Tensor, *args: object) -> Tensor:
            seen.append(planes.data.copy())
            return original(x, planes, *args)  # type: ignore[arg-type]

        net._image = spy  # type: ignore[method-assign]
        net.planes(x, 2, 1)
    np.testing.assert_allclose(seen[0], first, rtol=1e-12, atol=1e-14)
