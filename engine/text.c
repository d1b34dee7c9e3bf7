/* The public text functions: tokenizer calls on a model, with caller-sized buffers. */
#include <string.h>

#include "engine/text.h"

pith_status pith_need_tokenizer(const pith_model *model, pith_error *error) {
    if (model == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "null model");
    }
    if (model->tokenizer == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "the model has no tokenizer");
    }
    return PITH_OK;
}

pith_status pith_give_tokens(const pith_tokens *from, int32_t *tokens, size_t capacity,
                             size_t *n_tokens, pith_error *error) {
    *n_tokens = from->n;
    if (from->n > capacity) {
        return pith_fail(error, PITH_ERROR_CAPACITY, "%zu tokens do not fit in a buffer of %zu",
                         from->n, capacity);
    }
    if (from->n != 0) {
        memcpy(tokens, from->ids, from->n * sizeof *tokens);
    }
    return PITH_OK;
}

/* A model with a WordPiece tokenizer gets its text as an encoder does, whatever its network. */
static bool is_encoder(const pith_model *model) {
    return model->network.config.role == PITH_ENCODER ||
           pith_tokenizer_vocab(model->tokenizer)->kind == PITH_TOKENIZER_WORDPIECE;
}

/* True when a text has a length but no data. */
static bool lacks_data(pith_text text) {
    return text.data == NULL && text.n_bytes != 0;
}

pith_status pith_tokenize(const pith_model *model, pith_text text, unsigned flags, int32_t *tokens,
                          size_t capacity, size_t *n_tokens, pith_error *error) {
    pith_status status = pith_need_tokenizer(model, error);
    if (status != PITH_OK) {
        return status;
    }
    if (lacks_data(text) || n_tokens == NULL || (tokens == NULL && capacity != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_tokenize: null argument");
    }
    pith_tokens found;
    pith_tokens_init(&found, &model->allocator);
    if (is_encoder(model)) {
        status = pith_encode_for_encoder(model->tokenizer, text.data, text.n_bytes, NULL, 0, 0,
                                         &found, NULL, error);
    } else {
        status = pith_encode_for_decoder(model->tokenizer, text, flags, model->bos, &found, error);
    }
    if (status == PITH_OK) {
        status = pith_give_tokens(&found, tokens, capacity, n_tokens, error);
    }
    pith_tokens_release(&found);
    return status;
}

static bool in_vocabulary(const pith_model *model, int32_t token) {
    return token >= 0 && (size_t)token < pith_model_vocab_size(model);
}

static pith_status bad_token(const pith_model *model, int32_t token, pith_error *error) {
    return pith_fail(error, PITH_ERROR_TOKEN, "token %d is outside the vocabulary of %zu",
                     (int)token, pith_model_vocab_size(model));
}

/* Adds [n] bytes to a caller's buffer as far as they fit; returns the new length. */
static size_t give_text(char *text, size_t capacity, size_t length, const char *from, size_t n) {
    if (n != 0 && length < capacity) {
        memcpy(text + length, from, n < capacity - length ? n : capacity - length);
    }
    return length + n;
}

pith_status pith_detokenize(const pith_model *model, const int32_t *tokens, size_t n_tokens,
                            char *text, size_t capacity, size_t *n_bytes, pith_error *error) {
    pith_status status = pith_need_tokenizer(model, error);
    if (status != PITH_OK) {
        return status;
    }
    if ((tokens == NULL && n_tokens != 0) || n_bytes == NULL || (text == NULL && capacity != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_detokenize: null argument");
    }
    for (size_t i = 0; i < n_tokens; i++) {
        if (!in_vocabulary(model, tokens[i])) {
            return bad_token(model, tokens[i], error);
        }
    }
    char *piece = pith_allocate(&model->allocator, pith_decode_max(model->tokenizer), 1);
    if (piece == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for text");
    }
    pith_decode_state state;
    pith_decode_begin(&state, false);
    size_t length = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        size_t n = pith_decode_push(model->tokenizer, &state, tokens[i], piece);
        length = give_text(text, capacity, length, piece, n);
    }
    size_t n = pith_decode_finish(model->tokenizer, &state, piece);
    length = give_text(text, capacity, length, piece, n);
    pith_release(&model->allocator, piece);
    *n_bytes = length;
    if (length > capacity) {
        return pith_fail(error, PITH_ERROR_CAPACITY, "%zu bytes do not fit in a buffer of %zu",
                         length, capacity);
    }
    return PITH_OK;
}

pith_status pith_token_text(const pith_model *model, int32_t token, pith_text *out,
                            pith_error *error) {
    pith_status status = pith_need_tokenizer(model, error);
    if (status != PITH_OK) {
        return status;
    }
    if (out == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_token_text: null argument");
    }
    if (!in_vocabulary(model, token)) {
        return bad_token(model, token, error);
    }
    if (!pith_tokenizer_piece(model->tokenizer, token, &out->data, &out->n_bytes)) {
        *out = pith_text_of(""); /* a row of the head that the tokenizer has no piece for */
    }
    return PITH_OK;
}

/* ---- Decoder --------------------------------------------------------------------------------- */

struct pith_decoder {
    const pith_model *model;
    pith_decode_state state;
    char *text; /* [pith_decode_max] */
};

pith_status pith_decoder_new(pith_decoder **out, const pith_model *model, pith_error *error) {
    pith_status status = pith_need_tokenizer(model, error);
    if (status != PITH_OK) {
        return status;
    }
    if (out == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_decoder_new: null argument");
    }
    pith_decoder *decoder = pith_allocate(&model->allocator, 1, sizeof *decoder);
    char *text = pith_allocate(&model->allocator, pith_decode_max(model->tokenizer), 1);
    if (decoder == NULL || text == NULL) {
        pith_release(&model->allocator, decoder);
        pith_release(&model->allocator, text);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a decoder");
    }
    decoder->model = model;
    decoder->text = text;
    pith_decode_begin(&decoder->state, false);
    *out = decoder;
    return PITH_OK;
}

void pith_decoder_free(pith_decoder *decoder) {
    if (decoder != NULL) {
        const pith_allocator *allocator = &decoder->model->allocator;
        pith_release(allocator, decoder->text);
        pith_release(allocator, decoder);
    }
}

pith_status pith_decoder_push(pith_decoder *decoder, int32_t token, pith_text *text,
                              pith_error *error) {
    if (decoder == NULL || text == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_decoder_push: null argument");
    }
    if (!in_vocabulary(decoder->model, token)) {
        return bad_token(decoder->model, token, error);
    }
    text->n_bytes =
        pith_decode_push(decoder->model->tokenizer, &decoder->state, token, decoder->text);
    text->data = decoder->text;
    return PITH_OK;
}

void pith_decoder_finish(pith_decoder *decoder, pith_text *text) {
    text->n_bytes = pith_decode_finish(decoder->model->tokenizer, &decoder->state, decoder->text);
    text->data = decoder->text;
    pith_decode_begin(&decoder->state, false);
}

/* ---- Prompts --------------------------------------------------------------------------------- */

pith_status pith_infill_format(const pith_model *model, pith_text prefix, pith_text suffix,
                               bool suffix_first, int32_t *tokens, size_t capacity,
                               size_t *n_tokens, pith_error *error) {
    pith_status status = pith_need_tokenizer(model, error);
    if (status != PITH_OK) {
        return status;
    }
    if (lacks_data(prefix) || lacks_data(suffix) || n_tokens == NULL ||
        (tokens == NULL && capacity != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_infill_format: null argument");
    }
    pith_tokens found;
    pith_tokens_init(&found, &model->allocator);
    status = pith_infill_encode(model->tokenizer, prefix, suffix, suffix_first, &found, error);
    if (status == PITH_OK) {
        status = pith_give_tokens(&found, tokens, capacity, n_tokens, error);
    }
    pith_tokens_release(&found);
    return status;
}
