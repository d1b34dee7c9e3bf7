/* The speed of the exchange, and of memory while all ranks read theirs. */
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "mpi/order.h"
#include "perf/limits.h"
#include "perf/shares.h"

enum {
    N_SMALL = 301,     /* gathers; the middle one counts */
    N_LARGE = 101,     /* likewise */
    SMALL = 64,        /* bytes of a rank */
    LARGE = 256 << 10, /* bytes of all ranks */
    N_REST = 20,       /* untimed gathers before */
    MEMORY = 1 << 30,  /* bytes that the ranks of one host read */
};

#define READ_SECONDS 0.4

static pith_status lost(pith_error *error) {
    return pith_fail(error, PITH_ERROR_IO, "another process of the model is lost");
}

/* The middle one of n gathers, in seconds; negative: a rank is lost. */
static double time_gathers(pith_channel *channel, unsigned char *data, size_t piece, size_t n) {
    double times[N_SMALL];
    size_t offsets[PITH_MAX_RANKS + 1];
    for (size_t r = 0; r <= channel->crew->n_ranks; r++) {
        offsets[r] = r * piece;
    }
    for (size_t i = 0; i < N_REST + n; i++) {
        double began = pith_clock();
        if (!pith_channel_gather(channel, data, offsets, false)) {
            return -1;
        }
        times[i < N_REST ? 0 : i - N_REST] = pith_clock() - began;
    }
    pith_sort_figures(times, n);
    return pith_median(times, n);
}

static bool measure_exchange(pith_channel *channel, unsigned char *data, pith_ranks_limits *out) {
    const double n = (double)channel->crew->n_ranks;
    double small = time_gathers(channel, data, SMALL, N_SMALL);
    double large = small < 0 ? -1 : time_gathers(channel, data, LARGE / (size_t)n, N_LARGE);
    out->latency = small / log2(n);
    /* Of noise alone the small one may take longer. */
    out->bandwidth = LARGE * (n - 1) / n / (large > 2 * small ? large - small : large);
    return large > 0;
}

/* Bytes per second that this rank reads, which all gather; each reads at the same time, and the
 * slowest one decides. */
static pith_status measure_memory(pith_channel *channel, const pith_order *order, double *out,
                                  pith_error *error) {
    const pith_crew *x = channel->crew;
    const pith_probes probes = pith_probes_find(order->isa);
    double rates[PITH_MAX_RANKS];
    size_t offsets[PITH_MAX_RANKS + 1];
    pith_pool *pool = NULL;
    pith_probe_memory memory = {0};
    size_t next = 0;
    pith_status status = pith_pool_new(&pool, order->n_threads, &pith_malloc_allocator, error);
    if (status == PITH_OK) {
        status = pith_probe_memory_new(&memory, MEMORY / x->n_sharing, true, pool, error);
    }
    for (size_t r = 0; r <= x->n_ranks; r++) {
        offsets[r] = r * sizeof rates[0];
    }
    /* A first gather, so that all begin together. A rank without memory has read nothing. */
    rates[x->rank] = 0;
    bool good = pith_channel_gather(channel, rates, offsets, false);
    if (good && status == PITH_OK) {
        rates[x->rank] = pith_limit_read_on(&probes, &memory, pool, READ_SECONDS, &next).sustained;
    }
    good = good && pith_channel_gather(channel, rates, offsets, false);
    if (status == PITH_OK) {
        pith_probe_memory_free(&memory);
    }
    pith_pool_free(pool);
    if (!good) {
        return lost(error);
    }
    pith_sort_figures(rates, x->n_ranks);
    *out = rates[0] * (double)x->n_ranks;
    return status;
}

pith_status pith_measure(pith_crew *x, const pith_order *order, pith_ranks_limits *out,
                         pith_error *error) {
    pith_channel channel;
    pith_ranks_limits limits = {.latency = 0};
    unsigned char *data = calloc(LARGE, 1);
    pith_status status = PITH_OK;
    if (data == NULL || !pith_channel_new(&channel, x, 0)) {
        free(data);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the exchange");
    }
    /* Others may be slow to begin. */
    pith_crew_speak(x, true);
    if (!measure_exchange(&channel, data, &limits)) {
        status = lost(error);
    }
    if (status == PITH_OK) {
        status = measure_memory(&channel, order, &limits.read, error);
    }
    pith_crew_speak(x, false);
    if (status == PITH_OK) {
        *out = limits;
    }
    pith_channel_free(&channel);
    free(data);
    return status;
}
