import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { bootGuest, kernelImage, makeInitramfs } from '../support/vm.js'

interface Check {
  check: string
  ok: boolean
  detail: unknown
}

const skip = requires({
  root: true,
  commands: ['qemu-system-x86_64', 'cpio', 'apt-get', 'dpkg', 'ldd'],
  files: ['/bin/busybox'],
})

describe('the probes on stock Debian kernels', { skip, concurrency: 1 }, () => {
  let dir = ''
  before(() => {
    dir = makeTempDir('vm')
  })
  after(() => removeDir(dir))

  for (const { series, cgroup } of [
    { series: '6.1', cgroup: 'v2' },
    { series: '6.12', cgroup: 'v2' },
    // Debian's 6.12 has no memory controller on v1 any more (CONFIG_MEMCG_V1).
    { series: '6.1', cgroup: 'v1' },
  ] as const) {
    test(`kernel ${series}, cgroup ${cgroup}: exec, fork, exit, connect, syscalls, memory, kill and deny`, async () => {
      const image = await makeInitramfs(dir, 'acts', cgroup)
      const { output } = await bootGuest(await kernelImage(series), image)
      // The firmware leaves escape sequences before the guest's first line.
      const lines = output.split('\n').flatMap((line) => /\{".*\}/.exec(line)?.[0] ?? [])
      const [facts, ...checks] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
      assert.match(String(facts?.kernel), new RegExp(`^${series.replace('.', '\\.')}\\.`))
      assert.equal(facts?.hierarchy, cgroup)
      const failed = (checks as unknown as Check[]).filter(({ ok }) => !ok)
      assert.deepEqual(failed, [], output.slice(-4000))
      assert.equal(checks.length, cgroup === 'v2' ? 15 : 13)
    })
  }
})
