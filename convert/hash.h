/* SHA-256 of files and tensors, computed in pieces that run beside the conversion. */
#ifndef PITH_CONVERT_HASH_H
#define PITH_CONVERT_HASH_H

#include "base/file.h"
#include "weights/metadata.h"

#include <sodium/crypto_hash_sha256.h>

/* A file of which the first `done` bytes are hashed. */
typedef struct pith_file_hash {
    crypto_hash_sha256_state state;
    const pith_file *file;
    size_t done;
} pith_file_hash;

void pith_file_hash_begin(pith_file_hash *hash, const pith_file *file);

/* Hashes the next `size` bytes, or up to the end of the file. Errors: IO, FORMAT (truncated). */
pith_status pith_file_hash_advance(pith_file_hash *hash, size_t size, pith_error *error);

/* Ends a hash and writes it as lower-case hex digits. */
void pith_hash_finish(crypto_hash_sha256_state *state, char text[PITH_SHA256_TEXT]);

#endif
