/* How long finding out which tokens may come next takes, with the vocabulary of a model:
 *     mask_time MODEL.pith
 * prints the mean and the worst of each of some texts under their schemas, the best of 5 for each
 * token, and what making the first and a later grammar of a model takes. */
#include <pith.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_TOKENS = 512, ROUNDS = 5 };

static const struct {
    const char *name, *schema, *text;
} samples[] = {
    {"an object with properties",
     "{\"properties\": {\"name\": {\"type\": \"string\", \"maxLength\": 40}, \"age\": {\"type\": "
     "\"integer\", \"minimum\": 0, \"maximum\": 120}, \"tags\": {\"items\": {\"type\": "
     "\"string\"}}}, \"required\": [\"name\", \"age\"]}",
     "{\"name\": \"Johann M\xC3\xBCller the Younger\", \"age\": 42, \"tags\": [\"a tag\", \"one "
     "more\"]}"},
    {"any object", "{\"type\": \"object\"}",
     "{\"name\": \"Ann\", \"list\": [1, 2.5, {\"k\": null}], \"note\": \"two\\nlines\"}"},
    {"additional members",
     "{\"properties\": {\"name\": {}, \"note\": {}, \"number\": {}}, \"additionalProperties\": "
     "{\"type\": \"string\"}}",
     "{\"name\": 1, \"nam\": \"nested text\", \"other\": \"value\"}"},
    {"alternatives",
     "{\"items\": {\"anyOf\": [{\"type\": \"string\", \"maxLength\": 90}, {\"type\": \"string\", "
     "\"minLength\": 2}, {\"type\": \"number\"}]}}",
     "[\"some text that is a little longer\", 12.5, \"more\"]"},
    {"escapes", "{\"type\": \"array\"}", "[\"\\u00e9\\u65e5\\ud83d\\ude00\"]"},
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The best of some rounds. */
static double time_mask(pith_grammar_matcher *matcher, float *logits) {
    double best = 1e9;
    for (size_t i = 0; i < ROUNDS; i++) {
        double began = seconds();
        pith_grammar_matcher_mask(matcher, logits);
        double took = seconds() - began;
        best = took < best ? took : best;
    }
    return best;
}

/* Tokens of a text behind a newline, so that none has the space that a tokenizer puts in front of a
 * text; *first is the one behind the newline. */
static pith_status tokens_of(const pith_model *model, const char *text, int32_t *tokens,
                             size_t *first, size_t *n, pith_error *error) {
    char behind[1024];
    char line[8];
    size_t n_line = 0;
    snprintf(behind, sizeof behind, "\n%s", text);
    *first = 0;
    pith_status status =
        pith_tokenize(model, pith_text_of(behind), 0, tokens, MAX_TOKENS, n, error);
    while (status == PITH_OK && n_line == 0 && *first < *n) {
        (*first)++;
        status = pith_detokenize(model, tokens, *first, line, sizeof line, &n_line, error);
    }
    return status;
}

static pith_status time_sample(const pith_model *model, size_t i, float *logits,
                               pith_error *error) {
    pith_grammar *grammar = NULL;
    pith_grammar_matcher *matcher = NULL;
    int32_t tokens[MAX_TOKENS];
    size_t first = 0;
    size_t n = 0;
    double sum = 0;
    double worst = 0;
    double began = seconds();
    pith_status status = pith_grammar_new(&grammar, model, pith_text_of(samples[i].schema), error);
    double made = seconds() - began;
    if (status == PITH_OK) {
        status = pith_grammar_matcher_new(&matcher, grammar, error);
    }
    if (status == PITH_OK) {
        status = tokens_of(model, samples[i].text, tokens, &first, &n, error);
    }
    for (size_t k = first; status == PITH_OK && k < n; k++) {
        double took = time_mask(matcher, logits);
        sum += took;
        worst = took > worst ? took : worst;
        status = pith_grammar_matcher_accept(matcher, tokens[k], error);
    }
    if (status == PITH_OK) {
        printf("%-26s %3zu tokens, mask: mean %6.1f us, worst %6.1f us; grammar made in %.3f ms\n",
               samples[i].name, n - first, 1e6 * sum / (double)(n - first), 1e6 * worst,
               1e3 * made);
    }
    pith_grammar_matcher_free(matcher);
    pith_grammar_free(grammar);
    return status;
}

int main(int argc, char **argv) {
    pith_model *model = NULL;
    float *logits = NULL;
    pith_error error = {.message = "usage: mask_time MODEL.pith"};
    pith_model_info info;
    pith_status status = PITH_ERROR_ARGUMENT;
    if (argc == 2) {
        const pith_model_options options = {.n_threads = 1, .map = true};
        status = pith_model_open(&model, argv[1], &options, &error);
    }
    if (status == PITH_OK) {
        pith_model_get_info(model, &info);
        logits = calloc(info.n_vocab, sizeof *logits);
        printf("%zu tokens in the vocabulary\n", info.n_vocab);
    }
    for (size_t i = 0; status == PITH_OK && i < sizeof samples / sizeof samples[0]; i++) {
        status = logits != NULL ? time_sample(model, i, logits, &error) : PITH_ERROR_MEMORY;
    }
    if (status != PITH_OK) {
        fprintf(stderr, "mask_time: %s\n", error.message);
    }
    free(logits);
    pith_model_free(model);
    return status == PITH_OK ? 0 : 1;
}
