/* What the files of the Jinja interpreter share: memory, values, the syntax tree, a rendering.
 * jinja.h is the interface for all other files.
 *
 * Functions that can fail return false after pith_jinja_fail has stored the message; their outputs
 * are then undefined. Nothing is freed on its own: an arena holds everything, and its limit bounds
 * it. */
#ifndef PITH_TOKENIZER_JINJA_PARTS_H
#define PITH_TOKENIZER_JINJA_PARTS_H

#include "tokenizer/jinja.h"

/* ---- Memory ---------------------------------------------------------------------------------- */

typedef struct pith_jinja_block pith_jinja_block;

typedef struct pith_jinja_arena {
    const pith_allocator *allocator;
    pith_jinja_block *blocks;
    size_t used, capacity; /* bytes of the newest block */
    size_t total, limit;   /* bytes taken from the allocator */
    bool exhausted;        /* the arena's limit was reached; false: the allocator had no more */
} pith_jinja_arena;

/* count x size bytes aligned to 16, zeroed; NULL when there are none. */
void *pith_jinja_take(pith_jinja_arena *arena, size_t count, size_t size);
void pith_jinja_arena_release(pith_jinja_arena *arena);

/* ---- Values ---------------------------------------------------------------------------------- */

typedef enum pith_jinja_kind {
    PITH_JINJA_ABSENT, /* no value: an argument that was not given */
    PITH_JINJA_UNDEFINED,
    PITH_JINJA_NONE,
    PITH_JINJA_BOOL,
    PITH_JINJA_INT,
    PITH_JINJA_FLOAT,
    PITH_JINJA_STRING,
    PITH_JINJA_LIST,
    PITH_JINJA_TUPLE,
    PITH_JINJA_RANGE,
    PITH_JINJA_VIEW, /* of a dictionary: keys, values or items */
    PITH_JINJA_GENERATOR,
    PITH_JINJA_DICT,
    PITH_JINJA_NAMESPACE,
    PITH_JINJA_LOOP,
    PITH_JINJA_MACRO,
    PITH_JINJA_METHOD,
    PITH_JINJA_FUNCTION,
} pith_jinja_kind;

/* Bytes and where they come from; strings are views of it. Run i covers [end of run i - 1, end). */
typedef struct pith_jinja_run {
    uint32_t end;
    pith_origin origin;
} pith_jinja_run;

typedef struct pith_jinja_buffer {
    char *data;
    pith_jinja_run *runs;
    uint32_t used, capacity;
    uint32_t n_runs, run_capacity;
    bool grows; /* bytes may be added behind `used`: the buffer owns its memory */
} pith_jinja_buffer;

typedef struct pith_jinja_value pith_jinja_value;
typedef struct pith_jinja_node pith_jinja_node;
typedef struct pith_jinja_scope pith_jinja_scope;

typedef struct pith_jinja_list {
    pith_jinja_value *items; /* [n] */
    size_t n;
    size_t next;               /* of a generator: items given out */
    const char *name;          /* of a view: "dict_keys" */
    int64_t start, stop, step; /* of a range */
} pith_jinja_list;

typedef struct pith_jinja_dict pith_jinja_dict;
typedef struct pith_jinja_loop pith_jinja_loop;
typedef struct pith_jinja_macro pith_jinja_macro;
typedef struct pith_jinja_method pith_jinja_method;
typedef struct pith_jinja_function pith_jinja_function;

struct pith_jinja_value {
    uint8_t kind;   /* pith_jinja_kind */
    uint8_t origin; /* of a scalar: where its digits come from */
    bool safe;      /* a string that the filter safe has marked */
    union {
        bool truth;
        int64_t integer;
        double real;
        struct {
            pith_jinja_buffer *buffer;
            uint32_t start, size; /* bytes */
        } text;
        struct {
            const char *name; /* what is undefined, for messages */
            size_t size;
        } missing;
        pith_jinja_list *list; /* list, tuple, range, view, generator */
        pith_jinja_dict *dict; /* dictionary, namespace */
        pith_jinja_loop *loop;
        pith_jinja_macro *macro;
        pith_jinja_method *method;
        const pith_jinja_function *function;
    } as;
};

typedef struct pith_jinja_entry {
    pith_jinja_value key, value;
} pith_jinja_entry;

struct pith_jinja_dict {
    pith_jinja_entry *entries; /* [n], in order of insertion */
    size_t n, capacity;
    uint32_t *slots; /* [n_slots] of a hash table: 1 + entry; NULL while small */
    size_t n_slots;
};

struct pith_jinja_loop {
    pith_jinja_value *items; /* [n] */
    size_t n, index0, depth0;
    const pith_jinja_node *node; /* of a recursive loop */
    pith_jinja_scope *scope;     /* where that loop stands */
    pith_jinja_value changed;    /* the last arguments of loop.changed; absent at first */
};

struct pith_jinja_macro {
    const pith_jinja_node *node; /* MACRO, or CALL_BLOCK for its caller */
    pith_jinja_scope *scope;     /* where it was defined */
};

struct pith_jinja_method {
    pith_jinja_value self;
    const char *name;
};

/* ---- Syntax tree ----------------------------------------------------------------------------- */

typedef enum pith_jinja_type {
    /* Expressions */
    PITH_NODE_CONST,
    PITH_NODE_NAME,
    PITH_NODE_TUPLE,  /* a: items */
    PITH_NODE_LIST,   /* a: items */
    PITH_NODE_DICT,   /* a: keys, each with its value in a->b */
    PITH_NODE_PAIR,   /* a: key, b: value */
    PITH_NODE_ATTR,   /* a.name */
    PITH_NODE_ITEM,   /* a[b] */
    PITH_NODE_SLICE,  /* a:b:c, the index of an ITEM */
    PITH_NODE_CALL,   /* a(b: arguments) */
    PITH_NODE_FILTER, /* a|name(b); a NULL: of a block */
    PITH_NODE_TEST,   /* a is name(b) */
    PITH_NODE_ARG,    /* a; name: keyword; op '*' or '2' (**): spread */
    PITH_NODE_UNARY,  /* op a: '!' '-' '+' */
    PITH_NODE_AND,
    PITH_NODE_OR,
    PITH_NODE_BINARY,  /* a op b: + - * / F(//) % P(**) ~ */
    PITH_NODE_COMPARE, /* a, then b: operands, each with its op */
    PITH_NODE_OPERAND, /* op: = ! < > l(<=) g(>=) i(in) n(not in) */
    PITH_NODE_COND,    /* a if b else c */
    PITH_NODE_NSREF,   /* a.name as a target; a: NAME */
    /* Statements */
    PITH_NODE_TEXT,
    PITH_NODE_OUTPUT,      /* a */
    PITH_NODE_IF,          /* a, b: body, c: else */
    PITH_NODE_FOR,         /* for a in b if e: c: body, d: else; flag: recursive */
    PITH_NODE_SET,         /* a = b */
    PITH_NODE_SETBLOCK,    /* a = b: filters of c: body */
    PITH_NODE_MACRO,       /* name(a: parameters), b: body */
    PITH_NODE_PARAM,       /* name = a */
    PITH_NODE_CALLBLOCK,   /* c: call, a: parameters, b: body; as MACRO */
    PITH_NODE_FILTERBLOCK, /* a: filters, b: body */
    PITH_NODE_WITH,        /* a: PAIRs of target and value, b: body */
    PITH_NODE_GENERATION,  /* b: body */
    PITH_NODE_BREAK,
    PITH_NODE_CONTINUE,
} pith_jinja_type;

enum { PITH_USES_CALLER = 1, PITH_USES_KWARGS = 2, PITH_USES_VARARGS = 4 };

struct pith_jinja_node {
    uint8_t type; /* pith_jinja_type */
    char op;
    bool flag;
    uint8_t uses;     /* of a macro: PITH_USES_... */
    uint32_t line;    /* from 1 */
    uint32_t symbol;  /* of a name */
    const char *name; /* [n_name], NUL-terminated */
    size_t n_name;
    pith_jinja_node *a, *b, *c, *d, *e;
    pith_jinja_node *next;  /* in a list */
    pith_jinja_value value; /* of CONST and TEXT */
};

struct pith_template {
    pith_jinja_arena arena;
    pith_jinja_node *body;
    const char **names; /* [n_names] of the symbols */
    size_t n_names;
    size_t max_steps; /* of a rendering */
};

/* ---- Lexer ----------------------------------------------------------------------------------- */

typedef enum pith_jinja_token_kind {
    PITH_TOKEN_END,
    PITH_TOKEN_DATA,
    PITH_TOKEN_OPEN_OUTPUT, /* {{ */
    PITH_TOKEN_CLOSE_OUTPUT,
    PITH_TOKEN_OPEN_BLOCK, /* {% */
    PITH_TOKEN_CLOSE_BLOCK,
    PITH_TOKEN_NAME,
    PITH_TOKEN_STRING,
    PITH_TOKEN_INT,
    PITH_TOKEN_FLOAT,
    PITH_TOKEN_OPERATOR,
} pith_jinja_token_kind;

typedef struct pith_jinja_token {
    pith_jinja_token_kind kind;
    char op; /* of an operator: its character; F //, P **, = ==, a =, ! !=, l <=, g >= */
    uint32_t line;
    const char *text; /* [n]: data, a name, a decoded string */
    size_t n;
    int64_t integer;
    double real;
} pith_jinja_token;

typedef struct pith_jinja_lexer {
    pith_jinja_arena *arena;
    pith_error *error;
    pith_status status;
    const char *source; /* [n], newlines normalised, NUL-terminated */
    size_t n, at;
    uint32_t line;
    enum { PITH_LEX_TEXT, PITH_LEX_OUTPUT, PITH_LEX_BLOCK, PITH_LEX_RAW } mode;
    bool line_starting;
    char brackets[PITH_JINJA_MAX_NESTING];
    size_t n_brackets;
} pith_jinja_lexer;

/* The next token; its text lives in the source or the arena. */
bool pith_jinja_lex(pith_jinja_lexer *lexer, pith_jinja_token *token);

/* Stores "line N: ..." unless there is an error already; returns false. */
bool pith_jinja_lex_fail(pith_jinja_lexer *lexer, pith_status status, uint32_t line,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Stores the error of an arena that is exhausted: its limit was reached, or the allocator
 * failed. */
bool pith_jinja_lex_no_memory(pith_jinja_lexer *lexer, uint32_t line);

/* ---- Parser ---------------------------------------------------------------------------------- */

typedef struct pith_jinja_parser {
    pith_jinja_lexer lexer;
    pith_jinja_arena *arena;
    pith_jinja_token token, ahead; /* the current one and the one behind it */
    size_t depth;
    size_t loops; /* for blocks around, within the same macro */
    bool soft;    /* inside a condition: an unknown filter is an error only when it runs */
    uint8_t uses; /* PITH_USES_... since the macro began */
    const char **names;
    size_t n_names, name_capacity;
} pith_jinja_parser;

bool pith_jinja_parse_begin(pith_jinja_parser *p);
bool pith_jinja_parse_template(pith_jinja_parser *p, pith_jinja_node **out);

bool pith_jinja_advance(pith_jinja_parser *p);
bool pith_jinja_parse_fail(pith_jinja_parser *p, const char *expected);
bool pith_jinja_is_op(const pith_jinja_parser *p, char op);
bool pith_jinja_is_name(const pith_jinja_parser *p, const char *name);
/* Moves on when the current token is that one; *found says whether. */
bool pith_jinja_skip_op(pith_jinja_parser *p, char op, bool *found);
bool pith_jinja_skip_name(pith_jinja_parser *p, const char *name, bool *found);
bool pith_jinja_expect_op(pith_jinja_parser *p, char op);
pith_jinja_node *pith_jinja_node_new(pith_jinja_parser *p, pith_jinja_type type);
bool pith_jinja_node_name(pith_jinja_parser *p, pith_jinja_node *node);
bool pith_jinja_parse_no_memory(pith_jinja_parser *p);
bool pith_jinja_token_is(const pith_jinja_token *token, const char *name);
bool pith_jinja_enter(pith_jinja_parser *p);
void pith_jinja_leave(pith_jinja_parser *p);

bool pith_jinja_parse_expression(pith_jinja_parser *p, bool conditional, pith_jinja_node **out);
/* One expression, or several with commas between as a tuple. `end`: a name that ends it, or NULL.
 */
bool pith_jinja_parse_tuple(pith_jinja_parser *p, bool conditional, bool parentheses,
                            const char *end, pith_jinja_node **out);
/* Names and tuples of names; with `spaces` also namespace.attribute. */
bool pith_jinja_parse_target(pith_jinja_parser *p, bool spaces, pith_jinja_node **out);
/* The filters at the current token around `node`; `inline_first`: without a | before the first. */
bool pith_jinja_parse_filters(pith_jinja_parser *p, pith_jinja_node *node, bool inline_first,
                              pith_jinja_node **out);

/* ---- Rendering ------------------------------------------------------------------------------- */

typedef struct pith_jinja_slot {
    uint32_t symbol;
    pith_jinja_value value;
} pith_jinja_slot;

struct pith_jinja_scope {
    pith_jinja_scope *parent;
    pith_jinja_slot *slots; /* [n] */
    size_t n, capacity;
};

typedef struct pith_jinja {
    pith_jinja_arena arena;
    const pith_template *source;
    const pith_template_input *input;
    pith_jinja_dict context;
    pith_jinja_buffer *output; /* of the block being rendered */
    size_t steps, depth;
    uint32_t line; /* of the node being evaluated */
    enum { PITH_FLOW_ON, PITH_FLOW_BREAK, PITH_FLOW_CONTINUE } flow;
    pith_error *error;
    pith_status status;
} pith_jinja;

bool pith_jinja_fail(pith_jinja *j, pith_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Python's TypeError and its like: ARGUMENT. */
#define pith_jinja_refuse(j, ...) pith_jinja_fail((j), PITH_ERROR_ARGUMENT, __VA_ARGS__)
bool pith_jinja_no_memory(pith_jinja *j);
/* As pith_jinja_take; the failure is stored. */
void *pith_jinja_new(pith_jinja *j, size_t count, size_t size);
/* Counts work; false when there was too much. */
bool pith_jinja_spend(pith_jinja *j, size_t steps);
/* One more level of recursion over values or nodes. */
bool pith_jinja_deeper(pith_jinja *j);

bool pith_jinja_eval(pith_jinja *j, const pith_jinja_node *node, pith_jinja_scope *scope,
                     pith_jinja_value *out);
bool pith_jinja_run_body(pith_jinja *j, const pith_jinja_node *body, pith_jinja_scope *scope);
/* Renders a body to a string. */
bool pith_jinja_capture(pith_jinja *j, const pith_jinja_node *body, pith_jinja_scope *scope,
                        pith_jinja_value *out);
bool pith_jinja_scope_set(pith_jinja *j, pith_jinja_scope *scope, uint32_t symbol,
                          pith_jinja_value value);
bool pith_jinja_lookup(pith_jinja *j, const pith_jinja_node *name, pith_jinja_scope *scope,
                       pith_jinja_value *out);
/* Runs a for block over an iterable. */
bool pith_jinja_run_for(pith_jinja *j, const pith_jinja_node *node, pith_jinja_scope *scope,
                        pith_jinja_value iterable, size_t depth0);

/* ---- Arguments ------------------------------------------------------------------------------- */

typedef struct pith_jinja_named {
    pith_jinja_value name; /* a string */
    pith_jinja_value value;
} pith_jinja_named;

typedef struct pith_jinja_args {
    const char *what;        /* what is called, for messages */
    pith_jinja_value *items; /* [n] */
    size_t n;
    pith_jinja_named *named; /* [n_named] */
    size_t n_named;
} pith_jinja_args;

/* Puts arguments in the places of names [n], absent where there is none; refuses others. */
bool pith_jinja_bind(pith_jinja *j, const pith_jinja_args *args, const char *const *names, size_t n,
                     pith_jinja_value *out);
bool pith_jinja_eval_args(pith_jinja *j, const pith_jinja_node *list, pith_jinja_scope *scope,
                          pith_jinja_args *out);
bool pith_jinja_call(pith_jinja *j, pith_jinja_value callee, pith_jinja_args *args,
                     pith_jinja_value *out);
bool pith_jinja_call_macro(pith_jinja *j, const pith_jinja_macro *macro,
                           const pith_jinja_args *args, pith_jinja_value *out);

struct pith_jinja_function {
    const char *name;
    bool (*fn)(pith_jinja *j, const pith_jinja_args *args, pith_jinja_value *out);
};
const pith_jinja_function *pith_jinja_find_function(const char *name);

bool pith_jinja_filter_exists(const char *name);
bool pith_jinja_filter(pith_jinja *j, const char *name, pith_jinja_value value,
                       const pith_jinja_args *args, pith_jinja_value *out);
bool pith_jinja_test_exists(const char *name);
bool pith_jinja_test(pith_jinja *j, const char *name, pith_jinja_value value,
                     const pith_jinja_args *args, bool *out);
/* Filters of sequences (jinja_sequences.c); *found is false when `name` is none. */
typedef bool (*pith_jinja_filter_fn)(pith_jinja *j, pith_jinja_value value,
                                     const pith_jinja_args *args, pith_jinja_value *out);
pith_jinja_filter_fn pith_jinja_find_sequence_filter(const char *name);

/* ---- Operations on values -------------------------------------------------------------------- */

static inline pith_jinja_value pith_jinja_of_kind(pith_jinja_kind kind) {
    return (pith_jinja_value){.kind = (uint8_t)kind};
}
static inline pith_jinja_value pith_jinja_bool(bool truth) {
    return (pith_jinja_value){.kind = PITH_JINJA_BOOL, .as.truth = truth};
}
static inline pith_jinja_value pith_jinja_int(int64_t integer) {
    return (pith_jinja_value){.kind = PITH_JINJA_INT, .as.integer = integer};
}
static inline pith_jinja_value pith_jinja_real(double real) {
    return (pith_jinja_value){.kind = PITH_JINJA_FLOAT, .as.real = real};
}
static inline bool pith_jinja_is_number(pith_jinja_value v) {
    return v.kind >= PITH_JINJA_BOOL && v.kind <= PITH_JINJA_FLOAT;
}
static inline const char *pith_jinja_bytes(const pith_jinja_value *v) {
    return v->as.text.buffer->data + v->as.text.start;
}
pith_jinja_value pith_jinja_undefined(const char *name, size_t size);

/* "str", "int", "list": Python's name of the type. */
const char *pith_jinja_type_name(pith_jinja_value v);
bool pith_jinja_truth(pith_jinja_value v);
/* Reads a number as int64_t: bool and int only. */
bool pith_jinja_as_int(pith_jinja_value v, int64_t *out);
double pith_jinja_as_real(pith_jinja_value v);
bool pith_jinja_is_text(const pith_jinja_value *v, const char *text);

/* A view of bytes that outlive the rendering. */
bool pith_jinja_borrow(pith_jinja *j, const char *text, size_t n, pith_origin origin,
                       pith_jinja_value *out);
pith_jinja_value pith_jinja_part(pith_jinja_value v, size_t start, size_t size);
/* `a` and `b` are both safe or both not. */
bool pith_jinja_concat(pith_jinja *j, pith_jinja_value a, pith_jinja_value b,
                       pith_jinja_value *out);
/* The run of one origin that byte `at` of a string begins or lies in: its bytes from there on. */
size_t pith_jinja_piece(const pith_jinja_value *v, size_t at, pith_origin *origin);
size_t pith_jinja_count_chars(const pith_jinja_value *v);

/* Strings being built. */
pith_jinja_buffer *pith_jinja_buffer_new(pith_jinja *j, size_t capacity);
bool pith_jinja_append(pith_jinja *j, pith_jinja_buffer *b, const char *text, size_t n,
                       pith_origin origin);
bool pith_jinja_append_value(pith_jinja *j, pith_jinja_buffer *b, const pith_jinja_value *text);
pith_jinja_value pith_jinja_finish(pith_jinja_buffer *b);

bool pith_jinja_list_new(pith_jinja *j, pith_jinja_kind kind, size_t n, pith_jinja_value *out);
/* A list that grows. */
bool pith_jinja_push(pith_jinja *j, pith_jinja_list *list, size_t *capacity,
                     pith_jinja_value value);
/* The items of anything that Python iterates; uses a generator up. */
bool pith_jinja_iterate(pith_jinja *j, pith_jinja_value v, pith_jinja_value **items, size_t *n);
bool pith_jinja_length(pith_jinja *j, pith_jinja_value v, size_t *n);

bool pith_jinja_dict_new(pith_jinja *j, pith_jinja_value *out);
bool pith_jinja_dict_put(pith_jinja *j, pith_jinja_dict *dict, pith_jinja_value key,
                         pith_jinja_value value);
/* *out is NULL when there is none. Refuses a key that Python cannot hash. */
bool pith_jinja_dict_find(pith_jinja *j, const pith_jinja_dict *dict, pith_jinja_value key,
                          pith_jinja_value **out);
pith_jinja_value *pith_jinja_dict_text(const pith_jinja_dict *dict, const char *key, size_t n);
bool pith_jinja_from_json(pith_jinja *j, pith_json json, pith_jinja_value *out);

bool pith_jinja_equal(pith_jinja *j, pith_jinja_value a, pith_jinja_value b, bool *out);
/* *out < 0, 0, > 0; refuses what Python cannot order. */
bool pith_jinja_order(pith_jinja *j, pith_jinja_value a, pith_jinja_value b, int *out);
bool pith_jinja_contains(pith_jinja *j, pith_jinja_value container, pith_jinja_value item,
                         bool *out);
bool pith_jinja_binary(pith_jinja *j, char op, pith_jinja_value a, pith_jinja_value b,
                       pith_jinja_value *out);
bool pith_jinja_unary(pith_jinja *j, char op, pith_jinja_value a, pith_jinja_value *out);
/* text % value: printf-style formatting, and text.format(). */
bool pith_jinja_percent(pith_jinja *j, pith_jinja_value text, pith_jinja_value value,
                        pith_jinja_value *out);
bool pith_jinja_format(pith_jinja *j, pith_jinja_value text, const pith_jinja_args *args,
                       pith_jinja_value *out);

/* v.name and v[key]; undefined when there is none. */
bool pith_jinja_attribute(pith_jinja *j, pith_jinja_value v, const char *name, size_t n,
                          pith_jinja_value *out);
bool pith_jinja_subscript(pith_jinja *j, pith_jinja_value v, pith_jinja_value key,
                          pith_jinja_value *out);
/* v[start:stop:step]; absent or none: not given. */
bool pith_jinja_slice(pith_jinja *j, pith_jinja_value v, const pith_jinja_value bounds[3],
                      pith_jinja_value *out);

/* The method of that name, NULL when the type has none; *unsupported: Python has it, this
 * interpreter does not. */
bool pith_jinja_find_method(pith_jinja_value self, const char *name, size_t n, const char **found,
                            bool *unsupported);
bool pith_jinja_call_method(pith_jinja *j, const pith_jinja_method *method,
                            const pith_jinja_args *args, pith_jinja_value *out);
/* What the files of methods share: checks of arguments, and the last place of `cut` in a text. */
bool pith_jinja_need_text(pith_jinja *j, const pith_jinja_args *args, pith_jinja_value v);
bool pith_jinja_positional(pith_jinja *j, const pith_jinja_args *args, size_t low, size_t high);
bool pith_jinja_find_last(const char *text, size_t n, const char *cut, size_t size, size_t *found);
bool pith_jinja_method_split(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                             pith_jinja_value *out);
bool pith_jinja_method_rsplit(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                              pith_jinja_value *out);
bool pith_jinja_method_splitlines(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                                  pith_jinja_value *out);
bool pith_jinja_method_partition(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                                 pith_jinja_value *out);
bool pith_jinja_method_rpartition(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                                  pith_jinja_value *out);
/* str.strip and its siblings: bytes [*start, *end) of v without those of `chars` (absent or none:
 * white space). */
bool pith_jinja_strip(pith_jinja *j, const pith_jinja_value *v, pith_jinja_value chars, bool left,
                      bool right, pith_jinja_value *out);
bool pith_jinja_replace(pith_jinja *j, pith_jinja_value v, pith_jinja_value old,
                        pith_jinja_value with, int64_t count, pith_jinja_value *out);
/* str.upper and its siblings; mode: u, l, t (title), c (capitalize), s (swapcase), T (the filter
 * title). */
bool pith_jinja_change_case(pith_jinja *j, const pith_jinja_value *v, char mode,
                            pith_jinja_value *out);
bool pith_jinja_is_space(uint32_t code);
bool pith_jinja_split_lines(pith_jinja *j, const pith_jinja_value *v, pith_jinja_value *out);

/* ---- Values as text -------------------------------------------------------------------------- */

/* str(v); a string stays as it is. */
bool pith_jinja_str(pith_jinja *j, pith_jinja_value v, pith_jinja_value *out);
bool pith_jinja_repr(pith_jinja *j, pith_jinja_buffer *b, pith_jinja_value v);
typedef struct pith_jinja_json_style {
    bool ascii, sort, indented;
    pith_jinja_value indent;    /* a string; with `indented` */
    pith_jinja_value item, key; /* strings: the separators */
} pith_jinja_json_style;
bool pith_jinja_to_json(pith_jinja *j, pith_jinja_value v, const pith_jinja_json_style *style,
                        pith_jinja_value *out);
/* Python's repr of a float; out [40]. */
enum { PITH_JINJA_REAL_SIZE = 40 };
size_t pith_jinja_show_real(double v, char *out);
/* Reads float(text) as Python does; false: no number. */
bool pith_jinja_read_real(const char *text, size_t n, double *out);
/* Reads int(text, base); false: no number, *large: or one beyond 64 bits. */
bool pith_jinja_read_int(const char *text, size_t n, int base, int64_t *out, bool *large);
bool pith_jinja_strftime(pith_jinja *j, pith_jinja_value format, pith_jinja_value *out);

#endif
