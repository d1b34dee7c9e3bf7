/* Embed the lines of standard input and print the pairs closest in meaning: embed ENCODER.pith */
#include <pith.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 1000, PAIRS = 5 };

typedef struct pair {
    double score;
    size_t a, b;
} pair;

/* Keeps the best pairs, best first. */
static void offer(pair *best, pair candidate) {
    for (size_t i = 0; i < PAIRS; i++) {
        if (candidate.score > best[i].score) {
            pair lower = best[i];
            best[i] = candidate;
            candidate = lower;
        }
    }
}

static void print_pairs(const pith_embed_input *lines, size_t n, const float *vectors, size_t dim) {
    pair best[PAIRS];
    for (size_t i = 0; i < PAIRS; i++) {
        best[i] = (pair){.score = -2};
    }
    for (size_t a = 0; a < n; a++) {
        for (size_t b = a + 1; b < n; b++) {
            double score = pith_cosine_f32(vectors + a * dim, vectors + b * dim, dim);
            offer(best, (pair){.score = score, .a = a, .b = b});
        }
    }
    for (size_t i = 0; i < PAIRS && best[i].score > -2; i++) {
        printf("%.4f  %s | %s\n", best[i].score, lines[best[i].a].text.data,
               lines[best[i].b].text.data);
    }
}

int main(int argc, char **argv) {
    pith_error error = {.message = "usage: embed ENCODER.pith < LINES"};
    pith_model *model = NULL;
    pith_model_info info = {0};
    static pith_embed_input lines[MAX_LINES];
    size_t n = 0;
    float *vectors = NULL;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    bool good = argc == 2 && pith_model_open(&model, argv[1], NULL, &error) == PITH_OK;
    while (good && n < MAX_LINES && (length = getline(&line, &capacity, stdin)) > 0) {
        line[strcspn(line, "\n")] = 0;
        lines[n++] = (pith_embed_input){.text = pith_text_of(line)};
        line = NULL;
        capacity = 0;
    }
    if (good) {
        pith_model_get_info(model, &info);
        vectors = calloc(n + 1, info.n_embd * sizeof *vectors);
        good =
            vectors != NULL && pith_embed(model, lines, n, NULL, vectors, NULL, &error) == PITH_OK;
    }
    if (good) {
        print_pairs(lines, n, vectors, info.n_embd);
    } else {
        fprintf(stderr, "%s\n", error.message);
    }
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)lines[i].text.data);
    }
    free(line);
    free(vectors);
    pith_model_free(model);
    return good ? 0 : 1;
}
