/* The families' pages: every rule is complete, no two tensors of a model share a name or a place,
 * and the shapes follow the configuration. */
#include "families/family.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { MAX_TENSORS = 128 };

static bool needs(const pith_family *family, unsigned bit) {
    bool found = false;
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        found = found || (pith_family_rule(family, part)->needs & bit) != 0;
    }
    return found;
}

/* True for a family whose gate and up are two tensors of a checkpoint. */
static bool has_gate(const pith_family *family) {
    bool found = false;
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        const pith_rule *rule = pith_family_rule(family, part);
        found = found || (rule->rows == PITH_EXTENT_GATE_UP && rule->from[1] != NULL);
    }
    return found;
}

/* A configuration with every optional tensor that any family has, two layers, and sizes that are no
 * multiples of 16. */
static pith_config everything(const pith_family *family) {
    pith_config c = family->role == PITH_ENCODER ? (pith_config){PITH_ENCODER_RECIPE}
                                                 : (pith_config){PITH_DECODER_RECIPE};
    c.vocab_size = 300;
    c.hidden_size = 40;
    c.intermediate_size = 100;
    c.num_hidden_layers = 2;
    c.num_attention_heads = 4;
    c.num_key_value_heads = family->role == PITH_ENCODER ? 4 : 2;
    c.head_dim = 10;
    c.max_position_embeddings = 50;
    if (family->role == PITH_ENCODER) {
        c.gated = has_gate(family);
        c.type_vocab_size = needs(family, PITH_HAS_TYPES) ? 3 : 0;
        c.no_positions = !needs(family, PITH_HAS_POSITIONS);
        c.relative_buckets = needs(family, PITH_HAS_RELATIVE) ? 32 : 0;
        c.dense[0].width = 24;
        c.dense[1].width = 20;
    }
    c.qkv_bias = c.o_bias = c.mlp_bias = true;
    c.attention_sinks = needs(family, PITH_HAS_SINKS);
    c.qk_norm = PITH_QK_NORM_HEAD;
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        if (pith_family_rule(family, part)->of_expert) {
            c.n_experts = 3;
            c.n_experts_used = 2;
        }
    }
    return c;
}

static bool is_name_of_weights(const char *name) {
    size_t n = strlen(name);
    return (n > 7 && strcmp(name + n - 7, ".weight") == 0) ||
           (n > 5 && strcmp(name + n - 5, ".bias") == 0);
}

static size_t n_names(const char *const names[PITH_MAX_BLOCKS]) {
    size_t n = 0;
    while (n < PITH_MAX_BLOCKS && names[n] != NULL) {
        n++;
    }
    return n;
}

static void check_rule(const pith_family *family, const pith_rule *rule) {
    pith_config c = everything(family);
    size_t rows[PITH_MAX_BLOCKS];
    size_t n_blocks = pith_rule_blocks(rule, &c, rows);
    size_t sum = 0;
    pith_slot slot;
    pith_rule_shape(rule, &c, &slot);
    for (size_t b = 0; b < n_blocks; b++) {
        sum += rows[b];
    }
    CHECK(is_name_of_weights(rule->name), "%s: %s", family->name, rule->name);
    CHECK((unsigned)rule->kind < PITH_N_KINDS && (unsigned)rule->rows < PITH_N_EXTENTS &&
              (unsigned)rule->cols < PITH_N_EXTENTS,
          "%s: %s: kind or extents", family->name, rule->name);
    CHECK(slot.real_rows > 0 && slot.rows >= slot.real_rows && slot.cols > 0 &&
              sum == slot.real_rows,
          "%s: %s: %zu rows in blocks of %zu, %zu columns", family->name, rule->name,
          slot.real_rows, sum, slot.cols);
    CHECK(slot.is_matrix == (rule->label != NULL) && slot.is_matrix == (slot.cols > 1),
          "%s: %s: a matrix or not?", family->name, rule->name);
    CHECK(rule->of_expert || n_names(rule->gguf) == 1 || n_names(rule->gguf) == n_blocks,
          "%s: %s: GGUF names", family->name, rule->name);
    CHECK(n_names(rule->from) <= 1 || n_names(rule->from) == n_blocks, "%s: %s: checkpoint names",
          family->name, rule->name);
    CHECK(!rule->in_layer || strstr(rule->name, "layers.") == NULL, "%s: %s: a layer's name",
          family->name, rule->name);
}

TEST(families, every_rule_is_complete) {
    for (size_t f = 0; pith_families[f] != NULL; f++) {
        size_t n = pith_family_n_parts(pith_families[f]);
        CHECK(n > 0 && n < MAX_TENSORS / 2, "%s: %zu rules", pith_families[f]->name, n);
        for (size_t part = 0; part < n; part++) {
            check_rule(pith_families[f], pith_family_rule(pith_families[f], part));
        }
    }
}

/* Collects names: each may come once. */
typedef struct name_set {
    char names[8 * MAX_TENSORS][96];
    size_t n;
} name_set;

static void add_once(name_set *set, const char *family, const char *prefix, const char *name) {
    char *to = set->names[set->n];
    snprintf(to, sizeof set->names[0], "%s%s", prefix, name);
    for (size_t i = 0; i < set->n; i++) {
        CHECK(strcmp(set->names[i], to) != 0, "%s: %s comes twice", family, to);
    }
    set->n++;
    CHECK(set->n < sizeof set->names / sizeof set->names[0], "too many names");
}

TEST(families, no_name_comes_twice) {
    static name_set files, checkpoints, gguf;
    for (size_t f = 0; pith_families[f] != NULL; f++) {
        const pith_family *family = pith_families[f];
        pith_config c = everything(family);
        files.n = checkpoints.n = gguf.n = 0;
        for (size_t part = 0; part < pith_family_n_parts(family); part++) {
            const pith_rule *rule = pith_family_rule(family, part);
            const char *from[PITH_MAX_BLOCKS];
            size_t n_from = pith_rule_sources(rule, PITH_NAMES_HF, from);
            pith_slot slot;
            for (size_t layer = pith_family_first_layer(family, part);
                 pith_family_slot(family, &c, part, layer, &slot); layer++) {
                add_once(&files, family->name, "", slot.name);
            }
            for (size_t i = 0; i < n_from; i++) {
                add_once(&checkpoints, family->name, rule->in_layer ? "N." : "", from[i]);
            }
            for (size_t i = 0; i < n_names(rule->gguf); i++) {
                add_once(&gguf, family->name, rule->in_layer ? "blk.N." : "", rule->gguf[i]);
            }
        }
        CHECK(files.n > 0 && checkpoints.n > 0 && gguf.n > 0, "%s has no names", family->name);
    }
}

/* The newer names of a page are for sources that its rules have, as many as they have blocks or
 * one, and none comes twice. */
TEST(families, newer_names_are_for_sources_of_rules) {
    static name_set old, newer;
    size_t n_pages = 0;
    for (size_t f = 0; pith_families[f] != NULL; f++) {
        const pith_family *family = pith_families[f]->newer_page;
        if (family == NULL) {
            continue;
        }
        n_pages++;
        old.n = newer.n = 0;
        CHECK(strcmp(family->name, pith_families[f]->name) == 0 &&
                  strcmp(family->layers, pith_families[f]->layers) == 0 &&
                  family->newer_layers != NULL && family->n_newer > 0,
              "%s: another model", family->name);
        for (size_t part = 0; part < pith_family_n_parts(family); part++) {
            CHECK(pith_family_rule(family, part) == pith_family_rule(pith_families[f], part),
                  "%s: rule %zu", family->name, part);
        }
        for (size_t i = 0; i < family->n_newer; i++) {
            const pith_newer_name *name = &family->newer[i];
            size_t n = n_names(name->newer);
            size_t n_blocks = 0;
            for (size_t part = 0; part < pith_family_n_parts(family); part++) {
                const pith_rule *rule = pith_family_rule(family, part);
                const char *from[PITH_MAX_BLOCKS];
                size_t rows[PITH_MAX_BLOCKS];
                const pith_config c = everything(family);
                pith_rule_sources(rule, PITH_NAMES_HF, from);
                if (strcmp(from[0], name->name) == 0) {
                    n_blocks = pith_rule_blocks(rule, &c, rows);
                }
            }
            CHECK(n > 0 && (n == 1 || n == n_blocks), "%s: %s has %zu names", family->name,
                  name->name, n);
            add_once(&old, family->name, "", name->name);
            for (size_t k = 0; k < n; k++) {
                add_once(&newer, family->name, "", name->newer[k]);
            }
        }
    }
    CHECK(n_pages > 0, "no page has newer names");
}

TEST(families, no_place_is_shared) {
    for (size_t f = 0; pith_families[f] != NULL; f++) {
        const pith_family *family = pith_families[f];
        pith_config c = everything(family);
        pith_layer layers[2];
        pith_expert experts[2 * 3];
        pith_network network = {.config = c, .layers = layers, .experts = experts};
        struct {
            const char *begin, *end;
        } places[MAX_TENSORS];
        size_t n = 0;
        for (size_t part = 0; part < pith_family_n_parts(family); part++) {
            const pith_rule *rule = pith_family_rule(family, part);
            pith_slot slot;
            for (size_t layer = pith_family_first_layer(family, part);
                 pith_family_slot(family, &c, part, layer, &slot); layer++) {
                pith_slot_place place = pith_rule_place(rule, &network, layer);
                CHECK((place.matrix != NULL) == slot.is_matrix &&
                          (place.vector != NULL) == !slot.is_matrix,
                      "%s: %s has the wrong kind of place", family->name, slot.name);
                const char *at =
                    place.matrix != NULL ? (const char *)place.matrix : (const char *)place.vector;
                places[n].begin = at;
                places[n].end = at + (slot.is_matrix ? sizeof(pith_matrix) : sizeof(float *));
                const char *base = rule->of_expert  ? (const char *)&experts[layer]
                                   : rule->in_layer ? (const char *)&layers[layer]
                                                    : (const char *)&network;
                size_t size = rule->of_expert  ? sizeof experts[0]
                              : rule->in_layer ? sizeof layers[0]
                                               : sizeof network;
                CHECK(at >= base && places[n].end <= base + size, "%s: %s is outside", family->name,
                      slot.name);
                for (size_t i = 0; i < n; i++) {
                    CHECK(places[i].end <= at || places[n].end <= places[i].begin,
                          "%s: %s shares its place", family->name, slot.name);
                }
                n++;
            }
        }
        CHECK(n > 10, "%s: %zu places", family->name, n);
    }
}

TEST(families, names_are_found_and_distinct) {
    for (size_t f = 0; pith_families[f] != NULL; f++) {
        const pith_family *family = pith_families[f];
        pith_config one = everything(family);
        pith_config two = one;
        two.n_kinds = 2;
        const pith_family *by_name = pith_family_find(family->name);
        CHECK(by_name == family, "%s is not found", family->name);
        CHECK(pith_family_find(pith_family_architecture(family, &one)) != NULL, "%s", family->name);
        /* Readers that know one kind of layer only must not take a model of two for theirs. */
        CHECK(strcmp(pith_family_architecture(family, &two), family->name) == 0, "%s of two kinds",
              family->name);
        CHECK(family->layers != NULL && family->classes[0] != NULL, "%s", family->name);
        CHECK(pith_family_named(family->name, "BertModel") == family, "%s by its type",
              family->name);
    }
    CHECK(pith_family_named(NULL, "MPNetModel") == &pith_family_mpnet, "by its class");
    CHECK(pith_family_named(NULL, "BertForSequenceClassification") == &pith_family_bert,
          "by the class that scores");
    CHECK(pith_family_named(NULL, "GPT2Model") == NULL && pith_family_named(NULL, NULL) == NULL &&
              pith_family_named("gpt2", "BertModel") == NULL,
          "no family");
    CHECK(pith_family_find("gpt2") == NULL, "gpt2 is no family");
}

TEST(families, a_file_of_plain_models_is_a_llama) {
    static const char *const plain[] = {"llama", "mistral", "qwen2"};
    for (size_t i = 0; i < 3; i++) {
        const pith_family *family = pith_family_find(plain[i]);
        pith_config c = everything(family);
        CHECK(strcmp(pith_family_architecture(family, &c), "llama") == 0, "%s", plain[i]);
    }
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

TEST(families, shapes_follow_the_configuration) {
    static const struct {
        const char *family, *name;
        size_t rows, real_rows, cols;
    } cases[] = {
        {"llama", "model.embed_tokens.weight", 304, 300, 40},
        {"llama", "lm_head.weight", 304, 300, 40},
        {"llama", "model.norm.weight", 40, 40, 1},
        {"llama", "model.layers.1.input_layernorm.weight", 40, 40, 1},
        {"llama", "model.layers.0.self_attn.qkv_proj.weight", 112, 80, 40},
        {"llama", "model.layers.0.self_attn.qkv_proj.bias", 112, 80, 1},
        {"llama", "model.layers.1.self_attn.o_proj.weight", 48, 40, 40},
        {"llama", "model.layers.1.self_attn.o_proj.bias", 48, 40, 1},
        {"llama", "model.layers.1.post_attention_layernorm.weight", 40, 40, 1},
        {"llama", "model.layers.1.mlp.gate_up_proj.weight", 224, 200, 40},
        {"llama", "model.layers.1.mlp.gate_up_proj.bias", 224, 200, 1},
        {"llama", "model.layers.1.mlp.down_proj.weight", 48, 40, 100},
        {"llama", "model.layers.1.mlp.down_proj.bias", 48, 40, 1},
        {"qwen3", "model.layers.1.self_attn.q_norm.weight", 10, 10, 1},
        {"qwen3", "model.layers.0.self_attn.k_norm.weight", 10, 10, 1},
        {"mixtral", "model.layers.1.mlp.gate.weight", 16, 3, 40},
        {"mixtral", "model.layers.1.mlp.experts.2.gate_up_proj.weight", 224, 200, 40},
        {"qwen3_moe", "model.layers.0.mlp.experts.0.down_proj.weight", 48, 40, 100},
        {"granitemoe", "model.layers.1.mlp.experts.2.gate_up_proj.weight", 224, 200, 40},
        {"gpt_oss", "model.layers.1.self_attn.sinks.weight", 4, 4, 1},
        {"gpt_oss", "model.layers.1.mlp.gate.bias", 16, 3, 1},
        {"gpt_oss", "model.layers.1.mlp.experts.2.gate_up_proj.bias", 224, 200, 1},
        {"gpt_oss", "model.layers.0.mlp.experts.1.down_proj.bias", 48, 40, 1},
        {"bert", "embeddings.word_embeddings.weight", 304, 300, 40},
        {"bert", "embeddings.position_embeddings.weight", 64, 50, 40},
        {"bert", "embeddings.token_type_embeddings.weight", 16, 3, 40},
        {"bert", "embeddings.LayerNorm.weight", 40, 40, 1},
        {"bert", "encoder.layer.0.attention.self.qkv.weight", 144, 120, 40},
        {"bert", "encoder.layer.1.attention.self.qkv.bias", 144, 120, 1},
        {"bert", "encoder.layer.0.attention.output.dense.weight", 48, 40, 40},
        {"bert", "encoder.layer.0.intermediate.dense.weight", 112, 100, 40},
        {"bert", "encoder.layer.0.intermediate.dense.bias", 112, 100, 1},
        {"bert", "encoder.layer.1.output.dense.weight", 48, 40, 100},
        {"bert", "encoder.layer.1.output.LayerNorm.bias", 40, 40, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_family *family = pith_family_find(cases[i].family);
        pith_config c = everything(family);
        bool found = false;
        for (size_t part = 0; part < pith_family_n_parts(family); part++) {
            pith_slot slot;
            for (size_t layer = pith_family_first_layer(family, part);
                 pith_family_slot(family, &c, part, layer, &slot); layer++) {
                if (strcmp(slot.name, cases[i].name) == 0) {
                    found = true;
                    CHECK(slot.rows == cases[i].rows && slot.real_rows == cases[i].real_rows &&
                              slot.cols == cases[i].cols,
                          "%s is %zu (%zu) x %zu", slot.name, slot.rows, slot.real_rows, slot.cols);
                }
            }
        }
        CHECK(found, "%s has no %s", cases[i].family, cases[i].name);
    }
}

/* Every tensor of a family by its needs: without them only those that are always there. */
TEST(families, absent_tensors_have_no_slot) {
    static const struct {
        const char *family;
        size_t with, without; /* of 2 layers */
    } cases[] = {{"llama", 3 + 2 * 10, 2 + 2 * 6}, {"qwen3", 3 + 2 * 12, 2 + 2 * 6}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_family *family = pith_family_find(cases[i].family);
        pith_config c = everything(family);
        pith_config bare = c;
        bare.qkv_bias = bare.o_bias = bare.mlp_bias = false;
        bare.qk_norm = PITH_QK_NORM_NONE;
        bare.tie_word_embeddings = true;
        size_t with = 0;
        size_t without = 0;
        pith_slot slot;
        for (size_t part = 0; part < pith_family_n_parts(family); part++) {
            for (size_t layer = 0; layer < 3; layer++) {
                with += pith_family_slot(family, &c, part, layer, &slot);
                without += pith_family_slot(family, &bare, part, layer, &slot);
            }
        }
        CHECK(with == cases[i].with && without == cases[i].without, "%s: %zu and %zu tensors",
              family->name, with, without);
        CHECK(!pith_family_slot(family, &c, pith_family_n_parts(family), 0, &slot), "one too many");
    }
}

TEST(families, counts_the_weights_of_llama_2_7b) {
    pith_config c = {PITH_DECODER_RECIPE,        .vocab_size = 32000,     .hidden_size = 4096,
                     .intermediate_size = 11008, .num_hidden_layers = 32, .num_attention_heads = 32,
                     .num_key_value_heads = 32,  .head_dim = 128};
    size_t n = pith_family_n_params(&pith_family_llama, &c);
    CHECK(n == 6738415616, "%zu", n);
    c.tie_word_embeddings = true;
    n = pith_family_n_params(&pith_family_llama, &c);
    CHECK(n == 6738415616 - 32000ULL * 4096, "%zu", n);
}

/* A file may say anything: what its family has no tensor for must not reach the forward pass, which
 * would read one. */
TEST(families, tensors_without_a_rule_are_refused) {
    static const struct {
        const char *family, *words;
        pith_qk_norm qk_norm;
        bool qkv_bias, mlp_bias;
    } cases[] = {
        {"llama", "qk_norm is no part of llama", PITH_QK_NORM_HEAD, false, false},
        {"gemma2", "qk_norm is no part of gemma2", PITH_QK_NORM_WHOLE, true, false},
        {"phi3", "qkv_bias is no part of phi3", PITH_QK_NORM_NONE, true, false},
        {"phi3", "mlp_bias is no part of phi3", PITH_QK_NORM_NONE, false, true},
        {"qwen3", NULL, PITH_QK_NORM_HEAD, true, true},
        {"olmo2", NULL, PITH_QK_NORM_WHOLE, true, true},
        {"olmo3", NULL, PITH_QK_NORM_WHOLE, true, true},
        {"ministral3", "qk_norm is no part of ministral3", PITH_QK_NORM_HEAD, true, false},
        {"mixtral", "mlp_bias is no part of mixtral", PITH_QK_NORM_NONE, true, true},
        {"bert", NULL, PITH_QK_NORM_NONE, true, true},
        {"bert", "qk_norm is no part of bert", PITH_QK_NORM_HEAD, true, true},
        {"modernbert", "qkv_bias is no part of modernbert", PITH_QK_NORM_NONE, true, false},
        {"qwen3-embedding", NULL, PITH_QK_NORM_HEAD, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_family *family = pith_family_find(cases[i].family);
        pith_config c = everything(family);
        pith_error error = {0};
        c.qk_norm = cases[i].qk_norm;
        c.qkv_bias = cases[i].qkv_bias;
        c.o_bias = family->role == PITH_ENCODER && cases[i].qkv_bias;
        c.mlp_bias = cases[i].mlp_bias;
        pith_status status = pith_family_check(family, &c, "m.pith", &error);
        if (cases[i].words == NULL) {
            CHECK(status == PITH_OK, "%s: %s", cases[i].family, error.message);
        } else {
            CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, cases[i].words) != NULL,
                  "%s: %s", cases[i].family, error.message);
        }
    }
}

TEST(families, experts_are_there_where_the_family_has_them) {
    pith_error error = {0};
    pith_config c = everything(&pith_family_llama);
    c.qk_norm = PITH_QK_NORM_NONE;
    c.n_experts = 3;
    CHECK(pith_family_check(&pith_family_llama, &c, "m", &error) == PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "n_experts is no part of llama") != NULL,
          "%s", error.message);
    c = everything(&pith_family_mixtral);
    c.qk_norm = PITH_QK_NORM_NONE;
    c.qkv_bias = c.o_bias = c.mlp_bias = false;
    CHECK(pith_family_check(&pith_family_mixtral, &c, "m", &error) == PITH_OK, "%s", error.message);
    c.n_experts = 0;
    CHECK(pith_family_check(&pith_family_mixtral, &c, "m", &error) == PITH_ERROR_FORMAT &&
              strstr(error.message, "n_experts is 0, which mixtral cannot do without") != NULL,
          "%s", error.message);
}

TEST(families, sinks_are_there_where_the_family_has_them) {
    pith_error error = {0};
    pith_config c = everything(&pith_family_gpt_oss);
    c.qk_norm = PITH_QK_NORM_NONE;
    CHECK(pith_family_check(&pith_family_gpt_oss, &c, "m", &error) == PITH_OK, "%s", error.message);
    c = everything(&pith_family_qwen3);
    c.attention_sinks = true;
    CHECK(pith_family_check(&pith_family_qwen3, &c, "m", &error) == PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "attention_sinks is no part of qwen3") != NULL,
          "%s", error.message);
}

TEST(families, tables_without_a_rule_are_refused) {
    pith_config c = everything(&pith_family_bert);
    pith_error error = {0};
    c.qk_norm = PITH_QK_NORM_NONE;
    CHECK(pith_family_check(&pith_family_bert, &c, "m.pith", &error) == PITH_OK, "%s",
          error.message);
    c.relative_buckets = 32;
    CHECK(pith_family_check(&pith_family_bert, &c, "m.pith", &error) == PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "relative_buckets is no part of bert") != NULL,
          "%s", error.message);
    c = everything(&pith_family_modernbert);
    c.qk_norm = PITH_QK_NORM_NONE;
    c.qkv_bias = c.o_bias = c.mlp_bias = false;
    CHECK(pith_family_check(&pith_family_modernbert, &c, "m.pith", &error) == PITH_OK, "%s",
          error.message);
    c.no_positions = false;
    CHECK(pith_family_check(&pith_family_modernbert, &c, "m.pith", &error) ==
                  PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "learned positions is no part of modernbert") != NULL,
          "%s", error.message);
}

/* ---- Kinds of layers ------------------------------------------------------------------------- */

TEST(families, kinds_are_numbered_as_layers_come) {
    pith_config c = everything(&pith_family_llama);
    c.num_hidden_layers = 5;
    c.kinds[0].rope = (pith_rope_config){.dims = 10, .theta = 1e4};
    pith_config_set_windows(&c, (const bool[]){true, false, true, true, false}, 7);
    CHECK(c.n_kinds == 2 && c.kinds[0].sliding_window == 7 && c.kinds[1].sliding_window == 0,
          "%zu kinds", c.n_kinds);
    CHECK(memcmp(c.kind_of, (const uint8_t[]){0, 1, 0, 0, 1}, 5) == 0, "%d %d %d %d %d",
          c.kind_of[0], c.kind_of[1], c.kind_of[2], c.kind_of[3], c.kind_of[4]);
    CHECK(c.kinds[1].rope.theta == 1e4 && c.kinds[1].rope.dims == 10, "the rope is lost");
    for (size_t i = 2; i < PITH_MAX_LAYER_KINDS; i++) {
        pith_layer_kind kind = {.sliding_window = 100 + i};
        CHECK(pith_config_set_kind(&c, i, &kind), "kind %zu", i);
    }
    pith_layer_kind more = {.sliding_window = 200};
    CHECK(!pith_config_set_kind(&c, 4, &more), "a fifth kind");
}
