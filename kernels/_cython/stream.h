/* Writes that bypass the caches, for results that are too large to stay there until they are read: memory is not
   read before it is written. */

#ifndef STREAM_H
#define STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Bytes from which a result is written so. */
#define STREAM_LEAST (1 << 23)

/* Copies to memory that is not read soon; streams of one thread end with stream_end. */
static inline void stream_copy(void *to, const void *from, size_t bytes)
{
#ifdef __SSE2__
    char *target = (char *)to;
    const char *source = (const char *)from;
    const size_t head = (size_t)(-(intptr_t)to & 63);
    if (bytes > head) {
        memcpy(target, source, head);
        target += head, source += head, bytes -= head;
        for (; bytes >= 64; bytes -= 64, target += 64, source += 64)
            for (int k = 0; k < 4; k++)
                _mm_stream_si128((__m128i *)target + k, _mm_loadu_si128((const __m128i *)source + k));
    }
    memcpy(target, source, bytes);
#else
    memcpy(to, from, bytes);
#endif
}

static inline void stream_end(void)
{
#ifdef __SSE2__
    _mm_sfence();
#endif
}

#endif
