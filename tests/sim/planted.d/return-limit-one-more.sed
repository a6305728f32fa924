# file: broker/model/queue.c
# what: a message comes back once more than it may
s/    if (e->deliveries > q->options->delivery_limit) {/    if (e->deliveries > q->options->delivery_limit + 1) {/
