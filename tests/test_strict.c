/* Grammars and guards of tools with `strict`: which schemas they are made of, and how many tools
 * there may be. tests/server/strict.py has what models write under them. */
#include "base/json_write.h"
#include "server/reply_parts.h"
#include "server/strict_guard.h"
#include "tests/jobs.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N_TOOLS = 1024, N_VOCAB = 300, FIRST_BYTE = 3 /* of the vocabulary of tiny models */ };

static const char messages[] = "[{\"role\":\"user\",\"content\":\"Hi\"}]";

/* A chat whose schemas are larger together than one may be (131,072 bytes): tool i takes a number
 * called ai, and nothing else. */
typedef struct stage {
    pith_model *model;
    pith_calling *calling;
    pith_json_writer body;
    pith_request request;
    pith_problem problem;
} stage;

static void put_tool(pith_json_writer *json, int i) {
    char name[16];
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "type", "function");
    pith_json_open(json, "function", '{');
    snprintf(name, sizeof name, "f%d", i);
    pith_json_put_text(json, "name", name);
    pith_json_put_bool(json, "strict", true);
    pith_json_open(json, "parameters", '{');
    pith_json_put_text(json, "type", "object");
    pith_json_open(json, "properties", '{');
    *name = 'a';
    pith_json_open(json, name, '{');
    pith_json_put_text(json, "type", "number");
    pith_json_close(json, '}');
    pith_json_close(json, '}');
    pith_json_open(json, "required", '[');
    pith_json_put_text(json, NULL, name);
    pith_json_close(json, ']');
    pith_json_put_bool(json, "additionalProperties", false);
    pith_json_close(json, '}');
    pith_json_close(json, '}');
    pith_json_close(json, '}');
}

static void open_stage(stage *s, bool named, const char *choice) {
    *s = (stage){.model = test_open_tiny(PITH_TYPE_F32)};
    CHECK(pith_calling_new(&s->calling, s->model, &s->problem), "%s", s->problem.message);
    s->calling->form = PITH_CALLS_MISTRAL;
    s->calling->named = named;
    pith_json_write_begin(&s->body, NULL);
    pith_json_open(&s->body, NULL, '{');
    pith_json_put_raw(&s->body, "messages", messages, sizeof messages - 1);
    pith_json_put_raw(&s->body, "tool_choice", choice, strlen(choice));
    pith_json_open(&s->body, "tools", '[');
    for (int i = 0; i < N_TOOLS; i++) {
        put_tool(&s->body, i);
    }
    pith_json_close(&s->body, ']');
    pith_json_close(&s->body, '}');
    CHECK(pith_request_parse(&s->request, PITH_ENDPOINT_CHAT, s->body.bytes.data,
                             s->body.bytes.size, &s->problem),
          "%s", s->problem.message);
}

static void close_stage(stage *s) {
    pith_request_release(&s->request);
    pith_bytes_release(&s->body.bytes);
    pith_calling_free(s->calling);
    pith_model_free(s->model);
    CHECK_NO_LEAKS();
}

/* `mask` leaves the token of `byte`. Returns how many other bytes it leaves, white space aside. */
static size_t count_others(void (*mask)(void *user, float *logits), void *user, char byte) {
    float logits[N_VOCAB] = {0};
    size_t n = 0;
    mask(user, logits);
    CHECK(logits[FIRST_BYTE + byte] == 0, "'%c' is ruled out", byte);
    for (int i = 0; i < 256; i++) {
        n += i != byte && !pith_reply_is_space((char)i) && logits[FIRST_BYTE + i] == 0;
    }
    return n;
}

/* Writes a text byte by byte; behind `sure` bytes each is the only one that may come. */
static void write_text(void *guard, const char *text, size_t sure) {
    for (size_t i = 0; text[i] != '\0'; i++) {
        size_t others = count_others(pith_guard_mask, guard, text[i]);
        CHECK(i < sure || others == 0, "%zu others than '%c' of %s", others, text[i], text);
        pith_guard_accept(guard, FIRST_BYTE + text[i]);
    }
}

TEST(strict, tools_of_a_form_with_names_have_a_grammar_each) {
    stage s;
    pith_guards *guards = NULL;
    open_stage(&s, true, "\"auto\"");
    CHECK(pith_guards_new(&guards, s.model, s.calling, &s.request, false, 2, &s.problem), "%s",
          s.problem.message);
    static const char *const calls[] = {"[TOOL_CALLS]f0[ARGS]{\"a0\":",
                                        "[TOOL_CALLS]f1023[ARGS]{\"a1023\":"};
    write_text(pith_guards_of(guards, 0), calls[0], strlen("[TOOL_CALLS]f0"));
    write_text(pith_guards_of(guards, 1), calls[1], strlen("[TOOL_CALLS]f1023"));
    pith_guards_free(guards);
    close_stage(&s);
}

TEST(strict, a_demanded_tool_has_a_grammar_of_its_own) {
    stage s;
    pith_grammar *grammar = NULL;
    open_stage(&s, false, "{\"type\":\"function\",\"function\":{\"name\":\"f77\"}}");
    CHECK(pith_strict_answer(&grammar, s.model, s.calling, &s.request, &s.problem), "%s",
          s.problem.message);
    pith_grammar_free(grammar);
    close_stage(&s);
}

TEST(strict, tools_of_one_grammar_are_one_schema) {
    stage s;
    pith_guards *guards = NULL;
    open_stage(&s, false, "\"auto\"");
    CHECK(!pith_guards_new(&guards, s.model, s.calling, &s.request, false, 1, &s.problem) &&
              s.problem.http == 400 && strcmp(s.problem.param, "tools") == 0 &&
              strstr(s.problem.message, "at most 131072") != NULL,
          "%d %s", s.problem.http, s.problem.message);
    close_stage(&s);
}
