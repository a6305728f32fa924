# program: sim-store
# file: broker/store/checkpoint.c
# what: a checkpoint is in force when it is written
s/s->next\.number == 0 || s->next\.serial == 0 || s->next\.serial > s->synced_serial/s->next.number == 0 || !s->next.is_written/
