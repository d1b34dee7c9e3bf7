/* Turns a Hugging Face tokenizer.json into a vocabulary: the model (pieces and merges) and the
 * added tokens; the pipeline around them is read by hf_json_parts.c and hf_json_bert.c. Byte-level
 * vocabularies are spelled in GPT-2's byte alphabet, where every byte is a printable character;
 * here they become the bytes they mean. */
#include "tokenizer/hf_json.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/tables.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

enum {
    MAX_FILE_BYTES = 256 << 20,
    N_ALPHABET = 324, /* code points of the byte alphabet are all below */
};

/* Spellings as they are stored: [n_pieces + 1] offsets into bytes. */
typedef struct spellings {
    char *bytes;
    size_t n_bytes;
    uint32_t *offsets;
} spellings;

typedef struct merges {
    uint32_t *ids; /* [n, 3] */
    size_t n;
} merges;

static pith_status no_memory(const pith_hf *hf) {
    return pith_fail(hf->error, PITH_ERROR_MEMORY, "%s: no memory for the vocabulary", hf->name);
}

static bool is_absent(const json_t *value) {
    return value == NULL || json_is_null(value);
}

/* ---- Vocabulary ------------------------------------------------------------------------------ */

static pith_status check_id(const pith_hf *hf, const json_t *id, const char *text) {
    if (!json_is_integer(id) || json_integer_value(id) < 0 ||
        json_integer_value(id) >= PITH_VOCAB_MAX_PIECES) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: the id of token \"%.60s\" is not a number from 0 to %d", hf->name,
                         text, PITH_VOCAB_MAX_PIECES - 1);
    }
    return PITH_OK;
}

/* Finds the largest id, of the vocabulary and the added tokens. */
static pith_status count_pieces(pith_hf *hf, json_t *vocab, const json_t *added) {
    json_int_t last = -1;
    for (void *i = json_object_iter(vocab); i != NULL; i = json_object_iter_next(vocab, i)) {
        const json_t *id = json_object_iter_value(i);
        pith_status status = check_id(hf, id, json_object_iter_key(i));
        if (status != PITH_OK) {
            return status;
        }
        last = json_integer_value(id) > last ? json_integer_value(id) : last;
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        const json_t *content = json_object_get(token, "content");
        const json_t *id = json_object_get(token, "id");
        if (!json_is_string(content)) {
            return pith_fail(hf->error, PITH_ERROR_FORMAT,
                             "%s: added_tokens[%zu].content is not a string", hf->name, i);
        }
        pith_status status = check_id(hf, id, json_string_value(content));
        if (status != PITH_OK) {
            return status;
        }
        last = json_integer_value(id) > last ? json_integer_value(id) : last;
    }
    hf->n_pieces = (size_t)(last + 1);
    hf->pieces = pith_allocate_zeroed(hf->allocator, hf->n_pieces, sizeof *hf->pieces);
    return hf->pieces != NULL ? PITH_OK : no_memory(hf);
}

static bool is_byte_piece(const char *text, size_t n) {
    return n == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>';
}

static pith_status fill_vocabulary(pith_hf *hf, json_t *vocab) {
    bool bytes = hf->settings.byte_fallback && hf->settings.kind == PITH_TOKENIZER_LLAMA_BPE;
    for (void *i = json_object_iter(vocab); i != NULL; i = json_object_iter_next(vocab, i)) {
        size_t id = (size_t)json_integer_value(json_object_iter_value(i));
        const char *text = json_object_iter_key(i);
        if (hf->pieces[id].text != NULL) {
            return pith_fail(hf->error, PITH_ERROR_FORMAT,
                             "%s: tokens \"%.60s\" and \"%.60s\" both have id %zu", hf->name,
                             hf->pieces[id].text, text, id);
        }
        size_t n = strlen(text);
        hf->pieces[id] = (pith_hf_piece){
            .text = text,
            .n_bytes = n,
            .type = bytes && is_byte_piece(text, n) ? PITH_PIECE_BYTE : PITH_PIECE_NORMAL,
        };
    }
    return PITH_OK;
}

/* ---- Spellings ------------------------------------------------------------------------------- */

/* The byte that each code point of the alphabet stands for, -1 for others: printable Latin-1
 * characters are themselves, the other bytes follow in order from U+0100. */
static void fill_alphabet(int *byte_of /* [N_ALPHABET] */) {
    int next = 256;
    memset(byte_of, 0xFF, N_ALPHABET * sizeof *byte_of);
    for (int byte = 0; byte < 256; byte++) {
        bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
        byte_of[printable ? byte : next++] = byte;
    }
}

/* Writes the bytes that text [n] in the alphabet means; false if it is not in the alphabet. */
static bool decode_alphabet(const int *byte_of, const char *text, size_t n, char *out,
                            size_t *n_out) {
    size_t size = 0;
    for (size_t i = 0; i < n; i += pith_utf8_length(text[i])) {
        uint32_t code = pith_utf8_decode(text + i);
        if (code >= N_ALPHABET || byte_of[code] < 0) {
            return false;
        }
        out[size++] = (char)byte_of[code];
    }
    *n_out = size;
    return true;
}

/* Lays the spellings out one after the other: as the file has them, or (`decoded`) with the byte
 * alphabet undone. Ids without a token are empty. */
static pith_status lay_out(pith_hf *hf, bool decoded, spellings *out) {
    size_t total = 0;
    for (size_t id = 0; id < hf->n_pieces; id++) {
        total += hf->pieces[id].n_bytes;
    }
    if (total > PITH_VOCAB_MAX_BYTES) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: %zu bytes of tokens, more than %d",
                         hf->name, total, PITH_VOCAB_MAX_BYTES);
    }
    out->bytes = pith_allocate(hf->allocator, total, 1);
    out->offsets = pith_allocate(hf->allocator, hf->n_pieces + 1, sizeof *out->offsets);
    if (out->bytes == NULL || out->offsets == NULL) {
        return no_memory(hf);
    }
    int byte_of[N_ALPHABET];
    fill_alphabet(byte_of);
    size_t size = 0;
    for (size_t id = 0; id < hf->n_pieces; id++) {
        pith_hf_piece *piece = &hf->pieces[id];
        out->offsets[id] = (uint32_t)size;
        size_t n = piece->n_bytes;
        bool plain = !decoded || piece->type != PITH_PIECE_NORMAL;
        if (plain || !decode_alphabet(byte_of, piece->text, n, out->bytes + size, &n)) {
            piece->literal = decoded;
            n = piece->n_bytes;
            if (n > 0) {
                memcpy(out->bytes + size, piece->text, n);
            }
        }
        size += n;
    }
    out->offsets[hf->n_pieces] = (uint32_t)size;
    out->n_bytes = size;
    return PITH_OK;
}

/* ---- Merges ---------------------------------------------------------------------------------- */

/* The two halves of a merge: "a b", or ["a", "b"]. */
typedef struct halves {
    const char *text[2];
    size_t n[2];
} halves;

static bool read_halves(const json_t *merge, halves *out) {
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        for (size_t k = 0; k < 2; k++) {
            const json_t *half = json_array_get(merge, k);
            if (!json_is_string(half)) {
                return false;
            }
            out->text[k] = json_string_value(half);
            out->n[k] = json_string_length(half);
        }
        return true;
    }
    if (!json_is_string(merge)) {
        return false;
    }
    const char *text = json_string_value(merge);
    size_t n = json_string_length(merge);
    const char *space = memchr(text, ' ', n);
    size_t left = space != NULL ? (size_t)(space - text) : n;
    if (left == n || memchr(space + 1, ' ', n - left - 1) != NULL) {
        return false;
    }
    *out = (halves){.text = {text, space + 1}, .n = {left, n - left - 1}};
    return true;
}

static pith_status read_merge(const pith_hf *hf, const pith_piece_table *table, size_t index,
                              const json_t *merge, pith_bytes *joined, uint32_t *out /* [3] */) {
    halves h;
    if (!read_halves(merge, &h)) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: merges[%zu] is neither \"a b\" nor [\"a\", \"b\"]", hf->name, index);
    }
    joined->size = 0;
    if (!pith_bytes_append(joined, h.text[0], h.n[0]) ||
        !pith_bytes_append(joined, h.text[1], h.n[1])) {
        return no_memory(hf);
    }
    const char *texts[3] = {h.text[0], h.text[1], joined->data};
    const size_t sizes[3] = {h.n[0], h.n[1], joined->size};
    for (size_t k = 0; k < 3; k++) {
        int32_t id = pith_piece_table_find(table, texts[k], sizes[k]);
        if (id < 0) {
            return pith_fail(hf->error, PITH_ERROR_FORMAT,
                             "%s: merges[%zu]: \"%.*s\" is not in the vocabulary", hf->name, index,
                             (int)pith_min_size(sizes[k], 60), texts[k]);
        }
        out[k] = (uint32_t)id;
    }
    return PITH_OK;
}

static pith_status read_merges(pith_hf *hf, const pith_piece_table *table, merges *out) {
    const json_t *list = json_object_get(hf->model, "merges");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > PITH_VOCAB_MAX_MERGES) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: \"merges\" is not a list of at most %d merges", hf->name,
                         PITH_VOCAB_MAX_MERGES);
    }
    out->ids = pith_allocate(hf->allocator, n, 3 * sizeof *out->ids);
    if (out->ids == NULL) {
        return no_memory(hf);
    }
    pith_bytes joined;
    pith_bytes_init(&joined, hf->allocator);
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < n; i++) {
        const json_t *merge = json_array_get(list, i);
        const char *text = json_string_value(merge);
        if (text != NULL && strncmp(text, "#version", 8) == 0) {
            continue;
        }
        status = read_merge(hf, table, i, merge, &joined, out->ids + 3 * out->n);
        out->n++;
    }
    pith_bytes_release(&joined);
    return status;
}

/* Merges of tokens that no text can lead to. */
static void drop_literal_merges(const pith_hf *hf, merges *m) {
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        const uint32_t *ids = m->ids + 3 * i;
        bool literal =
            hf->pieces[ids[0]].literal || hf->pieces[ids[1]].literal || hf->pieces[ids[2]].literal;
        if (!literal) {
            memmove(m->ids + 3 * n, ids, 3 * sizeof *ids);
            n++;
        }
    }
    m->n = n;
}

/* ---- Added tokens ---------------------------------------------------------------------------- */

static pith_status add_token(pith_hf *hf, const pith_piece_table *table, const json_t *token) {
    const json_t *content = json_object_get(token, "content");
    const char *text = json_string_value(content);
    size_t n = json_string_length(content);
    if (n == 0) {
        return PITH_OK; /* Hugging Face's tokenizers ignore it too */
    }
    size_t id = (size_t)json_integer_value(json_object_get(token, "id"));
    pith_hf_piece *piece = &hf->pieces[id];
    int32_t known = pith_piece_table_find(table, text, n);
    bool taken = piece->text != NULL && (piece->n_bytes != n || memcmp(piece->text, text, n) != 0);
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
    if (known < 0 && hf->settings.kind == PITH_TOKENIZER_WORDPIECE) {
        flags |= PITH_ADDED_BEYOND;
    }
    piece->text = text;
    piece->n_bytes = n;
    piece->added = flags;
    if (piece->type != PITH_PIECE_BYTE) {
        piece->type =
            (flags & PITH_ADDED_SPECIAL) != 0 ? PITH_PIECE_CONTROL : PITH_PIECE_USER_DEFINED;
    }
    return PITH_OK;
}

static pith_status find_unknown(pith_hf *hf, const pith_piece_table *table) {
    const json_t *unk = json_object_get(hf->model, "unk_token");
    if (is_absent(unk)) {
        return PITH_OK;
    }
    int32_t id = json_is_string(unk)
                     ? pith_piece_table_find(table, json_string_value(unk), json_string_length(unk))
                     : -1;
    if (id < 0) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: unk_token is not in the vocabulary",
                         hf->name);
    }
    hf->settings.unk = id;
    hf->pieces[id].type = PITH_PIECE_UNKNOWN;
    return PITH_OK;
}

/* ---- The document ---------------------------------------------------------------------------- */

static pith_status check_model(pith_hf *hf) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *affix = json_object_get(hf->model, affixes[i]);
        if (!is_absent(affix) && !(json_is_string(affix) && json_string_length(affix) == 0)) {
            return pith_fail(hf->error, PITH_ERROR_UNSUPPORTED, "%s: %s is not supported", hf->name,
                             affixes[i]);
        }
    }
    const json_t *dropout = json_object_get(hf->model, "dropout");
    if (!is_absent(dropout) && !(json_is_number(dropout) && !(json_number_value(dropout) > 0))) {
        return pith_fail(hf->error, PITH_ERROR_UNSUPPORTED, "%s: dropout is not supported",
                         hf->name);
    }
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        {"byte_fallback", &hf->settings.byte_fallback},
        {"fuse_unk", &hf->settings.fuse_unk},
        {"ignore_merges", &hf->settings.ignore_merges},
    };
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < sizeof flags / sizeof flags[0]; i++) {
        status = pith_hf_bool(hf->model, flags[i].key, false, hf->name, flags[i].flag, hf->error);
    }
    return status;
}

/* Reads the pieces and merges: first all spellings as the file has them, in which merges and added
 * tokens are looked up, then as they are stored. */
static pith_status read_pieces(pith_hf *hf, spellings *stored, merges *m) {
    json_t *vocab = json_object_get(hf->model, "vocab");
    const json_t *added = json_object_get(hf->root, "added_tokens");
    if (!json_is_object(vocab) || !(is_absent(added) || json_is_array(added))) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: \"vocab\" is not an object or \"added_tokens\" not a list", hf->name);
    }
    spellings written = {0};
    pith_piece_table table = {0};
    pith_status status = count_pieces(hf, vocab, added);
    if (status == PITH_OK) {
        status = fill_vocabulary(hf, vocab);
    }
    if (status == PITH_OK) {
        status = lay_out(hf, false, &written);
    }
    if (status == PITH_OK) {
        status = pith_piece_table_build(&table, written.bytes, written.offsets, NULL, hf->n_pieces,
                                        hf->allocator, hf->error);
    }
    if (status == PITH_OK && hf->settings.kind != PITH_TOKENIZER_WORDPIECE) {
        status = read_merges(hf, &table, m);
    }
    for (size_t i = 0; status == PITH_OK && i < json_array_size(added); i++) {
        status = add_token(hf, &table, json_array_get(added, i));
    }
    if (status == PITH_OK) {
        status = find_unknown(hf, &table);
    }
    if (status == PITH_OK) {
        status = lay_out(hf, hf->settings.kind == PITH_TOKENIZER_BYTE_BPE, stored);
    }
    if (status == PITH_OK) {
        drop_literal_merges(hf, m);
    }
    pith_release(hf->allocator, table.slots);
    pith_release(hf->allocator, written.bytes);
    pith_release(hf->allocator, written.offsets);
    return status;
}

static pith_status finish(pith_hf *hf, pith_vocab_file *file) {
    uint8_t *types = pith_allocate(hf->allocator, hf->n_pieces, 1);
    uint8_t *added = pith_allocate(hf->allocator, hf->n_pieces, 1);
    file->blocks[3] = types;
    file->blocks[4] = added;
    if (hf->pattern.size > 0) {
        file->vocab.pattern = hf->pattern.data;
        file->blocks[5] = hf->pattern.data;
        hf->pattern.data = NULL;
    }
    if (types == NULL || added == NULL) {
        return no_memory(hf);
    }
    for (size_t id = 0; id < hf->n_pieces; id++) {
        const pith_hf_piece *piece = &hf->pieces[id];
        types[id] = piece->n_bytes > 0 ? piece->type : PITH_PIECE_UNUSED;
        added[id] = piece->added;
    }
    file->vocab.types = types;
    file->vocab.added = added;
    return pith_vocab_check(&file->vocab, hf->name, hf->error);
}

/* Of the BPE kinds. */
static pith_status read_pipeline(pith_hf *hf) {
    pith_status (*const parts[])(pith_hf *) = {check_model, pith_hf_read_normalizer,
                                               pith_hf_read_pre_tokenizer, pith_hf_read_decoder};
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < sizeof parts / sizeof parts[0]; i++) {
        status = parts[i](hf);
    }
    return status;
}

static pith_status read_document(pith_hf *hf, pith_vocab_file *file) {
    hf->model = json_object_get(hf->root, "model");
    if (!json_is_object(hf->model)) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: there is no \"model\"", hf->name);
    }
    spellings stored = {0};
    merges m = {0};
    pith_status status = pith_hf_read_kind(hf);
    bool wordpiece = hf->settings.kind == PITH_TOKENIZER_WORDPIECE;
    if (status == PITH_OK) {
        status = wordpiece ? pith_hf_read_bert(hf) : read_pipeline(hf);
    }
    if (status == PITH_OK) {
        status = read_pieces(hf, &stored, &m);
    }
    if (status == PITH_OK) {
        status = wordpiece ? pith_hf_read_bert_post_processor(hf) : pith_hf_read_post_processor(hf);
    }
    *file = (pith_vocab_file){
        .vocab = hf->settings,
        .allocator = hf->allocator,
        .blocks = {stored.bytes, stored.offsets, m.ids},
    };
    file->vocab.n_pieces = hf->n_pieces;
    file->vocab.bytes = stored.bytes;
    file->vocab.n_bytes = stored.n_bytes;
    file->vocab.offsets = stored.offsets;
    file->vocab.merges = m.ids;
    file->vocab.n_merges = m.n;
    return status == PITH_OK ? finish(hf, file) : status;
}

static pith_status parse(pith_hf *hf, const char *text, size_t size) {
    json_error_t problem;
    if (size > MAX_FILE_BYTES) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: %zu bytes, more than %d", hf->name,
                         size, MAX_FILE_BYTES);
    }
    hf->root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (hf->root != NULL) {
        return PITH_OK;
    }
    if (problem.text[0] == '\0' || json_error_code(&problem) == json_error_out_of_memory) {
        return no_memory(hf);
    }
    return pith_fail(hf->error, PITH_ERROR_FORMAT, "%s: line %d: %s", hf->name, problem.line,
                     problem.text);
}

pith_status pith_vocab_from_json(pith_vocab_file *out, const char *text, size_t size,
                                 const char *name, const pith_allocator *allocator,
                                 pith_error *error) {
    pith_hf hf = {
        .name = name,
        .allocator = pith_allocator_or_default(allocator),
        .error = error,
        .settings = {.bos = -1, .eos = -1, .unk = -1},
    };
    pith_bytes_init(&hf.pattern, hf.allocator);
    pith_vocab_file file = {.allocator = hf.allocator};
    pith_status status = parse(&hf, text, size);
    if (status == PITH_OK) {
        status = read_document(&hf, &file);
    }
    if (status == PITH_OK) {
        *out = file;
    } else {
        pith_vocab_file_free(&file);
    }
    json_decref(hf.root);
    pith_bytes_release(&hf.pattern);
    pith_release(hf.allocator, hf.pieces);
    return status;
}
