/* A metadata document with everything in it, and documents that differ from it in one place. */
#include "tests/metadata.h"

#include "tests/support.h"
#include "tests/test.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const pith_chat_template templates[] = {{"tool_use", "{{ tools }}\n"}, {"rag ▁", ""}};

static const char sha[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/* Every field set, to a value no other field of its struct has. */
pith_metadata test_full_metadata(pith_source sources[2], pith_tensor_note notes[3]) {
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

char *test_write_document(const pith_metadata *metadata) {
    char *text = NULL;
    pith_error error;
    pith_status status = pith_metadata_write(metadata, &pith_malloc_allocator, &text, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return text;
}

char *test_full_document(void) {
    pith_source sources[2];
    pith_tensor_note notes[3];
    pith_metadata metadata = test_full_metadata(sources, notes);
    return test_write_document(&metadata);
}

pith_status test_read_document(const char *text, pith_error *error) {
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

void test_refuse_document(const char *text, pith_status expected, const char *part) {
    pith_error error = {0};
    pith_status status = test_read_document(text, &error);
    CHECK(status == expected, "%.300s: status %s, expected %s (%s)", text, pith_status_name(status),
          pith_status_name(expected), error.message);
    CHECK(strstr(error.message, "m.pith") != NULL && strstr(error.message, part) != NULL,
          "message \"%s\" lacks \"%s\"", error.message, part);
}

/* The document with `section`.`key` replaced (NULL section: the top; NULL value: removed). */
char *test_changed_document(const char *section, const char *key, const char *value) {
    char *text = test_full_document();
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

void test_refuse_changed(const char *section, const char *key, const char *value,
                         pith_status expected, const char *part) {
    char *text = test_changed_document(section, key, value);
    test_refuse_document(text, expected, part);
    free(text);
}

bool test_same_text(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}
