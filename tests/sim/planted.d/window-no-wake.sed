# file: broker/model/outlet.c
# what: nobody is woken when a window opens again
s/if (o->window > 0)/if (o->window < 0)/
