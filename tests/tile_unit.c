/* The tile unit in software (tests/tile_unit.h). */
#include "tests/tile_unit.h"

#include <string.h>

enum { N_TILES = 8, MAX_ROWS = 16, MAX_BYTES = 64 };

typedef struct tile {
    size_t rows, row_bytes; /* 0: cannot be used */
    uint8_t data[MAX_ROWS][MAX_BYTES];
} tile;

static struct {
    bool configured;
    tile tiles[N_TILES];
    size_t n_products;
    const char *fault;
} unit;

const char *tile_unit_fault(void) {
    const char *fault = unit.fault;
    unit.fault = NULL;
    return fault;
}

bool tile_unit_configured(void) {
    return unit.configured;
}

size_t tile_unit_products(void) {
    return unit.n_products;
}

/* True when `ok`; else remembers the fault. */
static bool check(bool ok, const char *fault) {
    if (!ok && unit.fault == NULL) {
        unit.fault = fault;
    }
    return ok;
}

static bool usable(unsigned t) {
    return check(unit.configured, "no configuration was loaded") &&
           check(t < N_TILES, "there are eight tiles") &&
           check(unit.tiles[t].rows != 0, "a tile without rows");
}

void tile_unit_configure(const void *config) {
    uint8_t bytes[64];
    tile tiles[N_TILES];
    memcpy(bytes, config, sizeof bytes);
    memset(tiles, 0, sizeof tiles);
    bool ok = check(bytes[0] == 1, "the palette is not 1") &&
              check(bytes[1] == 0, "the start row is not 0");
    for (size_t i = 2; i < sizeof bytes; i++) {
        bool reserved = i < 16 || (i >= 32 && i < 48) || i >= 56;
        ok = check(!reserved || bytes[i] == 0, "a reserved byte of the configuration is not 0") &&
             ok;
    }
    for (size_t t = 0; t < N_TILES; t++) {
        tiles[t].row_bytes = bytes[16 + 2 * t] | (size_t)bytes[17 + 2 * t] << 8;
        tiles[t].rows = bytes[48 + t];
        ok = check(tiles[t].row_bytes <= MAX_BYTES && tiles[t].rows <= MAX_ROWS,
                   "a tile is larger than 16 rows of 64 bytes") &&
             check((tiles[t].row_bytes == 0) == (tiles[t].rows == 0), "half a tile is 0") && ok;
    }
    if (ok) {
        memcpy(unit.tiles, tiles, sizeof tiles);
        unit.configured = true;
    }
}

void tile_unit_release(void) {
    unit.configured = false;
    memset(unit.tiles, 0, sizeof unit.tiles);
}

void tile_unit_zero(unsigned t) {
    if (usable(t)) {
        memset(unit.tiles[t].data, 0, sizeof unit.tiles[t].data);
    }
}

/* Rows and columns past the tile's become zero. */
void tile_unit_load(unsigned t, const void *from, size_t stride) {
    if (usable(t)) {
        tile *to = &unit.tiles[t];
        memset(to->data, 0, sizeof to->data);
        for (size_t row = 0; row < to->rows; row++) {
            memcpy(to->data[row], (const uint8_t *)from + row * stride, to->row_bytes);
        }
    }
}

void tile_unit_store(unsigned t, void *to, size_t stride) {
    if (usable(t)) {
        const tile *from = &unit.tiles[t];
        for (size_t row = 0; row < from->rows; row++) {
            memcpy((uint8_t *)to + row * stride, from->data[row], from->row_bytes);
        }
    }
}

/* One row of sums, of `n_sums`, by a row of `n_fours` times four bytes. */
static void multiply_row(uint8_t *sums, size_t n_sums, const uint8_t *a, const tile *b,
                         size_t n_fours) {
    uint32_t sum[MAX_BYTES / 4];
    memcpy(sum, sums, sizeof sum);
    for (size_t k = 0; k < n_fours; k++) {
        for (size_t n = 0; n < n_sums; n++) {
            int32_t four = 0;
            for (size_t i = 0; i < 4; i++) {
                four += (int8_t)a[4 * k + i] * (int8_t)b->data[k][4 * n + i];
            }
            sum[n] += (uint32_t)four;
        }
    }
    memcpy(sums, sum, sizeof sum);
}

void tile_unit_multiply(unsigned sum, unsigned a, unsigned b) {
    if (!usable(sum) || !usable(a) || !usable(b) ||
        !check(sum != a && sum != b && a != b, "the tiles of a product are not three")) {
        return;
    }
    tile *c = &unit.tiles[sum];
    const tile *x = &unit.tiles[a];
    const tile *w = &unit.tiles[b];
    if (check(c->row_bytes % 4 == 0 && x->row_bytes % 4 == 0 && w->row_bytes % 4 == 0,
              "a row of a product is no multiple of four bytes") &&
        check(c->rows == x->rows && c->row_bytes == w->row_bytes && x->row_bytes / 4 == w->rows,
              "the sizes of a product's tiles do not fit")) {
        for (size_t row = 0; row < c->rows; row++) {
            multiply_row(c->data[row], c->row_bytes / 4, x->data[row], w, w->rows);
        }
        unit.n_products++;
    }
}
