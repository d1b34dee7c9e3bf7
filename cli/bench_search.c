/* pith bench --search N: how long pith_store_search takes over N random int8 vectors, in a database
 * made for it and removed again. The answers must be those of a plain double computation. */
#include "cli/bench_search.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/bench_rows.h"
#include "store/store.h"

enum { DIMENSION = 384, HITS = 10, BATCH = 1000, OPENINGS = 5 };

typedef struct times {
    double median, min, max; /* milliseconds */
} times;

typedef struct search_bench {
    char directory[32], path[48];
    pith_store_collection collection;
    size_t n, n_repeats;
    bool map;             /* the database */
    int8_t *codes;        /* [n, DIMENSION], what the database must hold */
    double *scores;       /* [n], of one query */
    double *milliseconds; /* [max(n_repeats, OPENINGS)] */
    pith_bench_rows rows;
} search_bench;

/* splitmix64 (Steele et al. 2014), as a float in [-1, 1). */
static float next_float(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (float)((z ^ (z >> 31)) >> 40) / 8388608.0F - 1;
}

/* Sums of uniform numbers: near enough to the normal distribution of embeddings. */
static void make_vector(uint64_t *state, float *vector) {
    for (size_t d = 0; d < DIMENSION; d++) {
        vector[d] = next_float(state) + next_float(state) + next_float(state) + next_float(state);
    }
}

/* ---- The database ---------------------------------------------------------------------------- */

static pith_status fill(search_bench *bench, pith_store *store, float *vectors, pith_error *error) {
    uint64_t state = 1;
    pith_status status = pith_store_begin(store, error);
    for (size_t first = 0; status == PITH_OK && first < bench->n; first += BATCH) {
        pith_store_chunk chunks[BATCH] = {{0, 0}};
        char key[24];
        size_t n = pith_min_size(BATCH, bench->n - first);
        snprintf(key, sizeof key, "%zu", first);
        for (size_t i = 0; i < n; i++) {
            make_vector(&state, vectors + i * DIMENSION);
            pith_quantize_vector(vectors + i * DIMENSION, DIMENSION,
                                 bench->codes + (first + i) * DIMENSION);
        }
        pith_store_document document = {.key = key, .n_key = strlen(key), .text = ""};
        status = pith_interrupted() ? pith_fail(error, PITH_ERROR_STOPPED, "interrupted")
                                    : pith_store_put(store, &bench->collection, &document, chunks,
                                                     n, vectors, error);
    }
    return status == PITH_OK ? pith_store_commit(store, error) : status;
}

static pith_status make_database(search_bench *bench, pith_error *error) {
    static const pith_store_collection wanted = {.name = "random",
                                                 .model = "random",
                                                 .model_hash = "0",
                                                 .dimension = DIMENSION,
                                                 .type = PITH_VECTOR_INT8};
    pith_store *store = NULL;
    float *vectors = calloc(BATCH, DIMENSION * sizeof *vectors);
    if (vectors == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %d vectors", BATCH);
    }
    pith_status status = pith_store_open(&store, bench->path, NULL, error);
    if (status == PITH_OK) {
        status = pith_store_collection_use(store, &wanted, true, &bench->collection, error);
    }
    if (status == PITH_OK) {
        status = fill(bench, store, vectors, error);
    }
    pith_store_close(store);
    free(vectors);
    return status;
}

static void remove_database(const search_bench *bench) {
    char name[64];
    unlink(bench->path);
    snprintf(name, sizeof name, "%s-wal", bench->path);
    unlink(name);
    snprintf(name, sizeof name, "%s-shm", bench->path);
    unlink(name);
    rmdir(bench->directory);
}

/* ---- Checking -------------------------------------------------------------------------------- */

/* Hit `rank` must be the best of the vectors not among the hits before it: their scores have been
 * removed. The sums are whole numbers below 2^53, so double is exact up to the last division. */
static pith_status check_hits(search_bench *bench, const float *query, const pith_store_hit *hits,
                              size_t n_hits, pith_error *error) {
    int8_t codes[DIMENSION];
    double norm = 0;
    pith_quantize_vector(query, DIMENSION, codes);
    for (size_t d = 0; d < DIMENSION; d++) {
        norm += (double)codes[d] * codes[d];
    }
    for (size_t i = 0; i < bench->n; i++) {
        const int8_t *v = bench->codes + i * DIMENSION;
        double dot = 0;
        double square = 0;
        for (size_t d = 0; d < DIMENSION; d++) {
            dot += (double)v[d] * codes[d];
            square += (double)v[d] * v[d];
        }
        bench->scores[i] = dot / sqrt(square * norm);
    }
    for (size_t rank = 0; rank < n_hits; rank++) {
        size_t best = 0;
        for (size_t i = 1; i < bench->n; i++) {
            best = bench->scores[i] > bench->scores[best] ? i : best;
        }
        size_t found = (size_t)(hits[rank].chunk & UINT32_MAX) - 1;
        if (found != best || hits[rank].score != bench->scores[best]) {
            return pith_fail(error, PITH_ERROR_NUMERIC,
                             "rank %zu is vector %zu with %.17g, not %zu with %.17g", rank, found,
                             hits[rank].score, best, bench->scores[best]);
        }
        bench->scores[best] = -2;
    }
    return PITH_OK;
}

/* ---- Timing ---------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static times summary(double *values, size_t n) {
    qsort(values, n, sizeof *values, by_value);
    return (times){.median = (values[(n - 1) / 2] + values[n / 2]) / 2,
                   .min = values[0],
                   .max = values[n - 1]};
}

/* One timed search; the answer is checked outside of the time. */
static pith_status search(search_bench *bench, pith_store *store, uint64_t seed, double *out,
                          pith_error *error) {
    float query[DIMENSION];
    pith_store_hit hits[HITS];
    size_t n_hits = 0;
    size_t expected = pith_min_size(HITS, bench->n);
    make_vector(&seed, query);
    double start = pith_cli_seconds();
    pith_status status =
        pith_store_search(store, &bench->collection, query, HITS, hits, &n_hits, error);
    *out = 1e3 * (pith_cli_seconds() - start);
    if (status == PITH_OK && n_hits != expected) {
        status = pith_fail(error, PITH_ERROR_NUMERIC, "%zu hits, not %zu", n_hits, expected);
    }
    if (status == PITH_OK && pith_interrupted()) {
        status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
    }
    return status == PITH_OK ? check_hits(bench, query, hits, n_hits, error) : status;
}

/* ---- Printing -------------------------------------------------------------------------------- */

static void print_head(const search_bench *bench) {
    if (bench->rows.format == PITH_BENCH_MD) {
        pith_cli_print(bench->rows.cli,
                       "%zu int8 vectors of %d elements, the best %d, milliseconds\n\n"
                       "| query             |  median |     min |     max |\n"
                       "|-------------------|--------:|--------:|--------:|\n",
                       bench->n, DIMENSION, HITS);
        pith_cli_flush(bench->rows.cli);
    }
}

/* The times of one kind of query: "first after open" or "later". */
static pith_status print_times(search_bench *bench, const char *query, const times *t,
                               size_t n_repeats, pith_error *error) {
    pith_bench_rows_after(&bench->rows, 0);
    if (bench->rows.format != PITH_BENCH_MD) {
        json_t *row = json_pack("{s:s,s:s,s:I,s:i,s:i,s:I,s:f,s:f,s:f}", "test", "search", "query",
                                query, "vectors", (json_int_t)bench->n, "dimension", DIMENSION,
                                "hits", HITS, "repeats", (json_int_t)n_repeats, "ms", t->median,
                                "ms_min", t->min, "ms_max", t->max);
        return pith_bench_rows_print(&bench->rows, row, error);
    }
    pith_cli_print(bench->rows.cli, "| %-17s | %7.2f | %7.2f | %7.2f |%s\n", query, t->median,
                   t->min, t->max, bench->rows.company.busy ? " busy" : "");
    return pith_bench_rows_flush(&bench->rows, error);
}

/* ---- Both kinds of query --------------------------------------------------------------------- */

/* The first search of several connections, then many of the last. */
static pith_status measure(search_bench *bench, pith_error *error) {
    const pith_store_options reading = {.read_only = true, .map = bench->map};
    pith_store *store = NULL;
    pith_status status = PITH_OK;
    pith_bench_rows_before(&bench->rows);
    for (size_t i = 0; status == PITH_OK && i < OPENINGS; i++) {
        pith_store_close(store);
        store = NULL;
        status = pith_store_open(&store, bench->path, &reading, error);
        if (status == PITH_OK) {
            status = search(bench, store, 1000 + i, &bench->milliseconds[i], error);
        }
    }
    if (status == PITH_OK) {
        times first = summary(bench->milliseconds, OPENINGS);
        status = print_times(bench, "first after open", &first, OPENINGS, error);
    }
    pith_bench_rows_before(&bench->rows);
    for (size_t i = 0; status == PITH_OK && i < bench->n_repeats; i++) {
        status = search(bench, store, 2000 + i, &bench->milliseconds[i], error);
    }
    if (status == PITH_OK) {
        times later = summary(bench->milliseconds, bench->n_repeats);
        status = print_times(bench, "later", &later, bench->n_repeats, error);
    }
    pith_store_close(store);
    return status;
}

pith_status pith_bench_search(pith_cli *cli, size_t n, size_t n_repeats, bool map, size_t output,
                              pith_error *error) {
    search_bench bench = {.directory = "/tmp/pith-bench-XXXXXX",
                          .n = n,
                          .n_repeats = n_repeats,
                          .map = map};
    if (mkdtemp(bench.directory) == NULL) {
        return pith_fail_io(error, bench.directory, "create", errno);
    }
    snprintf(bench.path, sizeof bench.path, "%s/search.db", bench.directory);
    pith_status status = PITH_OK;
    bench.codes = calloc(n, DIMENSION);
    bench.scores = calloc(n, sizeof *bench.scores);
    bench.milliseconds = calloc(pith_max_size(n_repeats, OPENINGS), sizeof *bench.milliseconds);
    if (bench.codes == NULL || bench.scores == NULL || bench.milliseconds == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu vectors", n);
    }
    if (status == PITH_OK) {
        pith_bench_rows_begin(&bench.rows, cli, output);
        print_head(&bench);
        status = make_database(&bench, error);
        if (status == PITH_OK) {
            status = measure(&bench, error);
        }
        pith_bench_rows_end(&bench.rows);
    }
    remove_database(&bench);
    free(bench.codes);
    free(bench.scores);
    free(bench.milliseconds);
    return status;
}
