/* pith chat: a conversation by the model's own chat template. Every turn the whole conversation is
 * formatted anew; what the session has evaluated already is kept, the rest is rewound and
 * evaluated. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "cli/chat_input.h"
#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/model.h"
#include "cli/places.h"
#include "cli/suggest.h"

typedef struct chat_settings {
    const char *model, *system;
    pith_template_settings template;
    pith_sampling_settings sampling;
    pith_common_settings common;
    pith_length_settings length;
} chat_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith",
     .help = "a chat model; by default the storyteller that comes with pith",
     .optional = true,
     .offset = offsetof(chat_settings, model)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "system",
     .kind = PITH_OPTION_TEXT,
     .argument = "TEXT",
     .help = "the system message: how the model is to behave",
     .offset = offsetof(chat_settings, system)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Conversation", options, 0},
    {"Template", pith_template_options, offsetof(chat_settings, template)},
    {"Generation", pith_sampling_options, offsetof(chat_settings, sampling)},
    {"Model", pith_common_options, offsetof(chat_settings, common)},
    {"Session", pith_length_options, offsetof(chat_settings, length)},
    {NULL, NULL, 0},
};

typedef struct chat {
    pith_cli *cli;
    const chat_settings *settings;
    pith_model *model;
    pith_session *session;
    pith_conversation conversation;
    pith_generate_params params;
    int32_t eos[PITH_MAX_TEXTS + 1]; /* of params */
    pith_chat_input *input;
    size_t n_lines;         /* read from it */
    pith_message *messages; /* [n_messages]; contents are owned here */
    size_t n_messages, capacity;
    pith_bytes answer; /* of this turn */
    bool no_memory;    /* the answer could not grow */
    bool failed;       /* a turn could not be answered */
} chat;

/* ---- Messages -------------------------------------------------------------------------------- */

static void drop_messages(chat *c, size_t keep) {
    while (c->n_messages > keep) {
        free((void *)(uintptr_t)c->messages[--c->n_messages].content.data);
    }
}

static pith_status add_message(chat *c, const char *role, const char *text, size_t n_bytes,
                               pith_error *error) {
    if (c->n_messages == c->capacity) {
        size_t capacity = c->capacity == 0 ? 16 : 2 * c->capacity;
        pith_message *grown = realloc(c->messages, capacity * sizeof *grown);
        if (grown == NULL) {
            return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the conversation");
        }
        c->messages = grown;
        c->capacity = capacity;
    }
    char *copy = malloc(n_bytes + 1);
    if (copy == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the conversation");
    }
    if (n_bytes > 0) {
        memcpy(copy, text, n_bytes);
    }
    copy[n_bytes] = 0;
    c->messages[c->n_messages++] = (pith_message){.role = role, .content = {copy, n_bytes}};
    return PITH_OK;
}

static pith_status reset(chat *c, pith_error *error) {
    drop_messages(c, 0);
    if (c->settings->system == NULL) {
        return PITH_OK;
    }
    return add_message(c, "system", c->settings->system, strlen(c->settings->system), error);
}

/* ---- One turn -------------------------------------------------------------------------------- */

static bool on_text(void *user, pith_text text) {
    chat *c = user;
    if (c->answer.size == 0 && text.n_bytes != 0 && *text.data == ' ') {
        text.data++; /* the space between the markup and the first word */
        text.n_bytes--;
    }
    c->no_memory = !pith_bytes_append(&c->answer, text.data, text.n_bytes);
    return !c->no_memory && pith_cli_write(c->cli, text.data, text.n_bytes) &&
           pith_cli_flush(c->cli) && !pith_interrupted();
}

/* Generates the answer to the conversation into c->answer. */
static pith_status answer(chat *c, pith_usage *usage, pith_error *error) {
    int32_t *tokens = NULL;
    size_t n_tokens = 0;
    pith_status status = pith_conversation_tokens(&c->conversation, c->messages, c->n_messages,
                                                  &tokens, &n_tokens, error);
    if (status != PITH_OK) {
        return status;
    }
    size_t context = pith_session_context(c->session);
    if (n_tokens >= context) {
        free(tokens);
        return pith_fail(
            error, PITH_ERROR_CONTEXT,
            "the conversation would have %zu tokens and leave no room for an answer in "
            "the context of %zu: /reset begins a new one",
            n_tokens, context);
    }
    size_t kept = 0;
    c->answer.size = 0;
    c->no_memory = false;
    status = pith_session_reuse(c->session, tokens, n_tokens, &kept, error);
    if (status == PITH_OK) {
        pith_interrupt_catch(true);
        status = pith_generate(c->session, tokens + kept, n_tokens - kept, &c->params, on_text, c,
                               usage, error);
    }
    if (status == PITH_OK && c->no_memory) { /* pith_generate reports it as stopped */
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the answer");
    }
    free(tokens);
    return status;
}

/* Of a text that is to be a message. */
static pith_status check_text(const char *text, size_t n_bytes, pith_error *error) {
    size_t bad = pith_utf8_check(text, n_bytes);
    return bad == n_bytes ? PITH_OK
                          : pith_fail(error, PITH_ERROR_TEXT, "invalid UTF-8 at byte %zu", bad);
}

static pith_status take_turn(chat *c, const char *line, size_t n_bytes, pith_error *error) {
    size_t before = c->n_messages;
    pith_usage usage;
    pith_status status = check_text(line, n_bytes, error);
    if (status != PITH_OK) {
        return pith_chat_input_is_terminal(c->input)
                   ? status
                   : pith_fail_in(error, status, "standard input, line %zu", c->n_lines);
    }
    status = add_message(c, "user", line, n_bytes, error);
    if (status == PITH_OK) {
        status = answer(c, &usage, error);
    }
    if (status == PITH_OK) {
        status = add_message(c, "assistant", c->answer.data, c->answer.size, error);
    }
    if (status != PITH_OK) {
        drop_messages(c, before);
        return status;
    }
    pith_cli_write(c->cli, "\n", 1);
    pith_cli_flush(c->cli);
    if (usage.finish == PITH_FINISH_CONTEXT) {
        pith_cli_message(c->cli,
                         "the context of %zu tokens is full: /reset begins a new conversation",
                         pith_session_context(c->session));
    }
    if (c->settings->sampling.stats) {
        pith_cli_print_usage(c->cli, &usage, c->params.sampling.seed);
    }
    return PITH_OK;
}

/* ---- The loop -------------------------------------------------------------------------------- */

static bool is_command(const char *line, size_t n_bytes, const char *command) {
    return n_bytes == strlen(command) && memcmp(line, command, n_bytes) == 0;
}

/* "/word" alone on a line is meant for the command, not for the model. */
static bool looks_like_command(const char *line, size_t n_bytes) {
    size_t n = 1;
    while (n < n_bytes && line[n] >= 'a' && line[n] <= 'z') {
        n++;
    }
    return n_bytes > 1 && line[0] == '/' && n == n_bytes;
}

static const char commands_help[] =
    "/reset begins a new conversation, /help shows this, /quit or Ctrl-D ends";

static void unknown_command(const chat *c, const char *line, size_t n_bytes) {
    static const char *const names[] = {"reset", "help", "quit"};
    char typed[32];
    snprintf(typed, sizeof typed, "%.*s", (int)(n_bytes < 31 ? n_bytes - 1 : 30), line + 1);
    const char *near = pith_nearest(typed, names, 3);
    if (near != NULL) {
        pith_cli_message(c->cli, "unknown command /%s; did you mean /%s?", typed, near);
    } else {
        pith_cli_message(c->cli, "unknown command /%s: %s", typed, commands_help);
    }
}

static pith_status converse(chat *c, pith_error *error) {
    bool terminal = pith_chat_input_is_terminal(c->input);
    const char *system = c->settings->system;
    pith_status status = system != NULL ? check_text(system, strlen(system), error) : PITH_OK;
    if (status != PITH_OK) {
        return pith_fail_in(error, status, "--system");
    }
    status = reset(c, error);
    if (status == PITH_OK && terminal) {
        if (c->settings->model == NULL) {
            pith_cli_message(c->cli, "this is the storyteller that comes with pith: ask it for a "
                                     "story about a fox and a lost key");
        }
        pith_cli_message(c->cli, "%s", commands_help);
    }
    while (status == PITH_OK && c->cli->output_error == 0) {
        const char *line;
        size_t n_bytes;
        bool end;
        status = pith_chat_input_read(c->input, &line, &n_bytes, &end, error);
        c->n_lines++;
        if (status != PITH_OK || end || is_command(line, n_bytes, "/quit") ||
            is_command(line, n_bytes, "/exit") || is_command(line, n_bytes, "/bye")) {
            break;
        }
        if (is_command(line, n_bytes, "/reset")) {
            status = reset(c, error);
        } else if (is_command(line, n_bytes, "/help")) {
            pith_cli_message(c->cli, "%s", commands_help);
        } else if (looks_like_command(line, n_bytes)) {
            c->failed = true;
            unknown_command(c, line, n_bytes);
        } else if (n_bytes > 0 && take_turn(c, line, n_bytes, error) != PITH_OK) {
            c->failed = true;
            pith_cli_message(c->cli, "%s", error->message);
        }
        if (!terminal && pith_interrupted()) {
            status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
        }
    }
    return status;
}

/* The model's path: the operand, or that of the storyteller in `room`. */
static pith_status find_model(const chat *c, pith_bytes *room, const char **path,
                              pith_error *error) {
    *path = c->settings->model;
    if (*path != NULL) {
        return PITH_OK;
    }
    if (!pith_places_models(room) ||
        (room->size > 0 && !pith_bytes_append_text(room, "/story-int4.pith"))) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory");
    }
    *path = room->data;
    if (room->size == 0 || access(*path, R_OK) != 0) {
        return pith_fail(
            error, PITH_ERROR_ARGUMENT,
            "MODEL.pith is missing, and the storyteller is not where pith is installed");
    }
    return PITH_OK;
}

static pith_status open_model(chat *c, pith_error *error) {
    const chat_settings *settings = c->settings;
    pith_bytes room;
    pith_bytes_init(&room, &pith_malloc_allocator);
    const char *path;
    pith_status status = find_model(c, &room, &path, error);
    if (status == PITH_OK) {
        status = pith_cli_open_decoder(c->cli, &settings->common, path, &c->model, error);
    }
    if (status == PITH_OK) {
        status =
            pith_conversation_open(&c->conversation, c->model, path, &settings->template, error);
    }
    pith_bytes_release(&room);
    return status;
}

static pith_status open_chat(chat *c, pith_error *error) {
    const chat_settings *settings = c->settings;
    pith_status status = open_model(c, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_session_options session_options = {
        .n_context = settings->length.context,
        .n_batch = settings->length.batch,
        .kv_type = (pith_kv_type)settings->common.kv,
    };
    status = pith_session_new(&c->session, c->model, &session_options, error);
    if (status == PITH_OK) {
        status = pith_cli_generation(&settings->sampling, c->model, c->eos, &c->params, error);
    }
    if (status == PITH_OK) {
        pith_conversation_end(&c->conversation, &c->params, c->eos);
    }
    return status == PITH_OK ? pith_chat_input_new(&c->input, error) : status;
}

static int run(pith_cli *cli, const void *arguments) {
    chat c = {.cli = cli, .settings = arguments};
    pith_error error;
    if (!pith_conversation_check(&c.settings->template, &error) ||
        pith_cli_unescape_texts(&c.settings->sampling, &c.settings->system, 1, &error) != PITH_OK) {
        return pith_cli_usage(cli, "%s", error.message);
    }
    pith_bytes_init(&c.answer, &pith_malloc_allocator);
    pith_status status = open_chat(&c, &error);
    if (status == PITH_OK) {
        status = converse(&c, &error);
    }
    bool misnamed = c.model != NULL && !pith_conversation_knows(c.model, &c.settings->template);
    bool missing = c.model == NULL && c.settings->model == NULL && status == PITH_ERROR_ARGUMENT;
    int code = status == PITH_OK     ? PITH_EXIT_OK
               : misnamed || missing ? pith_cli_usage(cli, "%s", error.message)
                                     : pith_cli_fail(cli, &error);
    if (code == PITH_EXIT_OK && c.failed && !pith_chat_input_is_terminal(c.input)) {
        code = PITH_EXIT_FAILURE; /* a script should notice */
    }
    pith_chat_input_free(c.input);
    drop_messages(&c, 0);
    free(c.messages);
    pith_bytes_release(&c.answer);
    pith_conversation_close(&c.conversation);
    pith_session_free(c.session);
    pith_model_free(c.model);
    return code;
}

const pith_command pith_command_chat = {
    .name = "chat",
    .summary = "talk with a chat model",
    .description =
        "Reads one message per line and writes the answers to standard output, in the markup the "
        "model was trained with: its own chat template writes it, or the one of --chat-template. "
        "What a message spells is never markup. On a terminal the line can be edited. Lines that "
        "are commands: /reset begins a new conversation, /help lists the commands, /quit ends (so "
        "does Ctrl-D).\n\n"
        "Ctrl-C ends an answer, clears a line, and on an empty line ends the command. A "
        "conversation that no longer fits in the context is refused, never cut.",
    .example = "pith chat\n"
               "pith chat llama2-chat.pith --system 'Answer in one sentence.'\n"
               "pith chat qwen3.pith --template-var enable_thinking=false",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(chat_settings),
    .run = run,
};
