/* Chat templates in the Jinja language, rendered as transformers' apply_chat_template does: a
 * sandbox, trim_blocks and lstrip_blocks on, loop controls, a generation block, tojson without HTML
 * escapes. Python's own behaviour (str, repr, division, slices) is part of the language.
 *
 *     pith_template *t;
 *     status = pith_template_compile(&t, source, n, NULL, allocator, error);
 *     pith_template_input input = {.conversation = json, .texts = tokens, .n_texts = 2};
 *     pith_template_output out;
 *     status = pith_template_render(t, &input, &out, error);      -- out.text, out.spans
 *     pith_template_output_release(&out);
 *     pith_template_free(t);
 *
 * A template is untrusted: limits bound its steps, nesting, memory and output, and an error names
 * the line. A compiled template is immutable and may be rendered by several threads at once.
 *
 * Every byte of the output knows its origin. Bytes of a template's own text, of its string literals
 * and of numbers it computed are template text; bytes of the conversation are data, through every
 * filter, method and operator. So text of a user never counts as a control token. A message's role
 * is template text where it is one of the names that templates know ("user"): some write tokens
 * around it. */
#ifndef PITH_TOKENIZER_JINJA_H
#define PITH_TOKENIZER_JINJA_H

#include "base/bytes.h"
#include "base/json.h"

enum {
    PITH_JINJA_MAX_SOURCE = 1 << 20,   /* bytes of a template; the longest published has 17 kB */
    PITH_JINJA_MAX_NESTING = 100,      /* expressions, and blocks, inside each other */
    PITH_JINJA_MAX_DEPTH = 800,        /* levels of evaluation, macro calls included */
    PITH_JINJA_MAX_STEPS = 3000000,    /* nodes evaluated, and bytes or items worked on by 32 */
    PITH_JINJA_MAX_MEMORY = 128 << 20, /* bytes that compiling, or a rendering, may allocate */
    PITH_JINJA_MAX_OUTPUT = 16 << 20,  /* bytes of one string, the output included */
    PITH_JINJA_MAX_RANGE = 100000,     /* numbers in a range(), as in Jinja's sandbox */
    PITH_JINJA_MAX_ITEMS = 1000000,    /* items of a list */
};

typedef enum pith_origin {
    PITH_ORIGIN_TEMPLATE,
    PITH_ORIGIN_DATA,
} pith_origin;

/* Bytes [start, start + size) of an output. */
typedef struct pith_template_span {
    size_t start, size;
    pith_origin origin;
} pith_template_span;

/* A variable whose text counts as the template's own: bos_token and its like. */
typedef struct pith_template_text {
    const char *name, *text; /* NUL-terminated */
} pith_template_text;

/* A local date and time. */
typedef struct pith_template_time {
    int year, month, day;             /* 2026, 1 to 12, 1 to 31 */
    int hour, minute, second, micros; /* from 0 */
} pith_template_time;

typedef struct pith_template_input {
    pith_json conversation;          /* an object: each member is a variable, all of it data */
    pith_json variables;             /* another one, whose members take precedence; absent: none */
    const pith_template_text *texts; /* [n_texts]; a member of the same name takes precedence */
    size_t n_texts;
    const char *without;           /* a member that is no variable, or NULL */
    const pith_template_time *now; /* for strftime_now; NULL: that function is an error */
} pith_template_input;

typedef struct pith_template_output {
    pith_bytes text;           /* UTF-8 */
    pith_template_span *spans; /* [n_spans], in order, no two neighbours of one origin */
    size_t n_spans;
} pith_template_output;

/* What a template may use; 0, or more than the maximum: the maximum. */
typedef struct pith_template_limits {
    size_t memory; /* bytes of compiling, and of each rendering; PITH_JINJA_MAX_MEMORY */
    size_t steps;  /* of each rendering; PITH_JINJA_MAX_STEPS */
} pith_template_limits;

typedef struct pith_template pith_template;

/* Parses a template; `limits` (NULL: the maxima) hold for its renderings too. Errors: FORMAT
 * (syntax, line named; a limit), UNSUPPORTED (a construct outside the language), TEXT (no UTF-8),
 * MEMORY. */
pith_status pith_template_compile(pith_template **out, const char *source, size_t n,
                                  const pith_template_limits *limits,
                                  const pith_allocator *allocator, pith_error *error);
void pith_template_free(pith_template *t);

/* Renders a conversation. `out` is the caller's to release, untouched on failure. Errors: ARGUMENT
 * (the template refused the conversation, or an expression has no value; the line is named),
 * UNSUPPORTED (a construct outside the language), FORMAT (a limit), MEMORY. */
pith_status pith_template_render(const pith_template *t, const pith_template_input *input,
                                 pith_template_output *out, pith_error *error);
void pith_template_output_release(pith_template_output *out);

#endif
