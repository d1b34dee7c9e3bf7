/* Conversations by the model's own template, another one, or a file. */
#include "cli/conversation.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json_write.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "tokenizer/chat_template.h"

const pith_option pith_template_options[] = {
    {.name = "chat-template",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE|NAME",
     .low = 1,
     .help = "write the conversation by the template in FILE, by another one of the model "
             "(\"tool_use\"), or by one that comes with pith: chatml, llama2, llama3, mistral, "
             "mistral-v3, mistral-tekken, mistral-v7, gemma, phi3, zephyr, granite, glm4, ernie, "
             "seed-oss, olmo2",
     .offset = offsetof(pith_template_settings, chat_template)},
    {.name = "template-var",
     .kind = PITH_OPTION_TEXTS,
     .argument = "NAME=VALUE",
     .low = 2,
     .help = "a variable of the template, VALUE being JSON (enable_thinking=false) or else a text; "
             "may be repeated",
     .offset = offsetof(pith_template_settings, variables)},
    {.name = NULL},
};

/* ---- Variables ------------------------------------------------------------------------------- */

/* Writes a value that is JSON as it is, any other as a text. */
static pith_status put_variable(pith_json_writer *json, const char *name, const char *value,
                                pith_error *error) {
    pith_bytes list; /* a document must be an array or an object */
    pith_json root;
    pith_bytes_init(&list, NULL);
    if (!pith_bytes_append_text(&list, "[") || !pith_bytes_append_text(&list, value) ||
        !pith_bytes_append_text(&list, "]")) {
        pith_bytes_release(&list);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory");
    }
    pith_status status = pith_json_read(&root, list.data, list.size, PITH_JSON_PYTHON, name,
                                        &pith_malloc_allocator, error);
    if (status == PITH_OK && pith_json_size(root) == 1) {
        pith_json_put_raw(json, name, value, strlen(value));
    } else if (status != PITH_ERROR_MEMORY) {
        pith_json_put_text(json, name, value);
        status = PITH_OK;
    }
    pith_bytes_release(&list);
    return status;
}

bool pith_conversation_check(const pith_template_settings *settings, pith_error *error) {
    for (size_t i = 0; i < settings->variables.n; i++) {
        const char *text = settings->variables.items[i];
        const char *equal = strchr(text, '=');
        if (equal == NULL || equal == text) {
            pith_fail(error, PITH_ERROR_ARGUMENT, "--template-var %.60s: NAME=VALUE is expected",
                      text);
            return false;
        }
    }
    return true;
}

static pith_status write_variables(const pith_texts *texts, char **out, size_t *n,
                                   pith_error *error) {
    pith_json_writer json;
    pith_status status = PITH_OK;
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    for (size_t i = 0; status == PITH_OK && i < texts->n; i++) {
        const char *text = texts->items[i];
        const char *equal = strchr(text, '=');
        char *name = strndup(text, (size_t)(equal - text)); /* pith_conversation_check found it */
        if (name == NULL) {
            status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory");
        } else {
            status = put_variable(&json, name, equal + 1, error);
        }
        free(name);
    }
    pith_json_close(&json, '}');
    if (status == PITH_OK) {
        status = pith_json_write_end(&json, "--template-var", error);
    }
    if (status != PITH_OK) {
        pith_bytes_release(&json.bytes);
        return status;
    }
    *out = json.bytes.data;
    *n = json.bytes.size;
    return PITH_OK;
}

/* ---- The template ---------------------------------------------------------------------------- */

static bool is_name(const pith_model_info *info, const char *text) {
    bool found = pith_chat_builtin(text) != NULL ||
                 (strcmp(text, "default") == 0 && info->chat_template != NULL);
    for (size_t i = 0; i < info->n_chat_templates; i++) {
        found = found || strcmp(info->chat_templates[i].name, text) == 0;
    }
    return found;
}

/* True for a text that has no '/' and is not the name of a file. */
static bool is_no_file(const char *chosen) {
    return strchr(chosen, '/') == NULL && access(chosen, F_OK) != 0;
}

bool pith_conversation_knows(const pith_model *model, const pith_template_settings *settings) {
    pith_model_info info;
    pith_model_get_info(model, &info);
    const char *chosen = settings->chat_template;
    return chosen == NULL || is_name(&info, chosen) || !is_no_file(chosen);
}

/* A text that is neither a name nor a file is passed on: the library refuses it and lists the
 * names. */
static pith_status choose_template(pith_conversation *c, const char *chosen, pith_error *error) {
    pith_model_info info;
    pith_model_get_info(c->model, &info);
    if (is_name(&info, chosen) || is_no_file(chosen)) {
        c->options.template_name = chosen;
        return PITH_OK;
    }
    size_t n = 0;
    pith_status status = pith_cli_read(chosen, &c->source, &n, error);
    c->options.template_text = (pith_text){c->source, n};
    return status;
}

/* Local time in seconds since 1970. */
static int64_t local_time(void) {
    time_t now = time(NULL);
    struct tm local;
    return localtime_r(&now, &local) != NULL ? (int64_t)now + local.tm_gmtoff : (int64_t)now;
}

pith_status pith_conversation_open(pith_conversation *out, const pith_model *model,
                                   const char *model_path, const pith_template_settings *settings,
                                   pith_error *error) {
    pith_conversation c = {.model = model, .options.local_time = local_time()};
    pith_model_info info;
    pith_model_get_info(model, &info);
    if (info.chat_format == NULL && settings->chat_template == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: it has no chat template, so it may be no chat model; --chat-template "
                         "gives one (%s), 'pith run' goes without",
                         model_path, pith_chat_builtin_names);
    }
    pith_status status = PITH_OK;
    if (settings->chat_template != NULL) {
        status = choose_template(&c, settings->chat_template, error);
    }
    if (status == PITH_OK && settings->variables.n > 0) {
        size_t n = 0;
        status = write_variables(&settings->variables, &c.variables, &n, error);
        c.options.variables = (pith_text){c.variables, n};
    }
    if (status == PITH_OK) {
        status = pith_chat_end(model, &c.options, &c.end, error);
    }
    if (status != PITH_OK) {
        pith_conversation_close(&c);
        return status;
    }
    *out = c;
    return PITH_OK;
}

void pith_conversation_close(pith_conversation *conversation) {
    free(conversation->source);
    pith_release(&pith_malloc_allocator, conversation->variables);
    *conversation = (pith_conversation){.model = NULL};
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

pith_status pith_conversation_tokens(const pith_conversation *conversation,
                                     const pith_message *messages, size_t n_messages,
                                     int32_t **tokens, size_t *n_tokens, pith_error *error) {
    const pith_conversation *c = conversation;
    pith_status status =
        pith_chat_format(c->model, messages, n_messages, &c->options, NULL, 0, n_tokens, error);
    if (status == PITH_OK) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "the chat template wrote no tokens");
    }
    if (status != PITH_ERROR_CAPACITY) {
        return status;
    }
    int32_t *ids = calloc(*n_tokens, sizeof *ids);
    if (ids == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu tokens", *n_tokens);
    }
    status = pith_chat_format(c->model, messages, n_messages, &c->options, ids, *n_tokens, n_tokens,
                              error);
    if (status != PITH_OK) {
        free(ids);
        return status;
    }
    *tokens = ids;
    return PITH_OK;
}

void pith_conversation_end(const pith_conversation *conversation, pith_generate_params *params,
                           int32_t *eos) {
    if (conversation->end >= 0) {
        eos[params->n_eos++] = conversation->end;
        params->eos = eos;
    }
}
