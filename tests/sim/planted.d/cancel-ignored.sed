# file: broker/model/cmd_consume.c
# what: a cancelled consumer goes on
s/if (consumer != NULL && consumer->stream == s)/if (consumer != NULL \&\& consumer->stream != s)/
