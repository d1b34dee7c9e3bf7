/* The architectures seen as one: names, and how the parts of a model are declared as tensors of a
 * .pith file: used alike by those who write a file and by the reader, which expects exactly these
 * declarations. */
#include "weights/pith_file.h"

#include "simd/blocks.h"

#include <string.h>

static const char *const architecture_names[PITH_N_ARCHITECTURES] = {
    [PITH_ARCHITECTURE_LLAMA] = "llama",
    [PITH_ARCHITECTURE_BERT] = "bert",
};

const char *pith_architecture_name(pith_architecture architecture) {
    return (unsigned)architecture < PITH_N_ARCHITECTURES ? architecture_names[architecture]
                                                         : "unknown";
}

bool pith_architecture_find(const char *name, pith_architecture *out) {
    for (unsigned i = 0; i < PITH_N_ARCHITECTURES; i++) {
        if (strcmp(name, architecture_names[i]) == 0) {
            *out = (pith_architecture)i;
            return true;
        }
    }
    return false;
}

unsigned pith_model_file_parts(const pith_model_file *file) {
    return file->architecture == PITH_ARCHITECTURE_BERT ? (unsigned)PITH_BERT_N_PARTS
                                                        : (unsigned)PITH_LLAMA_N_PARTS;
}

size_t pith_model_file_layers(const pith_model_file *file) {
    return file->network.config.num_hidden_layers;
}

bool pith_model_file_slot(pith_model_file *file, unsigned part, size_t layer, pith_slot *slot,
                          pith_slot_place *place) {
    if (file->architecture == PITH_ARCHITECTURE_BERT) {
        pith_bert_part bert_part = (pith_bert_part)part;
        if (!pith_bert_slot_of(&file->network.config, bert_part, layer, slot)) {
            return false;
        }
        *place = pith_bert_place(&file->network, bert_part, layer);
        return true;
    }
    pith_llama_part llama_part = (pith_llama_part)part;
    if (!pith_llama_slot_of(&file->network.config, llama_part, layer, slot)) {
        return false;
    }
    *place = (pith_slot_place){
        .matrix = pith_llama_matrix(&file->network, llama_part, layer),
        .vector = pith_llama_vector(&file->network, llama_part, layer),
    };
    return true;
}

bool pith_slot_shape(const pith_slot *slot, pith_type type, pith_dtype *dtype, size_t *n_dims,
                     size_t shape[2]) {
    size_t size;
    if (!slot->is_matrix) {
        *dtype = PITH_DTYPE_F32;
        *n_dims = 1;
        shape[0] = slot->rows;
        return true;
    }
    if (!pith_matrix_size(type, slot->rows, slot->cols, &size)) {
        return false;
    }
    *n_dims = 2;
    if (type == PITH_TYPE_INT8 || type == PITH_TYPE_INT4) {
        *dtype = PITH_DTYPE_U8;
        shape[0] = slot->rows / PITH_TILE_ROWS;
        shape[1] = pith_matrix_tile_bytes(type, slot->cols);
        return true;
    }
    *dtype = type == PITH_TYPE_F32   ? PITH_DTYPE_F32
             : type == PITH_TYPE_F16 ? PITH_DTYPE_F16
                                     : PITH_DTYPE_BF16;
    shape[0] = slot->rows;
    shape[1] = slot->cols;
    return true;
}

bool pith_vocab_slot_of(const pith_vocab *vocab, pith_vocab_part part, pith_vocab_slot *out) {
    bool merges = vocab->kind == PITH_TOKENIZER_LLAMA_BPE || vocab->kind == PITH_TOKENIZER_BYTE_BPE;
    if (vocab->n_pieces == 0) {
        return false;
    }
    switch (part) {
    case PITH_VOCAB_BYTES:
        *out =
            (pith_vocab_slot){"tokenizer.bytes", PITH_DTYPE_U8, 1, {vocab->n_bytes}, vocab->bytes};
        return true;
    case PITH_VOCAB_OFFSETS:
        *out = (pith_vocab_slot){
            "tokenizer.offsets", PITH_DTYPE_U32, 1, {vocab->n_pieces + 1}, vocab->offsets};
        return true;
    case PITH_VOCAB_SCORES:
        *out = (pith_vocab_slot){
            "tokenizer.scores", PITH_DTYPE_F32, 1, {vocab->n_pieces}, vocab->scores};
        return vocab->kind == PITH_TOKENIZER_SENTENCEPIECE;
    case PITH_VOCAB_TYPES:
        *out =
            (pith_vocab_slot){"tokenizer.types", PITH_DTYPE_U8, 1, {vocab->n_pieces}, vocab->types};
        return true;
    case PITH_VOCAB_ADDED:
        *out =
            (pith_vocab_slot){"tokenizer.added", PITH_DTYPE_U8, 1, {vocab->n_pieces}, vocab->added};
        return true;
    case PITH_VOCAB_MERGES:
        *out = (pith_vocab_slot){
            "tokenizer.merges", PITH_DTYPE_U32, 2, {vocab->n_merges, 3}, vocab->merges};
        return merges;
    case PITH_VOCAB_N_PARTS:
        break;
    }
    return false;
}
