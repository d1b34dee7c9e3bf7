/* The tokenizer and the chat template in a GGUF file. */
#ifndef PITH_CONVERT_GGUF_TOKENIZER_H
#define PITH_CONVERT_GGUF_TOKENIZER_H

#include "convert/hf_tokenizer.h"
#include "weights/gguf.h"

/* Reads them; a file without tokenizer.ggml.model has none, with a warning.
 * Errors: FORMAT, UNSUPPORTED (a kind of tokenizer or of pre-tokenization, named), MEMORY. */
pith_status pith_gguf_tokenizer_read(pith_hf_tokenizer *out, const pith_gguf *gguf,
                                     size_t vocab_size, const pith_allocator *allocator,
                                     const pith_log *log, pith_error *error);

/* What the kinds share (gguf_tokenizer.c, gguf_bpe.c, gguf_unigram.c). */
typedef struct pith_gguf_vocab {
    const pith_gguf *gguf;
    const pith_allocator *allocator;
    pith_gguf_value tokens; /* array of strings */
    pith_gguf_value types;  /* array of i32, or count 0 */
    pith_error *error;
} pith_gguf_vocab;

/* The type of token i, NORMAL where the file has none. False when its number is not known. */
bool pith_gguf_token_type(const pith_gguf_vocab *vocab, size_t i, pith_piece_type *out);

/* Fails with MEMORY. */
pith_status pith_gguf_vocab_no_memory(const pith_gguf_vocab *vocab);

/* Reads a byte-level vocabulary with its merges (gguf_bpe.c). Errors: FORMAT, UNSUPPORTED, MEMORY.
 */
pith_status pith_gguf_read_bpe(pith_vocab_file *out, const pith_gguf_vocab *vocab);

/* Turns what a SentencePiece tokenizer's keys say into XLM-R's Unigram (gguf_unigram.c). Errors:
 * FORMAT, UNSUPPORTED (named), MEMORY. */
pith_status pith_gguf_make_unigram(pith_vocab_file *out, const pith_gguf_vocab *vocab);

#endif
