/* Rotary position embedding: frequencies and tables. Su et al. 2021 (RoFormer), equation 34; the
 * scalings of Chen et al. 2023 (linear), of Llama 3.1, of Peng et al. 2023 (YaRN) and of Ding et
 * al. 2024 (LongRoPE). */
#ifndef PITH_ENGINE_ROPE_H
#define PITH_ENGINE_ROPE_H

#include "families/config.h"

/* inv_freq [dims / 2]: theta^(-2i / dims), scaled as the configuration says; in float, as the
 * implementations that trained these models compute it. `factors` [dims / 2] are LongRoPE's, which
 * nothing else reads. */
void pith_rope_frequencies(const pith_rope_config *rope, const float *factors, float *inv_freq);

/* The factor of cos and sin: 1, except for the attention temperature of YaRN and LongRoPE. */
float pith_rope_scale(const pith_rope_config *rope);

/* The factor of a query at this position: 1, except for Llama 4's attention temperature. */
float pith_rope_query_scale(const pith_rope_config *rope, size_t position);

/* cos and sin [half] of position x inv_freq [half], times `scale`. */
void pith_rope_table(const float *inv_freq, size_t half, float scale, size_t position,
                     float *cosines, float *sines);

#endif
