/* The check of a vocabulary, and added tokens laid over one. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A small vocabulary of each kind that passes, for one thing at a time to be broken. */
typedef struct small_vocab {
    char bytes[64];
    uint32_t offsets[7];
    float scores[6];
    uint8_t types[6];
    uint8_t added[6];
    uint32_t merges[6];
    char pattern[5000];
    pith_split_step steps[PITH_VOCAB_MAX_STEPS + 1];
    pith_vocab vocab;
} small_vocab;

static void make_small(small_vocab *s, pith_tokenizer_kind kind) {
    static const char bytes[] = "<unk>ab"
                                "ab"
                                "<0x0A>"
                                "abb";
    static const uint32_t offsets[7] = {0, 5, 6, 7, 9, 15, 18};
    static const uint8_t types[6] = {PITH_PIECE_UNKNOWN, 1, 1, 1, PITH_PIECE_BYTE, 1};
    static const uint32_t merges[6] = {1, 2, 3, 3, 2, 5};
    memset(s, 0, sizeof *s);
    memcpy(s->bytes, bytes, sizeof bytes);
    memcpy(s->offsets, offsets, sizeof offsets);
    memcpy(s->types, types, sizeof types);
    memcpy(s->merges, merges, sizeof merges);
    bool bytewise = kind == PITH_TOKENIZER_BYTE_BPE;
    bool ranked = kind != PITH_TOKENIZER_SENTENCEPIECE;
    s->types[4] = bytewise ? PITH_PIECE_NORMAL : PITH_PIECE_BYTE;
    strcpy(s->pattern, "a+|b+");
    s->vocab = (pith_vocab){.kind = kind,
                            .n_pieces = 6,
                            .bytes = s->bytes,
                            .n_bytes = 18,
                            .offsets = s->offsets,
                            .scores = s->scores,
                            .types = s->types,
                            .added = s->added,
                            .n_merges = ranked ? 2 : 0,
                            .merges = ranked ? s->merges : NULL,
                            .bos = -1,
                            .eos = 5,
                            .unk = 0,
                            .pattern = bytewise ? s->pattern : NULL};
}

TEST(tokenizer, small_vocabularies_pass_the_check) {
    for (int kind = 0; kind <= PITH_TOKENIZER_BYTE_BPE; kind++) {
        small_vocab s;
        make_small(&s, (pith_tokenizer_kind)kind);
        pith_error error = {0};
        CHECK(pith_vocab_check(&s.vocab, "small", &error) == PITH_OK, "kind %d: %s", kind,
              error.message);
    }
}

/* Each breaks one thing. */
typedef void (*breakage)(small_vocab *s);

static void no_pieces(small_vocab *s) {
    s->vocab.n_pieces = 0;
}
static void too_many_pieces(small_vocab *s) {
    s->vocab.n_pieces = (size_t)PITH_VOCAB_MAX_PIECES + 1;
}
static void too_many_bytes(small_vocab *s) {
    s->vocab.n_bytes = (size_t)PITH_VOCAB_MAX_BYTES + 1;
}
static void too_many_merges(small_vocab *s) {
    s->vocab.n_merges = (size_t)PITH_VOCAB_MAX_MERGES + 1;
}
static void no_array(small_vocab *s) {
    s->vocab.types = NULL;
}
static void unknown_kind(small_vocab *s) {
    s->vocab.kind = (pith_tokenizer_kind)9;
}
static void late_start(small_vocab *s) {
    s->offsets[0] = 1;
}
static void early_end(small_vocab *s) {
    s->vocab.n_bytes = 19;
}
static void descending(small_vocab *s) {
    s->offsets[2] = 4;
}
static void far_offset(small_vocab *s) {
    s->offsets[3] = 0xFFFFFFFFU;
}
static void empty_piece(small_vocab *s) {
    s->offsets[2] = 5;
}
static void type_zero(small_vocab *s) {
    s->types[1] = 0;
}
static void type_seven(small_vocab *s) {
    s->types[1] = 7;
}
static void unknown_flag(small_vocab *s) {
    s->added[1] = 32;
}
static void lower_case_byte(small_vocab *s) {
    s->bytes[13] = 'a';
}
static void not_utf8(small_vocab *s) {
    s->bytes[5] = (char)0xE2;
}
static void added_not_utf8(small_vocab *s) {
    s->bytes[5] = (char)0xE2;
    s->types[1] = PITH_PIECE_USER_DEFINED;
}
static void nan_score(small_vocab *s) {
    s->scores[2] = NAN;
}
static void infinite_score(small_vocab *s) {
    s->scores[2] = -INFINITY;
}
static void scored_merges(small_vocab *s) {
    s->vocab.n_merges = 2;
    s->vocab.merges = s->merges;
}
static void merge_out_of_range(small_vocab *s) {
    s->merges[4] = 6;
}
static void merge_of_others(small_vocab *s) {
    s->merges[0] = 2;
}
static void bos_out_of_range(small_vocab *s) {
    s->vocab.bos = 6;
}
static void eos_below(small_vocab *s) {
    s->vocab.eos = -2;
}
static void long_pattern(small_vocab *s) {
    memset(s->pattern, 'a', sizeof s->pattern - 1);
}
static void pattern_not_utf8(small_vocab *s) {
    s->pattern[0] = (char)0xFF;
}
static void one_step(small_vocab *s, pith_split_step step) {
    s->steps[0] = step;
    s->vocab.steps = s->steps;
    s->vocab.n_steps = 1;
}
static void steps_beside_a_pattern(small_vocab *s) {
    one_step(s, (pith_split_step){.pattern = "a"});
}
static void steps_by_score(small_vocab *s) {
    one_step(s, (pith_split_step){.pattern = "a"});
}
static void many_steps(small_vocab *s) {
    for (size_t i = 0; i <= PITH_VOCAB_MAX_STEPS; i++) {
        s->steps[i] = (pith_split_step){.pattern = "a"};
    }
    s->vocab.steps = s->steps;
    s->vocab.n_steps = PITH_VOCAB_MAX_STEPS + 1;
}
static void step_unknown(small_vocab *s) {
    one_step(s, (pith_split_step){.pattern = "a", .behavior = (pith_split_behavior)5});
}
static void step_without_pattern(small_vocab *s) {
    one_step(s, (pith_split_step){.kind = PITH_STEP_SPLIT});
}
static void step_with_long_pattern(small_vocab *s) {
    static char text[PITH_VOCAB_MAX_STEP_PATTERN + 2];
    memset(text, 'a', sizeof text - 1);
    one_step(s, (pith_split_step){.pattern = text});
}
static void step_after_bytes(small_vocab *s) {
    one_step(s, (pith_split_step){.kind = PITH_STEP_BYTES});
    s->steps[1] = (pith_split_step){.kind = PITH_STEP_SPACE};
    s->vocab.n_steps = 2;
    s->vocab.pattern = NULL;
}
static void bytes_by_character(small_vocab *s) {
    one_step(s, (pith_split_step){.kind = PITH_STEP_BYTES});
}
static void pattern_for_nothing(small_vocab *s) {
    s->vocab.pattern = s->pattern;
}
static void byte_in_bytes(small_vocab *s) {
    s->types[4] = PITH_PIECE_BYTE;
}

/* A step each of a normaliser and a decoder, to be broken. */
static void one_normal(small_vocab *s, pith_normal_step step) {
    static pith_normal_step steps[PITH_VOCAB_MAX_STEPS + 1];
    steps[0] = step;
    s->vocab.normalizer = steps;
    s->vocab.n_normalizer = 1;
}
static void one_decode(small_vocab *s, pith_decode_step step) {
    static pith_decode_step steps[PITH_VOCAB_MAX_STEPS + 1];
    steps[0] = step;
    s->vocab.decoder = steps;
    s->vocab.n_decoder = 1;
}
static void mark_of_two(small_vocab *s) {
    one_step(s, (pith_split_step){.kind = PITH_STEP_MARK, .pattern = "__"});
}
static void unknown_scheme(small_vocab *s) {
    one_step(s, (pith_split_step){.kind = PITH_STEP_MARK,
                                  .pattern = "_",
                                  .scheme = (pith_mark_scheme)3});
}
static void many_normal(small_vocab *s) {
    one_normal(s, (pith_normal_step){.kind = PITH_NORMAL_NFC});
    s->vocab.n_normalizer = PITH_VOCAB_MAX_STEPS + 1;
}
static void normal_unknown(small_vocab *s) {
    one_normal(s, (pith_normal_step){.kind = (pith_normal_kind)11});
}
static void replace_without_pattern(small_vocab *s) {
    one_normal(s, (pith_normal_step){.kind = PITH_NORMAL_REPLACE, .text = "a"});
}
static void replace_without_text(small_vocab *s) {
    one_normal(s, (pith_normal_step){.kind = PITH_NORMAL_REPLACE, .pattern = "a"});
}
static void prepend_not_utf8(small_vocab *s) {
    one_normal(s, (pith_normal_step){.kind = PITH_NORMAL_PREPEND, .text = "\xFF"});
}
static void normal_beside_settings(small_vocab *s) {
    one_normal(s, (pith_normal_step){.kind = PITH_NORMAL_NFC});
    s->vocab.escape_whitespaces = true;
}
static void charsmap_without_map(small_vocab *s) {
    one_normal(s, (pith_normal_step){.kind = PITH_NORMAL_CHARSMAP});
}
static void normal_by_score(small_vocab *s) {
    one_normal(s, (pith_normal_step){.kind = PITH_NORMAL_NFC});
}
static void damaged_charsmap(small_vocab *s) {
    static const uint8_t bytes[] = {4, 0, 0, 0, 0, 0, 0, 0, 'x'}; /* the text has no end */
    s->vocab.charsmap = bytes;
    s->vocab.n_charsmap = sizeof bytes;
}
static void charsmap_for_nothing(small_vocab *s) {
    static const uint8_t bytes[] = {4, 0, 0, 0, 0, 0, 0, 0, 0};
    s->vocab.charsmap = bytes;
    s->vocab.n_charsmap = sizeof bytes;
}
static void pair_unknown(small_vocab *s) {
    s->vocab.pair_form = 3;
}
static void around_unknown(small_vocab *s) {
    s->vocab.n_after_bos = 1;
    s->vocab.after_bos[0] = (int32_t)s->vocab.n_pieces;
}
static void around_many(small_vocab *s) {
    s->vocab.n_before_eos = PITH_VOCAB_MAX_AROUND + 1;
}
static void decode_bytewise(small_vocab *s) {
    one_decode(s, (pith_decode_step){.kind = PITH_DECODE_FUSE});
}
static void decode_unknown(small_vocab *s) {
    one_decode(s, (pith_decode_step){.kind = (pith_decode_kind)6});
}
static void strip_two(small_vocab *s) {
    one_decode(s, (pith_decode_step){.kind = PITH_DECODE_STRIP, .text = "ab", .start = 1});
}
static void strip_many(small_vocab *s) {
    one_decode(s, (pith_decode_step){.kind = PITH_DECODE_STRIP, .text = "a", .start = 17});
}
static void decode_growing(small_vocab *s) {
    one_decode(s, (pith_decode_step){.kind = PITH_DECODE_REPLACE,
                                     .pattern = "a",
                                     .text = "123456789"});
}
static void decode_behind_fuse(small_vocab *s) {
    one_decode(s, (pith_decode_step){.kind = PITH_DECODE_FUSE});
    ((pith_decode_step *)(uintptr_t)s->vocab.decoder)[1] =
        (pith_decode_step){.kind = PITH_DECODE_MARK, .pattern = "_"};
    s->vocab.n_decoder = 2;
}

TEST(tokenizer, the_check_names_what_is_wrong) {
    enum { SP = PITH_TOKENIZER_SENTENCEPIECE, LLAMA = PITH_TOKENIZER_LLAMA_BPE };
    enum { BYTES = PITH_TOKENIZER_BYTE_BPE };
    static const struct {
        breakage fn;
        int kind;
        const char *message;
    } cases[] = {
        {no_pieces, SP, "0 pieces"},
        {too_many_pieces, SP, "1048577 pieces"},
        {too_many_bytes, SP, "67108865 bytes"},
        {too_many_merges, LLAMA, "2097153 merges"},
        {no_array, SP, "array"},
        {unknown_kind, SP, "kind 9"},
        {late_start, SP, "bytes 1 to 18"},
        {early_end, SP, "not 0 to 19"},
        {descending, SP, "piece 1 ends before it begins"},
        {far_offset, SP, "piece 3 ends before it begins"},
        {empty_piece, SP, "piece 1 is empty"},
        {type_zero, SP, "piece 1: type 0"},
        {type_seven, LLAMA, "piece 1: type 7"},
        {unknown_flag, BYTES, "piece 1: added-token flags 32"},
        {lower_case_byte, SP, "piece 4 is not a byte"},
        {byte_in_bytes, BYTES, "piece 4 is not a byte"},
        {not_utf8, LLAMA, "piece 1 is not UTF-8"},
        {added_not_utf8, BYTES, "piece 1 is not UTF-8"},
        {nan_score, SP, "piece 2: its score"},
        {infinite_score, SP, "piece 2: its score"},
        {scored_merges, SP, "no merges"},
        {merge_out_of_range, LLAMA, "merge 1: id 6 of 6"},
        {merge_of_others, BYTES, "merge 0: piece 3 is not piece 2 followed by piece 2"},
        {bos_out_of_range, SP, "bos is 6 of 6"},
        {eos_below, LLAMA, "eos is -2"},
        {long_pattern, BYTES, "pattern has over 4096 bytes"},
        {pattern_not_utf8, BYTES, "pattern is not UTF-8"},
        {pattern_for_nothing, LLAMA, "only byte-level BPE"},
        {steps_beside_a_pattern, BYTES, "pre-tokenizer: steps, where a split pattern"},
        {steps_by_score, SP, "the kind of tokenizer allows none"},
        {many_steps, LLAMA, "33 steps, more than 32"},
        {step_unknown, LLAMA, "step 0 is not known"},
        {step_without_pattern, LLAMA, "step 0 has no pattern"},
        {step_with_long_pattern, LLAMA, "the pattern of step 0 has over 32768 bytes"},
        {step_after_bytes, BYTES, "step 1 comes after"},
        {bytes_by_character, LLAMA, "step 0 spells bytes"},
        {mark_of_two, LLAMA, "pre-tokenizer: step 0 has no character as its mark"},
        {unknown_scheme, LLAMA, "pre-tokenizer: step 0 is not known"},
        {many_normal, LLAMA, "normalizer: 33 steps, more than 32"},
        {normal_unknown, LLAMA, "normalizer: step 0 is not known"},
        {replace_without_pattern, LLAMA, "normalizer: step 0 has no pattern"},
        {replace_without_text, LLAMA, "normalizer: step 0 has no text"},
        {prepend_not_utf8, LLAMA, "normalizer: step 0 has a text that is too long or not UTF-8"},
        {normal_beside_settings, LLAMA, "normalizer: steps beside settings"},
        {charsmap_without_map, LLAMA, "normalizer: a step without its map"},
        {normal_by_score, SP, "normalizer: steps, where the kind"},
        {damaged_charsmap, SP, "the map of characters is damaged"},
        {pair_unknown, SP, "pair form 3 is not known"},
        {around_unknown, SP, "a token around texts is none of"},
        {around_many, SP, "more than 7 on a side"},
        {charsmap_for_nothing, LLAMA, "a map of characters for nothing"},
        {decode_bytewise, BYTES, "decoder: steps, where the kind"},
        {decode_unknown, LLAMA, "decoder: step 0 is not known"},
        {strip_two, LLAMA, "decoder: step 0 lacks a text"},
        {strip_many, LLAMA, "decoder: step 0 strips too many"},
        {decode_growing, LLAMA, "decoder: step 0 lengthens"},
        {decode_behind_fuse, LLAMA, "decoder: step 1 cannot be done"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        small_vocab s;
        make_small(&s, (pith_tokenizer_kind)cases[i].kind);
        cases[i].fn(&s);
        pith_error error = {0};
        pith_status status = pith_vocab_check(&s.vocab, "file.pith", &error);
        CHECK(status == PITH_ERROR_FORMAT, "case %zu: status %d", i, (int)status);
        CHECK(strncmp(error.message, "file.pith: ", 11) == 0 &&
                  strstr(error.message, cases[i].message) != NULL,
              "case %zu: \"%s\", expected \"%s\"", i, error.message, cases[i].message);
    }
}

TEST(tokenizer, long_added_tokens_fail_the_check) {
    static char bytes[PITH_VOCAB_MAX_ADDED_BYTES + 1];
    memset(bytes, 'a', sizeof bytes);
    uint32_t offsets[2] = {0, sizeof bytes};
    uint8_t type = PITH_PIECE_NORMAL;
    uint8_t added = 0;
    float score = 0;
    pith_vocab vocab = {.kind = PITH_TOKENIZER_SENTENCEPIECE,
                        .n_pieces = 1,
                        .bytes = bytes,
                        .n_bytes = sizeof bytes,
                        .offsets = offsets,
                        .scores = &score,
                        .types = &type,
                        .added = &added,
                        .bos = -1,
                        .eos = -1,
                        .unk = -1};
    CHECK(pith_vocab_check(&vocab, "f", NULL) == PITH_OK, "as an ordinary piece");
    type = PITH_PIECE_USER_DEFINED;
    CHECK(pith_vocab_check(&vocab, "f", NULL) == PITH_ERROR_FORMAT, "as an added token");
    offsets[1]--;
    vocab.n_bytes--;
    CHECK(pith_vocab_check(&vocab, "f", NULL) == PITH_OK, "one byte shorter");
}

/* ---- Added tokens ---------------------------------------------------------------------------- */

static void open_small_model(pith_vocab_file *file) {
    pith_error error = {0};
    size_t size;
    char *data = test_read_file(test_root("golden/llama-gqa/tokenizer.model"), &size);
    pith_status status = pith_vocab_from_sentencepiece(file, data, size, "m", NULL, &error);
    free(data);
    CHECK(status == PITH_OK, "%s", error.message);
}

static pith_status add(pith_vocab_file *file, const char *config, const char *added,
                       pith_error *error) {
    return test_vocab_add_tokens(file, config, config != NULL ? strlen(config) : 0, added,
                                 added != NULL ? strlen(added) : 0, "dir", error);
}

TEST(tokenizer, added_tokens_extend_the_vocabulary) {
    pith_vocab_file file;
    open_small_model(&file);
    pith_error error = {0};
    /* What the vocabulary has as piece 300 must be said as it is. */
    char spelled[64];
    const pith_vocab *v = &file.vocab;
    size_t n = v->offsets[301] - v->offsets[300];
    memcpy(spelled, v->bytes + v->offsets[300], n);
    spelled[n] = '\0';
    char text[512];
    snprintf(text, sizeof text,
             "{\"add_bos_token\":false,\"added_tokens_decoder\":{\"1000\":{\"content\":"
             "\"<|im_start|>\",\"special\":true,\"rstrip\":true},\"2\":{\"content\":\"</s>\","
             "\"special\":true},\"300\":{\"content\":\"%s\"}}}",
             spelled);
    CHECK(v->add_bos, "add_bos before");
    CHECK(add(&file, text, "{\"<|im_start|>\":1000,\"<extra>\":1001}", &error) == PITH_OK, "%s",
          error.message);
    CHECK(v->n_pieces == 1002 && !v->add_bos, "%zu pieces", v->n_pieces);
    CHECK(v->types[1000] == PITH_PIECE_CONTROL &&
              v->added[1000] == (PITH_ADDED_SPECIAL | PITH_ADDED_RSTRIP),
          "type %d, flags %d", v->types[1000], v->added[1000]);
    CHECK(v->types[1001] == PITH_PIECE_USER_DEFINED && v->added[1001] == 0, "type %d",
          v->types[1001]);
    CHECK(v->types[2] == PITH_PIECE_CONTROL && v->types[300] == PITH_PIECE_USER_DEFINED, "types");
    CHECK(v->scores[999] != 0 && v->scores[1000] == 0, "scores");
    pith_tokenizer *t = NULL;
    CHECK(pith_tokenizer_new(&t, v, NULL, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_tokenizer_find(t, "<|im_start|>", 12) == 1000, "find");
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    CHECK(pith_encode(t, "<extra><|im_start|>  <extra>", 28, PITH_ENCODE_SPECIAL, &ids, &error) ==
              PITH_OK,
          "%s", error.message);
    static const int32_t expected[] = {1001, 1000, 1001};
    CHECK(test_first_other_token(expected, 3, ids.ids, ids.n) < 0, "ids %s",
          test_show_ids(ids.ids, ids.n));
    pith_tokens_release(&ids);
    pith_tokenizer_free(t);
    pith_vocab_file_free(&file);
    CHECK_NO_LEAKS();
}

/* As transformers writes it: model_max_length there is a number beyond 64 bits. */
TEST(tokenizer, a_published_tokenizer_config_is_read) {
    pith_vocab_file file;
    open_small_model(&file);
    size_t size;
    char *config = test_read_file(test_root("golden/llama-gqa/tokenizer_config.json"), &size);
    pith_error error = {0};
    file.vocab.add_bos = false;
    CHECK(test_vocab_add_tokens(&file, config, size, NULL, 0, "config", &error) == PITH_OK, "%s",
          error.message);
    CHECK(file.vocab.n_pieces == 1000 && file.vocab.add_bos, "%zu pieces", file.vocab.n_pieces);
    CHECK(file.vocab.types[0] == PITH_PIECE_UNKNOWN && file.vocab.types[1] == PITH_PIECE_CONTROL,
          "types %d %d", file.vocab.types[0], file.vocab.types[1]);
    free(config);
    pith_vocab_file_free(&file);
    CHECK_NO_LEAKS();
}

TEST(tokenizer, added_tokens_that_contradict_the_vocabulary_are_refused) {
    static const struct {
        const char *config;
        const char *added;
        const char *message;
    } cases[] = {
        {"{", NULL, "line 1"},
        {"[]", NULL, "not a JSON object"},
        {"{\"added_tokens_decoder\":[]}", NULL, "added_tokens_decoder is not an object"},
        {"{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}", NULL, "the id \"x\""},
        {"{\"added_tokens_decoder\":{\"-1\":{\"content\":\"a\"}}}", NULL, "the id \"-1\""},
        {"{\"added_tokens_decoder\":{\"99999999999\":{\"content\":\"a\"}}}", NULL, "the id"},
        {"{\"added_tokens_decoder\":{\"1048576\":{\"content\":\"a\"}}}", NULL, "id 1048576"},
        {"{\"added_tokens_decoder\":{\"1000\":{}}}", NULL, "1000 has no content"},
        {"{\"added_tokens_decoder\":{\"1000\":{\"content\":\"\"}}}", NULL, "1000 is empty"},
        {"{\"added_tokens_decoder\":{\"1000\":{\"content\":\"a\",\"special\":1}}}", NULL,
         "\"special\" is not true or false"},
        {"{\"added_tokens_decoder\":{\"1001\":{\"content\":\"a\"}}}", NULL, "leave out id 1000"},
        {"{\"added_tokens_decoder\":{\"1000\":{\"content\":\"a\"}}}", "{\"b\":1000}",
         "both \"a\" and \"b\""},
        {"{\"added_tokens_decoder\":{\"500\":{\"content\":\"nothing\"}}}", NULL,
         "500 is \"nothing\", the vocabulary has"},
        {NULL, "{\"a\":\"b\"}", "is not a number"},
        {NULL, "{\"a\":-1}", "is not a number"},
    };
    pith_vocab_file file;
    open_small_model(&file);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_error error = {0};
        pith_status status = add(&file, cases[i].config, cases[i].added, &error);
        CHECK(status == PITH_ERROR_FORMAT, "case %zu: status %d", i, (int)status);
        CHECK(strncmp(error.message, "dir: ", 5) == 0 &&
                  strstr(error.message, cases[i].message) != NULL,
              "case %zu: \"%s\", expected \"%s\"", i, error.message, cases[i].message);
        CHECK(file.vocab.n_pieces == 1000, "case %zu changed the vocabulary", i);
    }
    CHECK(add(&file, NULL, NULL, NULL) == PITH_OK && file.vocab.n_pieces == 1000, "nothing added");
    pith_vocab_file_free(&file);
    CHECK_NO_LEAKS();
}
