/* Replacing the pieces of a vocabulary: its arrays are written anew, checked with the rest, and
 * then take the place of the old ones. */
#include "tokenizer/internal.h"

#include "base/status.h"

enum { N_ARRAYS = 6 };

static void release(const pith_vocab_arrays *a, const pith_allocator *allocator) {
    void *const blocks[N_ARRAYS] = {a->bytes, a->offsets, a->types,
                                    a->added, a->scores,  a->log_probabilities};
    for (size_t i = 0; i < N_ARRAYS; i++) {
        pith_release(allocator, blocks[i]);
    }
}

pith_status pith_vocab_arrays_new(pith_vocab_arrays *out, const pith_vocab_file *file, size_t n,
                                  size_t n_bytes, const char *name, pith_error *error) {
    const pith_vocab *old = &file->vocab;
    const pith_allocator *allocator = file->allocator;
    pith_vocab_arrays a = {
        .bytes = pith_allocate(allocator, n_bytes, 1),
        .offsets = pith_allocate_zeroed(allocator, n + 1, sizeof *a.offsets),
        .types = pith_allocate(allocator, n, 1),
        .added = pith_allocate(allocator, n, 1),
    };
    bool all = a.bytes != NULL && a.offsets != NULL && a.types != NULL && a.added != NULL;
    if (all && old->scores != NULL) {
        a.scores = pith_allocate_zeroed(allocator, n, sizeof *a.scores);
        all = a.scores != NULL;
    }
    if (all && old->log_probabilities != NULL) {
        a.log_probabilities = pith_allocate_zeroed(allocator, n, sizeof *a.log_probabilities);
        all = a.log_probabilities != NULL;
    }
    if (!all) {
        release(&a, allocator);
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for %zu pieces", name, n);
    }
    *out = a;
    return PITH_OK;
}

void pith_vocab_arrays_put(pith_vocab_arrays *a, const char *text, size_t n_bytes, uint8_t type,
                           uint8_t flags) {
    memcpy(a->bytes + a->n_bytes, text, n_bytes);
    a->n_bytes += n_bytes;
    a->types[a->n] = type;
    a->added[a->n] = flags;
    a->n++;
    a->offsets[a->n] = (uint32_t)a->n_bytes;
}

/* Releases the block `old` of the file, which has `new` in its place. */
static void put_block(pith_vocab_file *file, const void *old, void *new) {
    for (size_t i = 0; i < sizeof file->blocks / sizeof file->blocks[0]; i++) {
        if (file->blocks[i] != NULL && file->blocks[i] == old) {
            pith_release(file->allocator, file->blocks[i]);
            file->blocks[i] = new;
            return;
        }
    }
}

pith_status pith_vocab_arrays_replace(pith_vocab_file *file, const pith_vocab_arrays *a,
                                      const pith_vocab *settings, const char *name,
                                      pith_error *error) {
    const pith_vocab old = file->vocab;
    pith_vocab new = *settings;
    new.n_pieces = a->n;
    new.bytes = a->bytes;
    new.n_bytes = a->n_bytes;
    new.offsets = a->offsets;
    new.scores = a->scores;
    new.log_probabilities = a->log_probabilities;
    new.types = a->types;
    new.added = a->added;
    pith_status status = pith_vocab_check(&new, name, error);
    if (status != PITH_OK) {
        release(a, file->allocator);
        return status;
    }
    put_block(file, old.bytes, a->bytes);
    put_block(file, old.offsets, a->offsets);
    put_block(file, old.scores, a->scores);
    put_block(file, old.log_probabilities, a->log_probabilities);
    put_block(file, old.types, a->types);
    put_block(file, old.added, a->added);
    file->vocab = new;
    return PITH_OK;
}
