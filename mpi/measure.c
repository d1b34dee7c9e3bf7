/* The speed of the exchange. */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/status.h"
#include "mpi/order.h"
#include "perf/shares.h"

enum {
    N_SMALL = 301,     /* gathers; the middle one counts */
    N_LARGE = 101,     /* likewise */
    SMALL = 64,        /* bytes of a rank */
    LARGE = 256 << 10, /* bytes of all ranks */
    N_REST = 20,       /* untimed gathers before */
    QUIET = 50,        /* milliseconds after which threads that wait for a model sleep */
};

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

static bool measure_channel(pith_channel *channel, unsigned char *data, pith_ranks_limits *out) {
    const struct timespec time = {.tv_nsec = QUIET * 1000000L};
    const double n = (double)channel->crew->n_ranks;
    nanosleep(&time, NULL);
    double small = time_gathers(channel, data, SMALL, N_SMALL);
    double large = small < 0 ? -1 : time_gathers(channel, data, LARGE / (size_t)n, N_LARGE);
    out->latency = small / log2(n);
    /* On a busy machine the small one may take longer. */
    out->bandwidth = LARGE * (n - 1) / n / (large > 2 * small ? large - small : large);
    return large > 0;
}

pith_status pith_measure(pith_crew *x, pith_ranks_limits *out, pith_error *error) {
    pith_channel channel = {.crew = NULL};
    pith_ranks_limits limits = {.latency = 0};
    unsigned char *data = calloc(LARGE, 1);
    bool good = data != NULL && pith_channel_new(&channel, x, 0);
    pith_status status =
        good ? PITH_OK
             : pith_fail(error, PITH_ERROR_MEMORY, "out of memory for measuring the exchange");
    if (good && !measure_channel(&channel, data, &limits)) {
        status = pith_fail(error, PITH_ERROR_IO, "another process of the model is lost");
    }
    if (status == PITH_OK) {
        *out = limits;
    }
    pith_channel_free(&channel);
    free(data);
    return status;
}
