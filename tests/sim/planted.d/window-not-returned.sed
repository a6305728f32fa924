# file: amqp/session.c
# what: the model is never told what the socket took
s/s->window_bytes += output_wrote(&s->output, bytes);/output_wrote(\&s->output, bytes);/
