#include "ring.h"

#include <stdlib.h>
#include <string.h>

struct ring {
    char *data;
    size_t size, head, used;
};

/* Returns NULL where there is not enough memory (or size is 0). */
struct ring *ring_new(size_t size) {
    struct ring *ring = size ? calloc(1, sizeof *ring) : NULL;
    if (ring == NULL) {
        return NULL;
    }
    ring->data = malloc(size);
    ring->size = size;
    return ring;
}

size_t ring_write(struct ring *ring, const char *from, size_t count) {
    size_t written = 0;
    while (written < count && ring->used < ring->size) {
        size_t at = (ring->head + ring->used) % ring->size;
        ring->data[at] = from[written++];
        ring->used++;
    }
    return written;
}

int ring_find(const struct ring *ring, char wanted) {
    for (size_t i = 0; i < ring->used; i++) {
        char c = ring->data[(ring->head + i) % ring->size];
        if (c == wanted || (c == '\'' && wanted == '"')) {
            return (int)i;
        }
    }
    return -1; /* not found */
}

void ring_print(const struct ring *ring) {
    printf("%zu of %zu bytes: \"%.*s\"\n", ring->used, ring->size, (int)ring->used, ring->data + ring->head);
}
