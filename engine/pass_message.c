/* Messages between ranks; see pass_message.h. */
#include "engine/pass_message.h"

size_t pith_message_bytes(const pith_message_head *head) {
    bool pass = head->kind == PITH_MESSAGE_PASS;
    if (head->mark != PITH_MESSAGE_MARK || (!pass && head->kind != PITH_MESSAGE_END) ||
        head->n_events > PITH_MAX_EVENTS || head->n_extents > PITH_MAX_CACHES ||
        head->n_rows > PITH_MAX_PASS_ROWS) {
        return 0;
    }
    return sizeof *head + head->n_events * sizeof(pith_cache_event) +
           head->n_extents * sizeof(pith_cache_extent) + head->n_rows * sizeof(pith_message_row);
}
