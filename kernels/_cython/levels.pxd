"""The instruction-set level of an extension module whose C code has a variant for each."""

cdef extern from "levels.h" nogil:
    int lstm2d_level


cdef inline int use_level() except -1:
    """Set the module's level to the one that the process has; to be called when the module is imported."""
    global lstm2d_level
    from lstm2d.kernels import isa
    lstm2d_level = isa.LEVELS.index(isa.level())
    return 0
