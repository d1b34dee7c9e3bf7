/* Rank 0: what the commands see of the other ranks (cli/ranks.h). */
#ifndef PITH_MPI_LEADER_H
#define PITH_MPI_LEADER_H

#include "cli/ranks.h"
#include "mpi/crew.h"

typedef struct pith_led_model pith_led_model;

typedef struct pith_leader {
    pith_crew *crew;
    pith_led_model *models; /* all that were ever opened, the last one first */
    size_t n_models;
    pthread_mutex_t lock; /* of `models` */
} pith_leader;

/* Fills *ranks, which refers to *leader, which refers to the exchange of rank 0. */
void pith_leader_begin(pith_leader *leader, pith_crew *x, pith_cli_ranks *ranks);

/* Tells the others that all is done. All models must have been freed. */
void pith_leader_end(pith_leader *leader);

#endif
