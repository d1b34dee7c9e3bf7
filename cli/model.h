/* The options that commands share, and opening models and sessions by them. */
#ifndef PITH_CLI_MODEL_H
#define PITH_CLI_MODEL_H

#include <stddef.h>

#include "cli/cli.h"

/* --threads, --kv, --blas, --mmap, --isa, --no-cache, --verbose: every command that opens a model.
 */
typedef struct pith_common_settings {
    size_t threads;
    size_t kv;   /* as pith_kv_type */
    size_t blas; /* as pith_blas */
    bool map;
    bool no_cache;
    bool verbose;
    const char *isa;
} pith_common_settings;

/* --context, --batch */
typedef struct pith_length_settings {
    size_t context;
    size_t batch;
} pith_length_settings;

/* --bos: what stands in front of a text, for commands that evaluate one. */
enum { PITH_BOS_ON = 1, PITH_BOS_OFF = 2, PITH_BOS_AUTO = 3 }; /* index + 1 of pith_bos_choices */

/* --temp ... --stats: run and chat. */
typedef struct pith_sampling_settings {
    double temperature, top_p, min_p, repeat_penalty, frequency_penalty, presence_penalty;
    size_t top_k, repeat_last_n;
    size_t max_tokens, speculate;
    pith_seed seed;
    pith_texts stops, eos;
    bool escapes, stats;
} pith_sampling_settings;

extern const char *const pith_kv_types[]; /* choices of --kv */
extern const char *const pith_bos_choices[];

/* The same options for all that open a model; those that would change nothing are accepted but not
 * shown: of encoders --kv, of tokenizers all but --verbose. */
extern const pith_option pith_common_options[];
extern const pith_option pith_encoder_options[];
extern const pith_option pith_tokens_options[];

extern const pith_option pith_length_options[];
extern const pith_option pith_sampling_options[];
extern const pith_option pith_threads_options[]; /* a lone size_t */
extern const pith_option pith_bos_options[];     /* a lone size_t: PITH_BOS_* */

/* The options as the library's struct; the log goes to standard error. */
pith_model_options pith_cli_model_options(pith_cli *cli, const pith_common_settings *settings);

/* Opens a model (a GGUF file by way of the cache: cli/find_model.h); its log goes to standard
 * error. With `tokens_only` the file is mapped and no threads are made: enough for the tokenizer.
 */
pith_status pith_cli_open_model(pith_cli *cli, const pith_common_settings *settings,
                                const char *path, bool tokens_only, pith_model **out,
                                pith_error *error);

/* As pith_cli_open_model for a model that generates text; an encoder is refused with a message that
 * names pith embed. */
pith_status pith_cli_open_decoder(pith_cli *cli, const pith_common_settings *settings,
                                  const char *path, pith_model **out, pith_error *error);

/* Encodes a text; *tokens is malloc'ed. */
pith_status pith_cli_tokenize(const pith_model *model, const char *text, size_t n_bytes,
                              unsigned flags, int32_t **tokens, size_t *n_tokens,
                              pith_error *error);

/* What --bos asks of pith_tokenize: AUTO is what the tokenizer puts around a text, ON its
 * beginning-of-text token alone, OFF nothing. With ON, a model without that token is named on
 * standard error. */
unsigned pith_cli_bos_flags(pith_cli *cli, const pith_model *model, size_t bos);

/* The token that begins a text under --bos, or -1. */
int32_t pith_cli_first_token(const pith_model *model, size_t bos);

/* Encodes a text as the beginning of a context, as `pith run` does with its prompt; `bos` is that
 * of --bos. *tokens is malloc'ed and *n_tokens at least 1. Errors: as pith_cli_tokenize, ARGUMENT
 * (no token at all). */
pith_status pith_cli_tokenize_prompt(pith_cli *cli, const pith_model *model, const char *text,
                                     size_t n_bytes, size_t bos, bool special, int32_t **tokens,
                                     size_t *n_tokens, pith_error *error);

/* Fills generation parameters; draws a seed from the system when none was given. Tokens that --eos
 * names go to `eos`. `params` borrows from `settings` and `eos`. Errors: IO, ARGUMENT (no such
 * token). */
pith_status pith_cli_generation(const pith_sampling_settings *settings, const pith_model *model,
                                int32_t *eos /* [PITH_MAX_TEXTS] */, pith_generate_params *params,
                                pith_error *error);

/* With --escapes: replaces the escapes in the stop strings and in `texts` [n], which are arguments
 * of the command (NULL ones are passed over). Errors: ARGUMENT. */
pith_status pith_cli_unescape_texts(const pith_sampling_settings *settings,
                                    const char *const *texts, size_t n, pith_error *error);

/* One line of figures on standard error. */
void pith_cli_print_usage(pith_cli *cli, const pith_usage *usage, uint64_t seed);

#endif
