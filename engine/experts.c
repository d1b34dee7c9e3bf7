/* A mixture of experts in place of an MLP; see experts.h. Rows are sorted by the experts that they
 * chose, so that each expert's weights are read once for all its rows, and an expert that nobody
 * chose is not read. */
#include "engine/experts.h"

#include <math.h>
#include <string.h>

#include "engine/linear.h"

/* ---- Choosing -------------------------------------------------------------------------------- */

/* The largest `n_used` of logits [n], the first of equal ones, into chosen [n_used]. */
static void choose(const float *logits, size_t n, size_t n_used, size_t *chosen) {
    for (size_t k = 0; k < n_used; k++) {
        size_t best = n;
        for (size_t e = 0; e < n; e++) {
            bool taken = false;
            for (size_t i = 0; i < k; i++) {
                taken = taken || chosen[i] == e;
            }
            if (!taken && (best == n || logits[e] > logits[best])) {
                best = e;
            }
        }
        chosen[k] = best;
    }
}

/* Shares of the chosen experts: their softmax among all, or among each other. In double precision:
 * a few exponentials a row. */
static void share_out(const pith_config *c, const float *logits, const size_t *chosen,
                      float *shares) {
    double most = (double)logits[chosen[0]];
    double sum = 0;
    for (size_t e = 0; e < c->n_experts && !c->norm_experts; e++) {
        sum += exp((double)logits[e] - most);
    }
    for (size_t k = 0; k < c->n_experts_used && c->norm_experts; k++) {
        sum += exp((double)logits[chosen[k]] - most);
    }
    for (size_t k = 0; k < c->n_experts_used; k++) {
        shares[k] = (float)(exp((double)logits[chosen[k]] - most) / sum);
    }
}

typedef struct choice_loop {
    const pith_forward *f;
    pith_rows logits; /* [n, experts] */
} choice_loop;

static void choose_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const choice_loop *loop = argument;
    const pith_config *c = loop->f->compute.config;
    const pith_expert_choice *to = &loop->f->scratch->choice;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *logits = loop->logits.data + r * loop->logits.stride;
        size_t *chosen = to->experts + r * c->n_experts_used;
        choose(logits, c->n_experts, c->n_experts_used, chosen);
        share_out(c, logits, chosen, to->shares + r * c->n_experts_used);
    }
}

/* The router: a matrix of floats, and never BLAS, so that what a row chooses does not depend on how
 * many there are. */
static void route(const pith_forward *f, const pith_layer *layer, pith_rows a) {
    pith_compute plain = f->compute;
    plain.sgemm = NULL;
    const pith_into into = {.epilogue = PITH_STORE, .rows = f->scratch->router};
    choice_loop loop = {.f = f, .logits = pith_linear(&plain, &layer->router, a, into)};
    pith_pool_run(f->compute.pool, a.n, 4, choose_rows, &loop);
}

/* Lists the choices by expert: those of expert e are [first[e], first[e + 1]), rows ascending. */
static void sort_choices(const pith_expert_choice *s, size_t n_experts, size_t n_choices) {
    memset(s->first, 0, (n_experts + 1) * sizeof *s->first);
    for (size_t i = 0; i < n_choices; i++) {
        s->first[s->experts[i] + 1]++;
    }
    for (size_t e = 0; e < n_experts; e++) {
        s->first[e + 1] += s->first[e];
    }
    for (size_t i = n_choices; i-- > 0;) { /* from the end, so that first[e] ends as the first */
        s->sorted[--s->first[s->experts[i] + 1]] = i;
    }
    for (size_t e = 0; e < n_experts; e++) {
        s->first[e] = s->first[e + 1];
    }
    s->first[n_experts] = n_choices;
}

/* ---- Computing ------------------------------------------------------------------------------- */

/* y += share x D (act(G a) * U a) of the rows that chose this expert. */
static void run_expert(const pith_forward *f, const pith_expert *expert, size_t begin, size_t end,
                       pith_rows a, pith_rows y) {
    const pith_compute *c = &f->compute;
    const pith_scratch *s = f->scratch;
    const size_t hidden = c->config->hidden_size;
    const size_t n_used = c->config->n_experts_used;
    pith_rows g = s->gathered;
    g.n = end - begin;
    for (size_t i = 0; i < g.n; i++) {
        size_t row = s->choice.sorted[begin + i] / n_used;
        memcpy(g.data + i * g.stride, a.data + row * a.stride, hidden * sizeof *g.data);
    }
    g = pith_rows_ready(c, g, &expert->gate_up.matrix);
    pith_rows h =
        pith_linear(c, &expert->gate_up, g, (pith_into){.epilogue = PITH_ACTIVATE, .rows = s->h});
    h = pith_rows_ready(c, h, &expert->down.matrix);
    pith_rows z =
        pith_linear(c, &expert->down, h, (pith_into){.epilogue = PITH_STORE, .rows = s->expert});
    for (size_t i = 0; i < z.n; i++) {
        size_t at = s->choice.sorted[begin + i];
        c->kernels->blend(y.data + at / n_used * y.stride, 1.0F, z.data + i * z.stride,
                          s->choice.shares[at], hidden);
    }
}

void pith_experts(const pith_forward *f, size_t layer, pith_rows x, pith_rows a) {
    const pith_compute *c = &f->compute;
    const pith_config *config = c->config;
    const pith_layer *l = &f->model->network.layers[layer];
    const pith_expert *experts = f->model->network.experts + layer * config->n_experts;
    const pith_expert_choice *choice = &f->scratch->choice;
    pith_rows y = f->scratch->y;
    y.n = a.n;
    route(f, l, a);
    sort_choices(choice, config->n_experts, a.n * config->n_experts_used);
    for (size_t r = 0; r < a.n; r++) {
        memset(y.data + r * y.stride, 0, config->hidden_size * sizeof *y.data);
    }
    for (size_t e = 0; e < config->n_experts; e++) {
        if (choice->first[e] != choice->first[e + 1]) {
            run_expert(f, &experts[e], choice->first[e], choice->first[e + 1], a, y);
        }
    }
    for (size_t r = 0; r < a.n; r++) {
        c->kernels->blend(x.data + r * x.stride, 1.0F, y.data + r * y.stride,
                          config->residual_scale, config->hidden_size);
    }
}
