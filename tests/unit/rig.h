/* A session on the bench: a client's bytes on one side, a model that says what the test wants on the other.
 *
 *     struct rig *r = rig_open();                                  logged in, channel 1 open
 *     rig_send(r, 1, &(union method){.basic_get = {…}});           bytes go in
 *     struct command c = rig_command(r, GET);                      … and that came out
 *     rig_done(r, &c);                                             the model answers
 *     rig_expect(r, 1, METHOD_basic_get_empty, &m);                … and that is what the client sees
 */
#ifndef TESTS_UNIT_RIG_H
#define TESTS_UNIT_RIG_H

#include "tests/unit/unit.h"

#include "amqp/session.h"
#include "broker/port/batch.h"
#include "broker/port/message.h"
#include "broker/port/spec.h"
#include "codec/frame.h"
#include "codec/method.h"

enum { RIG_COMMANDS_MAX = 16384, RIG_BYTES_MAX = 8 << 20 };

/* What a client says in connection.start-ok unless the test has its own idea. */
enum rig_capability { RIG_PLAIN, RIG_CAPABLE };

struct rig {
    struct session_config config;
    struct outbox outbox;
    struct session *session;
    uint64_t now;
    struct command commands[RIG_COMMANDS_MAX]; /* that came out, not yet looked at */
    unsigned first, last;
    uint8_t *in; /* what the session has not taken yet */
    size_t in_len;
    uint8_t *out; /* what the session wrote, not yet looked at */
    size_t out_len;
    bool gone; /* the session was destroyed */
    unsigned logins;
    unsigned settles;        /* commands that settled something, each of which may be about many tickets */
    uint64_t login_delay_ms; /* before a verdict may be told */
    bool keeps_logins;       /* LOGIN is not answered at once, but kept with the other commands */
};

/* A fresh session; the protocol header and start-ok sent; all of the handshake done and a channel open. */
struct rig *rig_create(void);
struct rig *rig_create_for(const struct session_peer *peer);
struct rig *rig_greet(enum rig_capability capability);
struct rig *rig_open(void);
struct rig *rig_open_with(enum rig_capability capability, uint32_t frame_max);

/* Lets the session end, whatever it is doing; checks that it does. */
void rig_destroy(struct rig *r);

/* The client says.  What the session does not take is kept, and offered again with what comes next. */
void rig_bytes(struct rig *r, struct bytes b);
void rig_frame(struct rig *r, uint8_t type, uint16_t channel, struct bytes payload);
void rig_send(struct rig *r, uint16_t channel, const union method *m);
void rig_send_bare(struct rig *r, uint16_t channel, enum method_id id);
void rig_header(struct rig *r, uint16_t channel, uint64_t size, struct bytes properties);
void rig_publish(struct rig *r, uint16_t channel, const char *key, struct bytes properties, const char *body);
void rig_feed_again(struct rig *r); /* offers what was kept */

/* Moves everything that waits: output is taken, the turn is over, commands come out. */
void rig_turn(struct rig *r);

/* What the client sees next.  frame: the next frame, its payload valid until the next call; false: nothing. */
bool rig_next(struct rig *r, struct frame *f);
void rig_expect(struct rig *r, uint16_t channel, enum method_id id, union method *m); /* m may be NULL */
void rig_expect_nothing(struct rig *r);
void rig_expect_close(struct rig *r, uint16_t channel, unsigned code, const char *text, enum method_id about);
void rig_expect_content(struct rig *r, uint16_t channel, struct bytes body); /* header and body frames */

/* The next command, which must be that one; the test owns what it owns.  No command must wait. */
struct command rig_command(struct rig *r, enum verb verb);
void rig_expect_no_command(struct rig *r);

/* The model says. */
void rig_event(struct rig *r, struct event *e);
void rig_answer_login(struct rig *r, const struct command *c); /* there is a user guest, and nobody else */
void rig_done(struct rig *r, const struct command *c);         /* with the spec that the command brought */
void rig_fail(struct rig *r, const struct command *c, enum reason reason, const char *text);
void rig_deliver(struct rig *r, uint16_t stream, uint32_t consumer, uint32_t slot, struct message *m); /* takes m */
void rig_confirm(struct rig *r, const struct command *publish, enum happening what);

/* The next command is that one, and the model carries it out. */
void rig_carry_out(struct rig *r, enum verb verb);

struct message *rig_message(const char *body);
struct bytes rig_no_properties(void);
#endif
