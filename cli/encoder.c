/* Encoder models for pith index and pith search. */
#include "cli/encoder.h"

#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/find_model.h"

enum { MAX_HEADER = 100 << 20 };

const pith_option pith_prompt_options[] = {
    {.name = "prompt-name",
     .kind = PITH_OPTION_TEXT,
     .argument = "NAME",
     .help = "put the model's prompt of this name in front of every text (pith inspect lists them)",
     .offset = offsetof(pith_prompt_settings, name)},
    {.name = "prompt",
     .kind = PITH_OPTION_TEXT,
     .argument = "TEXT",
     .help = "put this text in front of every text, such as 'query: '; '' for none",
     .offset = offsetof(pith_prompt_settings, text)},
    {.name = NULL},
};

bool pith_prompt_misused(pith_cli *cli, const pith_prompt_settings *settings) {
    bool both = settings->text != NULL && settings->name != NULL;
    if (both) {
        pith_cli_usage(cli, "--prompt and --prompt-name exclude each other");
    }
    return both;
}

static const char *find_prompt(const pith_model_info *info, const char *name) {
    for (size_t i = 0; i < info->n_prompts; i++) {
        if (strcmp(info->prompts[i].name, name) == 0) {
            return info->prompts[i].text;
        }
    }
    return NULL;
}

/* Embeds no texts, so that an error of the model or the prompt is found before any work. */
static pith_status try_embedding(const pith_encoder *encoder, const pith_prompt_settings *prompt,
                                 pith_error *error) {
    const pith_embed_input nothing = {.text = pith_text_of("")};
    const pith_embed_options options = {.prompt = prompt->text, .prompt_name = prompt->name};
    float *vector = calloc(encoder->info.n_embd, sizeof *vector);
    if (vector == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory");
    }
    pith_status status = pith_embed(encoder->model, &nothing, 1, &options, vector, NULL, error);
    free(vector);
    return status;
}

static pith_status choose_prompt(pith_encoder *encoder, const pith_prompt_settings *settings,
                                 pith_prompt_use use, pith_error *error) {
    const pith_model_info *info = &encoder->info;
    const char *text = settings->text;
    if (text == NULL && settings->name != NULL) {
        text = find_prompt(info, settings->name);
    }
    encoder->prompt = text != NULL ? text : pith_model_prompt(encoder->model, use);
    size_t n = 0;
    pith_status status =
        pith_encoder_count(encoder, encoder->prompt, strlen(encoder->prompt), &n, error);
    encoder->max_tokens = n < info->n_context ? info->n_context - n : 0;
    return status;
}

void pith_encoder_close(pith_encoder *encoder) {
    pith_model_free(encoder->model);
    free(encoder->file);
}

pith_status pith_encoder_open(pith_encoder *out, pith_cli *cli,
                              const pith_common_settings *settings,
                              const pith_prompt_settings *prompt, pith_prompt_use use,
                              const char *path, pith_error *error) {
    pith_encoder encoder = {.cli = cli};
    pith_status status =
        pith_cli_find_model(cli, path, settings->threads, settings->no_cache, &encoder.file, error);
    if (status == PITH_OK) {
        status = pith_cli_open_model(cli, settings, encoder.file, false, &encoder.model, error);
    }
    if (status != PITH_OK) {
        free(encoder.file);
        return status;
    }
    pith_model_get_info(encoder.model, &encoder.info);
    status = try_embedding(&encoder, prompt, error);
    if (status == PITH_OK) {
        status = choose_prompt(&encoder, prompt, use, error);
    }
    if (status != PITH_OK) {
        pith_encoder_close(&encoder);
        return pith_fail_in(error, status, "%s", path);
    }
    *out = encoder;
    return PITH_OK;
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

pith_status pith_encoder_identify(const pith_encoder *encoder, const char *operand,
                                  const char *name, pith_store_collection *out, pith_error *error) {
    const char *slash = strrchr(operand, '/');
    const char *base = slash != NULL ? slash + 1 : operand;
    pith_store_collection wanted = {.dimension = encoder->info.n_embd};
    if (strlen(name) >= sizeof wanted.name) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "the name of a collection has at most %zu bytes", sizeof wanted.name - 1);
    }
    memcpy(wanted.name, name, strlen(name));
    size_t n_base = strlen(base);
    memcpy(wanted.model, base, n_base < sizeof wanted.model ? n_base : sizeof wanted.model - 1);
    if (strlen(encoder->prompt) >= sizeof wanted.prompt) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "the prompt of a collection has at most %zu bytes",
                         sizeof wanted.prompt - 1);
    }
    memcpy(wanted.prompt, encoder->prompt, strlen(encoder->prompt));
    pith_status status = pith_embed_fingerprint(encoder->model, wanted.model_hash, error);
    if (status == PITH_OK) {
        status = hash_header(encoder->file, wanted.old_hash, sizeof wanted.old_hash, error);
    }
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
    pith_embed_options options = {.prompt = encoder->prompt, .progress = not_interrupted};
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
    pith_status status =
        pith_tokenize(encoder->model, (pith_text){text, n_bytes}, 0, NULL, 0, n_tokens, error);
    return status == PITH_ERROR_CAPACITY ? PITH_OK : status;
}
