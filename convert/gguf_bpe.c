/* Byte-level BPE of a GGUF file. It has the vocabulary, the merges and the types of a
 * tokenizer.json, but of the rest only the name of a pre-tokenizer, which stands for the
 * pre-tokenizer of the models with that name. It is put back together and read as a tokenizer.json,
 * whose reader knows the byte alphabet, the merges and the patterns. */
#include "convert/gguf_tokenizer.h"

#include "base/json_write.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* A Split by a regular expression, then ByteLevel without one of its own. */
#define SPLIT_BY(regex)                                                                     \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":" \
    "\"" regex "\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","   \
    "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]}"

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+"
#define OTHERS " ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*"
#define SPACES "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define UPPER "[\\\\p{Lu}\\\\p{Lt}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]"
#define LOWER "[\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]"
#define BEFORE "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?"

/* The pre_tokenizer sections, as the repositories of these models have them. */
static const char gpt2[] =
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}";
static const char digits[] =
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}]"
    "}";
static const char llama3[] = SPLIT_BY(CONTRACTIONS "|" WORD "|\\\\p{N}{1,3}|" OTHERS "|" SPACES);
static const char qwen2[] = SPLIT_BY(CONTRACTIONS "|" WORD "|\\\\p{N}|" OTHERS "|" SPACES);
static const char tekken[] =
    SPLIT_BY(BEFORE UPPER "*" LOWER "+|" BEFORE UPPER "+" LOWER
                          "*|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n/]*|" SPACES);
static const char o200k[] =
    SPLIT_BY(BEFORE UPPER "*" LOWER "+" CONTRACTIONS "?|" BEFORE UPPER "+" LOWER "*" CONTRACTIONS
                          "?|\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n/]*|" SPACES);

/* Names of tokenizer.ggml.pre. Encoders have a token behind a text, too, where no key says
 * otherwise. */
static const struct {
    const char *name;
    const char *pre_tokenizer;
    bool ignore_merges; /* a whole word that is a token is that token */
    bool add_bos;       /* where no key says so */
    bool nfc;           /* the models' tokenizers normalise to form C first */
    bool encoder;
    pith_pair_form pair_form; /* of an encoder */
} pre_tokenizers[] = {
    {"llama-bpe", llama3, .ignore_merges = true, .add_bos = true},
    {"llama3", llama3, .ignore_merges = true, .add_bos = true},
    {"llama-v3", llama3, .ignore_merges = true, .add_bos = true},
    {"falcon3", llama3, .ignore_merges = true, .add_bos = true},
    {"dbrx", llama3, .nfc = false},
    {"smaug-bpe", llama3, .nfc = false},
    {"qwen2", qwen2, .nfc = true},
    {"deepseek-r1-qwen", qwen2, .nfc = true},
    {"stablelm2", qwen2, .nfc = false},
    {"megrez", qwen2, .nfc = true},
    {"tekken", tekken, .ignore_merges = true, .add_bos = true},
    {"gpt-2", gpt2, .nfc = false},
    {"modern-bert", gpt2, .add_bos = true, .nfc = true, .encoder = true,
     .pair_form = PITH_PAIR_SEPARATED},
    {"roberta-bpe", gpt2, .add_bos = true, .encoder = true, .pair_form = PITH_PAIR_DOUBLED},
    {"olmo", gpt2, .nfc = false},
    {"smollm", digits, .nfc = false},
    {"refact", digits, .nfc = false},
    {"starcoder", digits, .nfc = false},
    {"command-r", digits, .nfc = false},
    {"codeshell", digits, .nfc = false},
    {"gpt-4o", o200k, .ignore_merges = true},
};

enum { N_PRE_TOKENIZERS = sizeof pre_tokenizers / sizeof pre_tokenizers[0] };

/* Returns the number of the pre-tokenizer in the table, or N_PRE_TOKENIZERS. */
static size_t find_pre_tokenizer(pith_text name) {
    size_t i = 0;
    while (i < N_PRE_TOKENIZERS && !pith_text_is(name, pre_tokenizers[i].name)) {
        i++;
    }
    return i;
}

static pith_status fail_name(const pith_gguf_vocab *vocab, pith_text name) {
    char known[512] = "";
    for (size_t i = 0; i < N_PRE_TOKENIZERS; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, i > 0 ? ", %s" : "%s", pre_tokenizers[i].name);
    }
    return pith_fail(vocab->error, PITH_ERROR_UNSUPPORTED,
                     "%s: the pre-tokenizer %.*s is not supported; supported are %s",
                     pith_gguf_name(vocab->gguf), (int)(name.n_bytes < 60 ? name.n_bytes : 60),
                     name.data, known);
}

/* ---- The sections of tokenizer.json ---------------------------------------------------------- */

/* False for tokens that only fill up the embedding's rows. */
static bool is_used(const pith_gguf_vocab *vocab, size_t i, pith_text token,
                    pith_piece_type *type) {
    pith_gguf_token_type(vocab, i, type);
    return *type != PITH_PIECE_UNUSED && token.n_bytes > 0;
}

static void put_added_tokens(pith_json_writer *json, const pith_gguf_vocab *vocab) {
    pith_gguf_strings walk = {vocab->tokens};
    pith_text token;
    pith_json_open(json, "added_tokens", '[');
    for (size_t i = 0; pith_gguf_next_string(&walk, &token); i++) {
        pith_piece_type type;
        if (is_used(vocab, i, token, &type) && type != PITH_PIECE_NORMAL) {
            pith_json_open(json, NULL, '{');
            pith_json_put_integer(json, "id", (int64_t)i);
            pith_json_put_bytes(json, "content", token.data, token.n_bytes);
            pith_json_put_bool(json, "special", type != PITH_PIECE_USER_DEFINED);
            pith_json_close(json, '}');
        }
    }
    pith_json_close(json, ']');
}

/* The writer's keys end with a NUL, which the tokens in the file do not. */
static bool put_vocab(pith_json_writer *json, const pith_gguf_vocab *vocab) {
    pith_gguf_strings walk = {vocab->tokens};
    pith_text token;
    pith_bytes key;
    bool good = true;
    pith_bytes_init(&key, vocab->allocator);
    pith_json_open(json, "vocab", '{');
    for (size_t i = 0; good && pith_gguf_next_string(&walk, &token); i++) {
        pith_piece_type type;
        if (is_used(vocab, i, token, &type) && type == PITH_PIECE_NORMAL) {
            key.size = 0;
            good = pith_bytes_append(&key, token.data, token.n_bytes);
            if (good) {
                pith_json_put_integer(json, key.data, (int64_t)i);
            }
        }
    }
    pith_json_close(json, '}');
    pith_bytes_release(&key);
    return good;
}

static pith_status put_merges(pith_json_writer *json, const pith_gguf_vocab *vocab) {
    static const char key[] = "tokenizer.ggml.merges";
    pith_gguf_value merges = {.count = 0};
    pith_text merge;
    pith_status status = pith_gguf_require(vocab->gguf, key, vocab->error);
    if (status == PITH_OK) {
        status = pith_gguf_array(vocab->gguf, key, PITH_GGUF_STRING, &merges, vocab->error);
    }
    pith_gguf_strings walk = {merges};
    pith_json_open(json, "merges", '[');
    while (status == PITH_OK && pith_gguf_next_string(&walk, &merge)) {
        pith_json_put_bytes(json, NULL, merge.data, merge.n_bytes);
    }
    pith_json_close(json, ']');
    return status;
}

static pith_status put_document(pith_json_writer *json, const pith_gguf_vocab *vocab, size_t pre) {
    static const char nfc[] = "{\"type\":\"NFC\"}";
    static const char decoder[] = "{\"type\":\"ByteLevel\"}";
    const char *pre_tokenizer = pre_tokenizers[pre].pre_tokenizer;
    pith_json_open(json, NULL, '{');
    put_added_tokens(json, vocab);
    if (pre_tokenizers[pre].nfc) {
        pith_json_put_raw(json, "normalizer", nfc, sizeof nfc - 1);
    }
    pith_json_put_raw(json, "pre_tokenizer", pre_tokenizer, strlen(pre_tokenizer));
    pith_json_put_raw(json, "decoder", decoder, sizeof decoder - 1);
    pith_json_open(json, "model", '{');
    pith_json_put_text(json, "type", "BPE");
    pith_json_put_bool(json, "ignore_merges", pre_tokenizers[pre].ignore_merges);
    bool good = put_vocab(json, vocab);
    pith_status status = good ? put_merges(json, vocab) : pith_gguf_vocab_no_memory(vocab);
    pith_json_close(json, '}');
    pith_json_close(json, '}');
    return status;
}

pith_status pith_gguf_read_bpe(pith_vocab_file *out, const pith_gguf_vocab *vocab) {
    static const char key[] = "tokenizer.ggml.pre";
    pith_text name = {"", 0};
    pith_json_writer json;
    pith_vocab_file file;
    pith_status status = pith_gguf_require(vocab->gguf, key, vocab->error);
    if (status == PITH_OK) {
        status = pith_gguf_text(vocab->gguf, key, &name, vocab->error);
    }
    if (status != PITH_OK) {
        return status;
    }
    size_t pre = find_pre_tokenizer(name);
    if (pre == N_PRE_TOKENIZERS) {
        return fail_name(vocab, name);
    }
    pith_json_write_begin(&json, vocab->allocator);
    status = put_document(&json, vocab, pre);
    if (status == PITH_OK) {
        status = pith_json_write_end(&json, "the vocabulary", vocab->error);
        status = status == PITH_ERROR_ARGUMENT ? PITH_ERROR_FORMAT : status;
    }
    if (status == PITH_OK) {
        status = pith_vocab_from_json(&file, json.bytes.data, json.bytes.size,
                                      pith_gguf_name(vocab->gguf), vocab->allocator, vocab->error);
    }
    pith_bytes_release(&json.bytes);
    if (status == PITH_OK) {
        *out = file;
        out->vocab.add_bos = pre_tokenizers[pre].add_bos;
        if (pre_tokenizers[pre].encoder) {
            out->vocab.add_eos = true;
            out->vocab.pair_form = pre_tokenizers[pre].pair_form;
        }
    }
    return status;
}
