/* Direct reply-to (reference queue-features 9.5): the name that clients consume from and put into reply-to, and the
 * addresses that stand for it.  An address is that name, a dot, and what nobody can guess: the session makes one for
 * each reply consumer, writes it into the requests of that channel, and the model delivers what comes to it. */
#ifndef BROKER_PORT_REPLY_H
#define BROKER_PORT_REPLY_H

#include <stdbool.h>

#include "base/bytes.h"

#define REPLY_TO "amq.rabbitmq.reply-to"

static inline bool reply_is_pseudo_queue(struct bytes name)
{
    return bytes_equal(name, BYTES(REPLY_TO));
}

/* The pseudo-queue or an address, whether there is such a one or not. */
static inline bool reply_is_name(struct bytes name)
{
    return bytes_start_with(name, BYTES(REPLY_TO));
}

static inline bool reply_is_address(struct bytes name)
{
    return bytes_start_with(name, BYTES(REPLY_TO "."));
}
#endif
