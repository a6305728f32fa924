/* Replays corpora through one fuzz target: every file of the directories, and the files, that are its arguments.
 * Prints TAP, one line an argument. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_MAX = 1024 * 1024 };

/* The target gets a block of exactly the input's size, so that a sanitizer sees a byte read too far. */
static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    uint8_t *room = alloc(INPUT_MAX);
    size_t len = fread(room, 1, INPUT_MAX, file);
    bool read = !ferror(file);
    fclose(file);
    if (read) {
        uint8_t *input = alloc_copy(room, len);
        LLVMFuzzerTestOneInput(input, len);
        free(input);
    }
    free(room);
    return read;
}

/* Answers how many files were replayed, or -1 with errno set. */
static int replay_directory(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -1;
    int n = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL && n >= 0; entry = readdir(dir)) {
        char inner[PATH_MAX];
        struct stat st;
        int len = snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(inner) || stat(inner, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        n = replay_file(inner) ? n + 1 : -1;
    }
    closedir(dir);
    return n;
}

static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return -1;
    if (S_ISDIR(st.st_mode))
        return replay_directory(path);
    return replay_file(path) ? 1 : -1;
}

int main(int argc, char **argv)
{
    bool good = true;
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        /* Said before what it says of, so that a target that dies leaves the name of the corpus. */
        printf("# replaying %s\n", argv[i]);
        fflush(stdout);
        errno = 0;
        int n = replay(argv[i]);
        if (n > 0)
            printf("ok %d - %s: %d inputs\n", i, argv[i], n);
        else
            printf("not ok %d - %s: %s\n", i, argv[i], n == 0 ? "empty" : strerror(errno));
        good = good && n > 0;
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
