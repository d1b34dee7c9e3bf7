/* The ranks of a model; see team.h. */
#include "engine/team.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

/* ---- Life ------------------------------------------------------------------------------------ */

pith_status pith_ranks_check(const pith_ranks *ranks, pith_error *error) {
    if (ranks->n_ranks > PITH_MAX_RANKS || ranks->rank >= ranks->n_ranks) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "rank %zu of %zu: a rank is less than n_ranks, which is at most %d",
                         ranks->rank, ranks->n_ranks, PITH_MAX_RANKS);
    }
    if (ranks->gather == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "ranks without a gather");
    }
    return PITH_OK;
}

pith_status pith_team_new(pith_team **out, const pith_ranks *ranks, const pith_allocator *allocator,
                          pith_error *error) {
    pith_status status = pith_ranks_check(ranks, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_team *team = pith_allocate_zeroed(allocator, 1, sizeof *team);
    if (team == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
    }
    status = pith_region_allocate(&team->region, PITH_MAX_GATHER, allocator, error);
    if (status != PITH_OK) {
        pith_release(allocator, team);
        return status;
    }
    team->ranks = *ranks;
    team->buffer = team->region.data;
    atomic_init(&team->lost, false);
    pthread_mutex_init(&team->lock, NULL); /* cannot fail with default attributes on Linux */
    *out = team;
    return PITH_OK;
}

void pith_team_free(pith_team *team, const pith_allocator *allocator) {
    if (team != NULL) {
        pthread_mutex_destroy(&team->lock);
        pith_region_release(&team->region);
        pith_release(allocator, team);
    }
}

/* ---- Gathering ------------------------------------------------------------------------------- */

bool pith_team_gather(pith_team *team, void *data, const size_t *offsets, bool first_only) {
    if (atomic_load_explicit(&team->lost, memory_order_relaxed)) {
        return false;
    }
    if (!team->ranks.gather(team->ranks.user, data, offsets, first_only)) {
        atomic_store_explicit(&team->lost, true, memory_order_relaxed);
        return false;
    }
    return true;
}

bool pith_team_broadcast(pith_team *team, void *data, size_t n) {
    size_t offsets[PITH_MAX_RANKS + 1] = {0};
    for (size_t r = 1; r <= team->ranks.n_ranks; r++) {
        offsets[r] = n;
    }
    return pith_team_gather(team, data, offsets, false);
}

/* ---- The same model everywhere --------------------------------------------------------------- */

/* What a rank says of itself: no version of pith changes its size or the place of `version`. */
typedef struct introduction {
    char version[23]; /* NUL-terminated */
    unsigned char opened;
    uint64_t file_size, header_hash, n_ranks;
    uint64_t reserved[2];
} introduction;

_Static_assert(sizeof(introduction) == 64, "an introduction has 64 bytes");

static pith_status compare(const introduction *all, size_t r, pith_error *error) {
    const introduction *first = &all[0];
    const introduction *other = &all[r];
    if (memcmp(first->version, other->version, sizeof first->version) != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "rank %zu is pith %.22s, rank 0 is pith %.22s: all must be the same", r,
                         other->version, first->version);
    }
    if (first->n_ranks != other->n_ranks) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "rank %zu is one of %" PRIu64 ", rank 0 one of %" PRIu64, r,
                         other->n_ranks, first->n_ranks);
    }
    if (first->opened != 1 || other->opened != 1) {
        return pith_fail(error, PITH_ERROR_IO, "rank %zu could not open its model",
                         first->opened != 1 ? 0 : r);
    }
    if (first->file_size != other->file_size || first->header_hash != other->header_hash) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "rank %zu has another model than rank 0: %" PRIu64
                         " bytes with header %016" PRIx64 ", not %" PRIu64 " with %016" PRIx64,
                         r, other->file_size, other->header_hash, first->file_size,
                         first->header_hash);
    }
    return PITH_OK;
}

pith_status pith_team_agree(const pith_ranks *ranks, pith_status status,
                            const pith_identity *identity, pith_error *error) {
    introduction all[PITH_MAX_RANKS] = {0};
    size_t offsets[PITH_MAX_RANKS + 1];
    introduction *own = &all[ranks->rank];
    snprintf(own->version, sizeof own->version, "%s", PITH_VERSION);
    own->opened = status == PITH_OK;
    own->n_ranks = ranks->n_ranks;
    own->file_size = identity->file_size;
    own->header_hash = identity->header_hash;
    for (size_t r = 0; r <= ranks->n_ranks; r++) {
        offsets[r] = r * sizeof *all;
    }
    bool whole = ranks->gather(ranks->user, all, offsets, false);
    if (status == PITH_OK && !whole) {
        status = pith_fail(error, PITH_ERROR_IO, "a rank was lost while the model was opened");
    }
    for (size_t r = 1; r < ranks->n_ranks && status == PITH_OK; r++) {
        status = compare(all, r, error);
    }
    return status;
}
