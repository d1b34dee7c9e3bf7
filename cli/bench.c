/* pith bench: tokens or sentences per second, of a model file or of random weights of a known
 * shape, and how much of the machine's limits that is. */
#include "cli/bench_embed.h"
#include "cli/bench_exchange.h"
#include "cli/bench_kernels.h"
#include "cli/bench_limits.h"
#include "cli/bench_report.h"
#include "cli/bench_search.h"
#include "cli/bench_tune.h"

#include <stddef.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "cli/commands.h"
#include "cli/model.h"

typedef struct bench_settings {
    const char *model, *shape;
    size_t type; /* 1 + pith_type */
    bool limits, kernels, tune;
    const char *save;
    size_t search;
    const char *prompts, *generations, *depths, *sessions;
    size_t repeats, output, batch, context;
    pith_bench_embed_settings embed;
    pith_common_settings common;
} bench_settings;

/* Not in the table of options, so that encoders can refuse what was given. */
#define USUAL_PROMPTS "512"
#define USUAL_GENERATIONS "128"
#define USUAL_DEPTHS "0"
#define USUAL_SESSIONS "1"

enum { USUAL_REPEATS = 5, USUAL_KERNEL_REPEATS = 25, USUAL_TUNE_REPEATS = 200 };

static const char *const outputs[] = {"md", "csv", "json", "jsonl", NULL};
static const char *const types[] = {"f32", "f16", "bf16", "int8", "int4", NULL};

static const pith_operand operands[] = {
    {.name = "MODEL.pith",
     .optional = true,
     .help = "the model; without it --shape and --type; with --kernels the beginning of names",
     .offset = offsetof(bench_settings, model)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "shape",
     .kind = PITH_OPTION_TEXT,
     .argument = "NAME",
     .help = "make random weights of this shape in memory: llama2-7b, gemma3-4b, minilm-l6, ... "
             "(an unknown name "
             "lists all)",
     .offset = offsetof(bench_settings, shape)},
    {.name = "type",
     .kind = PITH_OPTION_CHOICE,
     .argument = "TYPE",
     .choices = types,
     .help = "type of the random weights",
     .offset = offsetof(bench_settings, type)},
    {.name = "prompt",
     .letter = 'p',
     .kind = PITH_OPTION_COUNTS,
     .argument = "N[,N...]",
     .low = 0,
     .high = 1 << 20,
     .help = "time prompts of N tokens; 0 leaves them out; by default " USUAL_PROMPTS,
     .offset = offsetof(bench_settings, prompts)},
    {.name = "generate",
     .letter = 'n',
     .kind = PITH_OPTION_COUNTS,
     .argument = "N[,N...]",
     .low = 0,
     .high = 1 << 20,
     .help = "time the generation of N tokens; 0 leaves it out; by default " USUAL_GENERATIONS,
     .offset = offsetof(bench_settings, generations)},
    {.name = "depth",
     .letter = 'd',
     .kind = PITH_OPTION_COUNTS,
     .argument = "N[,N...]",
     .low = 0,
     .high = 1 << 20,
     .help = "generate after a context of N tokens; by default " USUAL_DEPTHS,
     .offset = offsetof(bench_settings, depths)},
    {.name = "sessions",
     .letter = 's',
     .kind = PITH_OPTION_COUNTS,
     .argument = "N[,N...]",
     .low = 1,
     .high = 256,
     .help = "generate in N sessions together; by default " USUAL_SESSIONS,
     .offset = offsetof(bench_settings, sessions)},
    {.name = "limits",
     .kind = PITH_OPTION_FLAG,
     .help = "measure the machine instead: read stream, int8 and float operations, clock, "
             "dispatch, at several numbers of threads",
     .offset = offsetof(bench_settings, limits)},
    {.name = "kernels",
     .kind = PITH_OPTION_FLAG,
     .help = "time every kernel alone instead, or those whose names begin with the operand: "
             "product_int4, scores, rmsnorm, ... (an unknown name lists all)",
     .offset = offsetof(bench_settings, kernels)},
    {.name = "tune",
     .kind = PITH_OPTION_FLAG,
     .help = "measure instead how weights are fetched from memory fastest on this machine, in at "
             "most a minute",
     .offset = offsetof(bench_settings, tune)},
    {.name = "save",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .low = 1,
     .high = 4096,
     .help = "write what --tune chose to a file, for --tuning",
     .offset = offsetof(bench_settings, save)},
    {.name = "search",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 10000000,
     .help = "time searches of N random int8 vectors of 384 elements in a database instead",
     .offset = offsetof(bench_settings, search)},
    {.name = "repeat",
     .letter = 'r',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1000,
     .help = "timed runs of each test; by default 5, of kernels 25, of --tune at most 200",
     .offset = offsetof(bench_settings, repeats)},
    {.name = "output",
     .letter = 'o',
     .kind = PITH_OPTION_CHOICE,
     .argument = "FORMAT",
     .choices = outputs,
     .initial = "md",
     .help = "format of the rows, of every benchmark",
     .offset = offsetof(bench_settings, output)},
    {.name = "batch",
     .letter = 'b',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 16,
     .help = "most tokens in one forward pass; by default 512",
     .offset = offsetof(bench_settings, batch)},
    {.name = "context",
     .letter = 'c',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .help = "give every session room for N tokens and touch all of it, by default what the test "
             "needs",
     .offset = offsetof(bench_settings, context)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Encoders", pith_bench_embed_options_table, offsetof(bench_settings, embed)},
    {"Model", pith_common_options, offsetof(bench_settings, common)},
    {NULL, NULL, 0},
};

static bool decoder_wanted(const bench_settings *settings) {
    return settings->prompts != NULL || settings->generations != NULL || settings->depths != NULL ||
           settings->sessions != NULL || settings->batch != 0 || settings->context != 0;
}

static const char *or_usual(const char *given, const char *usual) {
    return given != NULL ? given : usual;
}

static size_t repeats_of(const bench_settings *settings) {
    size_t usual = settings->kernels ? USUAL_KERNEL_REPEATS
                   : settings->tune  ? USUAL_TUNE_REPEATS
                                     : USUAL_REPEATS;
    return settings->repeats != 0 ? settings->repeats : usual;
}

/* Adds every combination of the numbers in three lists; of prompts only the first list counts. */
static bool add_tests(pith_bench_report *report, const char *list, bool generate,
                      const bench_settings *settings) {
    pith_bench_test test = {.generate = generate, .n_sessions = 1};
    while (pith_counts_next(&list, &test.n_tokens)) {
        const char *depths = generate ? or_usual(settings->depths, USUAL_DEPTHS) : "0";
        while (pith_counts_next(&depths, &test.depth)) {
            const char *sessions = generate ? or_usual(settings->sessions, USUAL_SESSIONS) : "1";
            while (test.n_tokens != 0 && pith_counts_next(&sessions, &test.n_sessions)) {
                if (report->n_tests == PITH_BENCH_MAX_TESTS) {
                    return false;
                }
                report->tests[report->n_tests++] = test;
            }
        }
    }
    return true;
}

static pith_status open_model(pith_cli *cli, const bench_settings *settings, pith_model **out,
                              pith_error *error) {
    if (settings->model != NULL) {
        return pith_cli_open_model(cli, &settings->common, settings->model, false, out, error);
    }
    pith_model_options model_options;
    pith_tuning tuning;
    pith_status status =
        pith_cli_model_options(cli, &settings->common, &tuning, &model_options, error);
    if (status == PITH_OK && cli->ranks != NULL) {
        status = cli->ranks->open_shape(cli->ranks->user, settings->shape,
                                        (pith_type)(settings->type - 1), &model_options, error);
    }
    return status != PITH_OK
               ? status
               : pith_model_random(out, settings->shape, (pith_type)(settings->type - 1),
                                   &model_options, error);
}

/* The memory that only serves to measure its speed is not counted; it exists from the first test
 * on. */
static void note_memory(pith_bench_report *report, const pith_bench_probe *probe) {
    size_t now;
    size_t peak;
    const pith_bench_result *last = &report->results[report->n_results - 1];
    pith_bench_memory(&now, &peak);
    peak -= pith_min_size(peak, probe->memory.size);
    report->rss_peak = pith_max_size(report->rss_peak, peak);
    /* The kernel's two counts may differ a little. */
    report->rss_peak = pith_max_size(report->rss_peak, last->rss_bytes);
}

static pith_status run_test(const pith_model *model, const pith_bench_options *how, size_t i,
                            pith_bench_report *report, pith_bench_rows *rows, pith_error *error) {
    pith_bench_running *running = how->go_on_user;
    running->i = i;
    running->name = pith_bench_test_name(&report->tests[i]);
    pith_bench_rows_before(rows);
    pith_status status = pith_bench_run(model, &report->tests[i], how, &report->results[i], error);
    pith_progress_end(&running->progress);
    if (status != PITH_OK) {
        return status;
    }
    pith_bench_rows_after(rows, report->results[i].moved);
    report->n_results = i + 1;
    note_memory(report, how->probe);
    return pith_bench_report_row(report, rows, error);
}

/* Every test, printed when it has ended. */
static pith_status run_tests(pith_cli *cli, const bench_settings *settings, const pith_model *model,
                             pith_bench_report *report, pith_error *error) {
    size_t now;
    pith_bench_probe probe;
    pith_bench_rows rows;
    pith_bench_running running = {.n = report->n_tests};
    pith_bench_memory(&now, &report->rss_peak);
    pith_status status = pith_bench_probe_new(&probe, model, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_bench_options bench_options = {
        .n_repeats = repeats_of(settings),
        .n_batch = settings->batch,
        .n_context = settings->context,
        .kv_type = (pith_kv_type)settings->common.kv,
        .go_on = pith_bench_go_on,
        .go_on_user = &running,
        .probe = &probe,
        .exchanged = report->info.n_ranks > 1 ? cli->ranks->spent : NULL,
        .exchanged_user = report->info.n_ranks > 1 ? cli->ranks->user : NULL,
    };
    pith_progress_begin(&running.progress, cli, "tests");
    pith_bench_rows_begin(&rows, cli, settings->output);
    pith_bench_report_begin(report, &rows);
    for (size_t i = 0; status == PITH_OK && i < report->n_tests; i++) {
        status = run_test(model, &bench_options, i, report, &rows, error);
    }
    pith_bench_report_end(report, &rows);
    pith_bench_rows_end(&rows);
    pith_bench_probe_free(&probe);
    return status;
}

/* A share that cannot be true makes the command fail. */
static pith_status check_shares(const pith_bench_report *report, pith_error *error) {
    for (size_t i = 0; i < report->n_tests; i++) {
        const pith_bench_result *r = &report->results[i];
        if (r->failed) {
            return pith_fail(error, PITH_ERROR_NUMERIC,
                             "the measurement of %s failed: %.2f of the read stream, %.2f of the "
                             "int8 limit; more than there is",
                             pith_bench_test_name(&report->tests[i]).text, r->share_of_stream,
                             r->share_of_int8);
        }
    }
    return PITH_OK;
}

static pith_status bench_decoder(pith_cli *cli, const bench_settings *settings,
                                 const pith_model *model, pith_bench_report *report,
                                 pith_error *error) {
    if (pith_bench_embed_wanted(&settings->embed)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "--tokens, --per-call, --text and --sentences are for encoders; %s is "
                         "none",
                         report->name);
    }
    pith_status status = pith_bench_measure_exchange(cli, report, error);
    if (status == PITH_OK) {
        status = run_tests(cli, settings, model, report, error);
    }
    return status == PITH_OK ? check_shares(report, error) : status;
}

static pith_status bench(pith_cli *cli, const bench_settings *settings, pith_bench_report *report,
                         pith_error *error) {
    pith_model *model = NULL;
    double start = pith_cli_seconds();
    pith_status status = open_model(cli, settings, &model, error);
    if (status != PITH_OK) {
        return status;
    }
    report->load_seconds = pith_cli_seconds() - start;
    pith_model_get_info(model, &report->info);
    if (settings->model != NULL && !settings->common.map && report->load_seconds > 0) {
        report->load_gbps = 1e-9 * (double)report->info.rank_bytes / report->load_seconds;
    }
    if (report->info.is_encoder && decoder_wanted(settings)) {
        status = pith_fail(error, PITH_ERROR_ARGUMENT,
                           "--prompt, --generate, --depth, --sessions, --batch and --context are "
                           "for decoders; %s is an encoder",
                           report->name);
    } else if (report->info.is_encoder) {
        status = pith_bench_embed(cli, &settings->embed, model, repeats_of(settings),
                                  settings->output, report, error);
    } else {
        status = bench_decoder(cli, settings, model, report, error);
    }
    pith_model_free(model);
    return status;
}

/* The options that ask for a benchmark without a model. Returns how many. */
static size_t machine_benchmarks(const bench_settings *settings, const char *names[4]) {
    size_t n = 0;
    if (settings->search != 0) {
        names[n++] = "--search";
    }
    if (settings->limits) {
        names[n++] = "--limits";
    }
    if (settings->kernels) {
        names[n++] = "--kernels";
    }
    if (settings->tune) {
        names[n++] = "--tune";
    }
    return n;
}

static pith_status bench_machine(pith_cli *cli, const bench_settings *settings, pith_error *error) {
    const pith_common_settings *common = &settings->common;
    if (settings->search != 0) {
        return pith_bench_search(cli, settings->search, repeats_of(settings), common->map,
                                 settings->output, error);
    }
    if (settings->limits) {
        return pith_bench_machine_limits(cli, common->isa, common->threads, settings->output,
                                         error);
    }
    if (settings->tune) {
        return pith_bench_tune(cli,
                               &(pith_bench_tune_settings){.isa = common->isa,
                                                           .save = settings->save,
                                                           .n_threads = common->threads,
                                                           .n_repeats = repeats_of(settings),
                                                           .output = settings->output},
                               error);
    }
    return pith_bench_kernels(cli,
                              &(pith_bench_kernels_settings){.isa = common->isa,
                                                             .tuning = common->tuning,
                                                             .begin = settings->model,
                                                             .n_threads = common->threads,
                                                             .n_repeats = repeats_of(settings),
                                                             .output = settings->output},
                              error);
}

static int run_machine(pith_cli *cli, const bench_settings *settings, const char *name) {
    pith_error error;
    bool model = settings->model != NULL && !settings->kernels;
    if (model || settings->shape != NULL || settings->type != 0) {
        return pith_cli_usage(cli, "%s needs no model", name);
    }
    if (decoder_wanted(settings) || pith_bench_embed_wanted(&settings->embed)) {
        return pith_cli_usage(cli, "%s times no model: options of its tests do not apply", name);
    }
    if (settings->tune && settings->common.tuning != NULL) {
        return pith_cli_usage(cli, "--tune finds out what a file for --tuning says");
    }
    if (!settings->kernels && settings->common.tuning != NULL) {
        return pith_cli_usage(cli, "%s fetches no weights: --tuning does not apply", name);
    }
    pith_status status = bench_machine(cli, settings, &error);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

static int run(pith_cli *cli, const void *arguments) {
    const bench_settings *settings = arguments;
    pith_error error;
    pith_bench_report report = {.n_tests = 0};
    const char *machine[4];
    size_t n_machine = machine_benchmarks(settings, machine);
    if (settings->save != NULL && !settings->tune) {
        return pith_cli_usage(cli, "--save needs --tune");
    }
    if (n_machine > 1) {
        return pith_cli_usage(cli, "%s and %s are two benchmarks", machine[0], machine[1]);
    }
    if (n_machine == 1) {
        return run_machine(cli, settings, machine[0]);
    }
    if ((settings->model != NULL) == (settings->shape != NULL)) {
        return pith_cli_usage(cli, "give either MODEL.pith or --shape NAME");
    }
    if ((settings->shape != NULL) != (settings->type != 0)) {
        return pith_cli_usage(cli, "--shape and --type go together");
    }
    if (!add_tests(&report, or_usual(settings->prompts, USUAL_PROMPTS), false, settings) ||
        !add_tests(&report, or_usual(settings->generations, USUAL_GENERATIONS), true, settings)) {
        return pith_cli_usage(cli, "at most %d tests", PITH_BENCH_MAX_TESTS);
    }
    if (report.n_tests == 0 && !pith_bench_embed_wanted(&settings->embed)) {
        return pith_cli_usage(cli, "--prompt 0 and --generate 0 leave nothing to time");
    }
    report.name = settings->model != NULL ? settings->model : settings->shape;
    pith_status status = bench(cli, settings, &report, &error);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_bench = {
    .name = "bench",
    .summary = "measure tokens or sentences per second",
    .description =
        "Times the forward pass: ppN evaluates a prompt of N tokens from an empty context, tgN "
        "generates N tokens one by one, without sampling; tgN@dD after a context of D tokens, "
        "tgNxS in S sessions together. Prints the median and the extremes of the repeats, the time "
        "to the first logits, the latency of a step, and the resident memory after each test. Of "
        "an encoder embedNxB embeds B sentences of N tokens in one call, and textN the sentences "
        "of a text in their order: each ends with '.', '!' or '?' before white space, those of "
        "less than three words are passed over. Ids are drawn at random, tokenizing is not timed; "
        "random weights have no tokenizer and take 1.3 tokens for a word, and two for [CLS] and "
        "[SEP]. Prints sentences per second and the latency of a call."
        "\n\n"
        "Random weights of a known shape show the speed of a model without downloading it."
        "\n\n"
        "Every row is printed when its test ends and says on what machine: processor, CPUs, "
        "memory, system, version, date. Ctrl-C keeps the rows printed so far. A row is marked "
        "busy, and a warning given, when the limits below moved by more than 1.3x during its test, "
        "when other processes took more than 10% of the machine's CPU time or other machines on "
        "its host more than 2%: repeat it on a quiet machine."
        "\n\n"
        "Right before and right after each repeat the limits of the machine are measured with the "
        "same threads and instruction set: how fast memory can be read, and how many int8 "
        "operations the multipliers do in a second. Memory is read between the tokens of a "
        "generation too, outside their times, and each token is compared with the median of the "
        "four reads nearest to it: the share of the read stream is the time that plain reads of "
        "the same bytes would "
        "have taken at those moments, over the time of the tokens. Judge generation by this share, "
        "and prompts and embeddings by the share of the int8 limit; embeddings in a float type by "
        "that of the f32 limit. CSV and JSON also give the share of the fastest of all stretches "
        "read, and as share_of_kind that of what products of the weights' "
        "type can reach of the int8 limit with the instruction set. A share above 1.02 is a failed "
        "measurement and an error. \"cached\" in place of a share of the stream marks models so "
        "small that they may stay in the cache: a pass reads less than four times the last-level "
        "cache. \"none\" means that there is no probe of the operations for the instruction set."
        "\n\n"
        "--kernels times every inner loop alone, on all threads at once, each with operands of its "
        "own: cached, or with weights, keys, values or vectors from memory. A row has the median "
        "time of a call, the bytes and operations of a second, the scalar kernel's time over it, "
        "and the share of the limit that bounds it, measured in turn with it. A share above 1.02 "
        "marks its row as failed."
        "\n\n"
        "--tune times products of int4 and int8 weights with 1, 2 and 4 tokens from memory, by "
        "every "
        "way to fetch weights ahead and several distances in turn, and says which is fastest here. "
        "What the library's table chooses for this CPU stays the choice where it is within 1.5% of "
        "the fastest. --save writes the choice to a file; --tuning gives that to any command. It "
        "changes no result.",
    .example = "pith bench tale.pith -p 128,512 -n 64\n"
               "pith bench --shape llama2-7b --type int4 -n 32 -d 0,1000,4000 -r 3 -o json\n"
               "pith bench --shape minilm-l6 --type int8 --tokens 16,128 --text tales.txt\n"
               "pith bench --limits -t 2\n"
               "pith bench --kernels product_int4 -t 1\n"
               "pith bench --tune --save tuning.json\n"
               "pith bench --search 100000 -r 20",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(bench_settings),
    .run = run,
};
