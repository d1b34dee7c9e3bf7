/* A rule says everything about one tensor of a family: its names in the three formats, the type and
 * shape of its values, and where the network points to it. Reading, writing, planning, counting,
 * printing and random models are loops over rules. */
#ifndef PITH_FAMILIES_RULES_H
#define PITH_FAMILIES_RULES_H

#include "families/network.h"

enum { PITH_MAX_BLOCKS = 3 }; /* that one tensor joins: q, k and v */

/* What decides the type of a tensor's values, and what its random values are like. */
typedef enum pith_kind {
    PITH_KIND_LINEAR,    /* a matrix of the linear layers' type */
    PITH_KIND_HEAD,      /* a matrix of the type of embedding and head */
    PITH_KIND_TABLE,     /* a matrix that is f32 always */
    PITH_KIND_BIAS,      /* a vector, padded as the rows of its matrix are; may be missing: zeros */
    PITH_KIND_NORM,      /* the weights of a norm */
    PITH_KIND_NORM_BIAS, /* may be missing: zeros */
    PITH_KIND_SCALARS,   /* numbers, not padded */
    PITH_N_KINDS,
} pith_kind;

/* Rows or columns of a tensor, by the sizes of a configuration. */
typedef enum pith_extent {
    PITH_EXTENT_ONE, /* columns of a vector */
    PITH_EXTENT_VOCAB,
    PITH_EXTENT_POSITIONS,
    PITH_EXTENT_TYPES, /* type_vocab_size */
    PITH_EXTENT_HIDDEN,
    PITH_EXTENT_INTERMEDIATE,
    PITH_EXTENT_HEADS,   /* heads x head_dim */
    PITH_EXTENT_QKV,     /* q, k and v: three blocks, one after another */
    PITH_EXTENT_GATE_UP, /* gate and up: two blocks, their tiles in turn; without a gate up alone */
    PITH_EXTENT_Q_NORM,  /* head_dim, or heads x head_dim: config.qk_norm */
    PITH_EXTENT_K_NORM,  /* head_dim, or KV heads x head_dim */
    PITH_EXTENT_EXPERTS, /* n_experts */
    PITH_EXTENT_BUCKETS, /* relative_buckets */
    PITH_EXTENT_N_HEADS,
    PITH_EXTENT_DENSE_0, /* widths of the dense layers behind an encoder's pooling */
    PITH_EXTENT_DENSE_1,
    PITH_N_EXTENTS,
} pith_extent;

/* What a configuration must have for a tensor to be there. */
enum {
    PITH_HAS_HEAD = 1 << 0, /* a head of its own: not tied */
    PITH_HAS_QKV_BIAS = 1 << 1,
    PITH_HAS_O_BIAS = 1 << 2,
    PITH_HAS_MLP_BIAS = 1 << 3,
    PITH_HAS_QK_NORM = 1 << 4,
    PITH_HAS_TYPES = 1 << 5,
    PITH_HAS_POSITIONS = 1 << 6, /* learned ones */
    PITH_HAS_RELATIVE = 1 << 7,
    PITH_HAS_DENSE_0 = 1 << 8,
    PITH_HAS_DENSE_1 = 1 << 9,
    PITH_HAS_EXPERTS = 1 << 10,
    PITH_HAS_SINKS = 1 << 11,
};

/* The forms that checkpoints are published in; each has its own names. */
typedef enum pith_naming {
    PITH_NAMES_HF,   /* Hugging Face: pith_rule.from */
    PITH_NAMES_GGUF, /* pith_rule.gguf */
} pith_naming;

typedef struct pith_rule {
    const char *name; /* in a .pith file; within a layer what follows "model.layers.N." */
    pith_kind kind;
    pith_extent rows, cols;
    bool in_layer;
    bool of_expert; /* one in every expert of a layer; names have a * for its number */
    size_t place;   /* of the pith_matrix or the pointer: offset in pith_layer, pith_expert or
                       pith_network */

    /* In a checkpoint of Hugging Face, and in a GGUF file (within a layer what follows "blk.N."):
     * one name for each block, joined in this order, or one tensor with all blocks. No name in
     * `from`: that of the .pith file. A name without a * of an expert's tensor is one of all
     * experts, [n_experts, rows, cols]. */
    const char *from[PITH_MAX_BLOCKS];
    const char *gguf[PITH_MAX_BLOCKS];
    bool by_column;  /* the tensor in `from` is [n_experts, cols, rows] */
    bool alternates; /* row i of block b is its row 2 i + b */

    unsigned needs;    /* bits; 0: always there */
    size_t first;      /* layer that has it, and so have all after it */
    float add;         /* to every value of a checkpoint: 1 where a norm's weight is 1 + w (a GGUF
                          file has the sum) */
    const char *label; /* of a matrix in listings: "qkv" */
} pith_rule;

/* The members behind `cols`, so that a rule is a line or two of a table. */
#define PITH_IN_LAYER(member) .in_layer = true, .place = offsetof(pith_layer, member)
#define PITH_IN_EXPERT(member) \
    .in_layer = true, .of_expert = true, .place = offsetof(pith_expert, member)
#define PITH_IN_NETWORK(member) .in_layer = false, .place = offsetof(pith_network, member)
#define PITH_FROM(...) .from = {__VA_ARGS__}
#define PITH_FROM_COLUMNS(...) .from = {__VA_ARGS__}, .by_column = true
#define PITH_FROM_TURNS(...) .from = {__VA_ARGS__}, .alternates = true
#define PITH_FROM_COLUMNS_IN_TURN(...) .from = {__VA_ARGS__}, .by_column = true, .alternates = true
#define PITH_GGUF(...) .gguf = {__VA_ARGS__}
#define PITH_WHERE(bits) .needs = (bits)
#define PITH_FROM_LAYER(number) .first = (number)
#define PITH_LABEL(text) .label = (text)
#define PITH_PLUS(number) .add = (number)

/* The names that later checkpoints have for a tensor in place of those in `from`, of which `name`
 * is the first: as many as it has blocks, or one. */
typedef struct pith_newer_name {
    const char *name;
    const char *newer[PITH_MAX_BLOCKS];
} pith_newer_name;

/* The rules of a mixture of experts: where a checkpoint has the router, gate and up, and down, each
 * a PITH_FROM. */
#define PITH_EXPERT_RULES(router_from, gate_up_from, down_from)                 \
    {"mlp.gate.weight",                                                         \
     PITH_KIND_TABLE,                                                           \
     PITH_EXTENT_EXPERTS,                                                       \
     PITH_EXTENT_HIDDEN,                                                        \
     PITH_IN_LAYER(router.matrix),                                              \
     router_from,                                                               \
     PITH_GGUF("ffn_gate_inp.weight"),                                          \
     PITH_WHERE(PITH_HAS_EXPERTS),                                              \
     PITH_LABEL("router")},                                                     \
        {"mlp.experts.*.gate_up_proj.weight",                                   \
         PITH_KIND_LINEAR,                                                      \
         PITH_EXTENT_GATE_UP,                                                   \
         PITH_EXTENT_HIDDEN,                                                    \
         PITH_IN_EXPERT(gate_up.matrix),                                        \
         gate_up_from,                                                          \
         PITH_GGUF("ffn_gate_exps.weight", "ffn_up_exps.weight"),               \
         PITH_WHERE(PITH_HAS_EXPERTS),                                          \
         PITH_LABEL("expert gate_up")},                                         \
    {                                                                           \
        "mlp.experts.*.down_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, \
            PITH_EXTENT_INTERMEDIATE, PITH_IN_EXPERT(down.matrix), down_from,   \
            PITH_GGUF("ffn_down_exps.weight"), PITH_WHERE(PITH_HAS_EXPERTS),    \
            PITH_LABEL("expert down")                                           \
    }

/* Rules that families share. */
typedef struct pith_rule_table {
    const pith_rule *rules; /* [n] */
    size_t n;
} pith_rule_table;

/* The block of Llama, in parts, by the names of its checkpoints (families/decoder_rules.c). */
extern const pith_rule_table pith_rules_ends;           /* embedding, head */
extern const pith_rule_table pith_rules_last_norm;      /* norm, before the head */
extern const pith_rule_table pith_rules_attention_norm; /* input_layernorm, before attention */
extern const pith_rule_table pith_rules_attention;      /* qkv, o */
extern const pith_rule_table pith_rules_mlp_norm;   /* post_attention_layernorm, before the MLP */
extern const pith_rule_table pith_rules_mlp;        /* gate_up, down */
extern const pith_rule_table pith_rules_joined_mlp; /* the two of a checkpoint that joins them */
extern const pith_rule_table pith_rules_qk_norm;    /* q_norm, k_norm */
extern const pith_rule_table pith_rules_experts;    /* router, gate_up and down of each */

/* Norms of what attention and MLP return, by their names in OLMo 2 and what follows it. */
extern const pith_rule_table pith_rules_norms_after;

/* LayerNorms with biases in the places and by the names of its three norms. */
extern const pith_rule_table pith_rules_layer_norms;

/* The encoder of BERT, in parts (families/encoder_rules.c). */
extern const pith_rule_table pith_rules_bert_ends;      /* embeddings and their norm */
extern const pith_rule_table pith_rules_bert_attention; /* qkv, o, the norm after it */
extern const pith_rule_table pith_rules_bert_mlp;       /* up, down, the norm after it */

/* Embedding and last norm of a decoder without a head, by their names there. */
extern const pith_rule_table pith_rules_headless_embed, pith_rules_headless_norm;

/* The dense layers behind the pooling of any encoder. Their names in a checkpoint are those of the
 * .pith file: the reader of the checkpoint knows which tensors they are. */
extern const pith_rule_table pith_rules_dense;

/* One tensor of a model. */
typedef struct pith_slot {
    char name[96];  /* "model.layers.3.self_attn.qkv_proj.weight" */
    bool is_matrix; /* else a float vector of `rows` elements (shape [rows], dtype F32) */
    pith_kind kind;
    size_t rows;      /* padded to 16 for matrices and biases */
    size_t real_rows; /* without padding */
    size_t cols;      /* 1 for vectors */
} pith_slot;

/* Where the bound pointer of a tensor lives: exactly one is not NULL. */
typedef struct pith_slot_place {
    pith_matrix *matrix;
    const float **vector;
} pith_slot_place;

/* The bits that a configuration satisfies. */
unsigned pith_config_parts(const pith_config *config);

/* False when a model of this configuration has no such tensor (the head of a tied model, absent
 * biases). */
bool pith_rule_applies(const pith_rule *rule, const pith_config *config);

/* Fills kind and shape of the rule's tensor, the name left empty: that depends on the family. */
void pith_rule_shape(const pith_rule *rule, const pith_config *config, pith_slot *out);

/* Real rows of the blocks that the tensor joins; returns how many there are. */
size_t pith_rule_blocks(const pith_rule *rule, const pith_config *config,
                        size_t rows[PITH_MAX_BLOCKS]);

/* True when the tiles of the two blocks take turns. */
bool pith_rule_alternates(const pith_rule *rule, const pith_config *config);

/* Names of the rule's tensors in a checkpoint: 1, or as many as blocks. */
size_t pith_rule_sources(const pith_rule *rule, pith_naming naming,
                         const char *names[PITH_MAX_BLOCKS]);

/* How many tensors a rule has in a model where it applies: one, one a layer or one an expert. A
 * tensor's number is that of its layer, or of its layer x n_experts + that of its expert. */
size_t pith_rule_n_tensors(const pith_rule *rule, const pith_config *config);

/* "N.name" of a tensor by its number, a * in `name` replaced by its expert's; N is that of the
 * layer. The name alone outside the layers. */
void pith_rule_name(char *out, size_t size, const pith_rule *rule, const pith_config *config,
                    const char *name, size_t number);

/* Where the tensor of this number is bound. */
pith_slot_place pith_rule_place(const pith_rule *rule, pith_network *network, size_t number);

#endif
