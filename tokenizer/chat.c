/* Chat markup and infilling prompts, as token ids around encoded text, so that nothing a user types
 * can become markup of the token kind. Llama 2: Touvron et al. 2023, and the reference code's
 * chat_completion. Infilling: Roziere et al. 2023, section 2.3. */
#include "tokenizer/internal.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <string.h>

/* ---- Llama 2 --------------------------------------------------------------------------------- */

/* White space in the sense of Python's str.strip, which the reference code calls: Unicode's, and
 * the four separators of ASCII. */
const char pith_chat_reference[] = "llama2";

static bool is_stripped(uint32_t code) {
    return pith_unicode_is_space(code) || (code >= 0x1C && code <= 0x1F);
}

/* Appends text [n] without the white space at its ends. */
static bool append_stripped(pith_bytes *out, const char *text, size_t n) {
    size_t start = 0;
    while (start < n && is_stripped(pith_utf8_decode(text + start))) {
        start += pith_utf8_length(text[start]);
    }
    while (n > start) {
        size_t last = pith_utf8_before(text, n);
        if (!is_stripped(pith_utf8_decode(text + last))) {
            break;
        }
        n = last;
    }
    return pith_bytes_append(out, text + start, n - start);
}

static bool has_role(const pith_message *message, const char *role) {
    return message->role != NULL && strcmp(message->role, role) == 0;
}

/* An optional system message, then user and assistant in turn, the user last; contents UTF-8. */
static pith_status check_messages(const pith_message *messages, size_t n, pith_error *error) {
    for (size_t i = 0; i < n; i++) {
        size_t valid = pith_utf8_check(messages[i].content.data, messages[i].content.n_bytes);
        if (valid != messages[i].content.n_bytes) {
            return pith_fail(error, PITH_ERROR_TEXT, "message %zu: invalid UTF-8 at byte %zu", i,
                             valid);
        }
    }
    size_t first = n > 0 && has_role(&messages[0], "system") ? 1 : 0;
    for (size_t i = first; i < n; i++) {
        const char *role = (i - first) % 2 == 0 ? "user" : "assistant";
        if (!has_role(&messages[i], role)) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "message %zu has role \"%.40s\", not \"%s\"", i,
                             messages[i].role != NULL ? messages[i].role : "(none)", role);
        }
    }
    if ((n - first) % 2 != 1) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "a conversation of %zu messages: the last must be the user's", n);
    }
    return PITH_OK;
}

/* Appends "[INST] question [/INST]" and, with an answer, " answer ". The system text belongs to the
 * question and is stripped with it, as in the reference code. */
static bool render_turn(pith_bytes *out, pith_bytes *question, const pith_message *system,
                        const pith_message *user, const pith_message *answer) {
    question->size = 0;
    if (system != NULL &&
        !(pith_bytes_append_text(question, "<<SYS>>\n") &&
          pith_bytes_append(question, system->content.data, system->content.n_bytes) &&
          pith_bytes_append_text(question, "\n<</SYS>>\n\n"))) {
        return false;
    }
    if (!pith_bytes_append(question, user->content.data, user->content.n_bytes) ||
        !pith_bytes_append_text(out, "[INST] ") ||
        !append_stripped(out, question->data, question->size) ||
        !pith_bytes_append_text(out, " [/INST]")) {
        return false;
    }
    return answer == NULL || (pith_bytes_append_text(out, " ") &&
                              append_stripped(out, answer->content.data, answer->content.n_bytes) &&
                              pith_bytes_append_text(out, " "));
}

static pith_status push_id(pith_tokens *out, int32_t id, pith_error *error) {
    return pith_tokens_push(out, id)
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_MEMORY, "no memory for token ids");
}

static pith_status encode_llama2(const pith_tokenizer *t, const pith_message *messages, size_t n,
                                 pith_tokens *out, pith_error *error) {
    const pith_vocab *v = pith_tokenizer_vocab(t);
    if (v->bos < 0 || v->eos < 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "chat format \"llama2\": the vocabulary has no bos and eos tokens");
    }
    pith_status status = check_messages(messages, n, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_bytes text;
    pith_bytes question;
    pith_bytes_init(&text, t->allocator);
    pith_bytes_init(&question, t->allocator);
    size_t first = has_role(&messages[0], "system") ? 1 : 0;
    for (size_t i = first; status == PITH_OK && i < n; i += 2) {
        const pith_message *system = i == 1 ? &messages[0] : NULL;
        const pith_message *answer = i + 1 < n ? &messages[i + 1] : NULL;
        text.size = 0;
        if (!render_turn(&text, &question, system, &messages[i], answer)) {
            status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for the chat prompt");
        }
        if (status == PITH_OK) {
            status = push_id(out, v->bos, error);
        }
        if (status == PITH_OK) {
            status = pith_encode(t, text.data, text.size, 0, out, error);
        }
        if (status == PITH_OK && answer != NULL) {
            status = push_id(out, v->eos, error);
        }
    }
    pith_bytes_release(&text);
    pith_bytes_release(&question);
    return status;
}

pith_status pith_chat_encode(const pith_tokenizer *tokenizer, const char *format,
                             const pith_message *messages, size_t n_messages, pith_tokens *out,
                             pith_error *error) {
    if (format == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "the model's chat format is not known");
    }
    if (strcmp(format, pith_chat_reference) != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "chat format \"%.40s\" is not supported",
                         format);
    }
    return encode_llama2(tokenizer, messages, n_messages, out, error);
}

/* ---- Infilling ------------------------------------------------------------------------------- */

static int32_t find_either(const pith_tokenizer *t, const char *marked, const char *plain) {
    int32_t id = pith_tokenizer_find(t, marked, strlen(marked));
    return id >= 0 ? id : pith_tokenizer_find(t, plain, strlen(plain));
}

pith_infill_ids pith_tokenizer_infill(const pith_tokenizer *tokenizer) {
    return (pith_infill_ids){
        .prefix = find_either(tokenizer, PITH_SPACE_MARK "<PRE>", "<PRE>"),
        .suffix = find_either(tokenizer, PITH_SPACE_MARK "<SUF>", "<SUF>"),
        .middle = find_either(tokenizer, PITH_SPACE_MARK "<MID>", "<MID>"),
        .end = find_either(tokenizer, PITH_SPACE_MARK "<EOT>", "<EOT>"),
    };
}

/* One token and the text behind it. */
static pith_status push_part(const pith_tokenizer *t, int32_t id, pith_text text, unsigned flags,
                             pith_tokens *out, pith_error *error) {
    pith_status status = push_id(out, id, error);
    return status == PITH_OK ? pith_encode(t, text.data, text.n_bytes, flags, out, error) : status;
}

pith_status pith_infill_encode(const pith_tokenizer *tokenizer, pith_text prefix, pith_text suffix,
                               bool suffix_first, pith_tokens *out, pith_error *error) {
    const pith_text nothing = {NULL, 0};
    pith_infill_ids ids = pith_tokenizer_infill(tokenizer);
    int32_t bos = pith_tokenizer_vocab(tokenizer)->bos;
    if (bos < 0 || ids.prefix < 0 || ids.suffix < 0 || ids.middle < 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the vocabulary has no infilling tokens (<PRE>, <SUF>, <MID>)");
    }
    pith_status status = push_id(out, bos, error);
    if (status == PITH_OK) {
        status = push_part(tokenizer, ids.prefix, suffix_first ? nothing : prefix, 0, out, error);
    }
    if (status == PITH_OK) {
        status = push_part(tokenizer, ids.suffix, suffix, PITH_ENCODE_NO_PREFIX, out, error);
    }
    if (status == PITH_OK) {
        status = push_part(tokenizer, ids.middle, suffix_first ? prefix : nothing, 0, out, error);
    }
    return status;
}
