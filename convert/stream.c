/* The conversion in rounds, of a checkpoint or of random values. A round takes a band of tiles of
 * one tensor through the pool; beside them run the hash of the band before, which must see the
 * tensor's bytes in order, and that of the source files, which keeps pace with the weights
 * converted. Memory is two bands of packed tiles and, for each thread, one tile of floats.
 *
 * Nothing depends on the number of threads: tiles are independent, hashes go in order, and errors
 * are added up tile by tile. */
#include "convert/stream.h"

#include "base/checked.h"
#include "base/status.h"
#include "convert/hash.h"
#include "convert/quantize.h"
#include "convert/rows.h"
#include "simd/blocks.h"
#include "weights/random_weights.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum {
    BAND_WEIGHTS = 1 << 20,     /* per thread and round: some tens of milliseconds */
    MAX_BAND_WEIGHTS = 1 << 24, /* bounds memory */
    LEAST_HASH = 256 << 10,     /* bytes of a file worth a job */
    LAST_HASH = 16 << 20,       /* bytes of a file per round when all weights are done */
};

/* One thread's room. */
typedef struct workspace {
    float *rows; /* [16, cols] */
    void *scratch;
} workspace;

/* A band that is written but not hashed yet. */
typedef struct pending {
    const unsigned char *data;
    size_t size;         /* 0: nothing pending */
    char *finished_hash; /* where the hash goes after this band, or NULL */
} pending;

typedef struct tile_result {
    double error, weight;
} tile_result;

typedef struct worker {
    const pith_stream *stream;
    size_t n_threads;
    workspace *workspaces; /* [n_threads] */
    unsigned char *bands[2];
    size_t band_bytes;
    tile_result *results; /* [a band's tiles] */
    size_t max_tiles;

    pith_file_hash *files; /* [sources->n] */
    size_t source_bytes, source_bytes_done;
    size_t weights_done;
    crypto_hash_sha256_state tensor_hash;
    pending pending;

    /* The current round. */
    const pith_plan_part *part;
    size_t part_index;
    const float *importance;
    size_t first_tile, n_tiles;
    unsigned char *band;
    size_t *hashed; /* [n_hashed]: files hashed in this round */
    size_t n_hashed, hash_bytes;

    pthread_mutex_t lock; /* of the two below */
    size_t failed_item;   /* SIZE_MAX: none */
    pith_error failure;   /* of the first failed item, whoever came first */
} worker;

/* ---- Items of a round ------------------------------------------------------------------------ */

static void record_failure(worker *w, size_t item, const pith_error *error) {
    pthread_mutex_lock(&w->lock);
    if (item < w->failed_item) {
        w->failed_item = item;
        w->failure = *error;
    }
    pthread_mutex_unlock(&w->lock);
}

static void hash_pending(worker *w) {
    if (w->pending.size > 0) {
        crypto_hash_sha256_update(&w->tensor_hash, w->pending.data, w->pending.size);
        if (w->pending.finished_hash != NULL) {
            pith_hash_finish(&w->tensor_hash, w->pending.finished_hash);
            crypto_hash_sha256_init(&w->tensor_hash);
        }
    }
}

/* Tile i of the band from the checkpoint. */
static pith_status quantize_tile(worker *w, size_t i, const pith_plan_tile *tile,
                                 const workspace *space, unsigned char *out, pith_error *error) {
    const pith_plan_part *part = w->part;
    size_t cols = part->slot.cols;
    const pith_checkpoint_tensor *source = &part->blocks[tile->block].source;
    size_t step = pith_max_size(source->row_step, 1);
    size_t first_row = part->blocks[tile->block].first_row + tile->first_row * step;
    size_t n = tile->n_rows * cols;
    pith_status status =
        pith_rows_read(source, cols, first_row, tile->n_rows, space->scratch, space->rows, error);
    for (size_t k = 0; status == PITH_OK && part->add != 0 && k < n; k++) {
        space->rows[k] += part->add;
    }
    if (status == PITH_OK) {
        status =
            pith_rows_check(source, part->type, space->rows, tile->n_rows, cols, first_row, error);
    }
    if (status == PITH_OK) {
        tile_result *result = &w->results[i];
        pith_quantize_tile(part->type, space->rows, cols, tile->n_rows, cols, w->importance, out,
                           &result->error, &result->weight);
    }
    return status;
}

/* Tile i of the band from the generator. */
static void randomize_tile(const worker *w, size_t i, const pith_plan_tile *tile,
                           unsigned char *out) {
    const pith_plan_part *part = w->part;
    if (part->slot.is_matrix) {
        pith_random_tile(part->type, part->slot.cols, part->seed, w->first_tile + i, out);
        pith_random_tile_trim(part->type, part->slot.cols, tile->n_rows, out);
        return;
    }
    for (size_t r = 0; r < PITH_TILE_ROWS; r++) {
        float value = r < tile->n_rows ? part->value : 0.0F;
        memcpy(out + r * sizeof value, &value, sizeof value);
    }
}

static pith_status convert_tile(worker *w, size_t i, const workspace *space, pith_error *error) {
    const pith_plan_part *part = w->part;
    pith_plan_tile tile = pith_plan_tile_at(part, w->first_tile + i);
    unsigned char *out = w->band + i * part->tile_bytes;
    pith_status status = PITH_OK;
    w->results[i] = (tile_result){0};
    if (w->stream->plan->random) {
        randomize_tile(w, i, &tile, out);
    } else {
        status = quantize_tile(w, i, &tile, space, out, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    return pith_model_writer_put(w->stream->writer, w->stream->first_index + w->part_index,
                                 (w->first_tile + i) * part->tile_bytes, out, tile.size, error);
}

/* Item 0 is the hash of the band before, then come files to hash, then tiles. */
static void run_items(void *argument, size_t begin, size_t end, size_t thread) {
    worker *w = argument;
    for (size_t i = begin; i < end; i++) {
        pith_error error;
        pith_status status = PITH_OK;
        if (i == 0) {
            hash_pending(w);
        } else if (i <= w->n_hashed) {
            status = pith_file_hash_advance(&w->files[w->hashed[i - 1]], w->hash_bytes, &error);
        } else {
            status = convert_tile(w, i - 1 - w->n_hashed, &w->workspaces[thread], &error);
        }
        if (status != PITH_OK) {
            record_failure(w, i, &error);
        }
    }
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

/* Picks the first unfinished files, one for each thread, to hash `bytes` bytes of in all. */
static void plan_hashes(worker *w, size_t bytes) {
    w->n_hashed = 0;
    for (size_t i = 0; i < w->stream->sources->n && w->n_hashed < w->n_threads; i++) {
        if (w->files[i].done < w->files[i].file->size) {
            w->hashed[w->n_hashed++] = i;
        }
    }
    w->hash_bytes = w->n_hashed > 0 ? bytes / w->n_hashed : 0;
    if (w->hash_bytes < LEAST_HASH) {
        w->hash_bytes = LEAST_HASH;
        w->n_hashed = pith_min_size(w->n_hashed, bytes / LEAST_HASH + (bytes > 0));
    }
}

/* Bytes of the sources that should be hashed when `weights` weights are done, less those that are.
 */
static size_t hash_lag(const worker *w, size_t weights) {
    double share = (double)weights / (double)w->stream->plan->n_weights;
    double due = share * (double)w->source_bytes - (double)w->source_bytes_done;
    return due > 0 ? (size_t)due : 0;
}

static pith_status run_round(worker *w, size_t weights, pith_error *error) {
    const pith_convert_options *options = w->stream->options;
    w->failed_item = SIZE_MAX;
    pith_pool_run(w->stream->pool, 1 + w->n_hashed + w->n_tiles, 1, run_items, w);
    w->pending = (pending){0};
    if (w->failed_item != SIZE_MAX) {
        return pith_fail(error, w->failure.status, "%s", w->failure.message);
    }
    w->source_bytes_done = 0;
    for (size_t i = 0; i < w->stream->sources->n; i++) {
        w->source_bytes_done += w->files[i].done;
    }
    w->weights_done += weights;
    if (options->progress != NULL &&
        !options->progress(options->progress_user, w->weights_done, w->stream->plan->n_weights)) {
        return pith_fail(error, PITH_ERROR_STOPPED, "stopped");
    }
    return PITH_OK;
}

/* The band of tiles from w->first_tile on; adds to sums in the order of tiles. */
static pith_status run_band(worker *w, size_t n_tiles, tile_result *sums, pith_error *error) {
    const pith_plan_part *part = w->part;
    bool last = w->first_tile + n_tiles == part->n_tiles;
    size_t weights = 0;
    for (size_t i = 0; i < n_tiles; i++) {
        weights += pith_plan_tile_at(part, w->first_tile + i).n_rows * part->slot.cols;
    }
    w->n_tiles = n_tiles;
    w->band = w->pending.data == w->bands[0] ? w->bands[1] : w->bands[0];
    plan_hashes(w, hash_lag(w, w->weights_done + weights));
    pith_status status = run_round(w, weights, error);
    if (status != PITH_OK) {
        return status;
    }
    for (size_t i = 0; i < n_tiles; i++) {
        sums->error += w->results[i].error;
        sums->weight += w->results[i].weight;
    }
    size_t begin = w->first_tile * part->tile_bytes;
    w->pending = (pending){
        .data = w->band,
        .size = pith_min_size(n_tiles * part->tile_bytes, part->size - begin),
        .finished_hash = last ? w->stream->part_hashes[w->part_index] : NULL,
    };
    return PITH_OK;
}

static void report_matrix(const worker *w, const tile_result *sums) {
    const pith_plan_part *part = w->part;
    const pith_convert_options *options = w->stream->options;
    if (options->report == NULL || !part->slot.is_matrix) {
        return;
    }
    pith_convert_row row = {
        .name = part->slot.name,
        .type = part->type,
        .fell_back = part->fell_back,
        .rows = part->n_weights / part->slot.cols,
        .cols = part->slot.cols,
        .bits_per_weight = 8.0 * (double)part->size / (double)part->n_weights,
        .relative_error = sums->weight > 0 ? sqrt(sums->error / sums->weight) : 0.0,
    };
    options->report(options->report_user, &row);
}

static size_t band_tiles(const worker *w, const pith_plan_part *part) {
    size_t weights = pith_min_size(w->n_threads * BAND_WEIGHTS, MAX_BAND_WEIGHTS);
    size_t tiles = weights / (part->slot.cols * PITH_TILE_ROWS);
    return pith_min_size(pith_max_size(tiles, 1), part->n_tiles);
}

static pith_status run_part(worker *w, size_t index, pith_error *error) {
    const pith_plan_part *part = &w->stream->plan->parts[index];
    size_t band = band_tiles(w, part);
    tile_result sums = {0};
    w->part = part;
    w->part_index = index;
    w->importance =
        w->stream->importance == NULL
            ? NULL
            : pith_importance_find(w->stream->importance, part->slot.name, part->slot.cols);
    for (w->first_tile = 0; w->first_tile < part->n_tiles; w->first_tile += band) {
        pith_status status =
            run_band(w, pith_min_size(band, part->n_tiles - w->first_tile), &sums, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    report_matrix(w, &sums);
    return PITH_OK;
}

/* Hashes what is left when all weights are converted. */
static pith_status finish_hashes(worker *w, pith_error *error) {
    w->n_tiles = 0;
    do {
        plan_hashes(w, LAST_HASH * w->n_threads);
        pith_status status = run_round(w, 0, error);
        if (status != PITH_OK) {
            return status;
        }
    } while (w->source_bytes_done < w->source_bytes);
    for (size_t i = 0; i < w->stream->sources->n; i++) {
        pith_hash_finish(&w->files[i].state, w->stream->source_hashes[i]);
    }
    return PITH_OK;
}

/* ---- Setting up ------------------------------------------------------------------------------ */

/* Measures, and carves when the arena has memory. */
static void lay_out(worker *w, pith_arena *arena) {
    const pith_plan *plan = w->stream->plan;
    size_t n_sources = w->stream->sources->n;
    w->workspaces = pith_arena_take(arena, w->n_threads, sizeof *w->workspaces);
    for (size_t i = 0; i < w->n_threads; i++) {
        workspace space = {
            .rows = pith_arena_take(arena, plan->max_cols, PITH_TILE_ROWS * sizeof(float)),
            .scratch = pith_arena_take(arena, pith_rows_scratch(plan->max_cols), 1),
        };
        if (arena->base != NULL) {
            w->workspaces[i] = space;
        }
    }
    w->bands[0] = pith_arena_take(arena, w->band_bytes, 1);
    w->bands[1] = pith_arena_take(arena, w->band_bytes, 1);
    w->results = pith_arena_take(arena, w->max_tiles, sizeof *w->results);
    w->files = pith_arena_take(arena, n_sources, sizeof *w->files);
    w->hashed = pith_arena_take(arena, n_sources, sizeof *w->hashed);
}

/* Room for the largest band of any part. */
static void size_bands(worker *w) {
    const pith_plan *plan = w->stream->plan;
    for (size_t i = 0; i < plan->n; i++) {
        const pith_plan_part *part = &plan->parts[i];
        size_t tiles = band_tiles(w, part);
        w->max_tiles = pith_max_size(w->max_tiles, tiles);
        w->band_bytes = pith_max_size(w->band_bytes, tiles * part->tile_bytes);
    }
}

pith_status pith_stream_run(const pith_stream *stream, pith_error *error) {
    worker w = {.stream = stream, .n_threads = pith_pool_threads(stream->pool)};
    pith_arena arena = {0};
    pith_region region = {0};
    size_bands(&w);
    lay_out(&w, &arena);
    if (arena.overflow) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the conversion");
    }
    pith_status status = pith_region_allocate(&region, arena.used, stream->plan->allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    arena = (pith_arena){.base = region.data};
    lay_out(&w, &arena);
    pthread_mutex_init(&w.lock, NULL);
    crypto_hash_sha256_init(&w.tensor_hash);
    for (size_t i = 0; i < stream->sources->n; i++) {
        pith_file_hash_begin(&w.files[i], &stream->sources->files[i].file);
        w.source_bytes += w.files[i].file->size;
    }
    for (size_t i = 0; i < stream->plan->n && status == PITH_OK; i++) {
        status = run_part(&w, i, error);
    }
    if (status == PITH_OK) {
        status = finish_hashes(&w, error);
    }
    pthread_mutex_destroy(&w.lock);
    pith_region_release(&region);
    return status;
}
