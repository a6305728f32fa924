# file: broker/model/consumer.c
# what: a consumer below its limit again is forgotten
s/if (!c->gone && !link_is_linked(&c->waiting))/if (!c->gone)\n        return;\n    else if (false)/
