/* pith template: renders conversations with a chat template, one JSON object a line. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/model.h"
#include "tokenizer/jinja.h"

typedef struct template_settings {
    const char *model, *file;
    bool json;
    pith_common_settings common;
} template_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith",
     .optional = true,
     .help = "the model whose chat template is used",
     .offset = offsetof(template_settings, model)},
    {.name = NULL},
};

static const pith_option template_options[] = {
    {.name = "file",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .low = 1,
     .help = "use the template in FILE instead of a model's",
     .offset = offsetof(template_settings, file)},
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "read and write JSON Lines (required: there is no other form yet)",
     .offset = offsetof(template_settings, json)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", template_options, 0},
    {"Model", pith_common_options, offsetof(template_settings, common)},
    {NULL, NULL, 0},
};

/* A template and what its model adds to every conversation. */
typedef struct renderer {
    pith_cli *cli;
    pith_model *model;       /* or NULL */
    pith_template *compiled; /* NULL: `problem` says why there is none */
    char *source;            /* of --file */
    pith_template_text texts[2];
    size_t n_texts;
    pith_error problem;
} renderer;

/* The vocabulary's spelling of a token as a variable; malloc'ed. */
static pith_status add_token(renderer *r, const char *name, int32_t id, pith_error *error) {
    pith_text text;
    if (id < 0) {
        return PITH_OK;
    }
    pith_status status = pith_token_text(r->model, id, &text, error);
    if (status != PITH_OK) {
        return status;
    }
    char *copy = strndup(text.data, text.n_bytes);
    if (copy == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory");
    }
    r->texts[r->n_texts++] = (pith_template_text){.name = name, .text = copy};
    return PITH_OK;
}

static pith_status open_model(renderer *r, const template_settings *settings, const char **source,
                              pith_error *error) {
    pith_status status =
        pith_cli_open_model(r->cli, &settings->common, settings->model, true, &r->model, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_model_info info;
    pith_model_get_info(r->model, &info);
    if (info.chat_template == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s has no chat template", settings->model);
    }
    *source = info.chat_template;
    status = add_token(r, "bos_token", info.bos, error);
    return status == PITH_OK ? add_token(r, "eos_token", info.n_eos > 0 ? info.eos[0] : -1, error)
                             : status;
}

/* A template that does not compile is the error of every conversation, and does not end the
 * command. */
static pith_status open_renderer(renderer *r, const template_settings *settings,
                                 pith_error *error) {
    const char *source = NULL;
    size_t n = 0;
    pith_status status;
    if (settings->file != NULL) {
        status = pith_cli_read(settings->file, &r->source, &n, error);
        source = r->source;
    } else {
        status = open_model(r, settings, &source, error);
        n = status == PITH_OK ? strlen(source) : 0;
    }
    if (status != PITH_OK) {
        return status;
    }
    status = pith_template_compile(&r->compiled, source, n, NULL, NULL, &r->problem);
    return status == PITH_ERROR_MEMORY ? pith_fail(error, status, "%s", r->problem.message)
                                       : PITH_OK;
}

static void close_renderer(renderer *r) {
    for (size_t i = 0; i < r->n_texts; i++) {
        free((char *)(uintptr_t)r->texts[i].text);
    }
    pith_template_free(r->compiled);
    free(r->source);
    pith_model_free(r->model);
}

/* ---- The clock ------------------------------------------------------------------------------- */

static bool local_time(pith_template_time *out) {
    struct timeval now;
    struct tm local;
    if (gettimeofday(&now, NULL) != 0 || localtime_r(&now.tv_sec, &local) == NULL) {
        return false;
    }
    *out = (pith_template_time){.year = local.tm_year + 1900,
                                .month = local.tm_mon + 1,
                                .day = local.tm_mday,
                                .hour = local.tm_hour,
                                .minute = local.tm_min,
                                .second = local.tm_sec,
                                .micros = (int)now.tv_usec};
    return true;
}

/* "2026-03-04T05:06:07" */
static bool parse_time(const char *text, pith_template_time *out) {
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (size_t i = 0; i < sizeof form; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == 'd' ? !digit : text[i] != form[i]) {
            return false;
        }
    }
    pith_template_time t = {.micros = 0};
    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &t.year, &t.month, &t.day, &t.hour, &t.minute,
           &t.second);
    bool leap = (t.year % 4 == 0 && t.year % 100 != 0) || t.year % 400 == 0;
    if (t.year < 1 || t.month < 1 || t.month > 12 || t.day < 1 ||
        t.day > days[t.month - 1] + (leap && t.month == 2) || t.hour > 23 || t.minute > 59 ||
        t.second > 59) {
        return false;
    }
    *out = t;
    return true;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static pith_status print_result(renderer *r, const char *key, const char *text, size_t n,
                                pith_error *error) {
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    json.style = PITH_JSON_SPACED;
    pith_json_open(&json, NULL, '{');
    pith_json_put_bytes(&json, key, text, n);
    pith_json_close(&json, '}');
    return pith_cli_print_document(r->cli, &json, error);
}

static pith_status render_line(renderer *r, char *line, size_t n, pith_error *error) {
    pith_template_input input = {.texts = r->texts, .n_texts = r->n_texts};
    pith_template_time now;
    pith_status status =
        pith_line_parse(&input.conversation, line, n, &pith_malloc_allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_json clock = pith_json_get(input.conversation, "strftime_now");
    bool good = clock.at == NULL ? local_time(&now)
                                 : pith_json_is(clock, PITH_JSON_STRING) &&
                                       parse_time(pith_json_text(clock), &now);
    if (!pith_json_is(input.conversation, PITH_JSON_OBJECT) || !good) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s",
                         good ? "a conversation must be a JSON object"
                              : "\"strftime_now\" is no time like \"2026-03-04T05:06:07\"");
    }
    input.now = &now;
    input.without = "strftime_now";
    pith_error problem = r->problem;
    pith_template_output out;
    status = r->compiled != NULL ? pith_template_render(r->compiled, &input, &out, &problem)
                                 : PITH_ERROR_FORMAT;
    if (status == PITH_ERROR_MEMORY) {
        return pith_fail(error, status, "%s", problem.message);
    }
    if (status != PITH_OK) {
        return print_result(r, "error", problem.message, strlen(problem.message), error);
    }
    status =
        print_result(r, "text", out.text.data != NULL ? out.text.data : "", out.text.size, error);
    pith_template_output_release(&out);
    return status;
}

static pith_status render_lines(renderer *r, pith_error *error) {
    pith_lines lines = {.data = NULL};
    pith_status status = PITH_OK;
    pith_cli_await(r->cli, "JSON Lines");
    while (status == PITH_OK && r->cli->output_error == 0) {
        char *line;
        size_t n;
        bool end = false;
        if (pith_interrupted()) {
            status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
            break;
        }
        status = pith_cli_read_json_line(&lines, &line, &n, &end, error);
        if (status != PITH_OK || end) {
            break;
        }
        status = render_line(r, line, n, error);
        if (status != PITH_OK) {
            pith_fail_in(error, status, "standard input, line %zu", lines.number);
        }
    }
    pith_lines_release(&lines);
    return status;
}

static int run_template(pith_cli *cli, const void *arguments) {
    const template_settings *settings = arguments;
    if ((settings->model == NULL) == (settings->file == NULL)) {
        return pith_cli_usage(cli, settings->model == NULL
                                       ? "a model or --file FILE is missing"
                                       : "a model and --file exclude each other");
    }
    if (!settings->json) {
        return pith_cli_usage(cli, "--json is missing: conversations are JSON Lines");
    }
    renderer r = {.cli = cli};
    pith_error error;
    pith_status status = open_renderer(&r, settings, &error);
    if (status == PITH_OK) {
        status = render_lines(&r, &error);
    }
    if (status == PITH_OK && r.compiled == NULL) {
        error = r.problem;
        status = PITH_ERROR_FORMAT;
    }
    close_renderer(&r);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_template = {
    .name = "template",
    .summary = "render conversations with a chat template",
    .description =
        "Reads one conversation a line from standard input, as a JSON object whose members are the "
        "template's variables: \"messages\", \"tools\", \"add_generation_prompt\" and whatever "
        "else the template knows. Writes {\"text\": \"...\"} for each, or {\"error\": \"...\"} "
        "where the template refuses the conversation, is no template, or meets a limit.\n\n"
        "The template is Jinja as transformers renders it. bos_token and eos_token are those of "
        "the model, with --file none, unless the conversation has its own. \"strftime_now\": "
        "\"2026-03-04T05:06:07\" sets the template's clock.",
    .example = "echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}' |\n"
               "  pith template --file chat_template.jinja --json",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(template_settings),
    .run = run_template,
};
