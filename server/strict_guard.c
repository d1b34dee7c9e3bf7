/* Guards: what a model may write of calls while it decides itself whether it calls anything. */
#include "server/strict_guard.h"

#include "server/reply_parts.h"
#include "server/token_texts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SPACES = 2, /* tokens of white space in front of what a call consists of */
    MAX_TAIL = 16,  /* bytes: more than the longest mark has */
    N_ENDS = 2,     /* spellings of the mark that ends a call */
};

/* Where a choice stands. */
typedef enum guard_phase {
    GUARD_FREE,
    GUARD_NAME, /* behind the mark of a form that has the name in front of the JSON */
    GUARD_JSON, /* the matcher says what comes next */
    GUARD_END,  /* the mark that ends a call is written */
} guard_phase;

typedef struct guard {
    pith_guards *owner;
    pith_reply *reply;
    guard_phase phase;
    pith_grammar_matcher **matchers; /* [n_grammars]; NULL: not needed so far */
    pith_grammar_matcher *matcher; /* of JSON; in FREE at its beginning, if there is one already */
    bool begun;                    /* JSON: more than white space is written */
    size_t n_spaces;
    pith_bytes literal; /* NAME, END: what is written of it */
    char tail[MAX_TAIL + 1];
    size_t n_tail;
    bool failed; /* no memory */
} guard;

struct pith_guards {
    const pith_token_texts *texts;
    pith_call_form form;
    bool named;
    size_t n_tools;
    char **tools;            /* [n_tools] names */
    char **openings;         /* [n_tools] of a form with names: name[ARGS] */
    pith_text *rests;        /* [n_tools + N_ENDS] of a mask; generations take turns */
    pith_grammar **grammars; /* [n_grammars]: of each tool in a form with names, else one */
    size_t n_grammars;
    float *logits; /* [n_vocab], of LLAMA3: a copy to mask; generations take turns */
    size_t n_choices;
    guard choices[]; /* [n_choices] */
};

/* ---- Masks ----------------------------------------------------------------------------------- */

static void ban_all(const guard *g, float *logits) {
    for (size_t i = 0; i < g->owner->texts->n_tokens; i++) {
        logits[i] = -INFINITY;
    }
}

static void ban(const pith_token_list *list, float *logits) {
    for (size_t i = 0; i < list->n; i++) {
        logits[list->ids[i]] = -INFINITY;
    }
}

/* Tokens that would end the mark and go on behind it are not written. */
static void mask_mark(const guard *g, float *logits) {
    const pith_token_texts *texts = g->owner->texts;
    const char *mark = pith_call_mark(g->owner->form);
    ban(&texts->crossing, logits);
    size_t part = pith_reply_part_of_mark(g->tail, g->n_tail, mark);
    size_t left = strlen(mark) - part;
    for (size_t i = 0; part > 0 && i < texts->n_tokens; i++) {
        pith_text text = pith_token_text_of(texts, (int32_t)i);
        if (text.n_bytes > left && memcmp(text.data, mark + part, left) == 0) {
            logits[i] = -INFINITY;
        }
    }
}

/* LLAMA3: true where a '{' would begin a call, after white space at most. */
static bool may_begin(const guard *g) {
    const pith_reply *r = g->reply;
    return g->owner->form == PITH_CALLS_LLAMA3 &&
           (r->state == PITH_REPLY_AT_START || r->state == PITH_REPLY_AT_TEXT ||
            r->state == PITH_REPLY_IN_CALL);
}

/* A '{' is written only as the grammar goes on with it. */
static void mask_objects(guard *g, float *logits) {
    const pith_token_texts *texts = g->owner->texts;
    float *copy = g->owner->logits;
    memcpy(copy, logits, texts->n_tokens * sizeof *copy);
    pith_grammar_matcher_mask(g->matcher, copy);
    if (g->reply->state == PITH_REPLY_IN_CALL && g->reply->n_mark == 0) {
        /* behind an object without a mark, or it would be no call any more */
        ban(&texts->behind, logits);
    }
    ban(&texts->late, logits);
    for (size_t i = 0; i < texts->braces.n; i++) {
        int32_t token = texts->braces.ids[i];
        logits[token] = copy[token];
    }
}

static void mask_json(guard *g, float *logits) {
    const pith_token_list *spaces = &g->owner->texts->spaces;
    float kept[64];
    size_t n = g->begun || g->n_spaces == MAX_SPACES ? 0 : spaces->n;
    n = n < 64 ? n : 64;
    for (size_t i = 0; i < n; i++) {
        kept[i] = logits[spaces->ids[i]];
    }
    pith_grammar_matcher_mask(g->matcher, logits);
    for (size_t i = 0; i < n; i++) {
        logits[spaces->ids[i]] = kept[i];
    }
}

/* What may be written in the phases of literals. */
static size_t n_literals(const guard *g) {
    return g->phase == GUARD_NAME ? g->owner->n_tools : N_ENDS;
}

static const char *literal(const guard *g, size_t i) {
    static const char *const ends[N_ENDS] = {"\n" PITH_HERMES_END, PITH_HERMES_END};
    return g->phase == GUARD_NAME ? g->owner->openings[i] : ends[i];
}

/* True when the text [n] begins with what is written. */
static bool is_begun(const guard *g, const char *whole, size_t n) {
    size_t at = g->literal.size;
    return at <= n && (at == 0 || memcmp(whole, g->literal.data, at) == 0);
}

/* Sets owner->rests to what may follow: the rest of every literal that begins with what is written.
 * Returns their number; `first` [256] says of a byte whether one of them begins with it. */
static size_t find_rests(const guard *g, bool *first) {
    pith_text *rests = g->owner->rests;
    size_t n_rests = 0;
    for (size_t i = 0; i < n_literals(g); i++) {
        const char *whole = literal(g, i);
        size_t n = strlen(whole);
        if (is_begun(g, whole, n)) {
            const char *rest = whole + g->literal.size;
            rests[n_rests++] = (pith_text){rest, n - g->literal.size};
            first[(unsigned char)*rest] = true;
        }
    }
    return n_rests;
}

static bool begins_one(const pith_text *rests, size_t n_rests, pith_text text) {
    for (size_t i = 0; i < n_rests; i++) {
        if (text.n_bytes <= rests[i].n_bytes &&
            memcmp(rests[i].data, text.data, text.n_bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* The vocabulary times the names of tools are many: a token's first byte rules most of them out. */
static void mask_literal(const guard *g, float *logits) {
    const pith_token_texts *texts = g->owner->texts;
    bool first[256] = {false};
    size_t n_rests = find_rests(g, first);
    for (size_t token = 0; token < texts->n_tokens; token++) {
        pith_text text = pith_token_text_of(texts, (int32_t)token);
        if (text.n_bytes == 0 || !first[(unsigned char)*text.data] ||
            !begins_one(g->owner->rests, n_rests, text)) {
            logits[token] = -INFINITY;
        }
    }
}

void pith_guard_mask(void *user, float *logits) {
    guard *g = user;
    if (g->failed) {
        ban_all(g, logits);
        return;
    }
    switch (g->phase) {
    case GUARD_FREE:
        mask_mark(g, logits);
        if (may_begin(g)) {
            mask_objects(g, logits);
        }
        break;
    case GUARD_JSON:
        mask_json(g, logits);
        break;
    case GUARD_NAME:
    case GUARD_END:
        mask_literal(g, logits);
        break;
    }
}

/* ---- Going on -------------------------------------------------------------------------------- */

/* The matcher of a grammar, at its beginning. */
static void take_matcher(guard *g, size_t i) {
    pith_grammar_matcher **matcher = &g->matchers[i];
    if (*matcher == NULL) {
        g->failed = pith_grammar_matcher_new(matcher, g->owner->grammars[i], NULL) != PITH_OK;
    }
    g->matcher = *matcher;
    if (!g->failed) {
        pith_grammar_matcher_begin(g->matcher);
    }
    g->begun = false;
    g->n_spaces = 0;
}

static void enter_literal(guard *g, guard_phase phase) {
    g->phase = phase;
    g->literal.size = 0;
}

static void enter_json(guard *g, size_t grammar) {
    g->phase = GUARD_JSON;
    take_matcher(g, grammar);
}

/* The object or list has ended. */
static void leave_json(guard *g) {
    g->phase = GUARD_FREE;
    if (g->owner->form == PITH_CALLS_HERMES) {
        enter_literal(g, GUARD_END);
    } else if (!g->owner->named) {
        take_matcher(g, 0);
    }
}

static void accept_json(guard *g, int32_t token, pith_text text) {
    bool space =
        text.n_bytes > 0 && pith_reply_skip_space(text.data, text.n_bytes, 0) == text.n_bytes;
    if (space && !g->begun) {
        g->n_spaces++;
        return;
    }
    g->begun = true;
    if (pith_grammar_matcher_accept(g->matcher, token, NULL) == PITH_OK &&
        pith_grammar_matcher_is_over(g->matcher)) {
        leave_json(g);
    }
}

static void accept_literal(guard *g, pith_text text) {
    if (!pith_bytes_append(&g->literal, text.data, text.n_bytes)) {
        g->failed = true;
        return;
    }
    for (size_t i = 0; i < n_literals(g); i++) {
        const char *whole = literal(g, i);
        size_t n = strlen(whole);
        if (n == g->literal.size && is_begun(g, whole, n)) {
            if (g->phase == GUARD_NAME) {
                enter_json(g, i);
            } else {
                g->phase = GUARD_FREE;
            }
            return;
        }
    }
}

/* A call begins where the reply says so: behind a mark, or with the token at hand, a '{'. */
static void accept_free(guard *g, int32_t token) {
    const pith_reply *r = g->reply;
    pith_text rest = pith_reply_rest(r);
    if (r->state != PITH_REPLY_IN_CALL) {
        return;
    }
    if (r->n_mark > 0 && rest.n_bytes == r->n_mark && g->owner->named) {
        enter_literal(g, GUARD_NAME);
    } else if (r->n_mark > 0 && rest.n_bytes == r->n_mark) {
        enter_json(g, 0);
    } else if (r->n_mark == 0 && pith_token_text_of(g->owner->texts, token).n_bytes > 0 &&
               pith_token_text_of(g->owner->texts, token).data[0] == '{') {
        enter_json(g, 0);
        accept_json(g, token, pith_token_text_of(g->owner->texts, token));
    }
}

static void push(guard *g, pith_text text) {
    pith_reply_part part;
    g->failed = g->failed || !pith_reply_push(g->reply, text);
    while (pith_reply_next(g->reply, &part)) {
    }
    g->failed = g->failed || pith_reply_failed(g->reply);
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (g->n_tail == MAX_TAIL) {
            memmove(g->tail, g->tail + 1, --g->n_tail);
        }
        g->tail[g->n_tail++] = text.data[i];
    }
}

void pith_guard_accept(void *user, int32_t token) {
    guard *g = user;
    pith_text text = pith_token_text_of(g->owner->texts, token);
    guard_phase before = g->phase;
    push(g, text);
    if (g->failed || text.n_bytes == 0) {
        return;
    }
    switch (before) {
    case GUARD_FREE:
        accept_free(g, token);
        break;
    case GUARD_JSON:
        accept_json(g, token, text);
        break;
    case GUARD_NAME:
    case GUARD_END:
        accept_literal(g, text);
        break;
    }
}

/* ---- Making ---------------------------------------------------------------------------------- */

static bool no_memory(pith_problem *problem) {
    return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the tools");
}

static bool copy_names(pith_guards *guards, const pith_request *request, pith_problem *problem) {
    static const char arguments[] = PITH_MISTRAL_ARGUMENTS;
    guards->n_tools = request->n_tools;
    guards->tools = calloc(request->n_tools, sizeof *guards->tools);
    guards->openings = calloc(request->n_tools, sizeof *guards->openings);
    guards->rests = calloc(request->n_tools + N_ENDS, sizeof *guards->rests);
    if (guards->tools == NULL || guards->openings == NULL || guards->rests == NULL) {
        return no_memory(problem);
    }
    for (size_t i = 0; i < request->n_tools; i++) {
        size_t n = strlen(request->tools[i]);
        if (guards->named && !pith_reply_is_name((pith_text){request->tools[i], n})) {
            return pith_problem_set(problem, 400, NULL, "tools",
                                    "tools: the name of a function has other characters than "
                                    "letters, digits, '_', '.' and '-', which this model's calls "
                                    "cannot hold");
        }
        guards->tools[i] = strdup(request->tools[i]);
        guards->openings[i] = malloc(n + sizeof arguments);
        if (guards->tools[i] == NULL || guards->openings[i] == NULL) {
            return no_memory(problem);
        }
        memcpy(guards->openings[i], request->tools[i], n);
        memcpy(guards->openings[i] + n, arguments, sizeof arguments);
    }
    return true;
}

static bool make_grammars(pith_guards *guards, const pith_model *model, const pith_calling *calling,
                          const pith_request *request, pith_problem *problem) {
    pith_strict_part part = calling->named                        ? PITH_STRICT_ARGUMENTS
                            : calling->form == PITH_CALLS_MISTRAL ? PITH_STRICT_LIST
                                                                  : PITH_STRICT_CALL;
    size_t n = calling->named ? request->n_tools : 1;
    guards->grammars = calloc(n, sizeof(pith_grammar *));
    if (guards->grammars == NULL) {
        return no_memory(problem);
    }
    guards->n_grammars = n;
    for (size_t i = 0; i < n; i++) {
        if (!pith_strict_grammar(&guards->grammars[i], model, calling, request, part,
                                 calling->named ? i : SIZE_MAX, problem)) {
            return false;
        }
    }
    return true;
}

static bool make_choices(pith_guards *guards, bool reasons, pith_problem *problem) {
    const pith_reply_settings settings = {.form = guards->form,
                                          .tools = (const char *const *)guards->tools,
                                          .n_tools = guards->n_tools,
                                          .reasons = reasons};
    for (size_t i = 0; i < guards->n_choices; i++) {
        guard *g = &guards->choices[i];
        g->owner = guards;
        pith_bytes_init(&g->literal, NULL);
        g->matchers = calloc(guards->n_grammars, sizeof(pith_grammar_matcher *));
        if (g->matchers == NULL || !pith_reply_new(&g->reply, &settings, NULL)) {
            return no_memory(problem);
        }
        if (!guards->named) {
            take_matcher(g, 0);
        }
        if (g->failed) {
            return no_memory(problem);
        }
    }
    return true;
}

bool pith_guards_new(pith_guards **out, const pith_model *model, pith_calling *calling,
                     const pith_request *request, bool reasons, size_t n_choices,
                     pith_problem *problem) {
    pith_guards *guards = calloc(1, sizeof *guards + n_choices * sizeof *guards->choices);
    if (guards == NULL) {
        return no_memory(problem);
    }
    guards->form = calling->form;
    guards->named = calling->named;
    guards->n_choices = n_choices;
    if (!pith_calling_texts(calling, model, &guards->texts, problem)) {
        pith_guards_free(guards);
        return false;
    }
    guards->logits = calling->form == PITH_CALLS_LLAMA3
                         ? malloc((guards->texts->n_tokens + 1) * sizeof *guards->logits)
                         : NULL;
    bool good =
        (guards->logits != NULL || calling->form != PITH_CALLS_LLAMA3 || no_memory(problem)) &&
        copy_names(guards, request, problem) &&
        make_grammars(guards, model, calling, request, problem) &&
        make_choices(guards, reasons, problem);
    if (!good) {
        pith_guards_free(guards);
        return false;
    }
    *out = guards;
    return true;
}

static void free_choice(guard *g, size_t n_grammars) {
    for (size_t i = 0; g->matchers != NULL && i < n_grammars; i++) {
        pith_grammar_matcher_free(g->matchers[i]);
    }
    free(g->matchers);
    pith_reply_free(g->reply);
    if (g->owner != NULL) {
        pith_bytes_release(&g->literal);
    }
}

void pith_guards_free(void *user) {
    pith_guards *guards = user;
    if (guards == NULL) {
        return;
    }
    for (size_t i = 0; i < guards->n_choices; i++) {
        free_choice(&guards->choices[i], guards->n_grammars);
    }
    for (size_t i = 0; guards->grammars != NULL && i < guards->n_grammars; i++) {
        pith_grammar_free(guards->grammars[i]);
    }
    for (size_t i = 0; i < guards->n_tools; i++) {
        free(guards->tools != NULL ? guards->tools[i] : NULL);
        free(guards->openings != NULL ? guards->openings[i] : NULL);
    }
    free(guards->grammars);
    free(guards->tools);
    free(guards->openings);
    free(guards->rests);
    free(guards->logits);
    free(guards);
}

void *pith_guards_of(void *guards, size_t choice) {
    return &((pith_guards *)guards)->choices[choice];
}
