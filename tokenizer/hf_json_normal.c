/* The normalizer of a tokenizer.json. The forms that Llama, Gemma and Qwen2 use become settings;
 * any other becomes the list of its steps. */
#include "tokenizer/hf_json.h"

#include "base/status.h"
#include "tokenizer/internal.h"

#include <string.h>

static pith_status unsupported(const pith_hf *hf, const char *what) {
    return pith_hf_unsupported(hf, "normalizer", what);
}

static pith_status no_memory(const pith_hf *hf) {
    return pith_fail(hf->error, PITH_ERROR_MEMORY, "%s: no memory for the normalizer", hf->name);
}

/* ---- Settings -------------------------------------------------------------------------------- */

/* Takes a step as a setting of *settings; false when it is none. */
static bool take_setting(pith_json step, bool bytewise, pith_vocab *settings) {
    if (bytewise) {
        settings->nfc = true;
        return pith_hf_has_type(step, "NFC");
    }
    if (pith_hf_has_type(step, "Prepend") && !settings->add_dummy_prefix) {
        settings->add_dummy_prefix = true;
        return pith_json_is_text(pith_json_get(step, "prepend"), PITH_SPACE_MARK);
    }
    settings->escape_whitespaces = true;
    return pith_hf_is_replacement(step, " ", PITH_SPACE_MARK);
}

/* True when all steps are settings, which *settings then has. */
static bool take_settings(const pith_hf *hf, pith_vocab *settings) {
    bool bytewise = settings->kind == PITH_TOKENIZER_BYTE_BPE;
    pith_hf_steps steps = pith_hf_steps_of(hf->root.normalizer, "normalizers");
    bool all = settings->kind != PITH_TOKENIZER_UNIGRAM;
    while (all && pith_hf_next_step(&steps)) {
        all = take_setting(steps.step, bytewise, settings);
    }
    return all && !(settings->add_dummy_prefix && !settings->escape_whitespaces);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static bool add_text(pith_hf *hf, const char *text, size_t n) {
    pith_bytes *texts = &hf->texts[PITH_HF_NORMALIZER];
    return pith_bytes_append(texts, text, n) && pith_bytes_append(texts, "", 1);
}

static pith_status add_step(pith_hf *hf, pith_normal_step step) {
    if (hf->n_normalizer == PITH_VOCAB_MAX_STEPS) {
        return pith_fail(hf->error, PITH_ERROR_UNSUPPORTED,
                         "%s: normalizer: more than %d steps are not supported", hf->name,
                         PITH_VOCAB_MAX_STEPS);
    }
    pith_normal_step *steps = pith_reallocate(hf->allocator, hf->normalizer, hf->n_normalizer + 1,
                                              sizeof *hf->normalizer);
    if (steps == NULL) {
        return no_memory(hf);
    }
    hf->normalizer = steps;
    steps[hf->n_normalizer++] = step;
    return PITH_OK;
}

/* A text that a step writes. */
static pith_status read_text(pith_hf *hf, pith_json step, const char *key) {
    pith_json value = pith_json_get(step, key);
    const char *text = pith_json_text(value);
    size_t n = pith_json_text_size(value);
    if (text == NULL || strlen(text) != n || n > PITH_VOCAB_MAX_STEP_TEXT) {
        return unsupported(hf, "a step with a text that is none, or long");
    }
    return add_text(hf, text, n) ? PITH_OK : no_memory(hf);
}

static pith_status read_replace(pith_hf *hf, pith_json step) {
    pith_bytes pattern;
    pith_bytes_init(&pattern, hf->allocator);
    pith_status status =
        pith_hf_read_pattern(hf, "normalizer", pith_json_get(step, "pattern"), &pattern);
    if (status == PITH_OK && !add_text(hf, pattern.data, pattern.size - 1)) {
        status = no_memory(hf);
    }
    pith_bytes_release(&pattern);
    if (status == PITH_OK) {
        status = read_text(hf, step, "content");
    }
    return status == PITH_OK ? add_step(hf, (pith_normal_step){.kind = PITH_NORMAL_REPLACE})
                             : status;
}

static pith_status read_prepend(pith_hf *hf, pith_json step) {
    if (pith_json_text_size(pith_json_get(step, "prepend")) == 0) {
        return pith_json_is(pith_json_get(step, "prepend"), PITH_JSON_STRING)
                   ? PITH_OK /* nothing is put in front */
                   : unsupported(hf, "Prepend without a text");
    }
    pith_status status = read_text(hf, step, "prepend");
    return status == PITH_OK ? add_step(hf, (pith_normal_step){.kind = PITH_NORMAL_PREPEND})
                             : status;
}

static pith_status read_strip(pith_hf *hf, pith_json step) {
    pith_normal_step strip = {.kind = PITH_NORMAL_STRIP};
    pith_status status = pith_hf_bool(pith_json_get(step, "strip_left"), "strip_left", true,
                                      hf->name, &strip.left, hf->error);
    if (status == PITH_OK) {
        status = pith_hf_bool(pith_json_get(step, "strip_right"), "strip_right", true, hf->name,
                              &strip.right, hf->error);
    }
    return status == PITH_OK ? add_step(hf, strip) : status;
}

/* The six bits of a character of base64; 64 for others. */
static unsigned base64_value(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    return found != NULL ? (unsigned)(found - digits) : 64;
}

/* Decodes base64 text [n] to out, which has room for 3 bytes for every 4 characters; returns the
 * number of bytes, SIZE_MAX when it is none. */
static size_t decode_base64(const char *text, size_t n, uint8_t *out) {
    size_t size = 0;
    uint32_t bits = 0;
    size_t n_bits = 0;
    while (n > 0 && text[n - 1] == '=') {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned value = base64_value(text[i]);
        if (value == 64) {
            return SIZE_MAX;
        }
        bits = (bits << 6 | value) & 0xFFFFFF;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[size++] = (uint8_t)(bits >> n_bits);
        }
    }
    return size;
}

static pith_status read_charsmap(pith_hf *hf, pith_json step) {
    pith_json value = pith_json_get(step, "precompiled_charsmap");
    size_t n = pith_json_text_size(value);
    if (hf->charsmap != NULL) {
        return unsupported(hf, "Precompiled twice");
    }
    if (!pith_json_is(value, PITH_JSON_STRING) || n > PITH_VOCAB_MAX_CHARSMAP) {
        return pith_hf_malformed(hf, "normalizer", "precompiled_charsmap is no text, or too long");
    }
    if (n == 0) {
        return PITH_OK; /* a map that changes nothing */
    }
    hf->charsmap = pith_allocate(hf->allocator, n / 4 * 3 + 3, 1);
    if (hf->charsmap == NULL) {
        return no_memory(hf);
    }
    pith_charsmap map;
    hf->n_charsmap = decode_base64(pith_json_text(value), n, hf->charsmap);
    if (hf->n_charsmap == SIZE_MAX || !pith_charsmap_open(&map, hf->charsmap, hf->n_charsmap)) {
        return pith_hf_malformed(hf, "normalizer", "precompiled_charsmap is damaged");
    }
    return add_step(hf, (pith_normal_step){.kind = PITH_NORMAL_CHARSMAP});
}

static pith_status read_step(pith_hf *hf, pith_json step) {
    static const struct {
        const char *type;
        pith_normal_kind kind;
        pith_status (*read)(pith_hf *hf, pith_json step); /* NULL: the kind is all */
    } kinds[] = {
        {"NFC", PITH_NORMAL_NFC, NULL},
        {"NFD", PITH_NORMAL_NFD, NULL},
        {"NFKC", PITH_NORMAL_NFKC, NULL},
        {"NFKD", PITH_NORMAL_NFKD, NULL},
        {"Lowercase", PITH_NORMAL_LOWERCASE, NULL},
        {"StripAccents", PITH_NORMAL_STRIP_ACCENTS, NULL},
        {"Nmt", PITH_NORMAL_NMT, NULL},
        {"Replace", PITH_NORMAL_REPLACE, read_replace},
        {"Prepend", PITH_NORMAL_PREPEND, read_prepend},
        {"Strip", PITH_NORMAL_STRIP, read_strip},
        {"Precompiled", PITH_NORMAL_CHARSMAP, read_charsmap},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (pith_hf_has_type(step, kinds[i].type)) {
            return kinds[i].read != NULL ? kinds[i].read(hf, step)
                                         : add_step(hf, (pith_normal_step){.kind = kinds[i].kind});
        }
    }
    return unsupported(hf, pith_hf_type_of(step));
}

/* A Sequence within a Sequence is the same as its steps in its place. */
static pith_status read_section(pith_hf *hf, pith_json section) {
    pith_hf_steps steps = pith_hf_steps_of(section, "normalizers");
    pith_status status = PITH_OK;
    while (status == PITH_OK && pith_hf_next_step(&steps)) {
        bool nested = pith_hf_has_type(steps.step, "Sequence");
        status = nested ? read_section(hf, steps.step) : read_step(hf, steps.step);
    }
    return status;
}

pith_status pith_hf_read_normalizer(pith_hf *hf) {
    pith_hf_steps steps = pith_hf_steps_of(hf->root.normalizer, "normalizers");
    pith_vocab settings = hf->settings;
    hf->has_normalizer = pith_hf_next_step(&steps);
    if (!hf->has_normalizer) {
        return PITH_OK;
    }
    if (take_settings(hf, &settings)) {
        hf->settings = settings;
        return PITH_OK;
    }
    return read_section(hf, hf->root.normalizer);
}
