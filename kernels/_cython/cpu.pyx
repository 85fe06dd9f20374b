"""Instruction-set levels of the CPU."""

cdef extern from "levels.h" nogil:
    int lstm2d_supported_level()


def supported_level():
    """Return the highest level: an index into `lstm2d.kernels.isa.LEVELS`, 0 where only the plain one is compiled."""
    return lstm2d_supported_level()
