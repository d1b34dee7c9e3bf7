/* Jinja's statements: what stands in {% ... %}. */
#include "tokenizer/jinja_parts.h"

#include <string.h>

typedef pith_jinja_parser parser;
typedef pith_jinja_node node;

static bool parse_body(parser *p, const char *const *ends, node **out);

static bool expect_close(parser *p) {
    return p->token.kind == PITH_TOKEN_CLOSE_BLOCK ? pith_jinja_advance(p)
                                                   : pith_jinja_parse_fail(p, "'%}'");
}

/* The body up to one of the ends, whose name becomes the current token. */
static bool parse_until(parser *p, const char *const *ends, node **out) {
    bool colon;
    return pith_jinja_skip_op(p, ':', &colon) && expect_close(p) && parse_body(p, ends, out);
}

static bool parse_block(parser *p, const char *end, node **out) {
    const char *const ends[] = {end, NULL};
    return parse_until(p, ends, out) && pith_jinja_advance(p);
}

/* As parse_block, in a scope where an unknown filter fails at once and break has no loop. */
static bool parse_function_body(parser *p, const char *end, node **out) {
    size_t loops = p->loops;
    bool soft = p->soft;
    p->loops = 0;
    p->soft = false;
    bool ok = parse_block(p, end, out);
    p->loops = loops;
    p->soft = soft;
    return ok;
}

static bool parse_if(parser *p, node **out) {
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    bool soft = p->soft;
    p->soft = true;
    node *first = pith_jinja_node_new(p, PITH_NODE_IF);
    if (first == NULL) {
        return false;
    }
    *out = first;
    for (node *at = first;;) {
        if (!pith_jinja_advance(p) || !pith_jinja_parse_tuple(p, false, false, NULL, &at->a) ||
            !parse_until(p, ends, &at->b)) {
            return false;
        }
        if (pith_jinja_is_name(p, "elif")) {
            at->c = pith_jinja_node_new(p, PITH_NODE_IF);
            if (at->c == NULL) {
                return false;
            }
            at = at->c;
            continue;
        }
        bool otherwise = pith_jinja_is_name(p, "else");
        if (!pith_jinja_advance(p) || (otherwise && !parse_block(p, "endif", &at->c))) {
            return false;
        }
        p->soft = soft;
        return true;
    }
}

static bool parse_for_head(parser *p, node *loop) {
    bool conditional;
    if (!pith_jinja_advance(p) || !pith_jinja_parse_target(p, false, &loop->a)) {
        return false;
    }
    if (!pith_jinja_is_name(p, "in")) {
        return pith_jinja_parse_fail(p, "'in'");
    }
    return pith_jinja_advance(p) &&
           pith_jinja_parse_tuple(p, false, false, "recursive", &loop->b) &&
           pith_jinja_skip_name(p, "if", &conditional) &&
           (!conditional || pith_jinja_parse_expression(p, true, &loop->e)) &&
           pith_jinja_skip_name(p, "recursive", &loop->flag);
}

static bool parse_for(parser *p, node **out) {
    static const char *const ends[] = {"endfor", "else", NULL};
    node *loop = pith_jinja_node_new(p, PITH_NODE_FOR);
    if (loop == NULL || !parse_for_head(p, loop)) {
        return false;
    }
    *out = loop;
    bool soft = p->soft;
    p->soft = false;
    p->loops++;
    bool ok = parse_until(p, ends, &loop->c);
    p->loops--;
    if (ok) {
        bool otherwise = pith_jinja_is_name(p, "else");
        ok = pith_jinja_advance(p) && (!otherwise || parse_block(p, "endfor", &loop->d));
    }
    p->soft = soft;
    return ok;
}

static bool parse_set(parser *p, node **out) {
    node *set = pith_jinja_node_new(p, PITH_NODE_SET);
    if (set == NULL || !pith_jinja_advance(p) || !pith_jinja_parse_target(p, true, &set->a)) {
        return false;
    }
    *out = set;
    if (pith_jinja_is_op(p, 'a')) {
        return pith_jinja_advance(p) && pith_jinja_parse_tuple(p, true, false, NULL, &set->b);
    }
    set->type = PITH_NODE_SETBLOCK;
    return pith_jinja_parse_filters(p, NULL, false, &set->b) &&
           parse_function_body(p, "endset", &set->c);
}

static bool parse_parameters(parser *p, node **out) {
    bool defaults = false;
    if (!pith_jinja_expect_op(p, '(')) {
        return false;
    }
    for (node **at = out; !pith_jinja_is_op(p, ')'); at = &(*at)->next) {
        if (at != out && !pith_jinja_expect_op(p, ',')) {
            return false;
        }
        node *parameter = pith_jinja_node_new(p, PITH_NODE_PARAM);
        bool given = false;
        if (parameter == NULL || !pith_jinja_node_name(p, parameter) ||
            !pith_jinja_skip_op(p, 'a', &given) ||
            (given && !pith_jinja_parse_expression(p, true, &parameter->a))) {
            return false;
        }
        if (defaults && !given) {
            return pith_jinja_parse_fail(p, "a default for every parameter behind the first");
        }
        defaults |= given;
        *at = parameter;
    }
    return pith_jinja_expect_op(p, ')');
}

static bool parse_macro(parser *p, node **out) {
    uint8_t uses = p->uses;
    p->uses = 0;
    node *macro = pith_jinja_node_new(p, PITH_NODE_MACRO);
    if (macro == NULL || !pith_jinja_advance(p) || !pith_jinja_node_name(p, macro) ||
        !parse_parameters(p, &macro->a) || !parse_function_body(p, "endmacro", &macro->b)) {
        return false;
    }
    macro->uses = p->uses;
    p->uses |= uses;
    *out = macro;
    return true;
}

static bool parse_call_block(parser *p, node **out) {
    node *block = pith_jinja_node_new(p, PITH_NODE_CALLBLOCK);
    if (block == NULL || !pith_jinja_advance(p) ||
        (pith_jinja_is_op(p, '(') && !parse_parameters(p, &block->a)) ||
        !pith_jinja_parse_expression(p, true, &block->c)) {
        return false;
    }
    if (block->c->type != PITH_NODE_CALL) {
        return pith_jinja_lex_fail(&p->lexer, PITH_ERROR_FORMAT, block->line,
                                   "a call block without a call");
    }
    uint8_t uses = p->uses;
    p->uses = 0;
    if (!parse_function_body(p, "endcall", &block->b)) {
        return false;
    }
    block->uses = p->uses;
    p->uses |= uses;
    *out = block;
    return true;
}

static bool parse_filter_block(parser *p, node **out) {
    node *block = pith_jinja_node_new(p, PITH_NODE_FILTERBLOCK);
    *out = block;
    return block != NULL && pith_jinja_advance(p) &&
           pith_jinja_parse_filters(p, NULL, true, &block->a) &&
           parse_function_body(p, "endfilter", &block->b);
}

static bool parse_with(parser *p, node **out) {
    node *with = pith_jinja_node_new(p, PITH_NODE_WITH);
    if (with == NULL || !pith_jinja_advance(p)) {
        return false;
    }
    *out = with;
    for (node **at = &with->a; p->token.kind != PITH_TOKEN_CLOSE_BLOCK; at = &(*at)->next) {
        node *pair = pith_jinja_node_new(p, PITH_NODE_PAIR);
        if (pair == NULL || (at != &with->a && !pith_jinja_expect_op(p, ','))) {
            return false;
        }
        pair->a = pith_jinja_node_new(p, PITH_NODE_NAME);
        if (pair->a == NULL || !pith_jinja_node_name(p, pair->a) || !pith_jinja_expect_op(p, 'a') ||
            !pith_jinja_parse_expression(p, true, &pair->b)) {
            return false;
        }
        *at = pair;
    }
    return parse_block(p, "endwith", &with->b);
}

static bool parse_generation(parser *p, node **out) {
    node *block = pith_jinja_node_new(p, PITH_NODE_GENERATION);
    *out = block;
    return block != NULL && pith_jinja_advance(p) &&
           parse_function_body(p, "endgeneration", &block->b);
}

static bool parse_print(parser *p, node **out) {
    node *print = pith_jinja_node_new(p, PITH_NODE_OUTPUT);
    *out = print;
    return print != NULL && pith_jinja_advance(p) &&
           pith_jinja_parse_expression(p, true, &print->a);
}

static bool parse_jump(parser *p, node **out) {
    bool stop = pith_jinja_is_name(p, "break");
    if (p->loops == 0) {
        return pith_jinja_parse_fail(p, "a loop around it");
    }
    *out = pith_jinja_node_new(p, stop ? PITH_NODE_BREAK : PITH_NODE_CONTINUE);
    return *out != NULL && pith_jinja_advance(p);
}

static const struct statement {
    const char *name;
    bool (*parse)(parser *p, node **out);
} statements[] = {
    {"if", parse_if},           {"for", parse_for},
    {"set", parse_set},         {"macro", parse_macro},
    {"call", parse_call_block}, {"filter", parse_filter_block},
    {"with", parse_with},       {"generation", parse_generation},
    {"print", parse_print},     {"break", parse_jump},
    {"continue", parse_jump},
};

static bool parse_statement(parser *p, node **out) {
    static const char *const refused[] = {"include", "import", "from",  "extends",
                                          "block",   "do",     "trans", "autoescape"};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (pith_jinja_is_name(p, statements[i].name)) {
            return statements[i].parse(p, out) && expect_close(p);
        }
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (pith_jinja_is_name(p, refused[i])) {
            return pith_jinja_lex_fail(&p->lexer, PITH_ERROR_UNSUPPORTED, p->token.line,
                                       "{%% %s %%} is not supported", refused[i]);
        }
    }
    return pith_jinja_parse_fail(p, "a statement");
}

static bool parse_text(parser *p, node **out) {
    node *text = pith_jinja_node_new(p, PITH_NODE_TEXT);
    pith_jinja_buffer *b = pith_jinja_take(p->arena, 1, sizeof *b);
    pith_jinja_run *run = pith_jinja_take(p->arena, 1, sizeof *run);
    if (text == NULL || b == NULL || run == NULL) {
        return pith_jinja_parse_no_memory(p);
    }
    uint32_t n = (uint32_t)p->token.n;
    *run = (pith_jinja_run){.end = n, .origin = PITH_ORIGIN_TEMPLATE};
    *b = (pith_jinja_buffer){.data = (char *)(uintptr_t)p->token.text,
                             .runs = run,
                             .used = n,
                             .capacity = n,
                             .n_runs = 1,
                             .run_capacity = 1};
    text->value = pith_jinja_of_kind(PITH_JINJA_STRING);
    text->value.as.text.buffer = b;
    text->value.as.text.size = n;
    *out = text;
    return pith_jinja_advance(p);
}

static bool parse_output(parser *p, node **out) {
    node *output = pith_jinja_node_new(p, PITH_NODE_OUTPUT);
    *out = output;
    if (output == NULL || !pith_jinja_advance(p) ||
        !pith_jinja_parse_tuple(p, true, false, NULL, &output->a)) {
        return false;
    }
    return p->token.kind == PITH_TOKEN_CLOSE_OUTPUT ? pith_jinja_advance(p)
                                                    : pith_jinja_parse_fail(p, "'}}'");
}

static bool at_end(const parser *p, const char *const *ends) {
    for (; ends != NULL && *ends != NULL; ends++) {
        if (pith_jinja_is_name(p, *ends)) {
            return true;
        }
    }
    return false;
}

static bool parse_items(parser *p, const char *const *ends, node **out) {
    for (node **at = out; p->token.kind != PITH_TOKEN_END; at = &(*at)->next) {
        bool ok;
        if (p->token.kind == PITH_TOKEN_DATA) {
            ok = parse_text(p, at);
        } else if (p->token.kind == PITH_TOKEN_OPEN_OUTPUT) {
            ok = parse_output(p, at);
        } else {
            ok = pith_jinja_advance(p);
            if (ok && at_end(p, ends)) {
                return true;
            }
            ok = ok && parse_statement(p, at);
        }
        if (!ok) {
            return false;
        }
    }
    return ends == NULL || pith_jinja_parse_fail(p, ends[0]);
}

/* Statements up to one of `ends`, NULL: the end of the template. */
static bool parse_body(parser *p, const char *const *ends, node **out) {
    bool ok = pith_jinja_enter(p) && parse_items(p, ends, out);
    pith_jinja_leave(p);
    return ok;
}

bool pith_jinja_parse_template(parser *p, node **out) {
    return parse_body(p, NULL, out);
}

/* ---- Tuples and targets ---------------------------------------------------------------------- */

static bool tuple_ends(const pith_jinja_parser *p, const char *end) {
    return p->token.kind == PITH_TOKEN_CLOSE_BLOCK || p->token.kind == PITH_TOKEN_CLOSE_OUTPUT ||
           pith_jinja_is_op(p, ')') || (end != NULL && pith_jinja_is_name(p, end));
}

bool pith_jinja_parse_tuple(pith_jinja_parser *p, bool conditional, bool parentheses,
                            const char *end, pith_jinja_node **out) {
    pith_jinja_node *tuple = pith_jinja_node_new(p, PITH_NODE_TUPLE);
    if (tuple == NULL) {
        return false;
    }
    bool comma = false;
    for (pith_jinja_node **at = &tuple->a; !tuple_ends(p, end); at = &(*at)->next) {
        if (!pith_jinja_parse_expression(p, conditional, at)) {
            return false;
        }
        if (!pith_jinja_is_op(p, ',')) {
            break;
        }
        comma = true;
        if (!pith_jinja_advance(p)) {
            return false;
        }
    }
    if (!comma && tuple->a == NULL && !parentheses) {
        return pith_jinja_parse_fail(p, "an expression");
    }
    *out = comma || tuple->a == NULL ? tuple : tuple->a;
    return true;
}

static bool parse_one_target(pith_jinja_parser *p, bool spaces, pith_jinja_node **out) {
    if (pith_jinja_is_op(p, '(')) {
        bool ok = pith_jinja_enter(p) && pith_jinja_advance(p) &&
                  pith_jinja_parse_target(p, spaces, out) && pith_jinja_expect_op(p, ')');
        pith_jinja_leave(p);
        return ok;
    }
    static const char *const constants[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < 6; i++) {
        if (pith_jinja_is_name(p, constants[i])) {
            return pith_jinja_parse_fail(p, "a name to assign to");
        }
    }
    pith_jinja_node *name = pith_jinja_node_new(p, PITH_NODE_NAME);
    if (name == NULL || !pith_jinja_node_name(p, name)) {
        return false;
    }
    *out = name;
    if (!spaces || !pith_jinja_is_op(p, '.')) {
        return true;
    }
    pith_jinja_node *attribute = pith_jinja_node_new(p, PITH_NODE_NSREF);
    if (attribute == NULL || !pith_jinja_advance(p) || !pith_jinja_node_name(p, attribute)) {
        return false;
    }
    attribute->a = name;
    *out = attribute;
    return true;
}

bool pith_jinja_parse_target(pith_jinja_parser *p, bool spaces, pith_jinja_node **out) {
    pith_jinja_node *first = NULL;
    if (!parse_one_target(p, spaces, &first)) {
        return false;
    }
    *out = first;
    if (!pith_jinja_is_op(p, ',')) {
        return true;
    }
    pith_jinja_node *tuple = pith_jinja_node_new(p, PITH_NODE_TUPLE);
    if (tuple == NULL) {
        return false;
    }
    tuple->a = first;
    *out = tuple;
    for (pith_jinja_node **at = &first->next; pith_jinja_is_op(p, ','); at = &(*at)->next) {
        if (!pith_jinja_advance(p)) {
            return false;
        }
        if (pith_jinja_is_name(p, "in") || pith_jinja_is_op(p, ')') || pith_jinja_is_op(p, 'a')) {
            break;
        }
        if (!parse_one_target(p, spaces, at)) {
            return false;
        }
    }
    return true;
}
