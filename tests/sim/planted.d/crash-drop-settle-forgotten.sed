# file: broker/model/queue.c
# program: sim-crash
# what: what expires or is dropped without a dead letter stays on record
/^static void queue_die/,/^}/s/^        entry_end(b, e);/        entry_destroy(b, e);/
