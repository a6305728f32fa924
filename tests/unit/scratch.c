#define _GNU_SOURCE
#include "tests/unit/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/unit.h"

void scratch_make(char folder[SCRATCH_PATH_MAX], const char *name)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, SCRATCH_PATH_MAX, "%.40s/%.15s.XXXXXX", tmp != NULL ? tmp : "/tmp", name);
    assert_non_null(mkdtemp(folder));
}

int scratch_remove(const char *folder)
{
    DIR *d = opendir(folder);
    if (d == NULL)
        return -1;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        unlinkat(dirfd(d), e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    closedir(d);
    return rmdir(folder);
}
