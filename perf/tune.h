/* Measures which memory path is fastest on this machine: products of few tokens, with weights from
 * memory, are timed with every hint and several distances in turn. */
#ifndef PITH_PERF_TUNE_H
#define PITH_PERF_TUNE_H

#include "perf/kernels.h"

enum {
    PITH_TUNE_SHAPES = 4,      /* at most, of a group */
    PITH_TUNE_CANDIDATES = 17, /* at most: none, three hints at five distances, the table's own */
    PITH_TUNE_SWEEPS = 4,      /* int4 and int8 alternate so often */
    PITH_TUNE_ROUNDS = 1000,   /* at most */
};

/* A candidate with at least this score counts as equal to the fastest: medians vary by as much. */
#define PITH_TUNE_TIE 0.985

/* Shapes that share one choice: those of one or two tokens, or those of more. */
typedef struct pith_tune_group {
    size_t n_shapes, n_candidates;
    struct pith_tune_shape {
        const pith_kernel_bench *bench;
        const pith_kernel_shape *shape;
        size_t n_rounds; /* timed */
    } shapes[PITH_TUNE_SHAPES];
    struct pith_tune_candidate {
        pith_fetch fetch;
        double rates[PITH_TUNE_SHAPES]; /* bytes per second of all threads: medians */
        double score; /* how fast beside the others in the same rounds; the fastest has 1 */
    } candidates[PITH_TUNE_CANDIDATES];
    size_t table, fastest, chosen; /* candidates: the table's, the one with score 1, the choice */
} pith_tune_group;

typedef struct pith_tune_result {
    pith_tune_group few, more;
    double moved; /* the fastest plain read between the sweeps over the slowest */
} pith_tune_result;

/* Sets shapes and candidates, without any times. The table's path is among the candidates. */
void pith_tune_groups(const pith_memory_path *table, pith_tune_result *out);

/* Fills rates, scores, `fastest` and `chosen` from the seconds of every call,
 * seconds[(shape x n_candidates + candidate) x stride + round]; each shape has timed its n_rounds,
 * at least one. A candidate's rate in a round is divided by the median rate of all candidates in
 * that round, because other users of the memory slow all of them down; the score is the geometric
 * mean over the shapes of the medians over the rounds, divided by that of the fastest. The table's
 * candidate is chosen when its score is at least PITH_TUNE_TIE, else the first candidate whose
 * score is, so that repeated runs agree. */
void pith_tune_judge(pith_tune_group *group, const double *seconds, size_t stride);

/* Times all candidates in at most timer->n_rounds rounds and about `seconds`, but in no fewer than
 * two rounds of each sweep. The timer has its memory (pith_kernel_timer_memory) and the table's
 * path. Errors: MEMORY, STOPPED (the timer's go_on said no). */
pith_status pith_tune_measure(pith_kernel_timer *timer, double seconds, pith_tune_result *out,
                              pith_error *error);

#endif
