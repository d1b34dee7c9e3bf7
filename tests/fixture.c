/* Random models through the real writer. Packed weights are drawn in the packed layout, so the
 * fixtures need no quantiser. */
#include "tests/fixture.h"

#include "base/half.h"
#include "simd/blocks.h"
#include "tests/support.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_PIECES = 300,
    FIRST_BYTE = 3,
    FIRST_MERGED = FIRST_BYTE + 256,
    MAX_SPELLINGS = 4096,
    MAX_TENSORS = 256,
    ZERO_CODE = 8, /* index of 0 in pith_int4_codes */
};

static void must(pith_status status, const pith_error *error) {
    if (status != PITH_OK) {
        fprintf(stderr, "fixture: %s\n", error->message);
        abort();
    }
}

static void *must_allocate(size_t size) {
    void *block = calloc(1, size + 1);
    if (block == NULL) {
        fprintf(stderr, "fixture: no memory for %zu bytes\n", size);
        abort();
    }
    return block;
}

/* ---- Vocabulary ------------------------------------------------------------------------------ */

static char spellings[MAX_SPELLINGS];
static uint32_t offsets[N_PIECES + 1];
static float scores[N_PIECES];
static uint8_t types[N_PIECES];
static uint8_t added[N_PIECES];
static pith_vocab vocab;

static void add_piece(const char *text, pith_piece_type type) {
    size_t id = vocab.n_pieces++;
    size_t n = strlen(text);
    if (id >= N_PIECES || vocab.n_bytes + n > MAX_SPELLINGS) {
        fprintf(stderr, "fixture: too many pieces\n");
        abort();
    }
    memcpy(spellings + vocab.n_bytes, text, n);
    vocab.n_bytes += n;
    offsets[id + 1] = (uint32_t)vocab.n_bytes;
    types[id] = (uint8_t)type;
    scores[id] = type == PITH_PIECE_NORMAL ? -(float)(id - FIRST_MERGED) : 0.0F;
    added[id] = type == PITH_PIECE_CONTROL ? PITH_ADDED_SPECIAL : 0;
}

const pith_vocab *test_vocab(void) {
    static const char *const merged[] = {
        "▁t", "▁a", "in", "he", "re", "on", "er", "▁the", "▁s", "at", "or", "en", "ou", "▁w",
    };
    if (vocab.n_pieces != 0) {
        return &vocab;
    }
    add_piece("<unk>", PITH_PIECE_UNKNOWN);
    add_piece("<s>", PITH_PIECE_CONTROL);
    add_piece("</s>", PITH_PIECE_CONTROL);
    for (unsigned i = 0; i < 256; i++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", i);
        add_piece(text, PITH_PIECE_BYTE);
    }
    for (size_t i = 0; i < sizeof merged / sizeof *merged; i++) {
        add_piece(merged[i], PITH_PIECE_NORMAL);
    }
    add_piece("▁", PITH_PIECE_NORMAL);
    for (char letter = 'a'; letter <= 'z'; letter++) {
        add_piece((const char[]){letter, '\0'}, PITH_PIECE_NORMAL);
    }
    vocab.kind = PITH_TOKENIZER_SENTENCEPIECE;
    vocab.bytes = spellings;
    vocab.offsets = offsets;
    vocab.scores = scores;
    vocab.types = types;
    vocab.added = added;
    vocab.bos = 1;
    vocab.eos = 2;
    vocab.unk = 0;
    vocab.add_bos = true;
    vocab.add_dummy_prefix = true;
    vocab.escape_whitespaces = true;
    vocab.byte_fallback = true;
    vocab.max_word_chars = 100;
    return &vocab;
}

/* ---- Weights --------------------------------------------------------------------------------- */

bool test_is_real_row(const pith_config *config, const pith_slot *slot, pith_extent rows,
                      size_t row) {
    pith_qkv_layout qkv = pith_config_qkv_layout(config);
    switch (rows) {
    case PITH_EXTENT_QKV:
        return row < qkv.q_rows || (row >= qkv.k_begin && row < qkv.k_begin + qkv.k_rows) ||
               (row >= qkv.v_begin && row < qkv.v_begin + qkv.v_rows);
    case PITH_EXTENT_GATE_UP:
        return row / 32 * 16 + row % 16 < config->intermediate_size;
    default:
        return row < slot->real_rows;
    }
}

static void put_u16(unsigned char *at, uint16_t value) {
    memcpy(at, &value, sizeof value);
}

static void fill_int8(uint64_t *random, bool real, size_t lane, size_t cols, unsigned char *tile) {
    unsigned char *tile_scales = tile + (cols + 3) / 4 * PITH_LINE_BYTES;
    float scale = 1.0F / (73.0F * sqrtf((float)cols)); /* 73: RMS of the uniform codes */
    for (size_t k = 0; k < cols; k++) {
        int code = (int)(test_random(random) % 255) - 127;
        tile[k / 4 * PITH_LINE_BYTES + lane * 4 + k % 4] = (unsigned char)(real ? code : 0);
    }
    for (size_t g = 0; g < pith_groups(cols, PITH_INT8_GROUP); g++) {
        put_u16(tile_scales + (g * PITH_TILE_ROWS + lane) * 2, pith_f32_to_f16(real ? scale : 0));
    }
}

static void fill_int4(uint64_t *random, bool real, size_t lane, size_t cols, unsigned char *tile) {
    size_t n_groups = pith_groups(cols, PITH_INT4_GROUP);
    unsigned char *tile_scales = tile + pith_int4_tile_bytes(cols) - pith_scales_bytes(n_groups);
    unsigned char *group = tile;
    float scale = 1.0F / (39.0F * sqrtf((float)cols)); /* 39: RMS of multiplier x code */
    for (size_t g = 0; g < n_groups; g++) {
        size_t left = (cols - g * PITH_INT4_GROUP) / PITH_INT4_SLICE;
        size_t n_slices = left < 8 ? left : 8;
        for (size_t line = 0; line < n_slices * 4; line++) {
            for (size_t i = 0; i < 4; i++) {
                uint64_t codes = test_random(random) & 0xff;
                group[line * PITH_LINE_BYTES + lane * 4 + i] =
                    (unsigned char)(real ? codes : ZERO_CODE * 0x11);
            }
        }
        for (size_t slice = 0; slice < n_slices; slice++) {
            group[n_slices * 4 * PITH_LINE_BYTES + slice * PITH_TILE_ROWS + lane] =
                (unsigned char)(test_random(random) & 0xff);
        }
        put_u16(tile_scales + (g * PITH_TILE_ROWS + lane) * 2, pith_f32_to_f16(real ? scale : 0));
        group += pith_int4_group_bytes(n_slices);
    }
}

static void fill_float(uint64_t *random, bool real, pith_type type, size_t cols,
                       unsigned char *row) {
    for (size_t k = 0; k < cols; k++) {
        float value = test_random_normal(random) / sqrtf((float)cols);
        value = real ? value : 0;
        if (type == PITH_TYPE_F32) {
            memcpy(row + k * 4, &value, 4);
        } else {
            put_u16(row + k * 2,
                    type == PITH_TYPE_F16 ? pith_f32_to_f16(value) : pith_f32_to_bf16(value));
        }
    }
}

static void fill_matrix(uint64_t *random, const pith_config *config, pith_extent rows,
                        const pith_slot *slot, pith_type type, unsigned char *data) {
    size_t tile_bytes = pith_matrix_tile_bytes(type, slot->cols);
    for (size_t row = 0; row < slot->rows; row++) {
        bool real = test_is_real_row(config, slot, rows, row);
        size_t lane = row % PITH_TILE_ROWS;
        unsigned char *tile = data + row / PITH_TILE_ROWS * tile_bytes;
        if (type == PITH_TYPE_INT8) {
            fill_int8(random, real, lane, slot->cols, tile);
        } else if (type == PITH_TYPE_INT4) {
            fill_int4(random, real, lane, slot->cols, tile);
        } else {
            fill_float(random, real, type, slot->cols, tile + tile_bytes / PITH_TILE_ROWS * lane);
        }
    }
}

static void fill_vector(uint64_t *random, const pith_config *config, pith_extent rows,
                        const pith_slot *slot, float *data) {
    bool norm = slot->kind == PITH_KIND_NORM;
    for (size_t row = 0; row < slot->rows; row++) {
        float value = 0.1F * test_random_normal(random);
        if (norm) {
            value += 1;
        }
        data[row] = test_is_real_row(config, slot, rows, row) ? value : 0;
    }
}

/* ---- The file -------------------------------------------------------------------------------- */

void test_model_default(test_model *model, pith_type type) {
    bool packed = type == PITH_TYPE_INT8 || type == PITH_TYPE_INT4;
    *model = (test_model){
        .config =
            {
                PITH_DECODER_RECIPE,
                .vocab_size = N_PIECES,
                .hidden_size = 32,
                .intermediate_size = 96,
                .num_hidden_layers = 2,
                .num_attention_heads = 4,
                .num_key_value_heads = 1,
                .head_dim = 8,
                .max_position_embeddings = 128,
                .norm_eps = 1e-5F,
                .kinds[0].rope = {.dims = 8, .theta = 10000},
            },
        .type = type,
        .head_type = packed ? PITH_TYPE_INT8 : type,
        .seed = 1,
        .tokenizer = true,
        .chat_format = "llama2",
    };
}

/* A file being built: its tensors in order of declaration. */
typedef struct build {
    pith_model_writer *writer;
    pith_tensor_note notes[MAX_TENSORS];
    char names[MAX_TENSORS][sizeof(((pith_slot *)0)->name)];
    char hashes[MAX_TENSORS][PITH_SHA256_TEXT];
    void *data[MAX_TENSORS];
    size_t sizes[MAX_TENSORS];
    size_t n;
} build;

/* Becomes the owner of `data`, which is malloc'ed. */
static void add_tensor(build *b, const char *name, bool is_matrix, pith_type type, pith_dtype dtype,
                       size_t n_dims, const size_t *shape, void *data, size_t size) {
    pith_error error;
    unsigned char hash[crypto_hash_sha256_BYTES];
    size_t index;
    if (b->n == MAX_TENSORS) {
        fprintf(stderr, "fixture: more than %d tensors\n", MAX_TENSORS);
        abort();
    }
    must(pith_model_writer_add(b->writer, name, dtype, n_dims, shape, &index, &error), &error);
    snprintf(b->names[index], sizeof b->names[index], "%s", name);
    b->notes[index] = (pith_tensor_note){.name = b->names[index],
                                         .is_matrix = is_matrix,
                                         .type = type,
                                         .sha256 = b->hashes[index]};
    crypto_hash_sha256(hash, data, size);
    sodium_bin2hex(b->hashes[index], PITH_SHA256_TEXT, hash, sizeof hash);
    b->data[index] = data;
    b->sizes[index] = size;
    b->n = index + 1;
}

static void add_weights(build *b, const test_model *model) {
    uint64_t random = model->seed;
    const pith_family *family = &pith_family_llama;
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        pith_extent rows = pith_family_rule(family, part)->rows;
        pith_slot slot;
        for (size_t layer = pith_family_first_layer(family, part);
             pith_family_slot(family, &model->config, part, layer, &slot); layer++) {
            pith_type type = slot.kind == PITH_KIND_HEAD ? model->head_type : model->type;
            pith_dtype dtype;
            size_t n_dims;
            size_t shape[2];
            size_t size = slot.rows * sizeof(float);
            if (!pith_slot_shape(&slot, type, &dtype, &n_dims, shape) ||
                (slot.is_matrix && !pith_matrix_size(type, slot.rows, slot.cols, &size))) {
                fprintf(stderr, "fixture: %s cannot hold %s\n", pith_type_name(type), slot.name);
                abort();
            }
            void *data = must_allocate(size);
            if (slot.is_matrix) {
                fill_matrix(&random, &model->config, rows, &slot, type, data);
            } else {
                fill_vector(&random, &model->config, rows, &slot, data);
            }
            add_tensor(b, slot.name, slot.is_matrix, type, dtype, n_dims, shape, data, size);
        }
    }
}

static void add_vocab(build *b) {
    for (unsigned part = 0; part < PITH_VOCAB_N_PARTS; part++) {
        pith_vocab_slot slot;
        if (!pith_vocab_slot_of(test_vocab(), (pith_vocab_part)part, &slot)) {
            continue;
        }
        size_t size = pith_dtype_size(slot.dtype);
        for (size_t i = 0; i < slot.n_dims; i++) {
            size *= slot.shape[i];
        }
        void *data = must_allocate(size);
        memcpy(data, slot.data, size);
        add_tensor(b, slot.name, false, PITH_TYPE_F32, slot.dtype, slot.n_dims, slot.shape, data,
                   size);
    }
}

static char *make_metadata(const build *b, const test_model *model) {
    pith_error error;
    char *text;
    pith_metadata metadata = {
        .architecture = "llama",
        .generator = "pith test fixture",
        .type = model->type,
        .head_type = model->head_type,
        .config = model->config,
        .bos = 1,
        .eos = {2},
        .n_eos = 1,
        .chat_format = model->chat_format,
        .chat_template = model->chat_template,
        .n_chat_templates = model->n_chat_templates,
        .chat_templates = model->chat_templates,
        .n_notes = b->n,
        .notes = b->notes,
    };
    if (model->tokenizer) {
        metadata.vocab = *test_vocab();
    }
    must(pith_metadata_write(&metadata, &pith_malloc_allocator, &text, &error), &error);
    return text;
}

void test_write_model(const char *path, const test_model *model) {
    pith_error error;
    build *b = must_allocate(sizeof *b);
    must(pith_model_writer_new(&b->writer, path, NULL, &error), &error);
    add_weights(b, model);
    if (model->tokenizer) {
        add_vocab(b);
    }
    char *metadata = make_metadata(b, model);
    must(pith_model_writer_layout(b->writer, strlen(metadata), &error), &error);
    for (size_t i = 0; i < b->n; i++) {
        must(pith_model_writer_put(b->writer, i, 0, b->data[i], b->sizes[i], &error), &error);
        free(b->data[i]);
    }
    must(pith_model_writer_finish(b->writer, metadata, &error), &error);
    free(metadata);
    free(b);
}

void test_write_tiny_model(const char *path, pith_type type, uint64_t seed) {
    test_model model;
    test_model_default(&model, type);
    model.seed = seed;
    test_write_model(path, &model);
}

/* ---- Files in memory ------------------------------------------------------------------------- */

size_t test_image_header(const test_image *im) {
    size_t n = 0;
    for (size_t i = 8; i-- > 0;) {
        n = n << 8 | im->bytes[i];
    }
    return n;
}

test_image test_image_of(const test_model *model) {
    const char *path = test_path("image.pith");
    test_image im = {0};
    test_write_model(path, model);
    void *bytes = test_read_file(path, &im.size);
    im.room = (im.size + 8191) / 64 * 64;
    im.bytes = aligned_alloc(64, im.room);
    memcpy(im.bytes, bytes, im.size);
    free(bytes);
    return im;
}

test_image test_image_of_type(pith_type type) {
    test_model model;
    test_model_default(&model, type);
    return test_image_of(&model);
}

test_image test_image_smallest(void) {
    test_model model;
    test_model_default(&model, PITH_TYPE_INT4);
    model.config.num_hidden_layers = 1;
    model.config.vocab_size = 16;
    model.config.intermediate_size = 32;
    return test_image_of(&model);
}

size_t test_image_replace(test_image *im, const char *from, const char *to) {
    size_t n = test_image_header(im);
    size_t n_from = strlen(from);
    size_t n_to = strlen(to);
    size_t count = 0;
    char *old = malloc(n + 1);
    char *new = malloc(2 * n + 1);
    size_t used = 0;
    memcpy(old, im->bytes + 8, n);
    old[n] = '\0';
    for (size_t i = 0; i < n;) {
        if (strncmp(old + i, from, n_from) == 0) {
            memcpy(new + used, to, n_to);
            used += n_to;
            i += n_from;
            count++;
        } else {
            new[used++] = old[i++];
        }
    }
    while (used > n && new[used - 1] == ' ') {
        used--;
    }
    if (used > n) {
        fprintf(stderr, "fixture: no room for %s\n", to);
        abort();
    }
    memset(new + used, ' ', n - used);
    memcpy(im->bytes + 8, new, n);
    free(old);
    free(new);
    return count;
}
