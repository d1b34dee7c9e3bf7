/* A mixture of experts in place of an MLP; see experts.h. Rows are sorted by the experts that they
 * chose, so that each expert's weights are read once for all its rows, and an expert that nobody
 * chose is not read. */
#include "engine/experts.h"

#include <math.h>
#include <string.h>

#include "engine/linear.h"

enum { ROW_GRAIN = 4 }; /* rows that a thread claims at a time */

/* ---- Choosing -------------------------------------------------------------------------------- */

/* The largest `n_used` of logits [n], the first of equal ones, into chosen [n_used]: each expert is
 * put behind those that are as good or better. */
static void choose(const float *logits, size_t n, size_t n_used, size_t *chosen) {
    for (size_t e = 0; e < n; e++) {
        size_t at = e < n_used ? e : n_used;
        while (at > 0 && logits[e] > logits[chosen[at - 1]]) {
            if (at < n_used) {
                chosen[at] = chosen[at - 1];
            }
            at--;
        }
        if (at < n_used) {
            chosen[at] = e;
        }
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

/* The router: a matrix of floats that every rank has whole, and never BLAS, so that what a row
 * chooses does not depend on how many there are. */
static void route(const pith_forward *f, const pith_layer *layer, pith_rows a) {
    pith_compute plain = f->compute;
    plain.sgemm = NULL;
    plain.team = NULL;
    const pith_into into = {.epilogue = PITH_STORE, .rows = f->scratch->router};
    choice_loop loop = {.f = f, .logits = pith_linear(&plain, &layer->router, a, into)};
    pith_pool_run(f->compute.pool, a.n, ROW_GRAIN, choose_rows, &loop);
}

/* Lists the choices by expert: those of expert e are [first[e], first[e + 1]), rows ascending.
 * Counted two places ahead, so that first[e + 1] is where the next choice of e goes, and ends as
 * the end of e. */
static void sort_choices(const pith_expert_choice *s, size_t n_experts, size_t n_choices) {
    memset(s->first, 0, (n_experts + 2) * sizeof *s->first);
    for (size_t i = 0; i < n_choices; i++) {
        s->first[s->experts[i] + 2]++;
    }
    for (size_t e = 0; e < n_experts; e++) {
        s->first[e + 2] += s->first[e + 1];
    }
    for (size_t i = 0; i < n_choices; i++) {
        s->sorted[s->first[s->experts[i] + 1]++] = i;
    }
}

/* ---- Computing ------------------------------------------------------------------------------- */

/* The rows of one expert, or of all (NULL). */
typedef struct expert_loop {
    const pith_forward *f;
    const size_t *choices; /* [n] what chose the expert */
    pith_rows a, y;        /* [n, hidden] in front of and behind the experts */
    pith_rows gathered, z; /* [choices, hidden] in front of and behind the expert */
    pith_rows x;           /* [n, hidden] what y is added to */
} expert_loop;

static void gather_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const expert_loop *loop = argument;
    const pith_compute *c = &loop->f->compute;
    const size_t hidden = c->config->hidden_size;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t row = loop->choices[i] / c->config->n_experts_used;
        memcpy(loop->gathered.data + i * loop->gathered.stride, loop->a.data + row * loop->a.stride,
               hidden * sizeof *loop->a.data);
        pith_rows_ready_one(c, &loop->gathered, i, hidden);
    }
}

/* y += share x z. An expert is chosen once by a row, so no two threads write the same one. */
static void scatter_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const expert_loop *loop = argument;
    const pith_compute *c = &loop->f->compute;
    const float *shares = loop->f->scratch->choice.shares;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t row = loop->choices[i] / c->config->n_experts_used;
        c->kernels->blend(loop->y.data + row * loop->y.stride, 1.0F,
                          loop->z.data + i * loop->z.stride, shares[loop->choices[i]],
                          c->config->hidden_size);
    }
}

/* y += share x D (act(G a) * U a) of the rows that chose this expert. */
static void run_expert(expert_loop *loop, const pith_expert *expert, size_t begin, size_t end) {
    const pith_compute *c = &loop->f->compute;
    const pith_scratch *s = loop->f->scratch;
    loop->choices = s->choice.sorted + begin;
    loop->gathered = pith_rows_for(s->gathered, end - begin, &expert->gate_up.matrix);
    pith_pool_run(c->pool, end - begin, ROW_GRAIN, gather_rows, loop);
    pith_rows h = pith_linear(c, &expert->gate_up, loop->gathered,
                              (pith_into){.epilogue = PITH_ACTIVATE, .rows = s->h});
    h = pith_rows_ready(c, h, &expert->down.matrix);
    loop->z =
        pith_linear(c, &expert->down, h, (pith_into){.epilogue = PITH_STORE, .rows = s->expert});
    pith_pool_run(c->pool, end - begin, ROW_GRAIN, scatter_rows, loop);
}

static void clear_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const expert_loop *loop = argument;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        memset(loop->y.data + r * loop->y.stride, 0,
               loop->f->compute.config->hidden_size * sizeof *loop->y.data);
    }
}

static void add_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const expert_loop *loop = argument;
    const pith_compute *c = &loop->f->compute;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        c->kernels->blend(loop->x.data + r * loop->x.stride, 1.0F,
                          loop->y.data + r * loop->y.stride, c->config->residual_scale,
                          c->config->hidden_size);
    }
}

void pith_experts(const pith_forward *f, size_t layer, pith_rows x, pith_rows a) {
    const pith_config *config = f->compute.config;
    const pith_layer *l = &f->model->network.layers[layer];
    const pith_expert *experts = f->model->network.experts + layer * config->n_experts;
    const pith_expert_choice *choice = &f->scratch->choice;
    expert_loop loop = {.f = f, .a = a, .y = f->scratch->y, .x = x};
    route(f, l, a);
    sort_choices(choice, config->n_experts, a.n * config->n_experts_used);
    pith_pool_run(f->compute.pool, a.n, ROW_GRAIN, clear_rows, &loop);
    for (size_t e = 0; e < config->n_experts; e++) {
        if (choice->first[e] != choice->first[e + 1]) {
            run_expert(&loop, &experts[e], choice->first[e], choice->first[e + 1]);
        }
    }
    pith_pool_run(f->compute.pool, a.n, ROW_GRAIN, add_rows, &loop);
}
