/* What admin.c and request.c share, and nobody else looks into. */
#ifndef BROKER_ADMIN_STATE_H
#define BROKER_ADMIN_STATE_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/lane.h"
#include "base/list.h"
#include "base/slots.h"
#include "broker/admin/admin.h"
#include "broker/admin/identify.h"
#include "broker/port/batch.h"

struct collector;
struct event_base;
struct http;

enum { ADMIN_TLS_MAX = 4 };

enum admin_template {
    TEMPLATE_QUEUE,
    TEMPLATE_BACKING,
    TEMPLATE_VHOST,
    TEMPLATE_CONNECTION,
    TEMPLATE_CHANNEL,
    TEMPLATE_NODE,
    TEMPLATE_OVERVIEW,
    TEMPLATE_STILL,
    TEMPLATES
};

/* Somebody who has logged in lately. */
struct known {
    uint64_t hash, until_ms;
};

struct admin {
    struct admin_config config;
    struct event_base *base;             /* owned */
    struct http *http;                   /* owned */
    struct tls *tls[ADMIN_TLS_MAX];      /* a reference each: what the doors have, until it is read again */
    unsigned told_expiry[ADMIN_TLS_MAX]; /* tls_warn_expiry()'s */
    struct ticker *expiry_watch;         /* owned */
    unsigned n_tls;
    atomic_int_least64_t expiry; /* of the first of them that ends */
    bool has_answered_much;      /* memory is to be given back when that is written */
    unsigned scrapes;            /* of metrics of objects, under way */
    struct lane lane;
    struct lane *to;       /* borrowed: where commands go */
    const struct hub *hub; /* borrowed */
    struct ticker *watch;  /* owned: of the lane */
    struct outbox outbox;  /* this turn's commands */
    struct slots requests; /* struct request, owned */
    struct slots visits;   /* struct visit, owned (visit.h) */
    unsigned n_visits;
    struct list turns;            /* struct request: the first has its turn to change something, the others wait */
    json_t *templates[TEMPLATES]; /* owned: shape.c's */
    struct known known[IDENTIFY_KNOWN_MAX];
    struct collector *collector; /* owned */
    uint64_t started_ms;
    bool is_stopping;
    bool has_socket; /* in the file system */
    bool has_thread;
    pthread_t thread;
};
#endif
