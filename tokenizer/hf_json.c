/* Turns a Hugging Face tokenizer.json into a vocabulary: the pieces of the model, which a Unigram
 * lists with their log probabilities and the others name with their ids, and the added tokens. The
 * merges are read by hf_json_merges.c, the pipeline around the model by the files after it. */
#include "tokenizer/hf_json.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/internal.h"

#include <string.h>

enum {
    MAX_FILE_BYTES = 256 << 20,
    MAX_GAPS = 1 << 16, /* ids without a token: every one costs memory, but no byte of the file */
};

static pith_status no_memory(const pith_hf *hf) {
    return pith_fail(hf->error, PITH_ERROR_MEMORY, "%s: no memory for the vocabulary", hf->name);
}

/* ---- Vocabulary ------------------------------------------------------------------------------ */

/* Ids of the vocabulary and the added tokens are checked once, by count_pieces. */
static size_t id_of(pith_json id) {
    size_t n = 0;
    pith_json_count(id, &n);
    return n;
}

/* A walk over the pieces of the model: an object of spellings and ids, or a Unigram's list of
 * [spelling, log probability], where the place is the id. */
typedef struct pieces {
    pith_json_walk walk;
    bool listed;
    size_t next;
    const char *text; /* of this piece; NULL when the list has something else here */
    size_t n;
    pith_json id; /* absent in a list */
    size_t index;
    double log_probability;
} pieces;

static pieces begin_pieces(const pith_hf *hf) {
    return (pieces){.walk = pith_json_begin(hf->model.vocab),
                    .listed = hf->settings.kind == PITH_TOKENIZER_UNIGRAM};
}

static bool next_piece(pieces *p) {
    if (!pith_json_next(&p->walk)) {
        return false;
    }
    if (!p->listed) {
        p->text = p->walk.key;
        p->n = p->walk.key_size;
        p->id = p->walk.value;
        p->index = id_of(p->id);
        return true;
    }
    pith_json text = pith_json_at(p->walk.value, 0);
    bool good = pith_json_is(p->walk.value, PITH_JSON_ARRAY) &&
                pith_json_size(p->walk.value) == 2 &&
                pith_json_number(pith_json_at(p->walk.value, 1), &p->log_probability);
    p->text = good ? pith_json_text(text) : NULL;
    p->n = pith_json_text_size(text);
    p->index = p->next++;
    return true;
}

static pith_status count_id(pith_hf *hf, pith_json value, const char *text) {
    size_t id;
    if (!pith_json_count(value, &id) || id >= PITH_VOCAB_MAX_PIECES) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: the id of token \"%.60s\" is not a number from 0 to %d", hf->name,
                         text, PITH_VOCAB_MAX_PIECES - 1);
    }
    hf->n_pieces = id >= hf->n_pieces ? id + 1 : hf->n_pieces;
    return PITH_OK;
}

static pith_status count_listed(pith_hf *hf, const pieces *p) {
    if (p->text == NULL || p->index >= PITH_VOCAB_MAX_PIECES) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: vocab[%zu] is not [\"piece\", log probability], or beyond %d pieces",
                         hf->name, p->index, PITH_VOCAB_MAX_PIECES);
    }
    hf->n_pieces = p->index + 1;
    return PITH_OK;
}

/* Finds the largest id, of the vocabulary and the added tokens. */
static pith_status count_pieces(pith_hf *hf) {
    size_t n = 0;
    pieces p = begin_pieces(hf);
    for (; next_piece(&p); n++) {
        pith_status status = p.listed ? count_listed(hf, &p) : count_id(hf, p.id, p.text);
        if (status != PITH_OK) {
            return status;
        }
    }
    pith_json_walk walk = pith_json_begin(hf->root.added_tokens);
    for (size_t i = 0; pith_json_next(&walk); i++, n++) {
        const char *text = pith_json_text(pith_json_get(walk.value, "content"));
        if (text == NULL) {
            return pith_fail(hf->error, PITH_ERROR_FORMAT,
                             "%s: added_tokens[%zu].content is not a string", hf->name, i);
        }
        pith_status status = count_id(hf, pith_json_get(walk.value, "id"), text);
        if (status != PITH_OK) {
            return status;
        }
    }
    if (hf->n_pieces > n + MAX_GAPS) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: %zu tokens with ids up to %zu leave out more than %d ids", hf->name,
                         n, hf->n_pieces - 1, MAX_GAPS);
    }
    return PITH_OK;
}

static pith_status fail_twice(const pith_hf *hf, size_t id) {
    const char *first = NULL;
    pith_json_walk walk = pith_json_begin(hf->model.vocab);
    while (pith_json_next(&walk) && (id_of(walk.value) != id || first == NULL)) {
        first = id_of(walk.value) == id ? walk.key : first;
    }
    return pith_fail(hf->error, PITH_ERROR_FORMAT,
                     "%s: tokens \"%.60s\" and \"%.60s\" both have id %zu", hf->name, first,
                     walk.key, id);
}

static bool is_byte_piece(const char *text, size_t n) {
    return n == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>';
}

/* Gives the pieces of the vocabulary their types, and puts the sizes of all spellings, those of
 * added tokens too, into `offsets`. */
static pith_status fill_sizes(pith_hf *hf) {
    bool bytes = (hf->settings.byte_fallback || hf->decodes_bytes) &&
                 hf->settings.kind != PITH_TOKENIZER_BYTE_BPE;
    pieces p = begin_pieces(hf);
    while (next_piece(&p)) {
        if (hf->types[p.index] != 0) {
            return fail_twice(hf, p.index);
        }
        bool byte = bytes && is_byte_piece(p.text, p.n);
        hf->types[p.index] = byte ? PITH_PIECE_BYTE : PITH_PIECE_NORMAL;
        hf->offsets[p.index] = (uint32_t)p.n;
        if (hf->log_probabilities != NULL) {
            hf->log_probabilities[p.index] = p.log_probability;
        }
    }
    pith_json_walk walk = pith_json_begin(hf->root.added_tokens);
    while (pith_json_next(&walk)) {
        size_t id = id_of(pith_json_get(walk.value, "id"));
        if (hf->types[id] == 0 && hf->offsets[id] == 0) {
            hf->offsets[id] = (uint32_t)pith_json_text_size(pith_json_get(walk.value, "content"));
        }
    }
    return PITH_OK;
}

/* Makes room for all spellings and writes those of the vocabulary. */
static pith_status fill_spellings(pith_hf *hf) {
    size_t total = 0;
    for (size_t id = 0; id <= hf->n_pieces; id++) {
        size_t n = hf->offsets[id];
        hf->offsets[id] = (uint32_t)total;
        total += n;
    }
    if (total > PITH_VOCAB_MAX_BYTES) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: %zu bytes of tokens, more than %d",
                         hf->name, total, PITH_VOCAB_MAX_BYTES);
    }
    hf->bytes = pith_allocate(hf->allocator, total, 1);
    if (hf->bytes == NULL) {
        return no_memory(hf);
    }
    pieces p = begin_pieces(hf);
    while (next_piece(&p)) {
        memcpy(hf->bytes + hf->offsets[p.index], p.text, p.n);
    }
    return PITH_OK;
}

static pith_status read_vocabulary(pith_hf *hf) {
    const pith_json added = hf->root.added_tokens;
    bool unigram = hf->settings.kind == PITH_TOKENIZER_UNIGRAM;
    if (!pith_json_is(hf->model.vocab, unigram ? PITH_JSON_ARRAY : PITH_JSON_OBJECT) ||
        !(pith_json_is_none(added) || pith_json_is(added, PITH_JSON_ARRAY))) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: \"vocab\" is not %s or \"added_tokens\" not a list", hf->name,
                         unigram ? "a list" : "an object");
    }
    pith_status status = count_pieces(hf);
    if (status != PITH_OK) {
        return status;
    }
    hf->offsets = pith_allocate_zeroed(hf->allocator, hf->n_pieces + 1, sizeof *hf->offsets);
    hf->types = pith_allocate_zeroed(hf->allocator, hf->n_pieces, 1);
    hf->added = pith_allocate_zeroed(hf->allocator, hf->n_pieces, 1);
    if (unigram) {
        hf->log_probabilities =
            pith_allocate_zeroed(hf->allocator, hf->n_pieces, sizeof *hf->log_probabilities);
    }
    if (hf->offsets == NULL || hf->types == NULL || hf->added == NULL ||
        (unigram && hf->log_probabilities == NULL)) {
        return no_memory(hf);
    }
    status = fill_sizes(hf);
    return status == PITH_OK ? fill_spellings(hf) : status;
}

/* ---- Added tokens ---------------------------------------------------------------------------- */

static pith_status add_token(pith_hf *hf, const pith_piece_table *table, pith_json token) {
    pith_json content = pith_json_get(token, "content");
    const char *text = pith_json_text(content);
    size_t n = pith_json_text_size(content);
    if (n == 0) {
        return PITH_OK; /* Hugging Face's tokenizers ignore it too */
    }
    size_t id = id_of(pith_json_get(token, "id"));
    char *place = hf->bytes + hf->offsets[id];
    size_t room = hf->offsets[id + 1] - hf->offsets[id];
    int32_t known = pith_piece_table_find(table, text, n);
    bool taken = hf->types[id] != 0 && (room != n || memcmp(place, text, n) != 0);
    if (taken || (known >= 0 && (size_t)known != id)) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: added token \"%.60s\" has id %zu, which the vocabulary contradicts",
                         hf->name, text, id);
    }
    uint8_t flags;
    pith_status status = pith_hf_flags(token, hf->name, &flags, hf->error);
    if (status != PITH_OK) {
        return status;
    }
    if (!hf->has_normalizer) {
        flags &= (uint8_t)~PITH_ADDED_NORMALIZED;
    }
    if (known < 0 && pith_vocab_marks_beyond(&hf->settings)) {
        flags |= PITH_ADDED_BEYOND;
    }
    memcpy(place, text, n);
    hf->added[id] = flags;
    if (hf->types[id] != PITH_PIECE_BYTE) {
        hf->types[id] =
            (flags & PITH_ADDED_SPECIAL) != 0 ? PITH_PIECE_CONTROL : PITH_PIECE_USER_DEFINED;
    }
    return PITH_OK;
}

static pith_status add_tokens(pith_hf *hf, const pith_piece_table *table) {
    pith_status status = PITH_OK;
    pith_json_walk walk = pith_json_begin(hf->root.added_tokens);
    while (status == PITH_OK && pith_json_next(&walk)) {
        status = add_token(hf, table, walk.value);
    }
    return status;
}

/* A Unigram's unknown piece is named by its id. */
static pith_status find_unknown_id(pith_hf *hf) {
    size_t id;
    if (pith_json_is_none(hf->model.unk_id)) {
        return PITH_OK;
    }
    if (!pith_json_count(hf->model.unk_id, &id) || id >= pith_json_size(hf->model.vocab)) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: unk_id is not in the vocabulary",
                         hf->name);
    }
    hf->settings.unk = (int32_t)id;
    hf->types[id] = PITH_PIECE_UNKNOWN;
    return PITH_OK;
}

static pith_status find_unknown(pith_hf *hf, const pith_piece_table *table) {
    pith_json unk = hf->model.unk_token;
    if (hf->settings.kind == PITH_TOKENIZER_UNIGRAM) {
        return find_unknown_id(hf);
    }
    if (pith_json_is_none(unk)) {
        return PITH_OK;
    }
    const char *text = pith_json_text(unk);
    int32_t id = text != NULL ? pith_piece_table_find(table, text, pith_json_text_size(unk)) : -1;
    if (id < 0) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: unk_token is not in the vocabulary",
                         hf->name);
    }
    hf->settings.unk = id;
    hf->types[id] = PITH_PIECE_UNKNOWN;
    return PITH_OK;
}

/* Reads the pieces and merges. Merges and added tokens are looked up by the spellings of the file;
 * the byte alphabet is undone last. */
static pith_status read_pieces(pith_hf *hf) {
    pith_piece_table table = {0};
    pith_status status = read_vocabulary(hf);
    if (status == PITH_OK) {
        status = pith_piece_table_build(&table, hf->bytes, hf->offsets, hf->types, hf->n_pieces,
                                        hf->allocator, hf->error);
    }
    bool bpe = hf->settings.kind == PITH_TOKENIZER_LLAMA_BPE ||
               hf->settings.kind == PITH_TOKENIZER_BYTE_BPE;
    if (status == PITH_OK && bpe) {
        status = pith_hf_read_merges(hf, &table);
    }
    if (status == PITH_OK) {
        status = add_tokens(hf, &table);
    }
    if (status == PITH_OK) {
        status = find_unknown(hf, &table);
    }
    pith_release(hf->allocator, table.slots);
    bool bytewise = hf->settings.kind == PITH_TOKENIZER_BYTE_BPE;
    return status == PITH_OK && bytewise ? pith_hf_undo_alphabet(hf) : status;
}

/* ---- The document ---------------------------------------------------------------------------- */

static pith_status check_model(pith_hf *hf) {
    const struct {
        const char *key;
        pith_json value;
    } affixes[] = {
        {"continuing_subword_prefix", hf->model.continuing_subword_prefix},
        {"end_of_word_suffix", hf->model.end_of_word_suffix},
    };
    for (size_t i = 0; i < 2; i++) {
        if (!pith_json_is_none(affixes[i].value) && !pith_json_is_text(affixes[i].value, "")) {
            return pith_fail(hf->error, PITH_ERROR_UNSUPPORTED, "%s: %s is not supported", hf->name,
                             affixes[i].key);
        }
    }
    double dropout = 0;
    bool number = pith_json_number(hf->model.dropout, &dropout);
    if (!pith_json_is_none(hf->model.dropout) && !(number && dropout <= 0)) {
        return pith_fail(hf->error, PITH_ERROR_UNSUPPORTED, "%s: dropout is not supported",
                         hf->name);
    }
    const struct {
        const char *key;
        pith_json value;
        bool *flag;
    } flags[] = {
        {"byte_fallback", hf->model.byte_fallback, &hf->settings.byte_fallback},
        {"fuse_unk", hf->model.fuse_unk, &hf->settings.fuse_unk},
        {"ignore_merges", hf->model.ignore_merges, &hf->settings.ignore_merges},
    };
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < sizeof flags / sizeof flags[0]; i++) {
        status =
            pith_hf_bool(flags[i].value, flags[i].key, false, hf->name, flags[i].flag, hf->error);
    }
    return status;
}

/* The next text of a list, which *at walks through. */
static const char *take_text(const char **at) {
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

/* Points the steps of the lists at their texts, now that these stay where they are. */
static void point_at_texts(pith_hf *hf) {
    const char *at = hf->texts[PITH_HF_PRE_TOKENIZER].data;
    for (size_t i = 0; i < hf->n_steps; i++) {
        pith_split_step *step = &hf->steps[i];
        bool has = step->kind == PITH_STEP_SPLIT || step->kind == PITH_STEP_MARK;
        step->pattern = has ? take_text(&at) : NULL;
    }
    at = hf->texts[PITH_HF_NORMALIZER].data;
    for (size_t i = 0; i < hf->n_normalizer; i++) {
        pith_normal_step *step = &hf->normalizer[i];
        bool replaces = step->kind == PITH_NORMAL_REPLACE;
        step->pattern = replaces ? take_text(&at) : NULL;
        step->text = replaces || step->kind == PITH_NORMAL_PREPEND ? take_text(&at) : NULL;
    }
    at = hf->texts[PITH_HF_DECODER].data;
    for (size_t i = 0; i < hf->n_decoder; i++) {
        pith_decode_step *step = &hf->decoder[i];
        bool replaces = step->kind == PITH_DECODE_REPLACE;
        step->pattern = replaces || step->kind == PITH_DECODE_MARK ? take_text(&at) : NULL;
        step->text = replaces || step->kind == PITH_DECODE_STRIP ? take_text(&at) : NULL;
    }
}

static pith_status finish(pith_hf *hf, pith_vocab_file *file) {
    for (size_t id = 0; id < hf->n_pieces; id++) {
        if (hf->offsets[id] == hf->offsets[id + 1]) {
            hf->types[id] = PITH_PIECE_UNUSED;
        }
    }
    *file = (pith_vocab_file){
        .vocab = hf->settings,
        .allocator = hf->allocator,
        .blocks = {hf->bytes, hf->offsets, hf->merges, hf->types, hf->added, hf->pattern.data,
                   hf->steps, hf->normalizer, hf->decoder, hf->texts[0].data, hf->texts[1].data,
                   hf->texts[2].data, hf->log_probabilities, hf->charsmap},
    };
    pith_vocab *v = &file->vocab;
    v->n_pieces = hf->n_pieces;
    v->bytes = hf->bytes;
    v->n_bytes = hf->offsets[hf->n_pieces];
    v->offsets = hf->offsets;
    v->types = hf->types;
    v->added = hf->added;
    v->merges = hf->merges;
    v->n_merges = hf->n_merges;
    v->log_probabilities = hf->log_probabilities;
    v->pattern = hf->pattern.size > 0 ? hf->pattern.data : NULL;
    v->charsmap = hf->charsmap;
    v->n_charsmap = hf->n_charsmap;
    point_at_texts(hf);
    v->steps = hf->steps;
    v->n_steps = hf->n_steps;
    v->normalizer = hf->normalizer;
    v->n_normalizer = hf->n_normalizer;
    v->decoder = hf->decoder;
    v->n_decoder = hf->n_decoder;
    return pith_vocab_check(v, hf->name, hf->error);
}

/* Reads the pipeline of all kinds but WordPiece. */
static pith_status read_pipeline(pith_hf *hf) {
    pith_status (*const parts[])(pith_hf *) = {check_model, pith_hf_read_normalizer,
                                               pith_hf_read_pre_tokenizer, pith_hf_read_decoder};
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < sizeof parts / sizeof parts[0]; i++) {
        status = parts[i](hf);
    }
    return status;
}

static pith_status read_document(pith_hf *hf, pith_json document) {
    pith_hf_find_parts(hf, document);
    if (!pith_json_is(hf->root.model, PITH_JSON_OBJECT)) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: there is no \"model\"", hf->name);
    }
    pith_status status = pith_hf_read_kind(hf);
    bool wordpiece = hf->settings.kind == PITH_TOKENIZER_WORDPIECE;
    if (status == PITH_OK) {
        status = wordpiece ? pith_hf_read_bert(hf) : read_pipeline(hf);
    }
    if (status == PITH_OK) {
        status = read_pieces(hf);
    }
    if (status == PITH_OK) {
        status = wordpiece ? pith_hf_read_bert_post_processor(hf) : pith_hf_read_post_processor(hf);
    }
    return status;
}

static void release_arrays(pith_hf *hf) {
    void *const blocks[] = {hf->bytes,      hf->offsets, hf->merges,
                            hf->types,      hf->added,   hf->steps,
                            hf->normalizer, hf->decoder, hf->log_probabilities,
                            hf->charsmap};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        pith_release(hf->allocator, blocks[i]);
    }
    pith_bytes_release(&hf->pattern);
    for (size_t i = 0; i < PITH_HF_N_LISTS; i++) {
        pith_bytes_release(&hf->texts[i]);
    }
}

pith_status pith_vocab_from_json(pith_vocab_file *out, char *text, size_t size, const char *name,
                                 const pith_allocator *allocator, pith_error *error) {
    if (size > MAX_FILE_BYTES) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu bytes, more than %d", name, size,
                         MAX_FILE_BYTES);
    }
    pith_hf hf = {
        .name = name,
        .allocator = pith_allocator_or_default(allocator),
        .error = error,
        .settings = {.bos = -1, .eos = -1, .unk = -1},
    };
    pith_bytes_init(&hf.pattern, hf.allocator);
    for (size_t i = 0; i < PITH_HF_N_LISTS; i++) {
        pith_bytes_init(&hf.texts[i], hf.allocator);
    }
    pith_json document;
    pith_status status =
        pith_json_read(&document, text, size, PITH_JSON_PYTHON, name, hf.allocator, error);
    if (status == PITH_OK) {
        status = read_document(&hf, document);
    }
    pith_vocab_file file;
    if (status == PITH_OK) {
        status = finish(&hf, &file);
    }
    if (status != PITH_OK) {
        release_arrays(&hf);
        return status;
    }
    *out = file;
    return PITH_OK;
}
