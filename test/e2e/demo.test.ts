/** `hullguard demo` as a user runs it: real container, real agent, real kills, under runc and under Docker; nothing stays behind. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cgroupMounts } from '../support/cgroup.js'
import { type Dockerd, startDockerd } from '../support/dockerd.js'
import {
  isAlive,
  makeTempDir,
  pidsWithCommandLine,
  type RunResult,
  removeDir,
  requires,
  run,
  waitFor,
} from '../support/process.js'

const BIN = fileURLToPath(new URL('../../../bin/hullguard', import.meta.url))
/** The demo takes some 6 s; a loaded machine needs more. */
const DEMO_MS = 180_000
const skip = requires({ root: true, commands: ['runc', 'busybox'], files: ['/sys/kernel/btf/vmlinux'] })
const skipDocker = skip || requires({ commands: ['dockerd', 'docker'] })

describe('the demo', { skip }, () => {
  let temp = ''
  before(() => {
    temp = makeTempDir()
  })
  after(() => removeDir(temp))

  /** A host lock and a Docker socket of the test's own, and a temporary directory that shows what is left. */
  const args = (socket = join(temp, 'none.sock')) => [
    BIN,
    'demo',
    ...['--docker-socket', socket, '--host-lock', join(temp, 'host.lock')],
  ]
  const environment = () => ({ ...process.env, TMPDIR: temp })
  const demo = (socket?: string): Promise<RunResult> =>
    run(process.execPath, args(socket), { env: environment(), timeoutMs: DEMO_MS })

  test('stops all three bad acts under runc, says so in plain text when piped, and leaves nothing behind', async () => {
    const { code, stdout, stderr } = await demo()
    assert.equal(code, 0, stdout + stderr)
    assert.equal(stderr, '')
    assert.ok(!stdout.includes('\x1b'), 'a pipe gets no colour')
    assert.match(stdout, /^Container hullguard-demo-\d+ \(runc\)/m)
    assertActs(stdout)
    assertNothingLeft(temp, stdout)
  })

  test('ends with 130 on Ctrl-C in the middle, and still leaves nothing behind', async () => {
    const child = spawn(process.execPath, args(), { env: environment(), stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = once(child, 'close')
    const output = collect(child)
    await waitFor('the first act', () => output().includes('starts its web server'), DEMO_MS)
    child.kill('SIGINT')
    child.kill('SIGINT') // an impatient one changes nothing
    const [code] = (await closed) as [number | null]
    assert.equal(code, 130, output())
    assert.match(output(), /interrupted/)
    assertNothingLeft(temp, output())
  })

  test('says what is missing and ends with 3 where the kernel permits no BPF', {
    skip: requires({ commands: ['setpriv'] }),
  }, async () => {
    const result = await run('setpriv', ['--bounding-set=-all', '--inh-caps=-all', process.execPath, ...args()], {
      env: environment(),
      timeoutMs: DEMO_MS,
    })
    assert.equal(result.code, 3, result.stdout + result.stderr)
    assert.match(result.stderr, /HG2001/)
    assert.ok(!/\n {4}at /.test(result.stderr), 'no stack trace')
    assertNothingLeft(temp, result.stdout)
  })

  describe('with a Docker daemon', { skip: skipDocker }, () => {
    let daemon: Dockerd
    before(async () => {
      daemon = await startDockerd()
    })
    after(async () => {
      await daemon.stop()
    })

    test('stops all three bad acts in a Docker container, and removes container and image', async () => {
      const { code, stdout, stderr } = await demo(daemon.socket)
      assert.equal(code, 0, stdout + stderr)
      assert.match(stdout, /^Container hullguard-demo-\d+ \(docker\)/m)
      assertActs(stdout)
      assert.equal(await daemon.docker(['ps', '--all', '--quiet']), '')
      assert.equal(await daemon.docker(['image', 'ls', '--all', '--quiet']), '')
      assertNothingLeft(temp, stdout)
    })
  })
})

test('without root the demo says so and ends with 3', {
  skip: skip || requires({ commands: ['setpriv'] }),
}, async (t) => {
  const plain = ['--reuid=65534', '--regid=65534', '--clear-groups']
  const probe = await run('setpriv', [...plain, process.execPath, BIN, '--version'])
  if (probe.code !== 0) {
    t.skip('this checkout lies where only root can read')
    return
  }
  const { code, stderr } = await run('setpriv', [...plain, process.execPath, BIN, 'demo'])
  assert.equal(code, 3, stderr)
  assert.match(stderr, /root: only root may load BPF programs/)
})

function assertActs(stdout: string): void {
  for (const line of [
    /^ {2}seen +starts its web server +it ran +\/bin\/httpd/m,
    /^ {2}seen +fetches its own page +it ran: hello +connect to 127\.0\.0\.1:8080\/tcp/m,
    /^ {2}alerted +reads the kernel's log .*notice: does not read the kernel's log/m,
    /^ {2}stopped +runs nc +killed \(SIGKILL\) +killed before its first instruction by sched_process_exec: no netcat/m,
    /^ {2}stopped +calls 169\.254\.169\.254:80 +refused: Operation not permitted +connect refused by cgroup\/connect4/m,
    /^ {2}stopped +takes 128 MiB of memory +killed \(SIGKILL\) +killed after the fact by pidfd/m,
    /^ {2}\d+ events of the container recorded, [4-9] alerts, 0 events lost/m,
    /^All 3 bad acts were stopped\.$/m,
  ])
    assert.match(stdout, line)
}

/** No directory, cgroup or process of this demo. */
function assertNothingLeft(temp: string, stdout: string): void {
  assert.deepEqual(readdirSync(temp), [])
  assert.deepEqual(
    pidsWithCommandLine(temp).filter((pid) => isAlive(pid)),
    [],
  )
  const name = /hullguard-demo-\d+/.exec(stdout)?.[0]
  if (name === undefined) return // it had not come that far
  for (const mount of cgroupMounts().all) assert.ok(!existsSync(join(mount, name)), mount)
}

function collect(child: ChildProcess): () => string {
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return () => text
}
