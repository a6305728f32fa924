#include "broker/port/command.h"

#include <stdlib.h>

#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/load.h"
#include "broker/port/message.h"
#include "broker/port/move.h"
#include "broker/port/sample.h"

void command_drop(struct command *c)
{
    switch (c->verb) {
    case LOGIN:
    case ATTACH:
    case ECHO:
    case DECLARE_EXCHANGE:
    case DELETE_EXCHANGE:
    case DECLARE_QUEUE:
    case DELETE_QUEUE:
    case PURGE_QUEUE:
    case BIND:
    case UNBIND:
    case GET:
        free(c->spec);
        break;
    case SUBSCRIBE:
    case UNSUBSCRIBE:
        free(c->subscribe.spec);
        break;
    case PUBLISH:
        message_unref(c->publish.msg);
        free(c->publish.objection);
        break;
    case COMMIT:
        tx_destroy(c->tx);
        break;
    case LOADED:
        load_destroy(c->load);
        break;
    case ALTER:
        changes_destroy(c->changes);
        break;
    case INSPECT:
        inspection_destroy(c->inspection);
        break;
    case MOVE:
        move_destroy(c->move);
        break;
    case SAMPLE:
        samples_destroy(c->samples);
        break;
    case REPORT:
        free(c->report);
        break;
    case PREFETCH:
    case CANCEL:
        free(c->prefetch.spec);
        break;
    case EXPEL:
        free(c->expel.spec);
        break;
    case SETTLE:
        free(c->settle.more);
        break;
    case DETACH:
    case RESET:
    case OPEN:
    case WINDOW:
    case PACE:
    case LIMIT:
    case CREDIT:
    case RECOVER:
    case ROLLBACK:
        break;
    }
}

void tx_destroy(struct tx *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n; i++)
        command_drop(&t->commands[i]);
    free(t->commands);
    free(t);
}
