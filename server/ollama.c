/* The parts of ollama's protocol about models: lists, details, and what this service does not
 * support. Its generations and embeddings are those of generation.c and embedding.c. */
#include <stdio.h>
#include <string.h>

#include "server/answer_parts.h"
#include "server/reply_parts.h"
#include "server/service.h"

/* Models stay loaded as long as there is memory: a time that no clock reaches. */
#define NO_END "9999-12-31T23:59:59Z"

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* ollama's names have a tag, and without one it is "latest". */
static void put_name(pith_json_writer *json, const char *key, const char *name) {
    char tagged[300];
    bool has_tag = strchr(name, ':') != NULL;
    snprintf(tagged, sizeof tagged, "%s%s", name, has_tag ? "" : ":latest");
    pith_json_put_text(json, key, tagged);
}

/* "13.0B", "960.0K": as ollama writes it. */
static void put_size(pith_json_writer *json, const char *key, size_t n_params) {
    char text[32] = "";
    double n = (double)n_params;
    if (n >= 1e9) {
        snprintf(text, sizeof text, "%.1fB", n / 1e9);
    } else if (n >= 1e6) {
        snprintf(text, sizeof text, "%.1fM", n / 1e6);
    } else {
        snprintf(text, sizeof text, "%.1fK", n / 1e3);
    }
    pith_json_put_text(json, key, text);
}

/* What is not known before the model is loaded is empty. */
static void put_details(pith_json_writer *json, const pith_model_info *info) {
    const char *family = info != NULL ? info->architecture : "";
    pith_json_open(json, "details", '{');
    pith_json_put_text(json, "parent_model", "");
    pith_json_put_text(json, "format", "pith");
    pith_json_put_text(json, "family", family);
    pith_json_open(json, "families", '[');
    if (info != NULL) {
        pith_json_put_text(json, NULL, family);
    }
    pith_json_close(json, ']');
    if (info != NULL) {
        put_size(json, "parameter_size", info->n_params);
    } else {
        pith_json_put_text(json, "parameter_size", "");
    }
    pith_json_put_text(json, "quantization_level", info != NULL ? info->type : "");
    pith_json_close(json, '}');
}

static void put_entry(pith_json_writer *json, const pith_model_entry *entry) {
    put_name(json, "name", entry->name);
    put_name(json, "model", entry->name);
    pith_json_put_integer(json, "size", (int64_t)entry->bytes);
    pith_json_put_text(json, "digest", entry->stamp);
    put_details(json, entry->info);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static void put_tag(void *user, const pith_model_entry *entry) {
    pith_json_writer *json = user;
    pith_json_open(json, NULL, '{');
    put_entry(json, entry);
    pith_put_time(json, "modified_at", entry->created, 0);
    pith_json_close(json, '}');
}

static void put_running(void *user, const pith_model_entry *entry) {
    pith_json_writer *json = user;
    if (!entry->loaded || entry->alias_of != NULL) {
        return;
    }
    pith_json_open(json, NULL, '{');
    put_entry(json, entry);
    pith_json_put_text(json, "expires_at", NO_END);
    pith_json_put_integer(json, "size_vram", 0);
    pith_json_put_integer(json, "context_length", (int64_t)entry->info->n_context);
    pith_json_close(json, '}');
}

static void answer_list(pith_call *call, void (*put)(void *user, const pith_model_entry *entry)) {
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    pith_json_open(&json, "models", '[');
    pith_models_each(call->service->models, put, &json);
    pith_json_close(&json, ']');
    pith_json_close(&json, '}');
    pith_call_answer(call, &json);
}

void pith_handle_ollama_tags(pith_call *call) {
    answer_list(call, put_tag);
}

void pith_handle_ollama_ps(pith_call *call) {
    answer_list(call, put_running);
}

/* ---- Details --------------------------------------------------------------------------------- */

static void put_fact(pith_json_writer *json, const pith_model_info *info, const char *name,
                     size_t value) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", info->architecture, name);
    pith_json_put_integer(json, key, (int64_t)value);
}

static void put_facts(pith_json_writer *json, const pith_model_info *info) {
    pith_json_open(json, "model_info", '{');
    pith_json_put_text(json, "general.architecture", info->architecture);
    pith_json_put_integer(json, "general.parameter_count", (int64_t)info->n_params);
    put_fact(json, info, "context_length", info->n_context);
    put_fact(json, info, "embedding_length", info->n_embd);
    put_fact(json, info, "block_count", info->n_layers);
    put_fact(json, info, "vocab_size", info->n_vocab);
    pith_json_close(json, '}');
}

static void put_capabilities(pith_json_writer *json, const pith_lease *lease) {
    const pith_model_info *info = &lease->info;
    const char *template = info->chat_template != NULL ? info->chat_template : "";
    pith_json_open(json, "capabilities", '[');
    pith_json_put_text(json, NULL, info->is_encoder ? "embedding" : "completion");
    if (lease->calling != NULL && lease->calling->form != PITH_CALLS_NONE) {
        pith_json_put_text(json, NULL, "tools");
    }
    if (info->has_infill) {
        pith_json_put_text(json, NULL, "insert");
    }
    if (strstr(template, PITH_THINK_MARK) != NULL || strstr(template, "enable_thinking") != NULL) {
        pith_json_put_text(json, NULL, "thinking");
    }
    pith_json_close(json, ']');
}

static void answer_show(pith_call *call, const pith_lease *lease) {
    const char *template = lease->info.chat_template;
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    pith_json_put_text(&json, "license", "");
    pith_json_put_text(&json, "modelfile", "");
    pith_json_put_text(&json, "parameters", "");
    pith_json_put_text(&json, "template", template != NULL ? template : "");
    put_details(&json, &lease->info);
    put_facts(&json, &lease->info);
    put_capabilities(&json, lease);
    pith_put_time(&json, "modified_at", lease->created, 0);
    pith_json_close(&json, '}');
    pith_call_answer(call, &json);
}

void pith_handle_ollama_show(pith_call *call) {
    pith_problem problem = {.http = 0};
    pith_request request;
    pith_lease lease;
    if (!pith_request_parse(&request, PITH_ENDPOINT_OLLAMA_SHOW, call->x->body, call->x->n_body,
                            &problem)) {
        pith_call_refuse(call, &problem);
        return;
    }
    if (pith_call_lease(call, request.model, PITH_MODEL_ANY, &lease, &problem)) {
        answer_show(call, &lease);
        pith_call_return(call, &lease, false);
    }
    pith_call_refuse(call, &problem);
    pith_request_release(&request);
}

/* ---- The rest -------------------------------------------------------------------------------- */

void pith_handle_ollama_version(pith_call *call) {
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    pith_json_put_text(&json, "version", PITH_VERSION);
    pith_json_close(&json, '}');
    pith_call_answer(call, &json);
}

void pith_handle_ollama_refusal(pith_call *call) {
    pith_problem problem = {.http = 0};
    pith_problem_set(&problem, 400, NULL, NULL,
                     "%s is not supported: the models of this service are the files of its models "
                     "directory",
                     call->route->path);
    pith_exchange_answer_problem(call->x, &problem);
}
