/* Instruction-set levels: which one the kernels of this process run at, and variants of a function for each.

   Everything is compiled for the plain x86-64 first. A function that is declared with LSTM2D_PER_LEVEL is compiled
   for AVX2 and AVX-512 too, and each call chooses by `lstm2d_level`. Elsewhere than on x86-64, and in builds with
   bounds checks, there is only the plain variant. */

#ifndef LSTM2D_LEVELS_H
#define LSTM2D_LEVELS_H

#ifdef __clang__ /* it warns where `omp simd` stands for variants that cannot be vectorised, as those that call libm */
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#define LSTM2D_INLINE static inline __attribute__((always_inline))

/* In the order of LEVELS in kernels/isa.py. */
enum { LSTM2D_UNSET = -1, LSTM2D_PLAIN, LSTM2D_AVX2, LSTM2D_AVX512 };

/* One per extension module: levels.pxd sets it when the module is imported. */
static __attribute__((unused)) int lstm2d_level = LSTM2D_UNSET;

#if defined(__x86_64__) && defined(__GNUC__) && !defined(LSTM2D_DEBUG)

#define LSTM2D_VARIANTS
#define LSTM2D_TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,fma")))
#define LSTM2D_TARGET_AVX512                                                                                    \
    __attribute__((target("avx2,bmi,bmi2,fma,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")))

/* The highest level that this CPU and its operating system support. */
static inline int lstm2d_supported_level(void)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2") ||
        !__builtin_cpu_supports("fma"))
        return LSTM2D_PLAIN;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl")
               ? LSTM2D_AVX512
               : LSTM2D_AVX2;
}

/* Stands before the body of a function: LSTM2D_PER_LEVEL(void, f, (int x), (x)) { ... }
   The body is inlined into each variant, and compiled there for the variant's instructions. A module that has not
   set the level ends at its first call. */
#define LSTM2D_PER_LEVEL(RETURN, NAME, PARAMETERS, ARGUMENTS)                                                   \
    LSTM2D_PER_LEVEL_EXPANDED(RETURN, NAME, PARAMETERS, ARGUMENTS)
#define LSTM2D_PER_LEVEL_EXPANDED(RETURN, NAME, PARAMETERS, ARGUMENTS)                                          \
    LSTM2D_INLINE RETURN NAME##_body PARAMETERS;                                                                \
    LSTM2D_TARGET_AVX512 static RETURN NAME##_avx512 PARAMETERS { return NAME##_body ARGUMENTS; }               \
    LSTM2D_TARGET_AVX2 static RETURN NAME##_avx2 PARAMETERS { return NAME##_body ARGUMENTS; }                   \
    static RETURN NAME##_plain PARAMETERS { return NAME##_body ARGUMENTS; }                                     \
    static inline RETURN NAME PARAMETERS                                                                        \
    {                                                                                                           \
        switch (lstm2d_level) {                                                                                 \
        case LSTM2D_AVX512: return NAME##_avx512 ARGUMENTS;                                                     \
        case LSTM2D_AVX2: return NAME##_avx2 ARGUMENTS;                                                         \
        case LSTM2D_PLAIN: return NAME##_plain ARGUMENTS;                                                       \
        default: __builtin_trap();                                                                              \
        }                                                                                                       \
    }                                                                                                           \
    LSTM2D_INLINE RETURN NAME##_body PARAMETERS

#else

static inline int lstm2d_supported_level(void)
{
    return LSTM2D_PLAIN;
}

#define LSTM2D_PER_LEVEL(RETURN, NAME, PARAMETERS, ARGUMENTS) static inline RETURN NAME PARAMETERS

#endif

#endif
