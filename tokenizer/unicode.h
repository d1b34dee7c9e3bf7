/* Unicode character classes that regular expressions and added tokens ask about. */
#ifndef PITH_TOKENIZER_UNICODE_H
#define PITH_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

/* Unicode White_Space. */
bool pith_unicode_is_space(uint32_t code);

/* \w of Unicode regular expressions (UTS #18): letters, marks, decimal digits, connector
 * punctuation, joiners. */
bool pith_unicode_is_word(uint32_t code);

#endif
