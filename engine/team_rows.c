/* The gathers between the steps of a pass; see team.h. Rows are packed into the buffer, what a rank
 * has of them in one piece, as many rows at a time as fit. */
#include <string.h>

#include "base/checked.h"
#include "engine/forward.h"
#include "engine/pass_message.h"
#include "engine/team.h"

enum { SPAN = PITH_INT4_GROUP }; /* columns that quantising writes at once, whole groups */

bool pith_team_is_lost(const pith_compute *c) {
    return c->team != NULL && atomic_load_explicit(&c->team->lost, memory_order_relaxed);
}

pith_held pith_team_held(const pith_compute *c, const pith_matrix *m, pith_extent extent) {
    return c->team != NULL ? pith_shares_held(&c->team->shares, c->config, extent, m->rows)
                           : pith_held_whole(m->rows);
}

size_t pith_team_batch(size_t bytes) {
    return pith_max_size(1, PITH_MAX_GATHER / pith_max_size(bytes, 1));
}

/* ---- Columns --------------------------------------------------------------------------------- */

/* Rows whose columns are gathered, as floats or as codes. */
typedef struct transfer {
    pith_rows rows;
    const size_t *borders;
    bool codes;
} transfer;

/* Spans of SPAN columns that begin in front of this border. */
static size_t spans_at(size_t border) {
    return (border + SPAN - 1) / SPAN;
}

/* Groups of a span, and the blocks whose offsets are used. */
static size_t span_groups(const transfer *t) {
    return SPAN / t->rows.group;
}

static size_t span_blocks(const transfer *t) {
    return t->rows.group == PITH_INT4_GROUP ? SPAN / PITH_INT4_BLOCK : 0;
}

static size_t span_bytes(const transfer *t) {
    return SPAN + span_groups(t) * (sizeof(float) + sizeof(int32_t)) +
           span_blocks(t) * sizeof(int32_t);
}

/* Bytes that a row has in front of this border. */
static size_t bytes_at(const transfer *t, size_t border) {
    return t->codes ? spans_at(border) * span_bytes(t) : border * sizeof(float);
}

/* Copies n bytes of a row out to `packed`, or in from it; returns what follows there. */
static unsigned char *copy(bool out, void *row, unsigned char *packed, size_t n) {
    if (out) {
        memcpy(packed, row, n);
    } else {
        memcpy(row, packed, n);
    }
    return packed + n;
}

/* Columns [begin, end) of row i. */
static void copy_columns(const transfer *t, bool out, size_t i, size_t begin, size_t end,
                         unsigned char *packed) {
    const pith_codes *codes = &t->rows.codes;
    if (!t->codes) {
        copy(out, t->rows.data + i * t->rows.stride + begin, packed, (end - begin) * sizeof(float));
        return;
    }
    size_t first = spans_at(begin);
    size_t n = spans_at(end) - first;
    size_t groups = span_groups(t);
    size_t blocks = span_blocks(t);
    size_t scale = i * codes->scale_stride + first * groups;
    packed = copy(out, codes->codes + i * codes->code_stride + first * SPAN, packed, n * SPAN);
    packed = copy(out, codes->scales + scale, packed, n * groups * sizeof *codes->scales);
    packed =
        copy(out, codes->group_offset + scale, packed, n * groups * sizeof *codes->group_offset);
    copy(out, codes->block_offset + i * codes->block_stride + first * blocks, packed,
         n * blocks * sizeof *codes->block_offset);
}

/* Copies what rank r has of rows [first, first + n) between them and the buffer. */
static void copy_piece(const transfer *t, bool out, size_t r, size_t first, size_t n,
                       unsigned char *packed) {
    size_t bytes = bytes_at(t, t->borders[r + 1]) - bytes_at(t, t->borders[r]);
    for (size_t i = 0; i < n && bytes != 0; i++) {
        copy_columns(t, out, first + i, t->borders[r], t->borders[r + 1], packed + i * bytes);
    }
}

static void gather_columns(pith_team *team, const transfer *t) {
    const size_t n_ranks = team->ranks.n_ranks;
    const size_t own = team->ranks.rank;
    const size_t most = pith_team_batch(bytes_at(t, t->borders[n_ranks]));
    for (size_t first = 0, n; first < t->rows.n; first += n) {
        size_t offsets[PITH_MAX_RANKS + 1];
        n = pith_min_size(most, t->rows.n - first);
        for (size_t r = 0; r <= n_ranks; r++) {
            offsets[r] = n * bytes_at(t, t->borders[r]);
        }
        copy_piece(t, true, own, first, n, team->buffer + offsets[own]);
        if (!pith_team_gather(team, team->buffer, offsets, false)) {
            return;
        }
        for (size_t r = 0; r < n_ranks; r++) {
            if (r != own) {
                copy_piece(t, false, r, first, n, team->buffer + offsets[r]);
            }
        }
    }
}

void pith_team_columns(const pith_compute *c, pith_rows rows, const size_t *borders) {
    gather_columns(c->team, &(transfer){.rows = rows, .borders = borders});
}

void pith_team_codes(const pith_compute *c, pith_rows rows, const size_t *borders) {
    gather_columns(c->team, &(transfer){.rows = rows, .borders = borders, .codes = true});
}

bool pith_team_by_groups(const pith_team *team, const size_t *borders) {
    for (size_t r = 0; r < team->ranks.n_ranks; r++) {
        if (borders[r] % SPAN != 0) {
            return false;
        }
    }
    return true;
}

/* ---- Whole rows ------------------------------------------------------------------------------ */

size_t pith_team_owner(const pith_compute *c, size_t row, size_t *at) {
    size_t r = 0;
    *at = row;
    if (c->team == NULL) {
        return 0;
    }
    const size_t *borders = c->team->shares.vocab;
    while (row >= borders[r + 1]) {
        r++;
    }
    *at = row - borders[r];
    return r;
}

bool pith_team_holds(const pith_compute *c, size_t row, size_t *at) {
    return pith_team_owner(c, row, at) == (c->team != NULL ? c->team->ranks.rank : 0);
}

/* Copies the rows of rank `owner` among [first, first + n) between them and the buffer. */
static void copy_rows(const pith_forward *f, pith_rows rows, size_t owner, bool out, size_t first,
                      size_t n, unsigned char *packed) {
    const size_t bytes = f->compute.config->hidden_size * sizeof *rows.data;
    for (size_t i = first; i < first + n; i++) {
        size_t at;
        if (pith_team_owner(&f->compute, (size_t)f->tokens[i].id, &at) == owner) {
            packed = copy(out, rows.data + i * rows.stride, packed, bytes);
        }
    }
}

/* Where the rows of each rank among [first, first + n) begin in the buffer. */
static void row_offsets(const pith_forward *f, size_t first, size_t n, size_t *offsets) {
    const size_t n_ranks = f->compute.team->ranks.n_ranks;
    memset(offsets, 0, (n_ranks + 1) * sizeof *offsets);
    for (size_t i = first; i < first + n; i++) {
        size_t at;
        offsets[pith_team_owner(&f->compute, (size_t)f->tokens[i].id, &at) + 1] +=
            f->compute.config->hidden_size * sizeof(float);
    }
    for (size_t r = 0; r < n_ranks; r++) {
        offsets[r + 1] += offsets[r];
    }
}

void pith_team_embedding(const struct pith_forward *f, pith_rows rows) {
    pith_team *team = f->compute.team;
    const size_t own = team->ranks.rank;
    const size_t most = pith_team_batch(f->compute.config->hidden_size * sizeof *rows.data);
    for (size_t first = 0, n; first < rows.n; first += n) {
        size_t offsets[PITH_MAX_RANKS + 1];
        n = pith_min_size(most, rows.n - first);
        row_offsets(f, first, n, offsets);
        copy_rows(f, rows, own, true, first, n, team->buffer + offsets[own]);
        if (!pith_team_gather(team, team->buffer, offsets, false)) {
            return;
        }
        for (size_t r = 0; r < team->ranks.n_ranks; r++) {
            if (r != own) {
                copy_rows(f, rows, r, false, first, n, team->buffer + offsets[r]);
            }
        }
    }
}

/* ---- Logits ---------------------------------------------------------------------------------- */

float *pith_team_logits_room(const pith_compute *c, size_t n) {
    const pith_shares *s = &c->team->shares;
    return (float *)(void *)c->team->buffer + n * s->vocab[s->rank];
}

void pith_team_logits(const pith_compute *c, size_t n, float *const *logits) {
    pith_team *team = c->team;
    const size_t *vocab = team->shares.vocab;
    const float *from = (const float *)(const void *)team->buffer;
    size_t offsets[PITH_MAX_RANKS + 1];
    for (size_t r = 0; r <= team->ranks.n_ranks; r++) {
        offsets[r] = n * vocab[r] * sizeof(float);
    }
    if (!pith_team_gather(team, team->buffer, offsets, true) || team->ranks.rank != 0) {
        return;
    }
    for (size_t r = 0; r < team->ranks.n_ranks; r++) {
        size_t width = vocab[r + 1] - vocab[r];
        for (size_t i = 0; i < n; i++, from += width) {
            memcpy(logits[i] + vocab[r], from, width * sizeof *from);
        }
    }
}

/* ---- Counting -------------------------------------------------------------------------------- */

/* Bytes of a row of these columns that a layer of this type reads. */
static size_t column_bytes(const pith_team *team, const size_t *borders, pith_type type) {
    const size_t group = pith_activation_group(type);
    const transfer t = {.rows = {.group = group},
                        .borders = borders,
                        .codes = group != 0 && pith_team_by_groups(team, borders)};
    return bytes_at(&t, borders[team->ranks.n_ranks]);
}

size_t pith_team_traffic(const pith_team *team, const pith_config *config, pith_type type,
                         size_t *bytes) {
    const pith_shares *s = &team->shares;
    const size_t n_ranks = team->ranks.n_ranks;
    const size_t n_layers = config->num_hidden_layers;
    const size_t n_mlps = config->n_experts != 0 ? config->n_experts_used : 1;
    const size_t hidden = s->hidden[n_ranks] * sizeof(float);
    const bool whole = config->qk_norm == PITH_QK_NORM_WHOLE;
    *bytes = PITH_MESSAGE_FIRST + n_ranks + config->hidden_size * sizeof(float) +
             s->vocab[n_ranks] * sizeof(float) +
             n_layers * (column_bytes(team, s->q, type) + hidden +
                         n_mlps * (column_bytes(team, s->mlp, type) + hidden) +
                         (whole ? (s->q[n_ranks] + s->kv[n_ranks]) * sizeof(float) : 0));
    return 4 + n_layers * (2 + 2 * n_mlps + (whole ? 2 : 0));
}
