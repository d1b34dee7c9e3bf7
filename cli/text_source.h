/* What `pith tokenize` and `pith detokenize` read text with: a model, or a tokenizer alone from the
 * files that a checkpoint has. */
#ifndef PITH_CLI_TEXT_SOURCE_H
#define PITH_CLI_TEXT_SOURCE_H

#include "cli/model.h"
#include "convert/hf_tokenizer.h"
#include "tokenizer/tokenizer.h"

typedef struct pith_text_source {
    pith_model *model;       /* of a .pith file, else NULL */
    pith_hf_tokenizer files; /* else what was read */
    pith_tokenizer *tokenizer;
} pith_text_source;

/* Opens the .pith file at `path`; a directory, or a file named *.json, *.model or *.txt, is read as
 * a tokenizer: a directory with its configuration files, a file as it stands. Errors: those of
 * pith_cli_open_model and pith_hf_tokenizer_read. */
pith_status pith_text_source_open(pith_text_source *out, pith_cli *cli,
                                  const pith_common_settings *settings, const char *path,
                                  pith_error *error);
void pith_text_source_close(pith_text_source *source);

/* What --bos asks of pith_text_source_encode; see pith_cli_bos_flags. */
unsigned pith_text_source_flags(pith_cli *cli, const pith_text_source *source, size_t bos);

/* Encodes a text by flags of pith_tokenize; *ids is malloc'ed. Errors: as pith_tokenize. */
pith_status pith_text_source_encode(const pith_text_source *source, const char *text,
                                    size_t n_bytes, unsigned flags, int32_t **ids, size_t *n_ids,
                                    pith_error *error);

/* Decodes ids without the special ones; *text is malloc'ed. Errors: as pith_detokenize. */
pith_status pith_text_source_decode(const pith_text_source *source, const int32_t *ids,
                                    size_t n_ids, char **text, size_t *n_bytes, pith_error *error);

/* The spelling of a token as the vocabulary has it. Errors: TOKEN. */
pith_status pith_text_source_piece(const pith_text_source *source, int32_t id, pith_text *out,
                                   pith_error *error);

#endif
