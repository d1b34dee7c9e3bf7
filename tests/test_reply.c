/* Replies split into their parts: every form of call, reasoning, what only looks like one, and the
 * same parts wherever the text is cut. */
#include "server/reply.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 4096 };

static const char *const tools[] = {"f", "get_weather"};

/* The parts so far, as "T[text]R[reasoning]C0[name][arguments]". */
typedef struct summary {
    char text[ROOM];
    size_t n;
    int last; /* kind, -1: none */
} summary;

static void append(summary *s, const char *text, size_t n) {
    CHECK(s->n + n + 1 < ROOM, "the summary is full");
    memcpy(s->text + s->n, text, n);
    s->n += n;
    s->text[s->n] = '\0';
}

static void take(pith_reply *reply, summary *s) {
    pith_reply_part part;
    while (pith_reply_next(reply, &part)) {
        char head[32];
        if (part.kind == PITH_REPLY_CALL) {
            snprintf(head, sizeof head, "C%zu[", part.index);
            append(s, head, strlen(head));
            append(s, part.name.data, part.name.n_bytes);
            append(s, "][", 2);
        } else if (part.kind == PITH_REPLY_ARGUMENTS) {
            CHECK(s->last == -1 && s->n > 0 && part.text.n_bytes > 0, "arguments of no call");
            s->n--;
        } else if ((int)part.kind == s->last) {
            CHECK(part.text.n_bytes > 0, "an empty part");
            s->n--; /* the bracket */
        } else {
            append(s, part.kind == PITH_REPLY_TEXT ? "T[" : "R[", 2);
        }
        bool call = part.kind == PITH_REPLY_CALL || part.kind == PITH_REPLY_ARGUMENTS;
        s->last = call ? -1 : (int)part.kind;
        append(s, part.text.data, part.text.n_bytes);
        append(s, "]", 1);
    }
}

/* Cuts the text at the given places: `first`, then every `step` bytes. */
static void take_apart(const pith_reply_settings *settings, const char *text, size_t first,
                       size_t step, summary *s) {
    pith_reply *reply;
    CHECK(pith_reply_new(&reply, settings, NULL), "no memory");
    *s = (summary){.last = -1};
    size_t n = strlen(text);
    for (size_t at = 0; at < n;) {
        size_t size = at == 0 && first > 0 ? first : step;
        size = size < n - at ? size : n - at;
        char *piece = malloc(size); /* so that reading behind it is seen */
        memcpy(piece, text + at, size);
        CHECK(pith_reply_push(reply, (pith_text){piece, size}), "no memory");
        free(piece);
        take(reply, s);
        at += size;
    }
    pith_reply_finish(reply);
    take(reply, s);
    CHECK(!pith_reply_failed(reply), "failed");
    pith_reply_free(reply);
}

static void check(const pith_reply_settings *settings, const char *text, const char *expected) {
    summary s;
    size_t n = strlen(text);
    take_apart(settings, text, 0, n + 1, &s);
    CHECK(strcmp(s.text, expected) == 0, "%s\n gives    %s\n expected %s", text, s.text, expected);
    for (size_t cut = 1; cut < n; cut++) {
        take_apart(settings, text, cut, n, &s);
        CHECK(strcmp(s.text, expected) == 0, "%s\n cut at %zu gives %s\n expected %s", text, cut,
              s.text, expected);
    }
    take_apart(settings, text, 0, 1, &s);
    CHECK(strcmp(s.text, expected) == 0, "%s\n byte by byte gives %s\n expected %s", text, s.text,
          expected);
}

typedef struct reply_case {
    const char *text, *expected;
} reply_case;

static void check_all(pith_call_form form, bool reasons, const reply_case *cases, size_t n) {
    const pith_reply_settings settings = {.form = form,
                                          .tools = tools,
                                          .n_tools = 2,
                                          .reasons = reasons};
    for (size_t i = 0; i < n; i++) {
        check(&settings, cases[i].text, cases[i].expected);
    }
    CHECK_NO_LEAKS();
}

#define COUNT(cases) (sizeof(cases) / sizeof *(cases))
#define CALL "{\"name\": \"f\", \"arguments\": {\"a\": 1.50}}"

TEST(reply, text_without_calls_is_left_alone) {
    static const reply_case cases[] = {
        {"", ""},
        {"  Hi <tool_call> there\n", "T[  Hi <tool_call> there\n]"},
        {"<think>\n a b \n</think>\n\nHi ", "R[a b]T[Hi ]"},
        {" <think>x</think>", "R[x]"},
        {"<think>cut ", "R[cut ]"},
        {"<think></think>Hi", "T[Hi]"},
        {"<thin", "T[<thin]"},
        {" <thinking>", "T[ <thinking>]"},
        {"a <think>b</think>", "T[a <think>b</think>]"},
        {"<think>a</thin></think></think>", "R[a</thin>]T[</think>]"},
    };
    static const reply_case within[] = {
        {"\na\n</think>\n\nb", "R[a]T[b]"},
        {"</think>b", "T[b]"},
        {"a", "R[a]"},
        {"<think>a</think>b", "R[<think>a]T[b]"},
    };
    check_all(PITH_CALLS_NONE, false, cases, COUNT(cases));
    check_all(PITH_CALLS_NONE, true, within, COUNT(within));
}

/* Messages in channels, of which "analysis" is reasoning; what has no header is text. */
TEST(reply, channels) {
#define ANALYSIS "<|channel|>analysis<|message|>"
#define FINAL "<|start|>assistant<|channel|>final<|message|>"
    static const reply_case cases[] = {
        {"", ""},
        {ANALYSIS "Hm.\n<|end|>" FINAL "Hi <think> there\n", "R[Hm.]T[Hi <think> there\n]"},
        {ANALYSIS " a b <|end|>" FINAL " x ", "R[a b]T[ x ]"},
        {ANALYSIS "cut ", "R[cut ]"},
        {ANALYSIS "<|end|>" FINAL, ""},
        {ANALYSIS "a<|end|><|start|>assistant" ANALYSIS "b<|end|>" FINAL "c", "R[ab]T[c]"},
        {"<|channel|>final<|message|>Hi<|end|>", "T[Hi]"},
        {"<|channel|>commentary<|message|>I look.<|end|>" FINAL "Hi", "T[I look.Hi]"},
        {"<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}", "T[{}]"},
        {ANALYSIS "a<|en", "R[a<|en]"},
        {"Hi there", "T[Hi there]"},
        {" <|channel", "T[ <|channel]"},
        {"<|channel|>analysis and no more", "T[<|channel|>analysis and no more]"},
        {ANALYSIS "a<|end|>b<|end|>", "R[a]T[b<|end|>]"},
    };
    char longer[700] = "<|channel|>";
    const pith_reply_settings settings = {.channels = true};
    memset(longer + 11, 'a', 600);
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(&settings, cases[i].text, cases[i].expected);
    }
    char expected[720];
    snprintf(expected, sizeof expected, "T[%s]", longer);
    check(&settings, longer, expected);
    strcat(longer, "<|message|>a");
    strcpy(expected + strlen(expected) - 1, "<|message|>a]");
    check(&settings, longer, expected);
    CHECK_NO_LEAKS();
}

TEST(reply, hermes) {
    static const reply_case cases[] = {
        {"", ""},
        {"<tool_call>\n" CALL "\n</tool_call>", "C0[f][{\"a\":1.50}]"},
        {"I look.\n\n<tool_call>" CALL
         "</tool_call>\n<tool_call>\n{\"arguments\": {\"z\": [1, {}], "
         "\"a\": \"</tool_call>\\\"}\\u00e9\"}, \"name\": \"get_weather\"}</tool_call>\n",
         "T[I "
         "look.]C0[f][{\"a\":1.50}]C1[get_weather][{\"z\":[1,{}],\"a\":\"</tool_call>\\\"}é\"}]"},
        {"<think>\nwhy <tool_call>\n</think>\n<tool_call>{\"name\": \"x\"}</tool_call>",
         "R[why <tool_call>]C0[x][{}]"},
        {"<tool_call>" CALL, "C0[f][{\"a\":1.50}]"},
        {"<tool_call>" CALL "</tool", "C0[f][{\"a\":1.50}]"},
        {"<tool_call>" CALL "</tool_call> and text ", "C0[f][{\"a\":1.50}]T[and text ]"},
        {"a  <tool_call>no</tool_call>", "T[a  <tool_call>no</tool_call>]"},
        {"<tool_call>{\"name\": \"f\"}x", "T[<tool_call>{\"name\": \"f\"}x]"},
        {"<tool_call>{\"name\": 3}</tool_call>", "T[<tool_call>{\"name\": 3}</tool_call>]"},
        {"<tool_call>{\"name\": \"\"}</tool_call>", "T[<tool_call>{\"name\": \"\"}</tool_call>]"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": 3}</tool_call>",
         "T[<tool_call>{\"name\": \"f\", \"arguments\": 3}</tool_call>]"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": NaN}}</tool_call>",
         "T[<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": NaN}}</tool_call>]"},
        {"<tool_call>{\"name\": \"f\", ", "T[<tool_call>{\"name\": \"f\", ]"},
        {"<tool_call>", "T[<tool_call>]"},
        {"<tool_call> ", "T[<tool_call> ]"},
        {"<tool_call>{]</tool_call> <tool_call>" CALL "</tool_call>",
         "T[<tool_call>{]</tool_call>]C0[f][{\"a\":1.50}]"},
        {"<tool_<tool_call>" CALL "</tool_call>", "T[<tool_]C0[f][{\"a\":1.50}]"},
        {"[TOOL_CALLS] {\"name\": \"f\"} \n", "T[[TOOL_CALLS] {\"name\": \"f\"} \n]"},
    };
    check_all(PITH_CALLS_HERMES, false, cases, COUNT(cases));
}

TEST(reply, mistral) {
    static const reply_case cases[] = {
        {"[TOOL_CALLS] [" CALL "]", "C0[f][{\"a\":1.50}]"},
        {"[TOOL_CALLS][" CALL ", {\"name\": \"g\", \"arguments\": {}, \"id\": \"123456789\"}]",
         "C0[f][{\"a\":1.50}]C1[g][{}]"},
        {"Well. [TOOL_CALLS]" CALL " ", "T[Well.]C0[f][{\"a\":1.50}]"},
        {"[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]get-it.2[CALL_ID]abc123[ARGS] {\"b\": "
         "\"[ARGS]\"}",
         "C0[f][{\"a\":1}]C1[get-it.2][{\"b\":\"[ARGS]\"}]"},
        {"[TOOL_CALLS][]", "T[[TOOL_CALLS][]]"},
        {"[TOOL_CALLS][" CALL ", 3]", "T[[TOOL_CALLS][" CALL ", 3]]"},
        {"[TOOL_CALLS][" CALL, "T[[TOOL_CALLS][" CALL "]"},
        {"[TOOL_CALLS]f[ARGS]", "T[[TOOL_CALLS]f[ARGS]]"},
        {"[TOOL_CALLS]f[ARGS]3", "T[[TOOL_CALLS]f[ARGS]3]"},
        {"[TOOL_CALLS]f[CALL_ID]", "T[[TOOL_CALLS]f[CALL_ID]]"},
        {"[TOOL_CALLS]f[CALL_ID][ARGS]{}", "T[[TOOL_CALLS]f[CALL_ID][ARGS]{}]"},
        {"[TOOL_CALLS]f g", "T[[TOOL_CALLS]f g]"},
        {"[TOOL_CALLS]f", "T[[TOOL_CALLS]f]"},
        {"[TOOL", "T[[TOOL]"},
        {"a [b] [TOOL_CALL]", "T[a [b] [TOOL_CALL]]"},
    };
    check_all(PITH_CALLS_MISTRAL, false, cases, COUNT(cases));
}

#define BARE "{\"name\": \"f\", \"parameters\": {\"a\": \"x\"}}"

TEST(reply, llama3) {
    static const reply_case cases[] = {
        {"", ""},
        {BARE, "C0[f][{\"a\":\"x\"}]"},
        {"\n" BARE "\n", "C0[f][{\"a\":\"x\"}]"},
        {BARE "; {\"name\": \"get_weather\", \"parameters\": {}}",
         "C0[f][{\"a\":\"x\"}]C1[get_weather][{}]"},
        {BARE BARE, "C0[f][{\"a\":\"x\"}]C1[f][{\"a\":\"x\"}]"},
        {"<|python_tag|>{\"name\": \"other\", \"parameters\": {}}", "C0[other][{}]"},
        {"Wait. <|python_tag|>" BARE, "T[Wait.]C0[f][{\"a\":\"x\"}]"},
        {"<|python_tag|>print(1)", "T[<|python_tag|>print(1)]"},
        /* An answer in JSON. */
        {"{\"name\": \"Anna\", \"parameters\": {}}", "T[{\"name\": \"Anna\", \"parameters\": {}}]"},
        {"{\"age\": 3} ", "T[{\"age\": 3} ]"},
        {BARE " is a call", "T[" BARE " is a call]"},
        {"I say " BARE, "T[I say " BARE "]"},
        {"{\"name\": \"f\"", "T[{\"name\": \"f\"]"},
        {"{", "T[{]"},
        {BARE ";", "C0[f][{\"a\":\"x\"}]"},
        {BARE "; so", "C0[f][{\"a\":\"x\"}]T[so]"},
    };
    check_all(PITH_CALLS_LLAMA3, false, cases, COUNT(cases));
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

static void check_pieces(pith_call_form form, bool certain, const reply_case *cases, size_t n) {
    const pith_reply_settings settings = {
        .form = form, .tools = tools, .n_tools = 2, .pieces = true, .certain = certain};
    for (size_t i = 0; i < n; i++) {
        check(&settings, cases[i].text, cases[i].expected);
    }
    CHECK_NO_LEAKS();
}

#define RAW "{\"a\": 1.50}" /* the arguments of CALL as they are written */

TEST(reply, pieces_of_hermes) {
    static const reply_case cases[] = {
        {"Hi <tool_call>\n" CALL "\n</tool_call>\n<tool_call>" CALL "</tool_call> so",
         "T[Hi]C0[f][" RAW "]C1[f][" RAW "]T[so]"},
        {"<tool_call> { \"name\" : \"x y\" , \"parameters\" : {\"a\": \"}\\\"]</tool_call>{\"} }",
         "C0[x y][{\"a\": \"}\\\"]</tool_call>{\"}]"},
        /* Other members behind the arguments. */
        {"<tool_call>{\"name\": \"f\", \"arguments\": {}, \"id\": [\"}\"]}</tool_call>",
         "C0[f][{}]"},
        /* Broken off. */
        {"<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": [1", "C0[f][{\"a\": [1]"},
        {"<tool_call>" CALL, "C0[f][" RAW "]"},
        {"<tool_call>" CALL "</tool", "C0[f][" RAW "]"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": {}, \"b\": ", "C0[f][{}]T[, \"b\": ]"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": {", "C0[f][{]"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": ",
         "T[<tool_call>{\"name\": \"f\", \"arguments\": ]"},
        {"<tool_call>{\"name\": \"f\"", "T[<tool_call>{\"name\": \"f\"]"},
        /* Behind it something else than the mark. */
        {"<tool_call>" CALL " so </tool_call>", "C0[f][" RAW "]T[so </tool_call>]"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": {} so}", "C0[f][{}]T[so}]"},
        /* Whole: no arguments, another order, an escape. */
        {"<tool_call>{\"name\": \"f\"}</tool_call>", "C0[f][{}]"},
        {"<tool_call>{\"arguments\": " RAW ", \"name\": \"f\"}</tool_call>", "C0[f][{\"a\":1.50}]"},
        {"<tool_call>{\"name\": \"\\u0066\", \"arguments\": " RAW "}</tool_call>",
         "C0[f][{\"a\":1.50}]"},
        /* None. */
        {"<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>",
         "T[<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>]"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": 3}</tool_call>",
         "T[<tool_call>{\"name\": \"f\", \"arguments\": 3}</tool_call>]"},
        {"<think>a <tool_call>" CALL "</think>b", "R[a <tool_call>" CALL "]T[b]"},
    };
    check_pieces(PITH_CALLS_HERMES, false, cases, COUNT(cases));
}

TEST(reply, pieces_of_mistral) {
    static const reply_case cases[] = {
        {"So [TOOL_CALLS] [" CALL " , " CALL "]", "T[So]C0[f][" RAW "]C1[f][" RAW "]"},
        {"[TOOL_CALLS]" CALL " so", "C0[f][" RAW "]T[so]"},
        {"[TOOL_CALLS][" CALL ", {\"arguments\": {}, \"name\": \"g\"}, " CALL "]",
         "C0[f][" RAW "]C1[g][{}]C2[f][" RAW "]"},
        {"[TOOL_CALLS][" CALL ", 3]", "C0[f][" RAW "]T[3]]"},
        {"[TOOL_CALLS][" CALL ", {\"name\": 3}]", "C0[f][" RAW "]T[{\"name\": 3}]]"},
        {"[TOOL_CALLS][" CALL, "C0[f][" RAW "]"},
        {"[TOOL_CALLS][" CALL ", {\"na", "C0[f][" RAW "]T[{\"na]"},
        {"[TOOL_CALLS][" CALL "so", "C0[f][" RAW "]T[so]"},
        {"[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]get-it.2[CALL_ID]abc123[ARGS] {\"b\": "
         "\"[ARGS]\"} so",
         "C0[f][{\"a\": 1}]C1[get-it.2][{\"b\": \"[ARGS]\"}]T[so]"},
        {"[TOOL_CALLS]f[ARGS]{\"a\"", "C0[f][{\"a\"]"},
        {"[TOOL_CALLS]f[ARGS]", "T[[TOOL_CALLS]f[ARGS]]"},
        {"[TOOL_CALLS]f[ARGS]3", "T[[TOOL_CALLS]f[ARGS]3]"},
        {"[TOOL_CALLS][]", "T[[TOOL_CALLS][]]"},
        {"[TOOL_CALLS]", "T[[TOOL_CALLS]]"},
    };
    check_pieces(PITH_CALLS_MISTRAL, false, cases, COUNT(cases));
}

TEST(reply, pieces_of_llama3) {
    static const reply_case marked[] = {
        {"Wait. <|python_tag|>" BARE "; " BARE,
         "T[Wait.]C0[f][{\"a\": \"x\"}]C1[f][{\"a\":\"x\"}]"},
        {"<|python_tag|>{\"name\": \"f\", \"parameters\": {\"a", "C0[f][{\"a]"},
        /* Without a mark it may be an answer, so that it is given whole. */
        {BARE "; " BARE, "C0[f][{\"a\":\"x\"}]C1[f][{\"a\":\"x\"}]"},
        {BARE " is a call", "T[" BARE " is a call]"},
    };
    static const reply_case certain[] = {
        {BARE "; " BARE, "C0[f][{\"a\": \"x\"}]C1[f][{\"a\": \"x\"}]"},
        {BARE BARE " so", "C0[f][{\"a\": \"x\"}]C1[f][{\"a\": \"x\"}]T[so]"},
        {"{\"name\": \"f\", \"parameters\": {\"a", "C0[f][{\"a]"},
        {"{\"name\": \"other\", \"parameters\": {}}",
         "T[{\"name\": \"other\", \"parameters\": {}}]"},
    };
    check_pieces(PITH_CALLS_LLAMA3, false, marked, COUNT(marked));
    check_pieces(PITH_CALLS_LLAMA3, true, certain, COUNT(certain));
}

/* The name comes before the arguments have ended, and these as they come. */
TEST(reply, pieces_come_as_they_are_written) {
    static const char *const written[] = {"<tool_call>{\"name\": \"f\", \"arguments\": ", "{\"a",
                                          "\": [1,", "2]}", "}</tool_call>"};
    static const char *const given[] = {"", "C0[f][{\"a]", "C0[f][{\"a\": [1,]",
                                        "C0[f][{\"a\": [1,2]}]", "C0[f][{\"a\": [1,2]}]"};
    const pith_reply_settings settings = {.form = PITH_CALLS_HERMES, .pieces = true};
    pith_reply *reply;
    summary s = {.last = -1};
    CHECK(pith_reply_new(&reply, &settings, NULL), "no memory");
    for (size_t i = 0; i < COUNT(written); i++) {
        CHECK(pith_reply_push(reply, pith_text_of(written[i])), "no memory");
        take(reply, &s);
        CHECK(strcmp(s.text, given[i]) == 0, "after %zu: %s, expected %s", i, s.text, given[i]);
    }
    pith_reply_free(reply);
    CHECK_NO_LEAKS();
}

/* A call that does not end is text, once it is longer than any call. */
TEST(reply, a_call_without_an_end_becomes_text) {
    const pith_reply_settings settings = {.form = PITH_CALLS_HERMES};
    size_t n = PITH_REPLY_MAX_CALL + 4096;
    char *text = malloc(n);
    memset(text, '[', n);
    memcpy(text, "<tool_call>{", 12);
    pith_reply *reply;
    pith_reply_part part;
    CHECK(pith_reply_new(&reply, &settings, NULL), "no memory");
    size_t given = 0;
    for (size_t at = 0; at < n; at += 64) { /* a million brackets are looked at once each */
        CHECK(pith_reply_push(reply, (pith_text){text + at, n - at < 64 ? n - at : 64}), "memory");
        while (pith_reply_next(reply, &part)) {
            CHECK(part.kind == PITH_REPLY_TEXT &&
                      memcmp(part.text.data, text + given, part.text.n_bytes) == 0,
                  "other text at %zu", given);
            given += part.text.n_bytes;
        }
    }
    CHECK(given > PITH_REPLY_MAX_CALL, "%zu bytes are given", given);
    pith_reply_free(reply);
    free(text);
    CHECK_NO_LEAKS();
}

TEST(reply, survives_every_failing_allocation) {
    static const char text[] = "<think>a</think>b <tool_call>" CALL "</tool_call>";
    const pith_reply_settings settings = {.form = PITH_CALLS_HERMES};
    test_allocator a;
    test_allocator_init(&a);
    bool good = false;
    for (size_t n = 1; !good; n++) {
        pith_reply *reply = NULL;
        a.n_calls = 0;
        a.fail_at = n;
        bool made = pith_reply_new(&reply, &settings, &a.allocator);
        good = made && pith_reply_push(reply, pith_text_of(text));
        if (made) {
            summary s = {.last = -1};
            pith_reply_finish(reply);
            take(reply, &s);
            good = good && !pith_reply_failed(reply);
            CHECK(!good || strcmp(s.text, "R[a]T[b]C0[f][{\"a\":1.50}]") == 0, "%s", s.text);
        }
        pith_reply_free(reply);
        CHECK(a.n_live == 0, "allocation %zu: %zu blocks leaked", n, (size_t)a.n_live);
        CHECK(n < 100, "it never succeeds");
    }
}
