/* Sorting by scores; see rank.h. */
#include "base/rank.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) {
    const pith_ranked *x = a;
    const pith_ranked *y = b;
    if (x->score != y->score) {
        return x->score < y->score ? 1 : -1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

void pith_rank(const float *scores, size_t n, pith_ranked *out) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (pith_ranked){i, scores[i]};
    }
    if (n > 0) {
        qsort(out, n, sizeof *out, compare);
    }
}
