/* The decoder of a tokenizer.json. One that undoes what the settings do needs no steps; any other
 * becomes the list of its steps. */
#include "tokenizer/hf_json.h"

#include "base/status.h"
#include "tokenizer/internal.h"

#include <string.h>

static pith_status unsupported(const pith_hf *hf, const char *what) {
    return pith_hf_unsupported(hf, "decoder", what);
}

static pith_status no_memory(const pith_hf *hf) {
    return pith_fail(hf->error, PITH_ERROR_MEMORY, "%s: no memory for the decoder", hf->name);
}

static pith_status add_step(pith_hf *hf, pith_decode_step step) {
    if (hf->n_decoder == PITH_VOCAB_MAX_STEPS) {
        return pith_fail(hf->error, PITH_ERROR_UNSUPPORTED,
                         "%s: decoder: more than %d steps are not supported", hf->name,
                         PITH_VOCAB_MAX_STEPS);
    }
    pith_decode_step *steps =
        pith_reallocate(hf->allocator, hf->decoder, hf->n_decoder + 1, sizeof *hf->decoder);
    if (steps == NULL) {
        return no_memory(hf);
    }
    hf->decoder = steps;
    steps[hf->n_decoder++] = step;
    return PITH_OK;
}

/* A text of a step, at least `least` bytes of it. */
static pith_status read_text(pith_hf *hf, pith_json value, size_t least) {
    pith_bytes *texts = &hf->texts[PITH_HF_DECODER];
    const char *text = pith_json_text(value);
    size_t n = pith_json_text_size(value);
    if (text == NULL || strlen(text) != n || n < least || n > PITH_VOCAB_MAX_STEP_TEXT) {
        return unsupported(hf, "a step with a text that is none, or long");
    }
    return pith_bytes_append(texts, text, n + 1) ? PITH_OK : no_memory(hf);
}

/* Replace; a regular expression must be plain text. */
static pith_status read_replace(pith_hf *hf, pith_json step) {
    pith_json pattern = pith_json_get(step, "pattern");
    pith_json regex = pith_json_get(pattern, "Regex");
    if (regex.at != NULL && pith_json_text(regex) != NULL &&
        strpbrk(pith_json_text(regex), "\\^$.|?*+()[]{}") != NULL) {
        return unsupported(hf, "Replace of a regular expression");
    }
    pith_status status =
        read_text(hf, regex.at != NULL ? regex : pith_json_get(pattern, "String"), 1);
    if (status == PITH_OK) {
        status = read_text(hf, pith_json_get(step, "content"), 0);
    }
    return status == PITH_OK ? add_step(hf, (pith_decode_step){.kind = PITH_DECODE_REPLACE})
                             : status;
}

static pith_status read_strip(pith_hf *hf, pith_json step) {
    pith_decode_step strip = {.kind = PITH_DECODE_STRIP};
    if (!pith_json_count(pith_json_get(step, "start"), &strip.start) ||
        !pith_json_count(pith_json_get(step, "stop"), &strip.stop) ||
        strip.start > PITH_VOCAB_MAX_STRIP || strip.stop > PITH_VOCAB_MAX_STRIP) {
        return unsupported(hf, "Strip of so many characters");
    }
    pith_status status = read_text(hf, pith_json_get(step, "content"), 1);
    return status == PITH_OK ? add_step(hf, strip) : status;
}

static bool is_false(pith_json value) {
    bool flag = true;
    return pith_json_bool(value, &flag) && !flag;
}

/* Older files do not name the replacement where it is SentencePiece's. */
static pith_status read_replacement(pith_hf *hf, pith_json value) {
    static const char mark[] = "\xE2\x96\x81"; /* U+2581 */
    if (value.at != NULL) {
        return read_text(hf, value, 1);
    }
    return pith_bytes_append(&hf->texts[PITH_HF_DECODER], mark, sizeof mark) ? PITH_OK
                                                                             : no_memory(hf);
}

static pith_status read_mark(pith_hf *hf, pith_json step) {
    bool drop = !pith_json_is_text(pith_json_get(step, "prepend_scheme"), "never") &&
                !is_false(pith_json_get(step, "add_prefix_space"));
    pith_status status = read_replacement(hf, pith_json_get(step, "replacement"));
    return status == PITH_OK
               ? add_step(hf, (pith_decode_step){.kind = PITH_DECODE_MARK, .drop = drop})
               : status;
}

static pith_status read_bytes(pith_hf *hf, pith_json step) {
    (void)step;
    hf->decodes_bytes = true;
    return add_step(hf, (pith_decode_step){.kind = PITH_DECODE_BYTES});
}

static pith_status read_fuse(pith_hf *hf, pith_json step) {
    (void)step;
    return add_step(hf, (pith_decode_step){.kind = PITH_DECODE_FUSE});
}

static pith_status read_step(pith_hf *hf, pith_json step) {
    static const struct {
        const char *type;
        pith_status (*read)(pith_hf *hf, pith_json step);
    } kinds[] = {
        {"Replace", read_replace},    {"Strip", read_strip}, {"Metaspace", read_mark},
        {"ByteFallback", read_bytes}, {"Fuse", read_fuse},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (pith_hf_has_type(step, kinds[i].type)) {
            return kinds[i].read(hf, step);
        }
    }
    return unsupported(hf, pith_hf_type_of(step));
}

/* A Sequence within a Sequence is the same as its steps in its place. */
static pith_status read_section(pith_hf *hf, pith_json section) {
    pith_hf_steps steps = pith_hf_steps_of(section, "decoders");
    pith_status status = PITH_OK;
    while (status == PITH_OK && pith_hf_next_step(&steps)) {
        bool nested = pith_hf_has_type(steps.step, "Sequence");
        status = nested ? read_section(hf, steps.step) : read_step(hf, steps.step);
    }
    return status;
}

/* Behind Fuse only the beginning of the text can be stripped while tokens come. */
static pith_status check_fused(pith_hf *hf) {
    size_t n = 0;
    bool fused = false;
    size_t n_behind = 0;
    for (size_t i = 0; i < hf->n_decoder; i++) {
        const pith_decode_step step = hf->decoder[i];
        bool fuse = step.kind == PITH_DECODE_FUSE;
        if (fuse && fused) {
            continue;
        }
        n_behind += fused;
        if (fused && (step.kind != PITH_DECODE_STRIP || step.stop > 0 || n_behind > 1)) {
            return unsupported(hf, "anything behind Fuse but one Strip at the beginning");
        }
        fused = fused || fuse;
        hf->decoder[n++] = step;
    }
    hf->n_decoder = n;
    return PITH_OK;
}

/* True when the file's decoder does what follows from the settings. */
static bool follows_from_settings(const pith_hf *hf) {
    const pith_vocab *s = &hf->settings;
    bool marked = hf->n_normalizer > 0 || s->kind == PITH_TOKENIZER_UNIGRAM;
    for (size_t i = 0; i < hf->n_steps; i++) {
        marked = marked || hf->steps[i].kind == PITH_STEP_MARK;
    }
    bool replace = false;
    bool bytes = false;
    bool strip = false;
    pith_hf_steps steps = pith_hf_steps_of(hf->root.decoder, "decoders");
    while (!marked && pith_hf_next_step(&steps)) {
        pith_json step = steps.step;
        if (pith_hf_is_replacement(step, PITH_SPACE_MARK, " ")) {
            replace = true;
        } else if (pith_hf_has_type(step, "Metaspace") &&
                   pith_json_is_text(pith_json_get(step, "replacement"), PITH_SPACE_MARK)) {
            replace = true;
            strip = !pith_json_is_text(pith_json_get(step, "prepend_scheme"), "never") &&
                    !is_false(pith_json_get(step, "add_prefix_space"));
        } else if (pith_hf_has_type(step, "ByteFallback")) {
            bytes = true;
        } else if (pith_hf_has_type(step, "Strip") &&
                   pith_json_is_text(pith_json_get(step, "content"), " ") &&
                   pith_hf_is_number(pith_json_get(step, "start"), 1) &&
                   pith_hf_is_number(pith_json_get(step, "stop"), 0)) {
            strip = true;
        } else {
            marked = !pith_hf_has_type(step, "Fuse");
        }
    }
    return !marked && replace == s->escape_whitespaces && bytes == s->byte_fallback &&
           strip == s->add_dummy_prefix;
}

static pith_status read_bytewise(const pith_hf *hf) {
    bool byte_level = false;
    pith_hf_steps steps = pith_hf_steps_of(hf->root.decoder, "decoders");
    while (pith_hf_next_step(&steps)) {
        bool is_it = pith_hf_has_type(steps.step, "ByteLevel");
        byte_level = byte_level || is_it;
        if (!is_it && !pith_hf_has_type(steps.step, "Fuse")) {
            return unsupported(hf, pith_hf_type_of(steps.step));
        }
    }
    return byte_level ? PITH_OK : unsupported(hf, "none for byte-level BPE");
}

pith_status pith_hf_read_decoder(pith_hf *hf) {
    if (hf->settings.kind == PITH_TOKENIZER_BYTE_BPE) {
        return read_bytewise(hf);
    }
    if (pith_json_is_none(hf->root.decoder)) {
        return add_step(hf, (pith_decode_step){.kind = PITH_DECODE_JOIN});
    }
    if (follows_from_settings(hf)) {
        return PITH_OK;
    }
    pith_status status = read_section(hf, hf->root.decoder);
    if (status == PITH_OK && hf->n_decoder == 0) {
        status = read_fuse(hf, (pith_json){NULL}); /* an empty list: tokens as they are */
    }
    return status == PITH_OK ? check_fused(hf) : status;
}
