# program: sim-store
# file: broker/store/image.c
# what: a trim takes the message at its position, too
s/queue_spot(q, i)->position < before; i++)/queue_spot(q, i)->position <= before; i++)/
