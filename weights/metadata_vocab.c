/* The section "tokenizer" of a .pith file's metadata: the settings of a vocabulary to JSON, and
 * JSON, checked, to the settings. docs/format.md lists the keys. */
#include "weights/metadata_vocab.h"

#include "base/status.h"
#include "families/fields.h"
#include "weights/metadata_steps.h"

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
    {"single_precision", PITH_FIELD_FLAG, offsetof(pith_vocab, single_precision), 0},
};

/* Counts that are 0 in older files, and written only when they are not. */
static const pith_field later_counts[] = {
    {"n_charsmap", PITH_FIELD_COUNT, offsetof(pith_vocab, n_charsmap), PITH_VOCAB_MAX_CHARSMAP},
    {"pair_form", PITH_FIELD_COUNT, offsetof(pith_vocab, pair_form), PITH_PAIR_JOINED},
};

/* Equal to prefix_first_only in older files, and written only when it differs. */
static const pith_field unless_space_field = {"prefix_unless_space", PITH_FIELD_FLAG,
                                              offsetof(pith_vocab, prefix_unless_space), 0};

static const char *const kind_names[] = {
    [PITH_TOKENIZER_SENTENCEPIECE] = "sentencepiece",
    [PITH_TOKENIZER_LLAMA_BPE] = "llama_bpe",
    [PITH_TOKENIZER_BYTE_BPE] = "byte_bpe",
    [PITH_TOKENIZER_WORDPIECE] = "wordpiece",
    [PITH_TOKENIZER_UNIGRAM] = "unigram",
};

enum {
    N_VOCAB_FIELDS = sizeof vocab_fields / sizeof *vocab_fields,
    N_LATER_FIELDS = sizeof later_vocab_fields / sizeof *later_vocab_fields,
    N_LATER_COUNTS = sizeof later_counts / sizeof *later_counts,
    N_KIND_NAMES = sizeof kind_names / sizeof *kind_names,
};

int pith_vocab_format_version(const pith_vocab *vocab) {
    bool later = vocab->kind == PITH_TOKENIZER_UNIGRAM || vocab->n_normalizer > 0 ||
                 vocab->n_decoder > 0 || vocab->n_charsmap > 0 ||
                 vocab->pair_form != PITH_PAIR_SEPARATED || vocab->n_after_bos > 0 ||
                 vocab->n_before_eos > 0;
    for (size_t i = 0; i < vocab->n_steps; i++) {
        later = later || vocab->steps[i].kind == PITH_STEP_MARK;
    }
    return later ? 2 : 1;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void write_later_fields(const pith_vocab *vocab, pith_json_writer *to) {
    for (size_t i = 0; i < N_LATER_FIELDS; i++) {
        const pith_field *field = &later_vocab_fields[i];
        if (*(const bool *)((const char *)vocab + field->offset)) {
            pith_fields_write(field, 1, vocab, to);
        }
    }
    if (vocab->prefix_unless_space != vocab->prefix_first_only) {
        pith_fields_write(&unless_space_field, 1, vocab, to);
    }
    for (size_t i = 0; i < N_LATER_COUNTS; i++) {
        if (*(const size_t *)(const void *)((const char *)vocab + later_counts[i].offset) > 0) {
            pith_fields_write(&later_counts[i], 1, vocab, to);
        }
    }
}

/* A list of ids, unless it is empty. */
static void write_ids(const char *key, const int32_t *ids, size_t n, pith_json_writer *to) {
    if (n > 0) {
        pith_json_open(to, key, '[');
        for (size_t i = 0; i < n; i++) {
            pith_json_put_integer(to, NULL, ids[i]);
        }
        pith_json_close(to, ']');
    }
}

void pith_vocab_settings_write(const pith_vocab *vocab, pith_json_writer *to) {
    pith_json_put_text(to, "kind", kind_names[vocab->kind]);
    pith_fields_write(vocab_fields, N_VOCAB_FIELDS, vocab, to);
    write_later_fields(vocab, to);
    write_ids("after_bos", vocab->after_bos, vocab->n_after_bos, to);
    write_ids("before_eos", vocab->before_eos, vocab->n_before_eos, to);
    if (vocab->pattern != NULL) {
        pith_json_put_text(to, "pattern", vocab->pattern);
    }
    pith_vocab_steps_write(vocab, to);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* What messages need. */
typedef struct place {
    const char *where;
    pith_error *error;
} place;

static pith_status bad_key(const place *p, const char *key, const char *what) {
    return pith_fail(p->error, PITH_ERROR_FORMAT, "%s: metadata %s is missing or not %s", p->where,
                     key, what);
}

/* A list of ids of pieces, or no such key. */
static bool read_ids(pith_json object, const char *key, int64_t n_pieces, int32_t *ids, size_t *n) {
    pith_json list = pith_json_get(object, key);
    size_t count = pith_json_size(list);
    *n = 0;
    if (list.at == NULL) {
        return true;
    }
    if (!pith_json_is(list, PITH_JSON_ARRAY) || count > PITH_VOCAB_MAX_AROUND) {
        return false;
    }
    pith_json_walk walk = pith_json_begin(list);
    while (pith_json_next(&walk)) {
        int64_t id;
        if (!pith_json_integer(walk.value, &id) || id < 0 || id >= n_pieces) {
            return false;
        }
        ids[(*n)++] = (int32_t)id;
    }
    return true;
}

static bool is_text_or_absent(pith_json object, const char *key, const char **out) {
    pith_json value = pith_json_get(object, key);
    *out = pith_json_text(value);
    return value.at == NULL || *out != NULL;
}

static pith_status read_later_fields(const place *p, pith_vocab *vocab, pith_json object) {
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < N_LATER_FIELDS; i++) {
        const pith_field *field = &later_vocab_fields[i];
        if (pith_json_get(object, field->key).at != NULL) {
            status = pith_fields_read(field, 1, vocab, object, p->where, "tokenizer", p->error);
        }
    }
    for (size_t i = 0; status == PITH_OK && i < N_LATER_COUNTS; i++) {
        const pith_field *field = &later_counts[i];
        if (pith_json_get(object, field->key).at != NULL) {
            status = pith_fields_read(field, 1, vocab, object, p->where, "tokenizer", p->error);
        }
    }
    vocab->prefix_unless_space = vocab->prefix_first_only;
    if (status == PITH_OK && pith_json_get(object, unless_space_field.key).at != NULL) {
        status = pith_fields_read(&unless_space_field, 1, vocab, object, p->where, "tokenizer",
                                  p->error);
    }
    return status;
}

pith_status pith_vocab_settings_read(pith_vocab *vocab, pith_vocab_lists *lists, pith_json object,
                                     const char *where, const pith_allocator *allocator,
                                     pith_error *error) {
    const place in = {where, error};
    const place *p = &in;
    if (object.at == NULL) {
        vocab->bos = vocab->eos = vocab->unk = -1;
        return PITH_OK;
    }
    size_t kind = pith_find_name(object, "kind", kind_names, N_KIND_NAMES);
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
    if (!read_ids(object, "after_bos", n, vocab->after_bos, &vocab->n_after_bos) ||
        !read_ids(object, "before_eos", n, vocab->before_eos, &vocab->n_before_eos)) {
        return bad_key(p, "tokenizer.after_bos or before_eos", "a list of at most 7 ids of pieces");
    }
    if (!is_text_or_absent(object, "pattern", &vocab->pattern)) {
        return bad_key(p, "tokenizer.pattern", "a string");
    }
    return pith_vocab_steps_read(vocab, lists, object, where, allocator, error);
}
