# file: broker/model/consumer.c
# program: sim-crash
# what: what goes to a consumer that needs no acknowledgement stays on record
/^void consumer_deliver/,/^}/s/^        entry_end(b, e);/        entry_destroy(b, e);/
