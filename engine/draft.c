/* Guessing the next tokens by a smaller model; see draft.h. */
#include "engine/draft.h"

#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "engine/session.h"

enum {
    FIRST_TEXT = 64, /* tokens of the text that it reads before any draft has saved time */
    FIRST_LENGTH = 2,
    FIRST_PAUSE = 64, /* tokens */
    MAX_DOUBLINGS = 6,
};

/* Drafts may lose this share of the time so far, and one pass. */
#define LOSS 0.02

static bool same_vocabulary(const pith_model *a, const pith_model *b) {
    if (a->file == NULL || b->file == NULL) {
        return pith_model_vocab_size(a) == pith_model_vocab_size(b);
    }
    const pith_vocab *x = &a->file->vocab;
    const pith_vocab *y = &b->file->vocab;
    return pith_model_vocab_size(a) == pith_model_vocab_size(b) && x->n_pieces == y->n_pieces &&
           x->n_bytes == y->n_bytes && memcmp(x->bytes, y->bytes, x->n_bytes) == 0 &&
           memcmp(x->offsets, y->offsets, (x->n_pieces + 1) * sizeof *x->offsets) == 0;
}

pith_status pith_draft_init(pith_draft *draft, pith_session *session, const pith_model *model,
                            size_t most, pith_error *error) {
    *draft = (pith_draft){.session = session, .most = most, .length = FIRST_LENGTH};
    if (session != NULL && !same_vocabulary(session->model, model)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "the draft model has another vocabulary than the model");
    }
    return PITH_OK;
}

/* ---- The draft's timeline -------------------------------------------------------------------- */

static bool evaluate(pith_draft *draft, const int32_t *tokens, size_t n) {
    pith_error error;
    draft->failed =
        draft->failed || pith_session_eval(draft->session, tokens, n, &error) != PITH_OK;
    return !draft->failed;
}

/* Returns where in a text [n] the draft's timeline should begin when a draft of `most` tokens is to
 * follow: at the beginning, once drafts have saved the time of reading it, else as late as is worth
 * a try. */
static size_t choose_begin(const pith_draft *draft, size_t n, size_t most) {
    const pith_session *s = draft->session;
    size_t room = s->n_context > most ? s->n_context - most : 1;
    size_t first = draft->from;
    bool begun = s->n_tokens > 0;
    if (!begun) {
        first = n > FIRST_TEXT ? n - FIRST_TEXT : 0;
    } else if (first > 0 && n <= room && draft->balance > draft->reading * (double)n) {
        first = 0;
    }
    return n - first > room ? n - room / 2 : first; /* beyond its context: keep half */
}

/* Makes the draft's timeline the text [n] from `from` on, and its logits those of the last token.
 */
static bool follow(pith_draft *draft, const int32_t *tokens, size_t n, size_t most) {
    pith_session *s = draft->session;
    size_t begin = choose_begin(draft, n, most);
    size_t shared = 0;
    if (begin == draft->from) {
        size_t both = pith_min_size(s->n_tokens, n - begin - 1);
        while (shared < both && s->tokens[shared] == tokens[begin + shared]) {
            shared++;
        }
    }
    draft->from = begin;
    if (pith_session_rewind(s, shared, NULL) != PITH_OK) {
        draft->failed = true;
        return false;
    }
    double before = pith_clock();
    size_t n_read = n - begin - shared;
    bool read = evaluate(draft, tokens + begin + shared, n_read);
    if (n_read >= FIRST_TEXT / 2) {
        draft->reading = (pith_clock() - before) / (double)n_read;
    }
    return read;
}

/* Ties go to the lower id, as in sampling. */
static int32_t most_likely(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return (int32_t)best;
}

/* ---- Whether to draft ------------------------------------------------------------------------ */

/* Tokens to draft now. */
static size_t decide(pith_draft *draft, size_t most) {
    if (draft->session == NULL || draft->failed || draft->plain == 0) {
        return 0;
    }
    if (draft->pause > 0) {
        draft->pause--;
        return 0;
    }
    size_t length = pith_min_size(pith_min_size(draft->length, draft->most), most);
    double risk = draft->token * (double)length;
    bool affordable = draft->balance - risk >= -(LOSS * draft->total + draft->plain);
    return affordable ? length : 0;
}

size_t pith_draft_guess(pith_draft *draft, const int32_t *tokens, size_t n, int32_t *out,
                        size_t most) {
    size_t length = decide(draft, most);
    double began = pith_clock();
    if (length == 0 || !follow(draft, tokens, n, length)) {
        return 0;
    }
    double read = pith_clock();
    size_t n_vocab = pith_model_vocab_size(draft->session->model);
    size_t i = 0;
    for (;;) {
        out[i] = most_likely(pith_session_logits(draft->session), n_vocab);
        if (++i == length || !evaluate(draft, &out[i - 1], 1)) {
            break;
        }
    }
    double now = pith_clock();
    if (i > 1) {
        draft->token = (now - read) / (double)(i - 1);
    }
    draft->guess = now - began;
    return i;
}

void pith_draft_tell_plain(pith_draft *draft, double seconds) {
    /* A single slow pass may have been delayed by other processes; passes that stay slow count. */
    bool shorter = draft->plain == 0 || seconds < draft->plain;
    draft->plain = shorter ? seconds : draft->plain + 0.1 * (seconds - draft->plain);
    draft->total += seconds;
}

void pith_draft_tell(pith_draft *draft, size_t n, size_t n_accepted, double seconds) {
    double cost = draft->guess + seconds;
    double gain = (double)(1 + n_accepted) * draft->plain - cost;
    draft->total += cost;
    draft->balance += gain;
    draft->length = n_accepted == n ? 2 * n : n_accepted + 1;
    if (gain >= 0) {
        draft->misses = 0;
    } else if (draft->balance < 0) {
        draft->misses = pith_min_size(draft->misses + 1, MAX_DOUBLINGS);
        draft->pause = draft->misses < 2 ? 0 : (size_t)FIRST_PAUSE << (draft->misses - 2);
        draft->length = FIRST_LENGTH;
    }
}
