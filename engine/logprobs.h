/* Log probabilities of tokens under the model: log softmax of logits. */
#ifndef PITH_ENGINE_LOGPROBS_H
#define PITH_ENGINE_LOGPROBS_H

#include "pith.h"

enum { PITH_MAX_TOP_LOGPROBS = 20 };

/* log sum exp(logits [n >= 1]), all finite, in double precision. The largest logit is taken out
 * first, so that nothing overflows. */
double pith_log_sum_exp(const float *logits, size_t n);

/* The `n_top` <= n most likely tokens of logits [n] to top [n_top], best first, the lower id first
 * among equals. `log_sum` is pith_log_sum_exp of the logits. */
void pith_top_logprobs(const float *logits, size_t n, double log_sum, pith_scored_token *top,
                       size_t n_top);

#endif
