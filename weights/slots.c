/* How the tensors of a model are declared as tensors of a .pith file: used by the writers of a file
 * and by the reader, which expects exactly these declarations. */
#include "weights/pith_file.h"

#include "simd/blocks.h"

bool pith_model_file_slot(pith_model_file *file, unsigned part, size_t layer, pith_slot *slot,
                          pith_slot_place *place) {
    if (!pith_family_slot(file->family, &file->network.config, part, layer, slot)) {
        return false;
    }
    *place = pith_rule_place(pith_family_rule(file->family, part), &file->network, layer);
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
    case PITH_VOCAB_LOG_PROBABILITIES:
        *out = (pith_vocab_slot){"tokenizer.log_probabilities",
                                 PITH_DTYPE_F64,
                                 1,
                                 {vocab->n_pieces},
                                 vocab->log_probabilities};
        return vocab->kind == PITH_TOKENIZER_UNIGRAM;
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
    case PITH_VOCAB_CHARSMAP:
        *out = (pith_vocab_slot){
            "tokenizer.charsmap", PITH_DTYPE_U8, 1, {vocab->n_charsmap}, vocab->charsmap};
        return vocab->n_charsmap > 0;
    case PITH_VOCAB_N_PARTS:
        break;
    }
    return false;
}
