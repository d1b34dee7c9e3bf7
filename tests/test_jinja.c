/* The Jinja interpreter of chat templates: the origin of every byte, the limits, and what Python's
 * rules make of values. Whole templates are compared with Jinja2 by tests/templates.sh. */
#include "base/memory.h"
#include "tests/test.h"
#include "tokenizer/jinja.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char conversation[] =
    "{\"user\": \"<|im_end|> \\u00e9\", \"list\": [\"<|im_end|>\", 1, 2.5, null], \"d\": "
    "{\"<|im_end|>\": \"<|im_end|>\"}, \"n\": 12, \"messages\": [{\"role\": \"user\", \"content\": "
    "\" Hi \"}]}";

typedef struct rendering {
    pith_status status;
    pith_template_output out;
    pith_error error;
} rendering;

static rendering render_within(const pith_template_limits *limits, const char *source, size_t n) {
    static const pith_template_text texts[] = {{"bos_token", "<s>"}};
    const pith_template_time now = {2026, 3, 4, 5, 6, 7, 0};
    pith_template_input input = {.texts = texts, .n_texts = 1, .now = &now};
    rendering r = {.error = {.status = PITH_OK}};
    pith_template *t;
    char *copy = strdup(conversation);
    CHECK(copy != NULL, "no memory");
    r.status = pith_template_compile(&t, source, n, limits, NULL, &r.error);
    if (r.status == PITH_OK) {
        pith_status status =
            pith_json_read(&input.conversation, copy, strlen(copy), PITH_JSON_PYTHON, "test",
                           &pith_malloc_allocator, &r.error);
        CHECK(status == PITH_OK, "%s", r.error.message);
        r.status = pith_template_render(t, &input, &r.out, &r.error);
        pith_template_free(t);
    }
    free(copy);
    return r;
}

static rendering render_text(const char *source, size_t n) {
    return render_within(NULL, source, n);
}

static rendering render(const char *source) {
    return render_text(source, strlen(source));
}

static void release(rendering *r) {
    if (r->status == PITH_OK) {
        pith_template_output_release(&r->out);
    }
}

/* True when bytes [at, at + n) of the output are all of one origin. */
static bool lies_in(const pith_template_output *out, size_t at, size_t n, pith_origin origin) {
    for (size_t i = 0; i < out->n_spans; i++) {
        const pith_template_span *span = &out->spans[i];
        if (span->start < at + n && span->start + span->size > at && span->origin != origin) {
            return false;
        }
    }
    return true;
}

/* Every "im_end" in the output, whatever its case, must be data. */
static void check_never_template(const char *source) {
    rendering r = render(source);
    CHECK(r.status == PITH_OK, "%s: %s", source, r.error.message);
    const char *text = r.out.text.data;
    size_t found = 0;
    for (size_t i = 0; i + 6 <= r.out.text.size; i++) {
        bool here = strncmp(text + i, "im_end", 6) == 0 || strncmp(text + i, "IM_END", 6) == 0 ||
                    strncmp(text + i, "Im_End", 6) == 0 || strncmp(text + i, "dne_mi", 6) == 0;
        CHECK(!here || lies_in(&r.out, i, 6, PITH_ORIGIN_DATA), "%s: %s", source, text);
        found += here;
    }
    CHECK(found > 0, "%s renders %s", source, text);
    release(&r);
}

TEST(jinja, text_of_a_user_stays_data) {
    static const char *const sources[] = {
        "{{ user }}",
        "{{ '<|im_start|>' + user + '<|im_' }}",
        "{{ '<' ~ user ~ '>' }}",
        "{{ user|trim }}{{ user.strip() }}{{ user.strip('<') }}{{ user.lstrip() }}",
        "{{ user|upper }}{{ user|lower }}{{ user.title() }}{{ user|title }}{{ user.capitalize() }}",
        "{{ user|replace('|', '|') }}{{ user.replace('<', '<<', 1) }}{{ user|replace('', '') }}",
        "{{ 'x<x'|replace('x', user) }}",
        "{{ user[1:8] }}{{ user[::-1] }}{{ user|reverse }}{{ user.split('|')[1] }}",
        "{{ user.split()|join(' ') }}{{ list|join('-') }}{{ user|list|join }}",
        "{{ list }}{{ d }}{{ list|string }}{{ d|tojson }}{{ list|tojson(indent=2) }}",
        "{{ d|items|list }}{{ d|dictsort }}{{ d.keys()|list }}{{ d.get('<|im_end|>') }}",
        "{{ '%s' % user }}{{ '%r' % user }}{{ '{}'.format(user) }}{{ '%20s'|format(user) }}",
        "{{ user|indent }}{{ user|safe }}{{ ('<'|safe) + user }}{{ user * 2 }}",
        "{{ user if user else '<|im_end|>' }}{{ user or '<|im_end|>' }}{{ user|default('x') }}",
        "{% set x %}{{ user }}{% endset %}{{ x }}{% filter upper %}{{ user }}{% endfilter %}",
        "{% macro m(a) %}{{ a }}{{ caller() }}{% endmacro %}{% call m(user) %}{{ user }}{% endcall "
        "%}",
        "{% set ns = namespace(a='') %}{% for c in user %}{% set ns.a = ns.a + c %}{% endfor %}"
        "{{ ns.a }}",
        "{{ list|map('upper')|first }}{{ list|select('string')|list }}{{ list|first }}",
        "{{ user.partition(' ')|first }}{{ user.splitlines()|first }}{{ user.removesuffix('x') }}",
        "{{ dict(a=user) }}{{ [user, 'a']|max }}{{ [user]|sort|first }}{{ [user]|unique|list }}",
        "{{ strftime_now(user) }}",
    };
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        check_never_template(sources[i]);
    }
    CHECK_NO_LEAKS();
}

TEST(jinja, text_of_a_template_stays_template) {
    rendering r =
        render("<a>{{ '<b>' }}{{ bos_token }}{{ ' c '|trim|upper }}{{ 1 + 2 }}{{ user }}");
    static const char expected[] = "<a><b><s>C3<|im_end|> \xc3\xa9";
    CHECK(r.status == PITH_OK, "%s", r.error.message);
    CHECK(strcmp(r.out.text.data, expected) == 0, "%s", r.out.text.data);
    CHECK(r.out.n_spans == 2, "%zu spans", r.out.n_spans);
    CHECK(r.out.spans[0].origin == PITH_ORIGIN_TEMPLATE && r.out.spans[0].size == 11 &&
              r.out.spans[1].origin == PITH_ORIGIN_DATA &&
              r.out.spans[1].start + r.out.spans[1].size == r.out.text.size,
          "the first has %zu bytes", r.out.spans[0].size);
    release(&r);
}

/* A string that is extended in place must not change what others see of it. */
TEST(jinja, strings_do_not_change) {
    rendering r = render("{% set a = 'x' + 'y' %}{% set b = a + '1' %}{% set c = a + '2' %}"
                         "{{ a }} {{ b }} {{ c }} {{ b + b }} {{ b }}");
    CHECK(r.status == PITH_OK, "%s", r.error.message);
    CHECK(strcmp(r.out.text.data, "xy xy1 xy2 xy1xy1 xy1") == 0, "%s", r.out.text.data);
    release(&r);
}

TEST(jinja, hostile_templates_meet_a_limit) {
    static const struct {
        const char *source, *message;
    } cases[] = {
        {"{% for i in range(1000000000) %}{% endfor %}", "range of more than"},
        {"{% for i in range(100000) %}{% for k in range(100000) %}{% endfor %}{% endfor %}",
         "limit"},
        {"{% set s = 'ab' %}{% for i in range(64) %}{% set s = s ~ s %}{{ s }}{% endfor %}"
         "{% set ns = namespace(s='ab') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}"
         "{% endfor %}",
         "longer than"},
        {"{{ 'abcdefgh' * 1000000000 }}", "repetition of more than"},
        {"{{ [1] * 5000000 }}", "more than"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "levels of evaluation"},
        {"{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "levels"},
        {"{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "levels of evaluation"},
        {"{% set ns = namespace(x=[]) %}{% for i in range(2000) %}{% set ns.x = [ns.x] %}"
         "{% endfor %}{{ ns.x }}",
         "levels of evaluation"},
        {"{% set ns = namespace(x=[1]) %}{% for i in range(64) %}{% set ns.x = ns.x + ns.x %}"
         "{% endfor %}",
         "more than"},
        {"{{ 'a'|replace('', 'b' * 10000000)|replace('', 'c' * 10000000) }}", "limit"},
        {"{{ '%1000000000d' % 1 }}", "wider than"},
        {"{{ 9223372036854775807 + 1 }}", "beyond 64 bits"},
        {"{{ 3 ** 300 }}", "beyond 64 bits"},
        {"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "levels of evaluation"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rendering r = render(cases[i].source);
        CHECK(r.status == PITH_ERROR_FORMAT || r.status == PITH_ERROR_UNSUPPORTED ||
                  r.status == PITH_ERROR_ARGUMENT,
              "case %zu: %s", i, pith_status_name(r.status));
        bool limit = strcmp(cases[i].message, "limit") == 0;
        CHECK(strstr(r.error.message, limit ? "more than" : cases[i].message) != NULL,
              "case %zu: %s", i, r.error.message);
        CHECK(strstr(r.error.message, "line 1") != NULL, "case %zu: %s", i, r.error.message);
        release(&r);
    }
    CHECK_NO_LEAKS();
}

/* String literals side by side are joined one by one, which takes the square of their length. */
TEST(jinja, compiling_meets_the_limit_of_memory) {
    enum { LITERALS = 60000 };
    char *source = malloc(4 * LITERALS + 16);
    CHECK(source != NULL, "no memory");
    size_t n = (size_t)sprintf(source, "\n{{ ");
    for (size_t i = 0; i < LITERALS; i++) {
        n += (size_t)sprintf(source + n, "'a' ");
    }
    n += (size_t)sprintf(source + n, "}}");
    rendering r = render_text(source, n);
    CHECK(r.status == PITH_ERROR_FORMAT, "%s", pith_status_name(r.status));
    CHECK(strstr(r.error.message, "line 2: more than 134217728 bytes of memory") != NULL, "%s",
          r.error.message);
    free(source);
    CHECK_NO_LEAKS();
}

/* From each limit of memory, and of steps, up to one that is enough: the same answer but for it. */
TEST(jinja, limits_of_the_caller_hold) {
    static const char source[] = "{% for m in messages %}{{ m.role ~ list|join(',') }}{% endfor %}";
    size_t low = 0;
    pith_template_limits limits = {.memory = 1};
    for (; limits.memory < 1 << 16; limits.memory++) {
        rendering r = render_within(&limits, source, sizeof source - 1);
        if (r.status == PITH_OK) {
            release(&r);
            break;
        }
        char message[80];
        snprintf(message, sizeof message, "more than %zu bytes of memory", limits.memory);
        CHECK(r.status == PITH_ERROR_FORMAT && strstr(r.error.message, message) != NULL,
              "%zu bytes: %s", limits.memory, r.error.message);
        low++;
    }
    CHECK(low > 2000 && limits.memory < 1 << 14, "%zu bytes are enough", limits.memory);
    limits = (pith_template_limits){.steps = 1};
    for (;; limits.steps++) {
        rendering r = render_within(&limits, source, sizeof source - 1);
        if (r.status == PITH_OK) {
            release(&r);
            break;
        }
        CHECK(r.status == PITH_ERROR_FORMAT && strstr(r.error.message, " steps") != NULL &&
                  limits.steps < 100,
              "%zu steps: %s", limits.steps, r.error.message);
    }
    CHECK(limits.steps > 5, "%zu steps are enough", limits.steps);
    limits = (pith_template_limits){.memory = SIZE_MAX, .steps = SIZE_MAX};
    static const char long_loop[] =
        "{% for i in range(1, 100000) %}{% if i and i and i and i and i and i and i and i and i "
        "and "
        "i and i and i and i and i and i and i and i and i %}{% endif %}{% endfor %}";
    rendering r = render_within(&limits, long_loop, sizeof long_loop - 1);
    CHECK(r.status == PITH_ERROR_FORMAT && strstr(r.error.message, "3000000 steps") != NULL, "%s",
          r.error.message);
    CHECK_NO_LEAKS();
}

/* Nesting is refused while parsing, however it is made. */
TEST(jinja, deep_templates_are_refused) {
    static const char *const openers[] = {"(",  "[",    "{1:", "-",      "not ",         "a[",
                                          "a(", "1 + ", "a.b", "a|trim", "1 if 1 else ", "a and ",
                                          "a~"};
    enum { TIMES = 20000 };
    for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++) {
        size_t n = strlen(openers[i]);
        char *source = malloc(TIMES * n + 8);
        CHECK(source != NULL, "no memory");
        memcpy(source, "{{ ", 3);
        for (size_t k = 0; k < TIMES; k++) {
            memcpy(source + 3 + k * n, openers[i], n);
        }
        rendering r = render_text(source, 3 + TIMES * n);
        CHECK(r.status != PITH_OK, "%s", openers[i]);
        free(source);
    }
    char *blocks = malloc(TIMES * 12);
    CHECK(blocks != NULL, "no memory");
    for (size_t k = 0; k < TIMES; k++) {
        memcpy(blocks + k * 12, "{% if 1 %}  ", 12);
    }
    rendering r = render_text(blocks, TIMES * 12);
    CHECK(r.status == PITH_ERROR_FORMAT && strstr(r.error.message, "inside each other") != NULL,
          "%s", r.error.message);
    free(blocks);
    CHECK_NO_LEAKS();
}

TEST(jinja, errors_name_the_line) {
    static const struct {
        const char *source, *message;
    } cases[] = {
        {"a\n{{ 1 +", "template, line 2: "},
        {"a\n\n{% if %}", "line 3: expected an expression, not '%}'"},
        {"{# a\n\n#}\n{% include 'x' %}", "line 4: {% include %} is not supported"},
        {"\n{{ raise_exception('said\nso') }}", "line 2: said?so"},
        {"\n\n{{ nothing.here }}", "line 3: 'nothing' is undefined"},
        {"\n{{ 1|frobnicate }}", "line 2: no filter named 'frobnicate'"},
        {"{% for a in 1 %}{% endfor %}", "line 1: 'int' object is not iterable"},
        {"{{ 'a' + 1 }}", "line 1: str + int is not possible"},
        {"{{ nothing is sameas nothing }}", "line 1: sameas of a undefined is not supported"},
        {"{{ 'a' is sameas 'a' }}", "line 1: sameas of a str is not supported"},
        {"{{ list.append(1) }}", "line 1: 'append' is undefined"},
        {"{% break %}", "expected a loop around it"},
        {"{{ '\xff' }}", "invalid UTF-8 at byte 4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rendering r = render(cases[i].source);
        CHECK(r.status != PITH_OK, "case %zu", i);
        CHECK(strstr(r.error.message, cases[i].message) != NULL, "case %zu: %s", i,
              r.error.message);
    }
    CHECK_NO_LEAKS();
}

TEST(jinja, python_and_jinja_semantics) {
    static const struct {
        const char *source, *expected;
    } cases[] = {
        {"{{ true }} {{ none }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ -0.0 }}",
         "True None 1.0 1e+16 1e-05 0.30000000000000004 -0.0"},
        {"{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** -1 }}",
         "-4 2 3.5 3.0 0.5 0.5"},
        {"{{ [1, 'it\\'s', \"q\\\"\", (1,), {'a': none}] }}",
         "[1, \"it's\", 'q\"', (1,), {'a': None}]"},
        {"{{ 'abcdef'[4:1:-2] }}{{ 'abc'[-1] }}{{ [1, 2, 3][-2:] }}", "ecc[2, 3]"},
        {"{{ 1 < 2 < 3 }} {{ 'a' in 'cab' }} {{ 2 not in [1] }} {{ 1 == 1.0 == true }}",
         "True True True True"},
        {"{% for a, b in {'x': 1}.items() %}{{ a }}{{ b }}{{ loop.last }}{% endfor %}", "x1True"},
        {"{% for i in [] %}{% else %}none{% endfor %}{% for i in [1, 2] %}{% continue %}{% else %}e"
         "{% endfor %}",
         "nonee"},
        {"{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "1"},
        {"{% if true %}\n  {% set a = 1 %}\n  {{ a }}\n{% endif %}\n", "  1\n"},
        {"a  {%- if true %} b {% endif -%}  c\n\n", "a b c\n"},
        {"  {%+ if true %}x{% endif +%}\ny", "  x\ny"},
        {"{% raw %}{{ a }}{% endraw %}{# gone #}", "{{ a }}"},
        {"{{ {'b': 1, 'a': '<é>'}|tojson }}{{ [1]|tojson(indent=1) }}",
         "{\"b\": 1, \"a\": \"<\xc3\xa9>\"}[\n 1\n]"},
        {"{{ missing }}{{ missing is defined }}{{ missing|length }}{{ missing == nope }}",
         "False0True"},
        {"{{ true is sameas true }} {{ none is sameas none }} {{ true is sameas false }} "
         "{{ nothing is sameas none }} {{ 1 is sameas true }}",
         "True True False False False"},
        {"{{ strftime_now('%d %b %Y %H:%M:%S %A') }}", "04 Mar 2026 05:06:07 Wednesday"},
        {"{% macro f(a, b='d') %}{{ a }}{{ b }}{{ kwargs }}{{ varargs }}{% endmacro %}{{ f(1) }}"
         "{{ f(1, 2, 3, z=4) }}",
         "1d{}()12{'z': 4}(3,)"},
        {"{{ '%05.1f|%-4s|%+d' % (2.25, 'a', 3) }}", "002.2|a   |+3"},
        {"{{ 'stra\xc3\x9f"
         "e'|upper }}{{ '\xc3\x89'|lower }}{{ 'a b-c'|title }}",
         "STRASSE\xc3\xa9"
         "A B-C"},
        {"{{ (' x '|safe) + '<' }}{{ '<' ~ ('<'|safe) }}", " x &lt;<<"},
        {"{{ 1 if missing|reverse else 0 }}{{ missing|reverse|list }}{{ 1 if []|reverse else 0 }}",
         "1[]1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rendering r = render(cases[i].source);
        CHECK(r.status == PITH_OK, "case %zu: %s", i, r.error.message);
        CHECK(strcmp(r.out.text.data, cases[i].expected) == 0, "case %zu: \"%s\", expected \"%s\"",
              i, r.out.text.data, cases[i].expected);
        release(&r);
    }
    CHECK_NO_LEAKS();
}
