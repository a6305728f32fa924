# file: amqp/tx.c
# what: a rollback keeps the publishes
/^struct error \*tx_on_rollback/,/^}/{
/tx_drop(s, c);/d
/c->tx = alloc_zeroed/d
}
