/* Chat templates: compiling, rendering, limits. */
#include "tokenizer/jinja_parts.h"

#include "base/memory.h"
#include "base/status.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Failure and limits ---------------------------------------------------------------------- */

bool pith_jinja_fail(pith_jinja *j, pith_status status, const char *format, ...) {
    if (j->status == PITH_OK) {
        char text[480];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        j->status = pith_fail(j->error, status, "template, line %u: %s", j->line, text);
    }
    return false;
}

bool pith_jinja_no_memory(pith_jinja *j) {
    if (j->arena.exhausted) {
        return pith_jinja_fail(j, PITH_ERROR_FORMAT, "more than %zu bytes of memory",
                               j->arena.limit);
    }
    return pith_jinja_fail(j, PITH_ERROR_MEMORY, "out of memory");
}

void *pith_jinja_new(pith_jinja *j, size_t count, size_t size) {
    void *taken = pith_jinja_take(&j->arena, count, size);
    if (taken == NULL) {
        pith_jinja_no_memory(j);
    }
    return taken;
}

bool pith_jinja_spend(pith_jinja *j, size_t steps) {
    j->steps += steps;
    return j->steps <= j->source->max_steps ||
           pith_jinja_fail(j, PITH_ERROR_FORMAT, "more than %zu steps", j->source->max_steps);
}

bool pith_jinja_deeper(pith_jinja *j) {
    return ++j->depth <= PITH_JINJA_MAX_DEPTH ||
           pith_jinja_fail(j, PITH_ERROR_FORMAT, "more than %d levels of evaluation",
                           PITH_JINJA_MAX_DEPTH);
}

/* ---- Compiling ------------------------------------------------------------------------------- */

/* The source as Jinja reads it: newlines are "\n", and one at the end is dropped. */
static char *normalise(pith_jinja_arena *arena, const char *source, size_t n, size_t *size) {
    char *out = pith_jinja_take(arena, n + 4, 1); /* NUL bytes behind, for looking ahead */
    size_t used = 0;
    for (size_t i = 0; out != NULL && i < n; i++) {
        if (source[i] != '\r') {
            out[used++] = source[i];
        } else if (i + 1 == n || source[i + 1] != '\n') {
            out[used++] = '\n';
        }
    }
    if (out != NULL && used > 0 && out[used - 1] == '\n') {
        out[--used] = '\0';
    }
    *size = used;
    return out;
}

static pith_status compile(pith_template *t, const char *source, size_t n, pith_error *error) {
    pith_jinja_parser p = {
        .arena = &t->arena,
        .lexer = {.arena = &t->arena, .error = error, .line = 1, .line_starting = true},
    };
    p.lexer.source = normalise(&t->arena, source, n, &p.lexer.n);
    if (p.lexer.source == NULL) {
        pith_jinja_lex_no_memory(&p.lexer, 1);
        return p.lexer.status;
    }
    if (!pith_jinja_parse_begin(&p) || !pith_jinja_parse_template(&p, &t->body)) {
        return p.lexer.status;
    }
    t->names = p.names;
    t->n_names = p.n_names;
    return PITH_OK;
}

static size_t limit_of(size_t wanted, size_t max) {
    return wanted > 0 && wanted < max ? wanted : max;
}

pith_status pith_template_compile(pith_template **out, const char *source, size_t n,
                                  const pith_template_limits *limits,
                                  const pith_allocator *allocator, pith_error *error) {
    allocator = pith_allocator_or_default(allocator);
    if (n > PITH_JINJA_MAX_SOURCE) {
        return pith_fail(error, PITH_ERROR_FORMAT, "template: more than %d bytes",
                         PITH_JINJA_MAX_SOURCE);
    }
    size_t valid = pith_utf8_check(source, n);
    if (valid != n) {
        return pith_fail(error, PITH_ERROR_TEXT, "template: invalid UTF-8 at byte %zu", valid);
    }
    pith_template *t = pith_allocate_zeroed(allocator, 1, sizeof *t);
    if (t == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the template");
    }
    pith_template_limits wanted = limits != NULL ? *limits : (pith_template_limits){.memory = 0};
    t->arena = (pith_jinja_arena){.allocator = allocator,
                                  .limit = limit_of(wanted.memory, PITH_JINJA_MAX_MEMORY)};
    t->max_steps = limit_of(wanted.steps, PITH_JINJA_MAX_STEPS);
    pith_status status = compile(t, source, n, error);
    if (status != PITH_OK) {
        pith_template_free(t);
        return status;
    }
    *out = t;
    return PITH_OK;
}

void pith_template_free(pith_template *t) {
    if (t != NULL) {
        const pith_allocator *allocator = t->arena.allocator;
        pith_jinja_arena_release(&t->arena);
        pith_release(allocator, t);
    }
}

/* ---- Rendering ------------------------------------------------------------------------------- */

static bool put_variable(pith_jinja *j, const char *name, size_t n, pith_jinja_value v) {
    pith_jinja_value key;
    return pith_jinja_borrow(j, name, n, PITH_ORIGIN_DATA, &key) &&
           pith_jinja_dict_put(j, &j->context, key, v);
}

/* Each member of an object is a variable. */
static bool put_members(pith_jinja *j, pith_json object) {
    pith_json_walk walk = pith_json_begin(object);
    while (pith_json_next(&walk)) {
        pith_jinja_value v;
        if (j->input->without != NULL && strcmp(walk.key, j->input->without) == 0) {
            continue;
        }
        if (!pith_jinja_from_json(j, walk.value, &v) ||
            !put_variable(j, walk.key, walk.key_size, v)) {
            return false;
        }
    }
    return true;
}

static bool prepare(pith_jinja *j) {
    for (size_t i = 0; i < j->input->n_texts; i++) {
        const pith_template_text *text = &j->input->texts[i];
        pith_jinja_value v;
        if (!pith_jinja_borrow(j, text->text, strlen(text->text), PITH_ORIGIN_TEMPLATE, &v) ||
            !put_variable(j, text->name, strlen(text->name), v)) {
            return false;
        }
    }
    if (!put_members(j, j->input->conversation) || !put_members(j, j->input->variables)) {
        return false;
    }
    j->steps = 0; /* the template pays for its own work only */
    return true;
}

static bool copy_output(pith_jinja *j, pith_template_output *out) {
    const pith_jinja_buffer *b = j->output;
    out->spans = pith_allocate(j->arena.allocator, b->n_runs, sizeof *out->spans);
    if (out->spans == NULL || !pith_bytes_append(&out->text, b->data, b->used)) {
        return pith_jinja_fail(j, PITH_ERROR_MEMORY, "out of memory");
    }
    size_t start = 0;
    for (size_t i = 0; i < b->n_runs; i++) {
        out->spans[i] = (pith_template_span){.start = start,
                                             .size = b->runs[i].end - start,
                                             .origin = b->runs[i].origin};
        start = b->runs[i].end;
    }
    out->n_spans = b->n_runs;
    return true;
}

pith_status pith_template_render(const pith_template *t, const pith_template_input *input,
                                 pith_template_output *out, pith_error *error) {
    enum { FIRST = 1024 };
    pith_jinja j = {
        .arena = {.allocator = t->arena.allocator, .limit = t->arena.limit},
        .source = t,
        .input = input,
        .error = error,
    };
    pith_jinja_scope root = {.parent = NULL};
    pith_template_output result = {.spans = NULL};
    pith_bytes_init(&result.text, t->arena.allocator);
    j.output = pith_jinja_buffer_new(&j, FIRST);
    if (j.output != NULL && prepare(&j) && pith_jinja_run_body(&j, t->body, &root) &&
        copy_output(&j, &result)) {
        *out = result;
    } else {
        pith_template_output_release(&result);
    }
    pith_jinja_arena_release(&j.arena);
    return j.status;
}

void pith_template_output_release(pith_template_output *out) {
    if (out->spans != NULL) {
        pith_release(out->text.allocator, out->spans);
    }
    pith_bytes_release(&out->text);
    out->spans = NULL;
    out->n_spans = 0;
}
