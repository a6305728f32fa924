/* One conversation being held: what its lines share. */
#ifndef TALK_TALK_H
#define TALK_TALK_H

#include <stdio.h>

#include "tests/talk/client.h"
#include "tests/talk/peer.h"
#include "tests/talk/value.h"

struct talk_options {
    const char *host, *port; /* NULL: the broker in this process */
    const char *vhost;       /* where clients go that say nothing else; NULL: / */
    bool trickle;            /* in this process: one byte at a time */
    bool traces;             /* print everything that is said */
};

enum talk_result { TALK_OK, TALK_FAILED, TALK_SKIPPED };

/* Something that must be deleted from a remote broker afterwards. */
struct leftover {
    struct leftover *next;
    bool is_exchange;
    struct bytes name;
};

struct talk {
    const struct talk_options *options;
    const char *path;
    char **lines; /* owned */
    int n;
    int at; /* the line being carried out, from 0 */
    struct peer *peer;
    struct client *clients; /* owned */
    struct client *client;  /* who speaks */
    struct scratch kept;    /* as long as the conversation */
    struct scratch scratch; /* as long as a line */
    struct variables vars;
    struct leftover *leftovers;
    FILE *report;
    bool failed, is_millrace;
    unsigned done, left_out; /* lines carried out; lines for another broker */
};

/* Holds the conversation in the file, or one that is read from in, and says on report what went wrong. */
enum talk_result talk_hold(const char *path, const struct talk_options *options, FILE *report);
enum talk_result talk_hold_from(FILE *in, const char *name, const struct talk_options *options, FILE *report);

/* Something is wrong: says where.  Answers false. */
bool talk_fail(struct talk *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Carries out one line, without its block if it opens one.  False: the conversation is over. */
bool talk_say(struct talk *t, const char *line);

struct reading talk_reading(struct talk *t, const char *text, bool expecting);

/* The channel a line speaks of: what it says, 0 for a connection's methods, else the current one. */
struct channel *talk_channel(struct talk *t, const struct words *w);

/* "> …" and "< …", the sign read already. */
bool talk_send(struct talk *t, const char *text);
bool talk_expect(struct talk *t, const char *text);
bool talk_expect_skipping(struct talk *t, const char *text);         /* "<* …" */
bool talk_expect_any_order(struct talk *t, const int *lines, int n); /* the lines of the block that are "< …" */
bool talk_expect_end(struct talk *t, const char *what);              /* "expect closed", "expect open" */

/* Drops what "<*" lets it drop off the front of what came on that channel. */
void talk_skip(struct talk *t, struct channel *ch);

/* Nobody is ahead of a remote peer any more, but perhaps that channel. */
void talk_settle(struct talk *t, const struct channel *but);

/* The end: nothing more may have come; everybody leaves; what was left behind is deleted. */
bool talk_nothing_left(struct talk *t);
void talk_leave(struct talk *t);
void talk_remember(struct talk *t, bool is_exchange, struct bytes name);

/* What an administrator says (desk.c): whether a line begins like that; the whole line. */
bool talk_is_desk(const char *word);
bool talk_say_desk(struct talk *t, const char *line);

/* Connects, and shakes hands unless the client is raw. */
bool talk_connect(struct talk *t, const struct words *w);
#endif
