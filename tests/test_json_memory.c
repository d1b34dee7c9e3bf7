/* What a hostile file costs: whatever stands in it, reading it takes no more than four times its
 * bytes, its own text included, and one megabyte for what small files may ask for. */
#include "base/bytes.h"
#include "base/memory.h"
#include "convert/convert.h"
#include "convert/hf_bert.h"
#include "convert/hf_config.h"
#include "convert/hf_shards.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 4 << 20, SMALL = 1 << 20 };

/* ---- An allocator that measures -------------------------------------------------------------- */

typedef struct meter {
    pith_allocator allocator;
    size_t live, peak; /* bytes; a block that is moved counts twice */
} meter;

enum { HEAD = 16 }; /* in front of a block: its size */

static void *take(void *user, size_t size) {
    meter *m = user;
    char *block = malloc(HEAD + size);
    if (block == NULL) {
        return NULL;
    }
    memcpy(block, &size, sizeof size);
    m->live += size;
    m->peak = m->live > m->peak ? m->live : m->peak;
    return block + HEAD;
}

static size_t size_of(const void *block) {
    size_t size;
    memcpy(&size, (const char *)block - HEAD, sizeof size);
    return size;
}

static void give(void *user, void *block) {
    meter *m = user;
    if (block != NULL) {
        m->live -= size_of(block);
        free((char *)block - HEAD);
    }
}

static void *move(void *user, void *block, size_t size) {
    void *moved = take(user, size);
    if (moved != NULL && block != NULL) {
        size_t old = size_of(block);
        memcpy(moved, block, old < size ? old : size);
        give(user, block);
    }
    return moved;
}

static void meter_init(meter *m) {
    *m = (meter){.allocator = {.user = m, .allocate = take, .reallocate = move, .release = give}};
}

/* ---- Documents ------------------------------------------------------------------------------- */

/* A text that grows by printf. */
typedef struct writer {
    char *text;
    size_t size;
} writer;

__attribute__((format(printf, 2, 3))) static void put(writer *w, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(w->text + w->size, SIZE + 4096 - w->size, format, arguments);
    va_end(arguments);
    CHECK(n >= 0 && (size_t)n < SIZE + 4096 - w->size, "a document is too long");
    w->size += (size_t)n;
}

/* The i-th of the shortest spellings in printable characters. */
static const char *spelling(size_t i) {
    static const char letters[] = "!#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_"
                                  "abcdefghijklmnopqrstuvwxyz{|}~";
    static char text[8];
    size_t n_letters = sizeof letters - 1;
    size_t n = 0;
    for (i++; i > 0; i = (i - 1) / n_letters) {
        text[n++] = letters[(i - 1) % n_letters];
    }
    text[n] = '\0';
    return text;
}

/* Fills the document with `kind` up to its size, between what opens and closes it. */
static void fill(writer *w, const char *kind) {
    const char *comma = "";
    for (size_t i = 0; w->size < SIZE; i++, comma = ",") {
        if (strcmp(kind, "objects") == 0) {
            put(w, "%s{}", comma);
        } else if (strcmp(kind, "numbers") == 0) {
            put(w, "%s0", comma);
        } else if (strcmp(kind, "empty strings") == 0) {
            put(w, "%s\"\"", comma);
        } else if (strcmp(kind, "escapes") == 0) {
            put(w, "%s\"\\u0000\\u0000\"", comma);
        } else if (strcmp(kind, "equal keys") == 0) {
            put(w, "%s\"\":0", comma);
        } else if (strcmp(kind, "keys") == 0) {
            put(w, "%s\"%s\":0", comma, spelling(i));
        } else if (strcmp(kind, "ids") == 0) {
            put(w, "%s\"%s\":%zu", comma, spelling(i), i);
        } else if (strcmp(kind, "late ids") == 0) {
            put(w, "%s\"%s\":%zu", comma, spelling(i), i + 1000);
        } else if (strcmp(kind, "names") == 0) {
            put(w, "%s\"%s\":\"s\"", comma, spelling(i));
        } else if (strcmp(kind, "merges") == 0) {
            put(w, "%s\"a b\"", comma);
        } else if (strcmp(kind, "pairs") == 0) {
            put(w, "%s[\"a\",\"b\"]", comma);
        } else if (strcmp(kind, "tokens") == 0) {
            put(w, "%s{\"id\":%zu,\"content\":\"%s\"}", comma, i, spelling(i));
        } else if (strcmp(kind, "declared") == 0) {
            put(w, "%s\"%zu\":{\"content\":\"%s\"}", comma, i + 1000, spelling(i));
        } else {
            CHECK(strcmp(kind, "levels") == 0, "no %s", kind);
            put(w, "%s", comma);
            for (int level = 0; level < 120; level++) {
                put(w, "[");
            }
            for (int level = 0; level < 120; level++) {
                put(w, "]");
            }
        }
    }
}

static writer document(const char *before, const char *kind, const char *after) {
    writer w = {malloc(SIZE + 4096), 0};
    CHECK(w.text != NULL, "no memory");
    put(&w, "%s", before);
    if (kind != NULL) {
        fill(&w, kind);
    }
    put(&w, "%s", after);
    return w;
}

/* Peak without the document's own text, which the caller has. */
static void check_peak(const char *what, const meter *m, size_t size, const pith_error *error) {
    CHECK(m->live == 0, "%s: %zu bytes leaked", what, m->live);
    CHECK(m->peak <= 3 * size + SMALL, "%s: %zu bytes for a document of %zu (%s)", what, m->peak,
          size, error->message);
}

/* ---- tokenizer.json -------------------------------------------------------------------------- */

#define BYTES                                                                 \
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}," \
    "\"decoder\":{\"type\":\"ByteLevel\"},"
#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}"
#define WORDS                                                                                     \
    "{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\","     \
    "\"cleanup\":true},\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"!\",0],\"sep\"" \
    ":[\"#\",1]},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"!\",\"vocab\":{"

TEST(json_memory, a_tokenizer_json_costs_at_most_four_times_its_size) {
    static const struct {
        const char *before, *kind, *after;
        pith_status status;
    } cases[] = {
        {"{\"x\":[", "objects", "]}", PITH_ERROR_FORMAT},
        {"{\"x\":[", "numbers", "]}", PITH_ERROR_FORMAT},
        {"{\"x\":[", "escapes", "]}", PITH_ERROR_FORMAT},
        {"{\"x\":[", "levels", "]}", PITH_ERROR_FORMAT},
        {"{", "equal keys", "}", PITH_ERROR_FORMAT},
        {"{", "keys", "}", PITH_ERROR_FORMAT},
        {"{\"model\":{", "keys", "}}", PITH_ERROR_UNSUPPORTED},
        {BYTES "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{", "ids", "}}}", PITH_OK},
        {BYTES "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{", "keys", "}}}",
         PITH_ERROR_FORMAT},
        {BYTES "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"a\":1048575}}}", NULL, "",
         PITH_ERROR_FORMAT},
        {BYTES "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"a\":65535}}}", NULL, "",
         PITH_OK},
        {BYTES "\"added_tokens\":[{\"id\":1048575,\"content\":\"x\"}],\"model\":{\"type\":\"BPE\","
               "\"merges\":[]," VOCAB "}}",
         NULL, "", PITH_ERROR_FORMAT},
        {BYTES "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{}},\"added_tokens\":[",
         "tokens", "]}", PITH_OK},
        {BYTES "\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[", "merges", "]}}", PITH_OK},
        {BYTES "\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[", "pairs", "]}}", PITH_OK},
        {BYTES "\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[", "numbers", "]}}",
         PITH_ERROR_FORMAT},
        {BYTES "\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[", "empty strings", "]}}",
         PITH_ERROR_FORMAT},
        {WORDS, "ids", "}}}", PITH_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        writer w = document(cases[i].before, cases[i].kind, cases[i].after);
        meter m;
        meter_init(&m);
        pith_error error = {0};
        pith_vocab_file file;
        pith_status status =
            pith_vocab_from_json(&file, w.text, w.size, "t.json", &m.allocator, &error);
        CHECK(status == cases[i].status, "case %zu: %s: %s", i, pith_status_name(status),
              error.message);
        if (status == PITH_OK) {
            pith_vocab_file_free(&file);
        }
        char what[32];
        snprintf(what, sizeof what, "case %zu", i);
        check_peak(what, &m, w.size, &error);
        free(w.text);
    }
    CHECK_NO_LEAKS();
}

/* ---- Added tokens ---------------------------------------------------------------------------- */

static void open_small_model(pith_vocab_file *file, const pith_allocator *allocator) {
    pith_error error = {0};
    size_t size;
    char *data = test_read_file(test_root("golden/llama-gqa/tokenizer.model"), &size);
    pith_status status = pith_vocab_from_sentencepiece(file, data, size, "m", allocator, &error);
    free(data);
    CHECK(status == PITH_OK, "%s", error.message);
}

TEST(json_memory, added_tokens_cost_at_most_four_times_their_files) {
    static const struct {
        const char *before, *kind, *after;
        bool as_config;
        pith_status status;
    } cases[] = {
        {"{", "late ids", "}", false, PITH_OK},
        {"{", "keys", "}", false, PITH_ERROR_FORMAT},
        {"{\"a\":1048575}", NULL, "", false, PITH_ERROR_FORMAT},
        {"{\"added_tokens_decoder\":{", "declared", "}}", true, PITH_OK},
        {"{\"added_tokens_decoder\":{", "keys", "}}", true, PITH_ERROR_FORMAT},
        {"{\"added_tokens_decoder\":{\"1048575\":{\"content\":\"a\"}}}", NULL, "", true,
         PITH_ERROR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        writer w = document(cases[i].before, cases[i].kind, cases[i].after);
        meter m;
        meter_init(&m);
        pith_error error = {0};
        pith_vocab_file file;
        pith_json root;
        open_small_model(&file, &m.allocator);
        pith_status status =
            pith_json_read(&root, w.text, w.size, PITH_JSON_PYTHON, "added", &m.allocator, &error);
        CHECK(status == PITH_OK, "case %zu: %s", i, error.message);
        const pith_json none = {NULL};
        status = pith_vocab_add_tokens(&file, cases[i].as_config ? root : none,
                                       cases[i].as_config ? none : root, "added", &error);
        CHECK(status == cases[i].status, "case %zu: %s: %s", i, pith_status_name(status),
              error.message);
        pith_vocab_file_free(&file);
        char what[32];
        snprintf(what, sizeof what, "case %zu", i);
        check_peak(what, &m, w.size, &error);
        free(w.text);
    }
    CHECK_NO_LEAKS();
}

/* ---- The converter's files ------------------------------------------------------------------- */

typedef pith_status (*reader)(char *text, size_t size, const pith_allocator *allocator,
                              pith_error *error);

static pith_status read_config(char *text, size_t size, const pith_allocator *allocator,
                               pith_error *error) {
    pith_hf_config out;
    return pith_hf_config_parse(&out, text, size, NULL, 0, false, allocator, error);
}

static pith_status read_modules(char *text, size_t size, const pith_allocator *allocator,
                                pith_error *error) {
    pith_hf_modules out;
    return pith_hf_modules_parse(&out, text, size, allocator, error);
}

static pith_status read_index(char *text, size_t size, const pith_allocator *allocator,
                              pith_error *error) {
    pith_hf_index out;
    return pith_hf_index_parse(&out, text, size, "index", allocator, error);
}

TEST(json_memory, the_files_beside_the_weights_cost_at_most_four_times_their_size) {
    static const struct {
        reader read;
        const char *before, *kind, *after;
        pith_status status;
    } cases[] = {
        {read_config, "{\"model_type\":\"llama\",\"x\":[", "objects", "]}", PITH_OK},
        {read_config, "{\"model_type\":\"llama\",", "keys", "}", PITH_OK},
        {read_config, "{\"model_type\":\"llama\",", "equal keys", "}", PITH_OK},
        {read_config, "{\"model_type\":\"llama\",\"eos_token_id\":[", "numbers", "]}",
         PITH_ERROR_FORMAT},
        {read_config, "{\"model_type\":\"llama\",\"layer_types\":[", "empty strings", "]}",
         PITH_ERROR_FORMAT},
        {read_modules, "[", "objects", "]", PITH_ERROR_FORMAT},
        {read_index, "{\"weight_map\":{", "names", "}}", PITH_OK},
        {read_index, "{\"weight_map\":{", "equal keys", "}}", PITH_ERROR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        writer w = document(cases[i].before, cases[i].kind, cases[i].after);
        meter m;
        meter_init(&m);
        pith_error error = {0};
        pith_status status = cases[i].read(w.text, w.size, &m.allocator, &error);
        CHECK(status == cases[i].status, "case %zu: %s: %s", i, pith_status_name(status),
              error.message);
        char what[32];
        snprintf(what, sizeof what, "case %zu", i);
        check_peak(what, &m, w.size, &error);
        free(w.text);
    }
    CHECK_NO_LEAKS();
}

/* The whole way, where the converter's own buffers are in the sum. */
TEST(json_memory, a_conversion_costs_at_most_four_times_the_largest_json) {
    static const struct {
        const char *name, *before, *kind, *after;
    } cases[] = {
        {"config.json", "{\"x\":[", "objects", "]}"},
        {"generation_config.json", "{", "keys", "}"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{", "declared", "}}"},
        {"special_tokens_map.json", "{\"x\":[", "objects", "]}"},
        {"added_tokens.json", "{", "late ids", "}"},
        {"tokenizer.json", BYTES "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{", "ids",
         "}}}"},
        {"modules.json", "[", "objects", "]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "hostile-%zu", i);
        const char *directory = test_make_checkpoint(name, NULL);
        writer w = document(cases[i].before, cases[i].kind, cases[i].after);
        size_t size;
        char *model = test_read_file(test_root("golden/llama-gqa/tokenizer.model"), &size);
        if (strcmp(cases[i].name, "tokenizer.json") != 0) {
            test_write_file(test_join(directory, "tokenizer.model"), model, size);
        }
        test_write_file(test_join(directory, cases[i].name), w.text, w.size);
        free(model);
        meter m;
        meter_init(&m);
        pith_error error = {0};
        pith_convert_options options = {.type = PITH_TYPE_F32,
                                        .head_type = PITH_N_TYPES,
                                        .n_threads = 1,
                                        .allocator = &m.allocator};
        pith_convert(directory, test_path("hostile.pith"), &options, &error);
        CHECK(m.live == 0, "%s: %zu bytes leaked", cases[i].name, m.live);
        CHECK(m.peak <= 4 * w.size + SMALL, "%s: %zu bytes for %zu (%s)", cases[i].name, m.peak,
              w.size, error.message);
        free(w.text);
    }
    CHECK_NO_LEAKS();
}
