/* The exchange alone, without a model. Run by mpirun:
 *
 *     crew check         gathers of many sizes, even, uneven and empty pieces, to
 *                            all and to rank 0 alone, on two channels
 *     crew time          how long small and large gathers take, the middle one of 2000
 *     crew die R         rank R is gone (signal 9) in the middle of gathers
 *     crew hang R        rank R is stopped likewise; the deadline is 2 s
 *     crew torn R            rank R is stopped when only rank 0 has its piece, so that rank 0 waits
 *                            for others too, which wait for R
 *     crew idle          rank 0 does nothing for three deadlines: nobody complains
 *
 * Prints what is wrong; exits 0 when nothing is. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "mpi/crew.h"
#include "mpi/guard.h"

enum { DEADLINE = 2, N_ROUNDS = 400, N_TIMED = 2000, LARGEST = 1 << 20, MOST_RANKS = 16 };

/* The byte at `i` of rank r's piece in a round. */
static unsigned char byte_of(size_t round, size_t r, size_t i) {
    return (unsigned char)(round * 31 + r * 7 + i * 13 + (i >> 8));
}

static uint64_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return *state >> 33;
}

/* Sizes of very different lengths, a third of them 0. All ranks draw the same. */
static void draw_offsets(uint64_t *state, size_t n_ranks, size_t *offsets) {
    size_t most = (size_t)1 << draw(state) % 19;
    offsets[0] = 0;
    for (size_t r = 0; r < n_ranks; r++) {
        size_t size = draw(state) % 3 == 0 ? 0 : draw(state) % most;
        offsets[r + 1] = offsets[r] + size;
    }
}

static bool check_round(pith_channel *channel, size_t round, unsigned char *data,
                        const size_t *offsets) {
    const pith_crew *x = channel->crew;
    memset(data, 0xee, LARGEST);
    for (size_t i = offsets[x->rank]; i < offsets[x->rank + 1]; i++) {
        data[i] = byte_of(round, x->rank, i - offsets[x->rank]);
    }
    const bool first_only = round % 3 == 1;
    if (!pith_channel_gather(channel, data, offsets, first_only)) {
        return false;
    }
    for (size_t r = 0; r < x->n_ranks && (!first_only || x->rank == 0); r++) {
        for (size_t i = offsets[r]; i < offsets[r + 1]; i++) {
            if (data[i] != byte_of(round, r, i - offsets[r])) {
                fprintf(stderr, "rank %zu, round %zu: byte %zu of rank %zu's %zu: %u, not %u\n",
                        x->rank, round, i - offsets[r], r, offsets[r + 1] - offsets[r], data[i],
                        byte_of(round, r, i - offsets[r]));
                return false;
            }
        }
    }
    for (size_t i = offsets[x->n_ranks]; i < LARGEST; i++) {
        if (data[i] != 0xee) {
            fprintf(stderr, "rank %zu, round %zu: byte %zu beyond the pieces changed\n", x->rank,
                    round, i);
            return false;
        }
    }
    return true;
}

static bool check(pith_channel *channels, unsigned char *data) {
    uint64_t state = 7;
    for (size_t round = 0; round < N_ROUNDS; round++) {
        size_t offsets[MOST_RANKS + 1];
        draw_offsets(&state, channels->crew->n_ranks, offsets);
        if (!check_round(&channels[round % 2], round, data, offsets)) {
            return false;
        }
    }
    return true;
}

static int by_size(const void *a, const void *b) {
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

/* The middle one of n <= N_TIMED gathers, in seconds. */
static double seconds_of(pith_channel *channel, unsigned char *data, size_t piece, size_t n) {
    static double times[N_TIMED];
    size_t offsets[MOST_RANKS + 1];
    for (size_t r = 0; r <= channel->crew->n_ranks; r++) {
        offsets[r] = r * piece;
    }
    for (size_t i = 0; i < n; i++) {
        double began = pith_clock();
        pith_channel_gather(channel, data, offsets, false);
        times[i] = pith_clock() - began;
    }
    qsort(times, n, sizeof times[0], by_size);
    return times[n / 2];
}

static void measure(pith_channel *channel, unsigned char *data) {
    const size_t pieces[] = {8, 1024, 4096, 16384, 65536, 1 << 20};
    seconds_of(channel, data, 64, 200);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        double seconds = seconds_of(channel, data, pieces[i], pieces[i] < 1 << 20 ? N_TIMED : 50);
        if (channel->crew->rank == 0) {
            printf("%zu ranks, pieces of %zu bytes: %.2f us\n", channel->crew->n_ranks, pieces[i],
                   1e6 * seconds);
        }
    }
}

/* Rank `victim` gets the signal in the middle; the others must not come to the end. */
static bool lose_rank(pith_channel *channel, unsigned char *data, size_t victim,
                      int signal_number) {
    for (size_t i = 0; i < 20; i++) {
        if (i == 10 && channel->crew->rank == victim) {
            raise(signal_number);
        }
        if (seconds_of(channel, data, 100, 1) < 0 || atomic_load(&channel->crew->lost)) {
            return false;
        }
    }
    fprintf(stderr, "rank %zu: no rank was missed\n", channel->crew->rank);
    return true;
}

/* Rank `victim` leaves a gather with its piece sent to rank 0 alone. */
static bool tear(pith_channel *channel, unsigned char *data, size_t victim) {
    size_t offsets[MOST_RANKS + 1];
    for (size_t r = 0; r <= channel->crew->n_ranks; r++) {
        offsets[r] = 100 * r;
    }
    if (channel->crew->rank == victim) {
        pith_channel_gather(channel, data, offsets, true);
        raise(SIGSTOP);
    }
    return pith_channel_gather(channel, data, offsets, false) &&
           pith_channel_gather(channel, data, offsets, false);
}

static bool idle(pith_channel *channel, unsigned char *data) {
    const struct timespec time = {.tv_sec = 3 * DEADLINE};
    if (channel->crew->rank == 0) {
        nanosleep(&time, NULL);
    }
    seconds_of(channel, data, 100, 1);
    return !atomic_load(&channel->crew->lost);
}

int main(int argc, char **argv) {
    pith_crew x;
    pith_channel channels[2];
    const char *what = argc > 1 ? argv[1] : "";
    size_t victim = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    unsigned char *data = malloc((size_t)MOST_RANKS * LARGEST);
    pith_guard_begin();
    if (data == NULL || !pith_crew_begin(&x, DEADLINE) || x.n_ranks > MOST_RANKS) {
        return 1;
    }
    if (!pith_channel_new(&channels[0], &x, 0) || !pith_channel_new(&channels[1], &x, 1)) {
        return 1;
    }
    bool good = false;
    if (strcmp(what, "check") == 0) {
        good = check(channels, data);
    } else if (strcmp(what, "time") == 0) {
        measure(&channels[0], data);
        good = true;
    } else if (strcmp(what, "die") == 0 || strcmp(what, "hang") == 0) {
        good = lose_rank(&channels[0], data, victim, what[0] == 'd' ? SIGKILL : SIGSTOP);
    } else if (strcmp(what, "torn") == 0) {
        good = tear(&channels[0], data, victim);
    } else if (strcmp(what, "idle") == 0) {
        good = idle(&channels[0], data);
    }
    if (!good) {
        return 1;
    }
    pith_channel_free(&channels[0]);
    pith_channel_free(&channels[1]);
    free(data);
    pith_crew_end(&x);
    return 0;
}
