/* The few words the whole tree is written in: ownership, arithmetic, attributes. */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _unused_ __attribute__((unused))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _noreturn_ __attribute__((noreturn))
#define _sentinel_ __attribute__((sentinel))

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

/* Moves ownership out of a variable that has a _cleanup_: the variable is left empty. */
#define TAKE_PTR(p)                        \
        ({                                 \
                __typeof__(p) *_pp = &(p); \
                __typeof__(p) _p = *_pp;   \
                *_pp = NULL;               \
                _p;                        \
        })
#define TAKE_FD(fd)              \
        ({                       \
                int *_fp = &(fd); \
                int _f = *_fp;   \
                *_fp = -1;       \
                _f;              \
        })

/* Defines `static inline void type_freep(type **)` for _cleanup_. */
#define DEFINE_CLEANUP(type, free_fn)                       \
        static inline void free_fn##p(type **p)             \
        {                                                   \
                if (*p)                                     \
                        free_fn(*p);                        \
        }

static inline void freep(void *p)
{
        free(*(void **) p);
}
#define _cleanup_free_ _cleanup_(freep)

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

/* Copies s, cut to fit, into the fixed array dst, always NUL-terminated; -ENAMETOOLONG when it was cut. */
static inline int str_copy(char *dst, size_t dst_size, const char *s)
{
        size_t n = strlen(s);
        size_t keep = n < dst_size ? n : dst_size - 1;

        memcpy(dst, s, keep);
        memset(dst + keep, 0, dst_size - keep);
        return n < dst_size ? 0 : -ENAMETOOLONG;
}
#define STR_COPY(array, s) str_copy((array), sizeof(array), (s))
