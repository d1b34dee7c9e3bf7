/* The pipeline of a BERT tokenizer.json: BertNormalizer, BertPreTokenizer, a WordPiece model, the
 * WordPiece decoder, and [CLS] and [SEP] around the text by TemplateProcessing or BertProcessing.
 * Whatever else would change ids or text is refused by name; truncation and padding are left to the
 * embedding functions. */
#include "tokenizer/hf_json.h"

#include "base/status.h"

#define PREFIX "##" /* of a piece that continues a word */

enum { DEFAULT_WORD_CHARS = 100 };

/* The only step of a section; UNSUPPORTED when there is none, more than one, or one of another
 * type. */
static pith_status only_step(const pith_hf *hf, const char *name, pith_json section,
                             const char *list_key, const char *type, pith_json *out) {
    pith_hf_steps steps = pith_hf_steps_of(section, list_key);
    if (!pith_hf_next_step(&steps)) {
        return pith_hf_unsupported(hf, name, "none for WordPiece");
    }
    pith_json step = steps.step;
    if (!pith_hf_has_type(step, type)) {
        return pith_hf_unsupported(hf, name, pith_hf_type_of(step));
    }
    if (pith_hf_next_step(&steps)) {
        return pith_hf_unsupported(hf, name, pith_hf_type_of(steps.step));
    }
    *out = step;
    return PITH_OK;
}

static pith_status read_model(pith_hf *hf) {
    const pith_hf_model *m = &hf->model;
    pith_json prefix = m->continuing_subword_prefix;
    pith_json longest = m->max_input_chars_per_word;
    if (prefix.at != NULL && !pith_json_is_text(prefix, PREFIX)) {
        return pith_hf_unsupported(hf, "model", "WordPiece with another prefix than " PREFIX);
    }
    if (!pith_json_is(m->unk_token, PITH_JSON_STRING)) {
        return pith_hf_malformed(hf, "model", "WordPiece without unk_token");
    }
    hf->settings.max_word_chars = DEFAULT_WORD_CHARS;
    if (longest.at != NULL) {
        size_t n;
        if (!pith_json_count(longest, &n) || n < 1) {
            return pith_hf_malformed(hf, "model",
                                     "max_input_chars_per_word is not a positive number");
        }
        if (n > PITH_VOCAB_MAX_WORD_CHARS) {
            return pith_hf_unsupported(hf, "model", "WordPiece with words over 1024 characters");
        }
        hf->settings.max_word_chars = n;
    }
    return PITH_OK;
}

static pith_status read_normalizer(pith_hf *hf) {
    if (pith_json_is_none(hf->root.normalizer)) {
        return PITH_OK; /* text is taken as it is */
    }
    pith_json step;
    pith_status status =
        only_step(hf, "normalizer", hf->root.normalizer, "normalizers", "BertNormalizer", &step);
    if (status != PITH_OK) {
        return status;
    }
    hf->has_normalizer = true;
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        {"clean_text", &hf->settings.clean_text},
        {"handle_chinese_chars", &hf->settings.split_cjk},
        {"lowercase", &hf->settings.lowercase},
    };
    for (size_t i = 0; status == PITH_OK && i < sizeof flags / sizeof flags[0]; i++) {
        status = pith_hf_bool(pith_json_get(step, flags[i].key), flags[i].key, true, hf->name,
                              flags[i].flag, hf->error);
    }
    if (status == PITH_OK) {
        status =
            pith_hf_bool(pith_json_get(step, "strip_accents"), "strip_accents",
                         hf->settings.lowercase, hf->name, &hf->settings.strip_accents, hf->error);
    }
    return status;
}

static pith_status check_decoder(pith_hf *hf) {
    pith_json step;
    pith_status status = only_step(hf, "decoder", hf->root.decoder, "decoders", "WordPiece", &step);
    bool clean = true;
    if (status == PITH_OK) {
        status = pith_hf_bool(pith_json_get(step, "cleanup"), "cleanup", true, hf->name, &clean,
                              hf->error);
    }
    if (status != PITH_OK) {
        return status;
    }
    pith_json prefix = pith_json_get(step, "prefix");
    if (prefix.at != NULL && !pith_json_is_text(prefix, PREFIX)) {
        return pith_hf_unsupported(hf, "decoder", "WordPiece with another prefix than " PREFIX);
    }
    return clean ? PITH_OK : pith_hf_unsupported(hf, "decoder", "WordPiece without cleanup");
}

pith_status pith_hf_read_bert(pith_hf *hf) {
    pith_json step;
    pith_status status = read_model(hf);
    if (status == PITH_OK) {
        status = read_normalizer(hf);
    }
    if (status == PITH_OK) {
        status = only_step(hf, "pre_tokenizer", hf->root.pre_tokenizer, "pretokenizers",
                           "BertPreTokenizer", &step);
    }
    return status == PITH_OK ? check_decoder(hf) : status;
}

/* ---- Post-processor -------------------------------------------------------------------------- */

/* One place of a template: a special token (sequence NULL) or a text, and its token type. */
typedef struct place {
    const char *sequence;
    int64_t type_id;
} place;

/* Compares a template with BERT's; stores the ids of its special tokens in `ids`, in order. */
static pith_status match_template(const pith_hf *hf, pith_json template, const char *key,
                                  const place *places, size_t n, int32_t *ids) {
    pith_json items = pith_hf_array(pith_json_get(template, key));
    bool same = pith_json_size(items) == n;
    size_t n_ids = 0;
    for (size_t i = 0; i < n && same; i++) {
        pith_json item = pith_json_at(items, i);
        pith_json token = pith_json_get(item, "SpecialToken");
        pith_json sequence = pith_json_get(item, "Sequence");
        pith_json found = places[i].sequence != NULL ? sequence : token;
        same =
            found.at != NULL &&
            pith_hf_is_number(pith_json_get(found, "type_id"), places[i].type_id) &&
            (token.at != NULL || pith_json_is_text(pith_json_get(found, "id"), places[i].sequence));
        if (same && token.at != NULL) {
            pith_status status = pith_hf_template_id(hf, template, token, &ids[n_ids++]);
            if (status != PITH_OK) {
                return status;
            }
        }
    }
    return same ? PITH_OK
                : pith_hf_unsupported(hf, "post_processor",
                                      "TemplateProcessing unlike [CLS] A [SEP] B [SEP]");
}

static pith_status read_template(pith_hf *hf, pith_json template) {
    static const place single[] = {{NULL, 0}, {"A", 0}, {NULL, 0}};
    static const place pair[] = {{NULL, 0}, {"A", 0}, {NULL, 0}, {"B", 1}, {NULL, 1}};
    int32_t one[3] = {-1, -1, -1};
    int32_t two[5] = {-1, -1, -1, -1, -1};
    pith_status status = match_template(hf, template, "single", single, 3, one);
    if (status == PITH_OK) {
        status = match_template(hf, template, "pair", pair, 5, two);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (two[0] != one[0] || two[1] != one[1] || two[2] != one[1]) {
        return pith_hf_unsupported(hf, "post_processor",
                                   "TemplateProcessing with other tokens for pairs");
    }
    hf->settings.bos = one[0];
    hf->settings.eos = one[1];
    return PITH_OK;
}

/* BertProcessing and RobertaProcessing, which MPNet has, too: "cls" and "sep" are ["[CLS]", 101].
 */
static pith_status read_processing(pith_hf *hf, pith_json step) {
    const struct {
        const char *key;
        int32_t *id;
    } tokens[] = {{"cls", &hf->settings.bos}, {"sep", &hf->settings.eos}};
    for (size_t i = 0; i < 2; i++) {
        if (!pith_hf_read_id(hf, pith_json_at(pith_json_get(step, tokens[i].key), 1),
                             tokens[i].id)) {
            return pith_hf_malformed(hf, "post_processor",
                                     "\"cls\" or \"sep\" has no id in the vocabulary");
        }
    }
    return PITH_OK;
}

pith_status pith_hf_read_bert_post_processor(pith_hf *hf) {
    pith_json section = hf->root.post_processor;
    pith_hf_steps steps = pith_hf_steps_of(section, "processors");
    bool any = pith_hf_next_step(&steps);
    bool roberta = any && pith_hf_has_type(steps.step, "RobertaProcessing");
    bool old = any && (roberta || pith_hf_has_type(steps.step, "BertProcessing"));
    pith_json step;
    pith_status status = only_step(hf, "post_processor", section, "processors",
                                   roberta ? "RobertaProcessing"
                                   : old   ? "BertProcessing"
                                           : "TemplateProcessing",
                                   &step);
    if (status != PITH_OK) {
        return status;
    }
    hf->settings.add_bos = true;
    hf->settings.pair_form = roberta ? PITH_PAIR_DOUBLED : PITH_PAIR_SEPARATED;
    return old ? read_processing(hf, step) : read_template(hf, step);
}
