/* Arbitrary arrays as a vocabulary, as they might stand in a hostile .pith file: whatever passes
 * pith_vocab_check must be safe to build, to encode and to decode with. The input is cut into
 * settings, piece lengths, types, flags, merges, a pattern or steps, a map of characters, spellings
 * and a text. */
#include "base/utf8.h"
#include "tests/fuzz/input.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PIECES = 64, MAX_MERGES = 64, MAX_PATTERN = 64, MAX_STEPS = 4, STEP_PATTERN = 16 };
enum { MAX_CHARSMAP = 128 };

/* What else may be wrong, that no change of the arrays' contents would bring about. */
enum {
    SOUND,
    KIND,
    NO_PIECES,
    PIECES,
    BYTES,
    MERGES,
    NO_BYTES,
    NO_OFFSETS,
    NO_TYPES,
    NO_ADDED,
    NO_SCORES,
    NO_MERGES,
    LONG_PATTERN,
    LONG_WORDS,
    BOS,
    EOS,
    STEP_KIND,
    STEP_BEHAVIOR,
    STEP_WITHOUT_PATTERN,
    LONG_STEP_PATTERN,
    STEPS_AND_PATTERN,
    STEPS,
    NORMAL_STEPS,
    DECODE_STEPS,
    CHARSMAP,
    CLS,
    SEP,
    STEP_SCHEME,
    NORMAL_KIND,
    NORMAL_TEXT,
    DECODE_KIND,
    DECODE_START,
    DECODE_STOP,
    DECODE_TEXT,
    NO_CHARSMAP,
    NO_WORDS,
    UNK,
    PAIR_FORM,
    AFTER_BOS,
    BEFORE_EOS,
    N_FAULTS
};

typedef struct arrays {
    char *bytes;
    uint32_t offsets[MAX_PIECES + 1];
    float scores[MAX_PIECES];
    uint8_t types[MAX_PIECES];
    uint8_t added[MAX_PIECES];
    uint32_t merges[3 * MAX_MERGES];
    char pattern[MAX_PATTERN + 1];
    pith_split_step steps[MAX_STEPS];
    pith_normal_step normalizer[MAX_STEPS];
    pith_decode_step decoder[MAX_STEPS];
    char texts[5 * MAX_STEPS][STEP_PATTERN];
    size_t n_texts;
    double log_probabilities[MAX_PIECES];
    uint8_t charsmap[MAX_CHARSMAP];
} arrays;

static void read_settings(fuzz_input *in, pith_vocab *v) {
    uint8_t kind = fuzz_byte(in);
    uint8_t a = fuzz_byte(in);
    uint8_t b = fuzz_byte(in);
    v->kind = (pith_tokenizer_kind)(kind % 5);
    v->single_precision = kind >= 128;
    v->bos = -1;
    v->eos = -1;
    v->add_dummy_prefix = (a & 1) != 0;
    v->remove_extra_whitespaces = (a & 2) != 0;
    v->escape_whitespaces = (a & 4) != 0;
    v->prefix_first_only = (a & 8) != 0;
    v->byte_fallback = (a & 16) != 0;
    v->fuse_unk = (a & 32) != 0;
    v->ignore_merges = (a & 64) != 0;
    v->add_prefix_space = (a & 128) != 0;
    v->nfc = (b & 1) != 0;
    v->prefix_unless_space = (b & 16) != 0;
    v->unk = (int32_t)(b >> 1 & 7) - 1;
    if (v->kind == PITH_TOKENIZER_WORDPIECE) {
        v->bos = v->eos = v->unk;
        v->lowercase = (b & 16) != 0;
        v->strip_accents = (b & 32) != 0;
        v->clean_text = (b & 64) != 0;
        v->split_cjk = (b & 128) != 0;
        v->max_word_chars = a;
    }
}

static const char *read_text(fuzz_input *in, arrays *a) {
    char *text = a->texts[a->n_texts++];
    size_t n = fuzz_byte(in) % STEP_PATTERN;
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)fuzz_byte(in);
    }
    return text;
}

static void read_normalizer(fuzz_input *in, pith_vocab *v, arrays *a) {
    v->normalizer = a->normalizer;
    v->n_normalizer = fuzz_byte(in) % (MAX_STEPS + 1U);
    for (size_t i = 0; i < v->n_normalizer; i++) {
        uint8_t head = fuzz_byte(in);
        pith_normal_step *step = &a->normalizer[i];
        step->kind = (pith_normal_kind)(head % 12);
        step->left = (head & 64) != 0;
        step->right = (head & 128) != 0;
        step->pattern = step->kind == PITH_NORMAL_REPLACE ? read_text(in, a) : NULL;
        step->text = step->kind <= PITH_NORMAL_PREPEND ? read_text(in, a) : NULL;
    }
}

static void read_decoder(fuzz_input *in, pith_vocab *v, arrays *a) {
    v->decoder = a->decoder;
    v->n_decoder = fuzz_byte(in) % (MAX_STEPS + 1U);
    for (size_t i = 0; i < v->n_decoder; i++) {
        uint8_t head = fuzz_byte(in);
        pith_decode_step *step = &a->decoder[i];
        step->kind = (pith_decode_kind)(head % 7);
        step->start = head / 8 % 4;
        step->stop = head / 32 % 4;
        step->drop = (head & 128) != 0;
        step->pattern = read_text(in, a);
        step->text = read_text(in, a);
    }
}

static void read_charsmap(fuzz_input *in, pith_vocab *v, arrays *a) {
    v->charsmap = a->charsmap;
    v->n_charsmap = fuzz_byte(in) % (MAX_CHARSMAP + 1U);
    for (size_t i = 0; i < v->n_charsmap; i++) {
        a->charsmap[i] = fuzz_byte(in);
    }
}

static void read_steps(fuzz_input *in, pith_vocab *v, arrays *a) {
    v->steps = a->steps;
    v->n_steps = fuzz_byte(in) % MAX_STEPS + 1U;
    for (size_t i = 0; i < v->n_steps; i++) {
        uint8_t head = fuzz_byte(in);
        pith_split_step *step = &a->steps[i];
        step->kind = (pith_step_kind)(head % 8 < 4 ? head % 8 : PITH_STEP_SPLIT);
        step->behavior = (pith_split_behavior)(head / 8 % 5);
        step->invert = head / 64 % 2 != 0;
        step->scheme = (pith_mark_scheme)(head / 8 % 3);
        if (step->kind == PITH_STEP_SPLIT || step->kind == PITH_STEP_MARK) {
            step->pattern = read_text(in, a);
        }
    }
}

static void read_arrays(fuzz_input *in, pith_vocab *v, arrays *a) {
    v->n_pieces = fuzz_byte(in) % MAX_PIECES + 1U;
    bool scored = v->kind == PITH_TOKENIZER_SENTENCEPIECE || v->kind == PITH_TOKENIZER_UNIGRAM;
    v->n_merges = scored ? 0 : fuzz_byte(in) % MAX_MERGES;
    size_t total = 0;
    for (size_t i = 0; i < v->n_pieces; i++) {
        uint8_t head = fuzz_byte(in);
        a->offsets[i] = (uint32_t)total;
        total += head % 8;
        a->types[i] = head / 8 % 8;
        a->added[i] = fuzz_byte(in) % 32;
        a->scores[i] = (float)(a->added[i] % 5);
        a->log_probabilities[i] = -(double)(a->added[i] % 7);
    }
    a->offsets[v->n_pieces] = (uint32_t)total;
    a->bytes = malloc(total + 1);
    for (size_t i = 0; i < total; i++) {
        a->bytes[i] = (char)fuzz_byte(in);
    }
    for (size_t i = 0; i < v->n_merges; i++) {
        for (size_t k = 0; k < 3; k++) {
            a->merges[3 * i + k] = fuzz_byte(in) % MAX_PIECES;
        }
    }
    if (v->kind == PITH_TOKENIZER_BYTE_BPE && fuzz_byte(in) % 2 == 0) {
        size_t n = fuzz_byte(in) % MAX_PATTERN;
        for (size_t i = 0; i < n; i++) {
            a->pattern[i] = (char)fuzz_byte(in);
        }
        v->pattern = a->pattern;
    } else if (v->kind != PITH_TOKENIZER_SENTENCEPIECE && v->kind != PITH_TOKENIZER_WORDPIECE &&
               !(v->kind == PITH_TOKENIZER_UNIGRAM && v->single_precision)) {
        read_steps(in, v, a);
        read_normalizer(in, v, a);
        if (v->kind != PITH_TOKENIZER_BYTE_BPE) {
            read_decoder(in, v, a);
        }
    }
    if (v->kind != PITH_TOKENIZER_WORDPIECE) {
        read_charsmap(in, v, a);
    }
    v->bytes = a->bytes;
    v->n_bytes = total;
    v->offsets = a->offsets;
    v->scores = a->scores;
    v->log_probabilities = a->log_probabilities;
    v->types = a->types;
    v->added = a->added;
    v->merges = a->merges;
}

/* What may be wrong with the first step. */
static void break_steps(pith_vocab *v, pith_split_step *step, unsigned fault) {
    static char pattern[PITH_VOCAB_MAX_STEP_PATTERN + 2];
    switch (fault) {
    case STEP_KIND:
        step->kind = (pith_step_kind)(PITH_STEP_MARK + 1);
        break;
    case STEP_BEHAVIOR:
        step->behavior = (pith_split_behavior)(PITH_SPLIT_CONTIGUOUS + 1);
        break;
    case STEP_WITHOUT_PATTERN:
        step->pattern = step->pattern == NULL ? "a" : NULL;
        break;
    case LONG_STEP_PATTERN:
        memset(pattern, 'a', sizeof pattern - 1);
        step->kind = PITH_STEP_SPLIT;
        step->pattern = pattern;
        break;
    case STEP_SCHEME:
        step->scheme = (pith_mark_scheme)(PITH_MARK_NEVER + 1);
        break;
    case STEPS_AND_PATTERN:
        v->pattern = "a";
        break;
    case STEPS:
        v->n_steps = PITH_VOCAB_MAX_STEPS + 1;
        break;
    default:
        break;
    }
}

/* What may be wrong with the first step of the normaliser and of the decoder. */
static void break_others(pith_normal_step *normal, pith_decode_step *decode, unsigned fault) {
    switch (fault) {
    case NORMAL_KIND:
        normal->kind = (pith_normal_kind)(PITH_NORMAL_CHARSMAP + 1);
        break;
    case NORMAL_TEXT:
        normal->text = normal->text == NULL ? "a" : NULL;
        break;
    case DECODE_KIND:
        decode->kind = (pith_decode_kind)(PITH_DECODE_JOIN + 1);
        break;
    case DECODE_START:
        decode->start = PITH_VOCAB_MAX_STRIP + 1;
        break;
    case DECODE_STOP:
        decode->stop = PITH_VOCAB_MAX_STRIP + 1;
        break;
    case DECODE_TEXT:
        decode->text = NULL;
        break;
    default:
        break;
    }
}

static void break_vocab(pith_vocab *v, unsigned fault) {
    static char pattern[PITH_VOCAB_MAX_PATTERN + 2];
    switch (fault) {
    case KIND:
        v->kind = (pith_tokenizer_kind)5;
        break;
    case NO_PIECES:
        v->n_pieces = 0;
        break;
    case PIECES:
        v->n_pieces = PITH_VOCAB_MAX_PIECES + 1;
        break;
    case BYTES:
        v->n_bytes = PITH_VOCAB_MAX_BYTES + 1;
        break;
    case MERGES:
        v->n_merges = PITH_VOCAB_MAX_MERGES + 1;
        break;
    case NO_BYTES:
        v->bytes = NULL;
        break;
    case NO_OFFSETS:
        v->offsets = NULL;
        break;
    case NO_TYPES:
        v->types = NULL;
        break;
    case NO_ADDED:
        v->added = NULL;
        break;
    case NO_SCORES:
        v->scores = NULL;
        v->log_probabilities = NULL;
        break;
    case NO_MERGES:
        v->merges = NULL;
        break;
    case LONG_PATTERN:
        memset(pattern, 'a', sizeof pattern - 1);
        v->pattern = pattern;
        break;
    case LONG_WORDS:
        v->max_word_chars = PITH_VOCAB_MAX_WORD_CHARS + 1;
        break;
    case BOS:
        v->bos = MAX_PIECES;
        break;
    case EOS:
        v->eos = -2;
        break;
    case NORMAL_STEPS:
        v->n_normalizer = PITH_VOCAB_MAX_STEPS + 1;
        break;
    case DECODE_STEPS:
        v->n_decoder = PITH_VOCAB_MAX_STEPS + 1;
        break;
    case CHARSMAP:
        v->n_charsmap = PITH_VOCAB_MAX_CHARSMAP + 1;
        break;
    case CLS:
        v->bos = -1;
        break;
    case SEP:
        v->eos = -1;
        break;
    case NO_CHARSMAP:
        v->charsmap = NULL;
        break;
    case NO_WORDS:
        v->max_word_chars = 0;
        break;
    case UNK:
        v->unk = MAX_PIECES;
        break;
    case PAIR_FORM:
        v->pair_form = PITH_PAIR_JOINED + 1;
        break;
    case AFTER_BOS:
        v->after_bos[0] = -1;
        v->n_after_bos = 1;
        break;
    case BEFORE_EOS:
        v->before_eos[0] = MAX_PIECES;
        v->n_before_eos = 1;
        break;
    default:
        break;
    }
}

static void use(const pith_vocab *vocab, const char *text, size_t n_text,
                const pith_allocator *allocator) {
    pith_tokenizer *t = NULL;
    pith_error error;
    if (pith_tokenizer_new(&t, vocab, allocator, &error) != PITH_OK) {
        return;
    }
    pith_tokens ids;
    pith_tokens_init(&ids, allocator);
    for (unsigned flags = 0; flags < 4; flags++) {
        pith_encode(t, text, n_text, flags, &ids, &error);
    }
    for (size_t i = 0; i < ids.n; i++) {
        fuzz_require(ids.ids[i] >= 0 && (size_t)ids.ids[i] < vocab->n_pieces);
    }
    size_t n;
    char *decoded = test_decode(t, ids.ids, ids.n, true, &n);
    fuzz_require(pith_utf8_check(decoded, n) == n);
    free(decoded);
    pith_tokens_release(&ids);
    pith_tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    pith_vocab vocab = {.n_pieces = 0};
    arrays a = {.bytes = NULL};
    unsigned fault = size > 0 ? data[0] / 4 % N_FAULTS : 0;
    read_settings(&in, &vocab);
    read_arrays(&in, &vocab, &a);
    break_vocab(&vocab, fault);
    break_steps(&vocab, &a.steps[0], vocab.n_steps > 0 ? fault : SOUND);
    break_others(&a.normalizer[0], &a.decoder[0], fault);
    test_allocator memory;
    fuzz_allocator_init(&memory, data, size);
    if (pith_vocab_check(&vocab, "v", NULL) == PITH_OK) {
        use(&vocab, (const char *)in.at, in.left, &memory.allocator);
    }
    fuzz_require(memory.n_live == 0);
    free(a.bytes);
    return 0;
}
