/* Checksums of tensors, several tensors at a time. SHA-256 is libsodium's. */
#include "cli/verify.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 4 << 20 }; /* bytes between two looks at the interrupt flag */

typedef struct verify_state {
    const pith_model_file *file;
    char (*sums)[PITH_SHA256_TEXT]; /* [tensors]; "" when not finished */
    atomic_size_t done;             /* bytes */
    size_t total;
    pith_progress progress; /* drawn by the calling thread */
} verify_state;

static void hash_tensors(void *argument, size_t begin, size_t end, size_t thread) {
    verify_state *state = argument;
    const pith_safetensors *header = state->file->header;
    for (size_t i = begin; i < end && !pith_interrupted(); i++) {
        const pith_tensor *tensor = pith_safetensors_at(header, i);
        const unsigned char *data = state->file->data;
        data += tensor->offset - pith_safetensors_data_offset(header);
        crypto_hash_sha256_state hash;
        crypto_hash_sha256_init(&hash);
        for (size_t at = 0; at < tensor->size && !pith_interrupted();) {
            size_t n = tensor->size - at < PIECE ? tensor->size - at : PIECE;
            crypto_hash_sha256_update(&hash, data + at, n);
            at += n;
            atomic_fetch_add(&state->done, n);
            if (thread == 0) {
                pith_progress_update(&state->progress, atomic_load(&state->done), state->total);
            }
        }
        unsigned char digest[crypto_hash_sha256_BYTES];
        crypto_hash_sha256_final(&hash, digest);
        sodium_bin2hex(state->sums[i], sizeof state->sums[i], digest, sizeof digest);
    }
}

static const pith_tensor_note *find_note(const pith_metadata *metadata, const char *name) {
    for (size_t i = 0; i < metadata->n_notes; i++) {
        if (strcmp(metadata->notes[i].name, name) == 0) {
            return &metadata->notes[i];
        }
    }
    return NULL;
}

static pith_status compare(const verify_state *state, pith_error *error) {
    const pith_model_file *file = state->file;
    for (size_t i = 0; i < pith_safetensors_count(file->header); i++) {
        const pith_tensor *tensor = pith_safetensors_at(file->header, i);
        const pith_tensor_note *note = find_note(&file->metadata, tensor->name);
        if (note == NULL) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: tensor %s has no checksum", file->path,
                             tensor->name);
        }
        if (strcmp(note->sha256, state->sums[i]) != 0) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: tensor %s is damaged: its SHA-256 is %s, recorded is %s",
                             file->path, tensor->name, state->sums[i], note->sha256);
        }
    }
    return PITH_OK;
}

pith_status pith_verify_file(pith_cli *cli, const pith_model_file *file, size_t n_threads,
                             pith_error *error) {
    size_t n = pith_safetensors_count(file->header);
    verify_state state = {.file = file};
    pith_pool *pool = NULL;
    pith_status status = pith_pool_new(&pool, n_threads, &pith_malloc_allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    state.sums = calloc(n + 1, sizeof *state.sums);
    if (state.sums == NULL || sodium_init() < 0) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu checksums", n);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        state.total += pith_safetensors_at(file->header, i)->size;
    }
    pith_progress_begin(&state.progress, cli, "B");
    pith_pool_run(pool, n, 1, hash_tensors, &state);
    pith_progress_end(&state.progress);
    if (pith_interrupted()) {
        status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
    } else {
        status = compare(&state, error);
    }
done:
    free(state.sums);
    pith_pool_free(pool);
    return status;
}
