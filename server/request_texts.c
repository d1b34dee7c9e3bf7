/* The texts of a request: conversations, prompts, texts to embed, token ids. */
#include "server/request_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- Conversations --------------------------------------------------------------------------- */

/* One message on its way. */
typedef struct message_parts {
    pith_json role, content;
    const char *refused; /* a member that is not supported and not empty */
    pith_json refused_value;
} message_parts;

static message_parts split_message(pith_json message) {
    static const char *const refused[] = {"tool_calls", "function_call", "audio"};
    message_parts parts = {.refused = NULL};
    pith_json_walk walk = pith_json_begin(message);
    while (pith_json_next(&walk)) {
        if (pith_json_is_none(walk.value)) {
            continue;
        }
        if (walk.key_size == 4 && memcmp(walk.key, "role", 4) == 0) {
            parts.role = walk.value;
        } else if (walk.key_size == 7 && memcmp(walk.key, "content", 7) == 0) {
            parts.content = walk.value;
        }
        for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
            bool is_empty_list =
                pith_json_is(walk.value, PITH_JSON_ARRAY) && pith_json_size(walk.value) == 0;
            if (!is_empty_list && walk.key_size == strlen(refused[i]) &&
                memcmp(walk.key, refused[i], walk.key_size) == 0) {
                parts.refused = refused[i];
                parts.refused_value = walk.value;
            }
        }
    }
    return parts;
}

static bool read_role(pith_draft *draft, const char *path, pith_json role, const char **out) {
    static const struct {
        const char *name, *meaning;
    } roles[] = {{"system", "system"},
                 {"developer", "system"},
                 {"user", "user"},
                 {"assistant", "assistant"}};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (pith_json_is_text(role, roles[i].name)) {
            *out = roles[i].meaning;
            return true;
        }
    }
    if (pith_json_is_text(role, "tool") || pith_json_is_text(role, "function")) {
        return pith_draft_fail(draft, path, "%s is \"%s\": tools are not supported", path,
                               pith_json_text(role));
    }
    if (pith_json_is(role, PITH_JSON_STRING)) {
        return pith_draft_fail(draft, path,
                               "%s is \"%.40s\", not one of system, developer, user and assistant",
                               path, pith_json_text(role));
    }
    return pith_draft_fail_type(draft, path, "a string", role);
}

/* The text of one element of an array of parts. */
static bool read_part(pith_draft *draft, const char *path, pith_json part, pith_text *out) {
    char member[PITH_REQUEST_PATH];
    if (!pith_json_is(part, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, path, "an object with type and text", part);
    }
    pith_json type = pith_json_get(part, "type");
    pith_json text = pith_json_get(part, "text");
    if (pith_json_is_text(type, "refusal")) {
        text = pith_json_get(part, "refusal"); /* an earlier answer that a client sends back */
    } else if (!pith_json_is_text(type, "text")) {
        pith_path_member(member, path, "type");
        if (!pith_json_is(type, PITH_JSON_STRING)) {
            return pith_draft_fail_type(draft, member, "a string", type);
        }
        return pith_draft_fail(draft, member,
                               "%s is \"%.40s\": parts other than text are not supported", member,
                               pith_json_text(type));
    }
    pith_path_member(member, path, "text");
    return pith_read_text(draft, member, text, out);
}

/* Joins the texts of parts with newlines, as other servers do. */
static bool join_parts(pith_draft *draft, const char *path, pith_json parts, pith_text *out) {
    char element[PITH_REQUEST_PATH];
    pith_text text = {"", 0};
    size_t n_bytes = 0;
    size_t i = 0;
    for (pith_json_walk walk = pith_json_begin(parts); pith_json_next(&walk); i++) {
        pith_path_element(element, path, i);
        if (!read_part(draft, element, walk.value, &text)) {
            return false;
        }
        n_bytes += text.n_bytes + 1; /* far below SIZE_MAX: all of it lies in the body */
    }
    if (i <= 1) {
        *out = text;
        return true;
    }
    char *joined = pith_draft_take(draft, n_bytes, 1);
    if (joined == NULL) {
        return false;
    }
    size_t at = 0;
    for (pith_json_walk walk = pith_json_begin(parts); pith_json_next(&walk);) {
        if (!read_part(draft, path, walk.value, &text)) {
            return false; /* cannot be: the first walk read it */
        }
        memcpy(joined + at, text.data, text.n_bytes);
        at += text.n_bytes;
        joined[at++] = '\n';
    }
    *out = (pith_text){joined, at - 1};
    return true;
}

static bool read_content(pith_draft *draft, const char *path, pith_json content, const char *role,
                         pith_text *out) {
    switch (pith_json_kind_of(content)) {
    case PITH_JSON_STRING:
        return pith_read_text(draft, path, content, out);
    case PITH_JSON_ARRAY:
        return join_parts(draft, path, content, out);
    case PITH_JSON_ABSENT: /* or null, see split_message */
        if (strcmp(role, "assistant") == 0) {
            *out = (pith_text){"", 0};
            return true;
        }
        return pith_draft_fail(draft, path, "%s is missing", path);
    default:
        return pith_draft_fail_type(draft, path, "a string or an array of parts", content);
    }
}

static bool read_message(pith_draft *draft, const char *path, pith_json value, pith_message *out) {
    char member[PITH_REQUEST_PATH];
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, path, "an object with role and content", value);
    }
    message_parts parts = split_message(value);
    pith_path_member(member, path, "role");
    if (pith_json_is_none(parts.role)) {
        return pith_draft_fail(draft, member, "%s is missing", member);
    }
    if (!read_role(draft, member, parts.role, &out->role)) {
        return false;
    }
    if (parts.refused != NULL) {
        pith_path_member(member, path, parts.refused);
        return pith_draft_fail(draft, member, "%s is not supported", member);
    }
    pith_path_member(member, path, "content");
    return read_content(draft, member, parts.content, out->role, &out->content);
}

/* Some clients end a conversation with the empty answer that they are waiting for. */
static void drop_empty_answers(const pith_message *messages, size_t *n) {
    while (*n > 0 && strcmp(messages[*n - 1].role, "assistant") == 0 &&
           messages[*n - 1].content.n_bytes == 0) {
        --*n;
    }
}

bool pith_rule_messages(pith_draft *draft, const pith_rule *rule, const char *path,
                        pith_json value) {
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_ARRAY)) {
        return pith_draft_fail_type(draft, path, "an array of messages", value);
    }
    size_t n = pith_json_size(value);
    if (n > PITH_REQUEST_MAX_MESSAGES) {
        return pith_draft_fail(draft, path, "%s has %zu messages, at most %d are allowed", path, n,
                               PITH_REQUEST_MAX_MESSAGES);
    }
    pith_message *messages = pith_draft_take(draft, n, sizeof *messages);
    if (messages == NULL) {
        return false;
    }
    pith_json_walk walk = pith_json_begin(value);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        char element[PITH_REQUEST_PATH];
        pith_path_element(element, path, i);
        if (!read_message(draft, element, walk.value, &messages[i])) {
            return false;
        }
    }
    drop_empty_answers(messages, &n);
    if (n == 0) {
        return pith_draft_fail(draft, path, "%s must hold at least one message with a text", path);
    }
    if (strcmp(messages[n - 1].role, "assistant") == 0) {
        return pith_draft_fail(draft, path,
                               "%s ends with a message of the assistant: continuing an answer is "
                               "not supported, the last message must be the user's",
                               path);
    }
    draft->request.messages = messages;
    draft->request.n_messages = n;
    return true;
}

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
    bool is_list = pith_json_is(value, PITH_JSON_ARRAY);
    size_t n = is_list ? pith_json_size(value) : 1;
    if (!is_list && !pith_json_is(value, PITH_JSON_STRING)) {
        return pith_draft_fail_type(draft, path, "a string or an array of strings", value);
    }
    if (is_list && pith_json_is(pith_json_at(value, 0), PITH_JSON_NUMBER)) {
        return refuse_ids(draft, path); /* before they are counted as texts */
    }
    if (n == 0 || n > PITH_REQUEST_MAX_INPUTS) {
        return pith_draft_fail(draft, path, "%s has %zu texts, 1 to %d are allowed", path, n,
                               PITH_REQUEST_MAX_INPUTS);
    }
    pith_embed_input *inputs = pith_draft_take(draft, n, sizeof *inputs);
    if (inputs == NULL) {
        return false;
    }
    pith_json_walk walk = pith_json_begin(value);
    for (size_t i = 0; is_list && pith_json_next(&walk); i++) {
        char element[PITH_REQUEST_PATH];
        pith_path_element(element, path, i);
        if (pith_json_is(walk.value, PITH_JSON_NUMBER) ||
            pith_json_is(walk.value, PITH_JSON_ARRAY)) {
            return refuse_ids(draft, path);
        }
        if (!pith_read_text(draft, element, walk.value, &inputs[i].text)) {
            return false;
        }
    }
    if (!is_list && !pith_read_text(draft, path, value, &inputs[0].text)) {
        return false;
    }
    draft->request.inputs = inputs;
    draft->request.n_inputs = n;
    return true;
}
