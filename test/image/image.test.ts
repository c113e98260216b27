/**
 * The Dockerfile, built for real on a Debian base made here (no registry is needed), and the image run as an operator would:
 * as a privileged container that watches its neighbours. The layers with the packages are kept in the cache folder.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { cacheDir, debianBaseTar, dropOthers, repoRoot, shortHash } from '../support/debian-base.js'
import { type Dockerd, startDockerd } from '../support/dockerd.js'
import { requires, uniqueName, waitFor } from '../support/process.js'

const BASE = 'hullguard-test/base:local'
const PACKAGES = 'hullguard-test/packages:local'
const IMAGE = 'hullguard-test/hullguard:local'
const BUILD_TIMEOUT_MS = 900_000
const IMPORT_TIMEOUT_MS = 300_000
/** From `docker run` to the first record: probes, collector, and the machine is busy with other tests, which go first. */
const WATCHING_TIMEOUT_MS = 300_000
/** Docker kills what has not ended by then. */
const STOP_TIMEOUT_S = 120

/** As at the head of the Dockerfile: the narrow form that can stand in for --privileged. */
const CAPABILITIES = ['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'KILL', 'DAC_READ_SEARCH']
const NARROW = [
  ...CAPABILITIES.map((name) => `--cap-add=${name}`),
  '--security-opt=seccomp=unconfined',
  '--security-opt=apparmor=unconfined',
]

/** --privileged asks for every capability; a machine that was itself denied one cannot grant that. */
function mayGrantAllCapabilities(): boolean {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  const lastCapability = BigInt(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8').trim())
  return BigInt(`0x${bounding}`) === (1n << (lastCapability + 1n)) - 1n
}

const AS_AGENT = [
  ...(mayGrantAllCapabilities() ? ['--privileged'] : NARROW),
  '--pid=host',
  '--cgroupns=host',
  '--volume=/:/host:ro',
]

const skip = requires({
  root: true,
  commands: ['dockerd', 'docker', 'debootstrap', 'busybox'],
  files: ['/sys/kernel/btf/vmlinux'],
})

/** What the layers of the stage `packages` are made of. */
function packagesKey(baseTar: string): string {
  const scripts = readdirSync(join(repoRoot, 'scripts/setup')).map((name) => join('scripts/setup', name))
  const files = ['Dockerfile', 'package.json', 'package-lock.json', 'scripts/setup.mjs', ...scripts.sort()]
  return shortHash([baseTar, ...files.map((file) => readFileSync(join(repoRoot, file)))])
}

/** CI's clone goes with its cache, unless the cache has a place of its own. */
const isCacheReused = process.env.CI !== 'true' || process.env.HULLGUARD_TEST_CACHE !== undefined

async function savePackages(docker: Dockerd, tar: string): Promise<void> {
  dropOthers('packages-')
  const own = `${tar}.${process.pid}`
  await docker.docker(['save', '--output', own, BASE, PACKAGES], { timeoutMs: IMPORT_TIMEOUT_MS })
  renameSync(own, tar)
}

describe('the container image', { skip, timeout: 2 * BUILD_TIMEOUT_MS }, () => {
  let docker: Dockerd

  const build = (tag: string, ...options: string[]): Promise<string> =>
    docker.docker(
      [
        'build',
        '--network=host',
        '--build-arg',
        `BASE=${BASE}`,
        '--cache-from',
        PACKAGES,
        '--tag',
        tag,
        ...options,
        repoRoot,
      ],
      { timeoutMs: BUILD_TIMEOUT_MS, env: { ...process.env, DOCKER_BUILDKIT: '0' } },
    )

  const inImage = (script: string): Promise<string> =>
    docker.docker(['run', '--rm', '--entrypoint', '/bin/sh', IMAGE, '-c', script])

  before(async () => {
    const baseTar = await debianBaseTar()
    docker = await startDockerd()
    const packagesTar = join(cacheDir(), `packages-${packagesKey(baseTar)}.tar`)
    if (existsSync(packagesTar)) {
      await docker.docker(['load', '--input', packagesTar], { timeoutMs: IMPORT_TIMEOUT_MS })
    } else {
      await docker.docker(['import', baseTar, BASE], { timeoutMs: IMPORT_TIMEOUT_MS })
      await build(PACKAGES, '--target', 'packages')
      if (isCacheReused) await savePackages(docker, packagesTar)
    }
    await build(IMAGE)
  })

  after(async () => {
    await docker?.stop()
  })

  test('says its version', async () => {
    const { version } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8')) as { version: string }
    assert.match(await docker.docker(['run', '--rm', IMAGE, '--version']), new RegExp(`(^|\\s)${version}$`))
  })

  test('holds what runs and nothing that builds or tests', async () => {
    const found = await inImage(
      'cd /opt/hullguard && ls -d dist/test dist/bench src bpf native node_modules/typescript 2>/dev/null; command -v clang g++; true',
    )
    assert.equal(found, '')
    const held = await inImage('cd /opt/hullguard && ls dist/bpf/hullguard.bpf.o dist/native/licenses/*.txt LICENSE')
    assert.match(held, /libbpf/)
  })

  test('loads the addon where neither libbpf nor libelf is installed', async () => {
    assert.equal(await inImage('ls /usr/lib/*/libbpf.so* /usr/lib/*/libelf.so* 2>/dev/null; true'), '')
    const load = `process.dlopen({ exports: {} }, '/opt/hullguard/dist/native/hullguard_native.node'); console.log('loaded')`
    assert.equal(await docker.docker(['run', '--rm', '--entrypoint', 'node', IMAGE, '-e', load]), 'loaded')
  })

  test('tells with doctor what this host lets it do', async () => {
    const done = await docker.tryDocker(['run', '--rm', ...AS_AGENT, IMAGE, 'doctor', '--json', '--host-root', '/host'])
    assert.ok(done.code === 0 || done.code === 1, done.stderr) // 1: it found something amiss and says it
    const report = JSON.parse(done.stdout) as { kernel: unknown; events: { event: string; rung: string }[] }
    assert.ok(report.kernel)
    assert.ok(
      report.events.some(({ event, rung }) => event === 'exec' && rung !== ''),
      done.stdout,
    )
  })

  test('sees from its own container what another container runs, by name and image, and ends cleanly', async () => {
    const neighbourImage = 'hullguard-test/neighbour:1'
    await docker.import(neighbourImage)
    const agent = uniqueName('hullguard-agent')
    const neighbour = uniqueName('neighbour')
    await docker.start(['--name', neighbour, neighbourImage, '/bin/sleep', '600'])
    const socketDir = ['--volume', `${docker.dir}:${docker.dir}:ro`]
    const command = ['run', '--host-root', '/host', '--docker-socket', docker.socket]
    await docker.start(['--name', agent, ...AS_AGENT, ...socketDir, IMAGE, ...command])
    let complaint = ''
    try {
      const marker = uniqueName('seen-by-hullguard')
      const record = await waitFor(
        'the exec in the other container to be recorded',
        async () => {
          await docker.docker(['exec', neighbour, '/bin/echo', marker])
          const args = ['exec', agent, 'hullguard', 'events', '--json', '--container', neighbour]
          const { code, stdout, stderr } = await docker.tryDocker(args)
          complaint = code === 0 ? '' : stderr // at first the collector may not be there yet
          const running = await docker.docker(['inspect', '--format', '{{.State.Running}}', agent])
          if (running !== 'true') throw new Error('the agent has ended')
          const lines = stdout.split('\n').filter((line) => line.includes(`"${marker}"`))
          return lines.map((line) => JSON.parse(line)).find(({ kind }) => kind === 'exec')
        },
        WATCHING_TIMEOUT_MS,
      )
      assert.equal(record.container.name, neighbour)
      assert.equal(record.container.image, neighbourImage)
      assert.equal(record.container.state, 'container')
      assert.deepEqual(record.process.args.slice(1), [marker])
    } catch (error) {
      const logs = await docker.tryDocker(['logs', '--tail', '40', agent])
      throw new Error(`${error instanceof Error ? error.message : error}\n${complaint}${logs.stdout}${logs.stderr}`)
    }
    await docker.docker(['stop', '--time', String(STOP_TIMEOUT_S), agent])
    assert.equal(await docker.docker(['inspect', '--format', '{{.State.ExitCode}}', agent]), '0')
  })
})
