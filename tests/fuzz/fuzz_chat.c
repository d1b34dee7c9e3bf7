/* Chat and infilling prompts. The first byte chooses a tokenizer and what is made; texts follow,
 * with NUL bytes between. Of a chat the first is the name of the format, the others are messages,
 * each with its role in its first byte. No text may become markup: the ids that begin and end turns
 * are counted. Of a template the first text is its source and the second its variables. */
#include "tests/fuzz/input.h"
#include "tokenizer/chat_template.h"

#include <stdlib.h>
#include <string.h>

enum { N_TOKENIZERS = 4, MAX_MESSAGES = 16 };

/* Byte-level BPE without markup, and with it. */
static const char plain[] =
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]}}";
static const char marked[] =
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"added_tokens\":[{\"id\":2,\"content\":\"<PRE>\",\"special\":true},{\"id\":3,\"content\":"
    "\"<SUF>\",\"special\":true},{\"id\":4,\"content\":\"<MID>\",\"special\":true},{\"id\":5,"
    "\"content\":\"<s>\",\"special\":true}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,"
    "\"b\":1},\"merges\":[]},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
    "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
    "],\"pair\":[],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[5],\"tokens\":[\"<s>\"]}}}"
    "}";

static test_allocator memory;

static test_tokenizer *open_all(void) {
    static test_tokenizer all[N_TOKENIZERS];
    if (all[0].tokenizer == NULL) {
        size_t size;
        pith_error error;
        char *config = test_read_file(test_root("golden/codellama/tokenizer_config.json"), &size);
        test_tokenizer_open(&all[0], "golden/codellama/tokenizer.model");
        fuzz_require(test_vocab_add_tokens(&all[0].file, config, size, NULL, 0, "c", &error) ==
                     PITH_OK);
        test_tokenizer_open_json(&all[1], marked);
        test_tokenizer_open_json(&all[2], plain);
        test_tokenizer_open(&all[3], "golden/llama3/tokenizer.json");
        test_allocator_init(&memory);
        for (size_t i = 0; i < N_TOKENIZERS; i++) {
            fuzz_tokenizer_rebuild(&all[i], &memory);
        }
        free(config);
    }
    return all;
}

static size_t count(const pith_tokens *ids, int32_t id) {
    size_t n = 0;
    for (size_t i = 0; i < ids->n; i++) {
        n += ids->ids[i] == id;
    }
    return n;
}

/* Messages [MAX_MESSAGES] from what is left; their contents are malloc'ed. */
static size_t read_messages(fuzz_input *in, pith_message *messages) {
    static const char *const roles[] = {"user", "assistant", "system", "tool", NULL};
    size_t n = 0;
    while (n < MAX_MESSAGES && in->left > 0) {
        messages[n].role = roles[fuzz_byte(in) % 5];
        messages[n].content.data = fuzz_text(in, &messages[n].content.n_bytes);
        n++;
    }
    return n;
}

static void free_messages(const pith_message *messages, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free((char *)(uintptr_t)messages[i].content.data);
    }
}

static void chat(const pith_tokenizer *t, fuzz_input *in, pith_tokens *ids) {
    const pith_vocab *v = pith_tokenizer_vocab(t);
    pith_message messages[MAX_MESSAGES];
    char format[16];
    size_t n_format;
    char *name = fuzz_text(in, &n_format);
    n_format = n_format < sizeof format ? n_format : sizeof format - 1;
    memcpy(format, name != NULL ? name : "", n_format);
    format[n_format] = '\0';
    size_t n = read_messages(in, messages);
    pith_error error = {0};
    pith_status status =
        pith_chat_encode(t, n_format > 0 ? format : NULL, messages, n, ids, &error);
    if (status == PITH_OK) {
        size_t first = strcmp(messages[0].role, "system") == 0;
        fuzz_require(count(ids, v->bos) == (n - first + 1) / 2);
        fuzz_require(count(ids, v->eos) == (n - first) / 2);
    } else {
        fuzz_require(error.status == status && error.message[0] != '\0');
    }
    free_messages(messages, n);
    free(name);
}

/* True when a template cannot write "<s>" of its own: it has no '<', nor ways to spell one. */
static bool writes_no_token(const char *source, size_t n) {
    static const char *const ways[] = {"<", "_token", "\\", "%c"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (n > 0 && memmem(source, n, ways[i], strlen(ways[i])) != NULL) {
            return false;
        }
    }
    return true;
}

static void by_template(const pith_tokenizer *t, fuzz_input *in, pith_tokens *ids) {
    const pith_vocab *v = pith_tokenizer_vocab(t);
    pith_message messages[MAX_MESSAGES];
    pith_chat_input input = {.messages = messages, .now = {2026, 3, 4, 5, 6, 7, 0}};
    char *source = fuzz_text(in, &input.source.n_bytes);
    char *variables = fuzz_text(in, &input.variables.n_bytes);
    input.source.data = source;
    input.variables.data = variables;
    input.n_messages = read_messages(in, messages);
    pith_error error = {0};
    int32_t end;
    pith_status status = pith_chat_render_tokens(t, &input, ids, &error);
    if (status != PITH_OK) {
        fuzz_require(error.status == status && error.message[0] != '\0');
    } else if (writes_no_token(source, input.source.n_bytes)) {
        fuzz_require(v->bos < 0 || count(ids, v->bos) == 0);
        fuzz_require(v->eos < 0 || count(ids, v->eos) == 0);
    }
    status = pith_chat_find_end(t, &input, &end, &error);
    fuzz_require(status == PITH_ERROR_MEMORY || (status == PITH_OK && end >= -1));
    free_messages(messages, input.n_messages);
    free(source);
    free(variables);
}

static void infill(const pith_tokenizer *t, fuzz_input *in, bool suffix_first, pith_tokens *ids) {
    pith_text prefix;
    pith_text suffix;
    char *prefix_bytes = fuzz_text(in, &prefix.n_bytes);
    char *suffix_bytes = fuzz_text(in, &suffix.n_bytes);
    prefix.data = prefix_bytes;
    suffix.data = suffix_bytes;
    pith_infill_ids marks = pith_tokenizer_infill(t);
    pith_error error = {0};
    pith_status status = pith_infill_encode(t, prefix, suffix, suffix_first, ids, &error);
    if (status == PITH_OK) {
        fuzz_require(count(ids, marks.prefix) == 1 && count(ids, marks.suffix) == 1 &&
                     count(ids, marks.middle) == 1);
    } else {
        fuzz_require(error.status == status && error.message[0] != '\0');
    }
    free(prefix_bytes);
    free(suffix_bytes);
}

static void recognise(const fuzz_input *in) {
    char *text = malloc(in->left + 1);
    memcpy(text, in->at, in->left);
    text[in->left] = '\0';
    const char *format = NULL;
    pith_error error;
    pith_status status =
        pith_chat_recognise(in->left > 0 ? text : NULL, &memory.allocator, &format, &error);
    fuzz_require(status == PITH_OK ||
                 (status == PITH_ERROR_MEMORY && fuzz_allocation_failed(&memory)));
    fuzz_require(format == NULL || strcmp(format, "llama2") == 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    fuzz_input in = {data + 1, size - 1};
    const pith_tokenizer *t = open_all()[data[0] % N_TOKENIZERS].tokenizer;
    unsigned what = data[0] / N_TOKENIZERS % 5;
    size_t n_live = memory.n_live;
    pith_tokens ids;
    fuzz_allocator_arm(&memory, data, size);
    pith_tokens_init(&ids, &memory.allocator);
    if (what == 0) {
        chat(t, &in, &ids);
    } else if (what < 3) {
        infill(t, &in, what == 2, &ids);
    } else if (what == 3) {
        recognise(&in);
    } else {
        by_template(t, &in, &ids);
    }
    pith_tokens_release(&ids);
    fuzz_require(memory.n_live == n_live);
    return 0;
}
