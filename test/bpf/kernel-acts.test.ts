/** This machine's own kernel runs the table of acts that the guests of the vm tier run (test/vm/guest). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { findHierarchy } from '../../src/container/cgroup-fs.js'
import { tryRungs } from '../../src/sensor/ladder.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { compileCalls } from '../support/call-acts.js'
import { removeCgroup } from '../support/cgroup.js'
import { countsOf, noteKernel } from '../support/kernel-results.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { verifierFaults } from '../support/verifier-counts.js'
import { ACTS } from '../vm/guest/act-table.js'

const skip = requires({
  root: true,
  commands: ['unshare', 'chroot', 'busybox', 'gcc'],
  files: ['/sys/kernel/btf/vmlinux'],
})
const RUN_MAX_MS = 180_000

describe('the table of acts on this kernel', { skip }, () => {
  test('every act is seen', async () => {
    const dir = makeTempDir('acts')
    const cgroup = `hullguard-test-acts-${process.pid}`
    try {
      const rootfs = await makeRootfs(join(dir, 'rootfs'))
      await compileCalls(join(rootfs, 'bin'))
      const env = {
        ...process.env,
        GUEST_EXPECTS: tryRungs().has('lsm') ? 'tracepoints' : 'lsm',
        GUEST_CGROUP: cgroup,
        GUEST_ROOT: rootfs,
      }
      const guest = join(findPackageRoot(), 'dist/test/vm/guest/acts.js')
      const run = spawnSync(process.execPath, [guest], { env, encoding: 'utf8', timeout: RUN_MAX_MS })
      const said = run.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
      assert.deepEqual(
        said.filter((line) => 'check' in line && line.ok !== true),
        [],
        run.stderr,
      )
      const hasNetworkHooks = findHierarchy().kind !== 'v1'
      const expected = ACTS.filter((row) => hasNetworkHooks || row.needsNetworkHooks !== true)
      assert.deepEqual(
        said.flatMap((line) => ('act' in line ? [line.act] : [])),
        expected.map(({ act }) => act),
      )
      noteKernel('development machine', said)
      assert.deepEqual(verifierFaults('development machine', countsOf(said)), [])
    } finally {
      await removeCgroup(`/${cgroup}`)
      await removeCgroup(`/${cgroup}-calls`)
      removeDir(dir)
    }
  })
})
