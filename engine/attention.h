/* Causal grouped-query attention over the KV cache. */
#ifndef PITH_ENGINE_ATTENTION_H
#define PITH_ENGINE_ATTENTION_H

#include "engine/forward.h"

/* Reads the rotated queries of every row from scratch->qkv [n_rows, q rows ...], the keys and
 * values of layer `layer` up to and with each row's own position from its cache, and writes
 * softmax(q k^T / sqrt(head_dim)) v to scratch->a [n_rows, heads x head_dim]. */
void pith_attention(const pith_forward *f, size_t layer);

/* Most chunks of keys that a row attends to in a timeline of at most n_context tokens. */
size_t pith_attention_max_chunks(const pith_config *config, size_t n_context);

/* Floats of one thread's buffers, and of the results of single chunks when no row attends to more
 * than n_chunks. */
size_t pith_attention_thread_floats(const pith_config *config);
size_t pith_attention_partial_floats(const pith_config *config, size_t n_chunks);

#endif
