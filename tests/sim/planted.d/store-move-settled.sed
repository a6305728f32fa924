# program: sim-store
# file: broker/store/image.c
# what: what is settled comes back when it is moved
/^static uint16_t \*gather_fates/,/^}/s/\*live = old->live;/*live = old->count;/; /^static uint16_t \*gather_fates/,/^}/s/if (fate & FATE_DEAD)/if (false)/; /^static uint16_t \*gather_fates/,/^}/s/fates\[p - m->first\] = fate;/fates[p - m->first] = fate \& ~FATE_DEAD;/
