# file: broker/model/consumer.c
# what: the limit that consumers share does not hold
s/(c->no_ack || !stream_is_starved(c->stream)) &&/true \&\&/
s/if (!c->no_ack && stream_is_starved(c->stream))/if (false)/
