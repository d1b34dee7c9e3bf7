/* Small BERT checkpoints in the layout of sentence-transformers, for the tests. */
#ifndef PITH_TESTS_ENCODER_H
#define PITH_TESTS_ENCODER_H

#include "tests/checkpoint.h"
#include "weights/pith_file.h"

/* A checkpoint to write; zeros give the plain one. */
typedef struct test_encoder {
    const char *config;   /* edits of config.json (test_edit_json), or NULL */
    const char *prefix;   /* of all tensor names, or NULL */
    bool old_norms;       /* LayerNorm.gamma and .beta */
    const char *modules;  /* text of modules.json; NULL: Transformer, Pooling, Normalize */
    const char *pooling;  /* edits of 1_Pooling/config.json, or NULL */
    const char *sentence; /* text of sentence_bert_config.json; NULL: 12 tokens */
    bool bare;            /* without the three files above */
} test_encoder;

/* 2 layers, hidden 32, intermediate 48, 4 heads, 40 tokens, 16 positions, 2 types. */
pith_config test_encoder_config(void);

/* Its tensors in F32 under BertModel's names, with pooler and position ids. */
test_tensors test_encoder_tensors(const pith_config *config, uint64_t seed);

/* Writes it into a new directory test_path(name). */
const char *test_make_encoder(const char *name, const test_encoder *encoder);

/* Converts with two threads; warnings [4096] (test_collect_warnings) may be NULL. */
pith_status test_convert_encoder(const char *source, const char *out, pith_type type,
                                 char *warnings, pith_error *error);

/* Converts what must convert and opens it. */
pith_model_file *test_converted_encoder(const char *source, pith_type type, char *warnings);

/* The configuration of a checkpoint, written and converted. */
pith_config test_encoder_config_of(const char *name, const test_encoder *encoder);

/* Checks that one is refused with these words, and that nothing is published. */
void test_refuse_encoder(const char *name, const test_encoder *encoder, pith_status expected,
                         const char *words);

/* Checks every tensor of an open file against the checkpoint's (BertModel's names): vectors and
 * tables exactly, matrices within the error of their type, padding zero. Returns what is wrong, or
 * NULL. */
const char *test_compare_encoder(pith_model_file *file, const test_tensors *tensors);

#endif
