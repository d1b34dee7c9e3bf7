/* Cutting a text into overlapping chunks with a limit on their tokens. */
#ifndef PITH_STORE_SPLIT_H
#define PITH_STORE_SPLIT_H

#include "store/store.h"

/* Counts the tokens of a text [n_bytes] of valid UTF-8. */
typedef pith_status (*pith_count_fn)(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                                     pith_error *error);

/* Cuts text [n_bytes], valid UTF-8, between words into chunks of at most `limit` >= 1 tokens, each
 * beginning with up to `overlap` < limit tokens of the one before. White space at the ends of a
 * chunk is left out, so a text of white space alone has no chunks. The tokens of a text are taken
 * to be those of its words, which are counted one by one; a word that alone exceeds the limit is
 * cut, at worst into single characters. *chunks is released by the caller with pith_release.
 * Errors: MEMORY, those of `count`. */
pith_status pith_store_split(const char *text, size_t n_bytes, size_t limit, size_t overlap,
                             pith_count_fn count, void *user, const pith_allocator *allocator,
                             pith_store_chunk **chunks, size_t *n_chunks, pith_error *error);

#endif
