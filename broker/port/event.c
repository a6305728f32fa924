#include "broker/port/event.h"

_Static_assert(sizeof(struct event) == 64, "an event fills a cache line");

#include <stdlib.h>

#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "broker/port/move.h"
#include "broker/port/sample.h"

void event_drop(struct event *e)
{
    switch (e->what) {
    case DONE:
        if (e->verb == ALTER)
            changes_destroy(e->done.changes);
        else if (e->verb == INSPECT)
            inspection_destroy(e->done.inspection);
        else if (e->verb == MOVE)
            move_destroy(e->done.move);
        else if (e->verb == SAMPLE)
            samples_destroy(e->done.samples);
        else
            free(e->done.spec);
        break;
    case FAILED:
        free(e->failed.text);
        changes_destroy(e->failed.changes);
        break;
    case EXPELLED:
        free(e->expelled.text);
        break;
    case OVERDUE:
        free(e->overdue.queue);
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
    case SLOWED:
    case DETACHED:
        break;
    }
}
