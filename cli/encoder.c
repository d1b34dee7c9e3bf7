/* Encoder models for pith index and pith search. */
#include "cli/encoder.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { SPECIAL_TOKENS = 2, MAX_HEADER = 100 << 20 }; /* [CLS] and [SEP] */

pith_status pith_encoder_open(pith_encoder *out, pith_cli *cli,
                              const pith_common_settings *settings, const char *path,
                              pith_error *error) {
    pith_encoder encoder = {.cli = cli};
    pith_embed_input nothing = {.text = ""};
    pith_status status = pith_cli_open_model(cli, settings, path, false, &encoder.model, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_model_get_info(encoder.model, &encoder.info);
    float *vector = calloc(encoder.info.n_embd, sizeof *vector);
    if (vector == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory");
    } else {
        status = pith_embed(encoder.model, &nothing, 1, NULL, vector, NULL, error);
    }
    free(vector);
    if (status != PITH_OK) {
        pith_model_free(encoder.model);
        return pith_fail_in(error, status, "%s", path);
    }
    encoder.max_tokens =
        encoder.info.n_context > SPECIAL_TOKENS ? encoder.info.n_context - SPECIAL_TOKENS : 1;
    *out = encoder;
    return PITH_OK;
}

void pith_encoder_close(pith_encoder *encoder) {
    pith_model_free(encoder->model);
}

static pith_status hash_header(const char *path, char *text, size_t size, pith_error *error) {
    pith_file file;
    unsigned char length[8];
    unsigned char digest[crypto_hash_sha256_BYTES];
    unsigned char *header = NULL;
    uint64_t n = 0;
    pith_status status = pith_file_open(&file, path, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_file_read(&file, 0, length, sizeof length, error);
    for (size_t i = 0; status == PITH_OK && i < sizeof length; i++) {
        n |= (uint64_t)length[i] << 8 * i;
    }
    if (status == PITH_OK && n > MAX_HEADER) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: a header of more than %d bytes", path,
                           MAX_HEADER);
    }
    if (status == PITH_OK && (header = malloc((size_t)n + 1)) == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory");
    }
    if (status == PITH_OK) {
        status = pith_file_read(&file, sizeof length, header, (size_t)n, error);
    }
    if (status == PITH_OK) {
        crypto_hash_sha256(digest, header, n);
        sodium_bin2hex(text, size, digest, sizeof digest);
    }
    free(header);
    pith_file_close(&file);
    return status;
}

pith_status pith_encoder_identify(const pith_encoder *encoder, const char *path, const char *name,
                                  pith_store_collection *out, pith_error *error) {
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    pith_store_collection wanted = {.dimension = encoder->info.n_embd};
    if (strlen(name) >= sizeof wanted.name) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "the name of a collection has at most %zu bytes", sizeof wanted.name - 1);
    }
    memcpy(wanted.name, name, strlen(name));
    size_t n_base = strlen(base);
    memcpy(wanted.model, base, n_base < sizeof wanted.model ? n_base : sizeof wanted.model - 1);
    pith_status status = hash_header(path, wanted.model_hash, sizeof wanted.model_hash, error);
    if (status == PITH_OK) {
        *out = wanted;
    }
    return status;
}

static bool not_interrupted(void *user, size_t n_done, size_t n_inputs) {
    (void)user;
    (void)n_done;
    (void)n_inputs;
    return !pith_interrupted();
}

pith_status pith_encoder_embed(void *user, const pith_embed_input *inputs, size_t n, float *out,
                               pith_error *error) {
    const pith_encoder *encoder = user;
    pith_embed_options options = {.progress = not_interrupted};
    if (pith_interrupted()) {
        return pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
    }
    return pith_embed(encoder->model, inputs, n, &options, out, NULL, error);
}

pith_status pith_encoder_count(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                               pith_error *error) {
    const pith_encoder *encoder = user;
    if (pith_interrupted()) {
        return pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
    }
    pith_status status = pith_tokenize(encoder->model, text, n_bytes, 0, NULL, 0, n_tokens, error);
    return status == PITH_ERROR_CAPACITY ? PITH_OK : status;
}
