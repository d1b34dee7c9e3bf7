/* Finding stop strings that may run across tokens; see stops.h. */
#include "engine/stops.h"

#include <string.h>

#include "base/checked.h"

void pith_stops_take(pith_stop_filter *f, pith_arena *arena, const pith_tokenizer *tokenizer,
                     const char *const *stops, size_t n_stops) {
    *f = (pith_stop_filter){.n_stops = n_stops};
    for (size_t i = 0; i < n_stops; i++) {
        size_t n = strlen(stops[i]);
        char *copy = pith_arena_take(arena, n + 1, 1);
        if (copy != NULL) {
            memcpy(copy, stops[i], n + 1);
        }
        f->stops[i] = copy;
        f->n_bytes[i] = n;
        f->tokens[i] = pith_tokenizer_find_added(tokenizer, stops[i], n);
        f->longest = pith_max_size(f->longest, n);
    }
    f->text = pith_arena_take(arena, f->longest + 2 * pith_decode_max(tokenizer), 1);
}

void pith_stops_begin(pith_stop_filter *f) {
    f->n -= f->n_ready;
    memmove(f->text, f->text + f->n_ready, f->n);
    f->n_ready = 0;
}

char *pith_stops_room(pith_stop_filter *f) {
    return f->text + f->n;
}

/* Offset of the earliest stop string behind the ready text, or n. */
static size_t find_stop(const pith_stop_filter *f) {
    for (size_t at = f->n_ready; at < f->n; at++) {
        for (size_t i = 0; i < f->n_stops; i++) {
            size_t n = f->n_bytes[i];
            if (n <= f->n - at && memcmp(f->text + at, f->stops[i], n) == 0) {
                return at;
            }
        }
    }
    return f->n;
}

/* Offset from which the text could still become a stop string, or n. */
static size_t find_beginning(const pith_stop_filter *f) {
    size_t at = pith_max_size(f->n_ready, f->n > f->longest ? f->n - f->longest : 0);
    for (; at < f->n; at++) {
        for (size_t i = 0; i < f->n_stops; i++) {
            size_t n = f->n - at;
            if (n < f->n_bytes[i] && memcmp(f->text + at, f->stops[i], n) == 0) {
                return at;
            }
        }
    }
    return f->n;
}

bool pith_stops_push(pith_stop_filter *f, size_t n) {
    f->n += n;
    size_t stop = find_stop(f);
    if (stop < f->n) {
        f->n = stop;
        f->n_ready = stop;
        return true;
    }
    f->n_ready = find_beginning(f);
    return false;
}

void pith_stops_end(pith_stop_filter *f) {
    f->n_ready = f->n;
}

bool pith_stops_at_token(const pith_stop_filter *f, int32_t token) {
    for (size_t i = 0; i < f->n_stops; i++) {
        if (f->tokens[i] == token) {
            return true;
        }
    }
    return false;
}
