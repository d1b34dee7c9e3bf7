/* Which tokenizer a checkpoint has, and what its configuration files add to it. */
#include "convert/hf_tokenizer.h"

#include "base/checked.h"
#include "base/text.h"
#include "families/hf_json.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

enum {
    MAX_TOKENIZER = 128 << 20, /* bytes of tokenizer.model or tokenizer.json */
    MAX_CONFIG = 16 << 20,     /* bytes of the small files beside it */
};

/* The texts beside the tokenizer, and the objects that three of them hold. */
typedef struct settings {
    char *config_text, *added_text, *map_text;
    size_t config_size, added_size, map_size;
    pith_json config; /* tokenizer_config.json, or absent */
    pith_json added;  /* added_tokens.json, or absent */
    pith_json map;    /* special_tokens_map.json, or absent */
} settings;

static const char config_name[] = "tokenizer_config.json";
static const char added_name[] = "added_tokens.json";
static const char map_name[] = "special_tokens_map.json";

static void release_settings(settings *s, const pith_allocator *allocator) {
    pith_release(allocator, s->config_text);
    pith_release(allocator, s->added_text);
    pith_release(allocator, s->map_text);
}

static pith_status read_settings(settings *s, pith_sources *sources, pith_error *error) {
    const struct {
        const char *name;
        size_t limit;
        char **text;
        size_t *size;
        pith_json *object;
    } files[] = {
        {config_name, MAX_CONFIG, &s->config_text, &s->config_size, &s->config},
        {added_name, MAX_CONFIG, &s->added_text, &s->added_size, &s->added},
        {map_name, MAX_CONFIG, &s->map_text, &s->map_size, &s->map},
    };
    pith_status status = PITH_OK;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && status == PITH_OK; i++) {
        status = pith_sources_read_optional(sources, files[i].name, files[i].limit, files[i].text,
                                            files[i].size, error);
        if (status == PITH_OK && *files[i].text != NULL) {
            status = pith_hf_json_object(files[i].object, *files[i].text, *files[i].size,
                                         files[i].name, sources->allocator, error);
        }
    }
    return status;
}

/* ---- Chat templates -------------------------------------------------------------------------- */

/* Meta's first Llama 2 chat models have no template: this key, used at that time, asks for the
 * template of the tokenizer's class, which writes Llama 2's markup. */
static bool has_llama2_class_template(const settings *s) {
    bool asked = false;
    pith_json_bool(pith_json_get(s->config, "use_default_system_prompt"), &asked);
    return asked;
}

static pith_status read_templates(pith_hf_tokenizer *out, pith_sources *sources, const settings *s,
                                  pith_error *error) {
    pith_status status = pith_hf_templates_read(&out->templates, sources, s->config, error);
    out->llama2_markup =
        status == PITH_OK && out->templates.text == NULL && has_llama2_class_template(s);
    return status;
}

/* ---- Special tokens -------------------------------------------------------------------------- */

static int32_t find_piece(const pith_vocab *vocab, const char *text, size_t n) {
    for (size_t i = 0; i < vocab->n_pieces; i++) {
        size_t begin = vocab->offsets[i];
        if (vocab->offsets[i + 1] - begin == n && memcmp(vocab->bytes + begin, text, n) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

/* What the classes of transformers assume where tokenizer_config.json has no such key. */
typedef struct tokenizer_class {
    const char *name; /* without "Fast" */
    const char *bos, *eos;
    bool adds; /* add_bos_token is true and add_eos_token false unless given: what the
                  post-processor says does not matter */
} tokenizer_class;

static const tokenizer_class classes[] = {
    {"LlamaTokenizer", "<s>", "</s>", true},
    {"LLaMATokenizer", "<s>", "</s>", true}, /* of the first conversions */
    {"CodeLlamaTokenizer", "<s>", "</s>", true},
    {"GemmaTokenizer", "<bos>", "<eos>", true},
    {"GPT2Tokenizer", "<|endoftext|>", "<|endoftext|>", false},
    {"Qwen2Tokenizer", NULL, "<|endoftext|>", false},
};

/* The class that the configuration names, or one that assumes nothing. */
static const tokenizer_class *find_class(const settings *s) {
    static const tokenizer_class other = {"", NULL, NULL, false};
    const char *name = pith_json_text(pith_json_get(s->config, "tokenizer_class"));
    for (size_t i = 0; name != NULL && i < sizeof classes / sizeof classes[0]; i++) {
        size_t n = strlen(classes[i].name);
        if (strncmp(name, classes[i].name, n) == 0 &&
            (name[n] == '\0' || strcmp(name + n, "Fast") == 0)) {
            return &classes[i];
        }
    }
    return &other;
}

/* The spelling of a special token: "bos_token" is a string, or an object with its content. *given
 * when a file has the key at all: null means that there is none. */
static pith_json find_spelling(const settings *s, const char *key, bool *given) {
    const pith_json objects[] = {s->config, s->map};
    *given = false;
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        pith_json value = pith_json_get(objects[i], key);
        *given = *given || value.at != NULL;
        if (pith_json_is(value, PITH_JSON_OBJECT)) {
            value = pith_json_get(value, "content");
        }
        if (pith_json_is(value, PITH_JSON_STRING)) {
            return value;
        }
    }
    return (pith_json){NULL};
}

/* Looks up "bos_token" or "eos_token"; `assumed` is the class's. *id is unchanged where no file
 * names the token. */
static void apply_special_token(const pith_vocab *vocab, const settings *s, const char *key,
                                const char *assumed, const pith_log *log, int32_t *id, bool *none) {
    bool given;
    pith_json spelling = find_spelling(s, key, &given);
    const char *text = pith_json_text(spelling);
    size_t n = pith_json_text_size(spelling);
    *none = given && text == NULL;
    if (!given && assumed != NULL) {
        text = assumed;
        n = strlen(assumed);
    }
    int32_t found = text != NULL ? find_piece(vocab, text, n) : -1;
    if (found >= 0) {
        *id = found;
    } else if (*none) {
        *id = -1;
    } else if (given) {
        pith_log_write(log, PITH_LOG_WARNING, "%s: \"%.60s\" is not in the vocabulary", key, text);
    }
}

/* A key of tokenizer_config.json that is true, false, null or absent; the last two leave *out. */
static pith_status read_choice(const settings *s, const char *key, bool *given, bool *out,
                               pith_error *error) {
    *given = pith_hf_json_get(s->config, key).at != NULL;
    return *given ? pith_hf_json_flag(s->config, key, config_name, out, error) : PITH_OK;
}

/* What stands around a text: add_bos_token and add_eos_token where they are given, else what the
 * class assumes, else what the post-processor said, which `vocab` holds until now. The tokens are
 * those that the configuration names; the post-processor's where it decides. */
static pith_status apply_special_tokens(pith_hf_tokenizer *out, const settings *s,
                                        const pith_log *log, pith_error *error) {
    pith_vocab *vocab = &out->file.vocab;
    const tokenizer_class *class = find_class(s);
    const struct {
        const char *token, *add, *assumed;
        bool adds;
        int32_t *id;
        bool *flag;
        size_t *n_more; /* tokens of the post-processor beside its own */
    } roles[] = {
        {"bos_token", "add_bos_token", class->bos, true, &vocab->bos, &vocab->add_bos,
         &vocab->n_after_bos},
        {"eos_token", "add_eos_token", class->eos, false, &vocab->eos, &vocab->add_eos,
         &vocab->n_before_eos},
    };
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        bool given;
        bool none;
        int32_t around = *roles[i].flag ? *roles[i].id : -1;
        pith_status status = read_choice(s, roles[i].add, &given, roles[i].flag, error);
        if (status != PITH_OK) {
            return status;
        }
        if (!given && class->adds) {
            *roles[i].flag = roles[i].adds;
        }
        apply_special_token(vocab, s, roles[i].token, roles[i].assumed, log, roles[i].id, &none);
        if (around >= 0 && *roles[i].flag && (*roles[i].id < 0 || (!given && !class->adds))) {
            *roles[i].id = around;
        }
        if (!*roles[i].flag || *roles[i].id != around) {
            *roles[i].n_more = 0;
        }
        out->no_bos = i == 0 ? none && *roles[i].id < 0 : out->no_bos;
    }
    return PITH_OK;
}

/* ---- WordPiece ------------------------------------------------------------------------------- */

/* Applies the settings with which transformers overrides a tokenizer.json. */
static pith_status apply_bert_config(pith_vocab *vocab, const settings *s, bool json,
                                     const pith_log *log, pith_error *error) {
    pith_json side = pith_json_get(s->config, "truncation_side");
    bool changed = false;
    if (pith_json_is(side, PITH_JSON_STRING) && !pith_json_is_text(side, "right")) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: truncation_side \"%.60s\" is not supported, only \"right\"",
                         config_name, pith_json_text(side));
    }
    if (!json || s->config.at == NULL) {
        return PITH_OK;
    }
    pith_status status =
        pith_vocab_apply_bert_config(vocab, s->config, config_name, &changed, error);
    if (changed) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s contradicts the normalizer of tokenizer.json and holds, as in "
                       "transformers: do_lower_case %s, strip_accents %s, tokenize_chinese_chars "
                       "%s",
                       config_name, vocab->lowercase ? "true" : "false",
                       vocab->strip_accents ? "true" : "false",
                       vocab->split_cjk ? "true" : "false");
    }
    return status;
}

/* ---- The vocabulary -------------------------------------------------------------------------- */

static const char fairseq_name[] = "sentencepiece.bpe.model"; /* XLM-R's */

/* In the order of AutoTokenizer, then Mistral's own. */
static const char *const file_names[] = {"tokenizer.json",     "tokenizer.model",
                                         "vocab.txt",          fairseq_name,
                                         "tokenizer.model.v7", "tokenizer.model.v3",
                                         "tokenizer.model.v2", "tokenizer.model.v1"};
enum { N_FILE_NAMES = sizeof file_names / sizeof file_names[0] };

/* The first of those names that the directory has; NULL when it has none. */
static const char *find_file(const pith_sources *sources) {
    for (size_t i = 0; i < N_FILE_NAMES; i++) {
        if (pith_sources_has(sources, file_names[i])) {
            return file_names[i];
        }
    }
    return NULL;
}

bool pith_hf_tokenizer_is_there(const pith_sources *sources) {
    return find_file(sources) != NULL;
}

/* Opens the file at `path`, or what the directory has; *index is SIZE_MAX when there is nothing. */
static pith_status open_tokenizer(pith_sources *sources, const char *path, size_t *index,
                                  pith_error *error) {
    *index = SIZE_MAX;
    if (path != NULL) {
        return pith_sources_add_path(sources, path, index, error);
    }
    const char *name = find_file(sources);
    if (name == NULL && pith_sources_has(sources, "tekken.json")) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: tekken.json, Mistral's own form, is not supported; --tokenizer takes "
                         "the tokenizer.json of the model's repository",
                         sources->directory);
    }
    return name != NULL ? pith_sources_add(sources, name, index, error) : PITH_OK;
}

/* The tokens that the configuration declares beyond those of the vocabulary's own file. */
static pith_status add_tokens(pith_hf_tokenizer *out, const settings *s, bool json,
                              pith_error *error) {
    if (s->config.at == NULL && s->added.at == NULL) {
        return PITH_OK;
    }
    return json ? pith_vocab_add_missing_tokens(&out->file, s->config, s->added, config_name, error)
                : pith_vocab_add_tokens(&out->file, s->config, s->added, config_name, error);
}

/* Where transformers' slow tokenizers put a space in front: with "legacy", which LlamaTokenizer
 * assumes, before every stretch of text, else before the whole text alone. */
static pith_status apply_legacy(pith_vocab *vocab, const settings *s, pith_error *error) {
    const char *class = find_class(s)->name;
    bool code = strcmp(class, "CodeLlamaTokenizer") == 0;
    bool legacy = !code;
    bool prefix = true;
    pith_status status = PITH_OK;
    if (!code && strcmp(class, "LlamaTokenizer") != 0 && strcmp(class, "LLaMATokenizer") != 0) {
        return PITH_OK;
    }
    if (!code && pith_hf_json_get(s->config, "legacy").at != NULL) {
        status = pith_hf_json_flag(s->config, "legacy", config_name, &legacy, error);
    }
    if (status == PITH_OK && !code && pith_hf_json_get(s->config, "add_prefix_space").at != NULL) {
        status = pith_hf_json_flag(s->config, "add_prefix_space", config_name, &prefix, error);
    }
    if (status == PITH_OK && !legacy) {
        vocab->add_dummy_prefix = prefix;
        vocab->prefix_first_only = prefix;
    }
    return status;
}

/* Other classes, as CamemBERT's and mBART's, number the pieces of a file of that name otherwise. */
static pith_status check_fairseq(const settings *s, const char *name, pith_error *error) {
    static const char *const known[] = {"XLMRobertaTokenizer", "XLMRobertaTokenizerFast",
                                        "TokenizersBackend", "PreTrainedTokenizerFast"};
    pith_json class = pith_json_get(s->config, "tokenizer_class");
    bool prefix = true;
    pith_status status = PITH_OK;
    bool fits = class.at == NULL || pith_json_is(class, PITH_JSON_NULL);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        fits = fits || pith_json_is_text(class, known[i]);
    }
    if (!fits) {
        const char *found = pith_json_text(class);
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: tokenizer_class %.60s with %s is not supported, only "
                         "XLMRobertaTokenizer",
                         config_name, found != NULL ? found : "that is no text", name);
    }
    if (pith_hf_json_get(s->config, "add_prefix_space").at != NULL) {
        status = pith_hf_json_flag(s->config, "add_prefix_space", config_name, &prefix, error);
    }
    return status != PITH_OK || prefix
               ? status
               : pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "%s: add_prefix_space false with %s is not supported", config_name,
                           name);
}

static pith_status parse_sentencepiece(pith_hf_tokenizer *out, const settings *s, const char *data,
                                       size_t size, const char *name, pith_error *error) {
    pith_status status =
        pith_vocab_from_sentencepiece(&out->file, data, size, name, out->allocator, error);
    if (status != PITH_OK || !pith_ends_with(name, fairseq_name)) {
        return status;
    }
    status = check_fairseq(s, name, error);
    if (status == PITH_OK) {
        status = pith_vocab_number_as_fairseq(&out->file, name, error);
    }
    if (status != PITH_OK) {
        pith_vocab_file_free(&out->file);
    }
    return status;
}

static pith_status parse_vocab(pith_hf_tokenizer *out, const settings *s, char *text, size_t size,
                               const char *name, const pith_log *log, pith_error *error) {
    pith_vocab *vocab = &out->file.vocab;
    bool json = pith_ends_with(name, ".json");
    pith_status status;
    if (json) {
        status = pith_vocab_from_json(&out->file, text, size, name, out->allocator, error);
    } else if (pith_ends_with(name, ".txt")) {
        status = pith_vocab_from_wordpiece(&out->file, text, size, name, s->config, s->map,
                                           out->allocator, error);
    } else {
        status = parse_sentencepiece(out, s, text, size, name, error);
    }
    out->present = status == PITH_OK;
    if (status == PITH_OK) {
        status = add_tokens(out, s, json, error);
    }
    if (status == PITH_OK && vocab->kind == PITH_TOKENIZER_SENTENCEPIECE) {
        status = apply_legacy(vocab, s, error);
    }
    /* WordPiece has its [CLS] and [SEP] already. */
    bool wordpiece = status == PITH_OK && vocab->kind == PITH_TOKENIZER_WORDPIECE;
    if (wordpiece) {
        status = apply_bert_config(vocab, s, json, log, error);
    }
    if (status == PITH_OK && !wordpiece) {
        status = apply_special_tokens(out, s, log, error);
    }
    return status == PITH_OK ? pith_vocab_check(vocab, name, error) : status;
}

pith_status pith_hf_tokenizer_fit(pith_vocab *vocab, size_t vocab_size, const char *name,
                                  const pith_log *log, pith_error *error) {
    if (vocab->n_pieces <= vocab_size) {
        return PITH_OK;
    }
    for (size_t id = vocab_size; id < vocab->n_pieces; id++) {
        if (vocab->types[id] != PITH_PIECE_CONTROL && vocab->types[id] != PITH_PIECE_UNUSED) {
            return pith_fail(
                error, PITH_ERROR_FORMAT,
                "%s: %zu tokens, but vocab_size in config.json is %zu: text can become "
                "token %zu, \"%.*s\", which has no row in the embedding",
                name, vocab->n_pieces, vocab_size, id,
                (int)pith_min_size(vocab->offsets[id + 1] - vocab->offsets[id], 60),
                vocab->bytes + vocab->offsets[id]);
        }
    }
    size_t n_merges = 0;
    for (size_t i = 0; i < vocab->n_merges; i++) {
        const uint32_t *merge = vocab->merges + 3 * i;
        n_merges += merge[0] < vocab_size && merge[1] < vocab_size && merge[2] < vocab_size;
    }
    if (n_merges != vocab->n_merges) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: merges use tokens beyond vocab_size in config.json, %zu", name,
                         vocab_size);
    }
    pith_log_write(log, PITH_LOG_WARNING,
                   "%s: special tokens %zu to %zu have no row in the embedding and are left out",
                   name, vocab_size, vocab->n_pieces - 1);
    int32_t *const ids[] = {&vocab->bos, &vocab->eos, &vocab->unk};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        *ids[i] = *ids[i] >= 0 && (size_t)*ids[i] >= vocab_size ? -1 : *ids[i];
    }
    vocab->n_pieces = vocab_size;
    vocab->n_bytes = vocab->offsets[vocab_size];
    return pith_vocab_check(vocab, name, error);
}

static pith_status read_vocab(pith_hf_tokenizer *out, pith_sources *sources, size_t index,
                              const settings *s, size_t vocab_size, const pith_log *log,
                              pith_error *error) {
    const char *name = sources->files[index].name;
    char *text;
    size_t size;
    pith_status status = pith_sources_read(sources, index, MAX_TOKENIZER, &text, &size, error);
    if (status != PITH_OK) {
        return status;
    }
    status = parse_vocab(out, s, text, size, name, log, error);
    pith_release(out->allocator, text);
    if (status == PITH_ERROR_UNSUPPORTED && error != NULL && pith_ends_with(name, ".json") &&
        pith_sources_has(sources, "tokenizer.model")) {
        char reason[sizeof error->message];
        memcpy(reason, error->message, sizeof reason);
        return pith_fail(
            error, PITH_ERROR_UNSUPPORTED,
            "%s; there is a tokenizer.model, too: --tokenizer %s/tokenizer.model reads "
            "that, as transformers' slow tokenizer does",
            reason, sources->directory);
    }
    return status == PITH_OK ? pith_hf_tokenizer_fit(&out->file.vocab, vocab_size, name, log, error)
                             : status;
}

pith_status pith_hf_tokenizer_read(pith_hf_tokenizer *out, pith_sources *sources, const char *path,
                                   size_t vocab_size, const pith_log *log, pith_error *error) {
    pith_hf_tokenizer tokenizer = {.allocator = sources->allocator};
    settings s = {0};
    size_t index;
    pith_status status = open_tokenizer(sources, path, &index, error);
    if (status == PITH_OK) {
        status = read_settings(&s, sources, error);
    }
    if (status == PITH_OK) {
        status = read_templates(&tokenizer, sources, &s, error);
    }
    if (status == PITH_OK && index != SIZE_MAX) {
        status = read_vocab(&tokenizer, sources, index, &s, vocab_size, log, error);
    } else if (status == PITH_OK) {
        pith_log_write(
            log, PITH_LOG_WARNING,
            "%s: no tokenizer.json, tokenizer.model, vocab.txt or %s: the model will have no "
            "tokenizer",
            sources->directory, fairseq_name);
    }
    release_settings(&s, sources->allocator);
    if (status != PITH_OK) {
        pith_hf_tokenizer_free(&tokenizer);
        return status;
    }
    *out = tokenizer;
    return PITH_OK;
}

pith_status pith_hf_tokenizer_read_file(pith_hf_tokenizer *out, const char *path,
                                        const pith_allocator *allocator, const pith_log *log,
                                        pith_error *error) {
    pith_hf_tokenizer tokenizer = {.allocator = pith_allocator_or_default(allocator)};
    pith_file file;
    pith_status status = pith_file_open(&file, path, error);
    if (status != PITH_OK) {
        return status;
    }
    char *text = NULL;
    if (file.size > MAX_TOKENIZER) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu bytes, more than %d", path, file.size,
                           MAX_TOKENIZER);
    } else if ((text = pith_allocate(tokenizer.allocator, file.size + 1, 1)) == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for the tokenizer", path);
    } else {
        status = pith_file_read(&file, 0, text, file.size, error);
    }
    if (status == PITH_OK) {
        text[file.size] = '\0';
        status = parse_vocab(&tokenizer, &(settings){0}, text, file.size, path, log, error);
    }
    pith_release(tokenizer.allocator, text);
    pith_file_close(&file);
    if (status != PITH_OK) {
        pith_hf_tokenizer_free(&tokenizer);
        return status;
    }
    *out = tokenizer;
    return PITH_OK;
}

void pith_hf_tokenizer_free(pith_hf_tokenizer *tokenizer) {
    if (tokenizer->present) {
        pith_vocab_file_free(&tokenizer->file);
    }
    pith_hf_templates_free(&tokenizer->templates);
    *tokenizer = (pith_hf_tokenizer){0};
}
