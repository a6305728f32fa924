# file: broker/model/cold.c
# program: sim-crash
# what: a load from before a purge brings back what was purged
s/^        if (!q->cold.is_stale)/        if (true)/
