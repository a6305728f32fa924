# file: broker/model/deadletter.c
# what: a dead letter is sent twice
s/queue_publish(b, q, message_ref(letter));/{ queue_publish(b, q, message_ref(letter)); queue_publish(b, q, message_ref(letter)); }/
