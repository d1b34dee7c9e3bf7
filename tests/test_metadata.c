/* The metadata document of a .pith file: writing, reading back, and refusing what is wrong. */
#include "tests/support.h"
#include "tests/test.h"
#include "weights/metadata.h"
#include "weights/metadata_vocab.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const pith_chat_template templates[] = {{"tool_use", "{{ tools }}\n"}, {"rag ▁", ""}};

static const char sha[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/* Every field set, to a value no other field of its struct has. */
static pith_metadata full_metadata(pith_source sources[2], pith_tensor_note notes[3]) {
    sources[0] = (pith_source){.name = "model-00001-of-00002.safetensors",
                               .size = 9976578928,
                               .sha256 = sha};
    sources[1] = (pith_source){.name = "tokenizer.model", .size = 499723, .sha256 = ""};
    notes[0] = (pith_tensor_note){.name = "a.weight",
                                  .is_matrix = true,
                                  .type = PITH_TYPE_INT4,
                                  .sha256 = ""};
    notes[1] = (pith_tensor_note){.name = "b.weight",
                                  .is_matrix = true,
                                  .type = PITH_TYPE_BF16,
                                  .sha256 = sha};
    notes[2] = (pith_tensor_note){.name = "norm \"q\" \\ ▁", .sha256 = ""};
    return (pith_metadata){
        .architecture = "llama",
        .generator = "pith 9.9",
        .type = PITH_TYPE_INT4,
        .head_type = PITH_TYPE_INT8,
        .config =
            {
                PITH_DECODER_RECIPE,
                .vocab_size = 32016,
                .hidden_size = 4096,
                .intermediate_size = 11008,
                .num_hidden_layers = 32,
                .num_attention_heads = 64,
                .num_key_value_heads = 8,
                .head_dim = 128,
                .max_position_embeddings = 16384,
                .norm_eps = 1e-5F,
                .kinds[0] = {.sliding_window = 4095,
                             .rope = {.dims = 128,
                                      .theta = 1000000.1,
                                      .scaling = PITH_ROPE_BLEND,
                                      .factor = 8.3,
                                      .low_freq_factor = 1.1,
                                      .high_freq_factor = 4.7,
                                      .original_context = 8192}},
                .tie_word_embeddings = true,
                .qkv_bias = false,
                .o_bias = true,
                .mlp_bias = false,
            },
        .bos = 1,
        .eos = {2, 32015, 7},
        .n_eos = 3,
        .chat_format = "llama2",
        .chat_template = "{% for m in messages %}\n\t[INST] \"▁\" \\ \x7f{% endfor %}",
        .n_chat_templates = 2,
        .chat_templates = templates,
        .vocab =
            {
                .kind = PITH_TOKENIZER_BYTE_BPE,
                .n_pieces = 32017,
                .n_bytes = 999999,
                .n_merges = 77777,
                .bos = 1,
                .eos = 2,
                .unk = -1,
                .add_bos = true,
                .escape_whitespaces = true,
                .byte_fallback = true,
                .ignore_merges = true,
                .nfc = true,
                .strip_accents = true,
                .split_cjk = true,
                .max_word_chars = 101,
                .pattern = "\\p{L}+|\\s",
            },
        .n_sources = 2,
        .sources = sources,
        .n_notes = 3,
        .notes = notes,
    };
}

static char *write_document(const pith_metadata *metadata) {
    char *text = NULL;
    pith_error error;
    pith_status status = pith_metadata_write(metadata, &pith_malloc_allocator, &text, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return text;
}

static char *full_document(void) {
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata metadata = full_metadata(sources, notes);
    return write_document(&metadata);
}

static pith_status read_document(const char *text, pith_error *error) {
    pith_metadata metadata;
    pith_metadata_owner *owner = NULL;
    char *copy = strdup(text);
    pith_status status =
        pith_metadata_read(&metadata, &owner, copy, "m.pith", &pith_malloc_allocator, error);
    CHECK((status == PITH_OK) == (owner != NULL), "the owner was touched");
    pith_metadata_free(owner);
    free(copy);
    return status;
}

static void refuse(const char *text, pith_status expected, const char *part) {
    pith_error error = {0};
    pith_status status = read_document(text, &error);
    CHECK(status == expected, "%.300s: status %s, expected %s (%s)", text, pith_status_name(status),
          pith_status_name(expected), error.message);
    CHECK(strstr(error.message, "m.pith") != NULL && strstr(error.message, part) != NULL,
          "message \"%s\" lacks \"%s\"", error.message, part);
}

static bool same_text(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

TEST(metadata, reads_back_what_was_written) {
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata m = full_metadata(sources, notes);
    char *text = write_document(&m);
    char *copy = strdup(text);
    pith_metadata r;
    pith_metadata_owner *owner;
    pith_error error;
    pith_status status =
        pith_metadata_read(&r, &owner, copy, "m.pith", &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(same_text(r.architecture, m.architecture) && same_text(r.generator, m.generator),
          "names");
    CHECK(r.type == m.type && r.head_type == m.head_type, "types %u %u", r.type, r.head_type);
    CHECK(same_text(r.chat_format, m.chat_format), "chat format %s", r.chat_format);
    CHECK(same_text(r.chat_template, m.chat_template), "chat template %s", r.chat_template);
    CHECK(r.n_chat_templates == 2 && same_text(r.chat_templates[1].name, "rag ▁") &&
              same_text(r.chat_templates[0].text, "{{ tools }}\n"),
          "%zu templates", r.n_chat_templates);
    CHECK(r.bos == 1 && r.n_eos == 3 && memcmp(r.eos, m.eos, 3 * sizeof *m.eos) == 0, "tokens");
    CHECK(r.n_sources == 2 && r.n_notes == 3, "%zu sources, %zu notes", r.n_sources, r.n_notes);
    for (size_t i = 0; i < 2; i++) {
        CHECK(same_text(r.sources[i].name, m.sources[i].name) &&
                  r.sources[i].size == m.sources[i].size &&
                  same_text(r.sources[i].sha256, m.sources[i].sha256),
              "source %zu is %s", i, r.sources[i].name);
    }
    for (size_t i = 0; i < 3; i++) {
        CHECK(same_text(r.notes[i].name, m.notes[i].name) &&
                  r.notes[i].is_matrix == m.notes[i].is_matrix &&
                  (!m.notes[i].is_matrix || r.notes[i].type == m.notes[i].type) &&
                  same_text(r.notes[i].sha256, m.notes[i].sha256),
              "note %zu is %s", i, r.notes[i].name);
    }
    /* Written again, the rest (config and vocabulary) must give the same text. */
    char *again = write_document(&r);
    CHECK(strcmp(text, again) == 0, "second text\n%s\nfirst\n%s", again, text);
    CHECK(r.config.norm_eps == m.config.norm_eps &&
              r.config.kinds[0].rope.theta == m.config.kinds[0].rope.theta &&
              r.config.kinds[0].rope.factor == m.config.kinds[0].rope.factor,
          "numbers changed: %.9g %.17g %.17g", (double)r.config.norm_eps,
          r.config.kinds[0].rope.theta, r.config.kinds[0].rope.factor);
    CHECK(r.vocab.unk == -1 && r.vocab.n_merges == 77777 && r.vocab.max_word_chars == 101 &&
              r.vocab.nfc && !r.vocab.lowercase && same_text(r.vocab.pattern, m.vocab.pattern),
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
            pith_metadata m = full_metadata(sources, notes);
            m.vocab.prefix_first_only = first != 0;
            m.vocab.prefix_unless_space = unless != 0;
            char *text = write_document(&m);
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
        pith_metadata m = full_metadata(sources, notes);
        bool *flag = (bool *)(void *)((char *)&m.vocab + flags[i]);
        *flag = !*flag;
        texts[i] = write_document(&m);
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
    pith_metadata m = full_metadata(sources, notes);
    for (size_t i = 0; i < 7; i++) {
        m.config.kinds[0].rope.theta = thetas[i];
        m.config.norm_eps = epsilons[i % 6];
        char *text = write_document(&m);
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
    pith_metadata m = full_metadata(sources, notes);
    m.config.kinds[0].rope.theta = NAN;
    CHECK(pith_metadata_write(&m, &pith_malloc_allocator, &text, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "rope_theta") != NULL && text == NULL,
          "NaN: %s", error.message);
    m = full_metadata(sources, notes);
    m.config.norm_eps = INFINITY;
    CHECK(pith_metadata_write(&m, &pith_malloc_allocator, &text, &error) == PITH_ERROR_ARGUMENT,
          "infinity: %s", error.message);
    m = full_metadata(sources, notes);
    sources[1].name = "model-\xff.safetensors";
    CHECK(pith_metadata_write(&m, &pith_malloc_allocator, &text, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "UTF-8") != NULL && text == NULL,
          "UTF-8: %s", error.message);
    m = full_metadata(sources, notes);
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

/* ---- Documents changed in one place ---------------------------------------------------------- */

/* The document with `section`.`key` replaced (NULL section: the top; NULL value: removed). */
static char *changed(const char *section, const char *key, const char *value) {
    char *text = full_document();
    json_t *root = json_loads(text, 0, NULL);
    json_t *object = section != NULL ? json_object_get(root, section) : root;
    if (value == NULL) {
        json_object_del(object, key);
    } else {
        json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
        CHECK(parsed != NULL, "%s is no JSON", value);
        json_object_set_new(object, key, parsed);
    }
    free(text);
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static void refuse_changed(const char *section, const char *key, const char *value,
                           pith_status expected, const char *part) {
    char *text = changed(section, key, value);
    refuse(text, expected, part);
    free(text);
}

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
    pith_metadata m = full_metadata(sources, notes);
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
    char *text = write_document(&m);
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
                  same_text(a->pattern, b->pattern) && same_text(a->text, b->text),
              "step %zu", i);
    }
    for (size_t i = 0; i < M; i++) {
        const pith_decode_step *a = &decoder[i];
        const pith_decode_step *b = &r.vocab.decoder[i];
        CHECK(a->kind == b->kind && a->start == b->start && a->stop == b->stop &&
                  a->drop == b->drop && same_text(a->pattern, b->pattern) &&
                  same_text(a->text, b->text),
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
        refuse_changed("tokenizer", bad[i][0], bad[i][1], PITH_ERROR_FORMAT, bad[i][0]);
    }
    CHECK_NO_LEAKS();
}

static bool is_optional(const char *key) {
    return strcmp(key, "chat_format") == 0 || strcmp(key, "chat_template") == 0 ||
           strcmp(key, "chat_templates") == 0 || strcmp(key, "pattern") == 0 ||
           strcmp(key, "tokenizer") == 0 || strcmp(key, "add_eos") == 0;
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
    pith_metadata m = full_metadata(sources, notes);
    m.vocab.pattern = NULL;
    m.vocab.steps = steps;
    m.vocab.n_steps = N;
    char *text = write_document(&m);
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
                  a->scheme == b->scheme && same_text(a->pattern, b->pattern),
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
        refuse_changed("tokenizer", "pre_tokenizer", bad[i], PITH_ERROR_FORMAT, "pre_tokenizer");
    }
    CHECK_NO_LEAKS();
}

TEST(metadata, every_key_is_needed_and_has_its_type) {
    static const char *const sections[] = {NULL, "config", "tokens", "tokenizer"};
    char *text = full_document();
    json_t *root = json_loads(text, 0, NULL);
    size_t n = 0;
    for (size_t s = 0; s < 4; s++) {
        const char *key;
        json_t *value;
        json_t *object = s == 0 ? root : json_object_get(root, sections[s]);
        json_object_foreach(object, key, value) {
            if (!is_optional(key)) {
                refuse_changed(sections[s], key, NULL, PITH_ERROR_FORMAT,
                               json_is_object(value) ? "metadata" : key);
            }
            refuse_changed(sections[s], key, json_is_string(value) ? "1" : "\"x\"",
                           PITH_ERROR_FORMAT, "metadata");
            refuse_changed(sections[s], key, "null", PITH_ERROR_FORMAT, "metadata");
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
        char *text = changed(NULL, keys[i], NULL);
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
    pith_metadata m = full_metadata(sources, notes);
    char *text = write_document(&m);
    CHECK(strstr(text, "rope_beta_fast") == NULL, "%s", text);
    free(text);
    m.config.kinds[0].rope.scaling = PITH_ROPE_YARN;
    m.config.kinds[0].rope.attention_factor = 1.138629436111989;
    m.config.kinds[0].rope.beta_fast = 24;
    m.config.kinds[0].rope.beta_slow = 1.5;
    m.config.kinds[0].rope.truncate = true;
    text = write_document(&m);
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
        refuse(without, PITH_ERROR_FORMAT, keys[i]);
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
        char *text = changed(sections[i], "of_a_later_version", "[{}]");
        CHECK(read_document(text, &error) == PITH_OK, "%s", error.message);
        free(text);
    }
}

TEST(metadata, other_versions_and_architectures_are_unsupported) {
    refuse_changed(NULL, "format_version", "3", PITH_ERROR_UNSUPPORTED, "version 3");
    refuse_changed(NULL, "format_version", "0", PITH_ERROR_UNSUPPORTED, "version 0");
    refuse_changed(NULL, "format_version", "1.0", PITH_ERROR_FORMAT, "format_version");
    refuse_changed(NULL, "architecture", "\"gpt9\"", PITH_ERROR_UNSUPPORTED, "gpt9");
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
        refuse_changed(cases[i].section, cases[i].key, cases[i].value, PITH_ERROR_FORMAT,
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
        refuse_changed(NULL, "sources", bad_sources[i], PITH_ERROR_FORMAT, "sources");
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
        refuse_changed(NULL, "tensors", bad_notes[i], PITH_ERROR_FORMAT, "tensors");
    }
}

TEST(metadata, broken_documents_are_refused) {
    refuse("", PITH_ERROR_FORMAT, "JSON");
    refuse("[]", PITH_ERROR_FORMAT, "format_version");
    refuse("{\"format_version\":1,\"format_version\":1}", PITH_ERROR_FORMAT, "twice");
    refuse("{\"format_version\":1}x", PITH_ERROR_FORMAT, "JSON");
    char *text = full_document();
    size_t n = strlen(text);
    for (size_t cut = 0; cut < n; cut++) {
        char kept = text[cut];
        text[cut] = '\0';
        refuse(text, PITH_ERROR_FORMAT, "JSON");
        text[cut] = kept;
    }
    free(text);
    text = malloc(PITH_MAX_METADATA + 2);
    memset(text, ' ', PITH_MAX_METADATA + 1);
    text[PITH_MAX_METADATA + 1] = '\0';
    refuse(text, PITH_ERROR_FORMAT, "limit");
    free(text);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static pith_status write_with(test_allocator *t, size_t fail_at) {
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata m = full_metadata(sources, notes);
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
    char *text = full_document();
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
    char *text = changed(NULL, key, NULL);
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
