/* MXFP4: every number of E2M1 at every power, against the formula in double precision. */
#include "convert/hf_mxfp4.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

/* OCP Microscaling Formats 1.0, table 5: 0.5 m without an exponent, else 2^(e - 1) (1 + 0.5 m). */
static double number(unsigned nibble) {
    int exponent = (int)(nibble >> 1 & 3);
    double half = 0.5 * (nibble & 1);
    double size = exponent == 0 ? half : ldexp(1 + half, exponent - 1);
    return nibble & 8 ? -size : size;
}

TEST(convert_mxfp4, every_value_is_exact) {
    unsigned char nibbles[2 * 16];
    for (unsigned i = 0; i < 32; i++) { /* all in turn, in the low bits first */
        nibbles[i] = (unsigned char)(i % 8 * 2 | (i % 8 * 2 + 1) << 4);
    }
    for (unsigned scale = 0; scale < 255; scale++) {
        const unsigned char scales[2] = {(unsigned char)scale, 255};
        float out[65];
        out[64] = 77;
        pith_hf_mxfp4_widen(nibbles, scales, 64, out);
        for (unsigned i = 0; i < 32; i++) {
            double exact = ldexp(number(i % 16), (int)scale - 127);
            float expected = (float)exact;
            CHECK(memcmp(&out[i], &expected, sizeof expected) == 0, "%u at power %u is %a, not %a",
                  i % 16, scale, (double)out[i], exact);
            CHECK(isinf(expected) || (double)expected == exact, "%a is no float", exact);
            CHECK(isnan(out[32 + i]), "power 255 is %g", (double)out[32 + i]);
        }
        CHECK(out[64] == 77, "written behind the end");
    }
}
