# program: sim-store
# file: broker/store/recover.c
# what: old bytes are taken for new: neither epochs nor new LSNs tell them apart
s/item\.epoch == g->epoch/true/g; s/if (s->lsn < r->seen)/if (false)/; s/if (r->highest >= s->next_segment)/if (false)/
