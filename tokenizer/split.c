/* Pre-tokens of byte-level BPE: the matches of a regular expression (Radford et al. 2019, section
 * 2.2, and its successors), found by PCRE2. The text was checked to be UTF-8 once, so PCRE2 is told
 * not to check it again at every match, which would be quadratic. The pattern may come from a
 * hostile file: its length and nesting are bounded when it is compiled, \C is refused because it
 * would stop inside characters, and matching has limits on steps, depth and memory. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/internal.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"

#include <pcre2.h>
#include <string.h>

enum {
    MAX_NESTING = 64,
    /* Steps of one match: a run of n spaces may take a few n of them. */
    BASE_STEPS = 1000 * 1000,
    STEPS_PER_BYTE = 16,
    MAX_DEPTH = 10 * 1000,
    MAX_HEAP_KB = 64 * 1024,
};

struct pith_splitter {
    const pith_allocator *allocator;
    pcre2_general_context *general;
    pcre2_match_context *limits;
    pcre2_code *code;
};

static void *context_allocate(PCRE2_SIZE size, void *allocator) {
    return pith_allocate(allocator, size, 1);
}

static void context_release(void *block, void *allocator) {
    pith_release(allocator, block);
}

static pith_status compile(pith_splitter *s, const char *pattern, pith_error *error) {
    pcre2_compile_context *context = pcre2_compile_context_create(s->general);
    if (context == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the split pattern");
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, MAX_NESTING);
    pcre2_set_max_pattern_length(context, PITH_VOCAB_MAX_STEP_PATTERN);
    int code = 0;
    PCRE2_SIZE offset = 0;
    s->code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (s->code == NULL && code == PCRE2_ERROR_HEAP_FAILED) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the split pattern");
    }
    if (s->code == NULL) {
        PCRE2_UCHAR message[128] = "";
        pcre2_get_error_message(code, message, sizeof message);
        return pith_fail(error, PITH_ERROR_FORMAT, "split pattern: %s at byte %zu",
                         (const char *)message, offset);
    }
    /* Without JIT compilation, or memory for it, PCRE2's interpreter is used. */
    (void)pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE);
    return PITH_OK;
}

pith_status pith_splitter_new(pith_splitter **out, const char *pattern,
                              const pith_allocator *allocator, pith_error *error) {
    pith_splitter *s = pith_allocate_zeroed(allocator, 1, sizeof *s);
    if (s == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the split pattern");
    }
    s->allocator = allocator;
    /* pcre2 takes its user pointer as void *; the allocator is only ever read. */
    s->general = pcre2_general_context_create(context_allocate, context_release, (void *)allocator);
    s->limits = s->general != NULL ? pcre2_match_context_create(s->general) : NULL;
    pith_status status = PITH_OK;
    if (s->limits == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for the split pattern");
    } else {
        pcre2_set_depth_limit(s->limits, MAX_DEPTH);
        pcre2_set_heap_limit(s->limits, MAX_HEAP_KB);
        status = compile(s, pattern, error);
    }
    if (status != PITH_OK) {
        pith_splitter_free(s);
        return status;
    }
    *out = s;
    return PITH_OK;
}

void pith_splitter_free(pith_splitter *splitter) {
    if (splitter == NULL) {
        return;
    }
    pcre2_code_free(splitter->code);
    pcre2_match_context_free(splitter->limits);
    pcre2_general_context_free(splitter->general);
    pith_release(splitter->allocator, splitter);
}

bool pith_splitter_matches_empty(const pith_splitter *splitter) {
    uint32_t empty = 0;
    return pcre2_pattern_info(splitter->code, PCRE2_INFO_MATCHEMPTY, &empty) == 0 && empty != 0;
}

bool pith_split_begin(pith_split_walk *walk, const pith_splitter *splitter, size_t n_bytes) {
    *walk = (pith_split_walk){.splitter = splitter};
    if (splitter == NULL) {
        return true;
    }
    walk->match = pcre2_match_data_create(1, splitter->general);
    walk->limits = pcre2_match_context_copy(splitter->limits);
    if (walk->match == NULL || walk->limits == NULL) {
        pith_split_end(walk);
        return false;
    }
    size_t steps = BASE_STEPS + STEPS_PER_BYTE * pith_min_size(n_bytes, UINT32_MAX / 32);
    pcre2_set_match_limit(walk->limits, (uint32_t)steps);
    return true;
}

void pith_split_end(pith_split_walk *walk) {
    pcre2_match_data_free(walk->match);
    pcre2_match_context_free(walk->limits);
    *walk = (pith_split_walk){.splitter = walk->splitter};
}

static pith_status find(const pith_split_walk *walk, const char *text, size_t n_bytes, size_t from,
                        uint32_t options, size_t *start, size_t *end, pith_error *error) {
    int found = pcre2_match(walk->splitter->code, (PCRE2_SPTR)text, n_bytes, from,
                            PCRE2_NO_UTF_CHECK | options, walk->match, walk->limits);
    if (found == PCRE2_ERROR_NOMATCH) {
        *start = SIZE_MAX;
        *end = SIZE_MAX;
        return PITH_OK;
    }
    if (found == PCRE2_ERROR_NOMEMORY) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory to split text into pre-tokens");
    }
    if (found < 0) {
        PCRE2_UCHAR message[128] = "";
        pcre2_get_error_message(found, message, sizeof message);
        return pith_fail(error, PITH_ERROR_TEXT, "split pattern gave up at byte %zu: %s", from,
                         (const char *)message);
    }
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(walk->match);
    if (span[0] < from || span[0] > span[1] || span[1] > n_bytes) {
        return pith_fail(error, PITH_ERROR_TEXT, "split pattern matched backwards at byte %zu",
                         from);
    }
    *start = span[0];
    *end = span[1];
    return PITH_OK;
}

pith_status pith_split_next(const pith_split_walk *walk, const char *text, size_t n_bytes,
                            size_t from, size_t *start, size_t *end, pith_error *error) {
    pith_status status = find(walk, text, n_bytes, from, PCRE2_NOTEMPTY, start, end, error);
    if (status == PITH_OK && *start == SIZE_MAX) {
        *start = n_bytes;
        *end = n_bytes;
    }
    return status;
}

pith_split_search pith_split_search_begin(const pith_split_walk *walk, const char *text,
                                          size_t n_bytes) {
    return (pith_split_search){.walk = walk, .text = text, .n_bytes = n_bytes};
}

pith_status pith_split_search_next(pith_split_search *s, size_t *start, size_t *end,
                                   pith_error *error) {
    for (;;) {
        pith_status status = find(s->walk, s->text, s->n_bytes, s->from, 0, start, end, error);
        if (status != PITH_OK || *start == SIZE_MAX) {
            return status;
        }
        bool empty = *start == *end;
        if (!empty || !s->any || *end != s->from) {
            s->from = *end;
            s->any = true;
            return PITH_OK;
        }
        if (s->from == s->n_bytes) {
            *start = SIZE_MAX;
            return PITH_OK;
        }
        s->from += pith_utf8_length(s->text[s->from]);
        s->any = false; /* the match before does not end here */
    }
}
