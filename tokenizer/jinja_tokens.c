/* The parser's tokens, messages and nodes. */
#include "tokenizer/jinja_parts.h"

#include <stdio.h>
#include <string.h>

bool pith_jinja_advance(pith_jinja_parser *p) {
    p->token = p->ahead;
    return p->token.kind == PITH_TOKEN_END || pith_jinja_lex(&p->lexer, &p->ahead);
}

bool pith_jinja_parse_begin(pith_jinja_parser *p) {
    return pith_jinja_lex(&p->lexer, &p->ahead) && pith_jinja_advance(p);
}

static void describe(const pith_jinja_token *token, char *out, size_t size) {
    static const char *const kinds[] = {"the end of the template",
                                        "text",
                                        "'{{'",
                                        "'}}'",
                                        "'{%'",
                                        "'%}'",
                                        NULL,
                                        "a string",
                                        "a number",
                                        "a number",
                                        NULL};
    static const char *const pairs[] = {"F//", "P**", "===", "a=", "!!=", "l<=", "g>="};
    if (token->kind == PITH_TOKEN_NAME) {
        snprintf(out, size, "'%.*s'", (int)(token->n < 40 ? token->n : 40), token->text);
        return;
    }
    if (token->kind != PITH_TOKEN_OPERATOR) {
        snprintf(out, size, "%s", kinds[token->kind]);
        return;
    }
    snprintf(out, size, "'%c'", token->op);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i][0] == token->op) {
            snprintf(out, size, "'%s'", pairs[i] + 1);
        }
    }
}

bool pith_jinja_parse_fail(pith_jinja_parser *p, const char *expected) {
    char found[64];
    describe(&p->token, found, sizeof found);
    return pith_jinja_lex_fail(&p->lexer, PITH_ERROR_FORMAT, p->token.line, "expected %s, not %s",
                               expected, found);
}

bool pith_jinja_is_op(const pith_jinja_parser *p, char op) {
    return p->token.kind == PITH_TOKEN_OPERATOR && p->token.op == op;
}

bool pith_jinja_token_is(const pith_jinja_token *token, const char *name) {
    return token->kind == PITH_TOKEN_NAME && token->n == strlen(name) &&
           memcmp(token->text, name, token->n) == 0;
}

bool pith_jinja_is_name(const pith_jinja_parser *p, const char *name) {
    return pith_jinja_token_is(&p->token, name);
}

bool pith_jinja_skip_op(pith_jinja_parser *p, char op, bool *found) {
    *found = pith_jinja_is_op(p, op);
    return !*found || pith_jinja_advance(p);
}

bool pith_jinja_skip_name(pith_jinja_parser *p, const char *name, bool *found) {
    *found = pith_jinja_is_name(p, name);
    return !*found || pith_jinja_advance(p);
}

bool pith_jinja_expect_op(pith_jinja_parser *p, char op) {
    if (pith_jinja_is_op(p, op)) {
        return pith_jinja_advance(p);
    }
    char expected[4] = {'\'', op == 'a' ? '=' : op, '\'', '\0'};
    return pith_jinja_parse_fail(p, expected);
}

bool pith_jinja_parse_no_memory(pith_jinja_parser *p) {
    return pith_jinja_lex_no_memory(&p->lexer, p->token.line);
}

pith_jinja_node *pith_jinja_node_new(pith_jinja_parser *p, pith_jinja_type type) {
    pith_jinja_node *node = pith_jinja_take(p->arena, 1, sizeof *node);
    if (node == NULL) {
        pith_jinja_parse_no_memory(p);
        return NULL;
    }
    node->type = (uint8_t)type;
    node->line = p->token.line;
    return node;
}

/* Gives a node the current token's name, and its symbol; moves on. */
bool pith_jinja_node_name(pith_jinja_parser *p, pith_jinja_node *node) {
    if (p->token.kind != PITH_TOKEN_NAME) {
        return pith_jinja_parse_fail(p, "a name");
    }
    size_t n = p->token.n;
    for (node->symbol = 0; node->symbol < p->n_names; node->symbol++) {
        const char *name = p->names[node->symbol];
        if (strlen(name) == n && memcmp(name, p->token.text, n) == 0) {
            break;
        }
    }
    if (node->symbol == p->n_names) {
        if (p->n_names == p->name_capacity) {
            size_t capacity = p->name_capacity * 2 + 32;
            const char **names = pith_jinja_take(p->arena, capacity, sizeof *names);
            if (names == NULL) {
                return pith_jinja_parse_no_memory(p);
            }
            if (p->n_names > 0) {
                memcpy(names, p->names, p->n_names * sizeof *names);
            }
            p->names = names;
            p->name_capacity = capacity;
        }
        char *copy = pith_jinja_take(p->arena, n + 1, 1);
        if (copy == NULL) {
            return pith_jinja_parse_no_memory(p);
        }
        memcpy(copy, p->token.text, n);
        p->names[p->n_names++] = copy;
    }
    node->name = p->names[node->symbol];
    node->n_name = n;
    return pith_jinja_advance(p);
}

bool pith_jinja_enter(pith_jinja_parser *p) {
    return ++p->depth <= PITH_JINJA_MAX_NESTING ||
           pith_jinja_lex_fail(&p->lexer, PITH_ERROR_FORMAT, p->token.line,
                               "more than %d expressions or blocks inside each other",
                               PITH_JINJA_MAX_NESTING);
}

void pith_jinja_leave(pith_jinja_parser *p) {
    p->depth--;
}
