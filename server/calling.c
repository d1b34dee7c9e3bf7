/* How a model writes calls of tools: its chat template is asked to render one. */
#include "server/calling.h"

#include "server/reply_parts.h"
#include "server/token_texts.h"

#include <stdlib.h>
#include <string.h>

/* ---- Forms ----------------------------------------------------------------------------------- */

#define PROBE_NAME "probe_tool"

/* A conversation with a call. The id has the nine letters that Mistral's templates ask for. */
static const char probe[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"Question\"}, {\"role\": \"assistant\", "
    "\"content\": \"\", \"tool_calls\": [{\"id\": \"abcdefghi\", \"type\": \"function\", "
    "\"function\": {\"name\": \"" PROBE_NAME "\", \"arguments\": {\"key\": \"value\"}}}]}], "
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"described_tool\", "
    "\"description\": \"Text.\", \"parameters\": {\"type\": \"object\", \"properties\": {\"key\": "
    "{\"type\": \"string\", \"description\": \"Text.\"}}, \"required\": [\"key\"]}}}]}";

static bool ends_with(const char *text, size_t *n, const char *ending) {
    size_t m = strlen(ending);
    if (*n < m || memcmp(text + *n - m, ending, m) != 0) {
        return false;
    }
    *n -= m;
    return true;
}

/* True when text [n] ends with {"name": " and perhaps white space, which is removed. */
static bool ends_with_object(const char *text, size_t *n) {
    if (!ends_with(text, n, "\"")) {
        return false;
    }
    *n = pith_reply_without_space(text, *n);
    if (!ends_with(text, n, ":")) {
        return false;
    }
    *n = pith_reply_without_space(text, *n);
    bool good = ends_with(text, n, "\"name\"");
    *n = pith_reply_without_space(text, *n);
    good = good && ends_with(text, n, "{");
    *n = pith_reply_without_space(text, *n);
    return good;
}

static pith_text last_name(const char *text, size_t n) {
    static const char name[] = PROBE_NAME;
    pith_text found = {NULL, 0};
    for (const char *at = text; at != NULL && n > 0;) {
        at = memmem(at, n - (size_t)(at - text), name, sizeof name - 1);
        if (at != NULL) {
            found = (pith_text){at, sizeof name - 1};
            at++;
        }
    }
    return found;
}

static bool begins_with(const char *text, size_t n, const char *beginning) {
    size_t m = strlen(beginning);
    return n >= m && memcmp(text, beginning, m) == 0;
}

pith_call_form pith_calling_recognise(const char *text, size_t n, bool *named, pith_text *call) {
    enum { AROUND = 40 };
    pith_text name = last_name(text, n);
    *named = false;
    *call = (pith_text){NULL, 0};
    if (name.data == NULL) {
        return PITH_CALLS_NONE;
    }
    size_t before = (size_t)(name.data - text);
    const char *behind = name.data + name.n_bytes;
    size_t n_behind = n - (size_t)(behind - text);
    size_t from = before < AROUND ? 0 : before - AROUND;
    size_t to = n_behind < AROUND ? n : n - n_behind + AROUND;
    *call = (pith_text){text + from, to - from};
    if (ends_with(text, &before, PITH_MISTRAL_MARK)) {
        *named = true;
        return begins_with(behind, n_behind, PITH_MISTRAL_ARGUMENTS) ||
                       begins_with(behind, n_behind, PITH_MISTRAL_ID)
                   ? PITH_CALLS_MISTRAL
                   : PITH_CALLS_NONE;
    }
    if (!ends_with_object(text, &before)) {
        return PITH_CALLS_NONE;
    }
    if (ends_with(text, &before, PITH_HERMES_MARK)) {
        return PITH_CALLS_HERMES;
    }
    if (begins_with(behind, n_behind, "\", \"parameters\": ")) {
        return PITH_CALLS_LLAMA3;
    }
    if (ends_with(text, &before, "[")) {
        before = pith_reply_without_space(text, before);
        return ends_with(text, &before, PITH_MISTRAL_MARK) ? PITH_CALLS_MISTRAL : PITH_CALLS_NONE;
    }
    return PITH_CALLS_NONE;
}

/* ---- Finding it ------------------------------------------------------------------------------ */

/* Renders a conversation; *text is malloc'ed, NULL when the template refuses it. */
static bool render(const pith_model *model, const pith_chat_options *options, char **text,
                   size_t *n, pith_problem *problem) {
    size_t capacity = 64 << 10;
    pith_status status = PITH_ERROR_CAPACITY;
    pith_error error;
    *text = NULL;
    for (int tries = 0; status == PITH_ERROR_CAPACITY && tries < 2; tries++) {
        free(*text);
        *text = malloc(capacity);
        if (*text == NULL) {
            return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the prompt");
        }
        status = pith_chat_text(model, NULL, 0, options, *text, capacity, n, &error);
        capacity = *n > 0 ? *n : 1;
    }
    if (status == PITH_OK) {
        return true;
    }
    free(*text);
    *text = NULL;
    return status != PITH_ERROR_MEMORY || pith_problem_from(problem, &error);
}

static bool find_form(pith_calling *out, const pith_model *model, pith_problem *problem) {
    const pith_chat_options options = {.variables = {probe, sizeof probe - 1},
                                       .no_generation_prompt = true};
    char *text;
    size_t n = 0;
    if (!render(model, &options, &text, &n, problem)) {
        return false;
    }
    pith_text call = {NULL, 0};
    if (text != NULL) {
        out->form = pith_calling_recognise(text, n, &out->named, &call);
    }
    out->sample = call.data != NULL ? strndup(call.data, call.n_bytes) : NULL;
    free(text);
    return call.data == NULL || out->sample != NULL ||
           pith_problem_set(problem, 503, NULL, NULL, "out of memory for the chat template");
}

/* Finds the token with that spelling, if there is one. */
static bool find_token(const pith_model *model, const char *spelling, int32_t *out) {
    size_t n;
    pith_error error;
    return pith_tokenize(model, pith_text_of(spelling), PITH_TOKENIZE_SPECIAL, out, 1, &n,
                         &error) == PITH_OK &&
           n == 1;
}

/* Marks that may be special tokens, which give no text unless they are asked to. */
static void find_marks(pith_calling *out, const pith_model *model) {
    static const struct {
        pith_call_form form; /* NONE: of all */
        const char *spelling;
    } marks[] = {
        {PITH_CALLS_NONE, PITH_THINK_MARK},      {PITH_CALLS_NONE, PITH_THINK_END},
        {PITH_CALLS_HERMES, PITH_HERMES_MARK},   {PITH_CALLS_HERMES, PITH_HERMES_END},
        {PITH_CALLS_MISTRAL, PITH_MISTRAL_MARK}, {PITH_CALLS_MISTRAL, PITH_MISTRAL_ARGUMENTS},
        {PITH_CALLS_MISTRAL, PITH_MISTRAL_ID},   {PITH_CALLS_LLAMA3, PITH_LLAMA3_MARK},
    };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        bool wanted = marks[i].form == PITH_CALLS_NONE || marks[i].form == out->form;
        if (wanted && find_token(model, marks[i].spelling, &out->shown[out->n_shown])) {
            out->n_shown++;
            out->n_thought += marks[i].form == PITH_CALLS_NONE;
        }
    }
}

bool pith_calling_new(pith_calling **out, const pith_model *model, pith_problem *problem) {
    pith_calling *calling = calloc(1, sizeof *calling);
    if (calling == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the chat template");
    }
    calling->end = -1;
    pthread_mutex_init(&calling->lock, NULL);
    if (!find_form(calling, model, problem)) {
        pith_calling_free(calling);
        return false;
    }
    pith_model_info info;
    pith_error error;
    pith_model_get_info(model, &info);
    if (info.chat_format != NULL && pith_chat_end(model, NULL, &calling->end, &error) != PITH_OK) {
        calling->trouble = error;
    }
    find_marks(calling, model);
    *out = calling;
    return true;
}

void pith_calling_free(pith_calling *calling) {
    if (calling != NULL) {
        pith_token_texts_free(calling->texts);
        pthread_mutex_destroy(&calling->lock);
        free(calling->sample);
        free(calling);
    }
}

bool pith_calling_texts(pith_calling *calling, const pith_model *model,
                        const struct pith_token_texts **out, pith_problem *problem) {
    pith_error error = {.status = PITH_OK};
    pthread_mutex_lock(&calling->lock);
    if (calling->texts == NULL) {
        pith_token_texts_new(&calling->texts, model, calling, &error);
    }
    *out = calling->texts;
    pthread_mutex_unlock(&calling->lock);
    return *out != NULL || pith_problem_from(problem, &error);
}

bool pith_calling_check(const pith_calling *calling, const char *model_name,
                        const pith_request *request, pith_problem *problem) {
    if (calling->trouble.status != PITH_OK) {
        return pith_problem_from(problem, &calling->trouble);
    }
    if (request->n_tools == 0 || calling->form != PITH_CALLS_NONE) {
        return true;
    }
    if (calling->sample == NULL) {
        return pith_problem_set(problem, 400, "tools_unsupported", "tools",
                                "the chat template of model '%.100s' knows no tools", model_name);
    }
    return pith_problem_set(
        problem, 400, "tools_unsupported", "tools",
        "model '%.100s' writes calls of tools in a form that is not supported: its chat template "
        "has ...%s... for one; the forms of Hermes and Qwen (<tool_call>), Mistral ([TOOL_CALLS]) "
        "and Llama 3 are",
        model_name, calling->sample);
}

/* ---- The beginning of a reply ---------------------------------------------------------------- */

/* True when the tokens end with <think>, apart from white space, in one token or several. */
static bool ends_with_think(const pith_model *model, const int32_t *tokens, size_t n_tokens) {
    enum { LOOK = 8, ROOM = 512 };
    char text[ROOM];
    size_t n = 0;
    for (size_t i = n_tokens < LOOK ? 0 : n_tokens - LOOK; i < n_tokens; i++) {
        pith_text piece;
        pith_error error;
        if (pith_token_text(model, tokens[i], &piece, &error) != PITH_OK ||
            piece.n_bytes > ROOM - n) {
            n = 0;
            continue;
        }
        memcpy(text + n, piece.data, piece.n_bytes);
        n += piece.n_bytes;
    }
    for (size_t before = n + 1; before != n;) {
        before = n;
        n = pith_reply_without_space(text, n);
        ends_with(text, &n, "<0x0A>"); /* SentencePiece's line end, and its space */
        ends_with(text, &n, "\xE2\x96\x81");
    }
    return ends_with(text, &n, PITH_THINK_MARK);
}

/* Writes the beginning of a call that the client demands. The part that a grammar controls is left
 * to the model. */
static bool write_opening(const pith_calling *c, const pith_request *r, pith_opening *o) {
    bool strict = r->tool_schemas != NULL;
    const char *name = strict && c->named ? r->tools[0] : NULL; /* there is one alone */
    name = r->forced_tool != NULL ? r->forced_tool : name;
    pith_bytes *text = &o->text;
    bool good = !o->reasons || pith_bytes_append_text(text, PITH_THINK_END "\n\n");
    switch (c->form) {
    case PITH_CALLS_HERMES:
        good = good && pith_bytes_append_text(text, PITH_HERMES_MARK "\n");
        break;
    case PITH_CALLS_MISTRAL:
        good = good && pith_bytes_append_text(text, PITH_MISTRAL_MARK) &&
               (c->named || pith_bytes_append_text(text, "["));
        break;
    default:
        break;
    }
    if (c->named) {
        return good && (name == NULL || (pith_bytes_append_text(text, name) &&
                                         pith_bytes_append_text(text, PITH_MISTRAL_ARGUMENTS)));
    }
    if (strict) {
        return good;
    }
    good = good && pith_bytes_append_text(text, "{\"name\": \"");
    if (name == NULL) {
        return good;
    }
    return good && pith_bytes_append_text(text, name) &&
           pith_bytes_append_text(text, c->form == PITH_CALLS_LLAMA3 ? "\", \"parameters\": "
                                                                     : "\", \"arguments\": ");
}

const char *pith_calling_closing(const pith_calling *calling) {
    return calling->form == PITH_CALLS_HERMES                       ? "\n" PITH_HERMES_END
           : calling->form == PITH_CALLS_MISTRAL && !calling->named ? "]"
                                                                    : "";
}

bool pith_calling_open(const pith_calling *calling, const pith_model *model,
                       const pith_request *request, pith_opening *opening, int32_t **tokens,
                       size_t *n_tokens, pith_problem *problem) {
    opening->reasons = ends_with_think(model, *tokens, *n_tokens);
    if (request->tool_choice != PITH_TOOL_REQUIRED) {
        return true;
    }
    int32_t added[512];
    size_t n;
    pith_error error;
    if (!write_opening(calling, request, opening)) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the prompt");
    }
    const pith_text text = {opening->text.data, opening->text.size};
    if (pith_tokenize(model, text, PITH_TOKENIZE_SPECIAL, added, 512, &n, &error) != PITH_OK) {
        return pith_problem_from(problem, &error);
    }
    int32_t *grown = realloc(*tokens, (*n_tokens + n) * sizeof *grown);
    if (grown == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the prompt");
    }
    memcpy(grown + *n_tokens, added, n * sizeof *added);
    *tokens = grown;
    *n_tokens += n;
    return true;
}
