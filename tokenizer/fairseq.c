/* XLM-R's tokenizer from its SentencePiece model (sentencepiece.bpe.model, which is a unigram model
 * all the same). fairseq, which trained it, numbers the pieces in its own way:
 *
 *     id        0      1      2      3      4        ...   n        n + 1
 *     fairseq   <s>    <pad>  </s>   <unk>  piece 3  ...   piece n-1  <mask>
 *     model     <unk>  <s>    </s>   piece 3 ...     n - 1
 *
 * What becomes of a text is what transformers' tokenizer.json of such a model says
 * (XLMRobertaTokenizer): sentencepiece itself finds other ids for a few texts. */
#include "tokenizer/internal.h"

#include "base/status.h"

enum {
    N_MODEL = 3,                      /* special pieces of the model */
    N_FAIRSEQ = 4,                    /* those of fairseq in front */
    N_MORE = N_FAIRSEQ - N_MODEL + 1, /* pieces that the model does not have */
};

static const char *const model_names[N_MODEL] = {"<unk>", "<s>", "</s>"};
static const char *const fairseq_names[N_FAIRSEQ] = {"<s>", "<pad>", "</s>", "<unk>"};
static const char mask_name[] = "<mask>";

/* ---- Words ----------------------------------------------------------------------------------- */

#define WHITE_SPACE "[\\t-\\r\\x{85}\\p{Z}]"

/* WhitespaceSplit, then Metaspace; without squeezing from the second step on. */
static const pith_split_step word_steps[] = {
    {PITH_STEP_SPLIT, WHITE_SPACE, PITH_SPLIT_REMOVED, false, PITH_MARK_ALWAYS},
    {PITH_STEP_MARK, PITH_SPACE_MARK, PITH_SPLIT_MERGED_WITH_NEXT, false, PITH_MARK_ALWAYS},
    {PITH_STEP_SPLIT, PITH_SPACE_MARK, PITH_SPLIT_MERGED_WITH_NEXT, false, PITH_MARK_ALWAYS},
};
static const pith_split_step space_steps[] = {
    {PITH_STEP_MARK, PITH_SPACE_MARK, PITH_SPLIT_MERGED_WITH_NEXT, false, PITH_MARK_NEVER},
    {PITH_STEP_SPLIT, PITH_SPACE_MARK, PITH_SPLIT_MERGED_WITH_NEXT, false, PITH_MARK_ALWAYS},
};
static const pith_normal_step normal_steps[] = {
    {.kind = PITH_NORMAL_CHARSMAP},
    {.kind = PITH_NORMAL_PREPEND, .text = " "},
};
static const pith_decode_step decode_steps[] = {
    {.kind = PITH_DECODE_MARK, .pattern = PITH_SPACE_MARK, .drop = true},
};

void pith_vocab_frame_xlm_roberta(pith_vocab *vocab, bool squeeze) {
    size_t first = vocab->n_charsmap > 0 ? 0 : 1;
    vocab->add_bos = vocab->add_eos = true;
    vocab->pair_form = PITH_PAIR_DOUBLED;
    vocab->single_precision = false;
    vocab->add_dummy_prefix = vocab->remove_extra_whitespaces = vocab->escape_whitespaces = false;
    vocab->normalizer = normal_steps + first;
    vocab->n_normalizer = (squeeze ? 1 : 2) - first;
    vocab->steps = squeeze ? word_steps : space_steps;
    vocab->n_steps = squeeze ? 3 : 2;
    vocab->decoder = decode_steps;
    vocab->n_decoder = 1;
}

/* ---- Ids ------------------------------------------------------------------------------------- */

static pith_status unsupported(const char *name, const char *what, pith_error *error) {
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: %s, where XLM-R's model has none: its pieces cannot be numbered as "
                     "fairseq's",
                     name, what);
}

/* The model is one that fairseq's numbers are known for, and that sentencepiece and transformers
 * read alike. */
static pith_status check_model(const pith_vocab *v, const char *name, pith_error *error) {
    static const uint8_t types[N_MODEL] = {PITH_PIECE_UNKNOWN, PITH_PIECE_CONTROL,
                                           PITH_PIECE_CONTROL};
    if (v->kind != PITH_TOKENIZER_UNIGRAM || !v->single_precision) {
        return unsupported(name, "BPE", error);
    }
    if (v->byte_fallback) {
        return unsupported(name, "byte_fallback", error);
    }
    if (!v->add_dummy_prefix || !v->remove_extra_whitespaces || !v->escape_whitespaces) {
        return unsupported(name,
                           "add_dummy_prefix, remove_extra_whitespaces or escape_whitespaces false",
                           error);
    }
    for (size_t i = 0; i < v->n_pieces; i++) {
        size_t n = v->offsets[i + 1] - v->offsets[i];
        bool ordinary = v->types[i] == PITH_PIECE_NORMAL || v->types[i] == PITH_PIECE_USER_DEFINED;
        bool named = i < N_MODEL && v->types[i] == types[i] && n == strlen(model_names[i]) &&
                     memcmp(v->bytes + v->offsets[i], model_names[i], n) == 0;
        if (i < N_MODEL ? !named : !ordinary) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: piece %zu, \"%.*s\" of type %d, cannot be numbered as fairseq's: "
                             "those of XLM-R's model are <unk>, <s>, </s> and ordinary ones",
                             name, i, (int)(n < 60 ? n : 60), v->bytes + v->offsets[i],
                             v->types[i]);
        }
    }
    return v->n_pieces >= N_MODEL ? PITH_OK : unsupported(name, "fewer than 3 pieces", error);
}

/* The arrays of a vocabulary, for writing. */
typedef struct arrays {
    char *bytes;
    uint32_t *offsets;
    double *log_probabilities;
    uint8_t *types, *added;
    size_t n, n_bytes; /* pieces written, and their bytes */
} arrays;

static void put_piece(arrays *a, const char *text, size_t n_bytes, double score, uint8_t type,
                      uint8_t flags) {
    a->offsets[a->n] = (uint32_t)a->n_bytes;
    memcpy(a->bytes + a->n_bytes, text, n_bytes);
    a->n_bytes += n_bytes;
    a->log_probabilities[a->n] = score;
    a->types[a->n] = type;
    a->added[a->n] = flags;
    a->n++;
    a->offsets[a->n] = (uint32_t)a->n_bytes;
}

/* Symbols of the user are matched whole in the text as given, as transformers adds them. */
static void fill(arrays *a, const pith_vocab *v) {
    for (size_t i = 0; i < N_FAIRSEQ; i++) {
        uint8_t type = i == 3 ? PITH_PIECE_UNKNOWN : PITH_PIECE_CONTROL;
        put_piece(a, fairseq_names[i], strlen(fairseq_names[i]), 0, type, PITH_ADDED_SPECIAL);
    }
    for (size_t i = N_MODEL; i < v->n_pieces; i++) {
        put_piece(a, v->bytes + v->offsets[i], v->offsets[i + 1] - v->offsets[i],
                  v->log_probabilities[i], v->types[i], 0);
    }
    put_piece(a, mask_name, strlen(mask_name), 0, PITH_PIECE_CONTROL,
              PITH_ADDED_SPECIAL | PITH_ADDED_LSTRIP);
}

static bool allocate(arrays *a, const pith_vocab *v, const pith_allocator *allocator) {
    size_t n = v->n_pieces + N_MORE;
    a->bytes = pith_allocate(allocator, v->n_bytes + strlen("<pad>") + strlen(mask_name), 1);
    a->offsets = pith_allocate(allocator, n + 1, sizeof *a->offsets);
    a->log_probabilities = pith_allocate(allocator, n, sizeof *a->log_probabilities);
    a->types = pith_allocate(allocator, n, 1);
    a->added = pith_allocate(allocator, n, 1);
    return a->bytes != NULL && a->offsets != NULL && a->log_probabilities != NULL &&
           a->types != NULL && a->added != NULL;
}

/* The vocabulary with these arrays. */
static pith_vocab renumbered(const pith_vocab *v, const arrays *a) {
    pith_vocab out = *v;
    out.n_pieces = a->n;
    out.bytes = a->bytes;
    out.n_bytes = a->n_bytes;
    out.offsets = a->offsets;
    out.log_probabilities = a->log_probabilities;
    out.types = a->types;
    out.added = a->added;
    out.bos = 0;
    out.eos = 2;
    out.unk = 3;
    pith_vocab_frame_xlm_roberta(&out, true);
    return out;
}

pith_status pith_vocab_number_as_fairseq(pith_vocab_file *file, const char *name,
                                         pith_error *error) {
    const pith_vocab *v = &file->vocab;
    arrays a = {.n = 0};
    pith_vocab vocab;
    pith_status status = check_model(v, name, error);
    if (status != PITH_OK) {
        return status;
    }
    if (!allocate(&a, v, file->allocator)) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for %zu pieces", name,
                           v->n_pieces + N_MORE);
    }
    if (status == PITH_OK) {
        fill(&a, v);
        vocab = renumbered(v, &a);
        status = pith_vocab_check(&vocab, name, error);
    }
    void *const blocks[] = {a.bytes, a.offsets, a.log_probabilities, a.types, a.added};
    const void *const old[] = {v->bytes, v->offsets, v->log_probabilities, v->types, v->added};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        if (status == PITH_OK) {
            pith_vocab_put_block(file, old[i], blocks[i]);
        } else {
            pith_release(file->allocator, blocks[i]);
        }
    }
    if (status == PITH_OK) {
        file->vocab = vocab;
    }
    return status;
}
