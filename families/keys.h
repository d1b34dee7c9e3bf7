/* The keys of a config.json that a family reads: a table with the defaults of its configuration
 * class in transformers, and helpers for what a table cannot say. Messages name file, key, what was
 * expected and what was found. */
#ifndef PITH_FAMILIES_KEYS_H
#define PITH_FAMILIES_KEYS_H

#include "families/config.h"
#include "families/fields.h"
#include "families/hf_json.h"

/* Numbers that no key has, for `otherwise` and `null`. */
#define PITH_DERIVED (-1.0) /* the number follows from others: SIZE_MAX until then */
#define PITH_REFUSED (-2.0) /* null is an error */

typedef struct pith_key {
    const char *key;
    pith_field_kind kind;
    size_t offset;    /* in pith_config */
    double otherwise; /* the value where the key is absent */
    double null;      /* the value where it is null, or PITH_REFUSED */
} pith_key;

/* A key whose name is that of its field; null is an error. */
#define PITH_COUNT(field, otherwise) PITH_KEY(PITH_FIELD_COUNT, #field, field, otherwise)
#define PITH_FLAG(field, otherwise) PITH_KEY(PITH_FIELD_FLAG, #field, field, otherwise)
#define PITH_KEY(kind, key, field, otherwise) \
    { key, kind, offsetof(pith_config, field), otherwise, PITH_REFUSED }

/* The same where null has a meaning. */
#define PITH_COUNT_OR_NULL(field, otherwise, null) \
    { #field, PITH_FIELD_COUNT, offsetof(pith_config, field), otherwise, null }

#define PITH_COUNT_AS(key, field, otherwise, null) \
    { key, PITH_FIELD_COUNT, offsetof(pith_config, field), otherwise, null }

#define PITH_FLOAT_OR_NULL(key, field, otherwise, null) \
    { key, PITH_FIELD_FLOAT, offsetof(pith_config, field), otherwise, null }

/* Sets a field for every key. Errors: FORMAT. */
pith_status pith_keys_read(const pith_key *keys, size_t n_keys, pith_config *out, pith_json json,
                           pith_error *error);

/* A key that must be absent, null or this text, or with NULL false. Errors: FORMAT, UNSUPPORTED
 * (key and value). */
pith_status pith_key_require(pith_json json, const char *key, const char *value, pith_error *error);

/* A number, or a flag as 0 or 1, that must have a value; `otherwise` where it is absent or null. */
typedef struct pith_number_key {
    const char *key;
    double otherwise, value;
} pith_number_key;

/* Errors: FORMAT, UNSUPPORTED (key and value). */
pith_status pith_numbers_require(pith_json json, const pith_number_key *keys, size_t n,
                                 pith_error *error);

/* hidden_activation: gelu, also where it is absent, or silu. Errors: UNSUPPORTED (the value). */
pith_status pith_gelu_or_silu_read(pith_config *config, pith_json json, pith_error *error);

/* An activation by the name of its class ("torch.nn.modules.activation.Tanh"), at `key` of a file;
 * *out stays where there is none. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_torch_activation_read(pith_dense_activation *out, pith_json value,
                                       const char *where, const char *key, pith_error *error);

/* Refuses an encoder without token types when its family has them. Errors: FORMAT. */
pith_status pith_types_check(const pith_config *config, pith_error *error);

/* ---- Layers that differ ---------------------------------------------------------------------- */

/* What layer_types says: sliding[i] is true for sliding_attention, false for full_attention. *given
 * is false, and `sliding` left alone, when there is no such key. n_layers <= PITH_MAX_LAYERS.
 * Errors: FORMAT, UNSUPPORTED (another word, by its name). */
pith_status pith_layer_types_read(pith_json json, size_t n_layers, bool *given, bool *sliding,
                                  pith_error *error);

/* sliding_window: `otherwise` when it is absent, 0 when it is null. Errors: FORMAT (0, no count).
 */
pith_status pith_window_read(pith_json json, size_t otherwise, size_t *out, pith_error *error);

/* The windows of Qwen: use_sliding_window, sliding_window (4096 when it is absent), and either
 * layer_types or max_window_layers, from which layer on there is one. Errors: FORMAT, UNSUPPORTED.
 */
pith_status pith_upper_windows_read(pith_config *config, pith_json json, pith_error *error);

/* The windows of every other layer, the first one included, or of those that layer_types names:
 * sliding_window, `otherwise` when it is absent. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_alternate_windows_read(pith_config *config, pith_json json, size_t otherwise,
                                        pith_error *error);

/* Makes layer i of this kind, adding the kind where no layer before has it. Layers must be set in
 * order. False when there are more than PITH_MAX_LAYER_KINDS. */
bool pith_config_set_kind(pith_config *config, size_t layer, const pith_layer_kind *kind);

/* Gives layer i a window of `window` keys where sliding[i], and none elsewhere; what else kind 0
 * has they all keep. */
void pith_config_set_windows(pith_config *config, const bool *sliding, size_t window);

#endif
