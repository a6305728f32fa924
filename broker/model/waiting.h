/* Why a consumer is given nothing: one word, and a sentence with the numbers that it follows from.  It is read off the
 * model as it stands, which is what the next message would be judged by; nothing is kept for it, and nothing changes.
 */
#ifndef BROKER_MODEL_WAITING_H
#define BROKER_MODEL_WAITING_H

#include "codec/cursor.h"

struct broker;
struct consumer;

enum {
    WAITING_TEXT_MAX = 640,
    WAITING_ROOM = WAITING_TEXT_MAX + 128, /* what waiting_put() writes at most */
    WAITING_LOOKED = 64,                   /* consumers, or deliveries, that are looked at for one sentence */
};

/* The words, the first that fits:
 *
 *   queue_paused        nobody is given anything
 *   not_active          another is the single active consumer, or has still to settle what it had as such
 *   prefetch            it holds as many unacknowledged deliveries as its prefetch allows …
 *   channel_prefetch    … or its channel's consumers together do
 *   client_not_reading  what was sent to its connection has not been read from the socket
 *   group_locked        all that is ready belongs to groups whose messages others hold
 *   loading             what is next is being read from disk
 *   lower_priority      the queue is empty, and one with a higher priority takes what comes
 *   queue_empty         there is nothing that it could be given
 *   nothing             it is given messages */
struct waiting {
    const char *word;
    char text[WAITING_TEXT_MAX];
};

void waiting_explain(const struct broker *b, const struct consumer *c, struct waiting *w);

/* Adds `waiting_for` and `explanation` to a row of INSPECT_CONSUMERS. */
void waiting_put(struct pen *row, const struct broker *b, const struct consumer *c);

/* A name as it is shown in a sentence: no longer than is good for that, and no character cut in two. */
struct bytes waiting_name(struct bytes name);
#endif
