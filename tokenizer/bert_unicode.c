/* The character classes of BERT's tokenization as Hugging Face's tokenizers see them. They ask two
 * libraries with tables of their own: one of Unicode 8 for general categories, one of Unicode 9 for
 * decomposition. A character that is newer belongs to no class there and stays in the text as part
 * of a word. utf8proc knows later versions of Unicode (https://www.unicode.org/Public/UCD), so the
 * tables here list what was added since. */
#include "tokenizer/internal.h"

#include "base/utf8.h"

#include <utf8proc.h>

typedef struct code_range {
    uint32_t first, last;
} code_range;

/* Nonspacing marks, punctuation and format characters that Unicode 8 did not have, or not as such
 * (up to Unicode 15). */
static const code_range newer[] = {
    {0x61D, 0x61D},     {0x7FD, 0x7FD},     {0x890, 0x891},     {0x898, 0x89F},
    {0x8CA, 0x8E2},     {0x9FD, 0x9FE},     {0xA76, 0xA76},     {0xAFA, 0xAFF},
    {0xB55, 0xB55},     {0xC04, 0xC04},     {0xC3C, 0xC3C},     {0xC77, 0xC77},
    {0xC84, 0xC84},     {0xD00, 0xD00},     {0xD3B, 0xD3C},     {0xD81, 0xD81},
    {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x180F, 0x180F},   {0x1885, 0x1886},
    {0x1ABF, 0x1ACE},   {0x1B7D, 0x1B7E},   {0x1DF6, 0x1DFB},   {0x2E43, 0x2E4F},
    {0x2E52, 0x2E5D},   {0xA82C, 0xA82C},   {0xA8C5, 0xA8C5},   {0xA8FF, 0xA8FF},
    {0xA9BD, 0xA9BD},   {0x10D24, 0x10D27}, {0x10EAB, 0x10EAD}, {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F55, 0x10F59}, {0x10F82, 0x10F89}, {0x11070, 0x11070},
    {0x11073, 0x11074}, {0x110C2, 0x110C2}, {0x110CD, 0x110CD}, {0x111CF, 0x111CF},
    {0x1123E, 0x1123E}, {0x11241, 0x11241}, {0x1133B, 0x1133B}, {0x11438, 0x1143F},
    {0x11442, 0x11444}, {0x11446, 0x11446}, {0x1144B, 0x1144F}, {0x1145A, 0x1145B},
    {0x1145D, 0x1145E}, {0x11660, 0x1166C}, {0x116B9, 0x116B9}, {0x1182F, 0x11837},
    {0x11839, 0x1183B}, {0x1193B, 0x1193C}, {0x1193E, 0x1193E}, {0x11943, 0x11946},
    {0x119D4, 0x119D7}, {0x119DA, 0x119DB}, {0x119E0, 0x119E0}, {0x119E2, 0x119E2},
    {0x11A01, 0x11A0A}, {0x11A33, 0x11A38}, {0x11A3B, 0x11A47}, {0x11A51, 0x11A56},
    {0x11A59, 0x11A5B}, {0x11A8A, 0x11A96}, {0x11A98, 0x11A9C}, {0x11A9E, 0x11AA2},
    {0x11B00, 0x11B09}, {0x11C30, 0x11C36}, {0x11C38, 0x11C3D}, {0x11C3F, 0x11C3F},
    {0x11C41, 0x11C45}, {0x11C70, 0x11C71}, {0x11C92, 0x11CA7}, {0x11CAA, 0x11CB0},
    {0x11CB2, 0x11CB3}, {0x11CB5, 0x11CB6}, {0x11D31, 0x11D36}, {0x11D3A, 0x11D3A},
    {0x11D3C, 0x11D3D}, {0x11D3F, 0x11D45}, {0x11D47, 0x11D47}, {0x11D90, 0x11D91},
    {0x11D95, 0x11D95}, {0x11D97, 0x11D97}, {0x11EF3, 0x11EF4}, {0x11EF7, 0x11EF8},
    {0x11F00, 0x11F01}, {0x11F36, 0x11F3A}, {0x11F40, 0x11F40}, {0x11F42, 0x11F4F},
    {0x11FFF, 0x11FFF}, {0x12FF1, 0x12FF2}, {0x13430, 0x13440}, {0x13447, 0x13455},
    {0x16E97, 0x16E9A}, {0x16F4F, 0x16F4F}, {0x16FE2, 0x16FE2}, {0x16FE4, 0x16FE4},
    {0x1CF00, 0x1CF2D}, {0x1CF30, 0x1CF46}, {0x1E000, 0x1E006}, {0x1E008, 0x1E018},
    {0x1E01B, 0x1E021}, {0x1E023, 0x1E024}, {0x1E026, 0x1E02A}, {0x1E08F, 0x1E08F},
    {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
    {0x1E944, 0x1E94A}, {0x1E95E, 0x1E95F},
};

/* Of those, the ones with a combining class that Unicode 9 had. */
static const code_range nine[] = {
    {0x8D4, 0x8E1},     {0x1DFB, 0x1DFB},   {0x11442, 0x11442}, {0x11446, 0x11446},
    {0x11C3F, 0x11C3F}, {0x1E000, 0x1E02A}, {0x1E944, 0x1E94A},
};

/* Spacing marks with a combining class that Unicode 9 did not have. */
static const code_range newer_spacing[] = {
    {0x1715, 0x1715},
    {0x1193D, 0x1193D},
    {0x11F41, 0x11F41},
    {0x16FF0, 0x16FF1},
};

/* The only character newer than Unicode 9 that decomposes. */
enum { NEWER_DECOMPOSES = 0x11938 };

/* Spaces are put around these: the blocks of CJK ideographs. The sixth begins at U+2B920 instead of
 * U+2B820, in Hugging Face's tokenizers, too. */
static const code_range ideographs[] = {
    {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
    {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
};

/* True when one of the ranges [n], in ascending order, holds the code point. */
static bool is_in(const code_range *ranges, size_t n, uint32_t code) {
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].last < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < n && ranges[low].first <= code;
}

static pith_bert_class class_of_category(utf8proc_category_t category) {
    switch (category) {
    case UTF8PROC_CATEGORY_MN:
        return PITH_BERT_MARK;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return PITH_BERT_PUNCTUATION;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
        return PITH_BERT_CONTROL;
    default:
        return PITH_BERT_OTHER;
    }
}

pith_bert_class pith_bert_class_of(uint32_t code) {
    switch (code) {
    case 0x166D:  /* CANADIAN SYLLABICS CHI SIGN, a symbol since Unicode 12 */
    case 0x111C9: /* SHARADA SANDHI MARK, a mark since Unicode 11 */
        return PITH_BERT_PUNCTUATION;
    case 0x1734: /* HANUNOO SIGN PAMUDPOD, a spacing mark since Unicode 14 */
        return PITH_BERT_MARK;
    default:
        break;
    }
    bool ascii_symbol =
        code < 0x80 && ((code >= '!' && code <= '/') || (code >= ':' && code <= '@') ||
                        (code >= '[' && code <= '`') || (code >= '{' && code <= '~'));
    if (ascii_symbol) {
        return PITH_BERT_PUNCTUATION;
    }
    pith_bert_class class = class_of_category(utf8proc_category((utf8proc_int32_t)code));
    return class != PITH_BERT_OTHER && is_in(newer, sizeof newer / sizeof *newer, code)
               ? PITH_BERT_OTHER
               : class;
}

unsigned pith_bert_combining_class(uint32_t code) {
    const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)code);
    unsigned class = (unsigned)property->combining_class & 0xFF;
    if (class == 0 || is_in(newer_spacing, sizeof newer_spacing / sizeof *newer_spacing, code) ||
        (is_in(newer, sizeof newer / sizeof *newer, code) &&
         !is_in(nine, sizeof nine / sizeof *nine, code))) {
        return 0;
    }
    return class;
}

size_t pith_bert_decompose(uint32_t code, int32_t *out) {
    int boundary = 0;
    utf8proc_ssize_t n = 0;
    if (code != NEWER_DECOMPOSES) {
        n = utf8proc_decompose_char((utf8proc_int32_t)code, out, PITH_MAX_DECOMPOSED,
                                    UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
    }
    if (n < 1 || n > PITH_MAX_DECOMPOSED) {
        out[0] = (int32_t)code;
        return 1;
    }
    return (size_t)n;
}

size_t pith_bert_lower(uint32_t code, int32_t *out) {
    if (code == 0x130) { /* the one character whose lower case is two, in any language */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = utf8proc_tolower((utf8proc_int32_t)code);
    return 1;
}

bool pith_bert_is_ideograph(uint32_t code) {
    return is_in(ideographs, sizeof ideographs / sizeof *ideographs, code);
}
