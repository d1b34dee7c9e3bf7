/* A chat template is recognised by what it renders. */
#include "tests/test.h"
#include "tokenizer/tokenizer.h"

#include <stddef.h>
#include <string.h>

static const char *recognise(const char *chat_template) {
    const char *format = "untouched";
    pith_error error = {.status = PITH_OK};
    pith_status status = pith_chat_recognise(chat_template, NULL, &format, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return format;
}

#define ALTERNATE                                                                        \
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"                     \
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/...') }}" \
    "{% endif %}"
#define SPLIT_SYSTEM                                                                 \
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}" \
    "{% set system_message = messages[0]['content'] %}{% else %}"                    \
    "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
#define WITH_SYSTEM                                                           \
    "{% if loop.index0 == 0 and system_message != false %}"                   \
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + " \
    "message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}"

TEST(recognise, llama2_templates) {
    static const char *const templates[] = {
        /* Strips with the method. */
        SPLIT_SYSTEM "{% for message in loop_messages %}" ALTERNATE WITH_SYSTEM
                     "{% if message['role'] == 'user' %}"
                     "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
                     "{% elif message['role'] == 'assistant' %}"
                     "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
        /* Strips with the filter, as Code Llama's does. */
        SPLIT_SYSTEM "{% for message in loop_messages %}" ALTERNATE WITH_SYSTEM
                     "{% if message['role'] == 'user' %}"
                     "{{ bos_token + '[INST] ' + content | trim + ' [/INST]' }}"
                     "{% elif message['role'] == 'assistant' %}"
                     "{{ ' ' + content | trim + ' ' + eos_token }}{% endif %}{% endfor %}",
        /* transformers' default for Llama, with a system prompt that nobody asked for. */
        "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
        "{% set system_message = messages[0]['content'] %}"
        "{% elif USE_DEFAULT_PROMPT == true and not '<<SYS>>' in messages[0]['content'] %}"
        "{% set loop_messages = messages %}{% set system_message = 'DEFAULT' %}{% else %}"
        "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
        "{% if loop_messages|length == 0 and system_message %}"
        "{{ bos_token + '[INST] <<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n [/INST]' }}"
        "{% endif %}{% for message in loop_messages %}" ALTERNATE WITH_SYSTEM
        "{% if message['role'] == 'user' %}"
        "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
        "{% elif message['role'] == 'system' %}"
        "{{ '<<SYS>>\\n' + content.strip() + '\\n<</SYS>>\\n\\n' }}"
        "{% elif message['role'] == 'assistant' %}"
        "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
        /* Strips nothing, and spells the tokens. */
        SPLIT_SYSTEM "{%- for message in loop_messages -%}" WITH_SYSTEM
                     "{%- if message.role == 'user' -%}<s>[INST] {{ content }} [/INST]"
                     "{%- else %} {{ content }} </s>{%- endif -%}{%- endfor -%}",
    };
    for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++) {
        const char *format = recognise(templates[i]);
        CHECK(format != NULL && strcmp(format, "llama2") == 0, "template %zu: %s", i,
              format != NULL ? format : "(none)");
    }
    CHECK_NO_LEAKS();
}

TEST(recognise, other_templates_with_the_same_words) {
    static const char *const templates[] = {
        /* The words alone, in a comment, in a branch that never runs. */
        "{# [INST] [/INST] <<SYS>> <</SYS>> #}{{ messages[0].content }}",
        "{% if false %}[INST] <<SYS>> <</SYS>> [/INST]{% endif %}{{ messages[-1].content }}",
        /* The system text in front of the instruction. */
        "{% for m in messages %}{% if m.role == 'system' %}{{ '<<SYS>>\\n' + m.content + "
        "'\\n<</SYS>>\\n\\n' }}{% elif m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + "
        "' [/INST]' }}{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}",
        /* One beginning for the whole conversation. */
        SPLIT_SYSTEM "{{ bos_token }}{% for message in loop_messages %}" WITH_SYSTEM
                     "{% if message.role == 'user' %}{{ '[INST] ' + content + ' [/INST]' }}"
                     "{% else %}{{ ' ' + content + ' ' + eos_token }}{% endif %}{% endfor %}",
        /* Mistral: no white space around the answer. */
        SPLIT_SYSTEM "{% for message in loop_messages %}" WITH_SYSTEM
                     "{% if message.role == 'user' %}{{ bos_token + '[INST] ' + content + "
                     "' [/INST]' }}{% else %}{{ content + eos_token }}{% endif %}{% endfor %}",
        /* Llama 2, but no system message. */
        "{% for message in messages %}{% if message.role == 'system' %}"
        "{{ raise_exception('<<SYS>> and <</SYS>> are not supported') }}{% endif %}"
        "{% if message.role == 'user' %}{{ bos_token + '[INST] ' + message.content + ' [/INST]' }}"
        "{% else %}{{ ' ' + message.content + ' ' + eos_token }}{% endif %}{% endfor %}",
        /* A system prompt of its own. */
        "{% set system_message = 'I am.' %}{% set loop_messages = messages %}"
        "{% for message in loop_messages %}" WITH_SYSTEM
        "{% if message.role == 'user' %}{{ bos_token + '[INST] ' + content + ' [/INST]' }}"
        "{% else %}{{ ' ' + content + ' ' + eos_token }}{% endif %}{% endfor %}",
        /* A content that is changed. */
        SPLIT_SYSTEM "{% for message in loop_messages %}" WITH_SYSTEM
                     "{% if message.role == 'user' %}{{ bos_token + '[INST] ' + "
                     "content.replace('\"', '') + ' [/INST]' }}"
                     "{% else %}{{ ' ' + content + ' ' + eos_token }}{% endif %}{% endfor %}",
        /* No templates, and one without an end. */
        "{{ '[INST] ' + '<<SYS>> <</SYS>> [/INST]' ",
        "[INST] <<SYS>> <</SYS>> [/INST]",
        "{% macro f() %}[INST] <<SYS>> <</SYS>> [/INST]{{ f() }}{% endmacro %}{{ f() }}",
        "{{ '<|im_start|>' + messages[0]['role'] }}",
        "",
    };
    for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++) {
        const char *format = recognise(templates[i]);
        CHECK(format == NULL, "template %zu: %s", i, format);
    }
    CHECK(recognise(NULL) == NULL, "no template");
    CHECK_NO_LEAKS();
}
