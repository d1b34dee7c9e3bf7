/* What a rank reads; see held.h. */
#include "weights/held.h"

#include "base/checked.h"
#include "simd/blocks.h"

bool pith_held_data_begin(pith_held_data *held, size_t n_tensors, const pith_allocator *allocator) {
    if (held->n_ranks < 2) {
        return true;
    }
    held->tensors = pith_allocate_zeroed(allocator, n_tensors, sizeof *held->tensors);
    held->places = pith_allocate_zeroed(allocator, n_tensors, sizeof *held->places);
    held->extracts =
        pith_allocate_zeroed(allocator, n_tensors, PITH_MAX_BLOCKS * sizeof *held->extracts);
    return held->tensors != NULL && held->places != NULL && held->extracts != NULL;
}

void pith_held_data_end(pith_held_data *held, const pith_allocator *allocator) {
    pith_release(allocator, held->tensors);
    pith_release(allocator, held->places);
    pith_release(allocator, held->extracts);
    *held = (pith_held_data){0};
}

void pith_held_data_note(pith_held_data *held, size_t i, pith_extent rows, size_t n_rows) {
    if (held->tensors != NULL) {
        held->tensors[i] = (pith_held_tensor){.rows = rows, .n_rows = n_rows};
    }
}

/* Adds bytes [begin, begin + n) of a tensor behind what is there already. */
static void add_extract(pith_held_data *held, const pith_tensor *tensor, size_t begin, size_t n) {
    if (n != 0) {
        held->extracts[held->n_extracts++] =
            (pith_extract){.offset = tensor->offset + begin, .n = n, .at = held->size};
        held->size += n;
    }
}

void pith_held_data_choose(pith_held_data *held, pith_model_file *file) {
    const pith_config *config = &file->network.config;
    file->shares = pith_shares_of(config, held->rank, held->n_ranks);
    file->held_bytes = file->weight_bytes;
    for (size_t i = 0; i < pith_safetensors_count(file->header); i++) {
        const pith_tensor *tensor = pith_safetensors_at(file->header, i);
        const pith_held_tensor *of = &held->tensors[i];
        held->size = pith_round_up(held->size, PITH_LINE_BYTES);
        held->places[i] = held->size;
        if (of->n_rows == 0) {
            add_extract(held, tensor, 0, tensor->size);
            continue;
        }
        const pith_held rows = pith_shares_held(&file->shares, config, of->rows, of->n_rows);
        const size_t row_tiles = of->n_rows / PITH_TILE_ROWS;
        const size_t tile = tensor->size / row_tiles;
        for (size_t r = 0; r < rows.n_runs; r++) {
            add_extract(held, tensor, rows.runs[r].first / PITH_TILE_ROWS * tile,
                        rows.runs[r].n / PITH_TILE_ROWS * tile);
        }
        file->held_bytes -= (row_tiles - rows.n_rows / PITH_TILE_ROWS) * tile;
    }
}

pith_status pith_held_hash(uint64_t *out, const pith_file *file, size_t n, pith_error *error) {
    enum { STEP = 4096 };
    unsigned char bytes[STEP];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t at = 0; at < n; at += STEP) {
        size_t step = pith_min_size(STEP, n - at);
        pith_status status = pith_file_read(file, at, bytes, step, error);
        if (status != PITH_OK) {
            return status;
        }
        for (size_t i = 0; i < step; i++) {
            hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
        }
    }
    *out = hash;
    return PITH_OK;
}
