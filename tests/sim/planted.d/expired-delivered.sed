# file: broker/model/queue_ordinary.c
# what: an expired message is delivered
/^struct entry \*queue_take/,/^}/s/if (head != NULL && head->expires_at <= b->now\.ms) {/if (false) {/
