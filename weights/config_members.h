/* The members of the section "config", for what writes and reads it. */
#ifndef PITH_WEIGHTS_CONFIG_MEMBERS_H
#define PITH_WEIGHTS_CONFIG_MEMBERS_H

#include "families/config.h"
#include "families/fields.h"

enum { PITH_CONFIG_WORD_NAMES = 6, PITH_CONFIG_OPTIONAL_WORDS = 3 };

typedef struct pith_config_table {
    const pith_field *fields; /* [n] */
    size_t n;
} pith_config_table;

/* An enumeration is a word in the file. */
typedef struct pith_config_word {
    const char *key;
    size_t offset;                             /* of an unsigned */
    const char *names[PITH_CONFIG_WORD_NAMES]; /* by value */
} pith_config_word;

/* Tables of kinds of layers and of dense layers name members of the first one. */
extern const struct pith_config_members {
    pith_config_table sizes, decoder_sizes, window, rms_norm, rope, yarn;
    pith_config_table attention_factor; /* of yarn, for longrope */
    pith_config_table beta, dims, decoder_flags, encoder;
    pith_config_table encoder_optional, optional; /* written where they differ from the recipe */
    pith_config_table dense;
    pith_config_word scaling, pooling, dense_activation;
    pith_config_word optional_words[PITH_CONFIG_OPTIONAL_WORDS];
} pith_config_members;

extern const char pith_config_short_key[], pith_config_long_key[];

/* The values of members that a document leaves out. */
pith_config pith_config_recipe(pith_role role);

/* Numbers in LongRoPE's lists: as many as the kind of layer that needs the most; 0: there are
 * none. */
size_t pith_config_n_factors(const pith_config *config);

#endif
