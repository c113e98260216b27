import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { countsOf, noteKernel } from '../support/kernel-results.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { verifierFaults } from '../support/verifier-counts.js'
import { bootGuest, kernelImage, makeInitramfs } from '../support/vm.js'
import { ACTS } from './guest/act-table.js'

interface Check {
  check: string
  ok: boolean
  detail: unknown
}

/** Each at most 4 minutes, 30 s as a rule; those that refuse are over as soon as they have said why. */
const BOOTS: readonly Boot[] = [
  boot('5.10', '5.10', { expects: 'refusal', checks: 1 }),
  boot('6.1', '6.1'),
  // Debian's 6.12 has no memory controller on v1 any more (CONFIG_MEMCG_V1).
  boot('6.1, cgroup v1', '6.1', {
    cgroup: 'v1',
    checks: 17 + ACTS.filter(({ needsNetworkHooks }) => needsNetworkHooks !== true).length,
  }),
  boot('6.12', '6.12'),
  boot('6.12, bpf not among the LSMs', '6.12', {
    expects: 'tracepoints',
    append: 'lsm=landlock,lockdown,yama,integrity,apparmor',
  }),
  boot('6.12, lockdown=confidentiality', '6.12', {
    expects: 'refusal',
    append: 'lockdown=confidentiality',
    checks: 1,
  }),
]

const skip = requires({
  root: true,
  commands: ['qemu-system-x86_64', 'gcc', 'cpio', 'apt-get', 'dpkg', 'ldd'],
  files: ['/bin/busybox'],
})

describe('the probes on stock Debian kernels', { skip, concurrency: 1 }, () => {
  let dir = ''
  before(() => {
    dir = makeTempDir('vm')
  })
  after(() => removeDir(dir))

  for (const boot of BOOTS) {
    test(`kernel ${boot.name}`, async () => {
      const image = await makeInitramfs(dir, 'acts', boot.cgroup)
      const append = [`guest.expects=${boot.expects}`, boot.append].join(' ')
      const { output, deaths } = await bootGuest(await kernelImage(boot.series), image, append)
      if (deaths.length > 0) console.log(`# ${boot.name}: ${deaths.length} dead guest kernels before this run`)
      // The firmware leaves escape sequences before the guest's first line.
      const lines = output.split('\n').flatMap((line) => /\{".*\}/.exec(line)?.[0] ?? [])
      const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
      const [facts] = said
      assert.match(String(facts?.kernel), new RegExp(`^${boot.series.replace('.', '\\.')}\\.`))
      assert.equal(facts?.hierarchy, boot.cgroup)
      const checks = said.filter((line): line is Record<string, unknown> & Check => 'check' in line)
      assert.deepEqual(
        checks.filter(({ ok }) => !ok),
        [],
        output.slice(-4000),
      )
      assert.equal(checks.length, boot.checks)
      noteKernel(boot.name, said)
      if (boot.expects !== 'refusal') assert.deepEqual(verifierFaults(boot.name, countsOf(said)), [])
    })
  }
})

interface Boot {
  name: string
  series: string
  cgroup: 'v1' | 'v2'
  /** lsm: the top rung works; tracepoints: all but it; refusal: the probes cannot be loaded, and say why. */
  expects: 'lsm' | 'tracepoints' | 'refusal'
  append: string
  checks: number
}

function boot(name: string, series: string, rest: Partial<Boot> = {}): Boot {
  return { name, series, cgroup: 'v2', expects: 'lsm', append: '', checks: 19 + ACTS.length, ...rest }
}
