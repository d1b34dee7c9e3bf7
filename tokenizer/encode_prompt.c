/* What a decoder reads: one text with the tokens around it that its caller, or else its
 * post-processor, puts there. */
#include "tokenizer/internal.h"

#include "base/status.h"

pith_status pith_encode_for_decoder(const pith_tokenizer *tokenizer, pith_text text, unsigned flags,
                                    int32_t bos, pith_tokens *out, pith_error *error) {
    const pith_vocab *v = &tokenizer->vocab;
    bool automatic = (flags & PITH_TOKENIZE_AUTO) != 0;
    bool begins = automatic && v->add_bos; /* as the tokenizer itself begins a text */
    bool ends = automatic && v->add_eos && v->eos >= 0;
    unsigned how = (flags & PITH_TOKENIZE_SPECIAL) != 0 ? PITH_ENCODE_SPECIAL : 0;
    if (bos >= 0 && (begins || (flags & PITH_TOKENIZE_BOS) != 0) &&
        (!pith_tokens_push(out, bos) ||
         !pith_tokens_push_all(out, v->after_bos, begins ? v->n_after_bos : 0))) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for tokens");
    }
    pith_status status = pith_encode(tokenizer, text.data, text.n_bytes, how, out, error);
    if (status == PITH_OK && ends &&
        (!pith_tokens_push_all(out, v->before_eos, v->n_before_eos) ||
         !pith_tokens_push(out, v->eos))) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for tokens");
    }
    return status;
}
