/* Tokens that are matched whole before anything is merged: special tokens, and pieces the user
 * added. The rules are those of Hugging Face's tokenizers (added_vocabulary.rs): leftmost match,
 * longest of those; a token with the single-word flag counts only between non-word characters, and
 * the strip flags let a match swallow the white space beside it.
 *
 * The tokens are sorted, so the ones that agree with the text so far are always one range of the
 * array: each further byte of text narrows it. */
#include "tokenizer/internal.h"

#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>

static bool is_special(const pith_vocab *vocab, size_t id) {
    return vocab->types[id] == PITH_PIECE_CONTROL || (vocab->added[id] & PITH_ADDED_SPECIAL) != 0;
}

static bool is_matched(const pith_vocab *vocab, size_t id, bool normalized) {
    bool wanted = vocab->types[id] == PITH_PIECE_USER_DEFINED || is_special(vocab, id);
    return wanted && ((vocab->added[id] & PITH_ADDED_NORMALIZED) != 0) == normalized;
}

static int compare_tokens(const void *left, const void *right) {
    const pith_added_token *a = left;
    const pith_added_token *b = right;
    size_t n = a->n_bytes < b->n_bytes ? a->n_bytes : b->n_bytes;
    int order = memcmp(a->text, b->text, n);
    if (order == 0 && a->n_bytes != b->n_bytes) {
        order = a->n_bytes < b->n_bytes ? -1 : 1;
    }
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

/* Reports why a spelling could not be normalised: text that cannot be is an error of the file. */
static pith_status fail_spelling(int32_t id, pith_status status, pith_error *error) {
    if (status == PITH_ERROR_TEXT) {
        pith_error cause = *error;
        return pith_fail(error, PITH_ERROR_FORMAT, "added token %d: %s", (int)id, cause.message);
    }
    return status != PITH_OK ? status
                             : pith_fail(error, PITH_ERROR_MEMORY, "no memory for added tokens");
}

/* Hugging Face normalises the spelling of such a token like any text ("foo" becomes "▁foo" under
 * the Prepend normaliser); a SentencePiece model spells it normalised already. */
static pith_status normalize_spellings(pith_matcher *matcher, const pith_tokenizer *t,
                                       pith_error *error) {
    char *all = NULL;
    size_t size = 0;
    for (size_t i = 0; i < matcher->n; i++) {
        pith_added_token *token = &matcher->tokens[i];
        pith_normalized spelling;
        pith_status status =
            pith_normalize(t, token->text, token->n_bytes, true, 0, &spelling, error);
        char *more = status == PITH_OK
                         ? pith_reallocate(t->allocator, all, size + spelling.n_bytes + 1, 1)
                         : NULL;
        if (more != NULL) {
            all = more;
            memcpy(all + size, spelling.text, spelling.n_bytes);
            size += spelling.n_bytes;
            token->n_bytes = (uint32_t)spelling.n_bytes;
        }
        if (status == PITH_OK) {
            pith_release(t->allocator, spelling.owned);
        }
        if (more == NULL) {
            pith_release(t->allocator, all);
            return fail_spelling(token->id, status, error);
        }
    }
    matcher->normalized = all;
    const char *text = all;
    for (size_t i = 0; i < matcher->n; i++) {
        matcher->tokens[i].text = text;
        text += matcher->tokens[i].n_bytes;
    }
    return PITH_OK;
}

/* A spelling may be normalised to nothing; such a token is never found. */
static void drop_empty(pith_matcher *matcher) {
    size_t n = 0;
    for (size_t i = 0; i < matcher->n; i++) {
        if (matcher->tokens[i].n_bytes > 0) {
            matcher->tokens[n++] = matcher->tokens[i];
        }
    }
    matcher->n = n;
}

/* Of sorted tokens with one spelling keeps those that can be found: the first, and the first that
 * is not special. */
static void drop_equal(const pith_vocab *vocab, pith_matcher *matcher) {
    size_t n = 0;
    bool plain = false; /* a token with the last spelling that was kept is not special */
    for (size_t i = 0; i < matcher->n; i++) {
        const pith_added_token *token = &matcher->tokens[i];
        bool special = is_special(vocab, (size_t)token->id);
        bool equal = n > 0 && matcher->tokens[n - 1].n_bytes == token->n_bytes &&
                     memcmp(matcher->tokens[n - 1].text, token->text, token->n_bytes) == 0;
        if (!equal || (!plain && !special)) {
            plain = !special;
            matcher->tokens[n++] = *token;
        }
    }
    matcher->n = n;
}

/* Sorts the tokens and finds the range of each first byte. */
static void index_tokens(const pith_vocab *vocab, pith_matcher *matcher) {
    drop_empty(matcher);
    qsort(matcher->tokens, matcher->n, sizeof *matcher->tokens, compare_tokens);
    drop_equal(vocab, matcher);
    size_t at = 0;
    for (size_t byte = 0; byte < 256; byte++) {
        while (at < matcher->n && (unsigned char)matcher->tokens[at].text[0] < byte) {
            at++;
        }
        matcher->first[byte] = (uint32_t)at;
    }
    matcher->first[256] = (uint32_t)matcher->n;
}

pith_status pith_matcher_build(pith_matcher *out, const pith_tokenizer *tokenizer, bool normalized,
                               pith_error *error) {
    const pith_vocab *v = &tokenizer->vocab;
    size_t n = 0;
    for (size_t id = 0; id < v->n_pieces; id++) {
        n += is_matched(v, id, normalized);
    }
    if (n == 0) {
        return PITH_OK; /* `out` is zero, which is a matcher that finds nothing */
    }
    out->tokens = pith_allocate(tokenizer->allocator, n, sizeof *out->tokens);
    if (out->tokens == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu added tokens", n);
    }
    for (size_t id = 0; id < v->n_pieces; id++) {
        if (is_matched(v, id, normalized)) {
            uint32_t start = v->offsets[id];
            out->tokens[out->n++] = (pith_added_token){.text = v->bytes + start,
                                                       .n_bytes = v->offsets[id + 1] - start,
                                                       .id = (int32_t)id};
        }
    }
    if (normalized && !pith_is_sentencepiece(v)) {
        pith_status status = normalize_spellings(out, tokenizer, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    index_tokens(v, out);
    return PITH_OK;
}

void pith_matcher_release(pith_matcher *matcher, const pith_allocator *allocator) {
    pith_release(allocator, matcher->tokens);
    pith_release(allocator, matcher->normalized);
    memset(matcher, 0, sizeof *matcher);
}

/* First token of [low, high) whose byte at `depth` is at least `byte`; all of them are longer than
 * `depth` and agree before it. */
static size_t lower_bound(const pith_matcher *matcher, size_t low, size_t high, size_t depth,
                          unsigned byte) {
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((unsigned char)matcher->tokens[middle].text[depth] < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t pith_special_room(pith_special *special, size_t at) {
    if (special->everywhere) {
        return SIZE_MAX;
    }
    at += special->offset;
    for (; special->next < special->n; special->next++) {
        const pith_template_span *span = &special->spans[special->next];
        size_t end = span->start + span->size;
        if (end > at) {
            return span->start <= at && span->origin == PITH_ORIGIN_TEMPLATE ? end - at : 0;
        }
    }
    return 0;
}

/* The longest token that the text [n_bytes > 0] begins with, or NULL; special ones of at most
 * `room` bytes. */
static const pith_added_token *longest_at(const pith_vocab *vocab, const pith_matcher *matcher,
                                          const char *text, size_t n_bytes, size_t room) {
    unsigned char first = (unsigned char)text[0];
    size_t low = matcher->first[first];
    size_t high = matcher->first[first + 1];
    const pith_added_token *best = NULL;
    for (size_t depth = 1; low < high; depth++) {
        bool found = false;
        for (; low < high && matcher->tokens[low].n_bytes == depth; low++) {
            const pith_added_token *token = &matcher->tokens[low];
            if (!found && (depth <= room || !is_special(vocab, (size_t)token->id))) {
                best = token;
                found = true;
            }
        }
        if (depth == n_bytes) {
            break;
        }
        unsigned char byte = (unsigned char)text[depth];
        low = lower_bound(matcher, low, high, depth, byte);
        high = lower_bound(matcher, low, high, depth, byte + 1U);
    }
    return best;
}

static bool is_single_word(const char *text, size_t n_bytes, size_t start, size_t end) {
    bool word_before =
        start > 0 && pith_unicode_is_word(pith_utf8_decode(text + pith_utf8_before(text, start)));
    bool word_after = end < n_bytes && pith_unicode_is_word(pith_utf8_decode(text + end));
    return !word_before && !word_after;
}

static size_t strip_left(const char *text, size_t from, size_t start) {
    while (start > from) {
        size_t before = pith_utf8_before(text, start);
        if (!pith_unicode_is_space(pith_utf8_decode(text + before))) {
            break;
        }
        start = before;
    }
    return start;
}

static size_t strip_right(const char *text, size_t n_bytes, size_t end) {
    while (end < n_bytes && pith_unicode_is_space(pith_utf8_decode(text + end))) {
        end += pith_utf8_length(text[end]);
    }
    return end;
}

bool pith_matcher_next(const pith_tokenizer *tokenizer, const pith_matcher *matcher,
                       const char *text, size_t n_bytes, size_t from, pith_special *special,
                       pith_match *out) {
    const pith_vocab *v = &tokenizer->vocab;
    size_t at = matcher->n == 0 ? n_bytes : from;
    while (at < n_bytes) {
        const pith_added_token *token =
            longest_at(v, matcher, text + at, n_bytes - at, pith_special_room(special, at));
        if (token == NULL) {
            at++;
            continue;
        }
        uint8_t flags = v->added[token->id];
        size_t end = at + token->n_bytes;
        if ((flags & PITH_ADDED_SINGLE_WORD) != 0 && !is_single_word(text, n_bytes, at, end)) {
            at = end;
            continue;
        }
        *out = (pith_match){.start = at, .end = end, .id = token->id};
        if ((flags & PITH_ADDED_LSTRIP) != 0) {
            out->start = strip_left(text, from, at);
        }
        if ((flags & PITH_ADDED_RSTRIP) != 0) {
            out->end = strip_right(text, n_bytes, end);
        }
        return true;
    }
    return false;
}
