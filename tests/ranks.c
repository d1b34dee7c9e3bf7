/* Ranks in one process; see ranks.h. A gather is two meetings: all show their data, and copy from
 * each other; nobody goes on before all have copied. */
#include "tests/ranks.h"

#include <string.h>
#include <time.h>

#include "tests/support.h"
#include "tests/test.h"

enum { PATIENCE = 60 }; /* seconds: a deadlock is a failure */

/* Waits until all have arrived; false when a rank is lost. The lock is held. */
static bool meet(test_ranks *all) {
    size_t generation = all->generation;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    if (++all->n_arrived == all->n) {
        all->n_arrived = 0;
        all->generation++;
        pthread_cond_broadcast(&all->turn);
    }
    while (!all->lost && generation == all->generation) {
        if (pthread_cond_timedwait(&all->turn, &all->lock, &until) != 0) {
            all->lost = true;
            all->differs = true;
            pthread_cond_broadcast(&all->turn);
        }
    }
    return !all->lost;
}

static bool same_call(const test_ranks *all, size_t a, size_t b) {
    return all->first_only[a] == all->first_only[b] &&
           memcmp(all->offsets[a], all->offsets[b], (all->n + 1) * sizeof(size_t)) == 0;
}

static void copy_pieces(test_ranks *all, size_t to) {
    const size_t *offsets = all->offsets[to];
    for (size_t r = 0; r < all->n; r++) {
        if (r != to && offsets[r + 1] != offsets[r] && (to == 0 || !all->first_only[to])) {
            memcpy(all->data[to] + offsets[r], all->data[r] + offsets[r],
                   offsets[r + 1] - offsets[r]);
        }
    }
}

/* Counts the gather, and lets it fail or be tampered with. The lock is held. */
static void count(test_ranks *all, unsigned char *data, const size_t *offsets) {
    all->n_gathers++;
    all->n_bytes += offsets[all->n];
    all->lost = all->lost || all->n_gathers == all->lose_at;
    if (all->tamper != NULL) {
        all->tamper(all->user, all->n_gathers, data, offsets[1]);
    }
}

static bool gather(void *user, void *data, const size_t *offsets, bool first_only) {
    test_rank *own = user;
    test_ranks *all = own->all;
    bool good;
    pthread_mutex_lock(&all->lock);
    all->data[own->rank] = data;
    all->offsets[own->rank] = offsets;
    all->first_only[own->rank] = first_only;
    if (own->rank == 0) {
        count(all, data, offsets);
        pthread_cond_broadcast(&all->turn);
    }
    good = meet(all);
    if (good && !same_call(all, own->rank, 0)) {
        all->differs = true;
        all->lost = true;
        pthread_cond_broadcast(&all->turn);
    }
    if (good && !all->lost) {
        copy_pieces(all, own->rank);
        good = meet(all);
    }
    good = good && !all->lost;
    pthread_mutex_unlock(&all->lock);
    return good;
}

static void open_rank(test_rank *own, const char *path) {
    test_ranks *all = own->all;
    own->options =
        (pith_ranks){.rank = own->rank, .n_ranks = all->n, .gather = gather, .user = own};
    own->model_options = (pith_model_options){
        .n_threads = all->n_threads != 0 ? all->n_threads : 1,
        .allocator = all->allocators[own->rank],
        .ranks = &own->options,
    };
    own->opened = pith_model_open(&own->model, path, &own->model_options, &own->error);
    if (own->opened == PITH_OK) {
        pith_model_get_info(own->model, &own->info);
    }
}

static void *follow(void *argument) {
    test_rank *own = argument;
    open_rank(own, own->all->paths[own->rank]);
    own->followed = own->opened;
    if (own->opened == PITH_OK) {
        own->followed = pith_model_follow(own->model, &own->error);
        pith_model_free(own->model);
        own->model = NULL;
        if (own->followed != PITH_OK) { /* what the end of a process does to the others */
            pthread_mutex_lock(&own->all->lock);
            own->all->lost = true;
            pthread_cond_broadcast(&own->all->turn);
            pthread_mutex_unlock(&own->all->lock);
        }
    }
    return NULL;
}

pith_status test_ranks_open(test_ranks *all, const char *path, size_t n, pith_error *error) {
    all->n = n;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->turn, NULL);
    for (size_t r = 0; r < n; r++) {
        all->ranks[r] = (test_rank){.all = all, .rank = r};
        all->paths[r] = all->paths[r] != NULL ? all->paths[r] : path;
    }
    for (size_t r = 1; r < n; r++) {
        pthread_create(&all->ranks[r].thread, NULL, follow, &all->ranks[r]);
    }
    open_rank(&all->ranks[0], all->paths[0]);
    if (error != NULL) {
        *error = all->ranks[0].error;
    }
    return all->ranks[0].opened;
}

pith_model *test_ranks_model(test_ranks *all) {
    return all->ranks[0].model;
}

void test_ranks_close(test_ranks *all) {
    pith_model_free(all->ranks[0].model);
    all->ranks[0].model = NULL;
    for (size_t r = 1; r < all->n; r++) {
        pthread_join(all->ranks[r].thread, NULL);
    }
    pthread_cond_destroy(&all->turn);
    pthread_mutex_destroy(&all->lock);
}

pith_model *test_ranks_run(test_ranks *all, const char *path, size_t n) {
    pith_error error;
    pith_status status = test_ranks_open(all, path, n, &error);
    CHECK(status == PITH_OK, "%zu ranks of %s: %s", n, path, error.message);
    return test_ranks_model(all);
}

void test_ranks_end(test_ranks *all) {
    test_ranks_close(all);
    CHECK(!all->differs, "ranks called for different gathers");
    for (size_t r = 1; r < all->n; r++) {
        CHECK(all->ranks[r].followed == PITH_OK, "rank %zu: %s", r, all->ranks[r].error.message);
    }
}

const char *test_ranks_write(pith_type type) {
    test_model description;
    test_model_default(&description, type);
    description.config.num_key_value_heads = 2;
    const char *path = test_path("ranks.pith");
    test_write_model(path, &description);
    return path;
}
