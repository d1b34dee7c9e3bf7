/* Chat templates for models whose files have none, written after the markup that their makers
 * publish: one beginning, one form of a turn, the beginning of an answer. Where a markup has no
 * place for a system message, it stands in front of the first question, with an empty line between.
 */
#include "tokenizer/chat_template.h"

#include <string.h>

/* Splits a system message off: `system` is its text or "", `rest` the messages behind it. */
#define SPLIT_SYSTEM                                                                        \
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}"           \
    "{% set rest = messages[1:] %}{% else %}{% set system = '' %}{% set rest = messages %}" \
    "{% endif %}"
/* The text of a question, the system message in front of the first. */
#define QUESTION \
    "((system | trim ~ '\\n\\n' if loop.first and system else '') ~ message.content | trim)"
#define FOR_REST "{% for message in rest %}"
#define IF_USER "{% if message.role == 'user' %}"
#define ELSE "{% else %}"
#define END "{% endif %}{% endfor %}"
#define PROMPT(text) "{% if add_generation_prompt %}{{ '" text "' }}{% endif %}"

static const struct {
    const char *name, *source;
} builtin[] = {
    {"chatml", "{% for message in messages %}"
               "{{ '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' }}"
               "{% endfor %}" PROMPT("<|im_start|>assistant\\n")},
    {"llama2", SPLIT_SYSTEM FOR_REST IF_USER
     "{{ bos_token ~ '[INST] ' ~ (('<<SYS>>\\n' ~ system ~ '\\n<</SYS>>\\n\\n' "
     "if loop.first and system else '') ~ message.content) | trim ~ ' [/INST]' }}" ELSE
     "{{ ' ' ~ message.content | trim ~ ' ' ~ eos_token }}" END},
    {"llama3", "{{ bos_token }}{% for message in messages %}"
               "{{ '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\\n\\n' "
               "~ message.content | trim ~ '<|eot_id|>' }}{% endfor %}" PROMPT(
                   "<|start_header_id|>assistant<|end_header_id|>\\n\\n")},
    {"mistral", "{{ bos_token }}" SPLIT_SYSTEM FOR_REST IF_USER "{{ '[INST] ' ~ " QUESTION
                " ~ ' [/INST]' }}" ELSE "{{ ' ' ~ message.content | trim ~ eos_token }}" END},
    {"mistral-v3", "{{ bos_token }}" SPLIT_SYSTEM FOR_REST IF_USER "{{ '[INST] ' ~ " QUESTION
                   " ~ '[/INST]' }}" ELSE "{{ ' ' ~ message.content | trim ~ eos_token }}" END},
    {"mistral-tekken", "{{ bos_token }}" SPLIT_SYSTEM FOR_REST IF_USER "{{ '[INST]' ~ " QUESTION
                       " ~ '[/INST]' }}" ELSE "{{ message.content | trim ~ eos_token }}" END},
    {"mistral-v7",
     "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}"
     "{{ '[SYSTEM_PROMPT]' ~ message.content ~ '[/SYSTEM_PROMPT]' }}"
     "{% elif message.role == 'user' %}{{ '[INST]' ~ message.content ~ '[/INST]' }}" ELSE
     "{{ message.content ~ eos_token }}" END},
    {"gemma",
     "{{ bos_token }}" SPLIT_SYSTEM FOR_REST IF_USER "{{ '<start_of_turn>user\\n' ~ " QUESTION
     " ~ '<end_of_turn>\\n' }}" ELSE
     "{{ '<start_of_turn>model\\n' ~ message.content | trim ~ '<end_of_turn>\\n' }}" END PROMPT(
         "<start_of_turn>model\\n")},
    {"phi3", "{% for message in messages %}"
             "{{ '<|' ~ message.role ~ '|>\\n' ~ message.content ~ '<|end|>\\n' }}"
             "{% endfor %}" PROMPT("<|assistant|>\\n")},
    {"zephyr", "{% for message in messages %}"
               "{{ '<|' ~ message.role ~ '|>\\n' ~ message.content ~ eos_token ~ '\\n' }}"
               "{% endfor %}" PROMPT("<|assistant|>\\n")},
    {"granite",
     "{% for message in messages %}"
     "{{ '<|start_of_role|>' ~ message.role ~ '<|end_of_role|>' ~ message.content ~ eos_token "
     "~ '\\n' }}{% endfor %}" PROMPT("<|start_of_role|>assistant<|end_of_role|>")},
    {"glm4",
     "[gMASK]<sop>{% for message in messages %}"
     "{{ '<|' ~ message.role ~ '|>\\n' ~ message.content }}{% endfor %}" PROMPT("<|assistant|>")},
    {"ernie", "<|begin_of_sentence|>{% for message in messages %}" IF_USER
              "{{ 'User: ' ~ message.content ~ '\\n' }}{% elif message.role == 'assistant' %}"
              "{{ 'Assistant: ' ~ message.content ~ eos_token }}" ELSE
              "{{ message.content ~ '\\n' }}" END PROMPT("Assistant: ")},
    {"seed-oss", "{% for message in messages %}"
                 "{{ '<seed:bos>' ~ message.role ~ '\\n' ~ (message.content | trim if "
                 "message.role == 'assistant' else message.content) ~ '<seed:eos>' }}"
                 "{% endfor %}" PROMPT("<seed:bos>assistant\\n")},
    {"olmo2",
     "{{ bos_token }}{% for message in messages %}"
     "{{ '<|' ~ message.role ~ '|>\\n' ~ message.content ~ (eos_token "
     "if message.role == 'assistant' else '') ~ '\\n' }}{% endfor %}" PROMPT("<|assistant|>\\n")},
};

const char pith_chat_builtin_names[] =
    "chatml, llama2, llama3, mistral, mistral-v3, mistral-tekken, mistral-v7, gemma, phi3, zephyr, "
    "granite, glm4, ernie, seed-oss, olmo2";

const char *pith_chat_builtin(const char *name) {
    for (size_t i = 0; i < sizeof builtin / sizeof *builtin; i++) {
        if (strcmp(builtin[i].name, name) == 0) {
            return builtin[i].source;
        }
    }
    return NULL;
}
