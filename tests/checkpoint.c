/* Writing small checkpoints: jansson for the JSON, plain bytes for the rest. */
#include "tests/checkpoint.h"

#include "base/half.h"
#include "tests/support.h"
#include "tests/test.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void *must(void *pointer, const char *what) {
    if (pointer == NULL) {
        fprintf(stderr, "checkpoint: cannot get %s\n", what);
        abort();
    }
    return pointer;
}

pith_config test_checkpoint_config(void) {
    return (pith_config){
        PITH_DECODER_RECIPE,
        .vocab_size = 40,
        .hidden_size = 32,
        .intermediate_size = 48,
        .num_hidden_layers = 2,
        .num_attention_heads = 4,
        .num_key_value_heads = 2,
        .head_dim = 8,
        .max_position_embeddings = 64,
        .norm_eps = 1e-5F,
        .kinds[0].rope = {.dims = 8, .theta = 10000.0},
    };
}

/* ---- Tensors --------------------------------------------------------------------------------- */

test_tensor *test_tensors_add(test_tensors *tensors, const char *name, pith_dtype dtype,
                              size_t n_dims, size_t rows, size_t cols) {
    tensors->items =
        must(realloc(tensors->items, (tensors->n + 1) * sizeof *tensors->items), "memory");
    test_tensor *t = &tensors->items[tensors->n++];
    *t = (test_tensor){.dtype = dtype, .n_dims = n_dims, .shape = {rows, cols}};
    snprintf(t->name, sizeof t->name, "%s", name);
    t->size = rows * (n_dims == 2 ? cols : 1) * pith_dtype_size(dtype);
    t->data = must(calloc(1, t->size + 1), "memory");
    return t;
}

static void add_random(test_tensors *tensors, const char *name, size_t n_dims, size_t rows,
                       size_t cols, uint64_t *seed) {
    test_tensor *t = test_tensors_add(tensors, name, PITH_DTYPE_F32, n_dims, rows, cols);
    float *values = t->data;
    for (size_t i = 0; i < t->size / sizeof *values; i++) {
        values[i] = 0.05F * test_random_normal(seed);
    }
}

static void add_layer(test_tensors *tensors, const pith_config *c, size_t layer, uint64_t *seed) {
    size_t q = c->num_attention_heads * c->head_dim;
    size_t kv = c->num_key_value_heads * c->head_dim;
    const struct {
        const char *name;
        size_t rows, cols; /* cols 0: a vector */
        bool bias;
    } list[] = {
        {"input_layernorm", c->hidden_size, 0, false},
        {"post_attention_layernorm", c->hidden_size, 0, false},
        {"self_attn.q_proj", q, c->hidden_size, c->qkv_bias},
        {"self_attn.k_proj", kv, c->hidden_size, c->qkv_bias},
        {"self_attn.v_proj", kv, c->hidden_size, c->qkv_bias},
        {"self_attn.o_proj", c->hidden_size, q, c->o_bias},
        {"mlp.gate_proj", c->intermediate_size, c->hidden_size, c->mlp_bias},
        {"mlp.up_proj", c->intermediate_size, c->hidden_size, c->mlp_bias},
        {"mlp.down_proj", c->hidden_size, c->intermediate_size, c->mlp_bias},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        char name[96];
        snprintf(name, sizeof name, "model.layers.%zu.%s.weight", layer, list[i].name);
        add_random(tensors, name, list[i].cols == 0 ? 1 : 2, list[i].rows, list[i].cols, seed);
        if (list[i].bias) {
            snprintf(name, sizeof name, "model.layers.%zu.%s.bias", layer, list[i].name);
            add_random(tensors, name, 1, list[i].rows, 0, seed);
        }
    }
}

test_tensors test_checkpoint_tensors(const pith_config *config, uint64_t seed) {
    test_tensors tensors = {0};
    add_random(&tensors, "model.embed_tokens.weight", 2, config->vocab_size, config->hidden_size,
               &seed);
    for (size_t i = 0; i < config->num_hidden_layers; i++) {
        add_layer(&tensors, config, i, &seed);
    }
    add_random(&tensors, "model.norm.weight", 1, config->hidden_size, 0, &seed);
    if (!config->tie_word_embeddings) {
        add_random(&tensors, "lm_head.weight", 2, config->vocab_size, config->hidden_size, &seed);
    }
    return tensors;
}

test_tensors test_tensors_load(const char *directory) {
    static const char *const files[] = {"model.safetensors", "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors"};
    test_tensors tensors = {0};
    for (size_t i = 0; i < 3; i++) {
        pith_file file;
        pith_safetensors *header;
        const char *path = test_join(directory, files[i]);
        if (pith_file_open(&file, path, NULL) != PITH_OK) {
            continue;
        }
        if (pith_safetensors_read(&header, &file, &pith_malloc_allocator, NULL) != PITH_OK) {
            must(NULL, path);
        }
        for (size_t t = 0; t < pith_safetensors_count(header); t++) {
            const pith_tensor *from = pith_safetensors_at(header, t);
            test_tensor *to = test_tensors_add(&tensors, from->name, from->dtype, from->n_dims,
                                               from->shape[0], from->shape[1]);
            if (pith_file_read(&file, from->offset, to->data, to->size, NULL) != PITH_OK) {
                must(NULL, from->name);
            }
        }
        pith_safetensors_free(header);
        pith_file_close(&file);
    }
    return tensors;
}

void test_tensors_free(test_tensors *tensors) {
    for (size_t i = 0; i < tensors->n; i++) {
        free(tensors->items[i].data);
    }
    free(tensors->items);
    *tensors = (test_tensors){0};
}

test_tensor *test_tensors_find(const test_tensors *tensors, const char *name) {
    for (size_t i = 0; i < tensors->n; i++) {
        if (strcmp(tensors->items[i].name, name) == 0) {
            return &tensors->items[i];
        }
    }
    return must(NULL, name);
}

void test_tensors_remove(test_tensors *tensors, const char *name) {
    test_tensor *t = test_tensors_find(tensors, name);
    free(t->data);
    *t = tensors->items[--tensors->n];
}

void test_tensor_row(const test_tensor *tensor, size_t row, size_t cols, float *out) {
    for (size_t k = 0; k < cols; k++) {
        size_t i = row * cols + k;
        if (tensor->dtype == PITH_DTYPE_F32) {
            out[k] = ((const float *)tensor->data)[i];
        } else if (tensor->dtype == PITH_DTYPE_F16) {
            out[k] = pith_f16_to_f32(((const uint16_t *)tensor->data)[i]);
        } else {
            out[k] = pith_bf16_to_f32(((const uint16_t *)tensor->data)[i]);
        }
    }
}

/* ---- Files ----------------------------------------------------------------------------------- */

void test_write_tensors(const char *path, const test_tensors *tensors, size_t begin, size_t end) {
    json_t *header = must(json_object(), "memory");
    size_t size = 0;
    for (size_t i = begin; i < end; i++) {
        const test_tensor *t = &tensors->items[i];
        json_t *shape = t->n_dims == 2
                            ? json_pack("[I, I]", (json_int_t)t->shape[0], (json_int_t)t->shape[1])
                            : json_pack("[I]", (json_int_t)t->shape[0]);
        json_object_set_new(header, t->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", pith_dtype_name(t->dtype),
                                      "shape", shape, "data_offsets", (json_int_t)size,
                                      (json_int_t)(size + t->size)));
        size += t->size;
    }
    char *text = must(json_dumps(header, JSON_COMPACT), "memory");
    size_t n = strlen(text);
    unsigned char *bytes = must(calloc(1, 8 + n + size + 1), "memory");
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)n >> 8 * i);
    }
    memcpy(bytes + 8, text, n);
    size_t offset = 8 + n;
    for (size_t i = begin; i < end; i++) {
        memcpy(bytes + offset, tensors->items[i].data, tensors->items[i].size);
        offset += tensors->items[i].size;
    }
    test_write_file(path, bytes, offset);
    free(bytes);
    free(text);
    json_decref(header);
}

char *test_edit_json(const char *base, const char *edits) {
    json_error_t why;
    json_t *config = must(json_loads(base, 0, &why), base);
    json_t *changes = must(json_loads(edits != NULL ? edits : "{}", 0, &why), edits);
    const char *key;
    json_t *value;
    json_object_foreach(changes, key, value) {
        if (json_is_string(value) && strcmp(json_string_value(value), "(absent)") == 0) {
            json_object_del(config, key);
        } else {
            json_object_set(config, key, value);
        }
    }
    char *text = must(json_dumps(config, 0), "memory");
    json_decref(config);
    json_decref(changes);
    return text;
}

char *test_config_text(const char *edits) {
    static const char base[] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\","
        " \"vocab_size\": 40, \"hidden_size\": 32, \"intermediate_size\": 48,"
        " \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
        " \"max_position_embeddings\": 64, \"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0,"
        " \"hidden_act\": \"silu\", \"tie_word_embeddings\": false, \"rope_scaling\": null,"
        " \"bos_token_id\": 1, \"eos_token_id\": 2}";
    return test_edit_json(base, edits);
}

const char *test_make_directory(const char *name) {
    static char paths[64][1024]; /* many, as tests make many files in between */
    static unsigned next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s", test_path(name));
    if (mkdir(path, 0777) != 0) {
        must(NULL, path);
    }
    return path;
}

const char *test_join(const char *directory, const char *name) {
    static char paths[16][1024];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

void test_write_text(const char *directory, const char *name, const char *text) {
    test_write_file(test_join(directory, name), text, strlen(text));
}

const char *test_make_checkpoint(const char *name, const char *edits) {
    pith_config config = test_checkpoint_config();
    const char *directory = test_make_directory(name);
    test_tensors tensors = test_checkpoint_tensors(&config, 1);
    char *text = test_config_text(edits);
    test_write_text(directory, "config.json", text);
    test_write_tensors(test_join(directory, "model.safetensors"), &tensors, 0, tensors.n);
    test_tensors_free(&tensors);
    free(text);
    return directory;
}

void test_collect_warnings(void *user, pith_log_level level, const char *message) {
    char *text = user;
    size_t n = strlen(text);
    if (level == PITH_LOG_WARNING) {
        snprintf(text + n, 4096 - n, "%s\n", message);
    }
}

pith_model_file *test_open_file(const char *path) {
    pith_model_file *file = NULL;
    pith_error error = {0};
    CHECK(pith_model_file_open(&file, path, false, NULL, NULL, NULL, &error) == PITH_OK, "%s: %s",
          path, error.message);
    return file;
}

test_converted test_open_converted(const char *path) {
    test_converted out;
    pith_error error = {0};
    CHECK(pith_file_open(&out.file, path, &error) == PITH_OK, "%s", error.message);
    pith_status status =
        pith_safetensors_read(&out.header, &out.file, &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    out.metadata = pith_safetensors_metadata(out.header, "pith");
    return out;
}

void test_close_converted(test_converted *converted) {
    pith_safetensors_free(converted->header);
    pith_file_close(&converted->file);
}

const char *test_list_directory(const char *directory) {
    static char list[4096];
    struct dirent **entries;
    int n = scandir(directory, &entries, NULL, alphasort);
    size_t used = 0;
    list[0] = '\0';
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            used += (size_t)snprintf(list + used, sizeof list - used, "%s ", entries[i]->d_name);
        }
        free(entries[i]);
    }
    if (n >= 0) {
        free(entries);
    }
    return list;
}
