# file: broker/model/cmd_publish.c
# what: a message comes back after its confirm
/^void command_publish/,/^}/{
s/bool taken = publish(b, c, s, &to);/if (confirm \&\& to.n == 0)\n        broker_tell(b, CONFIRMED, c->from)->cookie = c->cookie;\n    bool taken = publish(b, c, s, \&to);/
s/    if (!confirm)$/    if (!confirm || to.n == 0)/
}
