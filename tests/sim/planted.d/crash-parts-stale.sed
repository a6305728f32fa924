# file: broker/model/log.c
# program: sim-crash
# steps: 3000
# what: parts of a stream that were defined too early stay defined
s/p->last_ms = LOG_UNKNOWN_MS;/p->last_ms = LOG_UNKNOWN_MS; l->n_stale = 0;/
