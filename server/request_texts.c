/* The texts of a request: prompts, texts to embed, token ids. request_chat.c has conversations. */
#include "server/request_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- Prompts --------------------------------------------------------------------------------- */

static bool read_prompt(pith_draft *draft, const char *path, pith_json value,
                        pith_request_prompt *out) {
    if (!pith_json_is(value, PITH_JSON_ARRAY)) {
        return pith_read_text(draft, path, value, &out->text);
    }
    if (pith_json_size(value) == 0) {
        return pith_draft_fail(draft, path, "%s has no token ids", path);
    }
    return pith_read_tokens(draft, path, value, PITH_REQUEST_MAX_TOKENS, &out->tokens,
                            &out->n_tokens);
}

/* An array of texts, or of arrays of ids. */
static bool read_prompts(pith_draft *draft, const char *path, pith_json value,
                         pith_request_prompt *prompts) {
    pith_json_kind kind = PITH_JSON_ABSENT;
    pith_json_walk walk = pith_json_begin(value);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        char element[PITH_REQUEST_PATH];
        pith_path_element(element, path, i);
        if (i == 0) {
            kind = pith_json_kind_of(walk.value);
        }
        if (pith_json_kind_of(walk.value) != kind ||
            (kind != PITH_JSON_STRING && kind != PITH_JSON_ARRAY)) {
            const char *wanted = kind == PITH_JSON_STRING  ? "a string, as the first one is"
                                 : kind == PITH_JSON_ARRAY ? "an array, as the first one is"
                                                           : "a string, a token id or an array";
            return pith_draft_fail_type(draft, element, wanted, walk.value);
        }
        if (!read_prompt(draft, element, walk.value, &prompts[i])) {
            return false;
        }
    }
    return true;
}

bool pith_rule_prompt(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    (void)rule;
    bool is_list = pith_json_is(value, PITH_JSON_ARRAY);
    size_t n = is_list ? pith_json_size(value) : 1;
    if (!is_list && !pith_json_is(value, PITH_JSON_STRING)) {
        return pith_draft_fail_type(draft, path, "a string or an array", value);
    }
    if (n == 0) {
        return pith_draft_fail(draft, path, "%s must hold at least one prompt", path);
    }
    bool is_single = !is_list || pith_json_is(pith_json_at(value, 0), PITH_JSON_NUMBER);
    n = is_single ? 1 : n;
    if (n > PITH_REQUEST_MAX_CHOICES) {
        return pith_draft_fail(draft, path, "%s has %zu prompts, at most %d are allowed", path, n,
                               PITH_REQUEST_MAX_CHOICES);
    }
    pith_request_prompt *prompts = pith_draft_take(draft, n, sizeof *prompts);
    if (prompts == NULL || !(is_single ? read_prompt(draft, path, value, prompts)
                                       : read_prompts(draft, path, value, prompts))) {
        return false;
    }
    draft->request.prompts = prompts;
    draft->request.n_prompts = n;
    return true;
}

bool pith_rule_text_prompt(pith_draft *draft, const pith_rule *rule, const char *path,
                           pith_json value) {
    (void)rule;
    pith_request_prompt *prompt = pith_draft_take(draft, 1, sizeof *prompt);
    if (prompt == NULL || !pith_read_text(draft, path, value, &prompt->text)) {
        return false;
    }
    draft->request.prompts = prompt;
    draft->request.n_prompts = 1;
    return true;
}

bool pith_rule_token_ids(pith_draft *draft, const pith_rule *rule, const char *path,
                         pith_json value) {
    (void)rule;
    pith_request_prompt *prompt = pith_draft_take(draft, 1, sizeof *prompt);
    if (prompt == NULL || !pith_read_tokens(draft, path, value, PITH_REQUEST_MAX_TOKENS,
                                            &prompt->tokens, &prompt->n_tokens)) {
        return false;
    }
    draft->request.prompts = prompt;
    draft->request.n_prompts = 1;
    return true;
}

/* ---- Lists of texts -------------------------------------------------------------------------- */

typedef bool (*text_reader)(pith_draft *draft, const char *path, pith_json value, pith_text *out);

/* Keeps the texts of an array, or of a value that is a text itself, as `read` reads them. */
static bool keep_inputs(pith_draft *draft, const char *path, pith_json value, text_reader read) {
    bool is_list = pith_json_is(value, PITH_JSON_ARRAY);
    size_t n = is_list ? pith_json_size(value) : 1;
    if (n == 0 || n > PITH_REQUEST_MAX_INPUTS) {
        return pith_draft_fail(draft, path, "%s has %zu texts, 1 to %d are allowed", path, n,
                               PITH_REQUEST_MAX_INPUTS);
    }
    pith_embed_input *inputs = pith_draft_take(draft, n, sizeof *inputs);
    if (inputs == NULL) {
        return false;
    }
    pith_json_walk walk = pith_json_begin(value);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        char element[PITH_REQUEST_PATH];
        pith_path_element(element, path, i);
        if (!read(draft, element, walk.value, &inputs[i].text)) {
            return false;
        }
    }
    if (!is_list && !read(draft, path, value, &inputs[0].text)) {
        return false;
    }
    draft->request.inputs = inputs;
    draft->request.n_inputs = n;
    return true;
}

/* ---- Texts to embed -------------------------------------------------------------------------- */

/* LangChain's OpenAIEmbeddings sends ids of OpenAI's own tokenizer, which mean other words here. */
static bool refuse_ids(pith_draft *draft, const char *path) {
    return pith_draft_fail(draft, path,
                           "%s must be a string or an array of strings, not token ids: the ids of "
                           "another tokenizer would be embedded as other words. With LangChain's "
                           "OpenAIEmbeddings set check_embedding_ctx_length=False",
                           path);
}

bool pith_rule_inputs(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_ARRAY) && !pith_json_is(value, PITH_JSON_STRING)) {
        return pith_draft_fail_type(draft, path, "a string or an array of strings", value);
    }
    pith_json_walk walk = pith_json_begin(value);
    while (pith_json_next(&walk)) { /* before they are counted as texts */
        if (pith_json_is(walk.value, PITH_JSON_NUMBER) ||
            pith_json_is(walk.value, PITH_JSON_ARRAY)) {
            return refuse_ids(draft, path);
        }
    }
    return keep_inputs(draft, path, value, pith_read_text);
}

/* ---- Documents of a reranking ---------------------------------------------------------------- */

/* A string, or Cohere's and Jina's object with a text. */
static bool read_document(pith_draft *draft, const char *path, pith_json value, pith_text *out) {
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_json_is(value, PITH_JSON_STRING)
                   ? pith_read_text(draft, path, value, out)
                   : pith_draft_fail_type(draft, path, "a string or an object with a text", value);
    }
    char member[PITH_REQUEST_PATH];
    pith_path_member(member, path, "text");
    return pith_read_text(draft, member, pith_json_get(value, "text"), out);
}

bool pith_rule_documents(pith_draft *draft, const pith_rule *rule, const char *path,
                         pith_json value) {
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_ARRAY)) {
        return pith_draft_fail_type(draft, path, "an array of strings", value);
    }
    return keep_inputs(draft, path, value, read_document);
}
