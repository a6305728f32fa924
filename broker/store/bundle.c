#include "broker/store/bundle.h"

#include <stdlib.h>

#include "base/alloc.h"

static void bundle_destroy(struct bundle *b)
{
    sheaf_fini(&b->sheaf);
    free(b);
}

void bundles_init(struct bundles *b)
{
    *b = (struct bundles){0};
    pthread_mutex_init(&b->lock, NULL);
}

void bundles_destroy(struct parcel *first)
{
    for (struct parcel *p = first, *next; p != NULL; p = next) {
        next = p->next;
        bundle_destroy(bundle_of(p));
    }
}

void bundles_fini(struct bundles *b)
{
    bundles_destroy(b->spare);
    bundles_destroy(b->shells);
    bundles_destroy(b->used);
    pthread_mutex_destroy(&b->lock);
}

/* All that are on their way back. */
static struct parcel *take_used(struct bundles *b)
{
    pthread_mutex_lock(&b->lock);
    struct parcel *used = b->used;
    b->used = NULL;
    b->n_used = 0;
    pthread_mutex_unlock(&b->lock);
    return used;
}

static void empty_used(struct bundles *b)
{
    for (struct parcel *p = take_used(b), *next; p != NULL; p = next) {
        struct bundle *back = bundle_of(p);
        next = p->next;
        if (back->sheaf.capacity > BUNDLE_RECORDS_SPARE || b->spares == BUNDLES_SPARE) {
            bundle_destroy(back);
            continue;
        }
        sheaf_clear(&back->sheaf);
        p->next = b->spare;
        b->spare = p;
        b->spares++;
    }
}

struct bundle *bundles_take(struct bundles *b)
{
    empty_used(b);
    struct parcel *p = b->spare;
    if (p != NULL) {
        b->spare = p->next;
        b->spares--;
        return bundle_of(p);
    }
    struct bundle *made = alloc_zeroed(sizeof *made);
    sheaf_init(&made->sheaf);
    return made;
}

void bundles_keep_shell(struct bundles *b, struct bundle *shell)
{
    if (b->n_shells == BUNDLES_SPARE) {
        bundle_destroy(shell);
        return;
    }
    shell->parcel.next = b->shells;
    b->shells = &shell->parcel;
    b->n_shells++;
}

void bundles_send_home(struct bundles *b, struct sheaf *sheaf)
{
    if (b->shells == NULL) {
        sheaf_fini(sheaf);
        return;
    }
    struct bundle *shell = bundle_of(b->shells);
    b->shells = shell->parcel.next;
    b->n_shells--;
    shell->sheaf = *sheaf;
    sheaf_init(sheaf);
    pthread_mutex_lock(&b->lock);
    bool is_kept = b->n_used < BUNDLES_SPARE;
    if (is_kept) {
        shell->parcel.next = b->used;
        b->used = &shell->parcel;
        b->n_used++;
    }
    pthread_mutex_unlock(&b->lock);
    if (!is_kept)
        bundle_destroy(shell);
}

void bundles_drop_used(struct bundles *b)
{
    bundles_destroy(take_used(b));
}
