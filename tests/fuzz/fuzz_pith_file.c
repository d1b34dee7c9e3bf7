/* Opening a model. Input: 4 bytes, little-endian length of the header's JSON, the JSON, then the
 * data; the harness makes a file of them, so that a mutation of the JSON keeps the length field and
 * the alignment right. What opens is used: every matrix's first and last row, every vector, every
 * piece. Everything must lie inside the buffer, which ends where the file ends. */
#include "base/checked.h"
#include "weights/pith_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE = 64, MAX_COLS = 4096 };

static void use_weights(pith_llama *llama) {
    static float row[MAX_COLS];
    volatile float sink = 0;
    for (unsigned part = 0; part < PITH_LLAMA_N_PARTS; part++) {
        pith_slot slot;
        for (size_t layer = 0;
             pith_llama_slot_of(&llama->config, (pith_llama_part)part, layer, &slot); layer++) {
            if (!slot.is_matrix) {
                const float *vector = *pith_llama_vector(llama, (pith_llama_part)part, layer);
                sink += vector[0] + vector[slot.rows - 1];
            } else if (slot.cols <= MAX_COLS) {
                const pith_matrix *matrix = pith_llama_matrix(llama, (pith_llama_part)part, layer);
                pith_matrix_row(matrix, 0, row);
                pith_matrix_row(matrix, slot.rows - 1, row);
                sink += row[slot.cols - 1];
            }
        }
    }
    (void)sink;
}

static void use_vocab(const pith_vocab *vocab) {
    volatile unsigned sink = 0;
    for (size_t i = 0; i < vocab->n_pieces; i++) {
        for (uint32_t at = vocab->offsets[i]; at < vocab->offsets[i + 1]; at++) {
            sink += (unsigned char)vocab->bytes[at];
        }
        sink += (unsigned)vocab->types[i] + vocab->added[i];
    }
    for (size_t i = 0; i < 3 * vocab->n_merges; i++) {
        if (vocab->merges[i] >= vocab->n_pieces) {
            abort();
        }
    }
    (void)sink;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint32_t given;
    if (size < sizeof given) {
        return 0;
    }
    memcpy(&given, data, sizeof given);
    data += sizeof given;
    size -= sizeof given;
    size_t n_json = pith_min_size(given, size);
    size_t data_offset = pith_round_up(8 + n_json, LINE);
    size_t file_size = data_offset + size - n_json;
    unsigned char *bytes = NULL;
    if (posix_memalign((void **)&bytes, LINE, file_size) != 0) {
        return 0;
    }
    memset(bytes, ' ', data_offset);
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)(data_offset - 8) >> (8 * i));
    }
    memcpy(bytes + 8, data, n_json);
    memcpy(bytes + data_offset, data + n_json, size - n_json);

    pith_model_file *file = NULL;
    pith_error error;
    if (pith_model_file_open_memory(&file, bytes, file_size, "fuzz", NULL, NULL, &error) ==
        PITH_OK) {
        use_weights(&file->llama);
        use_vocab(&file->vocab);
    }
    pith_model_file_close(file);
    free(bytes);
    return 0;
}
