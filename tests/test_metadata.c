/* The metadata document of a .pith file: writing, reading back, and refusing what is wrong. */
#include "families/family.h"
#include "tests/metadata.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/metadata.h"
#include "weights/metadata_vocab.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TEST(metadata, reads_back_what_was_written) {
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata m = test_full_metadata(sources, notes);
    char *text = test_write_document(&m);
    char *copy = strdup(text);
    pith_metadata r;
    pith_metadata_owner *owner;
    pith_error error;
    pith_status status =
        pith_metadata_read(&r, &owner, copy, "m.pith", &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(test_same_text(r.architecture, m.architecture) &&
              test_same_text(r.generator, m.generator),
          "names");
    CHECK(r.type == m.type && r.head_type == m.head_type, "types %u %u", r.type, r.head_type);
    CHECK(test_same_text(r.chat_format, m.chat_format), "chat format %s", r.chat_format);
    CHECK(test_same_text(r.chat_template, m.chat_template), "chat template %s", r.chat_template);
    CHECK(r.n_chat_templates == 2 && test_same_text(r.chat_templates[1].name, "rag ▁") &&
              test_same_text(r.chat_templates[0].text, "{{ tools }}\n"),
          "%zu templates", r.n_chat_templates);
    CHECK(r.bos == 1 && r.n_eos == 3 && memcmp(r.eos, m.eos, 3 * sizeof *m.eos) == 0, "tokens");
    CHECK(r.n_sources == 2 && r.n_notes == 3, "%zu sources, %zu notes", r.n_sources, r.n_notes);
    for (size_t i = 0; i < 2; i++) {
        CHECK(test_same_text(r.sources[i].name, m.sources[i].name) &&
                  r.sources[i].size == m.sources[i].size &&
                  test_same_text(r.sources[i].sha256, m.sources[i].sha256),
              "source %zu is %s", i, r.sources[i].name);
    }
    for (size_t i = 0; i < 3; i++) {
        CHECK(test_same_text(r.notes[i].name, m.notes[i].name) &&
                  r.notes[i].is_matrix == m.notes[i].is_matrix &&
                  (!m.notes[i].is_matrix || r.notes[i].type == m.notes[i].type) &&
                  test_same_text(r.notes[i].sha256, m.notes[i].sha256),
              "note %zu is %s", i, r.notes[i].name);
    }
    /* Written again, the rest (config and vocabulary) must give the same text. */
    char *again = test_write_document(&r);
    CHECK(strcmp(text, again) == 0, "second text\n%s\nfirst\n%s", again, text);
    CHECK(r.config.norm_eps == m.config.norm_eps &&
              r.config.kinds[0].rope.theta == m.config.kinds[0].rope.theta &&
              r.config.kinds[0].rope.factor == m.config.kinds[0].rope.factor,
          "numbers changed: %.9g %.17g %.17g", (double)r.config.norm_eps,
          r.config.kinds[0].rope.theta, r.config.kinds[0].rope.factor);
    CHECK(r.vocab.unk == -1 && r.vocab.n_merges == 77777 && r.vocab.max_word_chars == 101 &&
              r.vocab.nfc && !r.vocab.lowercase && test_same_text(r.vocab.pattern, m.vocab.pattern),
          "vocabulary");
    free(again);
    free(text);
    pith_metadata_free(owner);
    pith_metadata_free(NULL);
    free(copy);
    CHECK_NO_LEAKS();
}

/* Files older than the key say it with prefix_first_only alone. */
TEST(metadata, an_absent_prefix_unless_space_is_prefix_first_only) {
    for (int unless = 0; unless < 2; unless++) {
        for (int first = 0; first < 2; first++) {
            pith_source sources[2];
            pith_tensor_note notes[3];
            pith_metadata m = test_full_metadata(sources, notes);
            m.vocab.prefix_first_only = first != 0;
            m.vocab.prefix_unless_space = unless != 0;
            char *text = test_write_document(&m);
            CHECK((strstr(text, "prefix_unless_space") != NULL) == (first != unless), "%s", text);
            pith_metadata r;
            pith_metadata_owner *owner;
            CHECK(pith_metadata_read(&r, &owner, text, "m", &pith_malloc_allocator, NULL) ==
                      PITH_OK,
                  "not read");
            CHECK(r.vocab.prefix_first_only == (first != 0) &&
                      r.vocab.prefix_unless_space == (unless != 0),
                  "first %d, unless %d", first, unless);
            pith_metadata_free(owner);
            free(text);
        }
    }
}

TEST(metadata, each_field_has_a_key_of_its_own) {
    /* Flip or change one field after the other: the text must change each time, differently. */
    static const size_t flags[] = {
        offsetof(pith_vocab, add_bos),
        offsetof(pith_vocab, add_eos),
        offsetof(pith_vocab, add_dummy_prefix),
        offsetof(pith_vocab, remove_extra_whitespaces),
        offsetof(pith_vocab, escape_whitespaces),
        offsetof(pith_vocab, prefix_first_only),
        offsetof(pith_vocab, byte_fallback),
        offsetof(pith_vocab, fuse_unk),
        offsetof(pith_vocab, ignore_merges),
        offsetof(pith_vocab, add_prefix_space),
        offsetof(pith_vocab, nfc),
        offsetof(pith_vocab, lowercase),
        offsetof(pith_vocab, strip_accents),
        offsetof(pith_vocab, clean_text),
        offsetof(pith_vocab, split_cjk),
    };
    enum { N = sizeof flags / sizeof *flags };
    char *texts[N];
    for (size_t i = 0; i < N; i++) {
        pith_source sources[2];
        pith_tensor_note notes[3];
        pith_metadata m = test_full_metadata(sources, notes);
        bool *flag = (bool *)(void *)((char *)&m.vocab + flags[i]);
        *flag = !*flag;
        texts[i] = test_write_document(&m);
        for (size_t j = 0; j < i; j++) {
            CHECK(strcmp(texts[i], texts[j]) != 0, "flags %zu and %zu share a key", i, j);
        }
        pith_metadata r;
        pith_metadata_owner *owner;
        char *copy = strdup(texts[i]);
        CHECK(pith_metadata_read(&r, &owner, copy, "m", &pith_malloc_allocator, NULL) == PITH_OK,
              "flag %zu: not read", i);
        CHECK(*(bool *)(void *)((char *)&r.vocab + flags[i]) == *flag, "flag %zu is lost", i);
        pith_metadata_free(owner);
        free(copy);
    }
    for (size_t i = 0; i < N; i++) {
        free(texts[i]);
    }
}

TEST(metadata, numbers_survive_exactly) {
    static const double thetas[] = {10000, 500000, 1e6, 1.0 / 3, 10000.000000000002, 1e300, 5e-324};
    static const float epsilons[] = {1e-5F, 1e-6F, FLT_MIN, FLT_MAX, 0.1F, 1.17549421e-38F};
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata m = test_full_metadata(sources, notes);
    for (size_t i = 0; i < 7; i++) {
        m.config.kinds[0].rope.theta = thetas[i];
        m.config.norm_eps = epsilons[i % 6];
        char *text = test_write_document(&m);
        pith_metadata r;
        pith_metadata_owner *owner;
        pith_error error;
        CHECK(pith_metadata_read(&r, &owner, text, "m", &pith_malloc_allocator, &error) == PITH_OK,
              "case %zu: %s", i, error.message);
        CHECK(r.config.kinds[0].rope.theta == thetas[i], "theta %.17g, expected %.17g",
              r.config.kinds[0].rope.theta, thetas[i]);
        CHECK(r.config.norm_eps == m.config.norm_eps, "eps %.9g, expected %.9g",
              (double)r.config.norm_eps, (double)m.config.norm_eps);
        pith_metadata_free(owner);
        free(text);
    }
}

TEST(metadata, writing_refuses_what_json_cannot_hold) {
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_error error;
    char *text = NULL;
    pith_metadata m = test_full_metadata(sources, notes);
    m.config.kinds[0].rope.theta = NAN;
    CHECK(pith_metadata_write(&m, &pith_malloc_allocator, &text, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "rope_theta") != NULL && text == NULL,
          "NaN: %s", error.message);
    m = test_full_metadata(sources, notes);
    m.config.norm_eps = INFINITY;
    CHECK(pith_metadata_write(&m, &pith_malloc_allocator, &text, &error) == PITH_ERROR_ARGUMENT,
          "infinity: %s", error.message);
    m = test_full_metadata(sources, notes);
    sources[1].name = "model-\xff.safetensors";
    CHECK(pith_metadata_write(&m, &pith_malloc_allocator, &text, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "UTF-8") != NULL && text == NULL,
          "UTF-8: %s", error.message);
    m = test_full_metadata(sources, notes);
    char *huge = malloc(PITH_MAX_METADATA + 1);
    memset(huge, 'x', PITH_MAX_METADATA);
    huge[PITH_MAX_METADATA] = '\0';
    m.chat_template = huge;
    CHECK(pith_metadata_write(&m, &pith_malloc_allocator, &text, &error) == PITH_ERROR_ARGUMENT &&
              text == NULL,
          "too long: %s", error.message);
    free(huge);
    CHECK_NO_LEAKS();
}

TEST(metadata, has_room_for_all_experts_that_a_model_may_have) {
    enum { LAYERS = PITH_MAX_LAYERS, TENSORS = 2 * PITH_MAX_ALL_EXPERTS + LAYERS * 16 };
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const pith_family *family = pith_family_find("qwen3_moe");
    pith_source sources[2];
    pith_tensor_note unused[3];
    pith_metadata m = test_full_metadata(sources, unused);
    m.config.num_hidden_layers = LAYERS;
    m.config.n_experts = PITH_MAX_ALL_EXPERTS / LAYERS;
    m.config.qk_norm = PITH_QK_NORM_HEAD;
    m.n_notes = 0;
    pith_slot *slots = calloc(TENSORS, sizeof *slots);
    pith_tensor_note *notes = calloc(TENSORS, sizeof *notes);
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        size_t n = pith_rule_n_tensors(pith_family_rule(family, part), &m.config);
        for (size_t i = 0; i < n && m.n_notes < TENSORS; i++) {
            pith_slot *slot = &slots[m.n_notes];
            if (pith_family_slot(family, &m.config, part, i, slot)) {
                notes[m.n_notes++] =
                    (pith_tensor_note){slot->name, slot->is_matrix, PITH_TYPE_BF16, hash};
            }
        }
    }
    m.notes = notes;
    CHECK(m.n_notes > 2 * PITH_MAX_ALL_EXPERTS && m.n_notes < TENSORS, "%zu notes", m.n_notes);
    char *text = test_write_document(&m);
    CHECK(strlen(text) > PITH_MAX_METADATA / 8 * 7, "only %zu bytes", strlen(text));
    free(text);
    free(slots);
    free(notes);
}

static bool is_optional(const char *key) {
    return strcmp(key, "chat_format") == 0 || strcmp(key, "chat_template") == 0 ||
           strcmp(key, "chat_templates") == 0 || strcmp(key, "pattern") == 0 ||
           strcmp(key, "tokenizer") == 0 || strcmp(key, "add_eos") == 0;
}

TEST(metadata, every_key_is_needed_and_has_its_type) {
    static const char *const sections[] = {NULL, "config", "tokens", "tokenizer"};
    char *text = test_full_document();
    json_t *root = json_loads(text, 0, NULL);
    size_t n = 0;
    for (size_t s = 0; s < 4; s++) {
        const char *key;
        json_t *value;
        json_t *object = s == 0 ? root : json_object_get(root, sections[s]);
        json_object_foreach(object, key, value) {
            if (!is_optional(key)) {
                test_refuse_changed(sections[s], key, NULL, PITH_ERROR_FORMAT,
                                    json_is_object(value) ? "metadata" : key);
            }
            test_refuse_changed(sections[s], key, json_is_string(value) ? "1" : "\"x\"",
                                PITH_ERROR_FORMAT, "metadata");
            test_refuse_changed(sections[s], key, "null", PITH_ERROR_FORMAT, "metadata");
            n++;
        }
    }
    CHECK(n > 50, "only %zu keys", n);
    json_decref(root);
    free(text);
    CHECK_NO_LEAKS();
}

TEST(metadata, optional_keys_may_be_absent) {
    static const char *const keys[] = {"chat_format", "chat_template", "tokenizer",
                                       "chat_templates"};
    for (size_t i = 0; i < 4; i++) {
        char *text = test_changed_document(NULL, keys[i], NULL);
        pith_metadata m;
        pith_metadata_owner *owner;
        pith_error error;
        CHECK(pith_metadata_read(&m, &owner, text, "m", &pith_malloc_allocator, &error) == PITH_OK,
              "%s", error.message);
        CHECK(i != 0 || m.chat_format == NULL, "chat format");
        CHECK(i != 1 || m.chat_template == NULL, "chat template");
        CHECK(i != 3 || m.n_chat_templates == 0, "chat templates");
        CHECK(i != 2 || (m.vocab.n_pieces == 0 && m.vocab.bos == -1), "tokenizer");
        pith_metadata_free(owner);
        free(text);
    }
}

/* The numbers of yarn are there where it is, and then all of them are needed. */
TEST(metadata, yarn_has_keys_of_its_own) {
    static const char *const keys[] = {"rope_attention_factor", "rope_beta_fast", "rope_beta_slow",
                                       "rope_truncate"};
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata m = test_full_metadata(sources, notes);
    char *text = test_write_document(&m);
    CHECK(strstr(text, "rope_beta_fast") == NULL, "%s", text);
    free(text);
    m.config.kinds[0].rope.scaling = PITH_ROPE_YARN;
    m.config.kinds[0].rope.attention_factor = 1.138629436111989;
    m.config.kinds[0].rope.beta_fast = 24;
    m.config.kinds[0].rope.beta_slow = 1.5;
    m.config.kinds[0].rope.truncate = true;
    text = test_write_document(&m);
    char *copy = strdup(text); /* which reading decodes in place */
    pith_metadata r;
    pith_metadata_owner *owner;
    pith_error error;
    CHECK(pith_metadata_read(&r, &owner, copy, "m.pith", &pith_malloc_allocator, &error) == PITH_OK,
          "%s", error.message);
    CHECK(r.config.kinds[0].rope.scaling == PITH_ROPE_YARN &&
              r.config.kinds[0].rope.attention_factor == 1.138629436111989 &&
              r.config.kinds[0].rope.beta_fast == 24 && r.config.kinds[0].rope.beta_slow == 1.5 &&
              r.config.kinds[0].rope.truncate,
          "%s", text);
    pith_metadata_free(owner);
    free(copy);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *root = json_loads(text, 0, NULL);
        json_object_del(json_object_get(root, "config"), keys[i]);
        char *without = json_dumps(root, 0);
        test_refuse_document(without, PITH_ERROR_FORMAT, keys[i]);
        free(without);
        json_decref(root);
    }
    free(text);
    CHECK_NO_LEAKS();
}

TEST(metadata, unknown_keys_are_ignored) {
    static const char *const sections[] = {NULL, "config", "tokens", "tokenizer"};
    for (size_t i = 0; i < 4; i++) {
        pith_error error;
        char *text = test_changed_document(sections[i], "of_a_later_version", "[{}]");
        CHECK(test_read_document(text, &error) == PITH_OK, "%s", error.message);
        free(text);
    }
}

TEST(metadata, other_versions_and_architectures_are_unsupported) {
    test_refuse_changed(NULL, "format_version", "3", PITH_ERROR_UNSUPPORTED, "version 3");
    test_refuse_changed(NULL, "format_version", "0", PITH_ERROR_UNSUPPORTED, "version 0");
    test_refuse_changed(NULL, "format_version", "1.0", PITH_ERROR_FORMAT, "format_version");
    test_refuse_changed(NULL, "architecture", "\"gpt9\"", PITH_ERROR_UNSUPPORTED, "gpt9");
}

TEST(metadata, numbers_out_of_range_are_refused) {
    static const struct {
        const char *section, *key, *value;
    } cases[] = {
        {"config", "vocab_size", "-1"},
        {"config", "vocab_size", "0"},
        {"config", "vocab_size", "1048577"},
        {"config", "vocab_size", "9223372036854775807"},
        {"config", "vocab_size", "32016.0"},
        {"config", "hidden_size", "1048578"},
        {"config", "num_hidden_layers", "1025"},
        {"config", "num_key_value_heads", "7"},
        {"config", "head_dim", "127"},
        {"config", "head_dim", "1026"},
        {"config", "max_position_embeddings", "16777217"},
        {"config", "rms_norm_eps", "0"},
        {"config", "rms_norm_eps", "1e39"},
        {"config", "rms_norm_eps", "1e-60"},
        {"config", "rope_theta", "-1"},
        {"config", "rope_factor", "0.0"},
        {"config", "rope_high_freq_factor", "1.1"},
        {"config", "rope_scaling", "\"proportional\""},
        {"tokens", "bos", "-2"},
        {"tokens", "bos", "32016"},
        {"tokens", "eos", "[-1]"},
        {"tokens", "eos", "[32016]"},
        {"tokens", "eos", "[1.0]"},
        {"tokens", "eos", "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]"},
        {"tokenizer", "n_pieces", "0"},
        {"tokenizer", "n_pieces", "1048577"},
        {"tokenizer", "n_pieces", "-5"},
        {"tokenizer", "n_bytes", "67108865"},
        {"tokenizer", "n_merges", "2097153"},
        {"tokenizer", "bos", "-2"},
        {"tokenizer", "eos", "32017"},
        {"tokenizer", "unk", "4294967297"},
        {"tokenizer", "kind", "\"characters\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_refuse_changed(cases[i].section, cases[i].key, cases[i].value, PITH_ERROR_FORMAT,
                            cases[i].key);
    }
}

TEST(metadata, sources_and_notes_are_checked) {
    static const char *const bad_sources[] = {
        "{}",
        "[1]",
        "[{}]",
        "[{\"name\":\"a\"}]",
        "[{\"name\":\"a\",\"size\":-1}]",
        "[{\"name\":1,\"size\":1}]",
        "[{\"name\":\"a\",\"size\":1,\"sha256\":\"abc\"}]",
        "[{\"name\":\"a\",\"size\":1,\"sha256\":7}]",
    };
    for (size_t i = 0; i < sizeof bad_sources / sizeof *bad_sources; i++) {
        test_refuse_changed(NULL, "sources", bad_sources[i], PITH_ERROR_FORMAT, "sources");
    }
    static const char *const bad_notes[] = {
        "[]",
        "{\"a\":1}",
        "{\"a\":{\"type\":\"int5\"}}",
        "{\"a\":{\"type\":null}}",
        "{\"a\":{\"sha256\":\"ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789\"}}",
        "{\"a\":{\"sha256\":\"\"}}",
    };
    for (size_t i = 0; i < sizeof bad_notes / sizeof *bad_notes; i++) {
        test_refuse_changed(NULL, "tensors", bad_notes[i], PITH_ERROR_FORMAT, "tensors");
    }
}

TEST(metadata, broken_documents_are_refused) {
    test_refuse_document("", PITH_ERROR_FORMAT, "JSON");
    test_refuse_document("[]", PITH_ERROR_FORMAT, "format_version");
    test_refuse_document("{\"format_version\":1,\"format_version\":1}", PITH_ERROR_FORMAT, "twice");
    test_refuse_document("{\"format_version\":1}x", PITH_ERROR_FORMAT, "JSON");
    char *text = test_full_document();
    size_t n = strlen(text);
    for (size_t cut = 0; cut < n; cut++) {
        char kept = text[cut];
        text[cut] = '\0';
        test_refuse_document(text, PITH_ERROR_FORMAT, "JSON");
        text[cut] = kept;
    }
    free(text);
    text = malloc(PITH_MAX_METADATA + 2);
    memset(text, ' ', PITH_MAX_METADATA + 1);
    text[PITH_MAX_METADATA + 1] = '\0';
    test_refuse_document(text, PITH_ERROR_FORMAT, "limit");
    free(text);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static pith_status write_with(test_allocator *t, size_t fail_at) {
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata m = test_full_metadata(sources, notes);
    char *text = NULL;
    t->n_calls = 0;
    t->fail_at = fail_at;
    pith_status status = pith_metadata_write(&m, &t->allocator, &text, NULL);
    CHECK((status == PITH_OK) == (text != NULL), "allocation %zu: the output was touched", fail_at);
    pith_release(&t->allocator, text);
    return status;
}

static pith_status read_with(test_allocator *t, const char *text, size_t fail_at) {
    pith_metadata m;
    pith_metadata_owner *owner = NULL;
    char *copy = strdup(text);
    t->n_calls = 0;
    t->fail_at = fail_at;
    pith_status status = pith_metadata_read(&m, &owner, copy, "m", &t->allocator, NULL);
    pith_metadata_free(owner);
    free(copy);
    return status;
}

TEST(metadata, survives_every_failing_allocation) {
    char *text = test_full_document();
    test_allocator t;
    test_allocator_init(&t);
    for (int reading = 0; reading < 2; reading++) {
        pith_status status = PITH_ERROR_MEMORY;
        size_t n = 0;
        while (status != PITH_OK) {
            n++;
            status = reading ? read_with(&t, text, n) : write_with(&t, n);
            CHECK(status == PITH_OK || status == PITH_ERROR_MEMORY,
                  "reading %d, allocation %zu: %s", reading, n, pith_status_name(status));
            CHECK(status == PITH_OK || t.n_calls >= n, "fails without a failing allocation");
            CHECK(t.n_live == 0, "reading %d, allocation %zu: %zu blocks leaked", reading, n,
                  (size_t)t.n_live);
        }
        CHECK(n > 4, "only %zu allocations", n);
    }
    free(text);
}

/* ---- What a document may cost ---------------------------------------------------------------- */

/* The document with a list of `n` times `unit` in place of `key`, '#' in it a number. */
static char *swollen(const char *key, char bracket, const char *unit, size_t n) {
    char *text = test_changed_document(NULL, key, NULL);
    size_t size = strlen(text);
    char *out = malloc(size + n * (strlen(unit) + 8) + 100);
    size_t at = (size_t)sprintf(out, "{\"%s\":%c", key, bracket);
    for (size_t i = 0; i < n; i++) {
        for (const char *c = unit; *c != '\0'; c++) {
            if (*c == '#') {
                at += (size_t)sprintf(out + at, "%zx", i);
            } else {
                out[at++] = *c;
            }
        }
    }
    sprintf(out + at - 1, "%c,%s", bracket == '{' ? '}' : ']', text + 1);
    free(text);
    return out;
}

TEST(metadata, a_document_costs_less_than_four_bytes_a_byte) {
    static const struct {
        const char *key;
        char bracket;
        const char *unit;
        pith_status expected;
    } cases[] = {
        {"tensors", '{', "\"#\":{},", PITH_OK},
        {"tensors", '{', "\"#\":0,", PITH_ERROR_FORMAT},
        {"sources", '[', "{\"name\":\"\",\"size\":0},", PITH_OK},
        {"sources", '[', "{},", PITH_ERROR_FORMAT},
        {"unknown", '[', "{},", PITH_OK},
        {"unknown", '{', "\"#\":0,", PITH_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = swollen(cases[i].key, cases[i].bracket, cases[i].unit, 100000);
        size_t n = strlen(text);
        pith_metadata m;
        pith_metadata_owner *owner = NULL;
        test_allocator t;
        test_allocator_init(&t);
        pith_status status = pith_metadata_read(&m, &owner, text, "m", &t.allocator, NULL);
        CHECK(status == cases[i].expected, "case %zu: %s", i, pith_status_name(status));
        /* Besides the text itself. */
        CHECK(t.most_bytes <= 3 * n, "case %zu: %zu bytes for %zu", i, (size_t)t.most_bytes, n);
        pith_metadata_free(owner);
        CHECK(t.n_live == 0, "case %zu: leaks", i);
        free(text);
    }
}
