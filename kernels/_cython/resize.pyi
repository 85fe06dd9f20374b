import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.taps import Taps

def resample(x: FloatArray, rows: Taps, columns: Taps) -> FloatArray: ...
def bilinear_argmax(x: FloatArray, height: int, width: int) -> NDArray[np.uint8]: ...
