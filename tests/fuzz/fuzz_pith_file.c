/* Opening a model. Input: 4 bytes, little-endian length of the header's JSON, the JSON, then the
 * data; the harness makes a file of them, so that a mutation of the JSON keeps the length field and
 * the alignment right; with the highest bit of the length set all that follows is the file as it
 * is; with the next one zeros are put before the data, so that it ends where the header says, and
 * seeds are small. What opens is used: every matrix's first and last row, every vector, every
 * piece. Everything must lie inside the buffer, which ends where the file ends. A file that is
 * mapped or read must be judged like one in memory. */
#include "base/checked.h"
#include "tests/fuzz/input.h"
#include "tokenizer/chat_template.h"
#include "weights/pith_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 64, MAX_COLS = 4096 };

static void use_weights(pith_model_file *file) {
    static float row[MAX_COLS];
    volatile float sink = 0;
    pith_slot slot;
    pith_slot_place place;
    for (unsigned part = 0; part < pith_family_n_parts(file->family); part++) {
        for (size_t layer = pith_family_first_layer(file->family, part);
             pith_model_file_slot(file, part, layer, &slot, &place); layer++) {
            if (!slot.is_matrix) {
                sink += (*place.vector)[0] + (*place.vector)[slot.rows - 1];
            } else if (slot.cols <= MAX_COLS) {
                pith_matrix_row(place.matrix, 0, row);
                pith_matrix_row(place.matrix, slot.rows - 1, row);
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

/* The file in memory, released with free. */
typedef struct image {
    unsigned char *bytes; /* [size] */
    size_t size;
} image;

static image make_image(const uint8_t *data, size_t size) {
    uint32_t given;
    memcpy(&given, data, sizeof given);
    data += sizeof given;
    size -= sizeof given;
    bool raw = given >> 31 != 0;
    bool fill = !raw && (given >> 30 & 1) != 0;
    size_t n_json = raw ? 0 : pith_min_size(fill ? given ^ 1U << 30 : given, size);
    size_t data_offset = raw ? 0 : pith_round_up(8 + n_json, LINE);
    size_t n_data = size - n_json;
    size_t end = fill ? fuzz_data_size((const char *)data, n_json) : 0;
    size_t n_zeros = end > n_data ? end - n_data : 0;
    image im = {.size = data_offset + n_zeros + n_data};
    fuzz_require(posix_memalign((void **)&im.bytes, LINE, im.size > 0 ? im.size : 1) == 0);
    memset(im.bytes, ' ', data_offset);
    memset(im.bytes + data_offset, 0, n_zeros);
    for (size_t i = 0; i < 8 && !raw; i++) {
        im.bytes[i] = (unsigned char)((uint64_t)(data_offset - 8) >> (8 * i));
    }
    if (!raw) {
        memcpy(im.bytes + 8, data, n_json);
    }
    memcpy(im.bytes + data_offset + n_zeros, data + n_json, n_data);
    return im;
}

static pith_status close_used(pith_status status, pith_model_file *file, const pith_error *error) {
    if (status == PITH_OK) {
        use_weights(file);
        use_vocab(&file->vocab);
        const char *format = file->metadata.chat_format;
        const char *built_in = format != NULL ? pith_chat_builtin(format) : NULL;
        fuzz_require(built_in == NULL || strstr(pith_chat_builtin_names, format) != NULL);
    } else {
        fuzz_require(file == NULL && error->status == status && error->message[0] != '\0');
    }
    pith_model_file_close(file);
    return status;
}

static bool stop(void *user, size_t done, size_t total) {
    (void)user;
    fuzz_require(done <= total);
    return false;
}

/* Makes the file shorter after it has been opened and before it is read: pith logs the unknown
 * tensors of the header in between. */
static void cut(void *user, pith_log_level level, const char *message) {
    const fuzz_file *file = user;
    (void)level;
    (void)message;
    fuzz_require(ftruncate(file->fd, 64) == 0);
}

/* The same bytes as a file. `expected` is what became of them in memory. */
static void open_file(const image *im, pith_status expected, test_allocator *memory) {
    const pith_load_watch watch = {stop, NULL};
    fuzz_file on_disk;
    pith_model_file *file = NULL;
    pith_error error = {0};
    fuzz_file_open(&on_disk);
    fuzz_file_write(&on_disk, im->bytes, im->size);
    for (int map = 0; map < 2; map++) {
        file = NULL;
        pith_status status = pith_model_file_open(&file, on_disk.path, map != 0, NULL, NULL,
                                                  &memory->allocator, &error);
        status = close_used(status, file, &error);
        fuzz_require(status == expected || memory->fail_at != 0);
    }
    file = NULL;
    pith_status status = pith_model_file_open_watched(&file, on_disk.path, false, NULL, &watch,
                                                      NULL, NULL, &memory->allocator, &error);
    fuzz_require(close_used(status, file, &error) != PITH_OK);
    const pith_log log = {cut, &on_disk};
    file = NULL;
    status =
        pith_model_file_open(&file, on_disk.path, false, NULL, &log, &memory->allocator, &error);
    (void)close_used(status, file, &error);
    fuzz_file_close(&on_disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < sizeof(uint32_t)) {
        return 0;
    }
    image im = make_image(data, size);
    test_allocator memory;
    pith_model_file *file = NULL;
    pith_error error = {0};
    fuzz_allocator_init(&memory, data, size);
    pith_status status = pith_model_file_open_memory(&file, im.bytes, im.size, "fuzz", NULL,
                                                     &memory.allocator, &error);
    status = close_used(status, file, &error);
    if (im.size > 1) { /* weights would not be aligned */
        file = NULL;
        fuzz_require(pith_model_file_open_memory(&file, im.bytes + 1, im.size - 1, "fuzz", NULL,
                                                 NULL, &error) != PITH_OK);
    }
    if (fuzz_hash(data, size) >> 40 & 1) { /* half of them: it takes longer */
        fuzz_allocator_arm(&memory, data, size);
        open_file(&im, status, &memory);
    }
    fuzz_require(memory.n_live == 0);
    free(im.bytes);
    return 0;
}
