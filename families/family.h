/* A family of models: one page each (families/NAME.c) with its tensors, its keys in config.json and
 * its recipe, which fills a pith_config. Everything else about a family is a loop over its page. */
#ifndef PITH_FAMILIES_FAMILY_H
#define PITH_FAMILIES_FAMILY_H

#include "families/keys.h"
#include "families/rules.h"

enum { PITH_MAX_RULE_TABLES = 8 };

typedef struct pith_family {
    const char *name;         /* model_type in config.json: "qwen3" */
    const char *architecture; /* in a .pith file; NULL: `name` */
    const char *classes[3];   /* in config.json's architectures: "Qwen3ForCausalLM" */
    pith_role role;
    const struct pith_family *encoder; /* of a decoder: the page of the encoders that are made of
                                          it, known by their modules.json: its name is no
                                          model_type; NULL: none */

    /* Of an encoder: its class that scores pairs of texts, and the two dense layers which do that
     * with the first token's vector, as its checkpoints name them. NULL: there is none. */
    const char *score_class; /* "BertForSequenceClassification" */
    const char *score_layers[PITH_MAX_DENSE];
    pith_dense_activation score_activation; /* of the first one */

    /* Tensors: their rules in the order of the file, those outside the layers first. */
    const pith_rule_table *rules[PITH_MAX_RULE_TABLES];
    const char *layers;           /* in front of a layer's number: "model.layers." */
    const char *prefix;           /* that all names of a checkpoint may have: "bert."; NULL: none */
    const pith_newer_name *newer; /* [n_newer] names of later checkpoints, which have all of them or
                                     none; NULL: there are no such */
    size_t n_newer;
    const char *newer_layers; /* ... and `layers` there */
    const char *ignored[4];   /* endings of the names of tensors that are of no use */

    /* config.json. A file that has the key `newer_key` is read by the page `newer_page`, which no
     * list has: the same model in other words. */
    const struct pith_family *newer_page;
    const char *newer_key;
    const pith_key *keys; /* [n_keys] */
    size_t n_keys;
    struct {
        const char *key, *value;
    } fixed[5];            /* keys that must be absent or have this value; NULL: false */
    bool rope;             /* of an encoder: its heads turn; those of a decoder do always */
    bool partial_rope;     /* a share of each head may turn ... */
    double share;          /* ... which is this where no key names one; 0: all of it */
    bool interleaved;      /* element 2 i turns with 2 i + 1 in a checkpoint, not i with i + n / 2:
                              rows of q and k are put in pith's order */
    size_t rope_original;  /* pith_hf_rope.original */
    const char *rope_type; /* pith_hf_rope.type */
    bool mxfp4;            /* its experts are published in MXFP4, too (convert/hf_mxfp4.h) */
    int32_t bos, eos;      /* ids where no file names any; -1: none */
    int32_t more_eos[2];   /* with eos; 0: no more */

    /* Reads what no table describes; NULL: there is nothing. Called when the keys are read and kind
     * 0 has its RoPE. */
    pith_status (*read)(pith_config *config, pith_json json, pith_error *error);
} pith_family;

extern const pith_family pith_family_llama, pith_family_mistral, pith_family_qwen2,
    pith_family_qwen3, pith_family_smollm3, pith_family_granite, pith_family_gemma2,
    pith_family_gemma3, pith_family_olmo2, pith_family_olmo3, pith_family_phi3,
    pith_family_ministral3, pith_family_mixtral, pith_family_qwen3_moe, pith_family_olmoe,
    pith_family_granitemoe, pith_family_gpt_oss;
extern const pith_family pith_family_arcee, pith_family_seed_oss, pith_family_ernie4_5,
    pith_family_hunyuan, pith_family_exaone4, pith_family_glm4, pith_family_stablelm,
    pith_family_starcoder2;

/* Encoders. */
extern const pith_family pith_family_bert, pith_family_roberta, pith_family_xlm_roberta,
    pith_family_mpnet, pith_family_distilbert, pith_family_modernbert, pith_family_nomic_bert,
    pith_family_qwen3_embedding, pith_family_gemma3_embedding;

extern const pith_family *const pith_families[]; /* all of them, NULL-terminated */

/* The family of an architecture in a .pith file; NULL when there is none. */
const pith_family *pith_family_find(const char *architecture);

/* The architecture that a .pith file of this model names: one that every version of pith which
 * knows the name can run. */
const char *pith_family_architecture(const pith_family *family, const pith_config *config);

/* The family that a config.json names in architectures and model_type; with `embeds` the page of
 * the encoders that are made of it, if it is a decoder that has one. Errors: FORMAT (neither is
 * there), UNSUPPORTED (names it and those there are). */
pith_status pith_family_recognise(const pith_family **out, pith_json json, bool embeds,
                                  pith_error *error);

/* The family whose model_type this is or, with `type` NULL, which has this class; NULL: none. */
const pith_family *pith_family_named(const char *type, const char *class_name);

/* Reads a config.json of the family. Errors: FORMAT, UNSUPPORTED (key and value). */
pith_status pith_family_read(const pith_family *family, pith_config *out, pith_json json,
                             pith_error *error);

/* ---- Tensors --------------------------------------------------------------------------------- */

/* How many rules a family has, and the one at `part`, smaller than that. */
size_t pith_family_n_parts(const pith_family *family);
const pith_rule *pith_family_rule(const pith_family *family, size_t part);

/* The rule of a tensor outside the layers by its place in pith_network; NULL: there is none. */
const pith_rule *pith_family_rule_at(const pith_family *family, size_t place);

/* Fills *out for a rule and a tensor's number (pith_rule_n_tensors). False when a model of this
 * configuration has no such tensor. */
bool pith_family_slot(const pith_family *family, const pith_config *config, size_t part,
                      size_t number, pith_slot *out);

/* The first layer that has the rule at `part`; mostly 0. */
size_t pith_family_first_layer(const pith_family *family, size_t part);

/* Checks that a configuration, which may come from any file, needs no optional tensors that the
 * family has no rule for: the forward pass would rely on them. Errors: UNSUPPORTED. */
pith_status pith_family_check(const pith_family *family, const pith_config *config,
                              const char *where, pith_error *error);

/* Real weights of a model: padding excluded, a tied pair counted once. */
size_t pith_family_n_params(const pith_family *family, const pith_config *config);

#endif
