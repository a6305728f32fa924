/* Replays a fuzz target's corpus, as a TAP program: fuzz_x runs every file that it is given, or else every file of
 * tests/fuzz/corpus/x.  With libFuzzer (make fuzz) this file is left out. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void die(const char *what)
{
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(1);
}

static void replay(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (f == NULL || fstat(fileno(f), &st) != 0)
        die(path);
    size_t size = (size_t)st.st_size;
    uint8_t *bytes = malloc(size > 0 ? size : 1); /* exactly as large as the input: sanitizers see what reads beyond */
    if (bytes == NULL || fread(bytes, 1, size, f) != size)
        die(path);
    fclose(f);
    printf("# %s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay_folder(const char *name)
{
    const char *srcdir = getenv("srcdir");
    char folder[PATH_MAX / 2], path[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".", name);
    struct dirent **entries;
    int n = scandir(folder, &entries, is_input, alphasort);
    if (n < 0)
        die(folder);
    printf("1..1\n");
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        replay(path);
        free(entries[i]);
    }
    free((void *)entries);
    printf("%s 1 - %d inputs of %s\n", n > 0 ? "ok" : "not ok", n, name);
    return n > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        printf("1..1\n");
        for (int i = 1; i < argc; i++)
            replay(argv[i]);
        printf("ok 1 - %d inputs\n", argc - 1);
        return 0;
    }
    const char *name = strstr(argv[0], "fuzz_"), *next;
    while (name != NULL && (next = strstr(name + 1, "fuzz_")) != NULL)
        name = next;
    if (name == NULL) {
        fprintf(stderr, "which corpus is %s for?\n", argv[0]);
        return 2;
    }
    return replay_folder(name + strlen("fuzz_"));
}
