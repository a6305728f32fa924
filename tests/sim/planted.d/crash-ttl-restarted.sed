# file: broker/model/cold.c
# program: sim-crash
# what: what was loaded may stay as long as if it had just come
s/uint64_t left = end > b->now.wall_ms ? end - b->now.wall_ms : 0;/uint64_t left = le->ttl_ms;/
