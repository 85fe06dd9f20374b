"""A fork while OpenMP has threads: the child has the thread that forks, and no other.

OpenMP keeps the threads of a parallel region for the next one of the same caller, and the runtime of GCC would wait
for them in the child, for ever. So a thread that forks releases its own first, and gets new ones when needed.
Those of other callers do not matter: these callers do not exist in the child either.
"""

cdef extern from *:
    """
    #if !defined(_WIN32) && (defined(__clang__) ? __clang_major__ >= 9 : __GNUC__ >= 9)
    #include <omp.h>
    #include <pthread.h>

    static void let_threads_go(void)
    {
        /* The host: -1 since OpenMP 5.2. Asking for the number that it had before can initialise GPUs. */
        if (omp_pause_resource(omp_pause_soft, -1))
            omp_pause_resource(omp_pause_soft, omp_get_initial_device());
    }

    static int watch_forks(void)
    {
        return pthread_atfork(let_threads_go, NULL, NULL);
    }
    #else
    static int watch_forks(void)
    {
        return 0;
    }
    #endif
    """
    int watch_forks()

if watch_forks():
    raise MemoryError("pthread_atfork")
