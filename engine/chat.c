/* The public functions for conversations: which template writes one, and the text and tokens that
 * it gives. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/text.h"
#include "tokenizer/chat_template.h"

/* ---- The template ---------------------------------------------------------------------------- */

/* The template of a name, or NULL. */
static const char *find_template(const pith_model *model, const char *name) {
    if (strcmp(name, "default") == 0 && model->chat_template != NULL) {
        return model->chat_template;
    }
    for (size_t i = 0; i < model->n_chat_templates; i++) {
        if (strcmp(model->chat_templates[i].name, name) == 0) {
            return model->chat_templates[i].text;
        }
    }
    return pith_chat_builtin(name);
}

static pith_status fail_name(const pith_model *model, const char *name, pith_error *error) {
    char own[200] = "";
    for (size_t i = 0; i < model->n_chat_templates; i++) {
        size_t n = strlen(own);
        snprintf(own + n, sizeof own - n, "%s, ", model->chat_templates[i].name);
    }
    return pith_fail(error, PITH_ERROR_ARGUMENT,
                     "no chat template is called \"%.60s\": the model has %s%s, pith %s", name, own,
                     model->chat_template != NULL ? "default" : "none of its own",
                     pith_chat_builtin_names);
}

/* True when the variables have a list of tools that is not empty. Variables that are not JSON pass
 * here: rendering rejects them. */
static pith_status has_tools(const pith_model *model, pith_text variables, bool *out,
                             pith_error *error) {
    pith_json root = {NULL};
    char *copy = NULL;
    pith_error ignored;
    *out = false;
    if (variables.n_bytes == 0) {
        return PITH_OK;
    }
    pith_status status =
        pith_json_read_copy(&root, &copy, variables.data, variables.n_bytes, PITH_JSON_PYTHON,
                            "variables", &model->allocator, &ignored);
    if (status == PITH_OK) {
        *out = pith_json_size(pith_json_get(root, "tools")) > 0;
    }
    pith_release(&model->allocator, copy);
    return status == PITH_ERROR_MEMORY
               ? pith_fail(error, status, "no memory for the chat template's variables")
               : PITH_OK;
}

/* *source is empty where the model has no template. */
static pith_status choose_template(const pith_model *model, const pith_chat_options *options,
                                   pith_text *source, pith_error *error) {
    static const char for_tools[] = "tool_use";
    const char *found = model->chat_template;
    if (options->template_text.data != NULL && options->template_name != NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "a chat template by name and another as text");
    }
    if (options->template_text.data != NULL) {
        *source = options->template_text;
        return PITH_OK;
    }
    if (options->template_name != NULL) {
        found = find_template(model, options->template_name);
        if (found == NULL) {
            return fail_name(model, options->template_name, error);
        }
    } else if (model->n_chat_templates > 0 && find_template(model, for_tools) != NULL) {
        bool tools;
        pith_status status = has_tools(model, options->variables, &tools, error);
        if (status != PITH_OK) {
            return status;
        }
        found = tools || found == NULL ? find_template(model, for_tools) : found;
    }
    *source = pith_text_of(found);
    return PITH_OK;
}

/* ---- The clock ------------------------------------------------------------------------------- */

/* A day as a date of the Gregorian calendar, counted in eras of 400 years that begin in March
 * (Hinnant 2013, "chrono-Compatible Low-Level Date Algorithms"). The C library's functions would
 * read the environment. */
static void split_day(int64_t days_since_1970, pith_template_time *out) {
    enum { DAYS_BEFORE_1970 = 719468, ERA = 146097 };
    int64_t days = days_since_1970 + DAYS_BEFORE_1970;
    int64_t era = (days >= 0 ? days : days - (ERA - 1)) / ERA;
    int64_t day_of_era = days - era * ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA - 1)) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */
    out->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = (int)(year_of_era + era * 400 + (out->month <= 2));
}

static pith_status read_clock(int64_t local_time, pith_template_time *out, pith_error *error) {
    enum { DAY = 24 * 60 * 60 };
    const int64_t first = -62135596800; /* 0001-01-01, as far as Python's dates go */
    const int64_t last = 253402300799;  /* 9999-12-31 */
    struct timespec now = {.tv_sec = local_time};
    if (local_time == 0) {
        clock_gettime(CLOCK_REALTIME, &now);
    }
    if (now.tv_sec < first || now.tv_sec > last) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "local_time is beyond the years 1 to 9999");
    }
    int64_t days = now.tv_sec / DAY - (now.tv_sec % DAY < 0);
    int second = (int)(now.tv_sec - days * DAY);
    split_day(days, out);
    out->hour = second / 3600;
    out->minute = second / 60 % 60;
    out->second = second % 60;
    out->micros = (int)(now.tv_nsec / 1000);
    return PITH_OK;
}

/* ---- Rendering ------------------------------------------------------------------------------- */

static bool is_null(pith_text text) {
    return text.data == NULL && text.n_bytes != 0;
}

/* Fills *input. Its source stays empty for a model whose conversations are written without one. */
static pith_status prepare(const pith_model *model, const pith_message *messages, size_t n_messages,
                           const pith_chat_options *options, pith_chat_input *input,
                           pith_error *error) {
    static const pith_chat_options defaults = {.template_name = NULL};
    options = options != NULL ? options : &defaults;
    pith_status status = pith_need_tokenizer(model, error);
    if (status != PITH_OK) {
        return status;
    }
    if ((messages == NULL && n_messages != 0) || is_null(options->variables) ||
        is_null(options->template_text)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "a chat: null argument");
    }
    *input = (pith_chat_input){
        .messages = messages,
        .n_messages = n_messages,
        .variables = options->variables,
        .no_generation_prompt = options->no_generation_prompt,
    };
    status = choose_template(model, options, &input->source, error);
    return status == PITH_OK ? read_clock(options->local_time, &input->now, error) : status;
}

/* True when the conversation is written as Meta's reference code for its chat models does, without
 * a template: the checkpoint has none, or one that writes the same text. */
static bool is_written_by_reference(const pith_model *model, const pith_chat_input *input) {
    bool own = input->source.data == model->chat_template;
    return own && input->n_messages > 0 && !input->no_generation_prompt &&
           model->chat_format != NULL && strcmp(model->chat_format, pith_chat_reference) == 0;
}

/* Sets the template that writes the same markup, for messages that have more than a role and a
 * content. Fails for a model that has no template at all. */
static pith_status need_template(const pith_model *model, pith_chat_input *input,
                                 pith_error *error) {
    if (input->source.data != NULL) {
        return PITH_OK;
    }
    if (model->chat_format == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model has no chat template; those that come with pith are %s",
                         pith_chat_builtin_names);
    }
    input->source = pith_text_of(pith_chat_builtin(pith_chat_reference));
    return PITH_OK;
}

pith_status pith_chat_format(const pith_model *model, const pith_message *messages,
                             size_t n_messages, const pith_chat_options *options, int32_t *tokens,
                             size_t capacity, size_t *n_tokens, pith_error *error) {
    pith_chat_input input;
    pith_status status = prepare(model, messages, n_messages, options, &input, error);
    if (status != PITH_OK) {
        return status;
    }
    if (n_tokens == NULL || (tokens == NULL && capacity != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_chat_format: null argument");
    }
    pith_tokens found;
    pith_tokens_init(&found, &model->allocator);
    if (is_written_by_reference(model, &input)) {
        status = pith_chat_encode(model->tokenizer, model->chat_format, messages, n_messages,
                                  &found, error);
    } else {
        status = need_template(model, &input, error);
        if (status == PITH_OK) {
            status = pith_chat_render_tokens(model->tokenizer, &input, &found, error);
        }
    }
    if (status == PITH_OK) {
        status = pith_give_tokens(&found, tokens, capacity, n_tokens, error);
    }
    pith_tokens_release(&found);
    return status;
}

pith_status pith_chat_text(const pith_model *model, const pith_message *messages, size_t n_messages,
                           const pith_chat_options *options, char *text, size_t capacity,
                           size_t *n_bytes, pith_error *error) {
    pith_chat_input input;
    pith_template_output out;
    pith_status status = prepare(model, messages, n_messages, options, &input, error);
    if (status != PITH_OK) {
        return status;
    }
    if (n_bytes == NULL || (text == NULL && capacity != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_chat_text: null argument");
    }
    status = need_template(model, &input, error);
    if (status == PITH_OK) {
        status = pith_chat_render(model->tokenizer, &input, &out, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    size_t n = out.text.size;
    if (n > 0 && capacity > 0) {
        memcpy(text, out.text.data, n < capacity ? n : capacity);
    }
    pith_template_output_release(&out);
    *n_bytes = n;
    return n <= capacity ? PITH_OK
                         : pith_fail(error, PITH_ERROR_CAPACITY,
                                     "%zu bytes do not fit in a buffer of %zu", n, capacity);
}

pith_status pith_chat_end(const pith_model *model, const pith_chat_options *options, int32_t *token,
                          pith_error *error) {
    pith_chat_input input;
    pith_status status = prepare(model, NULL, 0, options, &input, error);
    if (status == PITH_OK && token == NULL) {
        status = pith_fail(error, PITH_ERROR_ARGUMENT, "pith_chat_end: null argument");
    }
    if (status == PITH_OK) {
        status = need_template(model, &input, error);
    }
    return status == PITH_OK ? pith_chat_find_end(model->tokenizer, &input, token, error) : status;
}
