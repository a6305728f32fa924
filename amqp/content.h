/* Putting contents together: a method that carries one, its header, its body (reference amqp-protocol 1.2).  Each
 * channel is at one point of that, whatever becomes of the message: framing is enforced on closing channels too.
 */
#ifndef AMQP_CONTENT_H
#define AMQP_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/frame.h"

struct channel;
struct message;
struct session;

enum { CONTENT_SIZE_MAX = 512 << 20 }; /* a body that says it is larger is refused at once */

enum content_phase { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY };

/* What is wrong with a publish, to be said when all of it has been read. */
enum content_defect { CONTENT_FINE, CONTENT_IMMEDIATE, CONTENT_TOO_LARGE, CONTENT_MALFORMED };

struct content {
    uint8_t phase;  /* enum content_phase: what must come next */
    uint8_t defect; /* enum content_defect */
    bool mandatory;
    uint8_t exchange_len, key_len;
    uint16_t names_room;
    uint8_t *names;      /* owned: exchange and routing key, kept until the header comes */
    uint64_t size;       /* of the body */
    uint64_t assembled;  /* bytes of its body that are kept so far */
    uint64_t missing;    /* of it */
    struct message *msg; /* owned; NULL: the body is swallowed */
    char *objection;     /* owned: what the model is to refuse the message for */
    bool impersonates;   /* that is: it names another user */
};

/* Takes a frame of the channel's.  A frame that may not come now is a connection error. */
void content_take(struct session *s, struct channel *c, const struct frame *f);

/* The same for a body frame of that size which was taken as it came (amqp/bulk.h), and is whole. */
void content_take_bulk(struct session *s, struct channel *c, size_t size);

/* What is still to come of the content will be swallowed. */
void content_abandon(struct session *s, struct channel *c);

void content_fini(struct session *s, struct channel *c);
#endif
