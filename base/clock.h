/* The monotonic clock in seconds, and condition variables that wait by it. */
#ifndef PITH_BASE_CLOCK_H
#define PITH_BASE_CLOCK_H

#include <math.h>
#include <pthread.h>
#include <time.h>

static inline double pith_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A condition variable for pith_clock_wait. */
static inline void pith_clock_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Waits until the condition is signalled or, unless `until` is 0, pith_clock() has reached it. May
 * return early, as pthread_cond_wait does. */
static inline void pith_clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, double until) {
    if (until <= 0 || until > 1e9 * 1e3) {
        pthread_cond_wait(condition, lock);
        return;
    }
    double seconds = floor(until);
    struct timespec at = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((until - seconds) * 1e9)};
    pthread_cond_timedwait(condition, lock, &at);
}

#endif
