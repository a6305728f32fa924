# file: broker/model/cmd_consume.c
# what: redeliveries come before recover-ok
s/stream_requeue(b, s);/&\n    broker_finish(b);/
