/* Slows down who guesses passwords (reliability C4).
 *
 * A login that came in is judged, and the verdict is told later, at the time that throttle_judge() answers: who guesses
 * waits longer with every failure, and guesses that come side by side wait for one another, so that more connections
 * make no more guesses.  The time depends on what happened before this login and not on whether it is right, so that
 * hanging up early saves nothing: what counts is the place in the line, and that is taken when the login is judged.
 *
 * Failures are counted for three things, each with a score of one a failure, THROTTLE_SCORE_MAX at most, which halves
 * every THROTTLE_HALF_LIFE_MS (the time spent waiting does not count):
 *
 * - A pair, a user from a place: after THROTTLE_FREE failures the next one waits THROTTLE_STEP_MS, and twice as long
 *   with each, up to THROTTLE_MAX_MS.
 * - A place, whatever the user: in the same way, but one pair counts for THROTTLE_PAIR_SHARE at most.  So one client
 *   with an old password does not lock out all others on its machine or behind its router, while whoever tries user
 *   after user is slowed down as a place.
 * - A user, wherever from: in the same way, but logins do not wait for each other, and they wait
 *   THROTTLE_USER_MAX_MS at most unless their place or pair has used up its THROTTLE_FREE.  So who guesses a user's
 *   password from a thousand places is slowed down, and cannot lock that user out.
 *
 * The longest of the three counts.  Where a verdict would have to wait more than THROTTLE_MAX_MS, since too many are
 * before it, the login is refused at once, right or wrong, and counts for nothing.
 *
 * A login that is right takes back what its pair is guilty of, from the place's and the user's score too; what others
 * did there stays.
 *
 * Any thread; one mutex, held for some hash look-ups.  Time is an argument.  What is kept are hashes of places and
 * names, and it is bounded: of each kind those go first whose last failure is longest ago.
 */
#ifndef BROKER_NET_THROTTLE_H
#define BROKER_NET_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    THROTTLE_ENTRIES_MAX = 65536, /* half of them pairs, the others places and users */
    THROTTLE_FREE = 3,            /* failures */
    THROTTLE_MIN_MS = 200,        /* before any failure is told */
    THROTTLE_STEP_MS = 250,
    THROTTLE_MAX_MS = 30000,
    THROTTLE_USER_MAX_MS = 1000,
    THROTTLE_HALF_LIFE_MS = 60000,
    THROTTLE_SCORE_MAX = 16,
    THROTTLE_PAIR_SHARE = 2, /* less than THROTTLE_FREE */

    THROTTLE_LOG_BURST = 3, /* lines of a place at once, then one every so often */
    THROTTLE_LOG_EVERY_MS = 10000,
    THROTTLE_LOG_ALL_BURST = 100, /* the same for all places together */
    THROTTLE_LOG_ALL_EVERY_MS = 50
};

struct throttle;

struct throttle *throttle_create(uint64_t hash_seed); /* of bytes that nobody can guess */
void throttle_destroy(struct throttle *t);            /* NULL is allowed */

struct throttle_answer {
    bool is_refused;     /* say no now, whatever the password; the login was not counted */
    uint64_t tell_at_ms; /* say at that time what is_right said; not before */
};

/* A login came in at now_ms and was judged.  To be called once for each, in one go with the check of its password,
 * never with a wait in between.  place: as address_group() says it; user: as claimed, whether there is one or not;
 * is_right: may it log in?
 *
 * Includes THROTTLE_MIN_MS, for failures only; so count from when the login came in, which hides how long the check
 * took.  Whoever has no guilt and is right is told at now_ms. */
struct throttle_answer throttle_judge(struct throttle *t, struct bytes place, struct bytes user, bool is_right,
                                      uint64_t now_ms);

/* May a line about a failure from that place be logged?  If so, *suppressed is how many of the place were not since
 * the last that was. */
bool throttle_may_log(struct throttle *t, struct bytes place, uint64_t now_ms, unsigned *suppressed);

size_t throttle_count(struct throttle *t); /* entries, THROTTLE_ENTRIES_MAX at most */
#endif
