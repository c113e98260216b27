/**
 * What the cases on a live host share: a scratch directory, the compiled producer, and a runc container in a cgroup of the
 * bench's own with the producer in it, and with the host's compiler mounted read-only. Nothing outside that container and the
 * producer itself is ever acted on.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeTempDir, removeDir, requires } from '../../test/support/process.js'
import { makeRootfs } from '../../test/support/rootfs.js'
import { type RuncContainer, runcRun } from '../../test/support/runc.js'
import { compilePrograms, Producer, type Program } from './producer.js'
import { CannotRun } from './row.js'

/** What a build compiles: in the scratch directory here, in /bench in the container. */
export const BUILD_SOURCE = 'built.c'
const BUILD_TEXT = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
int main(int count, char **words)
{
	qsort(words + 1, count - 1, sizeof(*words), compare);
	for (int i = 1; i < count; i++)
		printf("%s\\n", words[i]);
	return 0;
}
`
const COMPILER_MOUNTS = ['/usr', '/lib', '/lib64'].map((path) => ({ source: path, destination: path, readonly: true }))

export interface BenchStage {
  /** Holds `producer`, `true`, BUILD_SOURCE. */
  dir: string
  /** Of the host. */
  producerPath: string
  container: RuncContainer
  runcRoot: string
  /** A serving producer in the container. */
  inContainer: Producer
}

/** Throws CannotRun. `copies`: more programs for the container, path in it -> path here. */
export async function setUpStage(
  defer: (undo: () => unknown) => void,
  copies: Readonly<Record<string, Program>> = {},
): Promise<BenchStage> {
  const missing = requires({ root: true, commands: ['gcc', 'runc', 'busybox'], files: ['/sys/kernel/btf/vmlinux'] })
  if (missing !== false) throw new CannotRun(missing)
  const dir = makeTempDir('hullguard-bench')
  defer(() => removeDir(dir))
  const programs = await compilePrograms(dir)
  writeFileSync(join(dir, BUILD_SOURCE), BUILD_TEXT)
  const runcRoot = join(dir, 'runc')
  mkdirSync(runcRoot)
  const rootfs = await makeRootfs(join(dir, 'rootfs'), {
    files: { [`/bench/${BUILD_SOURCE}`]: BUILD_TEXT },
    copies: {
      '/bench/producer': programs.producer,
      '/bench/true': programs.true,
      ...Object.fromEntries(Object.entries(copies).map(([path, name]) => [path, programs[name]])),
    },
  })
  const container = await runcRun({ args: ['/bin/sleep', '86400'], rootfs, root: runcRoot, mounts: COMPILER_MOUNTS })
  defer(() => container.remove())
  const inContainer = new Producer(container.execSpawn(['/bench/producer', 'serve']))
  defer(() => inContainer.end())
  return { dir, producerPath: programs.producer, container, runcRoot, inContainer }
}
