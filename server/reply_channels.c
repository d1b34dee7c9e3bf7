/* Replies in channels, as gpt-oss writes them (OpenAI 2025, the harmony format):
 *
 *     <|channel|>analysis<|message|>REASONING<|end|>
 *     <|start|>assistant<|channel|>final<|message|>TEXT
 *
 * The prompt ends behind "<|start|>assistant". The channel "analysis" is reasoning, any other is
 * text. What begins without a mark is text. */
#include "server/reply_parts.h"

enum {
    MESSAGE = sizeof PITH_CHANNEL_MESSAGE - 1,
    MOST_HEADER = 256, /* bytes in front of <|message|>; longer ones are text */
};

/* True when the header [n] names the channel of reasoning. */
static bool is_analysis(const char *header, size_t n) {
    static const char analysis[] = PITH_CHANNEL_MARK "analysis";
    return n > 0 && memmem(header, n, analysis, sizeof analysis - 1) != NULL;
}

/* What stands in front of a message is no header: it is text. */
static bool leave_header(pith_reply *r) {
    r->state = PITH_REPLY_AT_TEXT;
    r->settings.channels = false;
    return true;
}

bool pith_channels_begin(pith_reply *r) {
    static const char *const marks[] = {PITH_CHANNEL_MARK, PITH_CHANNEL_START};
    pith_text rest = pith_reply_rest(r);
    size_t n = pith_reply_skip_space(rest.data, rest.n_bytes, 0);
    bool any = false;
    for (size_t i = 0; i < 2; i++) {
        bool whole;
        any = pith_reply_at_mark(rest, n, marks[i], &whole) || any;
    }
    if (!any) {
        return leave_header(r);
    }
    size_t most = MOST_HEADER + MESSAGE;
    size_t looked = rest.n_bytes < most ? rest.n_bytes : most;
    const char *found = memmem(rest.data, looked, PITH_CHANNEL_MESSAGE, MESSAGE);
    if (found == NULL) {
        return (r->finished || looked == most) && leave_header(r);
    }
    size_t header = (size_t)(found - rest.data);
    r->channel = is_analysis(rest.data, header) ? PITH_REPLY_REASONING : PITH_REPLY_TEXT;
    r->at += header + MESSAGE;
    r->state = PITH_REPLY_IN_MESSAGE;
    r->skip_space = r->channel == PITH_REPLY_REASONING;
    return true;
}

bool pith_channels_give(pith_reply *r, bool *more, pith_reply_part *out) {
    size_t mark_at;
    bool given = pith_reply_before(r, PITH_CHANNEL_END, r->channel, &mark_at, out);
    if (mark_at != SIZE_MAX) {
        r->at += mark_at + sizeof PITH_CHANNEL_END - 1;
        r->state = PITH_REPLY_IN_HEADER;
        *more = true;
    }
    return given;
}
