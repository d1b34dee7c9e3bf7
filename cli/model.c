/* The shared options, and opening a model by them. */
#include "cli/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/pool.h"
#include "cli/find_model.h"

#define LOAD_SILENCE 0.5 /* seconds that opening a model may take before a bar appears */

const char *const pith_kv_types[] = {"f32", "f16", "int8", NULL};
const char *const pith_bos_choices[] = {"on", "off", "auto", NULL};
static const char *const on_off[] = {"on", "off", NULL};

_Static_assert(PITH_KV_F32 == 1 && PITH_KV_F16 == 2 && PITH_KV_INT8 == 3, "--kv is an index");
_Static_assert(PITH_BLAS_ON == 1 && PITH_BLAS_OFF == 2, "--blas is an index");

const pith_option pith_threads_options[] = {
    {.name = "threads",
     .letter = 't',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = PITH_MAX_THREADS,
     .help = "threads to use, by default one per usable CPU"},
    {.name = NULL},
};

const pith_option pith_bos_options[] = {
    {.name = "bos",
     .kind = PITH_OPTION_CHOICE,
     .argument = "WHEN",
     .choices = pith_bos_choices,
     .initial = "auto",
     .help = "the beginning-of-text token in front of the text; auto puts around it what the "
             "model's tokenizer does"},
    {.name = NULL},
};

/* A row of the tables below; `unused` where a command takes the option and it changes nothing. */
#define THREADS(unused)                                                                         \
    {                                                                                           \
        .name = "threads", .letter = 't', .kind = PITH_OPTION_COUNT, .argument = "N", .low = 1, \
        .high = PITH_MAX_THREADS, .help = "threads to use, by default one per usable CPU",      \
        .offset = offsetof(pith_common_settings, threads), .hidden = (unused)                   \
    }
#define KV(unused)                                                                               \
    {                                                                                            \
        .name = "kv", .kind = PITH_OPTION_CHOICE, .argument = "TYPE", .choices = pith_kv_types,  \
        .help = "type of the KV cache, by default f32 for f32 weights and f16 for others; int8 " \
                "is half of f16",                                                                \
        .offset = offsetof(pith_common_settings, kv), .hidden = (unused)                         \
    }
#define BLAS(unused)                                                                            \
    {                                                                                           \
        .name = "blas", .kind = PITH_OPTION_CHOICE, .argument = "WHEN", .choices = on_off,      \
        .help = "OpenBLAS for f32 weights, by default when it is installed; off keeps results " \
                "identical for every batch size",                                               \
        .offset = offsetof(pith_common_settings, blas), .hidden = (unused)                      \
    }
#define MMAP(unused)                                                                              \
    {                                                                                             \
        .name = "mmap", .kind = PITH_OPTION_FLAG,                                                 \
        .help = "map the model file instead of reading it; search, index and bench --search map " \
                "the database too",                                                               \
        .offset = offsetof(pith_common_settings, map), .hidden = (unused)                         \
    }
#define ISA(unused)                                                                              \
    {                                                                                            \
        .name = "isa", .kind = PITH_OPTION_TEXT, .argument = "NAME",                             \
        .help = "instruction set: scalar; avx2, avx-vnni, avx512, avx512-vnni, amx-int8; neon, " \
                "neon-dot, neon-i8mm; by default the best this CPU has, amx-int8 excepted",      \
        .offset = offsetof(pith_common_settings, isa), .hidden = (unused)                        \
    }
#define TUNING(unused)                                                                        \
    {                                                                                         \
        .name = "tuning", .kind = PITH_OPTION_TEXT, .argument = "FILE",                       \
        .help = "fetch weights from memory as this file of 'pith bench --tune --save' says, " \
                "by default as a table says for this CPU",                                    \
        .offset = offsetof(pith_common_settings, tuning), .hidden = (unused)                  \
    }
#define NO_CACHE                                                                   \
    {                                                                              \
        .name = "no-cache", .kind = PITH_OPTION_FLAG,                              \
        .help = "refuse a GGUF file instead of converting it once into the cache " \
                "($XDG_CACHE_HOME/pith or ~/.cache/pith)",                         \
        .offset = offsetof(pith_common_settings, no_cache)                         \
    }
#define VERBOSE                                                     \
    {                                                               \
        .name = "verbose", .letter = 'v', .kind = PITH_OPTION_FLAG, \
        .help = "show the library's information messages too",      \
        .offset = offsetof(pith_common_settings, verbose)           \
    }

const pith_option pith_common_options[] = {
    THREADS(false), KV(false), BLAS(false), MMAP(false),    ISA(false),
    TUNING(false),  NO_CACHE,  VERBOSE,     {.name = NULL},
};

const pith_option pith_encoder_options[] = {
    THREADS(false), KV(true), BLAS(false), MMAP(false),    ISA(false),
    TUNING(false),  NO_CACHE, VERBOSE,     {.name = NULL},
};

const pith_option pith_tokens_options[] = {
    THREADS(true), KV(true), BLAS(true), MMAP(true),     ISA(true),
    TUNING(true),  NO_CACHE, VERBOSE,    {.name = NULL},
};

const pith_option pith_length_options[] = {
    {.name = "context",
     .letter = 'c',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .help = "tokens of context, by default the model's",
     .offset = offsetof(pith_length_settings, context)},
    {.name = "batch",
     .letter = 'b',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 16,
     .initial = "512",
     .help = "most tokens in one forward pass",
     .offset = offsetof(pith_length_settings, batch)},
    {.name = NULL},
};

const pith_option pith_sampling_options[] = {
    {.name = "n-predict",
     .letter = 'n',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .help = "most tokens to generate, by default until the end token or a full "
             "context",
     .hint = "leave it out for no limit",
     .offset = offsetof(pith_sampling_settings, max_tokens)},
    {.name = "temp",
     .kind = PITH_OPTION_REAL,
     .argument = "T",
     .low = 0,
     .high = 100,
     .initial = "0.8",
     .help = "temperature; 0 takes the most likely token",
     .offset = offsetof(pith_sampling_settings, temperature)},
    {.name = "top-k",
     .kind = PITH_OPTION_COUNT,
     .argument = "K",
     .low = 0,
     .high = 1 << 24,
     .initial = "40",
     .help = "keep the K most likely tokens; 0 keeps all",
     .offset = offsetof(pith_sampling_settings, top_k)},
    {.name = "top-p",
     .kind = PITH_OPTION_REAL,
     .argument = "P",
     .low = 0,
     .high = 1,
     .initial = "0.9",
     .help = "keep the likeliest tokens that reach probability P together; 0 or "
             "1 keeps all",
     .offset = offsetof(pith_sampling_settings, top_p)},
    {.name = "min-p",
     .kind = PITH_OPTION_REAL,
     .argument = "P",
     .low = 0,
     .high = 1,
     .initial = "0",
     .help = "keep tokens with at least P of the likeliest one's probability",
     .offset = offsetof(pith_sampling_settings, min_p)},
    {.name = "repeat-penalty",
     .kind = PITH_OPTION_REAL,
     .argument = "R",
     .low = 0,
     .high = 100,
     .initial = "1",
     .help = "divide the logits of recent tokens by R; 0 or 1 is off",
     .offset = offsetof(pith_sampling_settings, repeat_penalty)},
    {.name = "frequency-penalty",
     .kind = PITH_OPTION_REAL,
     .argument = "F",
     .low = -100,
     .high = 100,
     .initial = "0",
     .help = "subtract F for every recent occurrence",
     .offset = offsetof(pith_sampling_settings, frequency_penalty)},
    {.name = "presence-penalty",
     .kind = PITH_OPTION_REAL,
     .argument = "F",
     .low = -100,
     .high = 100,
     .initial = "0",
     .help = "subtract F from every recent token",
     .offset = offsetof(pith_sampling_settings, presence_penalty)},
    {.name = "repeat-last-n",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 20,
     .initial = "64",
     .help = "how many tokens are recent",
     .offset = offsetof(pith_sampling_settings, repeat_last_n)},
    {.name = "seed",
     .letter = 's',
     .kind = PITH_OPTION_SEED,
     .argument = "S",
     .help = "seed of the random numbers, by default a new one each time (see --stats)",
     .offset = offsetof(pith_sampling_settings, seed)},
    {.name = "stop",
     .kind = PITH_OPTION_TEXTS,
     .argument = "STR",
     .low = 1,
     .high = 256,
     .help = "end before this text, or at the special token that is spelled so; may be given up to "
             "16 times",
     .offset = offsetof(pith_sampling_settings, stops)},
    {.name = "eos",
     .kind = PITH_OPTION_TEXTS,
     .argument = "TOKEN",
     .low = 1,
     .high = 512,
     .help = "end at this token too, given by its id or as the vocabulary spells it; may be given "
             "up to 16 times",
     .offset = offsetof(pith_sampling_settings, eos)},
    {.name = "escapes",
     .letter = 'e',
     .kind = PITH_OPTION_FLAG,
     .help = "read \\n, \\t, \\\\, \\xHH, \\uHHHH and the like in the prompt, --system and --stop",
     .offset = offsetof(pith_sampling_settings, escapes)},
    {.name = "speculate",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 0,
     .high = 16,
     .initial = "0",
     .help = "guess up to N tokens from what the text said before and evaluate them together: the "
             "same text, sooner where it repeats",
     .offset = offsetof(pith_sampling_settings, speculate)},
    {.name = "stats",
     .kind = PITH_OPTION_FLAG,
     .help = "report tokens, time to the first token, tokens/s and the seed on standard error",
     .offset = offsetof(pith_sampling_settings, stats)},
    {.name = NULL},
};

pith_status pith_cli_model_options(pith_cli *cli, const pith_common_settings *settings,
                                   pith_tuning *tuning, pith_model_options *out,
                                   pith_error *error) {
    cli->verbose = settings->verbose;
    if (settings->tuning != NULL) {
        pith_status status = pith_tuning_load(tuning, settings->tuning, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    *out = (pith_model_options){
        .n_threads = settings->threads,
        .isa = settings->isa,
        .blas = (pith_blas)settings->blas,
        .map = settings->map,
        .log = pith_cli_log,
        .log_user = cli,
        .tuning = settings->tuning != NULL ? tuning : NULL,
    };
    return PITH_OK;
}

static bool on_load(void *user, size_t done, size_t total) {
    pith_progress_update(user, done, total);
    return !pith_interrupted();
}

pith_status pith_cli_open_model(pith_cli *cli, const pith_common_settings *settings,
                                const char *path, bool tokens_only, pith_model **out,
                                pith_error *error) {
    pith_model_options options;
    pith_tuning tuning;
    pith_status status = pith_cli_model_options(cli, settings, &tuning, &options, error);
    if (status != PITH_OK) {
        return status;
    }
    if (tokens_only) {
        options.n_threads = 1;
        options.blas = PITH_BLAS_OFF;
        options.map = true;
    }
    pith_progress progress;
    char *found = NULL;
    status = pith_cli_find_model(cli, path, settings->threads, settings->no_cache, &found, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_progress_begin(&progress, cli, "B");
    progress.drawn += LOAD_SILENCE;
    options.load = on_load;
    options.load_user = &progress;
    if (cli->ranks != NULL && !tokens_only) {
        status = cli->ranks->open_file(cli->ranks->user, found, &options, error);
    }
    status = status == PITH_OK ? pith_model_open(out, found, &options, error) : status;
    pith_progress_end(&progress);
    free(found);
    return status;
}

pith_status pith_cli_open_decoder(pith_cli *cli, const pith_common_settings *settings,
                                  const char *path, pith_model **out, pith_error *error) {
    pith_model *model = NULL;
    pith_model_info info = {0};
    pith_status status = pith_cli_open_model(cli, settings, path, false, &model, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_model_get_info(model, &info);
    if (info.is_encoder) {
        pith_model_free(model);
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: the model is an encoder: it writes no text; 'pith embed' turns texts "
                         "into vectors with it",
                         path);
    }
    *out = model;
    return PITH_OK;
}

pith_status pith_cli_tokenize(const pith_model *model, const char *text, size_t n_bytes,
                              unsigned flags, int32_t **tokens, size_t *n_tokens,
                              pith_error *error) {
    size_t capacity = n_bytes / 2 + 16;
    for (;;) {
        int32_t *ids = calloc(capacity, sizeof *ids);
        if (ids == NULL) {
            return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu tokens", capacity);
        }
        pith_status status =
            pith_tokenize(model, (pith_text){text, n_bytes}, flags, ids, capacity, n_tokens, error);
        if (status == PITH_OK) {
            *tokens = ids;
            return PITH_OK;
        }
        free(ids);
        if (status != PITH_ERROR_CAPACITY) {
            return status;
        }
        capacity = *n_tokens;
    }
}

int32_t pith_cli_first_token(const pith_model *model, size_t bos) {
    pith_model_info info;
    pith_model_get_info(model, &info);
    return bos == PITH_BOS_ON || (bos == PITH_BOS_AUTO && info.add_bos) ? info.bos : -1;
}

unsigned pith_cli_bos_flags(pith_cli *cli, const pith_model *model, size_t bos) {
    pith_model_info info;
    pith_model_get_info(model, &info);
    /* Of an encoder the flags do not matter. */
    if (bos == PITH_BOS_ON && info.bos < 0 && !info.is_encoder) {
        pith_cli_message(cli, "the model has no beginning-of-text token: --bos adds nothing");
    }
    return bos == PITH_BOS_ON     ? (unsigned)PITH_TOKENIZE_BOS
           : bos == PITH_BOS_AUTO ? (unsigned)PITH_TOKENIZE_AUTO
                                  : 0U;
}

pith_status pith_cli_tokenize_prompt(pith_cli *cli, const pith_model *model, const char *text,
                                     size_t n_bytes, size_t bos, bool special, int32_t **tokens,
                                     size_t *n_tokens, pith_error *error) {
    unsigned flags =
        pith_cli_bos_flags(cli, model, bos) | (special ? (unsigned)PITH_TOKENIZE_SPECIAL : 0U);
    int32_t *ids = NULL;
    pith_status status = pith_cli_tokenize(model, text, n_bytes, flags, &ids, n_tokens, error);
    if (status == PITH_OK && *n_tokens == 0) {
        free(ids);
        return pith_fail(error, PITH_ERROR_ARGUMENT, "the text is empty, and no token begins it");
    }
    if (status == PITH_OK) {
        *tokens = ids;
    }
    return status;
}

/* A token by its id, when that is all digits, or by its spelling. */
static pith_status find_token(const pith_model *model, const char *text, int32_t *out,
                              pith_error *error) {
    pith_model_info info;
    pith_model_get_info(model, &info);
    size_t n = strlen(text);
    if (strspn(text, "0123456789") == n) {
        unsigned long id = n < 10 ? strtoul(text, NULL, 10) : info.n_vocab;
        if (id >= info.n_vocab) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "--eos %s is outside the vocabulary of %zu tokens", text,
                             info.n_vocab);
        }
        *out = (int32_t)id;
        return PITH_OK;
    }
    for (size_t id = 0; id < info.n_vocab; id++) {
        pith_text spelling;
        if (pith_token_text(model, (int32_t)id, &spelling, NULL) == PITH_OK &&
            spelling.n_bytes == n && memcmp(spelling.data, text, n) == 0) {
            *out = (int32_t)id;
            return PITH_OK;
        }
    }
    return pith_fail(error, PITH_ERROR_ARGUMENT, "--eos: the vocabulary has no token \"%.60s\"",
                     text);
}

pith_status pith_cli_generation(const pith_sampling_settings *settings, const pith_model *model,
                                int32_t *eos /* [PITH_MAX_TEXTS] */, pith_generate_params *params,
                                pith_error *error) {
    for (size_t i = 0; i < settings->eos.n; i++) {
        pith_status status = find_token(model, settings->eos.items[i], &eos[i], error);
        if (status != PITH_OK) {
            return status;
        }
    }
    uint64_t seed = settings->seed.value;
    if (!settings->seed.given && getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        return pith_fail(error, PITH_ERROR_IO, "no random seed: %s", strerror(errno));
    }
    *params = (pith_generate_params){
        .sampling =
            {
                .temperature = (float)settings->temperature,
                .top_k = settings->top_k,
                .top_p = (float)settings->top_p,
                .min_p = (float)settings->min_p,
                .repeat_penalty = (float)settings->repeat_penalty,
                .repeat_last_n = settings->repeat_last_n,
                .frequency_penalty = (float)settings->frequency_penalty,
                .presence_penalty = (float)settings->presence_penalty,
                .seed = seed,
            },
        .max_tokens = settings->max_tokens,
        .stops = settings->stops.items,
        .n_stops = settings->stops.n,
        .speculate = settings->speculate,
        .eos = eos,
        .n_eos = settings->eos.n,
    };
    return PITH_OK;
}

/* The texts lie in argv, whose strings belong to the program and may change. */
static pith_status unescape(const char *text, pith_error *error) {
    return text != NULL ? pith_cli_unescape((char *)text, error) : PITH_OK;
}

pith_status pith_cli_unescape_texts(const pith_sampling_settings *settings,
                                    const char *const *texts, size_t n, pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t i = 0; settings->escapes && status == PITH_OK && i < n; i++) {
        status = unescape(texts[i], error);
    }
    for (size_t i = 0; settings->escapes && status == PITH_OK && i < settings->stops.n; i++) {
        status = unescape(settings->stops.items[i], error);
    }
    return status;
}

void pith_cli_print_usage(pith_cli *cli, const pith_usage *usage, uint64_t seed) {
    static const char *const finishes[] = {
        [PITH_FINISH_EOS] = "end token",       [PITH_FINISH_STOP] = "stop text",
        [PITH_FINISH_LENGTH] = "length",       [PITH_FINISH_CONTEXT] = "context full",
        [PITH_FINISH_STOPPED] = "interrupted", [PITH_FINISH_COMPLETE] = "end of the JSON",
    };
    /* The first token comes with the prompt; the others are what generation is timed on. */
    double prompt_rate =
        usage->prompt_seconds > 0 ? (double)usage->prompt_tokens / usage->prompt_seconds : 0;
    double rate = usage->generated_tokens > 1 && usage->generate_seconds > 0
                      ? (double)(usage->generated_tokens - 1) / usage->generate_seconds
                      : 0;
    pith_cli_message(cli,
                     "prompt %zu tokens (%.1f tokens/s), first token after %.3f s, generated %zu "
                     "tokens (%.1f tokens/s), ended by %s, seed %llu",
                     usage->prompt_tokens, prompt_rate, usage->prompt_seconds,
                     usage->generated_tokens, rate, finishes[usage->finish],
                     (unsigned long long)seed);
    if (usage->drafted_tokens != 0) {
        pith_cli_message(cli, "guessed %zu tokens ahead, %zu of them right", usage->drafted_tokens,
                         usage->accepted_tokens);
    }
}
