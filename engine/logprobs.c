/* Log softmax and the most likely tokens; see logprobs.h. */
#include "engine/logprobs.h"

#include <math.h>

double pith_log_sum_exp(const float *logits, size_t n) {
    float most = logits[0];
    for (size_t i = 1; i < n; i++) {
        most = logits[i] > most ? logits[i] : most;
    }
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)logits[i] - (double)most);
    }
    return (double)most + log(sum);
}

void pith_top_logprobs(const float *logits, size_t n, double log_sum, pith_scored_token *top,
                       size_t n_top) {
    size_t n_found = 0; /* sorted; `logprob` is the logit until the end */
    for (size_t i = 0; i < n && n_top != 0; i++) {
        if (n_found == n_top && !(logits[i] > top[n_top - 1].logprob)) {
            continue;
        }
        size_t at = n_found < n_top ? n_found++ : n_top - 1;
        for (; at > 0 && logits[i] > top[at - 1].logprob; at--) {
            top[at] = top[at - 1];
        }
        top[at] = (pith_scored_token){.token = (int32_t)i, .logprob = logits[i]};
    }
    for (size_t i = 0; i < n_found; i++) {
        top[i].logprob = (float)((double)top[i].logprob - log_sum);
    }
}
