/* Suggestions: names that other programs use for the same thing, common beginnings, then the edit
 * distance (Levenshtein 1966). */
#include "cli/suggest.h"

#include <stdbool.h>
#include <string.h>

enum {
    MAX_NAME = 40,
    MIN_PREFIX = 3, /* shorter beginnings match too many names */
};

/* Options, commands and types as llama.cpp, ollama, transformers and the OpenAI API name them. */
static const struct {
    const char *typed, *name;
} synonyms[] = {
    {"max-tokens", "n-predict"},
    {"max-new-tokens", "n-predict"},
    {"num-predict", "n-predict"},
    {"tokens", "n-predict"},
    {"temperature", "temp"},
    {"ctx-size", "context"},
    {"num-ctx", "context"},
    {"ctx", "context"},
    {"max-length", "context"},
    {"batch-size", "batch"},
    {"ubatch-size", "batch"},
    {"num-threads", "threads"},
    {"n-threads", "threads"},
    {"jobs", "threads"},
    {"cache-type", "kv"},
    {"cache-type-k", "kv"},
    {"cache-type-v", "kv"},
    {"repetition-penalty", "repeat-penalty"},
    {"model-draft", "draft"},
    {"draft-max", "speculate"},
    {"random-seed", "seed"},
    {"reverse-prompt", "stop"},
    {"stop-strings", "stop"},
    {"system-prompt", "system"},
    {"input", "file"},
    {"quantize", "type"},
    {"quantization", "type"},
    {"quant", "type"},
    {"outtype", "type"},
    {"dtype", "type"},
    {"bits", "type"},
    {"imatrix", "importance"},
    {"output", "out"},
    {"outfile", "out"},
    {"top-n", "top-k"},
    {"q4_0", "int4"},
    {"q4_1", "int4"},
    {"q4_k", "int4"},
    {"q4_k_m", "int4"},
    {"q4_k_s", "int4"},
    {"q4", "int4"},
    {"4bit", "int4"},
    {"nf4", "int4"},
    {"q8_0", "int8"},
    {"q8", "int8"},
    {"8bit", "int8"},
    {"float32", "f32"},
    {"fp32", "f32"},
    {"float16", "f16"},
    {"fp16", "f16"},
    {"half", "f16"},
    {"bfloat16", "bf16"},
    {"generate", "run"},
    {"complete", "run"},
    {"quantise", "convert"},
    {"import", "convert"},
    {"show", "inspect"},
    {"info", "inspect"},
    {"perplexity", "eval"},
    {"encode", "tokenize"},
    {"decode", "detokenize"},
    {"embedding", "embed"},
    {"embeddings", "embed"},
    {"benchmark", "bench"},
    {"usage", "help"},
};

static const char *find(const char *name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (names[i] != NULL && strcmp(names[i], name) == 0) {
            return names[i];
        }
    }
    return NULL;
}

/* Lower case, and '-' for '_' when `dashes`, as --max_tokens is --max-tokens. */
static void fold(const char *typed, bool dashes, char *out /* [MAX_NAME + 1] */) {
    size_t i = 0;
    for (; typed[i] != '\0' && i < MAX_NAME; i++) {
        char c = typed[i] >= 'A' && typed[i] <= 'Z' ? (char)(typed[i] + ('a' - 'A')) : typed[i];
        out[i] = dashes && c == '_' ? '-' : c;
    }
    out[i] = '\0';
}

static const char *find_synonym(const char *typed, const char *const *names, size_t n) {
    for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++) {
        const char *known =
            strcmp(synonyms[i].typed, typed) == 0 ? find(synonyms[i].name, names, n) : NULL;
        if (known != NULL) {
            return known;
        }
    }
    return NULL;
}

/* The only name that begins with what was typed, or the longest that what was typed begins with. */
static const char *find_prefix(const char *typed, const char *const *names, size_t n) {
    size_t length = strlen(typed);
    const char *longer = NULL;
    const char *shorter = NULL;
    size_t n_longer = 0;
    for (size_t i = 0; i < n && length >= MIN_PREFIX; i++) {
        size_t m = names[i] != NULL ? strlen(names[i]) : 0;
        if (m > length && memcmp(names[i], typed, length) == 0) {
            longer = names[i];
            n_longer++;
        } else if (m >= MIN_PREFIX && m < length && memcmp(names[i], typed, m) == 0 &&
                   (shorter == NULL || m > strlen(shorter))) {
            shorter = names[i];
        }
    }
    return n_longer == 1 ? longer : shorter;
}

/* One more than the edits that turn a into b, each at most MAX_NAME bytes long; 0 when longer. */
static size_t edit_distance(const char *a, const char *b) {
    size_t n_a = strlen(a);
    size_t n_b = strlen(b);
    size_t row[MAX_NAME + 1];
    if (n_a > MAX_NAME || n_b > MAX_NAME) {
        return 0;
    }
    for (size_t j = 0; j <= n_b; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < gap ? change : gap;
        }
    }
    return row[n_b] + 1;
}

static const char *find_similar(const char *typed, const char *const *names, size_t n) {
    const char *best = NULL;
    size_t least = 2 + strlen(typed) / 3; /* more edits than that is another word */
    for (size_t i = 0; i < n; i++) {
        size_t distance = names[i] != NULL ? edit_distance(typed, names[i]) : 0;
        if (distance != 0 && distance <= least) {
            least = distance - 1;
            best = names[i];
        }
    }
    return best;
}

const char *pith_nearest(const char *typed, const char *const *names, size_t n) {
    static const char *(*const ways[])(const char *, const char *const *,
                                       size_t) = {find, find_synonym, find_prefix, find_similar};
    char folded[2][MAX_NAME + 1];
    fold(typed, false, folded[0]);
    fold(typed, true, folded[1]);
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        for (size_t f = 0; f < 2; f++) {
            const char *found = ways[way](folded[f], names, n);
            if (found != NULL) {
                return found;
            }
        }
    }
    return NULL;
}
