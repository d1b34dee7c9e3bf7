/* Reads a SentencePiece model: a ModelProto in protobuf's wire format (sentencepiece_model.proto;
 * protobuf.dev, "Encoding"). Only what decides ids and text is kept. A message is a sequence of
 * fields, each a tag (field number and wire type) and a value; unknown fields are skipped. */
#include "tokenizer/vocab.h"

#include "base/checked.h"
#include "base/file_kind.h"
#include "base/status.h"

#include <string.h>

enum {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_BYTES = 2,
    WIRE_32 = 5,
};

/* Field numbers. */
enum {
    MODEL_PIECES = 1,
    MODEL_TRAINER = 2,
    MODEL_NORMALIZER = 3,
    MODEL_DENORMALIZER = 5,
    PIECE_TEXT = 1,
    PIECE_SCORE = 2,
    PIECE_TYPE = 3,
    TRAINER_MODEL_TYPE = 3,
    TRAINER_SPACE_AS_SUFFIX = 24,
    TRAINER_BYTE_FALLBACK = 35,
    TRAINER_BOS = 41,
    TRAINER_EOS = 42,
    NORMALIZER_CHARSMAP = 2,
    NORMALIZER_DUMMY_PREFIX = 3,
    NORMALIZER_REMOVE_SPACES = 4,
    NORMALIZER_ESCAPE = 5,
};

enum { MODEL_UNIGRAM = 1, MODEL_BPE = 2, MODEL_WORD = 3, MODEL_CHAR = 4 };

/* A message not yet read. */
typedef struct message {
    const unsigned char *at;
    const unsigned char *end;
} message;

typedef struct field {
    uint32_t number;
    unsigned wire;
    uint64_t number_value; /* of a varint, or the bits of a fixed number */
    message bytes;         /* of a length-delimited value */
} field;

/* The model as it is read; arrays move to the vocabulary at the end. */
typedef struct reader {
    const char *name;
    pith_error *error;
    const pith_allocator *allocator;
    size_t n_pieces; /* as counted before */
    size_t next;     /* piece to be read */
    char *text;
    size_t n_text;
    uint32_t *offsets;
    float *scores;
    uint8_t *types;
    uint8_t *added;
    int64_t model_type, bos, eos;
    bool space_as_suffix;
    message charsmap; /* empty: none */
    size_t n_denormalizer;
    double *log_probabilities; /* Unigram: the scores */
    uint8_t *charsmap_copy;
    pith_vocab settings;
} reader;

static pith_status damaged(const reader *r, const char *what) {
    return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: not a SentencePiece model: %s", r->name,
                     what);
}

static bool read_varint(message *m, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (m->at == m->end) {
            return false;
        }
        unsigned char byte = *m->at++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool read_fixed(message *m, size_t size, uint64_t *out) {
    if ((size_t)(m->end - m->at) < size) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)m->at[i] << (8 * i);
    }
    m->at += size;
    *out = value;
    return true;
}

/* Reads one field; the message must not be at its end. */
static pith_status read_field(const reader *r, message *m, field *out) {
    uint64_t tag;
    if (!read_varint(m, &tag)) {
        return damaged(r, "a field's tag is cut off or too long");
    }
    *out = (field){.number = (uint32_t)(tag >> 3), .wire = (unsigned)(tag & 7)};
    if (tag >> 32 != 0 || out->number == 0) {
        return damaged(r, "a field has no valid number");
    }
    switch (out->wire) {
    case WIRE_VARINT:
        return read_varint(m, &out->number_value) ? PITH_OK
                                                  : damaged(r, "a number is cut off or too long");
    case WIRE_64:
        return read_fixed(m, 8, &out->number_value) ? PITH_OK : damaged(r, "a number is cut off");
    case WIRE_32:
        return read_fixed(m, 4, &out->number_value) ? PITH_OK : damaged(r, "a number is cut off");
    case WIRE_BYTES: {
        uint64_t n;
        if (!read_varint(m, &n) || n > (uint64_t)(m->end - m->at)) {
            return damaged(r, "a field reaches beyond its message");
        }
        out->bytes = (message){m->at, m->at + n};
        m->at += n;
        return PITH_OK;
    }
    default:
        return damaged(r, "a field has an unknown wire type");
    }
}

/* Checks the wire type of a field that is known. */
static pith_status want(const reader *r, const field *f, unsigned wire, const char *what) {
    if (f->wire == wire) {
        return PITH_OK;
    }
    return pith_fail(r->error, PITH_ERROR_FORMAT,
                     "%s: not a SentencePiece model: %s has wire type %u, not %u", r->name, what,
                     f->wire, wire);
}

static size_t message_size(message m) {
    return (size_t)(m.end - m.at);
}

static bool as_bool(const field *f) {
    return f->number_value != 0;
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

static pith_status read_piece_field(reader *r, const field *f, message *text) {
    pith_status status = PITH_OK;
    switch (f->number) {
    case PIECE_TEXT:
        status = want(r, f, WIRE_BYTES, "a piece's text");
        *text = f->bytes;
        break;
    case PIECE_SCORE: {
        status = want(r, f, WIRE_32, "a piece's score");
        uint32_t bits = (uint32_t)f->number_value;
        memcpy(&r->scores[r->next], &bits, sizeof bits);
        break;
    }
    case PIECE_TYPE:
        status = want(r, f, WIRE_VARINT, "a piece's type");
        r->types[r->next] = f->number_value <= PITH_PIECE_BYTE ? (uint8_t)f->number_value : 0;
        break;
    default:
        break;
    }
    return status;
}

static pith_status read_piece(reader *r, message m) {
    message text = {NULL, NULL};
    r->scores[r->next] = 0;
    r->types[r->next] = PITH_PIECE_NORMAL;
    while (m.at < m.end) {
        field f;
        pith_status status = read_field(r, &m, &f);
        if (status == PITH_OK) {
            status = read_piece_field(r, &f, &text);
        }
        if (status != PITH_OK) {
            return status;
        }
    }
    size_t n = message_size(text);
    if (n == 0) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: piece %zu is empty", r->name, r->next);
    }
    uint8_t type = r->types[r->next];
    r->added[r->next] = type == PITH_PIECE_CONTROL || type == PITH_PIECE_UNKNOWN
                            ? PITH_ADDED_SPECIAL
                        : type == PITH_PIECE_USER_DEFINED ? PITH_ADDED_NORMALIZED
                                                          : 0;
    memcpy(r->text + r->n_text, text.at, n); /* all pieces together are shorter than the file */
    r->n_text += n;
    r->next++;
    r->offsets[r->next] = (uint32_t)r->n_text;
    return PITH_OK;
}

/* ---- Settings -------------------------------------------------------------------------------- */

static pith_status read_trainer_field(reader *r, const field *f) {
    pith_status status = PITH_OK;
    switch (f->number) {
    case TRAINER_MODEL_TYPE:
        status = want(r, f, WIRE_VARINT, "model_type");
        r->model_type = (int64_t)f->number_value;
        break;
    case TRAINER_SPACE_AS_SUFFIX:
        status = want(r, f, WIRE_VARINT, "treat_whitespace_as_suffix");
        r->space_as_suffix = as_bool(f);
        break;
    case TRAINER_BYTE_FALLBACK:
        status = want(r, f, WIRE_VARINT, "byte_fallback");
        r->settings.byte_fallback = as_bool(f);
        break;
    case TRAINER_BOS:
        status = want(r, f, WIRE_VARINT, "bos_id");
        r->bos = (int64_t)f->number_value;
        break;
    case TRAINER_EOS:
        status = want(r, f, WIRE_VARINT, "eos_id");
        r->eos = (int64_t)f->number_value;
        break;
    default:
        break;
    }
    return status;
}

static pith_status read_normalizer_field(reader *r, const field *f) {
    pith_status status = PITH_OK;
    switch (f->number) {
    case NORMALIZER_CHARSMAP:
        status = want(r, f, WIRE_BYTES, "precompiled_charsmap");
        r->charsmap = f->bytes;
        break;
    case NORMALIZER_DUMMY_PREFIX:
        status = want(r, f, WIRE_VARINT, "add_dummy_prefix");
        r->settings.add_dummy_prefix = as_bool(f);
        break;
    case NORMALIZER_REMOVE_SPACES:
        status = want(r, f, WIRE_VARINT, "remove_extra_whitespaces");
        r->settings.remove_extra_whitespaces = as_bool(f);
        break;
    case NORMALIZER_ESCAPE:
        status = want(r, f, WIRE_VARINT, "escape_whitespaces");
        r->settings.escape_whitespaces = as_bool(f);
        break;
    default:
        break;
    }
    return status;
}

static pith_status read_denormalizer_field(reader *r, const field *f) {
    if (f->number != NORMALIZER_CHARSMAP) {
        return PITH_OK;
    }
    r->n_denormalizer = message_size(f->bytes);
    return want(r, f, WIRE_BYTES, "the denormalizer's precompiled_charsmap");
}

typedef pith_status (*field_fn)(reader *r, const field *f);

static pith_status read_message(reader *r, message m, field_fn fn) {
    while (m.at < m.end) {
        field f;
        pith_status status = read_field(r, &m, &f);
        if (status == PITH_OK) {
            status = fn(r, &f);
        }
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

/* ---- The model ------------------------------------------------------------------------------- */

static pith_status count_field(reader *r, const field *f) {
    if (f->number != MODEL_PIECES) {
        return PITH_OK;
    }
    if (r->n_pieces == PITH_VOCAB_MAX_PIECES) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: more than %d pieces", r->name,
                         PITH_VOCAB_MAX_PIECES);
    }
    r->n_pieces++;
    r->n_text += message_size(f->bytes);
    return want(r, f, WIRE_BYTES, "a piece");
}

static pith_status model_field(reader *r, const field *f) {
    static const struct {
        uint32_t number;
        const char *name;
        field_fn fn;
    } parts[] = {
        {MODEL_TRAINER, "trainer_spec", read_trainer_field},
        {MODEL_NORMALIZER, "normalizer_spec", read_normalizer_field},
        {MODEL_DENORMALIZER, "denormalizer_spec", read_denormalizer_field},
    };
    if (f->number == MODEL_PIECES) {
        return read_piece(r, f->bytes);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (f->number == parts[i].number) {
            pith_status status = want(r, f, WIRE_BYTES, parts[i].name);
            return status == PITH_OK ? read_message(r, f->bytes, parts[i].fn) : status;
        }
    }
    return PITH_OK;
}

static pith_status check_supported(const reader *r) {
    static const char *const names[] = {"unigram", "BPE", "word", "character"};
    if (r->model_type < MODEL_UNIGRAM || r->model_type > MODEL_CHAR) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: model_type %lld is not known", r->name,
                         (long long)r->model_type);
    }
    if (r->model_type != MODEL_BPE && r->model_type != MODEL_UNIGRAM) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: a SentencePiece %s model; only BPE and unigram are supported",
                         r->name, names[r->model_type - MODEL_UNIGRAM]);
    }
    if (r->n_denormalizer > 0) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: a denormalizer is not supported",
                         r->name);
    }
    if (r->space_as_suffix) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: treat_whitespace_as_suffix is not supported", r->name);
    }
    return PITH_OK;
}

/* The id when it names a control piece, else none. */
static int32_t control_id(const reader *r, int64_t id) {
    bool control = id >= 0 && (uint64_t)id < r->n_pieces && r->types[id] == PITH_PIECE_CONTROL;
    return control ? (int32_t)id : -1;
}

/* Checks what sentencepiece itself requires: one unknown piece, and all byte pieces or none. */
static pith_status find_roles(reader *r) {
    size_t n_unknown = 0;
    size_t n_bytes = 0;
    r->settings.unk = -1;
    for (size_t i = 0; i < r->n_pieces; i++) {
        if (r->types[i] == PITH_PIECE_UNKNOWN) {
            n_unknown++;
            r->settings.unk = (int32_t)i;
        }
        n_bytes += r->types[i] == PITH_PIECE_BYTE;
    }
    if (n_unknown != 1) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: %zu unknown pieces, not 1", r->name,
                         n_unknown);
    }
    if (n_bytes != (r->settings.byte_fallback ? 256 : 0)) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: %zu byte pieces, byte_fallback is %s",
                         r->name, n_bytes, r->settings.byte_fallback ? "on" : "off");
    }
    r->settings.bos = control_id(r, r->bos);
    r->settings.eos = control_id(r, r->eos);
    r->settings.add_bos = r->settings.bos >= 0;
    return PITH_OK;
}

static pith_status allocate_arrays(reader *r) {
    if (r->n_pieces == 0) {
        return damaged(r, "it has no pieces");
    }
    r->text = pith_allocate(r->allocator, r->n_text, 1);
    r->offsets = pith_allocate(r->allocator, r->n_pieces + 1, sizeof *r->offsets);
    r->scores = pith_allocate(r->allocator, r->n_pieces, sizeof *r->scores);
    r->types = pith_allocate(r->allocator, r->n_pieces, 1);
    r->added = pith_allocate(r->allocator, r->n_pieces, 1);
    if (r->text == NULL || r->offsets == NULL || r->scores == NULL || r->types == NULL ||
        r->added == NULL) {
        return pith_fail(r->error, PITH_ERROR_MEMORY, "%s: no memory for %zu pieces", r->name,
                         r->n_pieces);
    }
    r->offsets[0] = 0;
    r->n_text = 0;
    return PITH_OK;
}

/* Copies the map of characters, and turns the scores into those of a Unigram. */
static pith_status finish(reader *r) {
    size_t n = message_size(r->charsmap);
    bool unigram = r->model_type == MODEL_UNIGRAM;
    if (n > PITH_VOCAB_MAX_CHARSMAP) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: a character map of %zu bytes", r->name,
                         n);
    }
    if (n > 0) {
        r->charsmap_copy = pith_allocate(r->allocator, n, 1);
    }
    if (unigram) {
        r->log_probabilities =
            pith_allocate(r->allocator, r->n_pieces, sizeof *r->log_probabilities);
    }
    if ((n > 0 && r->charsmap_copy == NULL) || (unigram && r->log_probabilities == NULL)) {
        return pith_fail(r->error, PITH_ERROR_MEMORY, "%s: no memory for %zu pieces", r->name,
                         r->n_pieces);
    }
    if (n > 0) {
        memcpy(r->charsmap_copy, r->charsmap.at, n);
        r->settings.n_charsmap = n;
    }
    for (size_t i = 0; unigram && i < r->n_pieces; i++) {
        r->log_probabilities[i] = r->scores[i];
    }
    if (unigram) {
        r->settings.kind = PITH_TOKENIZER_UNIGRAM;
        r->settings.single_precision = true;
    }
    return PITH_OK;
}

static pith_status read_model(reader *r, message model) {
    pith_status status = read_message(r, model, count_field);
    if (status == PITH_OK && r->n_text > PITH_VOCAB_MAX_BYTES) {
        status = pith_fail(r->error, PITH_ERROR_FORMAT, "%s: %zu bytes of pieces, more than %d",
                           r->name, r->n_text, PITH_VOCAB_MAX_BYTES);
    }
    if (status == PITH_OK) {
        status = allocate_arrays(r);
    }
    if (status == PITH_OK) {
        status = read_message(r, model, model_field);
    }
    if (status == PITH_OK) {
        status = check_supported(r);
    }
    if (status == PITH_OK) {
        status = find_roles(r);
    }
    return status == PITH_OK ? finish(r) : status;
}

/* Other tokenizers use the same file name: Llama 3's tokenizer.model is tiktoken's. */
static pith_status explain(const reader *r, const void *data, size_t size, pith_status status) {
    const size_t n = size < PITH_FILE_LOOK ? size : PITH_FILE_LOOK;
    const pith_file_look look = pith_file_look_at(data, n, size);
    if (look.kind != PITH_FILE_TIKTOKEN && look.kind != PITH_FILE_JSON) {
        return status;
    }
    return pith_fail_kind(r->error, r->name, &look,
                          ", not a SentencePiece model; take the tokenizer.json of the same model");
}

pith_status pith_vocab_from_sentencepiece(pith_vocab_file *out, const void *data, size_t size,
                                          const char *name, const pith_allocator *allocator,
                                          pith_error *error) {
    allocator = pith_allocator_or_default(allocator);
    /* Absent fields have the defaults of sentencepiece_model.proto. */
    reader r = {
        .name = name,
        .error = error,
        .allocator = allocator,
        .model_type = MODEL_UNIGRAM,
        .bos = 1,
        .eos = 2,
        .settings = {.kind = PITH_TOKENIZER_SENTENCEPIECE,
                     .add_dummy_prefix = true,
                     .remove_extra_whitespaces = true,
                     .escape_whitespaces = true,
                     .fuse_unk = true},
    };
    const unsigned char *bytes = data;
    pith_status status =
        size == 0 ? damaged(&r, "it is empty") : read_model(&r, (message){bytes, bytes + size});
    pith_vocab_file file = {
        .vocab = r.settings,
        .allocator = allocator,
        .blocks = {r.text, r.offsets, r.scores, r.types, r.added, r.log_probabilities,
                   r.charsmap_copy},
    };
    file.vocab.n_pieces = r.n_pieces;
    file.vocab.bytes = r.text;
    file.vocab.n_bytes = r.n_text;
    file.vocab.offsets = r.offsets;
    file.vocab.scores = r.log_probabilities == NULL ? r.scores : NULL;
    file.vocab.log_probabilities = r.log_probabilities;
    file.vocab.charsmap = r.charsmap_copy;
    file.vocab.types = r.types;
    file.vocab.added = r.added;
    if (status == PITH_OK) {
        status = pith_vocab_check(&file.vocab, name, error);
    }
    if (status != PITH_OK) {
        pith_vocab_file_free(&file);
        return status == PITH_ERROR_FORMAT ? explain(&r, data, size, status) : status;
    }
    *out = file;
    return PITH_OK;
}
