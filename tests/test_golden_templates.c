/* Small chat templates against Jinja2: golden/make_templates.py has what they are about. */
#include "base/memory.h"
#include "tests/support.h"
#include "tests/test.h"
#include "tokenizer/jinja.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Renders one line of the file and compares. */
static void check_line(char *line, size_t n, size_t number) {
    static const pith_template_time now = {2026, 3, 4, 5, 6, 7, 0};
    pith_error error = {.status = PITH_OK};
    pith_json root;
    pith_template *t = NULL;
    pith_template_output out;
    pith_status status = pith_json_read(&root, line, n, PITH_JSON_PYTHON, "small.jsonl",
                                        &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "line %zu: %s", number, error.message);
    pith_json source = pith_json_get(root, "template");
    pith_json wanted = pith_json_get(root, "output");
    const pith_template_input input = {.conversation = pith_json_get(root, "conversation"),
                                       .now = &now};
    status = pith_template_compile(&t, pith_json_text(source), pith_json_text_size(source), NULL,
                                   NULL, &error);
    if (status == PITH_OK) {
        status = pith_template_render(t, &input, &out, &error);
    }
    CHECK((status == PITH_OK) == pith_json_is(wanted, PITH_JSON_STRING), "line %zu: %s: %s", number,
          pith_json_text(source), status == PITH_OK ? "renders" : error.message);
    if (status == PITH_OK) {
        const char *text = out.text.data != NULL ? out.text.data : "";
        CHECK(out.text.size == pith_json_text_size(wanted) &&
                  memcmp(text, pith_json_text(wanted), out.text.size) == 0,
              "line %zu: %s: \"%s\", expected \"%s\"", number, pith_json_text(source), text,
              pith_json_text(wanted));
        pith_template_output_release(&out);
    }
    pith_template_free(t);
}

TEST(golden, templates) {
    FILE *file = fopen(test_root("golden/templates/small.jsonl"), "r");
    CHECK(file != NULL, "golden/templates/small.jsonl");
    char *line = NULL;
    size_t capacity = 0;
    size_t number = 0;
    for (ssize_t n; (n = getline(&line, &capacity, file)) > 0;) {
        check_line(line, (size_t)n, ++number);
    }
    free(line);
    fclose(file);
    CHECK(number > 200, "%zu lines", number);
    CHECK_NO_LEAKS();
}
