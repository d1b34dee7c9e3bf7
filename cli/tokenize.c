/* pith tokenize and pith detokenize: lines of text to token ids and back, one JSON object a line,
 * or with --pieces a table to read. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/text_source.h"

typedef struct tokenize_settings {
    const char *model, *text;
    bool json, pieces, special;
    size_t bos;
    unsigned flags; /* that --bos asks for, once the model is open */
    pith_common_settings common;
} tokenize_settings;

static const pith_operand tokenize_operands[] = {
    {.name = "MODEL",
     .help = "a .pith file, or a tokenizer.json, tokenizer.model, vocab.txt or checkpoint "
             "directory",
     .offset = offsetof(tokenize_settings, model)},
    {.name = "TEXT",
     .optional = true,
     .help = "the text; without it, texts come from standard input",
     .offset = offsetof(tokenize_settings, text)},
    {.name = NULL},
};

static const pith_operand detokenize_operands[] = {
    {.name = "MODEL",
     .help = "a .pith file, or a tokenizer.json, tokenizer.model, vocab.txt or checkpoint "
             "directory",
     .offset = offsetof(tokenize_settings, model)},
    {.name = NULL},
};

static const pith_option tokenize_options[] = {
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "read JSON Lines {\"text\": \"...\"} instead of plain lines",
     .offset = offsetof(tokenize_settings, json)},
    {.name = "pieces",
     .kind = PITH_OPTION_FLAG,
     .help = "show the tokens as the vocabulary spells them: a line 'id TAB piece' for each and an "
             "empty line after each text; with --json {\"ids\": [...], \"pieces\": [...]}",
     .offset = offsetof(tokenize_settings, pieces)},
    {.name = "bos",
     .kind = PITH_OPTION_CHOICE,
     .argument = "WHEN",
     .choices = pith_bos_choices,
     .initial = "off",
     .implied = "on",
     .help = "put the beginning-of-text token first, if the model has one; with --bos=auto what "
             "'pith run' puts around a prompt",
     .offset = offsetof(tokenize_settings, bos)},
    {.name = "special",
     .kind = PITH_OPTION_FLAG,
     .help = "read special tokens written in the text as such",
     .offset = offsetof(tokenize_settings, special)},
    {.name = NULL},
};

static const pith_option_group tokenize_groups[] = {
    {"Options", tokenize_options, 0},
    {"Model", pith_tokens_options, offsetof(tokenize_settings, common)},
    {NULL, NULL, 0},
};

static const pith_option_group detokenize_groups[] = {
    {"Model", pith_tokens_options, offsetof(tokenize_settings, common)},
    {NULL, NULL, 0},
};

static void print_ids(pith_cli *cli, const int32_t *ids, size_t n) {
    pith_cli_print(cli, "{\"ids\": [");
    for (size_t i = 0; i < n; i++) {
        pith_cli_print(cli, i == 0 ? "%d" : ", %d", ids[i]);
    }
    pith_cli_print(cli, "]}\n");
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* The vocabulary's spelling of a token as valid UTF-8, malloc'ed and NUL-terminated: bytes that are
 * no character, and with `controls` those of control characters, become "<0x0A>". */
static pith_status spell(const pith_text_source *source, int32_t id, bool controls, char **out,
                         size_t *n_out, pith_error *error) {
    enum { SPELLED = 6 }; /* bytes of "<0x0A>" */
    pith_text piece;
    pith_status status = pith_text_source_piece(source, id, &piece, error);
    if (status != PITH_OK) {
        return status;
    }
    const char *text = piece.data;
    size_t n = piece.n_bytes;
    char *spelled = malloc(n * SPELLED + 1);
    if (spelled == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the piece of token %d",
                         (int)id);
    }
    size_t length = 0;
    for (size_t i = 0; i < n;) {
        const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text + i;
        utf8proc_int32_t code = 0;
        utf8proc_ssize_t found = utf8proc_iterate(bytes, (utf8proc_ssize_t)(n - i), &code);
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        size_t step = found > 0 ? (size_t)found : 1;
        if (found > 0 && !(controls && control)) {
            memcpy(spelled + length, bytes, step);
            length += step;
        } else {
            for (size_t k = 0; k < step; k++) {
                snprintf(spelled + length, SPELLED + 1, "<0x%02X>", bytes[k]);
                length += SPELLED;
            }
        }
        i += step;
    }
    spelled[length] = 0;
    *out = spelled;
    *n_out = length;
    return PITH_OK;
}

static pith_status print_table(pith_cli *cli, const pith_text_source *source, const int32_t *ids,
                               size_t n, pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < n; i++) {
        char *piece = NULL;
        size_t n_bytes = 0;
        status = spell(source, ids[i], true, &piece, &n_bytes, error);
        if (status == PITH_OK) {
            pith_cli_print(cli, "%d\t%s\n", (int)ids[i], piece);
        }
        free(piece);
    }
    if (status == PITH_OK) {
        pith_cli_print(cli, "\n");
    }
    return status;
}

static pith_status print_json_pieces(pith_cli *cli, const pith_text_source *source,
                                     const int32_t *ids, size_t n, pith_error *error) {
    pith_json_writer json;
    pith_status status = PITH_OK;
    pith_json_write_begin(&json, NULL);
    json.style = PITH_JSON_SPACED;
    pith_json_open(&json, NULL, '{');
    pith_json_open(&json, "ids", '[');
    for (size_t i = 0; i < n; i++) {
        pith_json_put_integer(&json, NULL, ids[i]);
    }
    pith_json_close(&json, ']');
    pith_json_open(&json, "pieces", '[');
    for (size_t i = 0; status == PITH_OK && i < n; i++) {
        char *piece = NULL;
        size_t n_bytes = 0;
        status = spell(source, ids[i], false, &piece, &n_bytes, error);
        if (status == PITH_OK) {
            pith_json_put_bytes(&json, NULL, piece, n_bytes);
        }
        free(piece);
    }
    pith_json_close(&json, ']');
    pith_json_close(&json, '}');
    if (status != PITH_OK) {
        pith_bytes_release(&json.bytes);
        return status;
    }
    return pith_cli_print_document(cli, &json, error);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static pith_status tokenize_line(pith_cli *cli, const pith_text_source *source,
                                 const tokenize_settings *settings, char *line, size_t n_bytes,
                                 pith_error *error) {
    const char *text = line;
    pith_status status = PITH_OK;
    if (settings->json) {
        status = pith_line_text(line, n_bytes, &pith_malloc_allocator, &text, &n_bytes, error);
    }
    unsigned flags = settings->flags | (settings->special ? (unsigned)PITH_TOKENIZE_SPECIAL : 0U);
    int32_t *ids = NULL;
    size_t n_ids = 0;
    if (status == PITH_OK) {
        status = pith_text_source_encode(source, text, n_bytes, flags, &ids, &n_ids, error);
    }
    if (status == PITH_OK && settings->pieces) {
        status = settings->json ? print_json_pieces(cli, source, ids, n_ids, error)
                                : print_table(cli, source, ids, n_ids, error);
    } else if (status == PITH_OK) {
        print_ids(cli, ids, n_ids);
    }
    free(ids);
    return status;
}

static pith_status print_text(pith_cli *cli, const char *text, size_t n_bytes, pith_error *error) {
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    json.style = PITH_JSON_SPACED;
    pith_json_open(&json, NULL, '{');
    pith_json_put_bytes(&json, "text", text, n_bytes);
    pith_json_close(&json, '}');
    return pith_cli_print_document(cli, &json, error);
}

static pith_status detokenize_line(pith_cli *cli, const pith_text_source *source,
                                   const tokenize_settings *settings, char *line, size_t n_bytes,
                                   pith_error *error) {
    (void)settings;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    char *text = NULL;
    size_t n_text = 0;
    pith_status status = pith_line_ids(line, n_bytes, &pith_malloc_allocator, &ids, &n_ids, error);
    if (status == PITH_OK) {
        status = pith_text_source_decode(source, ids, n_ids, &text, &n_text, error);
    }
    if (status == PITH_OK) {
        status = print_text(cli, text != NULL ? text : "", n_text, error);
    }
    free(text);
    pith_release(&pith_malloc_allocator, ids);
    return status;
}

typedef pith_status (*line_fn)(pith_cli *cli, const pith_text_source *source,
                               const tokenize_settings *settings, char *line, size_t n_bytes,
                               pith_error *error);

/* `json`: the input is JSON Lines. */
static int run_lines(pith_cli *cli, const tokenize_settings *given, bool json, line_fn fn) {
    tokenize_settings opened = *given;
    const tokenize_settings *settings = &opened;
    pith_error error;
    pith_text_source source = {.model = NULL};
    pith_lines lines = {.data = NULL};
    char *line = NULL;
    size_t n_bytes = 0;
    bool end = false;
    bool warned = false;
    pith_status status =
        pith_text_source_open(&source, cli, &settings->common, settings->model, &error);
    if (status == PITH_OK) {
        opened.flags = pith_text_source_flags(cli, &source, settings->bos);
    }
    if (status == PITH_OK && settings->text != NULL) {
        status = fn(cli, &source, settings, (char *)settings->text, strlen(settings->text), &error);
    } else if (status == PITH_OK) {
        pith_cli_await(cli, json ? "JSON Lines" : "texts, one a line");
    }
    while (status == PITH_OK && settings->text == NULL && cli->output_error == 0) {
        if (pith_interrupted()) {
            status = pith_fail(&error, PITH_ERROR_STOPPED, "interrupted");
            break;
        }
        status = json ? pith_cli_read_json_line(&lines, &line, &n_bytes, &end, &error)
                      : pith_cli_read_line(&lines, &line, &n_bytes, &end, &error);
        if (status != PITH_OK || end) {
            break;
        }
        if (!json && !warned && n_bytes > 0 && line[n_bytes - 1] == '\r') {
            pith_cli_warn_crlf(cli, "standard input", "\r\n", 2);
            warned = true;
        }
        status = fn(cli, &source, settings, line, n_bytes, &error);
        if (status != PITH_OK) {
            pith_fail_in(&error, status, "standard input, line %zu", lines.number);
        }
    }
    pith_lines_release(&lines);
    pith_text_source_close(&source);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

static int run_tokenize(pith_cli *cli, const void *arguments) {
    const tokenize_settings *settings = arguments;
    if (settings->text != NULL && settings->json) {
        return pith_cli_usage(cli, "TEXT and --json exclude each other");
    }
    return run_lines(cli, settings, settings->json, tokenize_line);
}

static int run_detokenize(pith_cli *cli, const void *arguments) {
    return run_lines(cli, arguments, true, detokenize_line);
}

const pith_command pith_command_tokenize = {
    .name = "tokenize",
    .summary = "turn lines of text into token ids",
    .description = "Reads TEXT, or one text per line from standard input, and writes {\"ids\": "
                   "[...]} for each. The model file is mapped; its weights are not read. In "
                   "place of one, a checkpoint's directory is read with its configuration files, "
                   "a tokenizer file as it stands.\n\n"
                   "--pieces shows bytes that are no UTF-8 character as <0xE2>, and in the table "
                   "control characters too.",
    .example = "pith tokenize tale.pith 'Once upon a time' --bos\n"
               "echo 'Once upon a time' | pith tokenize tale.pith --pieces",
    .operands = tokenize_operands,
    .groups = tokenize_groups,
    .settings_size = sizeof(tokenize_settings),
    .run = run_tokenize,
};

const pith_command pith_command_detokenize = {
    .name = "detokenize",
    .summary = "turn token ids into text",
    .description = "Reads JSON Lines {\"ids\": [...]} from standard input and writes {\"text\": "
                   "\"...\"} for each. Special tokens give no text; bytes that are not valid UTF-8 "
                   "become U+FFFD.",
    .example = "echo '{\"ids\": [1, 403, 407]}' | pith detokenize tale.pith",
    .operands = detokenize_operands,
    .groups = detokenize_groups,
    .settings_size = sizeof(tokenize_settings),
    .run = run_detokenize,
};
