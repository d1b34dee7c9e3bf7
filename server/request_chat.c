/* Conversations: messages, and what else the model's chat template needs: tools, and the variables
 * of chat_template_kwargs. Everything except plain messages becomes one JSON text. */
#include "server/request_parts.h"

#include "base/json_write.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* ---- Messages -------------------------------------------------------------------------------- */

/* One message while it is read. */
typedef struct message_parts {
    pith_json role, content;
    pith_message_more more;
    const char *refused; /* a member that is not supported and not empty */
} message_parts;

static bool is_empty_list(pith_json value) {
    return pith_json_is(value, PITH_JSON_ARRAY) && pith_json_size(value) == 0;
}

static message_parts split_message(pith_json message) {
    static const char *const refused[] = {"function_call", "audio", "images"};
    message_parts parts = {.refused = NULL};
    pith_json tool_name = {NULL};
    const struct {
        const char *name;
        pith_json *value;
    } members[] = {
        {"role", &parts.role},
        {"content", &parts.content},
        {"name", &parts.more.name},
        {"tool_calls", &parts.more.calls},
        {"tool_call_id", &parts.more.call_id},
        {"tool_name", &tool_name}, /* ollama's */
    };
    pith_json_walk walk = pith_json_begin(message);
    while (pith_json_next(&walk)) {
        bool nothing = pith_json_is_none(walk.value) || is_empty_list(walk.value);
        for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
            bool wanted = i == 1 ? !pith_json_is_none(walk.value) : !nothing;
            if (wanted && walk.key_size == strlen(members[i].name) &&
                memcmp(walk.key, members[i].name, walk.key_size) == 0) {
                *members[i].value = walk.value;
            }
        }
        for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
            if (!nothing && walk.key_size == strlen(refused[i]) &&
                memcmp(walk.key, refused[i], walk.key_size) == 0) {
                parts.refused = refused[i];
            }
        }
    }
    if (parts.more.name.at == NULL) {
        parts.more.name = tool_name;
    }
    return parts;
}

static bool read_role(pith_draft *draft, const char *path, pith_json role, const char **out) {
    static const struct {
        const char *name, *meaning;
    } roles[] = {{"system", "system"},
                 {"developer", "system"},
                 {"user", "user"},
                 {"assistant", "assistant"},
                 {"tool", "tool"}};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (pith_json_is_text(role, roles[i].name)) {
            *out = roles[i].meaning;
            return true;
        }
    }
    if (pith_json_is_text(role, "function")) {
        return pith_draft_fail(draft, path,
                               "%s is \"function\": what a tool answers has the role tool", path);
    }
    if (pith_json_is(role, PITH_JSON_STRING)) {
        return pith_draft_fail(
            draft, path, "%s is \"%.40s\", not one of system, developer, user, assistant and tool",
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
            return false; /* cannot happen: the first walk read it */
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

/* tool_calls of an answer of the assistant that a client sends back. */
static bool check_calls(pith_draft *draft, const char *path, pith_json calls) {
    char element[PITH_REQUEST_PATH];
    char member[PITH_REQUEST_PATH];
    if (!pith_json_is(calls, PITH_JSON_ARRAY)) {
        return pith_draft_fail_type(draft, path, "an array of calls", calls);
    }
    size_t i = 0;
    for (pith_json_walk walk = pith_json_begin(calls); pith_json_next(&walk); i++) {
        pith_json function = pith_json_get(walk.value, "function");
        pith_json name = pith_json_get(function, "name");
        pith_json arguments = pith_json_get(function, "arguments");
        pith_path_element(element, path, i);
        pith_path_member(member, element, "function.name");
        if (!pith_json_is(name, PITH_JSON_STRING)) {
            return pith_draft_fail_type(draft, member, "a string", name);
        }
        pith_path_member(member, element, "function.arguments");
        if (!pith_json_is_none(arguments) && !pith_json_is(arguments, PITH_JSON_STRING) &&
            !pith_json_is(arguments, PITH_JSON_OBJECT)) {
            return pith_draft_fail_type(draft, member, "the text of a JSON object", arguments);
        }
    }
    return true;
}

static bool read_message(pith_draft *draft, const char *path, pith_json value, pith_message *out,
                         pith_message_more *more) {
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
    bool answer = strcmp(out->role, "assistant") == 0;
    pith_path_member(member, path, "tool_calls");
    if (parts.more.calls.at != NULL && !answer) {
        return pith_draft_fail(draft, member, "%s: only the assistant calls tools", member);
    }
    if (parts.more.calls.at != NULL && !check_calls(draft, member, parts.more.calls)) {
        return false;
    }
    *more = parts.more;
    draft->request.full_messages = draft->request.full_messages || parts.more.calls.at != NULL ||
                                   strcmp(out->role, "tool") == 0;
    pith_path_member(member, path, "content");
    return read_content(draft, member, parts.content, out->role, &out->content);
}

/* Some clients end a conversation with an empty message for the answer that they wait for. */
static void drop_empty_answers(const pith_message *messages, const pith_message_more *more,
                               size_t *n) {
    while (*n > 0 && strcmp(messages[*n - 1].role, "assistant") == 0 &&
           messages[*n - 1].content.n_bytes == 0 && more[*n - 1].calls.at == NULL) {
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
    pith_message_more *more = pith_draft_take(draft, n, sizeof *more);
    if (messages == NULL || more == NULL) {
        return false;
    }
    draft->request.full_messages = false;
    pith_json_walk walk = pith_json_begin(value);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        char element[PITH_REQUEST_PATH];
        pith_path_element(element, path, i);
        if (!read_message(draft, element, walk.value, &messages[i], &more[i])) {
            return false;
        }
    }
    drop_empty_answers(messages, more, &n);
    if (n == 0 && draft->request.endpoint == PITH_ENDPOINT_OLLAMA_CHAT) {
        draft->request.n_messages = 0;
        return true;
    }
    if (n == 0) {
        return pith_draft_fail(draft, path, "%s must hold at least one message with a text", path);
    }
    if (strcmp(messages[n - 1].role, "assistant") == 0) {
        return pith_draft_fail(draft, path,
                               "%s ends with a message of the assistant: continuing an answer is "
                               "not supported, the last message must be the user's or a tool's",
                               path);
    }
    draft->request.messages = messages;
    draft->request.n_messages = n;
    draft->more = more;
    return true;
}

/* ---- Variables ------------------------------------------------------------------------------- */

bool pith_rule_object(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, path, "an object", value);
    }
    *(pith_json *)(void *)((char *)draft + rule->offset) = value;
    return true;
}

/* Puts the arguments of a call as an object, which templates expect; a client sends the text of
 * one. */
static bool put_arguments(pith_draft *draft, pith_json_writer *json, pith_json arguments) {
    pith_json root = arguments;
    if (pith_json_is(arguments, PITH_JSON_STRING)) {
        size_t n = pith_json_text_size(arguments);
        char *copy = pith_draft_take(draft, n + 1, 1);
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, pith_json_text(arguments), n);
        pith_error error;
        pith_status status = n > 0 ? pith_json_read(&root, copy, n, PITH_JSON_PYTHON, "arguments",
                                                    &pith_malloc_allocator, &error)
                                   : PITH_OK;
        if (status == PITH_ERROR_MEMORY) {
            return pith_problem_from(draft->problem, &error);
        }
        if (n > 0 && (status != PITH_OK || !pith_json_is(root, PITH_JSON_OBJECT))) {
            return pith_draft_fail(draft, "messages",
                                   "messages: the arguments of a call are not the text of a JSON "
                                   "object");
        }
    }
    if (pith_json_is(root, PITH_JSON_OBJECT)) {
        pith_json_put_copy(json, "arguments", root);
    } else {
        pith_json_open(json, "arguments", '{');
        pith_json_close(json, '}');
    }
    return true;
}

/* ollama's clients send calls without ids, which Mistral's templates ask for: of nine letters and
 * digits. The answers of tools are in the order of the calls then. */
static void put_made_id(const pith_draft *draft, pith_json_writer *json, const char *key,
                        size_t *n) {
    char id[32];
    if (draft->request.endpoint == PITH_ENDPOINT_OLLAMA_CHAT) {
        snprintf(id, sizeof id, "call%05zu", *n % 100000);
        pith_json_put_text(json, key, id);
        ++*n;
    }
}

static bool put_calls(pith_draft *draft, pith_json_writer *json, pith_json calls) {
    pith_json_open(json, "tool_calls", '[');
    pith_json_walk walk = pith_json_begin(calls);
    while (pith_json_next(&walk)) {
        pith_json function = pith_json_get(walk.value, "function");
        pith_json id = pith_json_get(walk.value, "id");
        pith_json_open(json, NULL, '{');
        if (pith_json_is(id, PITH_JSON_STRING)) {
            pith_json_put_copy(json, "id", id);
        } else {
            put_made_id(draft, json, "id", &draft->n_made_ids);
        }
        pith_json_put_text(json, "type", "function");
        pith_json_open(json, "function", '{');
        pith_json_put_copy(json, "name", pith_json_get(function, "name"));
        if (!put_arguments(draft, json, pith_json_get(function, "arguments"))) {
            return false;
        }
        pith_json_close(json, '}');
        pith_json_close(json, '}');
    }
    pith_json_close(json, ']');
    return true;
}

static bool put_message(pith_draft *draft, pith_json_writer *json, const pith_message *message,
                        const pith_message_more *more) {
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "role", message->role);
    pith_json_put_bytes(json, "content", message->content.data, message->content.n_bytes);
    if (pith_json_is(more->name, PITH_JSON_STRING)) {
        pith_json_put_copy(json, "name", more->name);
    }
    if (pith_json_is(more->call_id, PITH_JSON_STRING)) {
        pith_json_put_copy(json, "tool_call_id", more->call_id);
    } else if (draft->n_answered_ids < draft->n_made_ids && strcmp(message->role, "tool") == 0) {
        put_made_id(draft, json, "tool_call_id", &draft->n_answered_ids);
    }
    if (more->calls.at != NULL && !put_calls(draft, json, more->calls)) {
        return false;
    }
    pith_json_close(json, '}');
    return true;
}

/* The variables that templates use: whether the answer may begin with reasoning, and how much of
 * it. */
static void put_think(pith_json_writer *json, pith_json think) {
    bool level = pith_json_is(think, PITH_JSON_STRING);
    pith_json_put_bool(json, "enable_thinking", level || pith_json_is_true(think));
    if (level) {
        pith_json_put_copy(json, "reasoning_effort", think);
    }
}

static bool put_variables(pith_draft *draft, pith_json_writer *json) {
    const pith_request *r = &draft->request;
    pith_json_open(json, NULL, '{');
    pith_json_walk walk = pith_json_begin(draft->template_variables);
    while (pith_json_next(&walk)) {
        if (strlen(walk.key) != walk.key_size) {
            return pith_draft_fail(draft, "chat_template_kwargs",
                                   "chat_template_kwargs: a name holds the character U+0000");
        }
        pith_json_put_copy(json, walk.key, walk.value);
    }
    if (draft->think.at != NULL) {
        put_think(json, draft->think);
    }
    if (r->n_tools > 0) {
        pith_json_put_copy(json, "tools", draft->tools);
    }
    if (r->full_messages) {
        pith_json_open(json, "messages", '[');
        for (size_t i = 0; i < r->n_messages; i++) {
            if (!put_message(draft, json, &r->messages[i], &draft->more[i])) {
                return false;
            }
        }
        pith_json_close(json, ']');
    }
    pith_json_close(json, '}');
    return true;
}

bool pith_draft_settle_chat(pith_draft *draft) {
    pith_request *r = &draft->request;
    if (!pith_draft_settle_tools(draft)) {
        return false;
    }
    if (r->n_tools == 0 && !r->full_messages && draft->template_variables.at == NULL &&
        draft->think.at == NULL) {
        return true;
    }
    pith_json_writer json;
    pith_draft_begin_json(draft, &json);
    if (!put_variables(draft, &json)) {
        pith_bytes_release(&json.bytes);
        return false;
    }
    return pith_draft_keep_json(draft, &json, "the conversation", &r->variables);
}
