# file: broker/model/active.c
# what: whoever comes to a queue with a single active consumer is given messages
s/    return !q->options->single_active_consumer || (q->active == c \&\& q->retiring == NULL);/    return c != NULL;/
