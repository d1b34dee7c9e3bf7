/* pith run: generate text after a prompt, or between a prefix and a suffix. */
#include "cli/commands.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/conversation.h"
#include "cli/model.h"

typedef struct run_settings {
    const char *model, *operand;
    const char *prompt, *prompt_file, *prefix, *suffix, *session, *draft;
    const char *schema;
    bool suffix_first, special, ignore_eos, json;
    bool chat;
    const char *system;
    pith_template_settings template;
    pith_sampling_settings sampling;
    pith_common_settings common;
    pith_length_settings length;
    size_t bos;
} run_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith", .help = "the model", .offset = offsetof(run_settings, model)},
    {.name = "PROMPT",
     .optional = true,
     .may_be_empty = true,
     .help = "text to continue, as with --prompt",
     .offset = offsetof(run_settings, operand)},
    {.name = NULL},
};

static const pith_option prompt_options[] = {
    {.name = "prompt",
     .letter = 'p',
     .kind = PITH_OPTION_TEXT,
     .argument = "TEXT",
     .help = "text to continue",
     .offset = offsetof(run_settings, prompt)},
    {.name = "file",
     .letter = 'f',
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .help = "file with the text to continue, taken as it is, its last newline too; - reads "
             "standard input",
     .offset = offsetof(run_settings, prompt_file)},
    {.name = "prefix",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .help = "infilling: file with what stands before the text to write",
     .offset = offsetof(run_settings, prefix)},
    {.name = "suffix",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .help = "infilling: file with what stands after it",
     .offset = offsetof(run_settings, suffix)},
    {.name = "suffix-first",
     .kind = PITH_OPTION_FLAG,
     .help = "infilling: show the model the suffix before the prefix",
     .offset = offsetof(run_settings, suffix_first)},
    {.name = "special",
     .kind = PITH_OPTION_FLAG,
     .help = "read special tokens written in the prompt as such",
     .offset = offsetof(run_settings, special)},
    {.name = "ignore-eos",
     .kind = PITH_OPTION_FLAG,
     .help = "go on after the model's end tokens, but not those of --eos",
     .offset = offsetof(run_settings, ignore_eos)},
    {.name = NULL},
};

static const pith_option form_options[] = {
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "write a JSON object, and stop at its end",
     .offset = offsetof(run_settings, json)},
    {.name = "json-schema",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .low = 1,
     .help = "write a JSON value that this JSON schema allows, and stop at its end; - reads "
             "standard input. What is not supported in it is refused by name",
     .offset = offsetof(run_settings, schema)},
    {.name = NULL},
};

static const pith_option chat_options[] = {
    {.name = "chat",
     .kind = PITH_OPTION_FLAG,
     .help = "the prompt is a message to a chat model, which answers it: its chat template is put "
             "around the prompt",
     .offset = offsetof(run_settings, chat)},
    {.name = "system",
     .kind = PITH_OPTION_TEXT,
     .argument = "TEXT",
     .help = "with --chat: the system message, how the model is to behave",
     .offset = offsetof(run_settings, system)},
    {.name = NULL},
};

static const pith_option state_options[] = {
    {.name = "draft",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .help =
         "a smaller model with the same vocabulary, which guesses tokens for the model to check "
         "together (as many as --speculate says, by default 8): the same text, sooner where "
         "the two agree; left out where it does not pay",
     .offset = offsetof(run_settings, draft)},
    {.name = "session",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .low = 1,
     .help = "go on from the session saved here, if there is one, and save it afterwards: what the "
             "prompt begins with and was evaluated before costs no time; a new file may be read by "
             "its owner only",
     .offset = offsetof(run_settings, session)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Prompt", prompt_options, 0},
    {"Chat", chat_options, 0},
    {"Template", pith_template_options, offsetof(run_settings, template)},
    {"Beginning", pith_bos_options, offsetof(run_settings, bos)},
    {"Generation", pith_sampling_options, offsetof(run_settings, sampling)},
    {"Form of the text", form_options, 0},
    {"Model", pith_common_options, offsetof(run_settings, common)},
    {"Session", pith_length_options, offsetof(run_settings, length)},
    {"State", state_options, 0},
    {NULL, NULL, 0},
};

static pith_status read_infill(const pith_model *model, const run_settings *settings,
                               int32_t **tokens, size_t *n_tokens, pith_error *error) {
    char *prefix = NULL;
    char *suffix = NULL;
    size_t n_prefix = 0;
    size_t n_suffix = 0;
    int32_t *ids = NULL;
    pith_status status = pith_cli_read(settings->prefix, &prefix, &n_prefix, error);
    if (status == PITH_OK) {
        status = pith_cli_read(settings->suffix, &suffix, &n_suffix, error);
    }
    if (status != PITH_OK) {
        goto done;
    }
    status = pith_infill_format(model, (pith_text){prefix, n_prefix}, (pith_text){suffix, n_suffix},
                                settings->suffix_first, NULL, 0, n_tokens, error);
    if (status != PITH_OK && status != PITH_ERROR_CAPACITY) {
        goto done;
    }
    ids = calloc(*n_tokens, sizeof *ids);
    if (ids == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu tokens", *n_tokens);
        goto done;
    }
    status = pith_infill_format(model, (pith_text){prefix, n_prefix}, (pith_text){suffix, n_suffix},
                                settings->suffix_first, ids, *n_tokens, n_tokens, error);
    if (status == PITH_OK) {
        *tokens = ids;
        ids = NULL;
    }
done:
    free(ids);
    free(prefix);
    free(suffix);
    return status;
}

/* The newline that echo puts behind a prompt is not part of it. */
static size_t without_line_end(const char *text, size_t n) {
    n -= n > 0 && text[n - 1] == '\n';
    n -= n > 0 && text[n - 1] == '\r';
    return n;
}

/* The prompt as a message, behind the system message. */
static pith_status ask(const pith_conversation *conversation, const run_settings *settings,
                       pith_text text, int32_t **tokens, size_t *n_tokens, pith_error *error) {
    const pith_message messages[] = {
        {.role = "system", .content = pith_text_of(settings->system)},
        {.role = "user", .content = text},
    };
    bool system = settings->system != NULL;
    return pith_conversation_tokens(conversation, system ? messages : messages + 1, system ? 2 : 1,
                                    tokens, n_tokens, error);
}

static pith_status read_prompt(pith_cli *cli, const pith_model *model,
                               const pith_conversation *conversation, const run_settings *settings,
                               int32_t **tokens, size_t *n_tokens, pith_error *error) {
    if (settings->prefix != NULL) {
        return read_infill(model, settings, tokens, n_tokens, error);
    }
    const char *text = settings->prompt != NULL ? settings->prompt : settings->operand;
    size_t n_bytes = text != NULL ? strlen(text) : 0;
    char *file_text = NULL;
    pith_status status = PITH_OK;
    if (settings->prompt_file != NULL) {
        status = pith_cli_read(settings->prompt_file, &file_text, &n_bytes, error);
        text = file_text;
    } else if (text == NULL && isatty(STDIN_FILENO) == 0) {
        status = pith_cli_read("-", &file_text, &n_bytes, error);
        text = file_text;
        n_bytes = status == PITH_OK ? without_line_end(text, n_bytes) : 0;
    }
    if (status == PITH_OK && file_text != NULL) {
        bool named = settings->prompt_file != NULL && strcmp(settings->prompt_file, "-") != 0;
        pith_cli_warn_crlf(cli, named ? settings->prompt_file : "standard input", text, n_bytes);
    }
    if (status == PITH_OK && settings->chat) {
        status = ask(conversation, settings, (pith_text){text != NULL ? text : "", n_bytes}, tokens,
                     n_tokens, error);
    } else if (status == PITH_OK) {
        status =
            pith_cli_tokenize_prompt(cli, model, text != NULL ? text : "", n_bytes, settings->bos,
                                     settings->special, tokens, n_tokens, error);
    }
    free(file_text);
    return status;
}

typedef struct text_sink {
    pith_cli *cli;
    bool line_open; /* the last byte written was not a newline */
} text_sink;

static bool on_text(void *user, pith_text text) {
    text_sink *sink = user;
    if (text.n_bytes > 0) {
        sink->line_open = text.data[text.n_bytes - 1] != '\n';
    }
    return pith_cli_write(sink->cli, text.data, text.n_bytes) && pith_cli_flush(sink->cli) &&
           !pith_interrupted();
}

/* A new session, or the saved one with as much of it as the prompt begins with. */
static pith_status open_session(const pith_model *model, const run_settings *settings,
                                const int32_t *tokens, size_t n_tokens, pith_session **session,
                                size_t *n_kept, pith_error *error) {
    const pith_session_options options = {
        .n_context = settings->length.context,
        .n_batch = settings->length.batch,
        .kv_type = (pith_kv_type)settings->common.kv,
    };
    *n_kept = 0;
    pith_model_info info;
    pith_model_get_info(model, &info);
    if (settings->session != NULL && info.n_ranks > 1) { /* before a text that cannot be saved */
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "--session: not with %zu ranks",
                         info.n_ranks);
    }
    if (settings->session == NULL || (access(settings->session, F_OK) != 0 && errno == ENOENT)) {
        return pith_session_new(session, model, &options, error);
    }
    pith_status status = pith_session_load(session, model, settings->session, &options, error);
    if (status == PITH_OK) {
        status = pith_session_reuse(*session, tokens, n_tokens, n_kept, error);
    }
    return status;
}

/* A smaller model that drafts, and its session. */
typedef struct drafter {
    pith_model *model;
    pith_session *session;
} drafter;

static pith_status open_drafter(pith_cli *cli, const run_settings *settings, drafter *out,
                                pith_error *error) {
    const pith_session_options options = {.n_context = settings->length.context,
                                          .kv_type = (pith_kv_type)settings->common.kv};
    if (settings->draft == NULL) {
        return PITH_OK;
    }
    pith_status status =
        pith_cli_open_decoder(cli, &settings->common, settings->draft, &out->model, error);
    return status == PITH_OK ? pith_session_new(&out->session, out->model, &options, error)
                             : status;
}

static void close_drafter(drafter *draft) {
    pith_session_free(draft->session);
    pith_model_free(draft->model);
}

/* The grammar that --json or --json-schema asks for; NULL: none is. */
static pith_status make_grammar(const pith_model *model, const run_settings *settings,
                                pith_grammar **grammar, pith_error *error) {
    if (settings->schema == NULL) {
        return settings->json
                   ? pith_grammar_new(grammar, model, pith_text_of("{\"type\": \"object\"}"), error)
                   : PITH_OK;
    }
    char *text = NULL;
    size_t n = 0;
    pith_status status = pith_cli_read(settings->schema, &text, &n, error);
    if (status == PITH_OK) {
        status = pith_grammar_new(grammar, model, (pith_text){text, n}, error);
        if (status != PITH_OK) {
            pith_fail_in(error, status, "%s", settings->schema);
        }
    }
    free(text);
    return status;
}

/* What a text is made of. */
typedef struct writing {
    pith_model *model;
    pith_conversation conversation; /* with --chat */
    pith_grammar *grammar;          /* NULL: any text */
    int32_t *tokens;                /* [n_tokens] the prompt */
    size_t n_tokens;
} writing;

static pith_status generate(pith_cli *cli, const run_settings *settings, const writing *w,
                            pith_error *error) {
    pith_session *session = NULL;
    size_t n_kept = 0;
    drafter draft = {.model = NULL};
    pith_generate_params params;
    int32_t eos[PITH_MAX_TEXTS + 1];
    text_sink sink = {.cli = cli};
    pith_usage usage;
    pith_status status = pith_cli_generation(&settings->sampling, w->model, eos, &params, error);
    params.ignore_eos = settings->ignore_eos;
    params.grammar = w->grammar;
    if (status == PITH_OK && settings->chat && !settings->ignore_eos) {
        pith_conversation_end(&w->conversation, &params, eos);
    }
    if (status == PITH_OK) {
        status = open_session(w->model, settings, w->tokens, w->n_tokens, &session, &n_kept, error);
    }
    if (status == PITH_OK) {
        status = open_drafter(cli, settings, &draft, error);
        params.draft = draft.session;
    }
    if (status == PITH_OK && w->n_tokens > pith_session_context(session)) {
        status =
            pith_fail(error, PITH_ERROR_CONTEXT, "the prompt has %zu tokens, the context only %zu",
                      w->n_tokens, pith_session_context(session));
    }
    if (status == PITH_OK) {
        status = pith_generate(session, w->tokens + n_kept, w->n_tokens - n_kept, &params, on_text,
                               &sink, &usage, error);
        if (sink.line_open && isatty(STDOUT_FILENO)) {
            pith_cli_write(cli, "\n", 1);
        }
    }
    if (status == PITH_OK && settings->session != NULL && pith_session_length(session) > 0) {
        status = pith_session_save(session, settings->session, error);
    }
    if (status == PITH_OK && settings->sampling.stats) {
        pith_cli_flush(cli);
        pith_cli_print_usage(cli, &usage, params.sampling.seed);
    }
    if (status == PITH_OK && pith_interrupted()) {
        status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
    }
    close_drafter(&draft);
    pith_session_free(session);
    return status;
}

/* Finds out before generating whether the session can be saved: begins to write the file and
 * discards it. */
static pith_status check_session_path(const char *path, pith_error *error) {
    pith_output *output = NULL;
    pith_status status =
        path == NULL ? PITH_OK
                     : pith_output_create_private(&output, path, &pith_malloc_allocator, error);
    pith_output_discard(output);
    return status;
}

static const char *check_chat(const run_settings *settings) {
    if (settings->chat) {
        return settings->prefix != NULL || settings->special
                   ? "--chat excludes --prefix and --suffix, and --special"
                   : NULL;
    }
    return settings->system != NULL || settings->template.chat_template != NULL ||
                   settings->template.variables.n > 0
               ? "--system, --chat-template and --template-var need --chat"
               : NULL;
}

static int run(pith_cli *cli, const void *arguments) {
    const run_settings *settings = arguments;
    pith_error error;
    if ((settings->prefix != NULL) != (settings->suffix != NULL)) {
        return pith_cli_usage(cli, "--prefix and --suffix go together");
    }
    if ((settings->prompt != NULL) + (settings->operand != NULL) + (settings->prompt_file != NULL) +
            (settings->prefix != NULL) >
        1) {
        return pith_cli_usage(cli, "PROMPT, --prompt, --file and --prefix exclude each other");
    }
    if (check_chat(settings) != NULL) {
        return pith_cli_usage(cli, "%s", check_chat(settings));
    }
    const char *const texts[] = {settings->prompt, settings->operand, settings->system};
    if (!pith_conversation_check(&settings->template, &error) ||
        pith_cli_unescape_texts(&settings->sampling, texts, 3, &error) != PITH_OK) {
        return pith_cli_usage(cli, "%s", error.message);
    }
    bool prompt_given = settings->prompt != NULL || settings->operand != NULL ||
                        settings->prefix != NULL || settings->prompt_file != NULL;
    bool prompt_read =
        prompt_given ? settings->prompt_file != NULL && strcmp(settings->prompt_file, "-") == 0
                     : true;
    if (prompt_read && settings->schema != NULL && strcmp(settings->schema, "-") == 0) {
        return pith_cli_usage(cli, "prompt and --json-schema cannot both be standard input");
    }
    if (settings->json && settings->schema != NULL) {
        return pith_cli_usage(cli, "--json and --json-schema exclude each other");
    }
    if (settings->suffix_first && settings->prefix == NULL) {
        return pith_cli_usage(cli, "--suffix-first needs --prefix and --suffix");
    }
    writing w = {.model = NULL};
    pith_status status = check_session_path(settings->session, &error);
    if (status == PITH_OK) {
        status = pith_cli_open_decoder(cli, &settings->common, settings->model, &w.model, &error);
    }
    if (status == PITH_OK) {
        status = make_grammar(w.model, settings, &w.grammar, &error);
    }
    if (status == PITH_OK && settings->chat) {
        status = pith_conversation_open(&w.conversation, w.model, settings->model,
                                        &settings->template, &error);
    }
    if (status == PITH_OK) {
        status =
            read_prompt(cli, w.model, &w.conversation, settings, &w.tokens, &w.n_tokens, &error);
    }
    if (status == PITH_OK) {
        status = generate(cli, settings, &w, &error);
    }
    bool misnamed = w.model != NULL && !pith_conversation_knows(w.model, &settings->template);
    free(w.tokens);
    pith_conversation_close(&w.conversation);
    pith_grammar_free(w.grammar);
    pith_model_free(w.model);
    return status == PITH_OK ? PITH_EXIT_OK
           : misnamed        ? pith_cli_usage(cli, "%s", error.message)
                             : pith_cli_fail(cli, &error);
}

const pith_command pith_command_run = {
    .name = "run",
    .summary = "generate text after a prompt",
    .description =
        "Writes the generated text to standard output as it comes; the prompt is not repeated. "
        "What the model's tokenizer puts around a text (for Llama a beginning-of-text token in "
        "front, for Qwen2 nothing) is put around the prompt; --bos decides otherwise. With a token "
        "in front an empty prompt lets the model begin by itself. Without PROMPT, --prompt, --file "
        "and --prefix the prompt is read from "
        "standard input, unless that is a terminal; one newline at its end is dropped.\n\n"
        "With --chat the prompt is a message, and the text the answer of a chat model.\n\n"
        "With --prefix and --suffix a Code Llama model writes what belongs between two files.\n\n"
        "With --json and --json-schema only tokens are chosen that lead to JSON of the form asked "
        "for; say in the prompt what it is about. The text ends where the JSON does, or unfinished "
        "after --n-predict tokens.",
    .example = "pith run tale.pith 'Once upon a time' -n 100\n"
               "echo 'Once upon a time' | pith run tale.pith\n"
               "pith run --chat qwen3.pith 'How deep is the sea?'\n"
               "pith run tale.pith 'A king: ' --json-schema king.json -n 200\n"
               "pith run codellama.pith --prefix before.c --suffix after.c --temp 0",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(run_settings),
    .run = run,
};
