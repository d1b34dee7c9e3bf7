/* The steps of a tokenizer in the metadata document: each kind survives, bad ones are refused, and
 * the version of the format is the least that tells all of them. */
#include "tests/metadata.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/metadata_vocab.h"

#include <stdlib.h>
#include <string.h>

TEST(metadata, steps_of_a_normalizer_and_a_decoder_survive) {
    static const pith_normal_step normalizer[] = {
        {.kind = PITH_NORMAL_REPLACE, .pattern = " {2,}", .text = ""},
        {.kind = PITH_NORMAL_PREPEND, .text = "\xE2\x96\x81"},
        {.kind = PITH_NORMAL_NFC},
        {.kind = PITH_NORMAL_NFD},
        {.kind = PITH_NORMAL_NFKC},
        {.kind = PITH_NORMAL_NFKD},
        {.kind = PITH_NORMAL_LOWERCASE},
        {.kind = PITH_NORMAL_STRIP, .left = true},
        {.kind = PITH_NORMAL_STRIP, .right = true},
        {.kind = PITH_NORMAL_STRIP_ACCENTS},
        {.kind = PITH_NORMAL_NMT},
        {.kind = PITH_NORMAL_CHARSMAP},
    };
    static const pith_decode_step decoder[] = {
        {.kind = PITH_DECODE_REPLACE, .pattern = "e", .text = "ee"},
        {.kind = PITH_DECODE_STRIP, .text = " ", .start = 1, .stop = 2},
        {.kind = PITH_DECODE_BYTES},
        {.kind = PITH_DECODE_MARK, .pattern = "_", .drop = true},
        {.kind = PITH_DECODE_JOIN},
        {.kind = PITH_DECODE_FUSE},
    };
    enum { N = sizeof normalizer / sizeof normalizer[0], M = sizeof decoder / sizeof decoder[0] };
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata m = test_full_metadata(sources, notes);
    m.vocab.normalizer = normalizer;
    m.vocab.n_normalizer = N;
    m.vocab.decoder = decoder;
    m.vocab.n_decoder = M;
    m.vocab.n_charsmap = 99;
    m.vocab.pair_form = PITH_PAIR_JOINED;
    m.vocab.after_bos[0] = 2;
    m.vocab.after_bos[1] = 1;
    m.vocab.n_after_bos = 2;
    m.vocab.before_eos[0] = 0;
    m.vocab.n_before_eos = 1;
    m.vocab.single_precision = true;
    pith_metadata r;
    pith_metadata_owner *owner;
    char *text = test_write_document(&m);
    CHECK(strstr(text, "\"format_version\":2") != NULL, "%s", text);
    pith_error error;
    pith_status status = pith_metadata_read(&r, &owner, text, "m", &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(r.vocab.n_normalizer == N && r.vocab.n_decoder == M && r.vocab.n_charsmap == 99 &&
              r.vocab.pair_form == PITH_PAIR_JOINED && r.vocab.single_precision,
          "%zu and %zu steps", r.vocab.n_normalizer, r.vocab.n_decoder);
    CHECK(r.vocab.n_after_bos == 2 && r.vocab.after_bos[0] == 2 && r.vocab.after_bos[1] == 1 &&
              r.vocab.n_before_eos == 1 && r.vocab.before_eos[0] == 0,
          "%zu and %zu tokens around", r.vocab.n_after_bos, r.vocab.n_before_eos);
    for (size_t i = 0; i < N; i++) {
        const pith_normal_step *a = &normalizer[i];
        const pith_normal_step *b = &r.vocab.normalizer[i];
        CHECK(a->kind == b->kind && a->left == b->left && a->right == b->right &&
                  test_same_text(a->pattern, b->pattern) && test_same_text(a->text, b->text),
              "step %zu", i);
    }
    for (size_t i = 0; i < M; i++) {
        const pith_decode_step *a = &decoder[i];
        const pith_decode_step *b = &r.vocab.decoder[i];
        CHECK(a->kind == b->kind && a->start == b->start && a->stop == b->stop &&
                  a->drop == b->drop && test_same_text(a->pattern, b->pattern) &&
                  test_same_text(a->text, b->text),
              "step %zu", i);
    }
    pith_metadata_free(owner);
    free(text);
    CHECK_NO_LEAKS();
}

/* A file says 2 only where a reader of version 1 would pass over something. */
TEST(metadata, the_version_is_the_least_that_tells_all) {
    static const pith_split_step plain = {.pattern = "a"};
    static const pith_split_step mark = {.kind = PITH_STEP_MARK, .pattern = "_"};
    pith_vocab v = {.kind = PITH_TOKENIZER_LLAMA_BPE, .steps = &plain, .n_steps = 1};
    CHECK(pith_vocab_format_version(&v) == 1, "a step that version 1 knows");
    v.steps = &mark;
    CHECK(pith_vocab_format_version(&v) == 2, "a mark");
    v = (pith_vocab){.kind = PITH_TOKENIZER_UNIGRAM};
    CHECK(pith_vocab_format_version(&v) == 2, "Unigram");
    v = (pith_vocab){.n_normalizer = 1};
    CHECK(pith_vocab_format_version(&v) == 2, "a normalizer");
    v = (pith_vocab){.n_decoder = 1};
    CHECK(pith_vocab_format_version(&v) == 2, "a decoder");
    v = (pith_vocab){.pair_form = PITH_PAIR_DOUBLED};
    CHECK(pith_vocab_format_version(&v) == 2, "two ends between texts");
    v = (pith_vocab){.n_charsmap = 1};
    CHECK(pith_vocab_format_version(&v) == 2, "a map of characters");
    v = (pith_vocab){.n_after_bos = 1};
    CHECK(pith_vocab_format_version(&v) == 2, "a second token in front");
    v = (pith_vocab){.n_before_eos = 1};
    CHECK(pith_vocab_format_version(&v) == 2, "a second token behind");
}

TEST(metadata, bad_steps_of_a_normalizer_or_a_decoder_are_refused) {
    static const char *const bad[][2] = {
        {"normalizer", "[]"},
        {"normalizer", "[{\"step\":\"sing\"}]"},
        {"normalizer", "[{\"step\":\"replace\",\"pattern\":\"a\"}]"},
        {"normalizer", "[{\"step\":\"replace\",\"text\":\"a\"}]"},
        {"normalizer", "[{\"step\":\"prepend\"}]"},
        {"normalizer", "[{\"step\":\"strip\",\"left\":true}]"},
        {"normalizer", "{\"step\":\"nfc\"}"},
        {"decoder", "[]"},
        {"decoder", "[1]"},
        {"decoder", "[{\"step\":\"replace\",\"from\":\"a\"}]"},
        {"decoder", "[{\"step\":\"strip\",\"character\":\"a\",\"start\":1}]"},
        {"decoder", "[{\"step\":\"mark\",\"mark\":\"a\"}]"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        test_refuse_changed("tokenizer", bad[i][0], bad[i][1], PITH_ERROR_FORMAT, bad[i][0]);
    }
    CHECK_NO_LEAKS();
}

TEST(metadata, steps_of_a_pre_tokenizer_survive) {
    static const pith_split_step steps[] = {
        {.pattern = "\\p{N}{1,3}", .behavior = PITH_SPLIT_ISOLATED},
        {.pattern = "[\xE4\xB8\x80-\xE9\xBE\xA5]+", .behavior = PITH_SPLIT_REMOVED, .invert = true},
        {.pattern = "x", .behavior = PITH_SPLIT_MERGED_WITH_PREVIOUS},
        {.pattern = "x", .behavior = PITH_SPLIT_MERGED_WITH_NEXT},
        {.pattern = "x", .behavior = PITH_SPLIT_CONTIGUOUS},
        {.kind = PITH_STEP_MARK, .pattern = "\xE2\x96\x81", .scheme = PITH_MARK_ALWAYS},
        {.kind = PITH_STEP_MARK, .pattern = "_", .scheme = PITH_MARK_FIRST},
        {.kind = PITH_STEP_MARK, .pattern = "_", .scheme = PITH_MARK_NEVER},
        {.kind = PITH_STEP_SPACE},
        {.kind = PITH_STEP_BYTES},
    };
    enum { N = sizeof steps / sizeof steps[0] };
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata m = test_full_metadata(sources, notes);
    m.vocab.pattern = NULL;
    m.vocab.steps = steps;
    m.vocab.n_steps = N;
    char *text = test_write_document(&m);
    pith_metadata r;
    pith_metadata_owner *owner;
    pith_error error;
    pith_status status = pith_metadata_read(&r, &owner, text, "m", &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(r.vocab.n_steps == N, "%zu steps", r.vocab.n_steps);
    for (size_t i = 0; i < N; i++) {
        const pith_split_step *a = &steps[i];
        const pith_split_step *b = &r.vocab.steps[i];
        CHECK(a->kind == b->kind && a->behavior == b->behavior && a->invert == b->invert &&
                  a->scheme == b->scheme && test_same_text(a->pattern, b->pattern),
              "step %zu", i);
    }
    pith_metadata_free(owner);
    free(text);
    static const char *const bad[] = {
        "[]",
        "{}",
        "[1]",
        "[{\"step\":\"jump\"}]",
        "[{\"step\":\"split\",\"pattern\":\"a\"}]",
        "[{\"step\":\"split\",\"pattern\":1,\"behavior\":\"removed\",\"invert\":false}]",
        "[{\"step\":\"split\",\"pattern\":\"a\",\"behavior\":\"gone\",\"invert\":false}]",
        "[{\"step\":\"split\",\"pattern\":\"a\",\"behavior\":\"removed\",\"invert\":0}]",
        "[{\"step\":\"mark\",\"mark\":\"_\"}]",
        "[{\"step\":\"mark\",\"mark\":\"_\",\"prefix\":\"often\"}]",
        "[{\"step\":\"mark\",\"prefix\":\"first\"}]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        test_refuse_changed("tokenizer", "pre_tokenizer", bad[i], PITH_ERROR_FORMAT,
                            "pre_tokenizer");
    }
    CHECK_NO_LEAKS();
}
