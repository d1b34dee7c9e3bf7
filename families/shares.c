/* Cutting matrices among ranks; see shares.h. */
#include "families/shares.h"

#include "base/checked.h"
#include "simd/blocks.h"

enum {
    GROUP = PITH_INT4_GROUP, /* borders on its multiples suit the codes of int8 and int4 */
    PAIR = 2 * PITH_TILE_ROWS,
};

/* ---- Borders --------------------------------------------------------------------------------- */

/* Units of the rank that has most. */
static size_t most_units(size_t n, size_t unit, size_t n_ranks) {
    size_t n_units = (n + unit - 1) / unit;
    return (n_units + n_ranks - 1) / n_ranks;
}

/* Cuts n elements at multiples of `coarse`, or of `fine` where the largest share would otherwise be
 * more than a tenth larger. Where units do not divide, rank 0 is not one of those with one more: it
 * has other things to do. */
static void cut(size_t n, size_t coarse, size_t fine, size_t n_ranks, size_t *borders) {
    bool suits =
        10 * coarse * most_units(n, coarse, n_ranks) <= 11 * fine * most_units(n, fine, n_ranks);
    size_t unit = suits ? coarse : fine;
    size_t n_units = (n + unit - 1) / unit;
    for (size_t r = 0; r < n_ranks; r++) {
        borders[r] = n_units * r / n_ranks * unit;
    }
    borders[n_ranks] = n;
}

/* Heads whose elements are whole groups. */
static size_t heads_of_groups(size_t elements) {
    size_t heads = 1;
    while (heads * elements % GROUP != 0) {
        heads *= 2;
    }
    return heads;
}

pith_shares pith_shares_of(const pith_config *config, size_t rank, size_t n_ranks) {
    pith_shares s = {.rank = rank, .n_ranks = n_ranks};
    const size_t n_heads = config->num_key_value_heads;
    const size_t of_kv = config->head_dim;
    const size_t of_q = config->num_attention_heads / n_heads * of_kv;
    cut(n_heads, heads_of_groups(of_q), 1, n_ranks, s.kv_heads);
    for (size_t r = 0; r <= n_ranks; r++) {
        s.q[r] = s.kv_heads[r] * of_q;
        s.kv[r] = s.kv_heads[r] * of_kv;
    }
    cut(pith_round_up(config->intermediate_size, PITH_TILE_ROWS), GROUP, PITH_TILE_ROWS, n_ranks,
        s.mlp);
    cut(pith_round_up(config->hidden_size, PITH_TILE_ROWS), PAIR, PITH_TILE_ROWS, n_ranks,
        s.hidden);
    cut(pith_round_up(config->vocab_size, PITH_TILE_ROWS), PAIR, PITH_TILE_ROWS, n_ranks, s.vocab);
    return s;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* Adds rows [begin, end), if there are any. */
static void add_run(pith_held *held, size_t begin, size_t end) {
    if (end > begin) {
        held->runs[held->n_runs++] =
            (pith_run){.first = begin, .n = end - begin, .at = held->n_rows};
        held->n_rows += end - begin;
    }
}

/* Adds the tiles that elements [borders[rank], borders[rank + 1]) of a block of qkv touch. */
static void add_tiles(pith_held *held, const pith_shares *s, const size_t *borders, size_t block) {
    size_t begin = borders[s->rank];
    size_t end = borders[s->rank + 1];
    if (end > begin) {
        add_run(held, block + begin / PITH_TILE_ROWS * PITH_TILE_ROWS,
                block + pith_round_up(end, PITH_TILE_ROWS));
    }
}

pith_held pith_held_whole(size_t rows) {
    return (pith_held){.runs = {{.n = rows}}, .n_runs = 1, .n_rows = rows};
}

pith_held pith_shares_held(const pith_shares *s, const pith_config *config, pith_extent extent,
                           size_t rows) {
    const pith_qkv_layout qkv = pith_config_qkv_layout(config);
    const size_t gates = config->gated ? 2 : 1;
    pith_held held = {0};
    switch (extent) {
    case PITH_EXTENT_QKV:
        add_tiles(&held, s, s->q, 0);
        add_tiles(&held, s, s->kv, qkv.k_begin);
        add_tiles(&held, s, s->kv, qkv.v_begin);
        return held;
    case PITH_EXTENT_GATE_UP:
        add_run(&held, gates * s->mlp[s->rank], gates * s->mlp[s->rank + 1]);
        return held;
    case PITH_EXTENT_HIDDEN:
        add_run(&held, s->hidden[s->rank], s->hidden[s->rank + 1]);
        return held;
    case PITH_EXTENT_VOCAB:
        add_run(&held, s->vocab[s->rank], s->vocab[s->rank + 1]);
        return held;
    default:
        return pith_held_whole(rows);
    }
}

const pith_run *pith_held_run(const pith_held *held, size_t at) {
    size_t i = 0;
    while (i + 1 < held->n_runs && held->runs[i + 1].at <= at) {
        i++;
    }
    return &held->runs[i];
}
