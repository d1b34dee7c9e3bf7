/* The pipeline around the model in a Hugging Face tokenizer.json: normalizer, pre_tokenizer,
 * post_processor, decoder (https://huggingface.co/docs/tokenizers/components). The combinations
 * that Llama, GPT-2, Llama 3 and Qwen2 use are recognised; whatever else would change ids or text
 * is refused by name. */
#include "tokenizer/hf_json.h"

#include "base/status.h"

#include <string.h>

#define MARK "\xE2\x96\x81" /* U+2581 */

/* The pattern of ByteLevel with use_regex (Radford et al. 2019, section 2.2, as released). */
#define GPT2_PATTERN \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* The same behind a pre-tokenizer that isolates digits: numbers are gone, and the end of a stretch
 * between them counts as the end of the text. */
#define GPT2_BESIDE_DIGITS \
    "|'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?![^\\s\\p{N}])|\\s+"

pith_status pith_hf_unsupported(const pith_hf *hf, const char *section, const char *what) {
    return pith_fail(hf->error, PITH_ERROR_UNSUPPORTED, "%s: %s \"%.60s\" is not supported",
                     hf->name, section, what);
}

pith_status pith_hf_malformed(const pith_hf *hf, const char *section, const char *what) {
    return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: %s: %s", hf->name, section, what);
}

pith_status pith_hf_bool(const json_t *object, const char *key, bool fallback, const char *name,
                         bool *out, pith_error *error) {
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_null(value) && !json_is_boolean(value)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: \"%s\" is not true or false", name, key);
    }
    *out = json_is_boolean(value) ? json_is_true(value) : fallback;
    return PITH_OK;
}

pith_status pith_hf_flags(const json_t *token, const char *name, uint8_t *out, pith_error *error) {
    static const struct {
        const char *key;
        uint8_t flag;
    } flags[] = {
        {"lstrip", PITH_ADDED_LSTRIP},           {"rstrip", PITH_ADDED_RSTRIP},
        {"single_word", PITH_ADDED_SINGLE_WORD}, {"special", PITH_ADDED_SPECIAL},
        {"normalized", PITH_ADDED_NORMALIZED},
    };
    uint8_t all = 0;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool set;
        pith_status status = pith_hf_bool(token, flags[i].key, false, name, &set, error);
        if (status != PITH_OK) {
            return status;
        }
        all |= set ? flags[i].flag : 0;
    }
    *out = all;
    return PITH_OK;
}

/* A flag of one step of the pipeline. */
static pith_status read_bool(const pith_hf *hf, const json_t *step, const char *key, bool fallback,
                             bool *out) {
    return pith_hf_bool(step, key, fallback, hf->name, out, hf->error);
}

bool pith_hf_is_text(const json_t *value, const char *text) {
    return json_is_string(value) && json_string_length(value) == strlen(text) &&
           memcmp(json_string_value(value), text, strlen(text)) == 0;
}

bool pith_hf_is_number(const json_t *value, json_int_t number) {
    return json_is_integer(value) && json_integer_value(value) == number;
}

/* The "type" of a component, never NULL. */
const char *pith_hf_type_of(const json_t *component) {
    const char *type = json_string_value(json_object_get(component, "type"));
    return type != NULL ? type : "(no type)";
}

bool pith_hf_has_type(const json_t *component, const char *type) {
    return strcmp(pith_hf_type_of(component), type) == 0;
}

/* The i-th step of a section: of the list `list_key` of a Sequence, or the section itself; NULL
 * after the last one. */
const json_t *pith_hf_step_of(const json_t *section, const char *list_key, size_t i) {
    if (section == NULL || json_is_null(section)) {
        return NULL;
    }
    if (pith_hf_has_type(section, "Sequence")) {
        return json_array_get(json_object_get(section, list_key), i);
    }
    return i == 0 ? section : NULL;
}

/* ---- Kind ------------------------------------------------------------------------------------ */

pith_status pith_hf_read_kind(pith_hf *hf) {
    const json_t *type = json_object_get(hf->model, "type");
    /* Files older than tokenizers 0.9 do not name the type of the model. */
    bool bpe =
        type == NULL ? json_object_get(hf->model, "merges") != NULL : pith_hf_is_text(type, "BPE");
    bool wordpiece = type == NULL
                         ? !bpe && json_object_get(hf->model, "max_input_chars_per_word") != NULL
                         : pith_hf_is_text(type, "WordPiece");
    if (wordpiece) {
        hf->settings.kind = PITH_TOKENIZER_WORDPIECE;
        return PITH_OK;
    }
    if (!bpe) {
        return pith_hf_unsupported(hf, "model", pith_hf_type_of(hf->model));
    }
    hf->settings.kind = PITH_TOKENIZER_LLAMA_BPE;
    const json_t *section = json_object_get(hf->root, "pre_tokenizer");
    const json_t *step;
    for (size_t i = 0; (step = pith_hf_step_of(section, "pretokenizers", i)) != NULL; i++) {
        if (pith_hf_has_type(step, "ByteLevel")) {
            hf->settings.kind = PITH_TOKENIZER_BYTE_BPE;
        }
    }
    return PITH_OK;
}

/* ---- Normalizer ------------------------------------------------------------------------------ */

/* Replace " " by U+2581, or with `back` the other way round. */
static bool is_space_replacement(const json_t *step, bool back) {
    const json_t *pattern = json_object_get(json_object_get(step, "pattern"), "String");
    return pith_hf_has_type(step, "Replace") && pith_hf_is_text(pattern, back ? MARK : " ") &&
           pith_hf_is_text(json_object_get(step, "content"), back ? " " : MARK);
}

pith_status pith_hf_read_normalizer(pith_hf *hf) {
    bool bytewise = hf->settings.kind == PITH_TOKENIZER_BYTE_BPE;
    const json_t *section = json_object_get(hf->root, "normalizer");
    const json_t *step;
    for (size_t i = 0; (step = pith_hf_step_of(section, "normalizers", i)) != NULL; i++) {
        hf->has_normalizer = true;
        if (bytewise && pith_hf_has_type(step, "NFC")) {
            hf->settings.nfc = true;
        } else if (!bytewise && pith_hf_has_type(step, "Prepend") &&
                   pith_hf_is_text(json_object_get(step, "prepend"), MARK) &&
                   !hf->settings.add_dummy_prefix) {
            hf->settings.add_dummy_prefix = true;
        } else if (!bytewise && is_space_replacement(step, false)) {
            hf->settings.escape_whitespaces = true;
        } else {
            return pith_hf_unsupported(hf, "normalizer", pith_hf_type_of(step));
        }
    }
    if (hf->settings.add_dummy_prefix && !hf->settings.escape_whitespaces) {
        return pith_hf_unsupported(hf, "normalizer", "Prepend without Replace");
    }
    return PITH_OK;
}

/* ---- Pre-tokenizer --------------------------------------------------------------------------- */

static pith_status read_metaspace(pith_hf *hf, const json_t *step) {
    bool prefix;
    bool split;
    pith_status status = read_bool(hf, step, "add_prefix_space", true, &prefix);
    if (status == PITH_OK) {
        status = read_bool(hf, step, "split", true, &split);
    }
    if (status != PITH_OK) {
        return status;
    }
    const json_t *scheme = json_object_get(step, "prepend_scheme");
    bool never = pith_hf_is_text(scheme, "never") || !prefix;
    if (!pith_hf_is_text(json_object_get(step, "replacement"), MARK)) {
        return pith_hf_unsupported(hf, "pre_tokenizer", "Metaspace with another replacement");
    }
    if (!never && !pith_hf_is_text(scheme, "first")) {
        return pith_hf_unsupported(hf, "pre_tokenizer", "Metaspace with prepend_scheme always");
    }
    if (split) {
        return pith_hf_unsupported(hf, "pre_tokenizer", "Metaspace with split");
    }
    if (hf->has_normalizer) {
        return pith_hf_unsupported(hf, "pre_tokenizer", "Metaspace after a normalizer");
    }
    hf->settings.escape_whitespaces = true;
    hf->settings.add_dummy_prefix = !never;
    hf->settings.prefix_first_only = !never;
    return PITH_OK;
}

static pith_status add_pattern(pith_hf *hf, const char *regex, size_t n) {
    return pith_pattern_translate(regex, n, hf->name, &hf->pattern, hf->error);
}

static pith_status read_split(pith_hf *hf, const json_t *step) {
    const json_t *regex = json_object_get(json_object_get(step, "pattern"), "Regex");
    bool invert;
    pith_status status = read_bool(hf, step, "invert", false, &invert);
    if (status != PITH_OK) {
        return status;
    }
    if (!json_is_string(regex)) {
        return pith_hf_unsupported(hf, "pre_tokenizer", "Split by something else than a Regex");
    }
    if (invert || !pith_hf_is_text(json_object_get(step, "behavior"), "Isolated")) {
        return pith_hf_unsupported(hf, "pre_tokenizer",
                                   "Split with a behavior other than Isolated");
    }
    return add_pattern(hf, json_string_value(regex), json_string_length(regex));
}

/* ByteLevel, alone or behind one step that has (`first`) already cut the text. */
static pith_status read_byte_level(pith_hf *hf, const json_t *step, const json_t *first) {
    bool use_regex;
    bool prefix;
    pith_status status = read_bool(hf, step, "use_regex", true, &use_regex);
    if (status == PITH_OK) {
        status = read_bool(hf, step, "add_prefix_space", true, &prefix);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (prefix && (first != NULL || hf->has_normalizer)) {
        return pith_hf_unsupported(hf, "pre_tokenizer",
                                   "ByteLevel with add_prefix_space in a sequence");
    }
    hf->settings.add_prefix_space = prefix;
    if (first == NULL) {
        return use_regex ? add_pattern(hf, GPT2_PATTERN, strlen(GPT2_PATTERN)) : PITH_OK;
    }
    if (pith_hf_has_type(first, "Split") && !use_regex) {
        return read_split(hf, first);
    }
    if (!pith_hf_has_type(first, "Digits") || !use_regex) {
        return pith_hf_unsupported(hf, "pre_tokenizer", pith_hf_type_of(first));
    }
    bool individual;
    status = read_bool(hf, first, "individual_digits", false, &individual);
    if (status != PITH_OK) {
        return status;
    }
    const char *digits = individual ? "\\p{N}" : "\\p{N}+";
    status = add_pattern(hf, digits, strlen(digits));
    return status == PITH_OK ? add_pattern(hf, GPT2_BESIDE_DIGITS, strlen(GPT2_BESIDE_DIGITS))
                             : status;
}

pith_status pith_hf_read_pre_tokenizer(pith_hf *hf) {
    const json_t *section = json_object_get(hf->root, "pre_tokenizer");
    const json_t *steps[3] = {NULL};
    size_t n = 0;
    while (n < 3 && (steps[n] = pith_hf_step_of(section, "pretokenizers", n)) != NULL) {
        n++;
    }
    if (n == 3) {
        return pith_hf_unsupported(hf, "pre_tokenizer", "Sequence of more than two");
    }
    if (n == 0) {
        return PITH_OK;
    }
    const json_t *last = steps[n - 1];
    const json_t *first = n == 2 ? steps[0] : NULL;
    if (pith_hf_has_type(last, "ByteLevel")) {
        return read_byte_level(hf, last, first);
    }
    if (first == NULL && pith_hf_has_type(last, "Metaspace")) {
        return read_metaspace(hf, last);
    }
    return pith_hf_unsupported(hf, "pre_tokenizer", pith_hf_type_of(first != NULL ? first : last));
}

/* ---- Decoder --------------------------------------------------------------------------------- */

/* The decoder has to undo exactly what the encoder did, for that is what pith's decoder does. */
static pith_status check_llama_decoder(pith_hf *hf, bool replace, bool bytes, bool strip) {
    if (replace != hf->settings.escape_whitespaces) {
        return pith_hf_unsupported(hf, "decoder",
                                   "without Replace of U+2581, or with it for nothing");
    }
    if (bytes != hf->settings.byte_fallback) {
        return pith_hf_unsupported(hf, "decoder", "ByteFallback unlike the model's byte_fallback");
    }
    if (strip != hf->settings.add_dummy_prefix) {
        return pith_hf_unsupported(hf, "decoder", "Strip unlike the prefix");
    }
    return PITH_OK;
}

pith_status pith_hf_read_decoder(pith_hf *hf) {
    bool bytewise = hf->settings.kind == PITH_TOKENIZER_BYTE_BPE;
    bool replace = false;
    bool bytes = false;
    bool strip = false;
    bool byte_level = false;
    const json_t *section = json_object_get(hf->root, "decoder");
    const json_t *step;
    for (size_t i = 0; (step = pith_hf_step_of(section, "decoders", i)) != NULL; i++) {
        if (bytewise && pith_hf_has_type(step, "ByteLevel")) {
            byte_level = true;
        } else if (!bytewise && is_space_replacement(step, true)) {
            replace = true;
        } else if (!bytewise && pith_hf_has_type(step, "ByteFallback")) {
            bytes = true;
        } else if (!bytewise && pith_hf_has_type(step, "Strip") &&
                   pith_hf_is_text(json_object_get(step, "content"), " ") &&
                   pith_hf_is_number(json_object_get(step, "start"), 1) &&
                   pith_hf_is_number(json_object_get(step, "stop"), 0)) {
            strip = true;
        } else if (!pith_hf_has_type(step, "Fuse")) {
            return pith_hf_unsupported(hf, "decoder", pith_hf_type_of(step));
        }
    }
    if (bytewise) {
        return byte_level ? PITH_OK : pith_hf_unsupported(hf, "decoder", "none for byte-level BPE");
    }
    return check_llama_decoder(hf, replace, bytes, strip);
}

/* ---- Post-processor -------------------------------------------------------------------------- */

/* The id of a token that a TemplateProcessing names. */
pith_status pith_hf_template_id(const pith_hf *hf, const json_t *template, const json_t *token,
                                int32_t *out) {
    const char *name = json_string_value(json_object_get(token, "id"));
    const json_t *entry =
        name != NULL ? json_object_get(json_object_get(template, "special_tokens"), name) : NULL;
    const json_t *ids = json_object_get(entry, "ids");
    const json_t *id = json_array_get(ids, 0);
    if (json_array_size(ids) != 1 || !json_is_integer(id) || json_integer_value(id) < 0 ||
        json_integer_value(id) >= (json_int_t)hf->n_pieces) {
        return pith_hf_malformed(hf, "post_processor",
                                 "a special token has no id in the vocabulary");
    }
    *out = (int32_t)json_integer_value(id);
    return PITH_OK;
}

/* "single": tokens around the text; one in front is bos, one behind is eos. */
static pith_status read_template(pith_hf *hf, const json_t *template) {
    const json_t *single = json_object_get(template, "single");
    bool text_seen = false;
    size_t n_before = 0;
    size_t n_after = 0;
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *item = json_array_get(single, i);
        const json_t *token = json_object_get(item, "SpecialToken");
        if (json_object_get(item, "Sequence") != NULL) {
            text_seen = true;
            continue;
        }
        int32_t id = -1;
        pith_status status = pith_hf_template_id(hf, template, token, &id);
        if (status != PITH_OK) {
            return status;
        }
        *(text_seen ? &n_after : &n_before) += 1;
        *(text_seen ? &hf->settings.eos : &hf->settings.bos) = id;
    }
    if (!text_seen) {
        return pith_hf_malformed(hf, "post_processor", "a template without a sequence");
    }
    if (n_before > 1 || n_after > 1) {
        return pith_hf_unsupported(hf, "post_processor",
                                   "TemplateProcessing with several tokens a side");
    }
    hf->settings.add_bos = n_before == 1;
    return PITH_OK;
}

pith_status pith_hf_read_post_processor(pith_hf *hf) {
    const json_t *section = json_object_get(hf->root, "post_processor");
    const json_t *step;
    for (size_t i = 0; (step = pith_hf_step_of(section, "processors", i)) != NULL; i++) {
        if (pith_hf_has_type(step, "TemplateProcessing")) {
            pith_status status = read_template(hf, step);
            if (status != PITH_OK) {
                return status;
            }
        } else if (!pith_hf_has_type(step, "ByteLevel")) { /* which only moves offsets */
            return pith_hf_unsupported(hf, "post_processor", pith_hf_type_of(step));
        }
    }
    return PITH_OK;
}
