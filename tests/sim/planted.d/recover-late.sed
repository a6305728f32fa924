# file: broker/model/cmd_consume.c
# what: redeliveries come before recover-ok
s/stream_requeue(b, s, false);/&\n    broker_finish(b);/
