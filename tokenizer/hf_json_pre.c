/* The pre_tokenizer of a tokenizer.json: Metaspace, ByteLevel, or a sequence of steps that cut text
 * into pieces (https://huggingface.co/docs/tokenizers/components). The usual forms become settings
 * or one pattern; any other sequence becomes the list of its steps. */
#include "tokenizer/hf_json.h"

#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/internal.h"

#include <stdio.h>
#include <string.h>

/* The pattern of ByteLevel with use_regex (Radford et al. 2019, section 2.2, as released). */
#define GPT2_PATTERN \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* That pattern behind a pre-tokenizer that isolates digits: numbers are gone, and the end of a
 * stretch between them counts as the end of the text. */
#define GPT2_BESIDE_DIGITS \
    "|'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?![^\\s\\p{N}])|\\s+"

/* What the steps without a pattern of their own look for, as PCRE2. White space is Unicode's, words
 * are those of Rust's regular expressions, punctuation is ASCII's symbols and class P. */
#define WHITE_SPACE "[\\t-\\r\\x{85}\\p{Z}]"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}"
#define WORDS_AND_OTHERS "[" WORD "]+|[^" WORD "\\t-\\r\\x{85}\\p{Z}]+"
#define PUNCTUATION "[!-\\/:-@\\[-`{-~\\p{P}]"

enum { MAX_FIXED_LENGTH = 1000 };

static pith_status unsupported(const pith_hf *hf, const char *what) {
    return pith_hf_unsupported(hf, "pre_tokenizer", what);
}

static pith_status no_memory(const pith_hf *hf) {
    return pith_fail(hf->error, PITH_ERROR_MEMORY, "%s: no memory for the pre-tokenizer", hf->name);
}

static pith_status read_bool(const pith_hf *hf, pith_json step, const char *key, bool fallback,
                             bool *out) {
    return pith_hf_bool(pith_json_get(step, key), key, fallback, hf->name, out, hf->error);
}

/* ---- Metaspace ------------------------------------------------------------------------------- */

static pith_status add_step(pith_hf *hf, pith_split_step step);
static pith_status add_split(pith_hf *hf, const char *pattern, pith_split_behavior behavior,
                             bool invert);

/* Metaspace is one step, or two when it splits. */
static pith_status read_metaspace(pith_hf *hf, pith_json step) {
    bool prefix;
    bool split;
    pith_status status = read_bool(hf, step, "add_prefix_space", true, &prefix);
    if (status == PITH_OK) {
        status = read_bool(hf, step, "split", true, &split);
    }
    if (status != PITH_OK) {
        return status;
    }
    pith_json scheme = pith_json_get(step, "prepend_scheme");
    const char *mark = pith_json_text(pith_json_get(step, "replacement"));
    bool never = pith_json_is_text(scheme, "never") || !prefix;
    bool first = pith_json_is_text(scheme, "first");
    if (!never && !first && !pith_json_is_none(scheme) && !pith_json_is_text(scheme, "always")) {
        return unsupported(hf, "Metaspace with another prepend_scheme");
    }
    for (size_t i = 0; i < hf->n_steps; i++) {
        if (hf->steps[i].kind == PITH_STEP_BYTES) {
            return unsupported(hf, "Metaspace behind ByteLevel");
        }
    }
    if (mark == NULL || *mark == '\0' || mark[pith_utf8_length(*mark)] != '\0') {
        return unsupported(hf, "Metaspace with a replacement that is not one character");
    }
    pith_split_step words = {PITH_STEP_MARK, mark, PITH_SPLIT_MERGED_WITH_NEXT, false,
                             never   ? PITH_MARK_NEVER
                             : first ? PITH_MARK_FIRST
                                     : PITH_MARK_ALWAYS};
    status = add_step(hf, words);
    if (status == PITH_OK && split) {
        pith_bytes pattern;
        pith_bytes_init(&pattern, hf->allocator);
        status = pith_hf_literal(hf, mark, strlen(mark), &pattern);
        if (status == PITH_OK) {
            status = add_split(hf, pattern.data, PITH_SPLIT_MERGED_WITH_NEXT, false);
        }
        pith_bytes_release(&pattern);
    }
    return status;
}

/* For BPE, alone and with U+2581, it becomes settings, and the step added for it is removed
 * again. */
static pith_status read_lone_metaspace(pith_hf *hf, pith_json step) {
    pith_status status = read_metaspace(hf, step);
    bool usual = status == PITH_OK && !hf->has_normalizer &&
                 hf->settings.kind == PITH_TOKENIZER_LLAMA_BPE &&
                 pith_json_is_text(pith_json_get(step, "replacement"), PITH_SPACE_MARK);
    if (!usual) {
        return status;
    }
    pith_bytes *texts = &hf->texts[PITH_HF_PRE_TOKENIZER];
    pith_mark_scheme scheme = hf->steps[0].scheme;
    hf->settings.escape_whitespaces = true;
    hf->settings.add_dummy_prefix = scheme != PITH_MARK_NEVER;
    hf->settings.prefix_first_only = scheme == PITH_MARK_FIRST;
    hf->settings.prefix_unless_space = scheme != PITH_MARK_NEVER;
    texts->size -= PITH_SPACE_MARK_BYTES + 1;
    memmove(texts->data, texts->data + PITH_SPACE_MARK_BYTES + 1, texts->size);
    hf->n_steps--;
    memmove(hf->steps, hf->steps + 1, hf->n_steps * sizeof *hf->steps);
    return PITH_OK;
}

/* ---- One pattern ----------------------------------------------------------------------------- */

static pith_status add_pattern(pith_hf *hf, const char *regex, size_t n) {
    return pith_pattern_translate(regex, n, hf->name, &hf->pattern, hf->error);
}

/* A Split that isolates the matches of an expression. */
static bool is_plain_split(pith_json step) {
    bool invert = false;
    pith_json regex = pith_json_get(pith_json_get(step, "pattern"), "Regex");
    pith_json_bool(pith_json_get(step, "invert"), &invert);
    return pith_hf_has_type(step, "Split") && pith_json_is(regex, PITH_JSON_STRING) && !invert &&
           pith_json_is_text(pith_json_get(step, "behavior"), "Isolated");
}

/* Adds the pattern. When it can match an empty text, where it would still cut, it is not added and
 * *done is false. */
static pith_status add_nonempty(pith_hf *hf, const char *regex, size_t n, bool *done) {
    pith_splitter *splitter = NULL;
    pith_status status = add_pattern(hf, regex, n);
    if (status == PITH_OK) {
        status = hf->pattern.size > 0
                     ? pith_splitter_new(&splitter, hf->pattern.data, hf->allocator, hf->error)
                     : unsupported(hf, "Split by an empty Regex");
    }
    if (status == PITH_OK && pith_splitter_matches_empty(splitter)) {
        hf->pattern.size = 0;
        *done = false;
    }
    pith_splitter_free(splitter);
    return status;
}

/* The forms of GPT-2, Llama 3, Qwen2 and StarCoder: ByteLevel, alone or behind one step (`first`)
 * that has already cut the text. *done is false when it is another one. */
static pith_status read_usual_form(pith_hf *hf, pith_json first, pith_json last, bool *done) {
    bool use_regex;
    bool prefix;
    bool individual = false;
    pith_status status = read_bool(hf, last, "use_regex", true, &use_regex);
    if (status == PITH_OK) {
        status = read_bool(hf, last, "add_prefix_space", true, &prefix);
    }
    if (status == PITH_OK) {
        status = read_bool(hf, first, "individual_digits", false, &individual);
    }
    if (status != PITH_OK) {
        return status;
    }
    *done = true;
    if (first.at == NULL && !(prefix && hf->has_normalizer)) {
        hf->settings.add_prefix_space = prefix;
        return use_regex ? add_pattern(hf, GPT2_PATTERN, strlen(GPT2_PATTERN)) : PITH_OK;
    }
    if (is_plain_split(first) && !use_regex && !prefix) {
        pith_json regex = pith_json_get(pith_json_get(first, "pattern"), "Regex");
        return add_nonempty(hf, pith_json_text(regex), pith_json_text_size(regex), done);
    }
    if (pith_hf_has_type(first, "Digits") && use_regex && !prefix) {
        const char *digits = individual ? "\\p{N}" : "\\p{N}+";
        status = add_pattern(hf, digits, strlen(digits));
        return status == PITH_OK ? add_pattern(hf, GPT2_BESIDE_DIGITS, strlen(GPT2_BESIDE_DIGITS))
                                 : status;
    }
    *done = false;
    return PITH_OK;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* Appends a step; its pattern is copied. */
static pith_status add_step(pith_hf *hf, pith_split_step step) {
    if (hf->n_steps == PITH_VOCAB_MAX_STEPS) {
        return pith_fail(hf->error, PITH_ERROR_UNSUPPORTED,
                         "%s: pre_tokenizer: more than %d steps are not supported", hf->name,
                         PITH_VOCAB_MAX_STEPS);
    }
    pith_split_step *steps =
        pith_reallocate(hf->allocator, hf->steps, hf->n_steps + 1, sizeof *hf->steps);
    if (steps == NULL) {
        return no_memory(hf);
    }
    hf->steps = steps;
    if (step.pattern != NULL && !pith_bytes_append(&hf->texts[PITH_HF_PRE_TOKENIZER], step.pattern,
                                                   strlen(step.pattern) + 1)) {
        return no_memory(hf);
    }
    hf->steps[hf->n_steps++] = step;
    return PITH_OK;
}

static pith_status add_split(pith_hf *hf, const char *pattern, pith_split_behavior behavior,
                             bool invert) {
    return add_step(hf, (pith_split_step){.kind = PITH_STEP_SPLIT,
                                          .pattern = pattern,
                                          .behavior = behavior,
                                          .invert = invert});
}

static pith_status read_behavior(const pith_hf *hf, pith_json step, const char *fallback,
                                 pith_split_behavior *out) {
    static const char *const names[] = {
        [PITH_SPLIT_ISOLATED] = "Isolated",
        [PITH_SPLIT_REMOVED] = "Removed",
        [PITH_SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [PITH_SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
        [PITH_SPLIT_CONTIGUOUS] = "Contiguous",
    };
    pith_json behavior = pith_json_get(step, "behavior");
    const char *text = pith_json_is_none(behavior) ? fallback : pith_json_text(behavior);
    for (size_t i = 0; text != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (pith_split_behavior)i;
            return PITH_OK;
        }
    }
    return unsupported(hf, "a step with an unknown behavior");
}

static pith_status read_split(pith_hf *hf, pith_json step) {
    bool invert;
    pith_split_behavior behavior = PITH_SPLIT_ISOLATED;
    pith_bytes pattern;
    pith_bytes_init(&pattern, hf->allocator);
    pith_status status = read_bool(hf, step, "invert", false, &invert);
    if (status == PITH_OK) {
        status = read_behavior(hf, step, "", &behavior);
    }
    if (status == PITH_OK) {
        status =
            pith_hf_read_pattern(hf, "pre_tokenizer", pith_json_get(step, "pattern"), &pattern);
    }
    if (status == PITH_OK) {
        status = add_split(hf, pattern.data, behavior, invert);
    }
    pith_bytes_release(&pattern);
    return status;
}

static pith_status read_digits(pith_hf *hf, pith_json step) {
    bool individual;
    pith_status status = read_bool(hf, step, "individual_digits", false, &individual);
    return status == PITH_OK
               ? add_split(hf, "\\p{N}", individual ? PITH_SPLIT_ISOLATED : PITH_SPLIT_CONTIGUOUS,
                           false)
               : status;
}

static pith_status read_punctuation(pith_hf *hf, pith_json step) {
    pith_split_behavior behavior = PITH_SPLIT_ISOLATED;
    pith_status status = read_behavior(hf, step, "Isolated", &behavior);
    return status == PITH_OK ? add_split(hf, PUNCTUATION, behavior, false) : status;
}

static pith_status read_whitespace(pith_hf *hf, pith_json step) {
    (void)step;
    return add_split(hf, WORDS_AND_OTHERS, PITH_SPLIT_REMOVED, true);
}

static pith_status read_whitespace_split(pith_hf *hf, pith_json step) {
    (void)step;
    return add_split(hf, WHITE_SPACE, PITH_SPLIT_REMOVED, false);
}

static pith_status read_bert(pith_hf *hf, pith_json step) {
    pith_status status = read_whitespace_split(hf, step);
    return status == PITH_OK ? add_split(hf, PUNCTUATION, PITH_SPLIT_ISOLATED, false) : status;
}

static pith_status read_delimiter(pith_hf *hf, pith_json step) {
    pith_json delimiter = pith_json_get(step, "delimiter");
    const char *text = pith_json_text(delimiter);
    if (text == NULL || *text == '\0' || strlen(text) != pith_json_text_size(delimiter)) {
        return unsupported(hf, "CharDelimiterSplit without a delimiter");
    }
    pith_bytes pattern;
    pith_bytes_init(&pattern, hf->allocator);
    pith_status status = pith_hf_literal(hf, text, strlen(text), &pattern);
    if (status == PITH_OK) {
        status = add_split(hf, pattern.data, PITH_SPLIT_REMOVED, false);
    }
    pith_bytes_release(&pattern);
    return status;
}

static pith_status read_fixed_length(pith_hf *hf, pith_json step) {
    char pattern[32];
    pith_json length = pith_json_get(step, "length");
    size_t n = 5;
    if (!pith_json_is_none(length) && !pith_json_count(length, &n)) {
        n = 0;
    }
    if (n == 0 || n > MAX_FIXED_LENGTH) {
        return unsupported(hf, "FixedLength of this length");
    }
    snprintf(pattern, sizeof pattern, "(?s:.{1,%zu})", n);
    return add_split(hf, pattern, PITH_SPLIT_ISOLATED, false);
}

/* ByteLevel among other steps; `more`: steps follow, which see the byte alphabet. */
static pith_status read_byte_level(pith_hf *hf, pith_json step, bool more) {
    bool use_regex;
    bool prefix;
    pith_status status = read_bool(hf, step, "use_regex", true, &use_regex);
    if (status == PITH_OK) {
        status = read_bool(hf, step, "add_prefix_space", true, &prefix);
    }
    if (status == PITH_OK && prefix) {
        status = add_step(hf, (pith_split_step){.kind = PITH_STEP_SPACE});
    }
    if (status == PITH_OK && use_regex) {
        pith_bytes pattern;
        pith_bytes_init(&pattern, hf->allocator);
        status = pith_pattern_translate(GPT2_PATTERN, sizeof GPT2_PATTERN - 1, hf->name, &pattern,
                                        hf->error);
        if (status == PITH_OK && !pith_bytes_append(&pattern, "", 1)) {
            status = no_memory(hf);
        }
        if (status == PITH_OK) {
            status = add_split(hf, pattern.data, PITH_SPLIT_ISOLATED, false);
        }
        pith_bytes_release(&pattern);
    }
    return status == PITH_OK && more ? add_step(hf, (pith_split_step){.kind = PITH_STEP_BYTES})
                                     : status;
}

static pith_status read_step(pith_hf *hf, pith_json step) {
    static const struct {
        const char *type;
        pith_status (*read)(pith_hf *hf, pith_json step);
    } kinds[] = {
        {"Split", read_split},
        {"Digits", read_digits},
        {"Punctuation", read_punctuation},
        {"Whitespace", read_whitespace},
        {"WhitespaceSplit", read_whitespace_split},
        {"BertPreTokenizer", read_bert},
        {"CharDelimiterSplit", read_delimiter},
        {"FixedLength", read_fixed_length},
        {"Metaspace", read_metaspace},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (pith_hf_has_type(step, kinds[i].type)) {
            return kinds[i].read(hf, step);
        }
    }
    return unsupported(hf, pith_hf_type_of(step));
}

/* A Sequence within a Sequence is the same as its steps in its place, except for ByteLevel, which
 * would need to know the steps that follow. */
static pith_status read_nested(pith_hf *hf, pith_json section) {
    pith_hf_steps all = pith_hf_steps_of(section, "pretokenizers");
    pith_status status = PITH_OK;
    while (status == PITH_OK && pith_hf_next_step(&all)) {
        bool nested = pith_hf_has_type(all.step, "Sequence");
        status = nested ? read_nested(hf, all.step) : read_step(hf, all.step);
    }
    return status;
}

static pith_status read_steps(pith_hf *hf) {
    pith_hf_steps all = pith_hf_steps_of(hf->root.pre_tokenizer, "pretokenizers");
    bool byte_level = false;
    bool more = pith_hf_next_step(&all);
    pith_status status = PITH_OK;
    while (status == PITH_OK && more) {
        pith_json step = all.step;
        more = pith_hf_next_step(&all);
        if (pith_hf_has_type(step, "Sequence")) {
            status = read_nested(hf, step);
        } else if (!pith_hf_has_type(step, "ByteLevel")) {
            status = read_step(hf, step);
        } else if (byte_level) {
            status = unsupported(hf, "ByteLevel twice");
        } else if (hf->settings.kind == PITH_TOKENIZER_UNIGRAM) {
            status = unsupported(hf, "ByteLevel for Unigram");
        } else {
            byte_level = true;
            status = read_byte_level(hf, step, more);
        }
    }
    return status;
}

pith_status pith_hf_read_pre_tokenizer(pith_hf *hf) {
    pith_hf_steps all = pith_hf_steps_of(hf->root.pre_tokenizer, "pretokenizers");
    pith_json steps[3];
    size_t n = 0;
    while (n < 3 && pith_hf_next_step(&all)) {
        steps[n++] = all.step;
    }
    pith_json last = n > 0 ? steps[n - 1] : (pith_json){NULL};
    pith_json first = n == 2 ? steps[0] : (pith_json){NULL};
    bool done = false;
    pith_status status = PITH_OK;
    if (n == 1 && pith_hf_has_type(last, "Metaspace")) {
        return read_lone_metaspace(hf, last);
    }
    if ((n == 1 || n == 2) && pith_hf_has_type(last, "ByteLevel") &&
        hf->settings.kind == PITH_TOKENIZER_BYTE_BPE) {
        status = read_usual_form(hf, first, last, &done);
    }
    return status == PITH_OK && !done ? read_steps(hf) : status;
}
