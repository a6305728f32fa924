/* Answers by gzip, for those who accept it. */
#ifndef BROKER_ADMIN_PACK_H
#define BROKER_ADMIN_PACK_H

#include <stdbool.h>

struct evbuffer;

enum {
    PACK_MIN = 1024,     /* bytes of an answer that is worth it … */
    PACK_MAX = 16 << 20, /* … and that does not keep this thread from others for too long */
};

/* Does "gzip, deflate;q=0.5" accept gzip?  NULL: no. */
bool pack_is_accepted(const char *accept_encoding);

/* Replaces what is in the buffer; false: it is as it was, for it is too small or too large. */
bool pack(struct evbuffer *body);
#endif
