/* What rank 0 tells the others, outside the passes of a model. All ranks are of one version. */
#ifndef PITH_MPI_ORDER_H
#define PITH_MPI_ORDER_H

#include <limits.h>

#include "cli/ranks.h"
#include "mpi/crew.h"

typedef enum pith_order_kind {
    PITH_ORDER_FILE = 1, /* open the file `name` and follow its model */
    PITH_ORDER_SHAPE,    /* likewise random weights of the shape `name` */
    PITH_ORDER_MEASURE,  /* take part in pith_measure */
    PITH_ORDER_END,
    PITH_N_ORDERS
} pith_order_kind;

typedef struct pith_order {
    uint32_t kind;
    uint32_t number;    /* of the channel */
    uint32_t type;      /* pith_type of a shape */
    uint32_t blas;      /* pith_blas */
    uint64_t n_threads; /* 0: as many as each rank finds right */
    bool map, has_tuning;
    pith_tuning tuning;
    char isa[32]; /* "": the best that a rank has */
    char name[PATH_MAX];
} pith_order;

/* The speed of the exchange; all ranks call it (order MEASURE). Errors: IO (a rank is lost),
 * MEMORY. */
pith_status pith_measure(pith_crew *x, pith_ranks_limits *out, pith_error *error);

/* Carries out the orders of rank 0 until it ends. Returns the exit code. */
int pith_crew_follow(pith_crew *x);

#endif
