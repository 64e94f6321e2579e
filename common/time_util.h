/* Time is counted in microseconds of CLOCK_MONOTONIC unless a name says otherwise. */
#pragma once

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

typedef uint64_t usec_t;

#define USEC_INFINITY UINT64_MAX
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)

static inline usec_t clock_usec(clockid_t clock)
{
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

static inline usec_t now_usec(void)
{
        return clock_usec(CLOCK_MONOTONIC);
}

static inline usec_t now_realtime_usec(void)
{
        return clock_usec(CLOCK_REALTIME);
}

/* Saturates at USEC_INFINITY. */
static inline usec_t usec_add(usec_t a, usec_t b)
{
        return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

/* What is left until deadline; 0 when it has passed. */
static inline usec_t usec_until(usec_t deadline)
{
        usec_t now = now_usec();

        return deadline > now ? deadline - now : 0;
}

static inline struct timeval usec_to_timeval(usec_t usec)
{
        return (struct timeval) {
                .tv_sec = (time_t) (usec / USEC_PER_SEC),
                .tv_usec = (suseconds_t) (usec % USEC_PER_SEC),
        };
}
