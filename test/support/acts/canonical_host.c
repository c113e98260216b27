// SPDX-License-Identifier: Apache-2.0
/*
 * bpf/lib/canonical.h on the host: reads paths from standard input, each with a NUL at its end, and prints a line for each:
 * depth, had_dotdot, too_deep, truncated, and the canonical path in hexadecimal. Compiled by test/native/canonical.test.ts.
 */
#include <stdio.h>

#include "canonical.h"

int main(void)
{
	static struct canonical path;
	int byte;

	canonical__begin(&path);
	while ((byte = getchar()) != EOF) {
		if (byte != 0) {
			canonical__add(&path, (char)byte);
			continue;
		}
		canonical__finish(&path);
		printf("%u %d %d %d ", path.depth, path.had_dotdot, path.too_deep, path.truncated);
		for (unsigned int i = 0; i < path.length; i++)
			printf("%02x", (unsigned char)path.out[i]);
		printf("\n");
		canonical__begin(&path);
	}
	return 0;
}
