"""The stand-in detects errors that are silent on a GPU."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d.kernels import on_gpu

SOURCE = """
typedef long long Long;
extern "C" __global__ void beside(REAL *y, int n) { y[threadIdx.x] = 1; }
extern "C" __global__ void sum(const REAL *x, REAL *y, int n) {
    SHARED(part);
    part[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int step = blockDim.x / 2; step; step /= 2) {
        __syncthreads();
        if (threadIdx.x < step) part[threadIdx.x] += part[threadIdx.x + step];
    }
    if (threadIdx.x == 0) y[blockIdx.x] = part[0];
}
extern "C" __global__ void race(const REAL *x, REAL *y, int n) {
    SHARED(part);
    part[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = part[(threadIdx.x + 1) % n];
}
extern "C" __global__ void left(REAL *y, int n) {
    if (threadIdx.x >= n) return;
    __syncthreads();
    y[threadIdx.x] = 0;
}
extern "C" __global__ void chain(REAL *y, unsigned *counter, int n) {
    for (int step = 0; step < n; step++) {
        if (threadIdx.x == 0 && step % gridDim.x == blockIdx.x) y[step] = (step ? y[step - 1] : 0) + 1;
        atomicAdd(counter, (unsigned)(threadIdx.x == 0));
        while (*(volatile unsigned *)counter < (step + 1) * gridDim.x) PAUSE();
    }
}
extern "C" __global__ void for_ever(REAL *y, unsigned *counter) {
    while (*counter == 0) PAUSE();
}
"""


@pytest.fixture
def module(cp: ModuleType) -> object:
    if not hasattr(cp, "_pool"):
        pytest.skip("there is a GPU")
    return cp.RawModule(code=SOURCE, options=("-std=c++17", "-DREAL=double"))


def test_threads_of_a_block_wait_for_each_other(cp: ModuleType, module, rng: np.random.Generator) -> None:
    x, y = cp.asarray(rng.standard_normal((3, 64))), cp.empty(3)
    module.get_function("sum")((3,), (64,), (x, y, np.int32(0)), shared_mem=64 * 8)
    np.testing.assert_allclose(y.get(), x.get().sum(1))


def test_blocks_wait_for_each_other(cp: ModuleType, module) -> None:
    y, counter = cp.empty(20), cp.zeros(1, "uint32")
    module.get_function("chain")((4,), (3,), (y, counter, np.int32(20)))
    np.testing.assert_array_equal(y.get(), np.arange(1, 21))


def test_a_race_shows(cp: ModuleType, module) -> None:
    x, y = cp.asarray(np.arange(8.0)), cp.empty(8)
    module.get_function("race")((1,), (8,), (x, y, np.int32(8)), shared_mem=64)
    assert not np.array_equal(y.get(), np.roll(np.arange(8.0), -1))


def test_a_write_beside_an_array_is_found(cp: ModuleType, module) -> None:
    with pytest.raises(AssertionError, match="outside"):
        module.get_function("beside")((1,), (8,), (cp.empty(7), np.int32(7)))


def test_a_read_beside_an_array_gives_nan(cp: ModuleType, module) -> None:
    x, y = cp.asarray(np.ones(7)), cp.empty(1)
    module.get_function("sum")((1,), (8,), (x, y, np.int32(0)), shared_mem=64)
    assert np.isnan(y.get()).all()


def test_threads_that_leave_a_barrier_are_found(cp: ModuleType, module) -> None:
    with pytest.raises(AssertionError, match="left its block"):
        module.get_function("left")((1,), (8,), (cp.empty(8), np.int32(5)))


def test_blocks_that_wait_for_ever_are_found(cp: ModuleType, module) -> None:
    with pytest.raises(AssertionError, match="for ever"):
        module.get_function("for_ever")((2,), (2,), (cp.empty(1), cp.zeros(1, "uint32")))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda cp: (cp.empty(8, "float32"), np.int32(8)),
        lambda cp: (np.empty(8), np.int32(8)),
        lambda cp: (cp.empty(8), np.int64(8)),
        lambda cp: (np.int64(8), np.int32(8)),
    ],
)
def test_arguments_of_another_type_are_found(cp: ModuleType, module, wrong) -> None:
    with pytest.raises(TypeError, match="left"):
        module.get_function("left")((1,), (8,), wrong(cp))


def test_arrays_stay_on_the_device(cp: ModuleType) -> None:
    x = cp.asarray(np.arange(6.0).reshape(2, 3))
    assert on_gpu(x)
    for mixed in (lambda: np.asarray(x), lambda: x + np.ones((2, 3)), lambda: np.add(np.ones((2, 3)), x)):
        with pytest.raises(TypeError):
            mixed()
    assert on_gpu(x.sum())
    assert on_gpu(np.concatenate([x, x]))
    np.testing.assert_array_equal((2 * x.T[1:]).get(), 2 * x.get().T[1:])
    x[1] = 0
    assert float(x.sum()) == 3


def test_new_memory_is_nan(cp: ModuleType) -> None:
    if not hasattr(cp, "_pool"):
        pytest.skip("there is a GPU")
    assert np.isnan(cp.empty((2, 3), "float32").get()).all()
