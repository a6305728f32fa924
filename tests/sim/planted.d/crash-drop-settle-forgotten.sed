# file: broker/model/queue_ordinary.c
# program: sim-crash
# what: what expires or is dropped without a dead letter stays on record
/^void queue_die/,/^}/s/^        entry_end(b, e);/        entry_destroy(b, e);/
