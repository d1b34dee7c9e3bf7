/* The line editor of `pith chat`. libedit restores the terminal on every signal by itself and then
 * passes the signal on; what is left here is to notice an interrupt between two characters. The
 * editor draws on standard error, so that standard output holds answers only. */
#include "cli/chat_input.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/cli.h"

enum { HISTORY_LINES = 500 };

struct pith_chat_input {
    EditLine *editor; /* NULL: plain lines */
    History *history;
    bool interrupted; /* an interrupt ended the line */
    bool had_text;    /* that line was not empty */
    pith_lines lines; /* plain lines */
};

static char *prompt(EditLine *editor) {
    static char text[] = "> ";
    (void)editor;
    return text;
}

/* Waits for a key; false when an interrupt came first. */
static bool wait_for_key(EditLine *editor) {
    pith_wait wait;
    while ((wait = pith_interrupt_wait(STDIN_FILENO)) == PITH_WAIT_SIGNAL) {
        el_set(editor, EL_REFRESH); /* stopped and continued, or the window changed */
    }
    return wait == PITH_WAIT_READABLE;
}

/* Reads one UTF-8 character for libedit: 1, 0 at the end, -1 on an error or an interrupt. */
static int read_character(EditLine *editor, wchar_t *out) {
    pith_chat_input *input = NULL;
    mbstate_t state;
    memset(&state, 0, sizeof state);
    el_get(editor, EL_CLIENTDATA, &input);
    for (;;) {
        char byte;
        if (!wait_for_key(editor)) {
            const LineInfo *line = el_line(editor);
            input->interrupted = true;
            input->had_text = line->lastchar > line->buffer;
            return -1;
        }
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n <= 0) {
            return (int)n;
        }
        size_t used = mbrtowc(out, &byte, 1, &state);
        if (used == (size_t)-1) {
            *out = L'?';
        }
        if (used != (size_t)-2) {
            return 1;
        }
    }
}

/* libedit 3.1 checks few of its allocations and goes on without a block. Allocates more than
 * libedit does at its start, so that a lack of memory is noticed here. */
static bool has_memory(void) {
    enum { EDITOR_MEMORY = 1 << 20 };
    void *block = malloc(EDITOR_MEMORY);
    free(block);
    return block != NULL;
}

static bool start_editor(pith_chat_input *input) {
    HistEvent event;
    errno = 0;
    /* libedit decodes what it shows; pith's text is UTF-8 */
    if (!has_memory() || (setlocale(LC_CTYPE, "C.UTF-8") == NULL && errno == ENOMEM)) {
        return false;
    }
    input->history = history_init();
    input->editor = el_init("pith", stdin, stderr, stderr);
    if (input->history == NULL || input->editor == NULL) {
        return false;
    }
    history(input->history, &event, H_SETSIZE, HISTORY_LINES);
    el_set(input->editor, EL_CLIENTDATA, input);
    el_set(input->editor, EL_PROMPT, prompt);
    el_set(input->editor, EL_EDITOR, "emacs");
    el_set(input->editor, EL_SIGNAL, 1);
    el_set(input->editor, EL_HIST, history, input->history);
    el_set(input->editor, EL_GETCFN, read_character);
    return true;
}

pith_status pith_chat_input_new(pith_chat_input **out, pith_error *error) {
    pith_chat_input *input = calloc(1, sizeof *input);
    bool terminal = isatty(STDIN_FILENO) != 0;
    if (input == NULL || (terminal && !start_editor(input))) {
        pith_chat_input_free(input);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the line editor");
    }
    *out = input;
    return PITH_OK;
}

void pith_chat_input_free(pith_chat_input *input) {
    if (input == NULL) {
        return;
    }
    if (input->editor != NULL) {
        el_end(input->editor);
    }
    if (input->history != NULL) {
        history_end(input->history);
    }
    pith_lines_release(&input->lines);
    free(input);
}

bool pith_chat_input_is_terminal(const pith_chat_input *input) {
    return input->editor != NULL;
}

static pith_status read_edited(pith_chat_input *input, const char **line, size_t *n_bytes,
                               bool *end, pith_error *error) {
    for (;;) {
        int n = 0;
        HistEvent event;
        pith_interrupt_catch(false);
        input->interrupted = false;
        const char *text = el_gets(input->editor, &n);
        if (input->interrupted) {
            fputc('\n', stderr);
            if (input->had_text) {
                continue;
            }
            return pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
        }
        *end = text == NULL || n <= 0;
        if (*end) {
            fputc('\n', stderr);
            return PITH_OK;
        }
        history(input->history, &event, H_ENTER, text);
        *line = text;
        *n_bytes = strcspn(text, "\n");
        return PITH_OK;
    }
}

pith_status pith_chat_input_read(pith_chat_input *input, const char **line, size_t *n_bytes,
                                 bool *end, pith_error *error) {
    if (input->editor != NULL) {
        return read_edited(input, line, n_bytes, end, error);
    }
    char *text = NULL;
    pith_status status = pith_cli_read_line(&input->lines, &text, n_bytes, end, error);
    *line = text;
    return status;
}
