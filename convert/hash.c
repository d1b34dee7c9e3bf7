/* SHA-256 (FIPS 180-4) through libsodium. */
#include "convert/hash.h"

#include "base/checked.h"

#include <sodium/utils.h>

enum { PIECE = 64 << 10 };

void pith_file_hash_begin(pith_file_hash *hash, const pith_file *file) {
    *hash = (pith_file_hash){.file = file};
    crypto_hash_sha256_init(&hash->state);
}

pith_status pith_file_hash_advance(pith_file_hash *hash, size_t size, pith_error *error) {
    unsigned char piece[PIECE];
    size_t end = hash->done + pith_min_size(size, hash->file->size - hash->done);
    while (hash->done < end) {
        size_t n = pith_min_size(PIECE, end - hash->done);
        pith_status status = pith_file_read(hash->file, hash->done, piece, n, error);
        if (status != PITH_OK) {
            return status;
        }
        crypto_hash_sha256_update(&hash->state, piece, n);
        hash->done += n;
    }
    return PITH_OK;
}

void pith_hash_finish(crypto_hash_sha256_state *state, char text[PITH_SHA256_TEXT]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(state, digest);
    sodium_bin2hex(text, PITH_SHA256_TEXT, digest, sizeof digest);
}
