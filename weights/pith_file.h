/* The .pith weights file (docs/format.md): a safetensors file whose metadata describes a model.
 * Reading validates everything and binds the tensors; writing publishes atomically. */
#ifndef PITH_WEIGHTS_PITH_FILE_H
#define PITH_WEIGHTS_PITH_FILE_H

#include "base/file.h"
#include "base/pool.h"
#include "base/status.h"
#include "families/shares.h"
#include "tokenizer/vocab.h"
#include "weights/extracts.h"
#include "weights/metadata.h"
#include "weights/safetensors.h"
#include "weights/slots.h"

enum {
    PITH_FORMAT_VERSION = 2,    /* the newest that is read; files without newer features say 1 */
    PITH_DATA_ALIGNMENT = 4096, /* data starts on a multiple of this */
};

/* An open model file. Everything is owned by it and lives until pith_model_file_close. */
typedef struct pith_model_file {
    const char *path;
    pith_safetensors *header;
    pith_metadata metadata; /* architecture, types, config, special tokens, sources, checksums */
    const pith_family *family;
    pith_network network;
    pith_vocab vocab;    /* complete, pointing into the data; n_pieces 0: no tokenizer */
    const void *data;    /* the file's bytes from the start of the data on */
    size_t weight_bytes; /* of all weight tensors (tokenizer excluded) */
    size_t n_params;     /* real weights, padding excluded, a tied pair counted once */
    size_t file_size;
    pith_shares shares;   /* of several ranks: how matrices are cut; else zeros, as the next two */
    size_t held_bytes;    /* of weight_bytes, those that this rank holds */
    uint64_t header_hash; /* of all bytes in front of the data, checksums of the tensors included */
    void *implementation; /* regions, arenas, mapping */
} pith_model_file;

/* Errors: IO, FORMAT, MEMORY, UNSUPPORTED (format version, architecture; named). With `map` the
 * data is mapped read-only, else read into huge pages in parallel. Tensors that the architecture
 * does not know are reported to `log` as warnings. */
pith_status pith_model_file_open(pith_model_file **out, const char *path, bool map, pith_pool *pool,
                                 const pith_log *log, const pith_allocator *allocator,
                                 pith_error *error);
void pith_model_file_close(pith_model_file *file); /* accepts NULL */

/* As pith_model_file_open, and reports how far reading is to `watch`, which may be NULL. With
 * `ranks`, of which there are at least 2 then, not with `map`: reads of a decoder's matrices the
 * rows of this rank alone (families/shares.h), and `data` of a pith_matrix holds those. Errors:
 * also STOPPED, and with ranks UNSUPPORTED (an encoder). */
pith_status pith_model_file_open_watched(pith_model_file **out, const char *path, bool map,
                                         pith_pool *pool, const pith_load_watch *watch,
                                         const pith_ranks *ranks, const pith_log *log,
                                         const pith_allocator *allocator, pith_error *error);

/* As pith_model_file_open for an open file, mapped without reading ahead: for checking a file that
 * is not going to be run. `file` may be closed afterwards. */
pith_status pith_model_file_open_to_check(pith_model_file **out, const pith_file *file,
                                          const pith_allocator *allocator, pith_error *error);

/* As pith_model_file_open for a whole file in memory, which is borrowed until close and must be
 * 64-byte aligned (else ARGUMENT). `name` stands for the path. */
pith_status pith_model_file_open_memory(pith_model_file **out, const void *bytes, size_t size,
                                        const char *name, const pith_log *log,
                                        const pith_allocator *allocator, pith_error *error);

/* The slot of rule `part` of the file's family in a layer, and where its bound pointer lives in
 * *file. False when the model has no such tensor. */
bool pith_model_file_slot(pith_model_file *file, unsigned part, size_t layer, pith_slot *slot,
                          pith_slot_place *place);

/* The tokenizer's tensors: names, types and where their arrays sit in a pith_vocab. Tensors of a
 * kind without them (scores, merges) are absent. */
typedef enum pith_vocab_part {
    PITH_VOCAB_BYTES,             /* "tokenizer.bytes"   U8  [n_bytes] */
    PITH_VOCAB_OFFSETS,           /* "tokenizer.offsets" U32 [n_pieces + 1] */
    PITH_VOCAB_SCORES,            /* "tokenizer.scores"  F32 [n_pieces] */
    PITH_VOCAB_LOG_PROBABILITIES, /* "tokenizer.log_probabilities" F64 [n_pieces] */
    PITH_VOCAB_TYPES,             /* "tokenizer.types"   U8  [n_pieces] */
    PITH_VOCAB_ADDED,             /* "tokenizer.added"   U8  [n_pieces] */
    PITH_VOCAB_MERGES,            /* "tokenizer.merges"  U32 [n_merges, 3] */
    PITH_VOCAB_CHARSMAP,          /* "tokenizer.charsmap" U8 [n_charsmap] */
    PITH_VOCAB_N_PARTS,
} pith_vocab_part;

typedef struct pith_vocab_slot {
    const char *name;
    pith_dtype dtype;
    size_t n_dims;
    size_t shape[2];
    const void *data; /* in the vocab given */
} pith_vocab_slot;

/* False when a vocabulary of this kind has no such tensor. */
bool pith_vocab_slot_of(const pith_vocab *vocab, pith_vocab_part part, pith_vocab_slot *out);

/* ---- Writing --------------------------------------------------------------------------------- */

typedef struct pith_model_writer pith_model_writer;

/* Names, shapes and types are declared first, then the layout is fixed, then data is written in any
 * order from any thread, then the file is published. */
pith_status pith_model_writer_new(pith_model_writer **out, const char *path,
                                  const pith_allocator *allocator, pith_error *error);
/* As pith_model_writer_new, but a new file may be read by its owner only. */
pith_status pith_model_writer_new_private(pith_model_writer **out, const char *path,
                                          const pith_allocator *allocator, pith_error *error);
/* Declares a tensor and returns its index in *index. Errors: MEMORY, ARGUMENT (the container's name
 * "__metadata__", overflow). */
pith_status pith_model_writer_add(pith_model_writer *writer, const char *name, pith_dtype dtype,
                                  size_t n_dims, const size_t *shape, size_t *index,
                                  pith_error *error);
/* Fixes offsets: tensors whose size is a multiple of 64 first, then the others by decreasing
 * element size (so that all are aligned), each in order of declaration. `metadata_limit` bounds the
 * bytes of metadata JSON that finish will be given, and decides where the data starts. Errors:
 * MEMORY, ARGUMENT (a name declared twice, limits, overflow). */
pith_status pith_model_writer_layout(pith_model_writer *writer, size_t metadata_limit,
                                     pith_error *error);
/* Writes bytes of tensor `index` at `offset` within it. Thread-safe after layout. */
pith_status pith_model_writer_put(pith_model_writer *writer, size_t index, size_t offset,
                                  const void *data, size_t size, pith_error *error);
/* Declares all bytes that were not put to be zero, without writing them: where files may have holes
 * they take no space. Errors: IO. */
pith_status pith_model_writer_leave_out(pith_model_writer *writer, pith_error *error);
/* Writes the header with the metadata document (compact JSON, stored as the string value of the key
 * "pith") and publishes. Frees the writer, also on failure. Errors: IO, MEMORY, ARGUMENT (bytes of
 * a tensor were never put, metadata longer than the limit or not UTF-8). */
pith_status pith_model_writer_finish(pith_model_writer *writer, const char *metadata,
                                     pith_error *error);

/* As pith_model_writer_finish, but `check` looks at the complete file before it is published; what
 * it returns other than PITH_OK is returned, and nothing is published. */
typedef pith_status (*pith_model_check_fn)(void *user, const pith_file *file, pith_error *error);
pith_status pith_model_writer_finish_checked(pith_model_writer *writer, const char *metadata,
                                             pith_model_check_fn check, void *user,
                                             pith_error *error);
void pith_model_writer_discard(pith_model_writer *writer); /* accepts NULL */

#endif
