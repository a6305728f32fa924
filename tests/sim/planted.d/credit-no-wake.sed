# file: broker/model/outlet.h
# what: nobody is woken when the shared limit has room again
s/if (!list_is_empty(&s->starved) && !stream_is_starved(s))/if (false)/
