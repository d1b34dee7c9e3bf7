/* The two hash tables of a tokenizer: spelling to id, and pair of ids to merge. Open addressing
 * with linear probing at a load of at most one half. A vocabulary may come from a hostile file, so
 * the length of a probe is bounded: one that is made to collide is refused instead of being slow.
 */
#ifndef PITH_TOKENIZER_TABLES_H
#define PITH_TOKENIZER_TABLES_H

#include "tokenizer/vocab.h"

enum { PITH_TABLE_MAX_PROBES = 512 };

typedef struct pith_piece_table {
    const char *bytes;       /* spellings, borrowed */
    const uint32_t *offsets; /* [n_pieces + 1], borrowed */
    uint32_t *slots;         /* [mask + 1]: 11 bits of the hash, 21 of id + 1; 0: empty */
    size_t mask;
    size_t longest; /* bytes of the longest spelling */
} pith_piece_table;

/* At most PITH_VOCAB_MAX_PIECES. Of two pieces with the same spelling, one of type NORMAL is kept,
 * else the first; empty spellings and pieces of type 0 are left out. Errors: MEMORY, FORMAT
 * (spellings made to collide). */
pith_status pith_piece_table_build(pith_piece_table *out, const char *bytes,
                                   const uint32_t *offsets, const uint8_t *types, size_t n_pieces,
                                   const pith_allocator *allocator, pith_error *error);
/* Id, or -1. */
int32_t pith_piece_table_find(const pith_piece_table *table, const char *text, size_t n_bytes);

typedef struct pith_merge_slot {
    uint32_t left, right;
    uint32_t rank; /* UINT32_MAX: empty */
    uint32_t merged;
} pith_merge_slot;

typedef struct pith_merge_table {
    pith_merge_slot *slots; /* [mask + 1] */
    size_t mask;
} pith_merge_table;

/* merges [n_merges, 3]; of two with the same pair the later one counts, as in Hugging Face's
 * tokenizers. Merges that would make a piece of type CONTROL are left out: special tokens must not
 * come out of ordinary text. Errors: MEMORY, FORMAT (pairs made to collide). */
pith_status pith_merge_table_build(pith_merge_table *out, const uint32_t *merges, size_t n_merges,
                                   const uint8_t *types, const pith_allocator *allocator,
                                   pith_error *error);
/* The merge of the pair, or NULL. */
const pith_merge_slot *pith_merge_table_find(const pith_merge_table *table, uint32_t left,
                                             uint32_t right);

#endif
