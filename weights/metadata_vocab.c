/* The section "tokenizer" of a .pith file's metadata: the settings of a vocabulary to JSON, and
 * JSON, checked, to the settings. docs/format.md lists the keys. */
#include "weights/metadata_vocab.h"

#include "base/status.h"
#include "weights/fields.h"
#include "weights/json.h"

#include <string.h>

static const pith_field vocab_fields[] = {
    {"n_pieces", PITH_FIELD_COUNT, offsetof(pith_vocab, n_pieces), PITH_VOCAB_MAX_PIECES},
    {"n_bytes", PITH_FIELD_COUNT, offsetof(pith_vocab, n_bytes), PITH_VOCAB_MAX_BYTES},
    {"n_merges", PITH_FIELD_COUNT, offsetof(pith_vocab, n_merges), PITH_VOCAB_MAX_MERGES},
    {"bos", PITH_FIELD_ID, offsetof(pith_vocab, bos), PITH_VOCAB_MAX_PIECES},
    {"eos", PITH_FIELD_ID, offsetof(pith_vocab, eos), PITH_VOCAB_MAX_PIECES},
    {"unk", PITH_FIELD_ID, offsetof(pith_vocab, unk), PITH_VOCAB_MAX_PIECES},
    {"add_bos", PITH_FIELD_FLAG, offsetof(pith_vocab, add_bos), 0},
    {"add_dummy_prefix", PITH_FIELD_FLAG, offsetof(pith_vocab, add_dummy_prefix), 0},
    {"remove_extra_whitespaces", PITH_FIELD_FLAG, offsetof(pith_vocab, remove_extra_whitespaces),
     0},
    {"escape_whitespaces", PITH_FIELD_FLAG, offsetof(pith_vocab, escape_whitespaces), 0},
    {"prefix_first_only", PITH_FIELD_FLAG, offsetof(pith_vocab, prefix_first_only), 0},
    {"byte_fallback", PITH_FIELD_FLAG, offsetof(pith_vocab, byte_fallback), 0},
    {"fuse_unk", PITH_FIELD_FLAG, offsetof(pith_vocab, fuse_unk), 0},
    {"ignore_merges", PITH_FIELD_FLAG, offsetof(pith_vocab, ignore_merges), 0},
    {"add_prefix_space", PITH_FIELD_FLAG, offsetof(pith_vocab, add_prefix_space), 0},
    {"nfc", PITH_FIELD_FLAG, offsetof(pith_vocab, nfc), 0},
    {"lowercase", PITH_FIELD_FLAG, offsetof(pith_vocab, lowercase), 0},
    {"strip_accents", PITH_FIELD_FLAG, offsetof(pith_vocab, strip_accents), 0},
    {"clean_text", PITH_FIELD_FLAG, offsetof(pith_vocab, clean_text), 0},
    {"split_cjk", PITH_FIELD_FLAG, offsetof(pith_vocab, split_cjk), 0},
    {"max_word_chars", PITH_FIELD_COUNT, offsetof(pith_vocab, max_word_chars),
     PITH_VOCAB_MAX_BYTES},
};

/* Flags that older files do not have: false when absent, and written only when true. */
static const pith_field later_vocab_fields[] = {
    {"add_eos", PITH_FIELD_FLAG, offsetof(pith_vocab, add_eos), 0},
};

/* Of older files it is what prefix_first_only is, and written only when it is not. */
static const pith_field unless_space_field = {"prefix_unless_space", PITH_FIELD_FLAG,
                                              offsetof(pith_vocab, prefix_unless_space), 0};

static const char *const kind_names[] = {
    [PITH_TOKENIZER_SENTENCEPIECE] = "sentencepiece",
    [PITH_TOKENIZER_LLAMA_BPE] = "llama_bpe",
    [PITH_TOKENIZER_BYTE_BPE] = "byte_bpe",
    [PITH_TOKENIZER_WORDPIECE] = "wordpiece",
};

enum {
    N_VOCAB_FIELDS = sizeof vocab_fields / sizeof *vocab_fields,
    N_LATER_FIELDS = sizeof later_vocab_fields / sizeof *later_vocab_fields,
    N_KIND_NAMES = sizeof kind_names / sizeof *kind_names,
};

static const char *const step_names[] = {
    [PITH_STEP_SPLIT] = "split",
    [PITH_STEP_SPACE] = "space",
    [PITH_STEP_BYTES] = "bytes",
};

static const char *const behavior_names[] = {
    [PITH_SPLIT_ISOLATED] = "isolated",
    [PITH_SPLIT_REMOVED] = "removed",
    [PITH_SPLIT_MERGED_WITH_PREVIOUS] = "merged_with_previous",
    [PITH_SPLIT_MERGED_WITH_NEXT] = "merged_with_next",
    [PITH_SPLIT_CONTIGUOUS] = "contiguous",
};

enum {
    N_STEP_NAMES = sizeof step_names / sizeof *step_names,
    N_BEHAVIOR_NAMES = sizeof behavior_names / sizeof *behavior_names,
};

/* ---- Writing --------------------------------------------------------------------------------- */

static pith_status no_memory(pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "no memory for metadata");
}

static pith_status write_later_fields(const pith_vocab *vocab, json_t *object, pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < N_LATER_FIELDS; i++) {
        const pith_field *field = &later_vocab_fields[i];
        if (*(const bool *)((const char *)vocab + field->offset)) {
            status = pith_fields_write(field, 1, vocab, object, error);
        }
    }
    if (status == PITH_OK && vocab->prefix_unless_space != vocab->prefix_first_only) {
        status = pith_fields_write(&unless_space_field, 1, vocab, object, error);
    }
    return status;
}

static pith_status write_step(const pith_step *step, json_t *array, pith_error *error) {
    json_t *object = json_object();
    if (json_array_append_new(array, object) != 0) {
        return no_memory(error);
    }
    pith_status status = pith_json_set_text(object, "step", step_names[step->kind], error);
    if (status != PITH_OK || step->kind != PITH_STEP_SPLIT) {
        return status;
    }
    status = pith_json_set_text(object, "pattern", step->pattern, error);
    if (status == PITH_OK) {
        status = pith_json_set_text(object, "behavior", behavior_names[step->behavior], error);
    }
    if (status == PITH_OK && json_object_set_new(object, "invert", json_boolean(step->invert))) {
        status = no_memory(error);
    }
    return status;
}

static pith_status write_steps(const pith_vocab *vocab, json_t *object, pith_error *error) {
    if (vocab->n_steps == 0) {
        return PITH_OK;
    }
    json_t *array = json_array();
    pith_status status =
        json_object_set_new(object, "pre_tokenizer", array) == 0 ? PITH_OK : no_memory(error);
    for (size_t i = 0; status == PITH_OK && i < vocab->n_steps; i++) {
        status = write_step(&vocab->steps[i], array, error);
    }
    return status;
}

pith_status pith_vocab_settings_write(const pith_vocab *vocab, json_t *object, pith_error *error) {
    pith_status status = pith_json_set_text(object, "kind", kind_names[vocab->kind], error);
    if (status == PITH_OK) {
        status = pith_fields_write(vocab_fields, N_VOCAB_FIELDS, vocab, object, error);
    }
    if (status == PITH_OK) {
        status = write_later_fields(vocab, object, error);
    }
    if (status == PITH_OK && vocab->pattern != NULL) {
        status = pith_json_set_text(object, "pattern", vocab->pattern, error);
    }
    return status == PITH_OK ? write_steps(vocab, object, error) : status;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* What messages and the list of steps need. */
typedef struct place {
    const char *where;
    const pith_allocator *allocator;
    pith_error *error;
} place;

static pith_status bad_key(const place *p, const char *key, const char *what) {
    return pith_fail(p->error, PITH_ERROR_FORMAT, "%s: metadata %s is missing or not %s", p->where,
                     key, what);
}

/* Index of the string `object[key]` in `names`, or n_names. */
static size_t find_name(const json_t *object, const char *key, const char *const *names,
                        size_t n_names) {
    const char *text = json_string_value(json_object_get(object, key));
    size_t i = 0;
    while (i < n_names && (text == NULL || strcmp(text, names[i]) != 0)) {
        i++;
    }
    return i;
}

static bool is_text_or_absent(const json_t *object, const char *key, const char **out) {
    const json_t *value = json_object_get(object, key);
    *out = json_string_value(value);
    return value == NULL || *out != NULL;
}

static pith_status read_later_fields(const place *p, pith_vocab *vocab, const json_t *object) {
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < N_LATER_FIELDS; i++) {
        const pith_field *field = &later_vocab_fields[i];
        if (json_object_get(object, field->key) != NULL) {
            status = pith_fields_read(field, 1, vocab, object, p->where, "tokenizer", p->error);
        }
    }
    vocab->prefix_unless_space = vocab->prefix_first_only;
    if (status == PITH_OK && json_object_get(object, unless_space_field.key) != NULL) {
        status = pith_fields_read(&unless_space_field, 1, vocab, object, p->where, "tokenizer",
                                  p->error);
    }
    return status;
}

static bool read_step(const json_t *object, pith_step *out) {
    size_t kind = find_name(object, "step", step_names, N_STEP_NAMES);
    if (kind == N_STEP_NAMES) {
        return false;
    }
    *out = (pith_step){.kind = (pith_step_kind)kind};
    if (out->kind != PITH_STEP_SPLIT) {
        return true;
    }
    size_t behavior = find_name(object, "behavior", behavior_names, N_BEHAVIOR_NAMES);
    const json_t *invert = json_object_get(object, "invert");
    out->behavior = (pith_split_behavior)behavior;
    out->invert = json_is_true(invert);
    out->pattern = json_string_value(json_object_get(object, "pattern"));
    return behavior != N_BEHAVIOR_NAMES && json_is_boolean(invert) && out->pattern != NULL;
}

static pith_status read_steps(const place *p, pith_vocab *vocab, pith_step **owned,
                              const json_t *object) {
    const json_t *array = json_object_get(object, "pre_tokenizer");
    size_t n = json_array_size(array);
    if (array == NULL) {
        return PITH_OK;
    }
    if (!json_is_array(array) || n == 0 || n > PITH_VOCAB_MAX_STEPS) {
        return bad_key(p, "tokenizer.pre_tokenizer", "an array of 1 to 32 steps");
    }
    pith_step *steps = pith_allocate_zeroed(p->allocator, n, sizeof *steps);
    if (steps == NULL) {
        return no_memory(p->error);
    }
    *owned = steps;
    for (size_t i = 0; i < n; i++) {
        if (!read_step(json_array_get(array, i), &steps[i])) {
            return bad_key(p, "tokenizer.pre_tokenizer", "a list of known steps");
        }
    }
    vocab->steps = steps;
    vocab->n_steps = n;
    return PITH_OK;
}

pith_status pith_vocab_settings_read(pith_vocab *vocab, pith_step **steps, const json_t *object,
                                     const char *where, const pith_allocator *allocator,
                                     pith_error *error) {
    const place in = {where, allocator, error};
    const place *p = &in;
    if (object == NULL) {
        vocab->bos = vocab->eos = vocab->unk = -1;
        return PITH_OK;
    }
    size_t kind = find_name(object, "kind", kind_names, N_KIND_NAMES);
    if (kind == N_KIND_NAMES) {
        return bad_key(p, "tokenizer.kind", "a known kind");
    }
    vocab->kind = (pith_tokenizer_kind)kind;
    pith_status status = pith_fields_read(vocab_fields, N_VOCAB_FIELDS, vocab, object, p->where,
                                          "tokenizer", p->error);
    if (status == PITH_OK) {
        status = read_later_fields(p, vocab, object);
    }
    if (status != PITH_OK) {
        return status;
    }
    int64_t n = (int64_t)vocab->n_pieces;
    if (n == 0) {
        return bad_key(p, "tokenizer.n_pieces", "positive");
    }
    if (vocab->bos >= n || vocab->eos >= n || vocab->unk >= n) {
        return bad_key(p, "tokenizer.bos, eos or unk", "-1 or the id of a piece");
    }
    if (!is_text_or_absent(object, "pattern", &vocab->pattern)) {
        return bad_key(p, "tokenizer.pattern", "a string");
    }
    return read_steps(p, vocab, steps, object);
}
