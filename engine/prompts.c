/* Texts that an encoder reads in front of others; see prompts.h. */
#include "engine/prompts.h"

#include <stdio.h>
#include <string.h>

/* NULL: there is none of that name. */
static const char *find(const pith_model_info *info, const char *name) {
    for (size_t i = 0; i < info->n_prompts; i++) {
        if (strcmp(info->prompts[i].name, name) == 0) {
            return info->prompts[i].text;
        }
    }
    return NULL;
}

const char *pith_model_prompt(const pith_model *model, pith_prompt_use use) {
    static const char *const names[][3] = {
        [PITH_PROMPT_QUERY] = {"query"},
        [PITH_PROMPT_DOCUMENT] = {"document", "passage", "corpus"},
    };
    pith_model_info info;
    const char *text = NULL;
    pith_model_get_info(model, &info);
    for (size_t i = 0; text == NULL && i < 3 && names[use][i] != NULL; i++) {
        text = find(&info, names[use][i]);
    }
    if (text == NULL && info.default_prompt != NULL) {
        text = find(&info, info.default_prompt);
    }
    return text != NULL ? text : "";
}

static pith_status fail_unknown(const pith_model_info *info, const char *name, pith_error *error) {
    char all[300] = "";
    for (size_t i = 0; i < info->n_prompts; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", info->prompts[i].name);
    }
    return pith_fail(error, PITH_ERROR_ARGUMENT, "the model has no prompt \"%.60s\"; it has %s",
                     name, info->n_prompts > 0 ? all : "none");
}

pith_status pith_prompt_choose(const pith_model *model, const pith_embed_options *options,
                               const char **out, pith_error *error) {
    pith_model_info info;
    pith_model_get_info(model, &info);
    const char *name = options->prompt_name != NULL ? options->prompt_name : info.default_prompt;
    if (options->prompt != NULL && options->prompt_name != NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "pith_embed: a prompt and the name of one, of which only one can be used");
    }
    if (options->prompt != NULL || name == NULL) {
        *out = options->prompt != NULL ? options->prompt : "";
        return PITH_OK;
    }
    *out = find(&info, name);
    return *out != NULL ? PITH_OK : fail_unknown(&info, name, error);
}
