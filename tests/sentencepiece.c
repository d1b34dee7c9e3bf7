#include "tests/sentencepiece.h"

#include <string.h>

void test_spm_varint(test_spm *w, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        w->data[w->size++] = (unsigned char)(value | 0x80);
    }
    w->data[w->size++] = (unsigned char)value;
}

void test_spm_number(test_spm *w, unsigned field, uint64_t value) {
    test_spm_varint(w, field << 3);
    test_spm_varint(w, value);
}

void test_spm_bytes(test_spm *w, unsigned field, const void *data, size_t n) {
    test_spm_varint(w, field << 3 | 2);
    test_spm_varint(w, n);
    memcpy(w->data + w->size, data, n);
    w->size += n;
}

void test_spm_message(test_spm *w, unsigned field, const test_spm *message) {
    test_spm_bytes(w, field, message->data, message->size);
}

void test_spm_piece(test_spm *w, const char *text, float score, unsigned type) {
    test_spm piece = {.size = 0};
    test_spm_bytes(&piece, 1, text, strlen(text));
    test_spm_varint(&piece, 2 << 3 | 5);
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    for (unsigned i = 0; i < 4; i++) {
        piece.data[piece.size++] = (unsigned char)(bits >> 8 * i);
    }
    test_spm_number(&piece, 3, type);
    test_spm_message(w, 1, &piece);
}
