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

/* Symbols of the user are matched whole in the text as given, as transformers adds them. */
static void fill(pith_vocab_arrays *a, const pith_vocab *v) {
    for (size_t i = 0; i < N_FAIRSEQ; i++) {
        uint8_t type = i == 3 ? PITH_PIECE_UNKNOWN : PITH_PIECE_CONTROL;
        pith_vocab_arrays_put(a, fairseq_names[i], strlen(fairseq_names[i]), type,
                              PITH_ADDED_SPECIAL);
    }
    for (size_t i = N_MODEL; i < v->n_pieces; i++) {
        a->log_probabilities[a->n] = v->log_probabilities[i];
        pith_vocab_arrays_put(a, v->bytes + v->offsets[i], v->offsets[i + 1] - v->offsets[i],
                              v->types[i], 0);
    }
    pith_vocab_arrays_put(a, mask_name, strlen(mask_name), PITH_PIECE_CONTROL,
                          PITH_ADDED_SPECIAL | PITH_ADDED_LSTRIP);
}

pith_status pith_vocab_number_as_fairseq(pith_vocab_file *file, const char *name,
                                         pith_error *error) {
    const pith_vocab *v = &file->vocab;
    pith_vocab settings = *v;
    pith_vocab_arrays a;
    pith_status status = check_model(v, name, error);
    if (status == PITH_OK) {
        status =
            pith_vocab_arrays_new(&a, file, v->n_pieces + N_MORE,
                                  v->n_bytes + strlen("<pad>") + strlen(mask_name), name, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    fill(&a, v);
    settings.bos = 0;
    settings.eos = 2;
    settings.unk = 3;
    pith_vocab_frame_xlm_roberta(&settings, true);
    return pith_vocab_arrays_replace(file, &a, &settings, name, error);
}
