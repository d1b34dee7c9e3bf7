/* Guessing the next tokens from the text so far; see lookup.h. */
#include "engine/lookup.h"

#include "base/checked.h"

enum { MAX_DOUBLINGS = 6 };

/* Tokens that the endings of tokens [i] and tokens [n] share, at most PITH_LOOKUP_GRAM. */
static size_t shared_ending(const int32_t *tokens, size_t i, size_t n) {
    size_t shared = 0;
    while (shared < PITH_LOOKUP_GRAM && shared < i &&
           tokens[i - 1 - shared] == tokens[n - 1 - shared]) {
        shared++;
    }
    return shared;
}

size_t pith_lookup(const int32_t *tokens, size_t n, size_t least, int32_t *draft, size_t most) {
    size_t best = 0;
    size_t from = 0;
    for (size_t i = n; i-- > 1 && best < PITH_LOOKUP_GRAM;) {
        size_t shared = shared_ending(tokens, i, n);
        if (shared > best) {
            best = shared;
            from = i;
        }
    }
    if (best < least) {
        return 0;
    }
    for (size_t i = 0; i < most; i++) {
        draft[i] = from + i < n ? tokens[from + i] : draft[from + i - n];
    }
    return most;
}

size_t pith_lookup_gate_next(pith_lookup_gate *gate) {
    if (gate->pause > 0) {
        gate->pause--;
        return 0;
    }
    return gate->length != 0 ? pith_min_size(gate->length, gate->most) : gate->most;
}

void pith_lookup_gate_tell(pith_lookup_gate *gate, size_t n, size_t n_accepted) {
    if (n_accepted == 0) {
        gate->misses = pith_min_size(gate->misses + 1, MAX_DOUBLINGS);
        gate->pause = (size_t)1 << gate->misses;
        gate->length = 1;
    } else {
        gate->misses = 0;
        gate->length = n_accepted < n ? n_accepted + 1 : 2 * n;
    }
}
