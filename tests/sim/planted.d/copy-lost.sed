# file: broker/model/cmd_publish.c
# what: the first of several queues gets no copy
s/for (size_t i = 0; i + 1 < to->n; i++)/for (size_t i = 1; i + 1 < to->n; i++)/
