/* Bytes and operations of a test; see shares.h. */
#include "perf/shares.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"

static double linear_weights(const pith_family *family, const pith_config *c) {
    double n = 0;
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        pith_slot slot;
        if (pith_family_slot(family, c, part, 0, &slot) && slot.kind == PITH_KIND_LINEAR) {
            bool expert = pith_family_rule(family, part)->of_expert;
            n += (double)c->num_hidden_layers * (double)slot.real_rows * (double)slot.cols *
                 (expert ? (double)c->n_experts_used : 1);
        }
    }
    return n;
}

pith_work pith_work_of(const pith_family *family, const pith_network *network, size_t token_bytes,
                       size_t kv_element) {
    const pith_config *c = &network->config;
    double layers = (double)c->num_hidden_layers;
    size_t row_bytes = c->head_dim * kv_element + (kv_element == 1 ? sizeof(float) : 0);
    pith_work work = {
        .layer_bytes = token_bytes - pith_min_size(token_bytes, network->head.size),
        .head_bytes = network->head.size,
        .kv_bytes = 2 * c->num_hidden_layers * c->num_key_value_heads * row_bytes,
        .n_windows = c->n_kinds,
        .linear_weights = linear_weights(family, c),
        .head_weights = (double)c->vocab_size * (double)c->hidden_size,
        .attention_ops = layers * 4 * (double)(c->num_attention_heads * c->head_dim),
    };
    if (c->n_experts != 0) { /* all are of one size */
        const pith_expert *expert = &network->experts[0];
        work.n_experts = c->n_experts;
        work.n_experts_used = c->n_experts_used;
        work.expert_bytes =
            layers * (double)(expert->gate_up.matrix.size + expert->down.matrix.size);
    }
    for (size_t i = 0; i < c->n_kinds; i++) {
        work.windows[i].size = c->kinds[i].sliding_window;
    }
    for (size_t i = 0; i < c->num_hidden_layers; i++) {
        work.windows[c->kind_of[i]].share += 1 / layers;
    }
    return work;
}

pith_test_name pith_bench_test_name(const pith_bench_test *test) {
    pith_test_name name;
    char depth[32] = "";
    char sessions[32] = "";
    if (test->generate && test->depth != 0) {
        snprintf(depth, sizeof depth, "@d%zu", test->depth);
    }
    if (test->generate && test->n_sessions > 1) {
        snprintf(sessions, sizeof sessions, "x%zu", test->n_sessions);
    }
    snprintf(name.text, sizeof name.text, "%s%zu%.24s%.24s", test->generate ? "tg" : "pp",
             test->n_tokens, depth, sessions);
    return name;
}

double pith_attended(size_t depth, size_t n, size_t window) {
    size_t growing = n; /* tokens whose context is not yet cut by the window */
    if (window != 0) {
        growing = depth >= window ? 0 : pith_min_size(n, window - depth);
    }
    double g = (double)growing;
    return g * (double)depth + g * (g + 1) / 2 + (double)(n - growing) * (double)window;
}

/* Bytes of the layers that a pass of n rows reads. Which experts the rows choose is not known: as
 * if each chose anew, all with the same chance. */
static double pass_bytes(const pith_work *work, double n_rows) {
    double n = (double)work->n_experts;
    double used = (double)work->n_experts_used;
    double distinct = n == 0 ? 0 : n * (1 - pow(1 - used / n, n_rows));
    return (double)work->layer_bytes + (distinct - used) * work->expert_bytes;
}

/* The mean over the layers. */
static double attended_by_layers(const pith_work *work, size_t depth, size_t n) {
    if (work->n_windows == 1) {
        return pith_attended(depth, n, work->windows[0].size);
    }
    double sum = 0;
    for (size_t i = 0; i < work->n_windows; i++) {
        sum += work->windows[i].share * pith_attended(depth, n, work->windows[i].size);
    }
    return sum;
}

pith_cost pith_cost_of(const pith_work *work, const pith_bench_test *test, size_t max_rows) {
    double n = (double)test->n_tokens;
    if (!test->generate) {
        double passes = (double)((test->n_tokens - 1) / max_rows + 1);
        return (pith_cost){
            .read_bytes = passes * pass_bytes(work, n / passes) + (double)work->head_bytes,
            .linear_ops = 2 * (work->linear_weights * n + work->head_weights),
            .attention_ops = work->attention_ops * attended_by_layers(work, 0, test->n_tokens),
            .n_passes = passes,
            .n_tokens = test->n_tokens,
        };
    }
    size_t n_sessions = pith_max_size(test->n_sessions, 1);
    double sessions = (double)n_sessions;
    double passes = n * (double)((n_sessions - 1) / max_rows + 1);
    double attended = sessions * attended_by_layers(work, test->depth, test->n_tokens);
    return (pith_cost){
        .read_bytes =
            passes * (pass_bytes(work, n * sessions / passes) + (double)work->head_bytes) +
            attended * (double)work->kv_bytes,
        .linear_ops = 2 * n * sessions * (work->linear_weights + work->head_weights),
        .attention_ops = attended * work->attention_ops,
        .n_passes = passes,
        .n_tokens = test->n_tokens * n_sessions,
    };
}

size_t pith_stretches(size_t n_tokens, size_t every) {
    return n_tokens / every + (n_tokens % every != 0) + 1;
}

size_t pith_stretch_after(size_t token, size_t n_tokens, size_t every) {
    bool due = (token + 1) % every == 0 || token + 1 == n_tokens;
    return due ? token / every + 1 : 0;
}

double pith_stream_seconds(const double *bytes, size_t n, const double *rates, size_t every) {
    enum { NEAREST = 4 };
    const size_t n_rates = pith_stretches(n, every);
    double seconds = 0;
    for (size_t i = 0; i < n; i++) {
        size_t before = i / every; /* the stretch before the token; the one after it is the next */
        size_t first = before - pith_min_size(before, NEAREST / 2 - 1);
        size_t end = pith_min_size(before + 1 + NEAREST / 2, n_rates);
        double nearest[NEAREST];
        for (size_t j = first; j < end; j++) {
            nearest[j - first] = rates[j];
        }
        pith_sort_figures(nearest, end - first);
        seconds += bytes[i] / pith_median(nearest, end - first);
    }
    return seconds;
}

size_t pith_tokens_between(double token_seconds, double read_seconds) {
    const double long_token = 0.02;
    const double part = 0.1;     /* of the tokens' time */
    const double most = 1000000; /* however short a token: none is shorter than a microsecond */
    if (token_seconds >= long_token) {
        return 1;
    }
    double n = round(read_seconds / (part * token_seconds));
    return n > 1 ? (size_t)fmin(n, most) : 1;
}

double pith_share(double rate, double limit) {
    return limit > 0 ? rate / limit : -1;
}

double pith_quantile(const double *ascending, size_t n, double q) {
    size_t rank = (size_t)ceil(q * (double)n);
    return ascending[pith_min_size(pith_max_size(rank, 1), n) - 1];
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

void pith_sort_figures(double *values, size_t n) {
    qsort(values, n, sizeof *values, compare_doubles);
}

double pith_median(const double *ascending, size_t n) {
    return (ascending[(n - 1) / 2] + ascending[n / 2]) / 2;
}
