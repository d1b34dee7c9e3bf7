/* The ranks of a model as one of them sees them: what it holds of every matrix (families/shares.h),
 * and the gathers between the steps of a pass. A process alone has no team: NULL. */
#ifndef PITH_ENGINE_TEAM_H
#define PITH_ENGINE_TEAM_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "engine/model.h"
#include "engine/rows.h"
#include "families/shares.h"

typedef struct pith_team pith_team;
struct pith_team {
    pith_ranks ranks;
    pith_shares shares;
    pith_region region;
    unsigned char *buffer; /* [PITH_MAX_GATHER] in the region; rows of a gather, and messages */
    bool agreed;           /* the model is open on all ranks */
    atomic_bool lost;      /* a gather failed: there are no more */
    pthread_mutex_t lock;  /* of all gathers, once the model is open: a pass holds it */
    struct pith_leader *leader; /* rank 0: what the followers do not know yet (lead.h) */
};

/* Errors: ARGUMENT. */
pith_status pith_ranks_check(const pith_ranks *ranks, pith_error *error);

/* Of at least two ranks, whose shares are not set. Errors: ARGUMENT, MEMORY. */
pith_status pith_team_new(pith_team **out, const pith_ranks *ranks, const pith_allocator *allocator,
                          pith_error *error);
void pith_team_free(pith_team *team, const pith_allocator *allocator); /* accepts NULL */

/* Every rank says whether it could open its model, and which. Returns `status`, with *error as it
 * is, when that is not OK, and else the reason why the ranks cannot run together. Errors: IO,
 * FORMAT. */
pith_status pith_team_agree(const pith_ranks *ranks, pith_status status,
                            const pith_identity *identity, pith_error *error);

/* Gathers for one token of one session, and *bytes that they fill, for layers of this type. */
size_t pith_team_traffic(const pith_team *team, const pith_config *config, pith_type type,
                         size_t *bytes);

/* The gather of the options. False: a rank is lost, now or before. */
bool pith_team_gather(pith_team *team, void *data, const size_t *offsets, bool first_only);

/* pith_team_gather of bytes [n] that rank 0 has. */
bool pith_team_broadcast(pith_team *team, void *data, size_t n);

/* ---- Between the steps of a pass --------------------------------------------------------------
 * When a gather fails the rest of the pass is of no use: products are left out, and its end says
 * so. */

/* True when a gather has failed. */
bool pith_team_is_lost(const pith_compute *c);

/* The rows of a matrix that this process holds. */
pith_held pith_team_held(const pith_compute *c, const pith_matrix *m, pith_extent extent);

/* The rank that holds row `row` of the embedding, and where in what it holds of it. */
size_t pith_team_owner(const pith_compute *c, size_t row, size_t *at);

/* Gathers columns of rows, of which rank r has [borders[r], borders[r + 1]): floats. */
void pith_team_columns(const pith_compute *c, pith_rows rows, const size_t *borders);

/* The same of rows that have a group: their codes. All borders but the last are on groups. */
void pith_team_codes(const pith_compute *c, pith_rows rows, const size_t *borders);

/* True when all borders but the last are multiples of the groups of both kinds of codes. */
bool pith_team_by_groups(const pith_team *team, const size_t *borders);

/* True when this process is the owner of that row. */
bool pith_team_holds(const pith_compute *c, size_t row, size_t *at);

/* Gathers the rows that each rank has of the embeddings of the tokens of a pass. */
struct pith_forward;
void pith_team_embedding(const struct pith_forward *f, pith_rows rows);

/* Rows that may be in one gather when a row has `bytes`. */
size_t pith_team_batch(size_t bytes);

/* Room for this rank's logits of n rows, [n, rows held of the head], and the gather that brings
 * those of all ranks to the rows `logits` [n] of rank 0. n is at most pith_team_batch of the bytes
 * of a row of logits. */
float *pith_team_logits_room(const pith_compute *c, size_t n);
void pith_team_logits(const pith_compute *c, size_t n, float *const *logits);

#endif
