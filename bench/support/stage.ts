/**
 * What the cases on a live host share: a scratch directory, the compiled producer, and a runc container in a cgroup of the
 * bench's own with the producer in it. Nothing outside that container and the producer itself is ever acted on.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { makeTempDir, removeDir, requires } from '../../test/support/process.js'
import { makeRootfs } from '../../test/support/rootfs.js'
import { type RuncContainer, runcRun } from '../../test/support/runc.js'
import { compilePrograms, Producer, type Program } from './producer.js'
import { CannotRun } from './row.js'

export interface BenchStage {
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
  const runcRoot = join(dir, 'runc')
  mkdirSync(runcRoot)
  const rootfs = await makeRootfs(join(dir, 'rootfs'), {
    copies: {
      '/bench/producer': programs.producer,
      '/bench/true': programs.true,
      ...Object.fromEntries(Object.entries(copies).map(([path, name]) => [path, programs[name]])),
    },
  })
  const container = await runcRun({ args: ['/bin/sleep', '86400'], rootfs, root: runcRoot })
  defer(() => container.remove())
  const inContainer = new Producer(container.execSpawn(['/bench/producer', 'serve']))
  defer(() => inContainer.end())
  return { dir, producerPath: programs.producer, container, runcRoot, inContainer }
}
