/* Size arithmetic on numbers that came from a file: true on success, false on overflow, in which
 * case *out is unchanged. */
#ifndef PITH_BASE_CHECKED_H
#define PITH_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool pith_add_size(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b) {
        return false;
    }
    *out = a + b;
    return true;
}

static inline bool pith_mul_size(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b) {
        return false;
    }
    *out = a * b;
    return true;
}

/* Rounds up to a multiple of `unit` (not 0); for sizes known to be far from SIZE_MAX. */
static inline size_t pith_round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

static inline size_t pith_min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t pith_max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

#endif
