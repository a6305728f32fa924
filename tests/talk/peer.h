/* Who the conversation is held with: a broker in this process (peer_model.c), or one behind a socket
 * (peer_socket.c).  A line is one connection to it, a small number. */
#ifndef TALK_PEER_H
#define TALK_PEER_H

#include <stdbool.h>

#include "base/bytes.h"
#include "tests/talk/scratch.h"

struct changes;

/* What a conversation may ask of the broker in this process ("broker heartbeat=2"). */
struct peer_options {
    uint16_t channel_max;
    uint32_t frame_max;
    uint16_t heartbeat_s;
    uint64_t max_message_size;
    uint64_t memory_high;
    bool live_prefetch;
    bool expires_at_head, delays_anywhere;
    uint8_t default_queue_type; /* enum queue_type */
    bool strict_queue_types, relaxed_redeclare, relaxed_quorum, ignores_client_deaths;
    bool has_events; /* the event exchange is there */
};

struct peer {
    /* It has a clock and a scheduler of its own: what it was sent, it does later.  Otherwise all is done at once. */
    bool is_remote;

    int (*open)(struct peer *p); /* negative: there is nobody */
    void (*send)(struct peer *p, int line, struct bytes b);

    /* Adds what has come to *in, waiting at most so long for something.  False: nothing came. */
    bool (*receive)(struct peer *p, int line, struct buffer *in, unsigned timeout_ms);
    bool (*has_closed)(struct peer *p, int line); /* the other side has, and everything it sent was received */
    void (*drop)(struct peer *p, int line);
    void (*wait)(struct peer *p, uint64_t ms);

    /* An administrator wants that; takes it.  Answers why it was refused, on the heap; NULL: it is so.  The function
     * is NULL where there is no administrator: conversations that need one are left out. */
    char *(*alter)(struct peer *p, struct changes *all);
    void (*destroy)(struct peer *p);
};

struct peer *peer_socket_create(const char *host, const char *port);
struct peer *peer_model_create(const struct peer_options *options, bool trickle);
#endif
