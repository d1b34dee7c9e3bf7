/* The metadata document of a .pith file: the struct to JSON, and JSON, checked, to the struct.
 * docs/format.md lists the keys. Unknown keys are ignored, so that later versions may add some. */
#include "weights/metadata.h"

#include "base/memory.h"
#include "base/status.h"
#include "weights/config.h"
#include "weights/metadata_vocab.h"
#include "weights/pith_file.h"

#include <inttypes.h>
#include <string.h>

/* ---- Writing --------------------------------------------------------------------------------- */

static void put_optional_text(pith_json_writer *to, const char *key, const char *text) {
    if (text != NULL) {
        pith_json_put_text(to, key, text);
    }
}

static void put_hash(pith_json_writer *to, const char *text) {
    put_optional_text(to, "sha256", text != NULL && text[0] != '\0' ? text : NULL);
}

static void write_head(const pith_metadata *m, pith_json_writer *to) {
    int of_config = pith_config_format_version(&m->config);
    int of_vocab = pith_vocab_format_version(&m->vocab);
    pith_json_put_integer(to, "format_version", of_config > of_vocab ? of_config : of_vocab);
    pith_json_put_text(to, "architecture", m->architecture);
    put_optional_text(to, "generator", m->generator);
    pith_json_put_text(to, "type", pith_type_name(m->type));
    pith_json_put_text(to, "head_type", pith_type_name(m->head_type));
    put_optional_text(to, "chat_format", m->chat_format);
    put_optional_text(to, "chat_template", m->chat_template);
    if (m->n_chat_templates == 0) {
        return;
    }
    pith_json_open(to, "chat_templates", '{');
    for (size_t i = 0; i < m->n_chat_templates; i++) {
        pith_json_put_text(to, m->chat_templates[i].name, m->chat_templates[i].text);
    }
    pith_json_close(to, '}');
}

static void write_config(const pith_metadata *m, pith_json_writer *to) {
    pith_json_open(to, "config", '{');
    pith_config_write(&m->config, to);
    pith_json_close(to, '}');
}

static void write_tokens(const pith_metadata *m, pith_json_writer *to) {
    pith_json_open(to, "tokens", '{');
    pith_json_put_integer(to, "bos", m->bos);
    pith_json_open(to, "eos", '[');
    for (size_t i = 0; i < m->n_eos; i++) {
        pith_json_put_integer(to, NULL, m->eos[i]);
    }
    pith_json_close(to, ']');
    pith_json_close(to, '}');
}

static void write_vocab(const pith_vocab *vocab, pith_json_writer *to) {
    if (vocab->n_pieces == 0) {
        return;
    }
    pith_json_open(to, "tokenizer", '{');
    pith_vocab_settings_write(vocab, to);
    pith_json_close(to, '}');
}

static void write_prompts(const pith_metadata *m, pith_json_writer *to) {
    if (m->n_prompts == 0) {
        return;
    }
    pith_json_open(to, "prompts", '{');
    for (size_t i = 0; i < m->n_prompts; i++) {
        pith_json_put_text(to, m->prompts[i].name, m->prompts[i].text);
    }
    pith_json_close(to, '}');
    put_optional_text(to, "default_prompt", m->default_prompt);
}

static void write_sources(const pith_metadata *m, pith_json_writer *to) {
    pith_json_open(to, "sources", '[');
    for (size_t i = 0; i < m->n_sources; i++) {
        pith_json_open(to, NULL, '{');
        pith_json_put_text(to, "name", m->sources[i].name);
        pith_json_put_integer(to, "size", (int64_t)m->sources[i].size);
        put_hash(to, m->sources[i].sha256);
        pith_json_close(to, '}');
    }
    pith_json_close(to, ']');
}

static void write_notes(const pith_metadata *m, pith_json_writer *to) {
    pith_json_open(to, "tensors", '{');
    for (size_t i = 0; i < m->n_notes; i++) {
        const pith_tensor_note *note = &m->notes[i];
        pith_json_open(to, note->name, '{');
        put_optional_text(to, "type", note->is_matrix ? pith_type_name(note->type) : NULL);
        put_hash(to, note->sha256);
        pith_json_close(to, '}');
    }
    pith_json_close(to, '}');
}

pith_status pith_metadata_write(const pith_metadata *metadata, const pith_allocator *allocator,
                                char **text, pith_error *error) {
    pith_json_writer to;
    pith_json_write_begin(&to, allocator);
    pith_json_open(&to, NULL, '{');
    write_head(metadata, &to);
    write_config(metadata, &to);
    write_tokens(metadata, &to);
    write_vocab(&metadata->vocab, &to);
    write_prompts(metadata, &to);
    write_sources(metadata, &to);
    write_notes(metadata, &to);
    pith_json_close(&to, '}');
    pith_status status = pith_json_write_end(&to, "metadata", error);
    if (status == PITH_OK && to.bytes.size > PITH_MAX_METADATA) {
        status = pith_fail(error, PITH_ERROR_ARGUMENT, "metadata of %zu bytes, the limit is %d",
                           to.bytes.size, PITH_MAX_METADATA);
    }
    if (status != PITH_OK) {
        pith_bytes_release(&to.bytes);
        return status;
    }
    *text = to.bytes.data;
    return PITH_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct pith_metadata_owner {
    const pith_allocator *allocator;
    pith_chat_template *chat_templates;
    pith_prompt *prompts;
    pith_source *sources;
    pith_tensor_note *notes;
    pith_vocab_lists lists;
};

typedef struct reader {
    pith_metadata metadata;
    pith_json root;
    pith_metadata_owner *owner;
    const char *where;
    pith_error *error;
} reader;

static pith_status no_memory(pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "no memory for metadata");
}

static pith_status bad_key(const reader *r, const char *key, const char *what) {
    return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: metadata %s is missing or not %s", r->where,
                     key, what);
}

static bool is_text_or_absent(pith_json object, const char *key, const char **out) {
    pith_json value = pith_json_get(object, key);
    *out = pith_json_text(value);
    return value.at == NULL || *out != NULL;
}

/* An absent checksum gives "". */
static bool read_sha256(pith_json object, const char **out) {
    if (!is_text_or_absent(object, "sha256", out)) {
        return false;
    }
    if (*out == NULL) {
        *out = "";
        return true;
    }
    return strlen(*out) == PITH_SHA256_TEXT - 1 &&
           strspn(*out, "0123456789abcdef") == PITH_SHA256_TEXT - 1;
}

static bool read_type(pith_json object, const char *key, pith_type *out) {
    const char *text = pith_json_text(pith_json_get(object, key));
    return text != NULL && pith_type_find(text, out);
}

static pith_status read_head(reader *r) {
    pith_json root = r->root;
    pith_metadata *m = &r->metadata;
    pith_json version = pith_json_get(root, "format_version");
    int64_t number;
    if (!pith_json_integer(version, &number)) {
        return bad_key(r, "format_version", "an integer");
    }
    if (number < 1 || number > PITH_FORMAT_VERSION) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: format version %" PRId64 "; this build reads versions 1 to %d",
                         r->where, number, PITH_FORMAT_VERSION);
    }
    m->architecture = pith_json_text(pith_json_get(root, "architecture"));
    if (m->architecture == NULL) {
        return bad_key(r, "architecture", "a string");
    }
    if (pith_family_find(m->architecture) == NULL) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: architecture \"%.40s\" is unknown",
                         r->where, m->architecture);
    }
    m->generator = pith_json_text(pith_json_get(root, "generator"));
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

static pith_status read_chat_templates(reader *r) {
    pith_metadata *m = &r->metadata;
    pith_json object = pith_json_get(r->root, "chat_templates");
    if (object.at == NULL) {
        return PITH_OK;
    }
    size_t n = pith_json_size(object);
    if (!pith_json_is(object, PITH_JSON_OBJECT) || n > PITH_MAX_TEMPLATES) {
        return bad_key(r, "chat_templates", "an object of at most 64 strings");
    }
    pith_chat_template *templates = pith_allocate_zeroed(r->owner->allocator, n, sizeof *templates);
    if (templates == NULL) {
        return no_memory(r->error);
    }
    r->owner->chat_templates = templates;
    pith_json_walk walk = pith_json_begin(object);
    while (pith_json_next(&walk)) {
        const char *text = pith_json_text(walk.value);
        if (text == NULL || strlen(text) > PITH_MAX_TEMPLATE) {
            return bad_key(r, "chat_templates", "an object of strings of at most 1 MiB");
        }
        templates[m->n_chat_templates++] = (pith_chat_template){.name = walk.key, .text = text};
    }
    m->chat_templates = templates;
    return PITH_OK;
}

static pith_status read_config(reader *r) {
    const pith_family *family = pith_family_find(r->metadata.architecture);
    pith_status status = pith_config_read(&r->metadata.config, family->role,
                                          pith_json_get(r->root, "config"), r->where, r->error);
    return status == PITH_OK ? pith_family_check(family, &r->metadata.config, r->where, r->error)
                             : status;
}

static bool read_token(pith_json value, int64_t least, size_t vocab_size, int32_t *out) {
    int64_t token;
    if (!pith_json_integer(value, &token) || token < least || token >= (int64_t)vocab_size) {
        return false;
    }
    *out = (int32_t)token;
    return true;
}

static pith_status read_tokens(reader *r) {
    pith_metadata *m = &r->metadata;
    pith_json object = pith_json_get(r->root, "tokens");
    pith_json eos = pith_json_get(object, "eos");
    size_t vocab_size = m->config.vocab_size;
    if (!read_token(pith_json_get(object, "bos"), -1, vocab_size, &m->bos)) {
        return bad_key(r, "tokens.bos", "-1 or a token of the vocabulary");
    }
    if (!pith_json_is(eos, PITH_JSON_ARRAY) || pith_json_size(eos) > PITH_MAX_EOS) {
        return bad_key(r, "tokens.eos", "an array of at most 16 tokens");
    }
    pith_json_walk walk = pith_json_begin(eos);
    for (m->n_eos = 0; pith_json_next(&walk); m->n_eos++) {
        if (!read_token(walk.value, 0, vocab_size, &m->eos[m->n_eos])) {
            return bad_key(r, "tokens.eos", "an array of tokens of the vocabulary");
        }
    }
    return PITH_OK;
}

static pith_status read_vocab(reader *r) {
    return pith_vocab_settings_read(&r->metadata.vocab, &r->owner->lists,
                                    pith_json_get(r->root, "tokenizer"), r->where,
                                    r->owner->allocator, r->error);
}

/* The two lists are walked twice: memory is taken only for entries that were found valid. */

static pith_status walk_sources(const reader *r, pith_source *sources) {
    pith_json_walk walk = pith_json_begin(pith_json_get(r->root, "sources"));
    for (size_t i = 0; pith_json_next(&walk); i++) {
        pith_source source = {.name = pith_json_text(pith_json_get(walk.value, "name"))};
        if (source.name == NULL ||
            !pith_json_count(pith_json_get(walk.value, "size"), &source.size) ||
            !read_sha256(walk.value, &source.sha256)) {
            return bad_key(r, "sources", "a list of name, size and sha256");
        }
        if (sources != NULL) {
            sources[i] = source;
        }
    }
    return PITH_OK;
}

static pith_status read_prompts(reader *r) {
    pith_metadata *m = &r->metadata;
    pith_json object = pith_json_get(r->root, "prompts");
    if (object.at == NULL) {
        return PITH_OK;
    }
    size_t n = pith_json_size(object);
    if (!pith_json_is(object, PITH_JSON_OBJECT) || n > PITH_MAX_PROMPTS) {
        return bad_key(r, "prompts", "an object of at most 256 strings");
    }
    pith_prompt *prompts = pith_allocate_zeroed(r->owner->allocator, n, sizeof *prompts);
    if (prompts == NULL) {
        return no_memory(r->error);
    }
    r->owner->prompts = prompts;
    const char *wanted;
    if (!is_text_or_absent(r->root, "default_prompt", &wanted)) {
        return bad_key(r, "default_prompt", "a string");
    }
    pith_json_walk walk = pith_json_begin(object);
    while (pith_json_next(&walk)) {
        const char *name = walk.key;
        const char *text = pith_json_text(walk.value);
        if (text == NULL || strlen(text) > PITH_MAX_PROMPT) {
            return bad_key(r, "prompts", "an object of strings of at most 64 KiB");
        }
        prompts[m->n_prompts++] = (pith_prompt){.name = name, .text = text};
        m->default_prompt = wanted != NULL && strcmp(name, wanted) == 0 ? name : m->default_prompt;
    }
    m->prompts = prompts;
    return wanted == NULL || m->default_prompt != NULL
               ? PITH_OK
               : bad_key(r, "default_prompt", "the name of a prompt");
}

static pith_status read_sources(reader *r) {
    pith_json array = pith_json_get(r->root, "sources");
    if (!pith_json_is(array, PITH_JSON_ARRAY)) {
        return bad_key(r, "sources", "an array");
    }
    pith_status status = walk_sources(r, NULL);
    if (status != PITH_OK) {
        return status;
    }
    size_t n = pith_json_size(array);
    r->owner->sources = pith_allocate(r->owner->allocator, n, sizeof *r->owner->sources);
    if (r->owner->sources == NULL) {
        return no_memory(r->error);
    }
    r->metadata.sources = r->owner->sources;
    r->metadata.n_sources = n;
    return walk_sources(r, r->owner->sources);
}

static pith_status walk_notes(const reader *r, pith_tensor_note *notes) {
    pith_json_walk walk = pith_json_begin(pith_json_get(r->root, "tensors"));
    for (size_t i = 0; pith_json_next(&walk); i++) {
        pith_tensor_note note = {.name = walk.key};
        note.is_matrix = pith_json_get(walk.value, "type").at != NULL;
        if (!pith_json_is(walk.value, PITH_JSON_OBJECT) || !read_sha256(walk.value, &note.sha256) ||
            (note.is_matrix && !read_type(walk.value, "type", &note.type))) {
            return bad_key(r, "tensors", "an object of type and sha256");
        }
        if (notes != NULL) {
            notes[i] = note;
        }
    }
    return PITH_OK;
}

static pith_status read_notes(reader *r) {
    pith_json tensors = pith_json_get(r->root, "tensors");
    if (!pith_json_is(tensors, PITH_JSON_OBJECT)) {
        return bad_key(r, "tensors", "an object");
    }
    pith_status status = walk_notes(r, NULL);
    if (status != PITH_OK) {
        return status;
    }
    size_t n = pith_json_size(tensors);
    r->owner->notes = pith_allocate(r->owner->allocator, n, sizeof *r->owner->notes);
    if (r->owner->notes == NULL) {
        return no_memory(r->error);
    }
    r->metadata.notes = r->owner->notes;
    r->metadata.n_notes = n;
    return walk_notes(r, r->owner->notes);
}

static pith_status read_document(reader *r, char *text) {
    static pith_status (*const sections[])(reader *) = {
        read_head,  read_chat_templates, read_config,  read_tokens,
        read_vocab, read_prompts,        read_sources, read_notes,
    };
    size_t size = strnlen(text, PITH_MAX_METADATA + 1);
    if (size > PITH_MAX_METADATA) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: metadata exceeds the limit of %d bytes",
                         r->where, PITH_MAX_METADATA);
    }
    pith_status status = pith_json_read(&r->root, text, size, PITH_JSON_STRICT, r->where,
                                        r->owner->allocator, r->error);
    for (size_t i = 0; i < sizeof sections / sizeof *sections && status == PITH_OK; i++) {
        status = sections[i](r);
    }
    return status;
}

pith_status pith_metadata_read(pith_metadata *out, pith_metadata_owner **owner, char *text,
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
        pith_release(owner->allocator, owner->chat_templates);
        pith_release(owner->allocator, owner->prompts);
        pith_release(owner->allocator, owner->sources);
        pith_release(owner->allocator, owner->notes);
        for (size_t i = 0; i < sizeof owner->lists.blocks / sizeof *owner->lists.blocks; i++) {
            pith_release(owner->allocator, owner->lists.blocks[i]);
        }
        pith_release(owner->allocator, owner);
    }
}
