/** Small static programs for containers, where no applet of busybox does what a test needs. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runOk } from './process.js'

/** Compiles C into DIR/NAME and returns that path. */
export async function compileStatic(dir: string, name: string, source: string): Promise<string> {
  const path = join(dir, name)
  writeFileSync(`${path}.c`, source)
  await runOk('cc', ['-static', '-O1', '-Wall', '-Werror', '-o', path, `${path}.c`])
  return path
}

/** connect-and-wait IP PORT: says whether the connect failed, and then does nothing more. */
export const CONNECT_AND_WAIT = `
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **values)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	if (count != 3) return 2;
	address.sin_port = htons(atoi(values[2]));
	inet_pton(AF_INET, values[1], &address.sin_addr);
	if (connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof(address)) != 0) perror("connect");
	sleep(60);
	return 0;
}
`
