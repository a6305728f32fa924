# program: sim-store
# file: broker/store/journal.c
# what: what was written is called durable
s/s->written_position = s->position;/s->written_position = s->durable_position = s->position;/
