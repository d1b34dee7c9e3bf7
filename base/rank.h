/* Sorting by scores. */
#ifndef PITH_BASE_RANK_H
#define PITH_BASE_RANK_H

#include <stddef.h>

typedef struct pith_ranked {
    size_t index;
    float score;
} pith_ranked;

/* The scores [n], the highest first and of equal ones the earlier, into out [n]. No score is NaN.
 */
void pith_rank(const float *scores, size_t n, pith_ranked *out);

#endif
