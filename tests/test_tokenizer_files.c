/* Damaged and unsupported tokenizer files: one case per kind of mistake. */
#include "tests/sentencepiece.h"
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- SentencePiece models, written field by field -------------------------------------------- */

enum { UNKNOWN = 2, CONTROL = 3 };

static void put_pieces(test_spm *w) {
    test_spm_piece(w, "<unk>", 0, UNKNOWN);
    test_spm_piece(w, "<s>", 0, CONTROL);
    test_spm_piece(w, "</s>", 0, CONTROL);
    test_spm_piece(w, "a", -1, 1);
}

static void put_trainer(test_spm *w, unsigned field, uint64_t value) {
    test_spm trainer = {.size = 0};
    test_spm_number(&trainer, 3, 2); /* BPE */
    if (field != 0) {
        test_spm_number(&trainer, field, value);
    }
    test_spm_message(w, 2, &trainer);
}

static void whole(test_spm *w) {
    put_pieces(w);
    put_trainer(w, 0, 0);
}

/* Each writes a model with one mistake. */
static void nothing(test_spm *w) {
    (void)w;
}
static void no_pieces(test_spm *w) {
    put_trainer(w, 0, 0);
}
static void no_trainer(test_spm *w) {
    put_pieces(w);
}
static void endless_varint(test_spm *w) {
    whole(w);
    memset(w->data + w->size, 0xFF, 11);
    w->size += 11;
}
static void wide_varint(test_spm *w) { /* ten bytes, but more than 64 bits */
    whole(w);
    memset(w->data + w->size, 0x80, 9);
    w->data[w->size + 9] = 0x02;
    w->size += 10;
}
static void cut_tag(test_spm *w) {
    whole(w);
    w->data[w->size++] = 0x80;
}
static void cut_number(test_spm *w) {
    whole(w);
    test_spm_varint(w, 9 << 3);
    w->data[w->size++] = 0x80;
}
static void cut_bytes(test_spm *w) {
    whole(w);
    test_spm_varint(w, 9 << 3 | 2);
    test_spm_varint(w, 5);
}
static void huge_length(test_spm *w) {
    whole(w);
    test_spm_varint(w, 9 << 3 | 2);
    test_spm_varint(w, UINT64_MAX);
}
static void cut_fixed(test_spm *w) {
    whole(w);
    test_spm_varint(w, 9 << 3 | 5);
}
static void group(test_spm *w) {
    whole(w);
    test_spm_varint(w, 9 << 3 | 3);
}
static void field_zero(test_spm *w) {
    whole(w);
    test_spm_varint(w, 0);
    test_spm_varint(w, 0);
}
static void numeric_piece(test_spm *w) {
    test_spm_number(w, 1, 5);
    whole(w);
}
static void numeric_text(test_spm *w) {
    whole(w);
    test_spm piece = {.size = 0};
    test_spm_number(&piece, 1, 5);
    test_spm_message(w, 1, &piece);
}
static void empty_piece(test_spm *w) {
    whole(w);
    test_spm_piece(w, "", 0, 1);
}
static void piece_without_text(test_spm *w) {
    whole(w);
    test_spm_bytes(w, 1, "", 0);
}
static void unknown_type(test_spm *w) {
    whole(w);
    test_spm_piece(w, "b", 0, 9);
}
static void broken_text(test_spm *w) {
    whole(w);
    test_spm_piece(w, "\xE2\x96", 0, 1);
}
static void nan_score(test_spm *w) {
    whole(w);
    test_spm_piece(w, "b", (float)strtod("nan", NULL), 1);
}
static void two_unknown(test_spm *w) {
    whole(w);
    test_spm_piece(w, "<other>", 0, UNKNOWN);
}
static void stray_byte(test_spm *w) {
    whole(w);
    test_spm_piece(w, "<0x0A>", 0, 6);
}
static void no_bytes(test_spm *w) {
    put_pieces(w);
    put_trainer(w, 35, 1);
}
static void unigram(test_spm *w) {
    put_pieces(w);
    put_trainer(w, 3, 1);
}
static void word_model(test_spm *w) {
    put_pieces(w);
    put_trainer(w, 3, 3);
}
static void model_type_9(test_spm *w) {
    put_pieces(w);
    put_trainer(w, 3, 9);
}
static void suffix(test_spm *w) {
    put_pieces(w);
    put_trainer(w, 24, 1);
}
static void charsmap(test_spm *w) {
    whole(w);
    test_spm normalizer = {.size = 0};
    test_spm_bytes(&normalizer, 1, "nmt_nfkc", 8);
    test_spm_bytes(&normalizer, 2, "map", 3);
    test_spm_message(w, 3, &normalizer);
}
static void denormalizer(test_spm *w) {
    whole(w);
    test_spm spec = {.size = 0};
    test_spm_bytes(&spec, 2, "map", 3);
    test_spm_message(w, 5, &spec);
}
static void text_for_flag(test_spm *w) {
    whole(w);
    test_spm normalizer = {.size = 0};
    test_spm_bytes(&normalizer, 3, "yes", 3);
    test_spm_message(w, 3, &normalizer);
}

TEST(tokenizer, a_small_model_is_read) {
    test_spm w = {.size = 0};
    whole(&w);
    pith_error error = {0};
    pith_vocab_file file;
    CHECK(pith_vocab_from_sentencepiece(&file, w.data, w.size, "m", NULL, &error) == PITH_OK, "%s",
          error.message);
    const pith_vocab *v = &file.vocab;
    CHECK(v->n_pieces == 4 && v->bos == 1 && v->eos == 2 && v->unk == 0 && v->add_bos, "%zu pieces",
          v->n_pieces);
    /* What the file leaves out has the defaults of sentencepiece_model.proto. */
    CHECK(v->add_dummy_prefix && v->remove_extra_whitespaces && v->escape_whitespaces &&
              !v->byte_fallback,
          "defaults");
    CHECK(v->scores[3] == -1 && v->types[3] == 1 && v->types[1] == CONTROL, "a piece");
    pith_vocab_file_free(&file);
    CHECK_NO_LEAKS();
}

TEST(tokenizer, damaged_models_are_refused_by_name) {
    static const struct {
        void (*write)(test_spm *w);
        pith_status status;
        const char *message;
    } cases[] = {
        {nothing, PITH_ERROR_FORMAT, "empty"},
        {no_pieces, PITH_ERROR_FORMAT, "no pieces"},
        {endless_varint, PITH_ERROR_FORMAT, "tag is cut off or too long"},
        {wide_varint, PITH_ERROR_FORMAT, "tag is cut off or too long"},
        {cut_tag, PITH_ERROR_FORMAT, "tag is cut off"},
        {cut_number, PITH_ERROR_FORMAT, "number is cut off"},
        {cut_bytes, PITH_ERROR_FORMAT, "beyond its message"},
        {huge_length, PITH_ERROR_FORMAT, "beyond its message"},
        {cut_fixed, PITH_ERROR_FORMAT, "number is cut off"},
        {group, PITH_ERROR_FORMAT, "unknown wire type"},
        {field_zero, PITH_ERROR_FORMAT, "no valid number"},
        {numeric_piece, PITH_ERROR_FORMAT, "a piece has wire type 0"},
        {numeric_text, PITH_ERROR_FORMAT, "a piece's text has wire type 0"},
        {empty_piece, PITH_ERROR_FORMAT, "piece 4 is empty"},
        {piece_without_text, PITH_ERROR_FORMAT, "piece 4 is empty"},
        {unknown_type, PITH_ERROR_FORMAT, "piece 4: type 0"},
        {broken_text, PITH_ERROR_FORMAT, "piece 4 is not UTF-8"},
        {nan_score, PITH_ERROR_FORMAT, "piece 4: its score"},
        {two_unknown, PITH_ERROR_FORMAT, "2 unknown pieces"},
        {stray_byte, PITH_ERROR_FORMAT, "1 byte pieces, byte_fallback is off"},
        {no_bytes, PITH_ERROR_FORMAT, "0 byte pieces, byte_fallback is on"},
        {word_model, PITH_ERROR_UNSUPPORTED, "word model"},
        {model_type_9, PITH_ERROR_FORMAT, "model_type 9"},
        {suffix, PITH_ERROR_UNSUPPORTED, "treat_whitespace_as_suffix"},
        {charsmap, PITH_ERROR_FORMAT, "the map of characters is damaged"},
        {denormalizer, PITH_ERROR_UNSUPPORTED, "denormalizer"},
        {text_for_flag, PITH_ERROR_FORMAT, "add_dummy_prefix has wire type 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_spm w = {.size = 0};
        cases[i].write(&w);
        pith_error error = {0};
        pith_vocab_file file;
        pith_status status =
            pith_vocab_from_sentencepiece(&file, w.data, w.size, "m.model", NULL, &error);
        CHECK(status == cases[i].status, "case %zu: status %d (%s)", i, (int)status, error.message);
        CHECK(strncmp(error.message, "m.model: ", 9) == 0 &&
                  strstr(error.message, cases[i].message) != NULL,
              "case %zu: \"%s\", expected \"%s\"", i, error.message, cases[i].message);
    }
    CHECK_NO_LEAKS();
}

/* Without a trainer's word a model is a Unigram, as sentencepiece_model.proto has it. */
TEST(tokenizer, a_unigram_model_is_read) {
    void (*const writers[])(test_spm * w) = {unigram, no_trainer};
    for (size_t i = 0; i < 2; i++) {
        test_spm w = {.size = 0};
        writers[i](&w);
        pith_error error = {0};
        pith_vocab_file file;
        CHECK(pith_vocab_from_sentencepiece(&file, w.data, w.size, "m", NULL, &error) == PITH_OK,
              "%s", error.message);
        const pith_vocab *v = &file.vocab;
        CHECK(v->kind == PITH_TOKENIZER_UNIGRAM && v->single_precision && v->scores == NULL &&
                  v->log_probabilities[3] == -1,
              "case %zu: kind %d", i, (int)v->kind);
        pith_vocab_file_free(&file);
    }
    CHECK_NO_LEAKS();
}

/* Cut anywhere, a model is refused or is a whole, shorter model; never read beyond its end. */
TEST(tokenizer, models_cut_anywhere_are_safe) {
    test_spm w = {.size = 0};
    whole(&w);
    for (size_t n = 0; n < w.size; n++) {
        unsigned char *guarded = test_guarded(n);
        memcpy(guarded, w.data, n);
        pith_vocab_file file;
        if (pith_vocab_from_sentencepiece(&file, guarded, n, "m", NULL, NULL) == PITH_OK) {
            pith_vocab_file_free(&file);
        }
        test_guarded_free(guarded, n);
    }
    CHECK_NO_LEAKS();
}

/* ---- tokenizer.json -------------------------------------------------------------------------- */

#define BPE(more) "\"model\":{\"type\":\"BPE\"," more "}"
#define SMALL "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]"
#define BYTE_PARTS                                                           \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}," \
    "\"decoder\":{\"type\":\"ByteLevel\"},"
#define MODEL BPE(SMALL)
#define LONG "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0" /* 65 bytes */
#define STEP(section, list, type) \
    "\"" section "\":{\"type\":\"Sequence\",\"" list "\":[{\"type\":\"" type "\"}]},"

typedef struct json_case {
    const char *text;
    pith_status status;
    const char *message;
} json_case;

static void check_json(const json_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        pith_error error = {0};
        pith_vocab_file file;
        pith_status status = test_vocab_from_json(&file, cases[i].text, strlen(cases[i].text),
                                                  "t.json", NULL, &error);
        CHECK(status == cases[i].status, "case %zu: status %d (%s)", i, (int)status, error.message);
        if (status == PITH_OK) {
            pith_vocab_file_free(&file);
            continue;
        }
        CHECK(strncmp(error.message, "t.json: ", 8) == 0 &&
                  strstr(error.message, cases[i].message) != NULL,
              "case %zu: \"%s\", expected \"%s\"", i, error.message, cases[i].message);
    }
    CHECK_NO_LEAKS();
}

#define CHECK_JSON(cases) check_json(cases, sizeof(cases) / sizeof((cases)[0]))

TEST(tokenizer, damaged_json_is_refused_by_name) {
    static const json_case cases[] = {
        {"{" MODEL "}", PITH_OK, ""},
        {"{" BYTE_PARTS MODEL "}", PITH_OK, ""},
        {"", PITH_ERROR_FORMAT, "line 1"},
        {"{\"model\":", PITH_ERROR_FORMAT, "line 1"},
        {"{" MODEL ",\"model\":1}", PITH_ERROR_FORMAT, "no \"model\""}, /* the last one counts */
        {"{\"model\":1," MODEL "}", PITH_OK, ""},
        {"[]", PITH_ERROR_FORMAT, "no \"model\""},
        {"{" BPE("\"vocab\":[],\"merges\":[]") "}", PITH_ERROR_FORMAT, "\"vocab\""},
        {"{" BPE("\"vocab\":{\"a\":0}") "}", PITH_ERROR_FORMAT, "\"merges\""},
        {"{" BPE("\"vocab\":{},\"merges\":[]") "}", PITH_ERROR_FORMAT, "0 pieces"},
        {"{" BPE("\"vocab\":{\"a\":-1},\"merges\":[]") "}", PITH_ERROR_FORMAT, "\"a\""},
        {"{" BPE("\"vocab\":{\"a\":1048576},\"merges\":[]") "}", PITH_ERROR_FORMAT, "\"a\""},
        {"{" BPE("\"vocab\":{\"a\":0.5},\"merges\":[]") "}", PITH_ERROR_FORMAT, "\"a\""},
        {"{" BPE("\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]") "}", PITH_ERROR_FORMAT,
         "both have id 0"},
        {"{" BPE("\"vocab\":{\"a\":0},\"merges\":[\"a\"]") "}", PITH_ERROR_FORMAT, "merges[0]"},
        {"{" BPE("\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]") "}", PITH_ERROR_FORMAT, "merges[0]"},
        {"{" BPE("\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]") "}", PITH_ERROR_FORMAT, "merges[0]"},
        {"{" BPE("\"vocab\":{\"a\":0},\"merges\":[[\"a\",1]]") "}", PITH_ERROR_FORMAT, "merges[0]"},
        {"{" BPE("\"vocab\":{\"a\":0},\"merges\":[\"a x\"]") "}", PITH_ERROR_FORMAT,
         "\"x\" is not in the vocabulary"},
        {"{" BPE("\"vocab\":{\"a\":0},\"merges\":[\"a a\"]") "}", PITH_ERROR_FORMAT,
         "\"aa\" is not in the vocabulary"},
        {"{" BPE("\"unk_token\":\"x\"," SMALL) "}", PITH_ERROR_FORMAT, "unk_token"},
        {"{" BPE("\"byte_fallback\":1," SMALL) "}", PITH_ERROR_FORMAT, "\"byte_fallback\""},
        {"{\"added_tokens\":{}," MODEL "}", PITH_ERROR_FORMAT, "added_tokens"},
        {"{\"added_tokens\":[{\"id\":3}]," MODEL "}", PITH_ERROR_FORMAT, "added_tokens[0].content"},
        {"{\"added_tokens\":[{\"content\":\"x\"}]," MODEL "}", PITH_ERROR_FORMAT, "\"x\""},
        {"{\"added_tokens\":[{\"id\":3,\"content\":\"\",\"special\":true}]," MODEL "}", PITH_OK,
         ""},
        {"{\"added_tokens\":[{\"id\":1,\"content\":\"x\"}]," MODEL "}", PITH_ERROR_FORMAT,
         "contradicts"},
        {"{\"added_tokens\":[{\"id\":3,\"content\":\"a\"}]," MODEL "}", PITH_ERROR_FORMAT,
         "contradicts"},
        {"{\"added_tokens\":[{\"id\":3,\"content\":\"x\",\"lstrip\":\"no\"}]," MODEL "}",
         PITH_ERROR_FORMAT, "\"lstrip\""},
        {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
         "{\"id\":\"x\"}},{\"Sequence\":{\"id\":\"A\"}}]}," MODEL "}",
         PITH_ERROR_FORMAT, "post_processor"},
        {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}," MODEL "}",
         PITH_ERROR_FORMAT, "without a sequence"},
    };
    CHECK_JSON(cases);
}

TEST(tokenizer, what_would_change_ids_or_text_is_refused_by_name) {
    static const json_case cases[] = {
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", PITH_ERROR_UNSUPPORTED, "WordLevel"},
        {"{\"model\":{}}", PITH_ERROR_UNSUPPORTED, "no type"},
        {"{" BPE("\"dropout\":0.1," SMALL) "}", PITH_ERROR_UNSUPPORTED, "dropout"},
        {"{" BPE("\"dropout\":0.0," SMALL) "}", PITH_OK, ""},
        {"{" BPE("\"continuing_subword_prefix\":\"##\"," SMALL) "}", PITH_ERROR_UNSUPPORTED,
         "continuing_subword_prefix"},
        {"{" BPE("\"end_of_word_suffix\":\"</w>\"," SMALL) "}", PITH_ERROR_UNSUPPORTED,
         "end_of_word_suffix"},
        {"{\"normalizer\":{\"type\":\"ByteLevel\"}," MODEL "}", PITH_ERROR_UNSUPPORTED,
         "normalizer \"ByteLevel\""},
        {"{" STEP("normalizer", "normalizers", "Louder") MODEL "}", PITH_ERROR_UNSUPPORTED,
         "normalizer \"Louder\""},
        {"{\"normalizer\":{\"type\":\"NFC\"}," MODEL "}", PITH_OK, ""},
        {"{\"normalizer\":{\"type\":\"NFC\"}," BYTE_PARTS MODEL "}", PITH_OK, ""},
        {"{\"normalizer\":{\"type\":\"Prepend\"}," MODEL "}", PITH_ERROR_UNSUPPORTED,
         "Prepend without a text"},
        {"{\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"" LONG "\"}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "a text that is none, or long"},
        {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":"
         "\"x\"}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "normalizer \"a pattern that is neither"},
        {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\h\"},\"content\":"
         "\"x\"}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "regular expression"},
        {"{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAA*\"}," MODEL "}",
         PITH_ERROR_FORMAT, "precompiled_charsmap is damaged"},
        {"{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":1}," MODEL "}",
         PITH_ERROR_FORMAT, "precompiled_charsmap is no text"},
        {"{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}," MODEL "}", PITH_ERROR_UNSUPPORTED,
         "pre_tokenizer \"UnicodeScripts\""},
        {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"__\",\"prepend_scheme\":"
         "\"first\",\"split\":false}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "replacement"},
        {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},"
         "{\"type\":\"Metaspace\",\"replacement\":\"_\"}]}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "Metaspace behind ByteLevel"},
        {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"prepend_scheme\""
         ":\"often\",\"split\":false}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "prepend_scheme"},
        {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},"
         "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "ByteLevel twice"},
        {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
         "\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Sometimes\"},{\"type\":\"ByteLevel\","
         "\"add_prefix_space\":false,\"use_regex\":false}]}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "behavior"},
        {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
         "\"pattern\":{\"String\":\"\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\","
         "\"add_prefix_space\":false,\"use_regex\":false}]}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "Regex"},
        {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
         "\"pattern\":{\"Regex\":\"\\\\h\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\","
         "\"add_prefix_space\":false,\"use_regex\":false}]}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "regular expression"},
        {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "decoder"},
        {"{\"decoder\":{\"type\":\"BPEDecoder\"}," MODEL "}", PITH_ERROR_UNSUPPORTED, "BPEDecoder"},
        {"{\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":17,\"stop\":0}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "Strip of so many"},
        {"{\"decoder\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a+\"},\"content\":\"\"}"
         "," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "Replace of a regular expression"},
        {"{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":"
         "\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"\"}]}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "behind Fuse"},
        {"{\"decoder\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":"
         "\"123456789\"}," MODEL "}",
         PITH_ERROR_FORMAT, "lengthens tokens too much"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":{}}}", PITH_ERROR_FORMAT, "is not a list"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", PITH_ERROR_FORMAT, "vocab[0]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1],[1,-1]]}}", PITH_ERROR_FORMAT,
         "vocab[1]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]],\"unk_id\":1}}",
         PITH_ERROR_FORMAT, "unk_id"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",1e39]]}}", PITH_ERROR_FORMAT,
         "piece 0: its score"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"" LONG LONG LONG LONG LONG LONG LONG LONG
         "\",-1]]}}",
         PITH_ERROR_FORMAT, "more than 512"},
        {"{\"post_processor\":{\"type\":\"RobertaProcessing\"}," MODEL "}", PITH_ERROR_FORMAT,
         "\"cls\" or \"sep\" has no id"},
        {"{\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"BertProcessing\","
         "\"cls\":[\"a\",0],\"sep\":[\"a\",0]},{\"type\":\"BertProcessing\"}]}," MODEL "}",
         PITH_ERROR_UNSUPPORTED, "Sequence that adds tokens twice"},
        {"{\"post_processor\":{\"type\":\"Somewhere\"}," MODEL "}", PITH_ERROR_UNSUPPORTED,
         "Somewhere"},
    };
    CHECK_JSON(cases);
}

/* A token with characters outside the byte alphabet stands for its own spelling; no text reaches
 * the merges it takes part in. */
TEST(tokenizer, tokens_outside_the_byte_alphabet_keep_their_spelling) {
    static const char text[] =
        "{" BYTE_PARTS BPE("\"vocab\":{\"a\":0,\"\\u0120\":1,\"\\u4e00\":2,\"\\u0120\\u4e00\":3,"
                           "\"\\u0120a\":4},\"merges\":[\"\\u0120 \\u4e00\",\"\\u0120 a\"]") "}";
    test_tokenizer t;
    test_tokenizer_open_json(&t, text);
    const pith_vocab *v = &t.file.vocab;
    CHECK(v->n_merges == 1 && v->merges[2] == 4, "%zu merges", v->n_merges);
    CHECK(pith_tokenizer_find(t.tokenizer, " a", 2) == 4, "a decoded piece");
    CHECK(pith_tokenizer_find(t.tokenizer, "\xC4\xA0\xE4\xB8\x80", 5) == 3, "a literal piece");
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

#define AROUND(single, pair)                                                                       \
    "{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"pair\":[" pair \
    "],\"special_tokens\":{\"a\":{\"ids\":[0]},\"b\":{\"ids\":[1]},\"ab\":{\"ids\":[2]}}}"         \
    "," BYTE_PARTS MODEL "}"
#define ID(name) "{\"SpecialToken\":{\"id\":\"" name "\"}}"
#define FIRST "{\"Sequence\":{\"id\":\"A\"}}"
#define SECOND "{\"Sequence\":{\"id\":\"B\"}}"

/* Several tokens on a side: GLM-4 has "[gMASK]<sop>" in front of a text. */
TEST(tokenizer, templates_may_have_several_tokens_a_side) {
    static const struct {
        const char *text, *ids, *pair; /* of the texts "b" and "b" */
        size_t limit;
    } cases[] = {
        {AROUND(ID("ab") "," ID("a") "," FIRST, ID("ab") "," ID("a") "," FIRST "," SECOND), "2 0 1",
         "2 0 1 1", 0},
        {AROUND(ID("ab") "," FIRST "," ID("a") "," ID("b") "," ID("ab"),
                ID("ab") "," FIRST "," ID("a") "," ID("b") "," ID("ab") "," SECOND "," ID(
                    "a") "," ID("b") "," ID("ab")),
         "2 1 0 1 2", "2 1 0 1 2 1 0 1 2", 9},
        {AROUND(FIRST "," ID("a") "," ID("ab"), FIRST "," SECOND "," ID("a") "," ID("ab")), "1 0 2",
         "1 1 0 2", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_error error = {0};
        test_tokenizer t = {.tokenizer = NULL};
        CHECK(test_vocab_from_json(&t.file, cases[i].text, strlen(cases[i].text), "t", NULL,
                                   &error) == PITH_OK &&
                  pith_tokenizer_new(&t.tokenizer, &t.file.vocab, NULL, &error) == PITH_OK,
              "case %zu: %s", i, error.message);
        for (int pair = 0; pair < 2; pair++) {
            const char *expected = pair != 0 ? cases[i].pair : cases[i].ids;
            pith_tokens ids;
            pith_tokens_init(&ids, NULL);
            CHECK(pith_encode_for_encoder(t.tokenizer, "b", 1, pair != 0 ? "b" : NULL, 1,
                                          cases[i].limit, &ids, NULL, &error) == PITH_OK &&
                      strcmp(test_show_ids(ids.ids, ids.n), expected) == 0,
                  "case %zu: %s, expected %s", i, test_show_ids(ids.ids, ids.n), expected);
            pith_tokens_release(&ids);
        }
        test_tokenizer_close(&t);
    }
    static const json_case refused[] = {
        {AROUND(ID("a") "," ID("a") "," ID("a") "," ID("a") "," ID("a") "," ID("a") "," ID(
                    "a") "," ID("a") "," ID("a") "," FIRST,
                ""),
         PITH_ERROR_UNSUPPORTED, "more than 8 tokens a side"},
        {AROUND(FIRST "," ID("a") "," ID("b"),
                FIRST "," ID("a") "," SECOND "," ID("a") "," ID("b")),
         PITH_ERROR_UNSUPPORTED, "other tokens between two texts"},
    };
    CHECK_JSON(refused);
    CHECK_NO_LEAKS();
}

TEST(tokenizer, templates_tell_bos_and_eos) {
    static const char text[] =
        "{\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},"
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"b\"}},"
        "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"ab\"}}],\"special_tokens\":"
        "{\"b\":{\"ids\":[1]},\"ab\":{\"ids\":[2]}}}]}," BYTE_PARTS MODEL "}";
    pith_error error = {0};
    pith_vocab_file file;
    CHECK(test_vocab_from_json(&file, text, strlen(text), "t", NULL, &error) == PITH_OK, "%s",
          error.message);
    CHECK(file.vocab.bos == 1 && file.vocab.eos == 2 && file.vocab.add_bos, "bos %d, eos %d",
          file.vocab.bos, file.vocab.eos);
    pith_vocab_file_free(&file);
    test_tokenizer t;
    test_tokenizer_open(&t, "golden/llama3/tokenizer.json");
    CHECK(t.file.vocab.bos == 756 && t.file.vocab.eos == -1 && t.file.vocab.add_bos &&
              t.file.vocab.n_pieces == 768,
          "bos %d of %zu", t.file.vocab.bos, t.file.vocab.n_pieces);
    test_tokenizer_close(&t);
    test_tokenizer_open(&t, "golden/tokenizers/gpt2/tokenizer.json");
    CHECK(t.file.vocab.bos == -1 && !t.file.vocab.add_bos && t.file.vocab.n_pieces == 50257,
          "bos %d", t.file.vocab.bos);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}
