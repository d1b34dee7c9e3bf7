/* What the readers of the parts of a Hugging Face tokenizer.json share, the kind of its model, and
 * its post_processor (https://huggingface.co/docs/tokenizers/components). Whatever would change ids
 * or text and is not understood is refused by name. */
#include "tokenizer/hf_json.h"

#include "base/status.h"
#include "tokenizer/internal.h"

#include <string.h>

pith_status pith_hf_unsupported(const pith_hf *hf, const char *section, const char *what) {
    return pith_fail(hf->error, PITH_ERROR_UNSUPPORTED, "%s: %s \"%.60s\" is not supported",
                     hf->name, section, what);
}

pith_status pith_hf_malformed(const pith_hf *hf, const char *section, const char *what) {
    return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: %s: %s", hf->name, section, what);
}

pith_status pith_hf_bool(pith_json value, const char *key, bool fallback, const char *name,
                         bool *out, pith_error *error) {
    bool found = fallback;
    if (!pith_json_is_none(value) && !pith_json_bool(value, &found)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: \"%s\" is not true or false", name, key);
    }
    *out = found;
    return PITH_OK;
}

pith_status pith_hf_flags(pith_json token, const char *name, uint8_t *out, pith_error *error) {
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
        pith_status status = pith_hf_bool(pith_json_get(token, flags[i].key), flags[i].key, false,
                                          name, &set, error);
        if (status != PITH_OK) {
            return status;
        }
        all |= set ? flags[i].flag : 0;
    }
    *out = all;
    return PITH_OK;
}

bool pith_hf_is_number(pith_json value, int64_t number) {
    int64_t found;
    return pith_json_integer(value, &found) && found == number;
}

const char *pith_hf_type_of(pith_json component) {
    const char *type = pith_json_text(pith_json_get(component, "type"));
    return type != NULL ? type : "(no type)";
}

bool pith_hf_has_type(pith_json component, const char *type) {
    return pith_json_is_text(pith_json_get(component, "type"), type);
}

bool pith_hf_is_replacement(pith_json step, const char *from, const char *to) {
    pith_json pattern = pith_json_get(pith_json_get(step, "pattern"), "String");
    return pith_hf_has_type(step, "Replace") && pith_json_is_text(pattern, from) &&
           pith_json_is_text(pith_json_get(step, "content"), to);
}

/* Appends a pattern that matches exactly this text. */
static bool append_literal(pith_bytes *out, const char *text, size_t n) {
    bool good = true;
    for (size_t i = 0; good && i < n; i++) {
        good = (strchr("\\^$.|?*+()[]{}#- \t\n\r\f\v", text[i]) == NULL ||
                pith_bytes_append(out, "\\", 1)) &&
               pith_bytes_append(out, text + i, 1);
    }
    return good;
}

pith_status pith_hf_literal(const pith_hf *hf, const char *text, size_t n, pith_bytes *out) {
    return append_literal(out, text, n) && pith_bytes_append(out, "", 1)
               ? PITH_OK
               : pith_fail(hf->error, PITH_ERROR_MEMORY, "%s: no memory for a pattern", hf->name);
}

pith_status pith_hf_read_pattern(const pith_hf *hf, const char *section, pith_json pattern,
                                 pith_bytes *out) {
    pith_json regex = pith_json_get(pattern, "Regex");
    pith_json string = pith_json_get(pattern, "String");
    pith_json text = regex.at != NULL ? regex : string;
    size_t n = pith_json_text_size(text);
    if (!pith_json_is(text, PITH_JSON_STRING) || n == 0 || strlen(pith_json_text(text)) != n) {
        return pith_hf_unsupported(hf, section, "a pattern that is neither a Regex nor a String");
    }
    if (regex.at == NULL) {
        return pith_hf_literal(hf, pith_json_text(string), n, out);
    }
    pith_status status = pith_pattern_translate(pith_json_text(regex), n, hf->name, out, hf->error);
    if (status == PITH_OK && !pith_bytes_append(out, "", 1)) {
        return pith_fail(hf->error, PITH_ERROR_MEMORY, "%s: no memory for a pattern", hf->name);
    }
    return status;
}

pith_json pith_hf_array(pith_json value) {
    return pith_json_is(value, PITH_JSON_ARRAY) ? value : (pith_json){NULL};
}

pith_hf_steps pith_hf_steps_of(pith_json section, const char *list_key) {
    if (pith_hf_has_type(section, "Sequence")) {
        pith_json list = pith_hf_array(pith_json_get(section, list_key));
        return (pith_hf_steps){.walk = pith_json_begin(list)};
    }
    return (pith_hf_steps){.single = pith_json_is_none(section) ? (pith_json){NULL} : section};
}

bool pith_hf_next_step(pith_hf_steps *steps) {
    if (steps->single.at != NULL) {
        steps->step = steps->single;
        steps->single.at = NULL;
        return true;
    }
    bool found = pith_json_next(&steps->walk);
    steps->step = steps->walk.value;
    return found;
}

/* ---- The parts ------------------------------------------------------------------------------- */

typedef struct member {
    const char *key;
    pith_json *value;
} member;

static void find_members(pith_json object, const member *members, size_t n) {
    pith_json_walk walk = pith_json_begin(object);
    while (pith_json_next(&walk) && walk.key != NULL) {
        for (size_t i = 0; i < n; i++) {
            if (strcmp(members[i].key, walk.key) == 0) {
                *members[i].value = walk.value;
            }
        }
    }
}

void pith_hf_find_parts(pith_hf *hf, pith_json document) {
    pith_hf_root *r = &hf->root;
    pith_hf_model *m = &hf->model;
    const member in_root[] = {
        {"model", &r->model},
        {"normalizer", &r->normalizer},
        {"pre_tokenizer", &r->pre_tokenizer},
        {"post_processor", &r->post_processor},
        {"decoder", &r->decoder},
        {"added_tokens", &r->added_tokens},
    };
    const member in_model[] = {
        {"type", &m->type},
        {"vocab", &m->vocab},
        {"merges", &m->merges},
        {"unk_token", &m->unk_token},
        {"unk_id", &m->unk_id},
        {"dropout", &m->dropout},
        {"byte_fallback", &m->byte_fallback},
        {"fuse_unk", &m->fuse_unk},
        {"ignore_merges", &m->ignore_merges},
        {"continuing_subword_prefix", &m->continuing_subword_prefix},
        {"end_of_word_suffix", &m->end_of_word_suffix},
        {"max_input_chars_per_word", &m->max_input_chars_per_word},
    };
    find_members(document, in_root, sizeof in_root / sizeof in_root[0]);
    find_members(r->model, in_model, sizeof in_model / sizeof in_model[0]);
}

/* ---- Kind ------------------------------------------------------------------------------------ */

pith_status pith_hf_read_kind(pith_hf *hf) {
    const pith_hf_model *m = &hf->model;
    bool typed = m->type.at != NULL;
    /* Files older than tokenizers 0.9 do not name the type of the model. */
    bool bpe = typed ? pith_json_is_text(m->type, "BPE") : m->merges.at != NULL;
    bool wordpiece = typed ? pith_json_is_text(m->type, "WordPiece")
                           : !bpe && m->max_input_chars_per_word.at != NULL;
    if (wordpiece) {
        hf->settings.kind = PITH_TOKENIZER_WORDPIECE;
        return PITH_OK;
    }
    if (pith_json_is_text(m->type, "Unigram")) {
        hf->settings.kind = PITH_TOKENIZER_UNIGRAM;
        return PITH_OK;
    }
    if (!bpe) {
        const char *type = pith_json_text(m->type);
        return pith_hf_unsupported(hf, "model", type != NULL ? type : "(no type)");
    }
    hf->settings.kind = PITH_TOKENIZER_LLAMA_BPE;
    pith_hf_steps steps = pith_hf_steps_of(hf->root.pre_tokenizer, "pretokenizers");
    while (pith_hf_next_step(&steps)) {
        if (pith_hf_has_type(steps.step, "ByteLevel")) {
            hf->settings.kind = PITH_TOKENIZER_BYTE_BPE;
        }
    }
    return PITH_OK;
}

/* ---- Post-processor -------------------------------------------------------------------------- */

bool pith_hf_read_id(const pith_hf *hf, pith_json value, int32_t *out) {
    size_t id;
    if (!pith_json_count(value, &id) || id >= hf->n_pieces) {
        return false;
    }
    *out = (int32_t)id;
    return true;
}

pith_status pith_hf_template_id(const pith_hf *hf, pith_json template, pith_json token,
                                int32_t *out) {
    const char *name = pith_json_text(pith_json_get(token, "id"));
    pith_json entry = {NULL};
    if (name != NULL) {
        entry = pith_json_get(pith_json_get(template, "special_tokens"), name);
    }
    pith_json ids = pith_json_get(entry, "ids");
    if (pith_json_size(ids) != 1 || !pith_hf_read_id(hf, pith_json_at(ids, 0), out)) {
        return pith_hf_malformed(hf, "post_processor",
                                 "a special token has no id in the vocabulary");
    }
    return PITH_OK;
}

/* Finds what "pair" has between its two texts, where tokens stand behind a text at all: the same
 * tokens, none, or, of a single token, two. Nothing else is supported. */
static pith_status read_pair_form(pith_hf *hf, pith_json template, size_t n_after) {
    pith_json pair = pith_hf_array(pith_json_get(template, "pair"));
    pith_json_walk walk = pith_json_begin(pair);
    size_t n = 0;
    size_t n_texts = 0;
    while (pith_json_next(&walk) && n_texts < 2) {
        bool text = pith_json_get(walk.value, "Sequence").at != NULL;
        n_texts += text;
        n += n_texts == 1 && !text;
    }
    bool separated = n_after == 0 || n_texts < 2 || n == n_after;
    if (!separated && n != 0 && n_after > 1) {
        return pith_hf_unsupported(hf, "post_processor",
                                   "TemplateProcessing with other tokens between two texts than "
                                   "behind them");
    }
    hf->settings.pair_form = separated ? PITH_PAIR_SEPARATED
                             : n == 0  ? PITH_PAIR_JOINED
                                       : PITH_PAIR_DOUBLED;
    return PITH_OK;
}

/* Keeps the tokens in front of a text [n_before] and behind it [n_after]. */
static void keep_around(pith_hf *hf, const int32_t *before, size_t n_before, const int32_t *after,
                        size_t n_after) {
    pith_vocab *v = &hf->settings;
    v->add_bos = n_before > 0;
    v->add_eos = n_after > 0;
    if (n_before > 0) {
        v->bos = before[0];
        v->n_after_bos = n_before - 1;
        memcpy(v->after_bos, before + 1, v->n_after_bos * sizeof *before);
    }
    if (n_after > 0) {
        v->eos = after[n_after - 1];
        v->n_before_eos = n_after - 1;
        memcpy(v->before_eos, after, v->n_before_eos * sizeof *after);
    }
}

/* "single": tokens around the text; the first one in front is bos, the last one behind is eos.
 * Together with another step that adds tokens it would be more than one. */
static pith_status read_template(pith_hf *hf, pith_json template) {
    enum { MOST = PITH_VOCAB_MAX_AROUND + 1 };
    pith_json_walk walk = pith_json_begin(pith_hf_array(pith_json_get(template, "single")));
    int32_t ids[2][MOST]; /* in front of the text, behind it */
    size_t n[2] = {0, 0};
    size_t n_texts = 0;
    while (pith_json_next(&walk)) {
        if (pith_json_get(walk.value, "Sequence").at != NULL) {
            n_texts++;
            continue;
        }
        size_t side = n_texts > 0;
        if (n_texts > 1 || n[side] == MOST) {
            return pith_hf_unsupported(hf, "post_processor",
                                       "TemplateProcessing with more than 8 tokens a side");
        }
        pith_status status =
            pith_hf_template_id(hf, template, pith_json_get(walk.value, "SpecialToken"),
                                &ids[side][n[side]++]);
        if (status != PITH_OK) {
            return status;
        }
    }
    if (n_texts == 0) {
        return pith_hf_malformed(hf, "post_processor", "a template without a sequence");
    }
    keep_around(hf, ids[0], n[0], ids[1], n[1]);
    return read_pair_form(hf, template, n[1]);
}

/* BertProcessing and RobertaProcessing: "cls" and "sep" are ["</s>", 2]. */
static pith_status read_cls_and_sep(pith_hf *hf, pith_json step) {
    if (!pith_hf_read_id(hf, pith_json_at(pith_json_get(step, "cls"), 1), &hf->settings.bos) ||
        !pith_hf_read_id(hf, pith_json_at(pith_json_get(step, "sep"), 1), &hf->settings.eos)) {
        return pith_hf_malformed(hf, "post_processor",
                                 "\"cls\" or \"sep\" has no id in the vocabulary");
    }
    hf->settings.add_bos = true;
    hf->settings.add_eos = true;
    hf->settings.pair_form =
        pith_hf_has_type(step, "RobertaProcessing") ? PITH_PAIR_DOUBLED : PITH_PAIR_SEPARATED;
    return PITH_OK;
}

pith_status pith_hf_read_post_processor(pith_hf *hf) {
    pith_hf_steps steps = pith_hf_steps_of(hf->root.post_processor, "processors");
    bool added = false;
    pith_status status = PITH_OK;
    while (status == PITH_OK && pith_hf_next_step(&steps)) {
        pith_json step = steps.step;
        bool template = pith_hf_has_type(step, "TemplateProcessing");
        if (pith_hf_has_type(step, "ByteLevel")) {
            continue; /* it only moves offsets */
        }
        if (!template && !pith_hf_has_type(step, "BertProcessing") &&
            !pith_hf_has_type(step, "RobertaProcessing")) {
            return pith_hf_unsupported(hf, "post_processor", pith_hf_type_of(step));
        }
        if (added) {
            return pith_hf_unsupported(hf, "post_processor", "Sequence that adds tokens twice");
        }
        added = true;
        status = template ? read_template(hf, step) : read_cls_and_sep(hf, step);
    }
    return status;
}
