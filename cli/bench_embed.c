/* Benchmarks of an encoder: its options, the lengths of a text's sentences, the runs. */
#include "cli/bench_embed.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "cli/model.h"
#include "perf/sentences.h"

#define USUAL_TOKENS "16,32,128,256"
#define USUAL_PER_CALL "1,32"
enum { USUAL_SENTENCES = 10000 };

const pith_option pith_bench_embed_options_table[] = {
    {.name = "tokens",
     .kind = PITH_OPTION_COUNTS,
     .argument = "N[,N...]",
     .low = 0,
     .high = 1 << 20,
     .help = "embed sentences of N tokens, [CLS] and [SEP] included; 0 leaves them out; by "
             "default " USUAL_TOKENS ", as far as the model reads",
     .offset = offsetof(pith_bench_embed_settings, tokens)},
    {.name = "per-call",
     .kind = PITH_OPTION_COUNTS,
     .argument = "N[,N...]",
     .low = 1,
     .high = 1 << 20,
     .help = "hand over N of them together; by default " USUAL_PER_CALL,
     .offset = offsetof(pith_bench_embed_settings, per_call)},
    {.name = "text",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .help = "embed sentences as long as those of a text, in its order and in one call",
     .offset = offsetof(pith_bench_embed_settings, text)},
    {.name = "sentences",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .help = "take the first N sentences of the text; by default 10000",
     .offset = offsetof(pith_bench_embed_settings, sentences)},
    {.name = NULL},
};

bool pith_bench_embed_wanted(const pith_bench_embed_settings *settings) {
    return settings->tokens != NULL || settings->per_call != NULL || settings->text != NULL ||
           settings->sentences != 0;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static pith_status add_test(pith_bench_embed_report *report, pith_bench_embed_test test,
                            pith_error *error) {
    if (report->n_tests == PITH_BENCH_MAX_TESTS) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "at most %d tests", PITH_BENCH_MAX_TESTS);
    }
    report->tests[report->n_tests++] = test;
    return PITH_OK;
}

static pith_status add_lengths(pith_bench_embed_report *report,
                               const pith_bench_embed_settings *settings, pith_error *error) {
    const char *list = settings->tokens != NULL ? settings->tokens : USUAL_TOKENS;
    size_t longest = report->base->info.n_context;
    pith_status status = PITH_OK;
    size_t n;
    while (status == PITH_OK && pith_counts_next(&list, &n)) {
        const char *calls = settings->per_call != NULL ? settings->per_call : USUAL_PER_CALL;
        pith_bench_embed_test test = {.n_tokens = n};
        if (n == 0 || (settings->tokens == NULL && n > longest)) {
            continue;
        }
        if (n > longest) {
            return pith_fail(error, PITH_ERROR_CONTEXT,
                             "--tokens %zu: the model reads at most %zu tokens", n, longest);
        }
        while (status == PITH_OK && pith_counts_next(&calls, &test.n_sentences)) {
            status = add_test(report, test, error);
        }
    }
    return status;
}

/* Tokens that the model reads of a sentence. Without a tokenizer 1.3 a word, rounded up, and [CLS]
 * and [SEP]. */
static pith_status count_tokens(const pith_model *model, bool has_tokenizer,
                                const pith_sentence *sentence, size_t *n, pith_error *error) {
    if (!has_tokenizer) {
        *n = (13 * sentence->n_words + 9) / 10 + 2;
        return PITH_OK;
    }
    const pith_text text = {sentence->text, sentence->n_bytes};
    pith_status status = pith_tokenize(model, text, 0, NULL, 0, n, error);
    return status == PITH_ERROR_CAPACITY ? PITH_OK : status;
}

/* Fills report->lengths. */
static pith_status measure_text(const pith_model *model, const pith_bench_embed_settings *settings,
                                const char *text, size_t n_bytes, bool has_tokenizer,
                                pith_bench_embed_report *report, pith_error *error) {
    pith_sentences sentences = {.text = text, .n_bytes = n_bytes};
    pith_sentence sentence;
    pith_status status = PITH_OK;
    size_t wanted = settings->sentences != 0 ? settings->sentences : USUAL_SENTENCES;
    size_t most = pith_min_size(wanted, n_bytes / PITH_SENTENCE_WORDS + 1);
    size_t n = 0;
    char *buffer = malloc(n_bytes + 1);
    report->lengths = calloc(most, sizeof *report->lengths);
    if (buffer == NULL || report->lengths == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu bytes", n_bytes);
    }
    while (status == PITH_OK && n < most && pith_sentence_next(&sentences, buffer, &sentence)) {
        size_t n_tokens = 0;
        status = count_tokens(model, has_tokenizer, &sentence, &n_tokens, error);
        if (status != PITH_OK) {
            pith_fail_in(error, status, "%s, sentence %zu", settings->text, n + 1);
        } else {
            report->lengths[n++] = pith_min_size(n_tokens, report->base->info.n_context);
        }
    }
    free(buffer);
    if (status == PITH_OK && n == 0) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: no sentence of at least %d words",
                           settings->text, PITH_SENTENCE_WORDS);
    }
    if (status == PITH_OK) {
        status =
            add_test(report, (pith_bench_embed_test){.n_sentences = n, .lengths = report->lengths},
                     error);
    }
    return status;
}

static pith_status add_text(const pith_model *model, const pith_bench_embed_settings *settings,
                            pith_bench_embed_report *report, pith_error *error) {
    char *text = NULL;
    size_t n_bytes = 0;
    pith_status status = pith_cli_read(settings->text, &text, &n_bytes, error);
    if (status == PITH_OK) {
        status = measure_text(model, settings, text, n_bytes, report->base->info.has_tokenizer,
                              report, error);
    }
    free(text);
    return status;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static pith_status run_test(const pith_model *model, const pith_bench_embed_options *options,
                            size_t i, pith_bench_embed_report *report, pith_bench_rows *rows,
                            pith_error *error) {
    pith_bench_running *running = options->go_on_user;
    pith_bench_embed_result *result = &report->results[i];
    size_t now;
    running->i = i;
    running->name = pith_bench_embed_name(&report->tests[i]);
    pith_bench_rows_before(rows);
    pith_status status = pith_bench_embed_run(model, &report->tests[i], options, result, error);
    pith_progress_end(&running->progress);
    if (status != PITH_OK) {
        return status;
    }
    pith_bench_rows_after(rows, result->moved);
    report->n_results = i + 1;
    pith_bench_memory(&now, &report->base->rss_peak);
    /* The kernel's two counts may differ a little. */
    report->base->rss_peak = pith_max_size(report->base->rss_peak, result->rss_bytes);
    return pith_bench_embed_row(report, rows, error);
}

/* Every test, printed when it has ended. */
static pith_status run_tests(pith_cli *cli, const pith_model *model, size_t repeats, size_t output,
                             pith_bench_embed_report *report, pith_error *error) {
    pith_probes probes = pith_probes_find(report->base->info.isa);
    pith_bench_running running = {.n = report->n_tests};
    pith_bench_embed_options options = {.n_repeats = repeats,
                                        .seconds = 0.3,
                                        .go_on = pith_bench_go_on,
                                        .go_on_user = &running,
                                        .probes = &probes};
    pith_bench_rows rows;
    pith_status status = PITH_OK;
    pith_progress_begin(&running.progress, cli, "tests");
    pith_bench_rows_begin(&rows, cli, output);
    pith_bench_embed_begin(report, &rows);
    for (size_t i = 0; status == PITH_OK && i < report->n_tests; i++) {
        status = run_test(model, &options, i, report, &rows, error);
    }
    pith_bench_embed_end(report, &rows);
    pith_bench_rows_end(&rows);
    return status;
}

/* A share that cannot be true makes the command fail. */
static pith_status check_shares(const pith_bench_embed_report *report, pith_error *error) {
    for (size_t i = 0; i < report->n_tests; i++) {
        const pith_bench_embed_result *r = &report->results[i];
        if (r->failed) {
            return pith_fail(error, PITH_ERROR_NUMERIC,
                             "the measurement of %s failed: %.2f of the %s limit; more than there "
                             "is",
                             pith_bench_embed_name(&report->tests[i]).text, r->share,
                             r->integer ? "int8" : "f32");
        }
    }
    return PITH_OK;
}

pith_status pith_bench_embed(pith_cli *cli, const pith_bench_embed_settings *settings,
                             const pith_model *model, size_t repeats, size_t output,
                             pith_bench_report *base, pith_error *error) {
    pith_bench_embed_report report = {.base = base};
    pith_status status = add_lengths(&report, settings, error);
    if (status == PITH_OK && settings->text != NULL) {
        status = add_text(model, settings, &report, error);
    }
    if (status == PITH_OK && report.n_tests == 0) {
        status = pith_fail(error, PITH_ERROR_ARGUMENT,
                           "--tokens 0 without --text leaves nothing "
                           "to time");
    }
    if (status == PITH_OK) {
        status = run_tests(cli, model, repeats, output, &report, error);
    }
    if (status == PITH_OK) {
        status = check_shares(&report, error);
    }
    free(report.lengths);
    return status;
}
