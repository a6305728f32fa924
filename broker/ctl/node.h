/* What the API says of the broker as a whole. */
#ifndef BROKER_CTL_NODE_H
#define BROKER_CTL_NODE_H

#include <jansson.h>
#include <stdio.h>

struct ctl;

struct node {
    json_t *overview; /* owned: /api/overview */
    json_t *node;     /* owned: the one of /api/nodes */
    json_t *memory;   /* owned: of /api/nodes/NAME/memory */
};

/* 0, or it has said what is wrong.  For node_fini() in any case. */
int node_load(struct ctl *c, struct node *n);
void node_fini(struct node *n);

/* The resources that are short: [{"node", "resource"}]; a new reference. */
json_t *node_alarms(const struct node *n);

/* The listeners as rabbitmqctl names them: [{"interface", "node", "port", "protocol", "purpose"}]; a new reference. */
json_t *node_listeners_of(const struct node *n);

/* A line for each listener: "Interface: [::], port: 5672, protocol: amqp, purpose: …", after `head`. */
void node_print_listeners(FILE *to, const struct node *n, const char *head);
#endif
