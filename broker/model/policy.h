/* Policies: options that administrators set for all queues or exchanges whose name fits (reference queue-features 8).
 *
 * They come and go as parameters (parameter.h).  To every object at most one policy applies, and at most one operator
 * policy; the two are a pair, which all objects share that have the same.  A policy never changes: a new one of its
 * name takes its place.  What policies there are is looked at again when the command that changed them is over, in a
 * pass over the virtual host (policy_refresh): of a large one a step sees a part, and what was not reached yet is as it
 * was.
 */
#ifndef BROKER_MODEL_POLICY_H
#define BROKER_MODEL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "broker/port/spec.h"

struct broker;
struct exchange;
struct pattern;
struct queue;
struct vhost;

enum {
    POLICY_FAILURES_MAX = 16, /* matches of one policy that may run into the pattern's limit of steps; all others … */
    POLICY_STEPS = 1000,      /* … have this limit: a pass looks at every queue */
};

enum policy_kind { POLICY_OF_USER, POLICY_OF_OPERATOR, POLICY_KINDS };

struct policy {
    struct link in_vhost;          /* on vhost->policies[kind]: by priority, the highest first, and name */
    struct list pairs;             /* those that it keeps: of a user's policy all, of an operator's those without one */
    struct spec *spec;             /* owned: the parameter's */
    struct bytes name, definition; /* views into spec */
    struct pattern *pattern;       /* owned; NULL: every name */
    int64_t priority;
    unsigned applies_to; /* a bit for each class of objects */
    unsigned refs;
    unsigned failures; /* of matches: then it does not apply */
    enum policy_kind kind;
    bool is_new;  /* since the last pass */
    bool is_gone; /* taken away, or replaced */
};

/* What applies to an object. */
struct policy_pair {
    struct link in_policy;
    struct policy *of[POLICY_KINDS]; /* shared; one of them may be NULL */
    struct bytes definition;         /* owned: both merged */
    struct queue_options options;    /* what it says; views into definition */
    unsigned refs;
};

/* Is that parameter a policy? */
bool policy_is_one(const struct spec *spec);

/* A policy of that virtual host from now on.  The parameter that it is of holds it, and drops it. */
struct policy *policy_add(struct broker *b, struct vhost *v, const struct spec *spec);
void policy_drop(struct broker *b, struct vhost *v, struct policy *p); /* v: NULL if it is gone */

/* The virtual host goes, before its parameters. */
void policy_forget_all(struct vhost *v);

/* Has the virtual host policies at all? */
bool policy_are_any(const struct vhost *v);

/* Looks for what applies: a queue gets its effective options, an exchange its alternate.  For one that is new, or has
 * become another type: all policies are looked at. */
void policy_apply_to_queue(struct broker *b, struct queue *q);
void policy_apply_to_exchange(struct broker *b, struct exchange *x);

/* The object goes; NULL is allowed. */
void policy_pair_unref(struct policy_pair *p);

/* All virtual hosts whose policies have changed look at their objects again, as far as the step may; is there such a
 * one, and may it? */
void policy_refresh(struct broker *b);
bool policy_must_refresh(const struct broker *b);

/* What a queue is like that was declared so, under these policies (reference queue-features 8.2, last column). */
void policy_merge_options(const struct queue_options *declared, const struct policy_pair *p, struct queue_options *out);

/* NULL: none. */
static inline const struct policy *policy_in_pair(const struct policy_pair *p, enum policy_kind kind)
{
    return p == NULL ? NULL : p->of[kind];
}
#endif
