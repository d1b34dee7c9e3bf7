/* Causal grouped-query attention over the KV cache. */
#ifndef PITH_ENGINE_ATTENTION_H
#define PITH_ENGINE_ATTENTION_H

#include "engine/forward.h"

/* out = softmax(s q k^T) v [n_rows, heads x head_dim], s the attention scale, from the queries of
 * every row in qkv [n_rows, q rows ...] and the keys and values of layer `layer` in its cache, up
 * to and including the row's own position and as far back as the window of the layer's kind. Scores
 * go through the soft cap where there is one; the softmax's sum counts exp(sink) of the head where
 * the layer has sinks. Returns the rows of `out`, without codes; of several ranks each has the
 * columns of its own heads. */
pith_rows pith_attention(const pith_forward *f, size_t layer, pith_rows qkv, pith_rows out);

/* Upper bound on the chunks of keys that a row attends to in a timeline of at most n_context
 * tokens. */
size_t pith_attention_max_chunks(const pith_config *config, size_t n_context);

/* Floats of one thread's buffers, and of the results of single chunks when no row attends to more
 * than n_chunks. */
size_t pith_attention_thread_floats(const pith_config *config);
size_t pith_attention_partial_floats(const pith_config *config, size_t n_chunks);

#endif
