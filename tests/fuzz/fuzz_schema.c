/* A JSON schema, then a NUL byte and a text that decides which token of a small vocabulary comes
 * next each time. The schema must be compiled or refused with a message; under one that is compiled
 * the mask must agree with every token tried by itself, no state may lead nowhere, and a text that
 * may end must be JSON. */
#include "grammar/mask.h"
#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

enum { MAX_TEXT = 4096, MAX_STEPS = 200 };

/* Single bytes, then these. */
static const char *const words[] = {"{\"",      "\": ",      "\":\"",    "\", \"", "\",\"",
                                    "\"}",      "\"]",       "}}",       "[[",     "]]",
                                    "{}",       "[]",        ", ",       "null",   "true",
                                    "false",    "abc",       "12",       "-1",     "0.5",
                                    "e10",      "1.",        "\\u00",    "\\n",    "\\\"",
                                    "\xC3\xA9", "\xF0\x9F",  "\x98\x80", "  ",     "a\": 1",
                                    "x\", \"y", "\\uD83D",   "\\uDE00",  "name",   "na",
                                    "me\"",     "\"name\":", "\":",      "[1, 2",  "}, {\""};
enum { N_WORDS = sizeof words / sizeof words[0], N_TOKENS = 256 + N_WORDS };

static size_t token_text(void *user, size_t token, char *out) {
    (void)user;
    if (token < 256) {
        out[0] = (char)token;
        return 1;
    }
    size_t n = strlen(words[token - 256]);
    memcpy(out, words[token - 256], n);
    return n;
}

static const pith_lexicon *lexicon(void) {
    static pith_lexicon *made;
    if (made == NULL) {
        fuzz_require(pith_lexicon_new(&made, N_TOKENS, 16, token_text, NULL, &pith_malloc_allocator,
                                      NULL) == PITH_OK);
    }
    return made;
}

/* The mask, against each token by itself; returns how many tokens may come next. */
static size_t check_mask(pith_mask *mask) {
    size_t n_allowed = 0;
    pith_mask_find(mask);
    for (size_t token = 0; token < N_TOKENS; token++) {
        size_t n;
        const unsigned char *text = pith_lexicon_text(mask->lexicon, token, &n);
        size_t i = 0;
        while (i < n && pith_automaton_step(&mask->automaton, i, text[i])) {
            i++;
        }
        fuzz_require((mask->allowed[token] != 0) == (i == n));
        n_allowed += mask->allowed[token];
    }
    return n_allowed;
}

/* The choice-th of the tokens that may come next. */
static size_t pick(const pith_mask *mask, size_t choice) {
    size_t token = 0;
    while (mask->allowed[token] == 0 || choice-- > 0) {
        token++;
    }
    return token;
}

/* Texts that may end are JSON. Equal names of additional members are allowed in Python's mode. */
static void check_json(const char *text, size_t n) {
    char document[MAX_TEXT + 2];
    pith_json root;
    document[0] = '[';
    memcpy(document + 1, text, n);
    document[n + 1] = ']';
    fuzz_require(pith_json_read(&root, document, n + 2, PITH_JSON_PYTHON, "text",
                                &pith_malloc_allocator, NULL) == PITH_OK);
    fuzz_require(pith_json_size(root) == 1);
}

static void write_text(const pith_rules *rules, fuzz_input *in) {
    pith_mask mask;
    char text[MAX_TEXT];
    size_t n = 0;
    fuzz_require(pith_mask_init(&mask, rules, lexicon(), &pith_malloc_allocator, NULL) == PITH_OK);
    for (size_t step = 0; step < MAX_STEPS && n < MAX_TEXT - 32; step++) {
        size_t n_allowed = check_mask(&mask);
        bool may_end = pith_mask_may_end(&mask);
        fuzz_require((n_allowed == 0) == mask.over && (n_allowed > 0 || may_end));
        if (may_end) {
            check_json(text, n);
        }
        if (n_allowed == 0 || in->left == 0) {
            break;
        }
        size_t token = pick(&mask, fuzz_byte(in) % n_allowed);
        n += token_text(NULL, token, text + n);
        fuzz_require(pith_mask_accept(&mask, token));
    }
    pith_mask_release(&mask, &pith_malloc_allocator);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    test_allocator memory;
    size_t n = 0;
    char *schema = fuzz_text(&in, &n);
    pith_rules *rules = NULL;
    pith_error error = {.message = ""};
    fuzz_allocator_init(&memory, data, size);
    pith_status status = pith_rules_new(&rules, (pith_text){schema, n}, &memory.allocator, &error);
    if (status == PITH_OK) {
        write_text(rules, &in);
    } else {
        fuzz_require(rules == NULL && error.status == status && error.message[0] != '\0');
        fuzz_require(status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED ||
                     (status == PITH_ERROR_MEMORY && fuzz_allocation_failed(&memory)));
    }
    pith_rules_free(rules);
    fuzz_require(memory.n_live == 0);
    free(schema);
    return 0;
}
