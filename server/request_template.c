/* ollama's `template`, in the language of Go's text/template: the part of it that templates of a
 * single prompt use. The request's .System and .Prompt decide the branches here, so that literals
 * and the places of the two are left, written as a template in the Jinja language, which keeps the
 * texts of a user apart from what the template writes. */
#include "server/request_parts.h"

#include "base/bytes.h"
#include "server/reply_parts.h"

#include <string.h>

enum { MAX_TEMPLATE = 64 << 10 /* bytes */, MAX_DEPTH = 16 /* ifs inside each other */ };

/* A template being translated. */
typedef struct translation {
    pith_draft *draft;
    const char *path;
    bool ended; /* behind .Response, where the answer begins */
    struct {
        bool shown;   /* the branch at hand is written */
        bool taken;   /* this branch, or one before it, was chosen */
    } ifs[MAX_DEPTH]; /* [depth] */
    size_t depth;
    pith_bytes out;
    bool failed; /* no memory */
} translation;

static void add(translation *t, const char *text, size_t n) {
    t->failed = t->failed || !pith_bytes_append(&t->out, text, n);
}

static bool is_shown(const translation *t) {
    bool all = !t->ended;
    for (size_t i = 0; i < t->depth; i++) {
        all = all && t->ifs[i].shown;
    }
    return all;
}

/* As a string of Jinja's. */
static void add_literal(translation *t, const char *text, size_t n) {
    if (n == 0 || !is_shown(t)) {
        return;
    }
    add(t, "{{ '", 4);
    for (size_t i = 0; i < n; i++) {
        add(t, "\\", text[i] == '\'' || text[i] == '\\');
        add(t, text + i, 1);
    }
    add(t, "' }}", 4);
}

static bool is(const char *text, size_t n, const char *word) {
    return n == strlen(word) && memcmp(text, word, n) == 0;
}

/* ---- Actions --------------------------------------------------------------------------------- */

static bool unknown(translation *t, const char *text, size_t n) {
    return pith_draft_fail(t->draft, t->path,
                           "%s: {{ %.*s }} is not supported; {{ .System }}, {{ .Prompt }}, "
                           "{{ .Response }}, if, else and end are",
                           t->path, (int)(n < 60 ? n : 60), text);
}

/* Evaluates a condition such as ".System". */
static bool read_condition(translation *t, const char *text, size_t n, bool *out) {
    const pith_draft *draft = t->draft;
    if (is(text, n, ".System")) {
        *out = draft->system.n_bytes > 0;
    } else if (is(text, n, ".Prompt")) {
        *out = true; /* without a prompt nothing is generated */
    } else if (is(text, n, ".Response") || is(text, n, ".Suffix")) {
        *out = false;
    } else {
        return unknown(t, text, n);
    }
    return true;
}

static bool open_if(translation *t, const char *text, size_t n) {
    bool holds;
    if (!read_condition(t, text, n, &holds)) {
        return false;
    }
    if (t->depth == MAX_DEPTH) {
        return pith_draft_fail(t->draft, t->path, "%s has more than %d ifs inside each other",
                               t->path, MAX_DEPTH);
    }
    t->ifs[t->depth].shown = holds;
    t->ifs[t->depth++].taken = holds;
    return true;
}

/* else, and with n > 0 else if. */
static bool go_on(translation *t, const char *text, size_t n) {
    bool holds = true;
    if (t->depth == 0) {
        return pith_draft_fail(t->draft, t->path, "%s has an else without its if", t->path);
    }
    if (n > 0 && !read_condition(t, text, n, &holds)) {
        return false;
    }
    t->ifs[t->depth - 1].shown = holds && !t->ifs[t->depth - 1].taken;
    t->ifs[t->depth - 1].taken |= holds;
    return true;
}

/* Text [n] of an action without white space at its ends. */
static bool run_action(translation *t, const char *text, size_t n) {
    static const char prompt[] = "{{ messages[-1]['content'] }}";
    static const char system[] = "{{ messages[0]['content'] }}";
    if (n >= 4 && memcmp(text, "/*", 2) == 0 && memcmp(text + n - 2, "*/", 2) == 0) {
        return true;
    }
    size_t word = 0;
    while (word < n && !pith_reply_is_space(text[word])) {
        word++;
    }
    size_t rest = pith_reply_skip_space(text, n, word);
    if (is(text, word, "if")) {
        return open_if(t, text + rest, n - rest);
    }
    if (is(text, word, "else") && n == word) {
        return go_on(t, text, 0);
    }
    if (is(text, word, "else") && n - rest > 3 && memcmp(text + rest, "if ", 3) == 0) {
        rest = pith_reply_skip_space(text, n, rest + 2);
        return go_on(t, text + rest, n - rest);
    }
    if (is(text, n, "end") && t->depth > 0) {
        t->depth--;
        return true;
    }
    bool shown = is_shown(t);
    if (is(text, n, ".Prompt")) {
        add(t, prompt, shown ? sizeof prompt - 1 : 0);
    } else if (is(text, n, ".System")) {
        add(t, system, shown && t->draft->system.n_bytes > 0 ? sizeof system - 1 : 0);
    } else if (is(text, n, ".Response")) {
        t->ended = t->ended || shown;
    } else if (!is(text, n, ".Suffix")) {
        return unknown(t, text, n);
    }
    return true;
}

/* ---- The template ---------------------------------------------------------------------------- */

/* Literals and actions in turn; a '-' beside a brace drops the white space on its side. */
static bool translate(translation *t, pith_text source) {
    const char *text = source.data;
    const char *end = text + source.n_bytes;
    bool trim = false;
    while (text < end) {
        const char *brace = memmem(text, (size_t)(end - text), "{{", 2);
        const char *stop = brace != NULL ? brace : end;
        size_t n = (size_t)(stop - text);
        size_t from = trim ? pith_reply_skip_space(text, n, 0) : 0;
        bool before =
            brace != NULL && end - brace > 3 && brace[2] == '-' && pith_reply_is_space(brace[3]);
        n = before ? pith_reply_without_space(text, n) : n;
        add_literal(t, text + from, n > from ? n - from : 0);
        if (brace == NULL) {
            break;
        }
        const char *action = brace + (before ? 3 : 2);
        const char *close = memmem(action, (size_t)(end - action), "}}", 2);
        if (close == NULL) {
            return pith_draft_fail(t->draft, t->path, "%s has a {{ without its }}", t->path);
        }
        n = (size_t)(close - action);
        trim = n > 1 && action[n - 1] == '-' && pith_reply_is_space(action[n - 2]);
        n = pith_reply_without_space(action, n - trim);
        from = pith_reply_skip_space(action, n, 0);
        if (!run_action(t, action + from, n - from)) {
            return false;
        }
        text = close + 2;
    }
    return t->depth == 0 ||
           pith_draft_fail(t->draft, t->path, "%s has an if without its end", t->path);
}

bool pith_draft_translate_template(pith_draft *draft, pith_text source) {
    translation t = {.draft = draft, .path = "template"};
    if (source.n_bytes > MAX_TEMPLATE) {
        return pith_draft_fail(draft, t.path, "template has %zu bytes, at most %d are allowed",
                               source.n_bytes, MAX_TEMPLATE);
    }
    pith_bytes_init(&t.out, NULL);
    bool good = translate(&t, source);
    if (good && !t.failed && t.out.size == 0) {
        good = pith_draft_fail(draft, t.path, "template writes nothing");
    }
    char *kept = good && !t.failed ? pith_draft_take(draft, t.out.size + 1, 1) : NULL;
    if (good && t.failed) {
        pith_problem_from(draft->problem, &(pith_error){.status = PITH_ERROR_MEMORY});
    }
    if (kept != NULL && t.out.size > 0) {
        memcpy(kept, t.out.data, t.out.size);
    }
    draft->request.template = (pith_text){kept, t.out.size};
    pith_bytes_release(&t.out);
    return kept != NULL;
}
