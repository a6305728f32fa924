#include "broker/port/event.h"

#include <stdlib.h>

#include "broker/port/message.h"

void event_drop(struct event *e)
{
    switch (e->what) {
    case DONE:
        free(e->done.spec);
        break;
    case FAILED:
        free(e->failed.text);
        break;
    case DELIVERED:
    case GOT:
    case RETURNED:
        message_unref(e->delivered.msg);
        break;
    case EMPTY:
    case CONFIRMED:
    case REFUSED:
    case CANCELLED:
    case DETACHED:
        break;
    }
}
