/* A SentencePiece model's pieces numbered as fairseq's: where each one goes, what stands around
 * texts, and the models that cannot be numbered so. */
#include "tests/sentencepiece.h"
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

enum { TRAINER = 2, NORMALIZER = 3 }; /* fields of a model */

/* A model to write; zeros give one with the pieces a, b, ab and a symbol of the user. */
typedef struct model {
    const char *first; /* spelling of piece 0, or NULL: "<unk>" */
    unsigned type;     /* of piece 6, 0: NORMAL */
    unsigned setting;  /* a field of the normaliser that is false, or 0 */
    unsigned model_type;
    bool cut;   /* without pieces behind the first two */
    bool bytes; /* all byte pieces, and byte_fallback */
} model;

static void put_bytes(test_spm *w) {
    for (unsigned i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", i);
        test_spm_piece(w, name, 0, PITH_PIECE_BYTE);
    }
}

static void put_model(test_spm *w, const model *m) {
    test_spm trainer = {.size = 0};
    test_spm normalizer = {.size = 0};
    test_spm_piece(w, m->first != NULL ? m->first : "<unk>", 0, PITH_PIECE_UNKNOWN);
    test_spm_piece(w, "<s>", 0, PITH_PIECE_CONTROL);
    if (!m->cut) {
        test_spm_piece(w, "</s>", 0, PITH_PIECE_CONTROL);
        test_spm_piece(w, "\xE2\x96\x81\x61", -1, PITH_PIECE_NORMAL);
        test_spm_piece(w, "b", -2, PITH_PIECE_NORMAL);
        test_spm_piece(w, "ab", -2.5F, PITH_PIECE_NORMAL);
        test_spm_piece(w, "c", -4, m->type != 0 ? m->type : PITH_PIECE_NORMAL);
        test_spm_piece(w, "[user]", 0, PITH_PIECE_USER_DEFINED);
    }
    if (m->bytes) {
        put_bytes(w);
    }
    test_spm_number(&trainer, 3, m->model_type != 0 ? m->model_type : 1);
    test_spm_number(&trainer, 35, m->bytes);
    test_spm_message(w, TRAINER, &trainer);
    if (m->setting != 0) {
        test_spm_number(&normalizer, m->setting, 0);
        test_spm_message(w, NORMALIZER, &normalizer);
    }
}

static pith_vocab_file read_model(const model *m) {
    test_spm w = {.size = 0};
    pith_vocab_file file;
    pith_error error = {0};
    put_model(&w, m);
    CHECK(pith_vocab_from_sentencepiece(&file, w.data, w.size, "m", NULL, &error) == PITH_OK, "%s",
          error.message);
    return file;
}

static void check_ids(const pith_tokenizer *t, const char *text, const char *pair,
                      const char *expected) {
    pith_tokens ids;
    pith_error error = {0};
    pith_tokens_init(&ids, NULL);
    CHECK(pith_encode_for_encoder(t, text, strlen(text), pair, pair != NULL ? strlen(pair) : 0, 0,
                                  &ids, NULL, &error) == PITH_OK,
          "%s", error.message);
    const char *actual = test_show_ids(ids.ids, ids.n);
    CHECK(strcmp(actual, expected) == 0, "\"%s\": %s, expected %s", text, actual, expected);
    pith_tokens_release(&ids);
}

TEST(fairseq, pieces_are_one_further_and_mask_is_last) {
    static const char *const spelled[] = {"<s>", "<pad>", "</s>", "<unk>",  "\xE2\x96\x81\x61",
                                          "b",   "ab",    "c",    "[user]", "<mask>"};
    pith_vocab_file file = read_model(&(model){.type = 0});
    pith_error error = {0};
    pith_tokenizer *t;
    CHECK(pith_vocab_number_as_fairseq(&file, "m", &error) == PITH_OK, "%s", error.message);
    const pith_vocab *v = &file.vocab;
    CHECK(v->n_pieces == 10 && v->bos == 0 && v->eos == 2 && v->unk == 3 && v->add_bos &&
              v->add_eos && v->pair_form == PITH_PAIR_DOUBLED,
          "%zu pieces", v->n_pieces);
    CHECK(pith_tokenizer_new(&t, v, NULL, &error) == PITH_OK, "%s", error.message);
    for (int32_t id = 0; id < 10; id++) {
        const char *text;
        size_t n;
        CHECK(pith_tokenizer_piece(t, id, &text, &n) && n == strlen(spelled[id]) &&
                  memcmp(text, spelled[id], n) == 0,
              "piece %d is %.*s, not %s", (int)id, (int)n, text, spelled[id]);
    }
    CHECK(v->log_probabilities[4] == -1 && v->log_probabilities[7] == -4, "scores");
    CHECK(v->added[9] == (PITH_ADDED_SPECIAL | PITH_ADDED_LSTRIP) && v->added[8] == 0, "flags");
    check_ids(t, "", NULL, "0 2");
    check_ids(t, "ab", NULL, "0 4 5 2");
    check_ids(t, "\t a\n ab  ", NULL, "0 4 4 5 2");
    check_ids(t, "a[user]b", "a", "0 4 8 3 5 2 2 4 2");
    check_ids(t, "a <mask>a", NULL, "0 4 9 4 2");
    pith_tokenizer_free(t);
    pith_vocab_file_free(&file);
    CHECK_NO_LEAKS();
}

TEST(fairseq, other_models_are_refused_by_name) {
    static const struct {
        model m;
        const char *words;
    } cases[] = {
        {{.model_type = 2}, "BPE"},
        {{.bytes = true}, "byte_fallback"},
        {{.setting = 3}, "add_dummy_prefix"},
        {{.setting = 4}, "remove_extra_whitespaces"},
        {{.setting = 5}, "escape_whitespaces"},
        {{.first = "<UNK>"}, "piece 0, \"<UNK>\" of type 2"},
        {{.type = PITH_PIECE_UNUSED}, "piece 6, \"c\" of type 5"},
        {{.type = PITH_PIECE_CONTROL}, "piece 6, \"c\" of type 3"},
        {{.cut = true}, "fewer than 3 pieces"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_vocab_file file = read_model(&cases[i].m);
        pith_vocab before = file.vocab;
        pith_error error = {0};
        pith_status status = pith_vocab_number_as_fairseq(&file, "m.model", &error);
        CHECK(status == PITH_ERROR_UNSUPPORTED && strncmp(error.message, "m.model: ", 9) == 0 &&
                  strstr(error.message, cases[i].words) != NULL,
              "case %zu: %s, \"%s\", expected \"%s\"", i, pith_status_name(status), error.message,
              cases[i].words);
        CHECK(memcmp(&before, &file.vocab, sizeof before) == 0, "case %zu: it was changed", i);
        pith_vocab_file_free(&file);
    }
    CHECK_NO_LEAKS();
}
