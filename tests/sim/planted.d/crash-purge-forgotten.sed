# file: broker/model/cold.c
# program: sim-crash
# what: the purge of what is cold is not recorded
s/^        remember_purge(b, q, c->from);/        (void)b;/
