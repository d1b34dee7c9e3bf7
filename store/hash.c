/* The hash that shows whether a document has changed. */
#include <sodium.h>
#include <string.h>

#include "store/store.h"

/* The length keeps text and metadata apart. */
void pith_store_hash(pith_store_document *document) {
    crypto_hash_sha256_state hash;
    uint64_t n = document->n_bytes;
    crypto_hash_sha256_init(&hash);
    crypto_hash_sha256_update(&hash, (const unsigned char *)&n, sizeof n);
    crypto_hash_sha256_update(&hash, (const unsigned char *)document->text, n);
    if (document->metadata != NULL) {
        crypto_hash_sha256_update(&hash, (const unsigned char *)document->metadata,
                                  strlen(document->metadata));
    }
    crypto_hash_sha256_final(&hash, document->hash);
}
