/* See text_source.h. A tokenizer alone does what pith_tokenize and pith_detokenize do with a
 * model's. */
#include "cli/text_source.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/status.h"
#include "base/text.h"

/* ---- Opening --------------------------------------------------------------------------------- */

static bool is_directory(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

static bool is_tokenizer_file(const char *path) {
    static const char *const endings[] = {".json", ".model", ".txt"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (pith_ends_with(path, endings[i])) {
            return true;
        }
    }
    return false;
}

static pith_status read_directory(pith_hf_tokenizer *out, const char *path, const pith_log *log,
                                  pith_error *error) {
    pith_sources sources;
    pith_status status = pith_sources_open(&sources, path, &pith_malloc_allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    if (pith_hf_tokenizer_is_there(&sources)) {
        status = pith_hf_tokenizer_read(out, &sources, NULL, SIZE_MAX, log, error);
    } else {
        status =
            pith_fail(error, PITH_ERROR_FORMAT,
                      "%s: a directory without tokenizer.json, tokenizer.model or vocab.txt", path);
    }
    pith_sources_close(&sources);
    return status;
}

pith_status pith_text_source_open(pith_text_source *out, pith_cli *cli,
                                  const pith_common_settings *settings, const char *path,
                                  pith_error *error) {
    pith_text_source source = {.model = NULL};
    bool directory = is_directory(path);
    if (!directory && !is_tokenizer_file(path)) {
        pith_status opened = pith_cli_open_model(cli, settings, path, true, &source.model, error);
        if (opened == PITH_OK) {
            *out = source;
        }
        return opened;
    }
    cli->verbose = settings->verbose;
    const pith_log log = {pith_cli_log, cli};
    pith_status status =
        directory
            ? read_directory(&source.files, path, &log, error)
            : pith_hf_tokenizer_read_file(&source.files, path, &pith_malloc_allocator, &log, error);
    if (status == PITH_OK) {
        status = pith_tokenizer_new(&source.tokenizer, &source.files.file.vocab,
                                    &pith_malloc_allocator, error);
    }
    if (status != PITH_OK) {
        pith_text_source_close(&source);
        return status;
    }
    *out = source;
    return PITH_OK;
}

void pith_text_source_close(pith_text_source *source) {
    pith_model_free(source->model);
    pith_tokenizer_free(source->tokenizer);
    pith_hf_tokenizer_free(&source->files);
    *source = (pith_text_source){.model = NULL};
}

/* ---- Encoding -------------------------------------------------------------------------------- */

unsigned pith_text_source_flags(pith_cli *cli, const pith_text_source *source, size_t bos) {
    if (source->model != NULL) {
        return pith_cli_bos_flags(cli, source->model, bos);
    }
    const pith_vocab *vocab = pith_tokenizer_vocab(source->tokenizer);
    if (bos == PITH_BOS_ON && vocab->bos < 0) {
        pith_cli_message(cli, "the tokenizer has no beginning-of-text token: --bos adds nothing");
    }
    return bos == PITH_BOS_ON     ? (unsigned)PITH_TOKENIZE_BOS
           : bos == PITH_BOS_AUTO ? (unsigned)PITH_TOKENIZE_AUTO
                                  : 0U;
}

static pith_status encode_alone(const pith_tokenizer *t, const char *text, size_t n_bytes,
                                unsigned flags, pith_tokens *out, pith_error *error) {
    const pith_vocab *vocab = pith_tokenizer_vocab(t);
    if (vocab->kind == PITH_TOKENIZER_WORDPIECE) {
        return pith_encode_for_encoder(t, text, n_bytes, NULL, 0, 0, out, NULL, error);
    }
    return pith_encode_for_decoder(t, (pith_text){text, n_bytes}, flags, vocab->bos, out, error);
}

pith_status pith_text_source_encode(const pith_text_source *source, const char *text,
                                    size_t n_bytes, unsigned flags, int32_t **ids, size_t *n_ids,
                                    pith_error *error) {
    if (source->model != NULL) {
        return pith_cli_tokenize(source->model, text, n_bytes, flags, ids, n_ids, error);
    }
    pith_tokens found;
    pith_tokens_init(&found, &pith_malloc_allocator);
    pith_status status = encode_alone(source->tokenizer, text, n_bytes, flags, &found, error);
    if (status != PITH_OK) {
        pith_tokens_release(&found);
        return status;
    }
    *ids = found.ids; /* as pith_malloc_allocator made them */
    *n_ids = found.n;
    return PITH_OK;
}

/* ---- Decoding -------------------------------------------------------------------------------- */

static pith_status decode_with_model(const pith_model *model, const int32_t *ids, size_t n_ids,
                                     pith_bytes *out, pith_error *error) {
    size_t n = 0;
    pith_status status = pith_detokenize(model, ids, n_ids, NULL, 0, &n, error);
    if (status != PITH_OK && status != PITH_ERROR_CAPACITY) {
        return status;
    }
    char *text = malloc(n + 1);
    if (text == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu bytes", n);
    }
    status = pith_detokenize(model, ids, n_ids, text, n, &n, error);
    if (status == PITH_OK && !pith_bytes_append(out, text, n)) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu bytes", n);
    }
    free(text);
    return status;
}

static pith_status fail_token(int32_t id, size_t n_pieces, pith_error *error) {
    return pith_fail(error, PITH_ERROR_TOKEN, "token %d is outside the vocabulary of %zu", (int)id,
                     n_pieces);
}

static pith_status decode_alone(const pith_tokenizer *t, const int32_t *ids, size_t n_ids,
                                pith_bytes *out, pith_error *error) {
    size_t n_pieces = pith_tokenizer_vocab(t)->n_pieces;
    char *piece = malloc(pith_decode_max(t));
    bool good = piece != NULL;
    pith_decode_state state;
    pith_decode_begin(&state, false);
    for (size_t i = 0; good && i < n_ids; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= n_pieces) {
            free(piece);
            return fail_token(ids[i], n_pieces, error);
        }
        good = pith_bytes_append(out, piece, pith_decode_push(t, &state, ids[i], piece));
    }
    good = good && pith_bytes_append(out, piece, pith_decode_finish(t, &state, piece));
    free(piece);
    return good ? PITH_OK : pith_fail(error, PITH_ERROR_MEMORY, "no memory for text");
}

pith_status pith_text_source_decode(const pith_text_source *source, const int32_t *ids,
                                    size_t n_ids, char **text, size_t *n_bytes, pith_error *error) {
    pith_bytes out;
    pith_bytes_init(&out, &pith_malloc_allocator);
    pith_status status = source->model != NULL
                             ? decode_with_model(source->model, ids, n_ids, &out, error)
                             : decode_alone(source->tokenizer, ids, n_ids, &out, error);
    if (status != PITH_OK) {
        pith_bytes_release(&out);
        return status;
    }
    *text = out.data; /* as pith_malloc_allocator made it, or NULL: empty */
    *n_bytes = out.size;
    return PITH_OK;
}

pith_status pith_text_source_piece(const pith_text_source *source, int32_t id, pith_text *out,
                                   pith_error *error) {
    if (source->model != NULL) {
        return pith_token_text(source->model, id, out, error);
    }
    return pith_tokenizer_piece(source->tokenizer, id, &out->data, &out->n_bytes)
               ? PITH_OK
               : fail_token(id, pith_tokenizer_vocab(source->tokenizer)->n_pieces, error);
}
