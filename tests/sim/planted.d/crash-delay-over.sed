# file: broker/model/delayed.c
# program: sim-crash
# what: what waited at an exchange is due as soon as there is a broker again
/^static int64_t due_of/,/^}/s/return now_of(b) + .*;/return now_of(b);/
