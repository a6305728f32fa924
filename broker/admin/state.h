/* What admin.c and request.c share, and nobody else looks into. */
#ifndef BROKER_ADMIN_STATE_H
#define BROKER_ADMIN_STATE_H

#include <jansson.h>
#include <pthread.h>

#include "base/lane.h"
#include "base/list.h"
#include "base/slots.h"
#include "broker/admin/admin.h"
#include "broker/port/batch.h"

struct bufferevent;
struct collector;
struct evconnlistener;
struct event_base;
struct evhttp;

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

struct admin {
    struct admin_config config;
    struct event_base *base;                                /* owned */
    struct evhttp *http;                                    /* owned */
    struct evconnlistener *listener;                        /* owned by http */
    struct bufferevent *connections[ADMIN_CONNECTIONS_MAX]; /* a reference each */
    unsigned n_connections;
    unsigned answers;       /* that are not written yet */
    unsigned scrapes;       /* of metrics of objects, under way */
    bool has_answered_much; /* memory is to be given back when that is written */
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
    struct collector *collector;  /* owned */
    uint64_t started_ms;
    bool is_stopping;
    bool has_socket; /* in the file system */
    bool has_thread;
    pthread_t thread;
};
#endif
