# file: broker/model/delayed.c
# program: sim-crash
# what: what waited at an exchange waits as long once more
/^static int64_t due_of/,/^}/s/if (end <= b->now.wall_ms).*/if (end > 0)/
/^static int64_t due_of/,/^}/s/return now_of(b) - .*;/return now_of(b) + (int64_t)le->ttl_ms;/
