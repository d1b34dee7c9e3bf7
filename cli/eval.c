/* pith eval: perplexity of a model on a text, and how far it is from a reference model.
 *
 * For targets x_1..x_n with their contexts: nats/token is the mean of -ln p(x_i), perplexity its
 * exponential, bits/byte the sum over ln 2 and the bytes of the targets. With a reference, KL is
 * the mean over positions of sum_v q(v) ln(q(v) / p(v)), q the reference. All in double precision.
 * Standard errors are those of the mean of independent positions. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "cli/commands.h"
#include "cli/model.h"
#include "cli/windows.h"

typedef struct eval_settings {
    const char *model, *text, *reference;
    size_t context, windows;
    size_t reference_kv; /* as pith_kv_type; 0: that of the model */
    bool json;
    pith_common_settings common;
    size_t bos;
} eval_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith", .help = "the model", .offset = offsetof(eval_settings, model)},
    {.name = "TEXTFILE",
     .help = "the text; - reads standard input",
     .offset = offsetof(eval_settings, text)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "reference",
     .letter = 'r',
     .kind = PITH_OPTION_TEXT,
     .argument = "OTHER.pith",
     .help = "compare with this model: mean KL divergence and agreement of the likeliest token",
     .offset = offsetof(eval_settings, reference)},
    {.name = "reference-kv",
     .kind = PITH_OPTION_CHOICE,
     .argument = "TYPE",
     .choices = pith_kv_types,
     .help = "type of the reference's KV cache, by default as --kv",
     .offset = offsetof(eval_settings, reference_kv)},
    {.name = "context",
     .letter = 'c',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .initial = "512",
     .help = "tokens of a window, no more than the model's context",
     .offset = offsetof(eval_settings, context)},
    {.name = "windows",
     .letter = 'w',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .help = "use only the first N windows",
     .offset = offsetof(eval_settings, windows)},
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "print one JSON object instead of a table",
     .offset = offsetof(eval_settings, json)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Beginning", pith_bos_options, offsetof(eval_settings, bos)},
    {"Model", pith_common_options, offsetof(eval_settings, common)},
    {NULL, NULL, 0},
};

/* Running mean and variance (Welford 1962). */
typedef struct running {
    size_t n;
    double mean;
    double squares; /* sum of squared deviations */
} running;

static void running_add(running *r, double x) {
    double delta = x - r->mean;
    r->n++;
    r->mean += delta / (double)r->n;
    r->squares += delta * (x - r->mean);
}

static double running_error(const running *r) {
    return r->n < 2 ? 0 : sqrt(r->squares / (double)(r->n - 1) / (double)r->n);
}

enum { BATCH = 128 }; /* positions in one forward pass: bounds the logits held */

/* What one position gives. */
typedef struct position {
    double nats;
    double kl;
    bool agrees;
} position;

typedef struct eval_state {
    pith_session *session, *reference; /* reference: NULL without one */
    pith_pool *pool;
    size_t n_vocab;
    const int32_t *targets; /* of the batch */
    position positions[BATCH];
    running nats, kl, agreement;
} eval_state;

/* ln of the sum of exp over logits [n]; *best is the first largest. */
static double log_sum_exp(const float *logits, size_t n, size_t *best) {
    size_t top = 0;
    for (size_t i = 1; i < n; i++) {
        top = logits[i] > logits[top] ? i : top;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)logits[i] - (double)logits[top]);
    }
    *best = top;
    return (double)logits[top] + log(sum);
}

/* Fills positions [begin, end) of the batch; independent of each other, so run by the pool. */
static void score_positions(void *argument, size_t begin, size_t end, size_t thread) {
    eval_state *state = argument;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        position *out = &state->positions[i];
        const float *p = pith_session_logits_at(state->session, i); /* [n_vocab] */
        size_t best;
        double log_p = log_sum_exp(p, state->n_vocab, &best);
        *out = (position){.nats = log_p - (double)p[state->targets[i]]};
        if (state->reference == NULL) {
            continue;
        }
        const float *q = pith_session_logits_at(state->reference, i);
        size_t best_q;
        double log_q = log_sum_exp(q, state->n_vocab, &best_q);
        for (size_t v = 0; v < state->n_vocab; v++) {
            double ln_q = (double)q[v] - log_q;
            out->kl += exp(ln_q) * (ln_q - ((double)p[v] - log_p));
        }
        out->agrees = best == best_q;
    }
}

static pith_status score_batch(eval_state *state, const int32_t *inputs, size_t n,
                               pith_error *error) {
    pith_status status = pith_session_eval(state->session, inputs, n, error);
    if (status == PITH_OK && state->reference != NULL) {
        status = pith_session_eval(state->reference, inputs, n, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    pith_pool_run(state->pool, n, 1, score_positions, state);
    for (size_t i = 0; i < n; i++) {
        running_add(&state->nats, state->positions[i].nats);
        running_add(&state->kl, state->positions[i].kl);
        running_add(&state->agreement, state->positions[i].agrees ? 1 : 0);
    }
    return PITH_OK;
}

static pith_status score_all(pith_cli *cli, eval_state *state, const pith_windows *windows,
                             pith_error *error) {
    int32_t *inputs = calloc(windows->length, sizeof *inputs);
    if (inputs == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu tokens", windows->length);
    }
    pith_progress progress;
    pith_status status = PITH_OK;
    size_t total = pith_windows_targets(windows);
    pith_progress_begin(&progress, cli, "tokens");
    for (size_t i = 0; status == PITH_OK && i < windows->n; i++) {
        const int32_t *targets;
        size_t n = pith_windows_get(windows, i, inputs, &targets);
        status = pith_session_rewind(state->session, 0, error);
        if (status == PITH_OK && state->reference != NULL) {
            status = pith_session_rewind(state->reference, 0, error);
        }
        for (size_t done = 0; status == PITH_OK && done < n; done += BATCH) {
            state->targets = targets + done;
            status = score_batch(state, inputs + done, n - done < BATCH ? n - done : BATCH, error);
            if (status == PITH_OK && pith_interrupted()) {
                status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
            }
            pith_progress_update(&progress, state->nats.n, total);
        }
    }
    pith_progress_end(&progress);
    free(inputs);
    return status;
}

/* Bytes of text that the targets stand for. */
static pith_status count_bytes(const pith_model *model, const pith_windows *windows, size_t *out,
                               pith_error *error) {
    pith_decoder *decoder = NULL;
    pith_text text;
    size_t total = 0;
    size_t first = windows->bos < 0 ? 1U : 0;
    size_t end = first + pith_windows_targets(windows);
    pith_status status = pith_decoder_new(&decoder, model, error);
    for (size_t i = 0; status == PITH_OK && i < end; i++) {
        status = pith_decoder_push(decoder, windows->tokens[i], &text, error);
        if (status == PITH_OK && i >= first) {
            total += text.n_bytes;
        }
    }
    if (status == PITH_OK) {
        pith_decoder_finish(decoder, &text);
        *out = total + text.n_bytes;
    }
    pith_decoder_free(decoder);
    return status;
}

static void print_result(pith_cli *cli, const eval_state *state, const pith_windows *windows,
                         size_t n_bytes) {
    const running *nats = &state->nats;
    double perplexity = exp(nats->mean);
    double bits = n_bytes > 0 ? nats->mean * (double)nats->n / M_LN2 / (double)n_bytes : 0;
    pith_cli_print(cli, "windows         %zu of %zu tokens\n", windows->n, windows->length);
    pith_cli_print(cli, "tokens          %zu\n", nats->n);
    pith_cli_print(cli, "nats/token      %.6f +- %.6f\n", nats->mean, running_error(nats));
    pith_cli_print(cli, "perplexity      %.4f +- %.4f\n", perplexity,
                   perplexity * running_error(nats));
    pith_cli_print(cli, "bits/byte       %.6f\n", bits);
    if (state->reference != NULL) {
        pith_cli_print(cli, "KL divergence   %.6g +- %.2g\n", state->kl.mean,
                       running_error(&state->kl));
        pith_cli_print(cli, "top-1 agreement %.4f%% +- %.4f%%\n", 100 * state->agreement.mean,
                       100 * running_error(&state->agreement));
    }
}

static pith_status print_json(pith_cli *cli, const eval_state *state, const pith_windows *windows,
                              size_t n_bytes, pith_error *error) {
    const running *nats = &state->nats;
    double bits = n_bytes > 0 ? nats->mean * (double)nats->n / M_LN2 / (double)n_bytes : 0;
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    json.style = PITH_JSON_SPACED;
    pith_json_open(&json, NULL, '{');
    pith_json_put_integer(&json, "windows", (int64_t)windows->n);
    pith_json_put_integer(&json, "context", (int64_t)windows->length);
    pith_json_put_integer(&json, "tokens", (int64_t)nats->n);
    pith_json_put_integer(&json, "bytes", (int64_t)n_bytes);
    pith_json_put_real(&json, "nats_per_token", nats->mean);
    pith_json_put_real(&json, "nats_per_token_error", running_error(nats));
    pith_json_put_real(&json, "perplexity", exp(nats->mean));
    pith_json_put_real(&json, "perplexity_error", exp(nats->mean) * running_error(nats));
    pith_json_put_real(&json, "bits_per_byte", bits);
    if (state->reference != NULL) {
        pith_json_put_real(&json, "kl", state->kl.mean);
        pith_json_put_real(&json, "kl_error", running_error(&state->kl));
        pith_json_put_real(&json, "top1_agreement", state->agreement.mean);
        pith_json_put_real(&json, "top1_agreement_error", running_error(&state->agreement));
    }
    pith_json_close(&json, '}');
    return pith_cli_print_document(cli, &json, error);
}

/* The reference must give every token the same number. */
static pith_status check_reference(const eval_settings *settings, const pith_windows *windows,
                                   const pith_model *model, const pith_model *reference,
                                   pith_error *error) {
    pith_model_info info, other_info;
    pith_model_get_info(model, &info);
    pith_model_get_info(reference, &other_info);
    int32_t bos = pith_cli_first_token(reference, settings->bos);
    if (info.n_vocab != other_info.n_vocab || windows->bos != bos) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s has %zu tokens (beginning %d), %s has %zu (beginning %d): not "
                         "comparable",
                         settings->model, info.n_vocab, windows->bos, settings->reference,
                         other_info.n_vocab, bos);
    }
    for (size_t id = 0; id < info.n_vocab; id++) {
        pith_text a, b;
        bool has = pith_token_text(model, (int32_t)id, &a, NULL) == PITH_OK;
        bool other_has = pith_token_text(reference, (int32_t)id, &b, NULL) == PITH_OK;
        if (has != other_has ||
            (has && (a.n_bytes != b.n_bytes || memcmp(a.data, b.data, a.n_bytes) != 0))) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "token %zu is not the same in %s and %s: not comparable", id,
                             settings->model, settings->reference);
        }
    }
    if (other_info.n_context < windows->length) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s has a context of %zu, windows have %zu",
                         settings->reference, other_info.n_context, windows->length);
    }
    return PITH_OK;
}

static pith_status new_session(const pith_model *model, size_t kv_type, size_t length,
                               pith_session **out, pith_error *error) {
    pith_session_options session_options = {
        .n_context = length,
        .n_batch = BATCH,
        .kv_type = (pith_kv_type)kv_type,
        .all_logits = true,
    };
    return pith_session_new(out, model, &session_options, error);
}

static pith_status evaluate(pith_cli *cli, const eval_settings *settings, const pith_model *model,
                            const pith_model *reference, pith_error *error) {
    pith_model_info info;
    pith_windows windows = {.tokens = NULL};
    size_t n_bytes = 0;
    eval_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory");
    }
    pith_model_get_info(model, &info);
    state->n_vocab = info.n_vocab;
    size_t reference_kv =
        settings->reference_kv != 0 ? settings->reference_kv : settings->common.kv;
    size_t length = settings->context < info.n_context ? settings->context : info.n_context;
    pith_status status = pith_windows_load(cli, &windows, model, settings->text, settings->bos,
                                           length, settings->windows, error);
    if (status == PITH_OK && reference != NULL) {
        status = check_reference(settings, &windows, model, reference, error);
    }
    if (status == PITH_OK) {
        status = new_session(model, settings->common.kv, length, &state->session, error);
    }
    if (status == PITH_OK && reference != NULL) {
        status = new_session(reference, reference_kv, length, &state->reference, error);
    }
    if (status == PITH_OK) {
        status =
            pith_pool_new(&state->pool, settings->common.threads, &pith_malloc_allocator, error);
    }
    if (status == PITH_OK) {
        status = score_all(cli, state, &windows, error);
    }
    if (status == PITH_OK) {
        status = count_bytes(model, &windows, &n_bytes, error);
    }
    if (status == PITH_OK && settings->json) {
        status = print_json(cli, state, &windows, n_bytes, error);
    } else if (status == PITH_OK) {
        print_result(cli, state, &windows, n_bytes);
    }
    pith_pool_free(state->pool);
    pith_session_free(state->session);
    pith_session_free(state->reference);
    pith_windows_release(&windows);
    free(state);
    return status;
}

static int run(pith_cli *cli, const void *arguments) {
    const eval_settings *settings = arguments;
    if (settings->reference_kv != 0 && settings->reference == NULL) {
        return pith_cli_usage(cli, "--reference-kv needs --reference OTHER.pith");
    }
    pith_error error;
    pith_model *model = NULL;
    pith_model *reference = NULL;
    pith_status status =
        pith_cli_open_decoder(cli, &settings->common, settings->model, &model, &error);
    if (status == PITH_OK && settings->reference != NULL) {
        status =
            pith_cli_open_decoder(cli, &settings->common, settings->reference, &reference, &error);
    }
    if (status == PITH_OK) {
        status = evaluate(cli, settings, model, reference, &error);
    }
    pith_model_free(reference);
    pith_model_free(model);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_eval = {
    .name = "eval",
    .summary = "perplexity on a text, and the distance from a reference model",
    .description =
        "Cuts the text into consecutive windows. Each begins with the beginning-of-text token, if "
        "the model's tokenizer puts one in front of a text (--bos decides otherwise), and every "
        "token of the text is predicted exactly once, with what "
        "stands before it in its window as context; all positions count. The text is plain: "
        "special tokens written in it are not special.\n\n"
        "nats/token is the mean of -ln p, perplexity its exponential, bits/byte the sum divided by "
        "the bytes of the text. With --reference also the mean Kullback-Leibler divergence "
        "KL(reference || model) per token and how often both rank the same token first. Standard "
        "errors treat positions as independent. With the model itself as the reference, --kv int8 "
        "and "
        "--reference-kv f16 tell what a smaller cache costs.",
    .example = "pith eval llama2-int4.pith text.txt --reference llama2-bf16.pith",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(eval_settings),
    .run = run,
};
