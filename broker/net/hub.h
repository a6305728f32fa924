/* The one thread that owns all broker state: takes batches of commands, steps the model, hands out what follows.
 *
 * Without threads the one loop takes the turns itself: hub_begin(), hub_step() for each batch, hub_end().  With them
 * hub_start() starts the hub's own thread; loops post mails to hub_inbox(), and mails come back to their lanes.
 */
#ifndef BROKER_NET_HUB_H
#define BROKER_NET_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lane.h"
#include "broker/model/broker.h"
#include "broker/net/tempo.h"
#include "broker/port/batch.h"
#include "broker/port/event.h"

struct hub;

enum {
    HUB_DESK = UINT16_MAX,     /* mail.loop of the desk's mails */
    HUB_TURN_BATCHES = 16,     /* stepped before what they caused is sent out … */
    HUB_TURN_MS = 10,          /* … or fewer, when they take so long */
    HUB_TRIM_BYTES = 32 << 20, /* held, before memory is given back to the system as that falls … */
    HUB_TRIM_SLICE = 2 << 20,  /* … so much at a time: a page takes a microsecond … */
    HUB_TRIM_MS = 1000,        /* … what comes and goes in this time is not … */
    HUB_TRIM_LONG_MS = 4, /* … and when it took as long, because the heap is in pieces, it waits that time, too */
    HUB_MAILS_SPARE = 16, /* empty ones that are kept for use */
    MAIL_EVENTS_KEPT =
        16384, /* a larger array is not kept with its mail: twice a turn of publishes, and as alloc_grown() grows */
};

/* What a parcel in a lane of the hub or of a loop is. */
enum parcel_kind {
    PARCEL_MAIL,     /* struct mail: commands for the hub, events for a loop */
    PARCEL_STRANGER, /* to a loop: a connection that was accepted */
    PARCEL_STOP,     /* come to an end */
    PARCEL_HURRY,    /* to a loop: at once */
    PARCEL_ENDED,    /* to the first loop: another one has ended */
    PARCEL_NEWS,     /* to the hub: struct news has something; without threads to the loop, which says hub_has_news() */
};

/* To the hub: full batches.  From the hub: empty batches of that loop, events, the state of the alarms. */
struct mail {
    struct parcel parcel;
    unsigned loop;         /* whose batches they are; HUB_DESK */
    struct batch *batches; /* owned */
    size_t n, capacity;
    struct event *events; /* owned, with what they own */
    bool has_alarms;
    unsigned alarms; /* enum alarm, if has_alarms */
};

struct mail *mail_create(unsigned loop);
void mail_destroy(struct mail *m); /* drops what is in it; NULL is allowed */

static inline struct mail *mail_of(struct parcel *p)
{
    return (struct mail *)(void *)p;
}

/* Who keeps what the model wants remembered (broker/store/keeper.h).  Called on the hub's thread, and does not wait. */
struct hub_keeper {
    void (*keep)(void *arg, struct sheaf *records); /* takes over what is in it, and leaves it empty */
    uint64_t (*pending)(void *arg);     /* message bytes that were handed over and are not on their way to disk yet */
    uint64_t pending_max, pending_easy; /* above the first publishers pause; with no more than the second they go on */
    void *arg;
};

/* Takes over the broker.  keeper: copied; NULL: nothing is remembered, and nothing waits for that.  loops: how many
 * loops post to it from threads of their own; 0: none. */
struct hub *hub_create(struct broker *broker, const struct hub_keeper *keeper, unsigned loops);
void hub_destroy(struct hub *h);

/* What the keeper has to say, on any of its threads; and that the broker is about to stop, from any thread. */
/* Up to there, or hub_keeper.pending has become less. */
void hub_tell_durable(struct hub *h, uint64_t position, uint64_t changes);
void hub_tell_loaded(struct hub *h, struct load *l);
void hub_tell_disk_alarm(struct hub *h, bool is_set);
void hub_tell_tuning(struct hub *h, const struct broker_tuning *t);
void hub_tell_shutdown(struct hub *h);

/* Without threads: the lane where that is posted.  Whoever collects PARCEL_NEWS there says so, and takes a turn. */
void hub_attach(struct hub *h, struct lane *lane);
void hub_has_news(struct hub *h);

/* The desk: the administration, whose commands have the generation DESK_GENERATION, or come from clients of its own
 * (outlet_is_desks()).  Its mails come to the hub's inbox,
 * or without threads to the loop's lane; what it is answered, and with threads its batches, are posted to this lane,
 * which is borrowed.  Before the hub starts. */
void hub_seat(struct hub *h, struct lane *desk);

/* Without threads: takes the event for the desk; and posts what was taken, at the end of a turn. */
void hub_answer_desk(struct hub *h, const struct event *e);
void hub_post_desk(struct hub *h);

/* For how long the hub has not answered whether it still takes turns; asks it again when it has.  One thread's, which
 * may be any. */
uint64_t hub_standstill_ms(struct hub *h);

/* The alarms that are set (enum alarm), as of the last turn.  Any thread. */
unsigned hub_alarms(const struct hub *h);

/* How it is doing.  Any thread. */
void hub_measure(const struct hub *h, struct hub_measures *to);

/* A turn, on the thread that owns the model: reads the clocks and the news; steps through batches, which are empty then
 * (NULL: for time's sake alone); hands the records to the keeper and answers what followed, which the caller hands on
 * and then clears. */
void hub_begin(struct hub *h);

/* The turn has taken longer than HUB_TURN_MS. */
bool hub_turn_is_long(const struct hub *h);
void hub_step(struct hub *h, struct batch *b);
struct effects *hub_end(struct hub *h);

/* When a turn is wanted though no command comes, in clock_ms(); 0: at once. */
uint64_t hub_deadline(const struct hub *h);

/* With threads.  lanes: one a loop; borrowed. */
void hub_start(struct hub *h, struct lane **lanes);
struct lane *hub_inbox(struct hub *h);

/* Once no loop posts any more: ends the thread, drops what was still under way. */
void hub_stop(struct hub *h);
#endif
