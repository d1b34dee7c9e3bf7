/* Rank 0: what the commands see of the other ranks (cli/ranks.h). */
#ifndef PITH_MPI_LEAD_H
#define PITH_MPI_LEAD_H

#include "cli/ranks.h"
#include "mpi/crew.h"

typedef struct pith_led_model pith_led_model;

typedef struct pith_lead {
    pith_crew *crew;
    pith_led_model *models; /* all that were ever opened, the last one first */
    size_t n_models;
    pthread_mutex_t lock; /* of `models` */
} pith_lead;

/* Fills *ranks, which refers to *lead, which refers to the exchange of rank 0. */
void pith_lead_begin(pith_lead *lead, pith_crew *x, pith_cli_ranks *ranks);

/* Tells the others that all is done. All models must have been freed. */
void pith_lead_end(pith_lead *lead);

#endif
