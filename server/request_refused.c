/* Fields that are known to change the answer and are not supported. A client that sends one gets an
 * error, unless the value asks for nothing: nobody should wonder why a grammar had no effect. */
#include "server/request_parts.h"

#include <string.h>

/* ---- Values that ask for nothing ------------------------------------------------------------- */

static bool is_never(pith_json value) {
    (void)value;
    return false;
}

static bool is_zero(pith_json value) {
    double x;
    return pith_json_number(value, &x) && x == 0;
}

static bool is_at_most_zero(pith_json value) {
    double x;
    return pith_json_number(value, &x) && x <= 0;
}

static bool is_one(pith_json value) {
    double x;
    return pith_json_number(value, &x) && x == 1;
}

static bool is_false(pith_json value) {
    return pith_json_is(value, PITH_JSON_BOOL) && !pith_json_is_true(value);
}

static bool is_empty(pith_json value) {
    switch (pith_json_kind_of(value)) {
    case PITH_JSON_STRING:
        return pith_json_text_size(value) == 0;
    case PITH_JSON_ARRAY:
    case PITH_JSON_OBJECT:
        return pith_json_size(value) == 0;
    default:
        return false;
    }
}

static bool is_text_alone(pith_json value) {
    bool all = pith_json_is(value, PITH_JSON_ARRAY);
    pith_json_walk walk = pith_json_begin(value);
    while (pith_json_next(&walk)) {
        all = all && pith_json_is_text(walk.value, "text");
    }
    return all;
}

static bool is_no_call(pith_json value) {
    return pith_json_is_text(value, "none") || pith_json_is_text(value, "auto");
}

static bool is_medium(pith_json value) {
    return pith_json_is_text(value, "medium");
}

/* ---- The fields ------------------------------------------------------------------------------ */

typedef struct refused_field {
    const char *name;
    unsigned endpoints;
    bool (*asks_nothing)(pith_json value);
    const char *reason;
} refused_field;

static const char no_functions[] = "this is the older form of tools";
static const char no_grammar[] = "response_format of the OpenAI protocol does it";
static const char no_media[] = "this service reads and writes text only";
static const char no_sampling[] = "there is no such way of sampling here";
static const char no_template[] = "the model's own chat template is used";
static const char no_search[] = "this service searches no web";

static const refused_field refused[] = {
    /* OpenAI */
    {"functions", PITH_AT_CHAT, is_empty, no_functions},
    {"function_call", PITH_AT_CHAT, is_no_call, no_functions},
    {"audio", PITH_AT_CHAT, is_never, no_media},
    {"modalities", PITH_AT_CHAT, is_text_alone, no_media},
    {"web_search_options", PITH_AT_CHAT, is_never, no_search},
    {"verbosity", PITH_AT_CHAT, is_medium, "the length of answers is the model's"},
    {"echo", PITH_AT_CHAT | PITH_AT_INFILL, is_false, "only /v1/completions repeats the prompt"},
    {"suffix", PITH_AT_CHAT, is_empty, "/v1/completions and /infill fill in text"},
    {"n", PITH_AT_INFILL, is_one, "/infill answers with one text"},
    {"stream", PITH_AT_INFILL, is_false, "/infill answers at once"},
    /* llama-server */
    {"grammar", PITH_AT_GENERATE, is_empty, no_grammar},
    {"json_schema", PITH_AT_GENERATE, is_never, no_grammar},
    {"mirostat", PITH_AT_GENERATE, is_zero, no_sampling},
    {"typical_p", PITH_AT_GENERATE, is_one, no_sampling},
    {"top_n_sigma", PITH_AT_GENERATE, is_at_most_zero, no_sampling},
    {"xtc_probability", PITH_AT_GENERATE, is_zero, no_sampling},
    {"dry_multiplier", PITH_AT_GENERATE, is_zero, no_sampling},
    {"dynatemp_range", PITH_AT_GENERATE, is_zero, no_sampling},
    {"n_probs", PITH_AT_GENERATE, is_zero, "logprobs of the OpenAI protocol has them"},
    {"lora", PITH_AT_GENERATE, is_empty, "models are served as they are"},
    {"image_data", PITH_AT_GENERATE, is_empty, no_media},
    {"input_extra", PITH_AT_INFILL, is_empty, "prompts are made of prefix and suffix alone"},
    {"n_indent", PITH_AT_INFILL, is_zero, "the end of the text is the model's"},
    {"with_pieces", PITH_AT_TOKENIZE, is_false, "the answer holds ids alone"},
    /* vLLM, SGLang */
    {"guided_json", PITH_AT_OPENAI, is_never, no_grammar},
    {"guided_regex", PITH_AT_OPENAI, is_empty, no_grammar},
    {"guided_choice", PITH_AT_OPENAI, is_empty, no_grammar},
    {"guided_grammar", PITH_AT_OPENAI, is_empty, no_grammar},
    {"structured_outputs", PITH_AT_OPENAI, is_empty, no_grammar},
    {"regex", PITH_AT_OPENAI, is_empty, no_grammar},
    {"ebnf", PITH_AT_OPENAI, is_empty, no_grammar},
    {"min_tokens", PITH_AT_OPENAI, is_zero, "the end of the text is the model's"},
    {"use_beam_search", PITH_AT_OPENAI, is_false, no_sampling},
    {"prompt_logprobs", PITH_AT_OPENAI, is_never, "prompts have no log-probabilities here"},
    {"truncate_prompt_tokens", PITH_AT_OPENAI, is_never, "prompts are never cut"},
    {"continue_final_message", PITH_AT_CHAT, is_false, no_template},
    {"chat_template", PITH_AT_CHAT, is_empty, no_template},
    /* ollama */
    {"images", PITH_AT_OLLAMA_TEXT, is_empty, no_media},
    {"context", PITH_AT_OLLAMA_GENERATE, is_empty, "/api/chat has conversations"},
    {"logprobs", PITH_AT_OLLAMA_TEXT, is_false, "the OpenAI protocol has them"},
    {"top_logprobs", PITH_AT_OLLAMA_TEXT, is_zero, "the OpenAI protocol has them"},
};

bool pith_refuse_field(pith_draft *draft, const char *name, size_t n_name, pith_json value) {
    unsigned here = 1U << draft->request.endpoint;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const refused_field *field = &refused[i];
        if ((field->endpoints & here) != 0 && strlen(field->name) == n_name &&
            memcmp(field->name, name, n_name) == 0 && !field->asks_nothing(value)) {
            return pith_draft_fail(draft, field->name, "%s is not supported: %s", field->name,
                                   field->reason);
        }
    }
    return true;
}
