import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { messageOf } from '../../src/telemetry/errors.js'
import { countsOf, noteKernel } from '../support/kernel-results.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { verifierFaults } from '../support/verifier-counts.js'
import { bootGuest } from '../support/vm.js'
import { arm64Files, makeInitramfs, ownFiles } from '../support/vm-initramfs.js'
import { arm64Programs, type GuestArch, kernelImage } from '../support/vm-packages.js'
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
    checks: 45 + ACTS.filter(({ needsNetworkHooks }) => needsNetworkHooks !== true).length,
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

/** bpf LSM programs attach as fentry programs do, which arm64's kernels have since 6.4: docs/kernels.md shows both sides. */
const ARM64_BOOTS: readonly Boot[] = [
  boot('6.1, arm64', '6.1', {
    arch: 'arm64',
    expects: 'tracepoints',
    checks: 49 + ACTS.filter(({ needsUses }) => needsUses !== true).length,
  }),
  boot('6.12, arm64', '6.12', { arch: 'arm64', checks: 49 + ACTS.length }),
]

const commands = ['cpio', 'apt-get', 'dpkg']
const onX64 = process.arch === 'x64' ? false : 'needs an x86-64 machine: its own programs run in the guests'
const skip =
  onX64 ||
  requires({ root: true, commands: ['qemu-system-x86_64', 'gcc', 'ldd', ...commands], files: ['/bin/busybox'] })
const skipArm64 =
  onX64 || requires({ root: true, commands: ['qemu-system-aarch64', 'aarch64-linux-gnu-g++', ...commands] })

describe('the probes on stock Debian kernels', { concurrency: availableParallelism() }, () => {
  let dir = ''
  const guests = new Map<string, Promise<string>>()
  before(() => {
    dir = makeTempDir('vm')
  })
  after(() => removeDir(dir))

  /** One of a kind, made when it is first asked for. */
  function initramfsFor({ arch, cgroup }: Boot): Promise<string> {
    const kind = `${arch}-${cgroup}`
    const made = guests.get(kind) ?? makeGuest(arch, cgroup, join(dir, kind))
    guests.set(kind, made)
    return made
  }

  // those of arm64 take the longest, and the first of them fetches what all need: while another one boots
  for (const boot of [...BOOTS.slice(1, 2), ...ARM64_BOOTS, ...BOOTS.slice(0, 1), ...BOOTS.slice(2)]) {
    test(`kernel ${boot.name}`, { skip: boot.arch === 'arm64' ? skipArm64 : skip }, async (context) => {
      const lacking = boot.arch === 'arm64' ? await lackingOfArm64() : ''
      if (lacking !== '') context.skip(lacking)
      else await runBoot(boot, await kernelImage(boot.series, boot.arch), await initramfsFor(boot))
    })
  }
})

async function makeGuest(arch: GuestArch, cgroup: Boot['cgroup'], dir: string): Promise<string> {
  mkdirSync(dir)
  return makeInitramfs(dir, 'acts', cgroup, await (arch === 'arm64' ? arm64Files(dir) : ownFiles(dir)))
}

/** Why there are no packages of arm64 here: then its tests are skipped, but not in CI. */
async function lackingOfArm64(): Promise<string> {
  try {
    await arm64Programs()
    for (const { series, arch } of ARM64_BOOTS) await kernelImage(series, arch)
    return ''
  } catch (error) {
    if (process.env.CI === 'true') throw error
    const said = messageOf(error)
    return `needs Debian's packages of arm64: ${/^E: .*/m.exec(said)?.[0] ?? said}`
  }
}

async function runBoot(boot: Boot, kernel: string, initramfs: string): Promise<void> {
  const append = [`guest.expects=${boot.expects}`, boot.append].join(' ')
  const { output, deaths } = await bootGuest({ arch: boot.arch, kernel, initramfs, append })
  if (deaths.length > 0) console.log(`# ${boot.name}: ${deaths.length} dead guest kernels before this run`)
  // The firmware leaves escape sequences before the guest's first line.
  const lines = output.split('\n').flatMap((line) => /\{".*\}/.exec(line)?.[0] ?? [])
  const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const [facts] = said
  assert.match(String(facts?.kernel), new RegExp(`^${boot.series.replace('.', '\\.')}\\..*-${boot.arch}$`))
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
}

interface Boot {
  name: string
  arch: GuestArch
  series: string
  cgroup: 'v1' | 'v2'
  /** lsm: the top rung works; tracepoints: all but it; refusal: the probes cannot be loaded, and say why. */
  expects: 'lsm' | 'tracepoints' | 'refusal'
  append: string
  checks: number
}

function boot(name: string, series: string, rest: Partial<Boot> = {}): Boot {
  return { name, arch: 'amd64', series, cgroup: 'v2', expects: 'lsm', append: '', checks: 48 + ACTS.length, ...rest }
}
