#include <stdio.h>

int main(void)
{
    puts("millrace " PACKAGE_VERSION);
    return 0;
}
