/* The metadata document of a .pith file: the struct to JSON, and JSON, checked, to the struct.
 * docs/format.md lists the keys. Unknown keys are ignored, so that later versions may add some. */
#include "weights/metadata.h"

#include "base/status.h"
#include "weights/config.h"
#include "weights/fields.h"
#include "weights/json.h"
#include "weights/pith_file.h"

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

static const char *const kind_names[] = {
    [PITH_TOKENIZER_SENTENCEPIECE] = "sentencepiece",
    [PITH_TOKENIZER_LLAMA_BPE] = "llama_bpe",
    [PITH_TOKENIZER_BYTE_BPE] = "byte_bpe",
    [PITH_TOKENIZER_WORDPIECE] = "wordpiece",
};

enum {
    N_VOCAB_FIELDS = sizeof vocab_fields / sizeof *vocab_fields,
    N_KIND_NAMES = sizeof kind_names / sizeof *kind_names,
};

/* ---- Writing --------------------------------------------------------------------------------- */

static pith_status no_memory(pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "no memory for metadata");
}

static pith_status set_integer(json_t *object, const char *key, size_t value, pith_error *error) {
    return json_object_set_new(object, key, json_integer((json_int_t)value)) == 0
               ? PITH_OK
               : no_memory(error);
}

/* Adds an empty object (or array) and gives a borrowed pointer to it; NULL: out of memory. */
static json_t *set_container(json_t *object, const char *key, json_t *container) {
    return json_object_set_new(object, key, container) == 0 ? container : NULL;
}

static pith_status write_head(const pith_metadata *m, json_t *root, pith_error *error) {
    pith_status status = set_integer(root, "format_version", PITH_FORMAT_VERSION, error);
    const struct {
        const char *key;
        const char *text; /* NULL: absent */
    } texts[] = {
        {"architecture", m->architecture}, {"generator", m->generator},
        {"type", pith_type_name(m->type)}, {"head_type", pith_type_name(m->head_type)},
        {"chat_format", m->chat_format},   {"chat_template", m->chat_template},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts && status == PITH_OK; i++) {
        if (texts[i].text != NULL) {
            status = pith_json_set_text(root, texts[i].key, texts[i].text, error);
        }
    }
    return status;
}

static pith_status write_config(const pith_metadata *m, json_t *root, pith_error *error) {
    json_t *object = set_container(root, "config", json_object());
    return object != NULL ? pith_config_write(m, object, error) : no_memory(error);
}

static pith_status write_tokens(const pith_metadata *m, json_t *root, pith_error *error) {
    json_t *object = set_container(root, "tokens", json_object());
    if (object == NULL || json_object_set_new(object, "bos", json_integer(m->bos)) != 0) {
        return no_memory(error);
    }
    json_t *eos = set_container(object, "eos", json_array());
    if (eos == NULL) {
        return no_memory(error);
    }
    for (size_t i = 0; i < m->n_eos; i++) {
        if (json_array_append_new(eos, json_integer(m->eos[i])) != 0) {
            return no_memory(error);
        }
    }
    return PITH_OK;
}

static pith_status write_vocab(const pith_vocab *vocab, json_t *root, pith_error *error) {
    if (vocab->n_pieces == 0) {
        return PITH_OK;
    }
    json_t *object = set_container(root, "tokenizer", json_object());
    if (object == NULL) {
        return no_memory(error);
    }
    pith_status status = pith_json_set_text(object, "kind", kind_names[vocab->kind], error);
    if (status == PITH_OK) {
        status = pith_fields_write(vocab_fields, N_VOCAB_FIELDS, vocab, object, error);
    }
    if (status == PITH_OK && vocab->pattern != NULL) {
        status = pith_json_set_text(object, "pattern", vocab->pattern, error);
    }
    return status;
}

static pith_status write_prompts(const pith_metadata *m, json_t *root, pith_error *error) {
    if (m->n_prompts == 0) {
        return PITH_OK;
    }
    json_t *object = set_container(root, "prompts", json_object());
    pith_status status = object != NULL ? PITH_OK : no_memory(error);
    for (size_t i = 0; i < m->n_prompts && status == PITH_OK; i++) {
        status = pith_json_set_text(object, m->prompts[i].name, m->prompts[i].text, error);
    }
    if (status == PITH_OK && m->default_prompt != NULL) {
        status = pith_json_set_text(root, "default_prompt", m->default_prompt, error);
    }
    return status;
}

static pith_status write_sources(const pith_metadata *m, json_t *root, pith_error *error) {
    json_t *array = set_container(root, "sources", json_array());
    pith_status status = array != NULL ? PITH_OK : no_memory(error);
    for (size_t i = 0; i < m->n_sources && status == PITH_OK; i++) {
        json_t *object = json_object();
        if (json_array_append_new(array, object) != 0) {
            return no_memory(error);
        }
        status = pith_json_set_text(object, "name", m->sources[i].name, error);
        if (status == PITH_OK) {
            status = set_integer(object, "size", m->sources[i].size, error);
        }
        if (status == PITH_OK && m->sources[i].sha256[0] != '\0') {
            status = pith_json_set_text(object, "sha256", m->sources[i].sha256, error);
        }
    }
    return status;
}

static pith_status write_notes(const pith_metadata *m, json_t *root, pith_error *error) {
    json_t *tensors = set_container(root, "tensors", json_object());
    pith_status status = tensors != NULL ? PITH_OK : no_memory(error);
    for (size_t i = 0; i < m->n_notes && status == PITH_OK; i++) {
        const pith_tensor_note *note = &m->notes[i];
        json_t *object = set_container(tensors, note->name, json_object());
        if (object == NULL) {
            return no_memory(error);
        }
        if (note->is_matrix) {
            status = pith_json_set_text(object, "type", pith_type_name(note->type), error);
        }
        if (status == PITH_OK && note->sha256[0] != '\0') {
            status = pith_json_set_text(object, "sha256", note->sha256, error);
        }
    }
    return status;
}

/* JSON to a block of the caller's allocator. */
static pith_status dump(const json_t *root, const pith_allocator *allocator, char **text,
                        pith_error *error) {
    size_t size = json_dumpb(root, NULL, 0, JSON_COMPACT);
    if (size > PITH_MAX_METADATA) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "metadata of %zu bytes, the limit is %d", size,
                         PITH_MAX_METADATA);
    }
    char *block = size != 0 ? pith_allocate(allocator, size + 1, 1) : NULL;
    if (block == NULL) {
        return no_memory(error);
    }
    if (json_dumpb(root, block, size, JSON_COMPACT) != size) {
        pith_release(allocator, block);
        return no_memory(error);
    }
    block[size] = '\0';
    *text = block;
    return PITH_OK;
}

pith_status pith_metadata_write(const pith_metadata *metadata, const pith_allocator *allocator,
                                char **text, pith_error *error) {
    json_t *root = json_object();
    if (root == NULL) {
        return no_memory(error);
    }
    pith_status status = write_head(metadata, root, error);
    if (status == PITH_OK) {
        status = write_config(metadata, root, error);
    }
    if (status == PITH_OK) {
        status = write_tokens(metadata, root, error);
    }
    if (status == PITH_OK) {
        status = write_vocab(&metadata->vocab, root, error);
    }
    if (status == PITH_OK) {
        status = write_prompts(metadata, root, error);
    }
    if (status == PITH_OK) {
        status = write_sources(metadata, root, error);
    }
    if (status == PITH_OK) {
        status = write_notes(metadata, root, error);
    }
    if (status == PITH_OK) {
        status = dump(root, allocator, text, error);
    }
    json_decref(root);
    return status;
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct pith_metadata_owner {
    const pith_allocator *allocator;
    json_t *root; /* all strings of the struct live here */
    pith_prompt *prompts;
    pith_source *sources;
    pith_tensor_note *notes;
};

typedef struct reader {
    pith_metadata metadata;
    pith_metadata_owner *owner;
    const char *where;
    pith_error *error;
} reader;

static pith_status bad_key(const reader *r, const char *key, const char *what) {
    return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: metadata %s is missing or not %s", r->where,
                     key, what);
}

/* Index of the string `object[key]` in `names`, or n_names. */
static size_t find_name(const json_t *object, const char *key, const char *const *names,
                        size_t n_names) {
    const char *text = json_string_value(json_object_get(object, key));
    size_t i = 0;
    while (i < n_names && (text == NULL || strcmp(text, names[i]) != 0)) {
        i++;
    }
    return i;
}

static bool is_text_or_absent(const json_t *object, const char *key, const char **out) {
    const json_t *value = json_object_get(object, key);
    *out = json_string_value(value);
    return value == NULL || *out != NULL;
}

/* An absent checksum gives "". */
static bool read_sha256(const json_t *object, char out[PITH_SHA256_TEXT]) {
    const char *text;
    if (!is_text_or_absent(object, "sha256", &text)) {
        return false;
    }
    out[0] = '\0';
    if (text == NULL) {
        return true;
    }
    if (strlen(text) != PITH_SHA256_TEXT - 1 ||
        strspn(text, "0123456789abcdef") != PITH_SHA256_TEXT - 1) {
        return false;
    }
    memcpy(out, text, PITH_SHA256_TEXT);
    return true;
}

static bool read_type(const json_t *object, const char *key, pith_type *out) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && pith_type_find(text, out);
}

static pith_status read_head(reader *r) {
    const json_t *root = r->owner->root;
    pith_metadata *m = &r->metadata;
    const json_t *version = json_object_get(root, "format_version");
    if (!json_is_integer(version)) {
        return bad_key(r, "format_version", "an integer");
    }
    if (json_integer_value(version) != PITH_FORMAT_VERSION) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: format version %lld; this build reads version %d", r->where,
                         (long long)json_integer_value(version), PITH_FORMAT_VERSION);
    }
    m->architecture = json_string_value(json_object_get(root, "architecture"));
    if (m->architecture == NULL) {
        return bad_key(r, "architecture", "a string");
    }
    pith_architecture architecture;
    if (!pith_architecture_find(m->architecture, &architecture)) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: architecture \"%.40s\" is unknown",
                         r->where, m->architecture);
    }
    m->generator = json_string_value(json_object_get(root, "generator"));
    if (m->generator == NULL) {
        return bad_key(r, "generator", "a string");
    }
    if (!read_type(root, "type", &m->type)) {
        return bad_key(r, "type", "a numeric type");
    }
    if (!read_type(root, "head_type", &m->head_type)) {
        return bad_key(r, "head_type", "a numeric type");
    }
    if (!is_text_or_absent(root, "chat_format", &m->chat_format) ||
        !is_text_or_absent(root, "chat_template", &m->chat_template)) {
        return bad_key(r, "chat_format or chat_template", "a string");
    }
    return PITH_OK;
}

static pith_status read_config(reader *r) {
    return pith_config_read(&r->metadata, json_object_get(r->owner->root, "config"), r->where,
                            r->error);
}

static bool read_token(const json_t *value, json_int_t least, size_t vocab_size, int32_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) >= (json_int_t)vocab_size) {
        return false;
    }
    *out = (int32_t)json_integer_value(value);
    return true;
}

static pith_status read_tokens(reader *r) {
    pith_metadata *m = &r->metadata;
    const json_t *object = json_object_get(r->owner->root, "tokens");
    const json_t *eos = json_object_get(object, "eos");
    size_t vocab_size = pith_config_vocab_size(m);
    if (!read_token(json_object_get(object, "bos"), -1, vocab_size, &m->bos)) {
        return bad_key(r, "tokens.bos", "-1 or a token of the vocabulary");
    }
    if (!json_is_array(eos) || json_array_size(eos) > PITH_MAX_EOS) {
        return bad_key(r, "tokens.eos", "an array of at most 16 tokens");
    }
    m->n_eos = json_array_size(eos);
    for (size_t i = 0; i < m->n_eos; i++) {
        if (!read_token(json_array_get(eos, i), 0, vocab_size, &m->eos[i])) {
            return bad_key(r, "tokens.eos", "an array of tokens of the vocabulary");
        }
    }
    return PITH_OK;
}

static pith_status read_vocab(reader *r) {
    pith_vocab *vocab = &r->metadata.vocab;
    const json_t *object = json_object_get(r->owner->root, "tokenizer");
    if (object == NULL) {
        vocab->bos = vocab->eos = vocab->unk = -1;
        return PITH_OK;
    }
    size_t kind = find_name(object, "kind", kind_names, N_KIND_NAMES);
    if (kind == N_KIND_NAMES) {
        return bad_key(r, "tokenizer.kind", "a known kind");
    }
    vocab->kind = (pith_tokenizer_kind)kind;
    pith_status status = pith_fields_read(vocab_fields, N_VOCAB_FIELDS, vocab, object, r->where,
                                          "tokenizer", r->error);
    if (status != PITH_OK) {
        return status;
    }
    int64_t n = (int64_t)vocab->n_pieces;
    if (n == 0) {
        return bad_key(r, "tokenizer.n_pieces", "positive");
    }
    if (vocab->bos >= n || vocab->eos >= n || vocab->unk >= n) {
        return bad_key(r, "tokenizer.bos, eos or unk", "-1 or the id of a piece");
    }
    if (!is_text_or_absent(object, "pattern", &vocab->pattern)) {
        return bad_key(r, "tokenizer.pattern", "a string");
    }
    return PITH_OK;
}

static pith_status read_prompts(reader *r) {
    pith_metadata *m = &r->metadata;
    json_t *object = json_object_get(r->owner->root, "prompts");
    if (object == NULL) {
        return PITH_OK;
    }
    size_t n = json_object_size(object);
    if (!json_is_object(object) || n > PITH_MAX_PROMPTS) {
        return bad_key(r, "prompts", "an object of at most 256 strings");
    }
    pith_prompt *prompts = pith_allocate_zeroed(r->owner->allocator, n, sizeof *prompts);
    if (prompts == NULL) {
        return no_memory(r->error);
    }
    r->owner->prompts = prompts;
    const char *wanted;
    if (!is_text_or_absent(r->owner->root, "default_prompt", &wanted)) {
        return bad_key(r, "default_prompt", "a string");
    }
    const char *name;
    json_t *text;
    json_object_foreach(object, name, text) {
        if (!json_is_string(text) || json_string_length(text) > PITH_MAX_PROMPT) {
            return bad_key(r, "prompts", "an object of strings of at most 64 KiB");
        }
        prompts[m->n_prompts++] = (pith_prompt){.name = name, .text = json_string_value(text)};
        m->default_prompt = wanted != NULL && strcmp(name, wanted) == 0 ? name : m->default_prompt;
    }
    m->prompts = prompts;
    return wanted == NULL || m->default_prompt != NULL
               ? PITH_OK
               : bad_key(r, "default_prompt", "the name of a prompt");
}

static pith_status read_sources(reader *r) {
    const json_t *array = json_object_get(r->owner->root, "sources");
    if (!json_is_array(array)) {
        return bad_key(r, "sources", "an array");
    }
    size_t n = json_array_size(array);
    pith_source *sources = pith_allocate_zeroed(r->owner->allocator, n, sizeof *sources);
    if (sources == NULL) {
        return no_memory(r->error);
    }
    r->owner->sources = sources;
    for (size_t i = 0; i < n; i++) {
        const json_t *object = json_array_get(array, i);
        const json_t *size = json_object_get(object, "size");
        sources[i].name = json_string_value(json_object_get(object, "name"));
        if (sources[i].name == NULL || !json_is_integer(size) || json_integer_value(size) < 0 ||
            !read_sha256(object, sources[i].sha256)) {
            return bad_key(r, "sources", "a list of name, size and sha256");
        }
        sources[i].size = (size_t)json_integer_value(size);
    }
    r->metadata.sources = sources;
    r->metadata.n_sources = n;
    return PITH_OK;
}

static pith_status read_notes(reader *r) {
    json_t *tensors = json_object_get(r->owner->root, "tensors");
    if (!json_is_object(tensors)) {
        return bad_key(r, "tensors", "an object");
    }
    size_t n = json_object_size(tensors);
    pith_tensor_note *notes = pith_allocate_zeroed(r->owner->allocator, n, sizeof *notes);
    if (notes == NULL) {
        return no_memory(r->error);
    }
    r->owner->notes = notes;
    size_t i = 0;
    const char *name;
    json_t *object;
    json_object_foreach(tensors, name, object) {
        notes[i].name = name;
        notes[i].is_matrix = json_object_get(object, "type") != NULL;
        if (!json_is_object(object) || !read_sha256(object, notes[i].sha256) ||
            (notes[i].is_matrix && !read_type(object, "type", &notes[i].type))) {
            return bad_key(r, "tensors", "an object of type and sha256");
        }
        i++;
    }
    r->metadata.notes = notes;
    r->metadata.n_notes = n;
    return PITH_OK;
}

static pith_status read_document(reader *r, const char *text) {
    static pith_status (*const sections[])(reader *) = {
        read_head, read_config, read_tokens, read_vocab, read_prompts, read_sources, read_notes,
    };
    size_t size = strnlen(text, PITH_MAX_METADATA + 1);
    if (size > PITH_MAX_METADATA) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: metadata exceeds the limit of %d bytes",
                         r->where, PITH_MAX_METADATA);
    }
    pith_status status = pith_json_parse(&r->owner->root, text, size, r->where, r->error);
    for (size_t i = 0; i < sizeof sections / sizeof *sections && status == PITH_OK; i++) {
        status = sections[i](r);
    }
    return status;
}

pith_status pith_metadata_read(pith_metadata *out, pith_metadata_owner **owner, const char *text,
                               const char *where, const pith_allocator *allocator,
                               pith_error *error) {
    reader r = {.where = where, .error = error};
    r.owner = pith_allocate_zeroed(allocator, 1, sizeof *r.owner);
    if (r.owner == NULL) {
        return no_memory(error);
    }
    r.owner->allocator = allocator;
    pith_status status = read_document(&r, text);
    if (status != PITH_OK) {
        pith_metadata_free(r.owner);
        return status;
    }
    *out = r.metadata;
    *owner = r.owner;
    return PITH_OK;
}

void pith_metadata_free(pith_metadata_owner *owner) {
    if (owner != NULL) {
        json_decref(owner->root);
        pith_release(owner->allocator, owner->prompts);
        pith_release(owner->allocator, owner->sources);
        pith_release(owner->allocator, owner->notes);
        pith_release(owner->allocator, owner);
    }
}
