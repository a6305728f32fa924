# program: sim-store
# file: broker/store/append.c
# what: what is stuck comes back after it was trimmed
s/if (p->place.position >= before.position)/if (p->place.position >= 0)/
