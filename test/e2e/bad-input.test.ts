/** Bad input and a hostile surrounding: a clear message with the right exit code, or a stated degraded mode; nothing lost. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord, Lane } from '../../src/record/model.js'
import { freePort } from '../support/free-port.js'
import {
  agentArgs,
  HULLGUARD,
  hullguard,
  policyFile,
  Running,
  scratchDir,
  startRun,
  storedEvents,
} from '../support/hullguard.js'
import { type RunResult, requires, run, runOk, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox', 'setpriv', 'unshare', 'mount'] })

/** Refused in words: the exit code, what is wrong, and no stack trace. */
function assertRefused(result: RunResult, code: number, ...messages: readonly RegExp[]): void {
  assert.equal(result.code, code, `exit status ${result.code ?? result.signal}\n${result.stderr}`)
  for (const message of messages) assert.match(result.stderr, message)
  assert.doesNotMatch(result.stderr, /^ +at .*:\d+/m)
  assert.doesNotMatch(result.stderr, /internal error/)
}

const GOOD = `policy: good
containers: all
rules:
  - rule: one
    exec: { deny: [hgtest-none] }
`

/** Where each test is a short run of its own, as many of them at once. */
const concurrency = availableParallelism()

describe('policies that cannot be used', { skip, concurrency }, () => {
  const cases: readonly { what: string; text: string | Uint8Array; place: string; message: RegExp }[] = [
    {
      what: 'a misspelt key',
      text: GOOD.replace('containers', 'container'),
      place: ':2:1',
      message: /`container`(.*\n)*.*did you mean `containers`/,
    },
    { what: 'an unknown key', text: `${GOOD}    colour: red\n`, place: ':6:5', message: /`colour`/ },
    { what: 'a misspelt action', text: `${GOOD}    action: kil\n`, place: ':6:13', message: /`kil`/ },
    { what: 'a wrong type', text: GOOD.replace('[hgtest-none]', '7'), place: ':5:19', message: /7/ },
    {
      what: 'a rule name twice',
      text: `${GOOD}  - rule: one\n    exec: { deny: [x] }\n`,
      place: ':6:11',
      message: /`one`/,
    },
    { what: 'a policy name twice', text: `${GOOD}---\n${GOOD}`, place: ':7:9', message: /`good`/ },
    { what: 'broken YAML', text: GOOD.replace('[hgtest-none]', '[hgtest-none'), place: ':', message: /HG3004/ },
    {
      what: 'binary junk',
      text: Uint8Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256),
      place: '',
      message: /HG3003/,
    },
    { what: 'a file of 10 MB', text: `# ${'x'.repeat(10_000_000)}\n${GOOD}`, place: '', message: /HG3002/ },
    { what: 'an empty file', text: '', place: '', message: /HG3018/ },
  ]
  for (const { what, text, place, message } of cases) {
    test(`${what} is refused with its place`, async () => {
      const path = policyFile(text)
      const result = await hullguard(['policy', 'check', path])
      assertRefused(result, 1, message)
      assert.ok(result.stderr.includes(`${path}${place}`), result.stderr)
      assert.ok(result.stderr.length < 4000, 'a screenful at most')
      const { stdout } = await hullguard(['policy', 'check', '--json', path])
      const { refused } = JSON.parse(stdout) as {
        refused: { file: string; code: string; line: number; reason: string }[]
      }
      assert.equal(refused[0]?.file, path)
      assert.match(refused[0].code, /^HG3\d{3}$/)
      assert.ok(refused[0].line >= 1)
    })
  }

  test('an agent does not start with them, and puts nothing in force', async () => {
    const [good, bad] = [policyFile(GOOD), policyFile(GOOD.replace('exec', 'exce'))]
    const result = await hullguard(['run', ...agentArgs(scratchDir(), { policies: [good, bad] })])
    assertRefused(result, 1, /`exce`/, /\^/, /nothing was put in force/)
  })

  test('a policy that is not there is named', async () => {
    const path = join(scratchDir(), 'absent.yaml')
    assertRefused(
      await hullguard(['run', ...agentArgs(scratchDir(), { policies: [path] })]),
      1,
      /absent\.yaml/,
      /HG3001/,
    )
  })
})

describe('command lines and configurations that cannot be used', { skip, concurrency }, () => {
  const data = scratchDir()
  const cases: readonly [string, readonly string[], RegExp][] = [
    ['an unknown flag', ['run', '--colour'], /--colour/],
    ['an unknown command', ['rnu'], /rnu.*(\n.*)*run/],
    [
      'a mode that is none',
      ['run', '--data-dir', data, '--mode', 'kill'],
      /--mode: expected one of observe, block, received "kill"/,
    ],
    [
      'a ring size that the kernel cannot make',
      ['run', '--data-dir', data, '--ring-size', '3'],
      /--ring-size: expected a power of two/,
    ],
    [
      'an activity class that is none',
      ['run', '--data-dir', data, '--activity', 'dreams'],
      /--activity: expected any of process/,
    ],
    ['an agent without a collector', ['agent', '--data-dir', data], /--collector HOST:PORT is needed/],
    [
      'a collector address that is none',
      ['agent', ...agentArgs(scratchDir(), {}), '--collector', 'nowhere'],
      /HOST:PORT.*`nowhere`/,
    ],
    [
      'listening in the clear beyond this host',
      ['collector', '--data-dir', scratchDir(), '--listen', '0.0.0.0:0'],
      /--insecure/,
    ],
    [
      'a metrics address that is none',
      ['run', ...agentArgs(scratchDir(), {}), '--metrics', '99999'],
      /--metrics: expected HOST:PORT/,
    ],
    ['a record kind that is none', ['events', '--data-dir', data, 'exce'], /`exce`.*exec/],
    ['a time that is none', ['events', '--data-dir', data, '--since', 'yesterday'], /--since: expected an age/],
    ['a limit that is none', ['events', '--data-dir', data, '--limit', '-1'], /--limit/],
    [
      'a mode to switch to that is none',
      ['mode', 'kill', '--data-dir', data],
      /expected observe or block, received `kill`/,
    ],
    [
      'a configuration that is not there',
      ['run', '--config', '/nonexistent.yaml'],
      /cannot read the configuration \/nonexistent\.yaml/,
    ],
    [
      'a configuration with an unknown key',
      ['run', '--config', policyFile('colour: red\n', 'config.yaml')],
      /no option `colour`/,
    ],
    [
      'a configuration that is no mapping',
      ['run', '--config', policyFile('- a\n', 'config.yaml')],
      /expected `option: value`/,
    ],
    [
      'a configuration with a bad value',
      ['run', '--config', policyFile('ring-size: big\n', 'config.yaml')],
      /ring-size: expected a whole number above 0, received "big"/,
    ],
  ]
  for (const [what, args, message] of cases) {
    test(`${what} is refused with exit status 2`, async () => {
      assertRefused(await hullguard(args), 2, message)
    })
  }

  test('a value from the environment is named by its variable', async () => {
    const env = { ...process.env, HULLGUARD_MODE: 'kill' }
    assertRefused(await hullguard(['run', '--data-dir', data], { env }), 2, /HULLGUARD_MODE: expected one of/)
  })
})

describe('stores that cannot be read', { skip }, () => {
  test('a data directory without a store', async () => {
    assertRefused(await hullguard(['events', '--data-dir', scratchDir()]), 3, /HG4004/)
  })

  test('a store that is junk: events, the collector and run say so, and leave it as it is', async () => {
    const dataDir = scratchDir()
    const collector = new Running(['collector', '--data-dir', dataDir, '--listen', '127.0.0.1:0'])
    await collector.waitForLog('collecting')
    assert.equal((await collector.stop()).code, 0)
    const dir = join(dataDir, 'store')
    for (const name of readdirSync(dir).filter((one) => one.startsWith('records.')))
      writeFileSync(join(dir, name), 'junk '.repeat(5000))
    assertRefused(await hullguard(['events', '--data-dir', dataDir]), 3, /HG4002/)
    assertRefused(await hullguard(['collector', '--data-dir', dataDir, '--listen', '127.0.0.1:0']), 3, /HG4002/)
    assertRefused(await hullguard(['run', ...agentArgs(dataDir, {})]), 3, /HG4002/, /HG4008/)
    assert.equal(readFileSync(join(dir, 'records.db'), 'utf8'), 'junk '.repeat(5000))
  })

  test('no agent to switch, no collector to ask, an address that is taken', async () => {
    assertRefused(await hullguard(['mode', 'observe', '--data-dir', scratchDir()]), 3, /no agent is running/)
    const port = await freePort()
    assertRefused(await hullguard(['events', '--collector', `127.0.0.1:${port}`]), 3, /HG4006/)
    const server = await listen(() => {}, port)
    try {
      const args = ['collector', '--data-dir', scratchDir(), '--listen', `127.0.0.1:${port}`]
      assertRefused(await hullguard(args), 3, /HG4005/)
    } finally {
      server.close()
    }
  })
})

describe('hosts on which it cannot run', { skip }, () => {
  test('a file in place of the data directory, and a read-only one', async () => {
    const file = policyFile('')
    const lock = join(scratchDir(), 'lock')
    assertRefused(await hullguard(['run', ...agentArgs(file, { hostLock: lock })]), 3, /HG1003/)
    const dir = scratchDir()
    await runOk('mount', ['--bind', dir, dir])
    try {
      await runOk('mount', ['-o', 'remount,ro,bind', dir])
      assertRefused(await hullguard(['run', ...agentArgs(dir, { hostLock: lock })]), 3, /HG1003/, /read-only/)
      assertRefused(await hullguard(['run', ...agentArgs(dir, {})]), 3, /HG1003/, /lock/)
      const args = ['collector', '--data-dir', dir, '--listen', '127.0.0.1:0']
      assertRefused(await hullguard(args), 3, /HG1003/)
    } finally {
      await runOk('umount', [dir])
    }
  })

  test('without privilege it says what is missing', async () => {
    // As nobody where nobody can read the checkout; else as a root that has no capability.
    const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups']
    const canRead = (await run('setpriv', [...nobody, 'cat', HULLGUARD])).code === 0
    const who = canRead ? nobody : ['--inh-caps', '-all', '--bounding-set', '-all', '--ambient-caps', '-all']
    const dir = scratchDir()
    if (canRead) await runOk('chown', ['65534:65534', dir])
    const result = await run('setpriv', [...who, process.execPath, HULLGUARD, 'run', ...agentArgs(dir, {})])
    assertRefused(result, 3, /HG2001/, /CAP_BPF/)
    const doctor = await run('setpriv', [...who, process.execPath, HULLGUARD, 'doctor', '--json'])
    assert.equal(doctor.code, 1, doctor.stderr)
    const { capabilities } = JSON.parse(doctor.stdout) as { capabilities: { missing: string[] } }
    assert.ok(capabilities.missing.includes('CAP_BPF'), capabilities.missing.join(', '))
  })

  test('a kernel without BTF', async () => {
    const command = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
    const args = ['--mount', 'sh', '-c', command, 'sh', process.execPath, HULLGUARD, 'run']
    assertRefused(await run('unshare', [...args, ...agentArgs(scratchDir(), {})]), 3, /HG2002/, /CONFIG_DEBUG_INFO_BTF/)
  })

  test('a second agent on the host, or on the data directory, names the first', async () => {
    const host = await startRun()
    try {
      const lock = join(host.dataDir, 'host.lock')
      const same = await hullguard(['run', ...agentArgs(scratchDir(), { hostLock: lock })])
      assertRefused(same, 3, /HG1004/, new RegExp(`pid ${host.pid}\\b`))
      const beside = await hullguard(['run', ...agentArgs(host.dataDir, { hostLock: join(scratchDir(), 'lock') })])
      assertRefused(beside, 3, /HG1004/, new RegExp(`\\b${host.pid}\\b`))
      assert.equal((await host.mode('observe')).code, 0, 'the first one goes on, and answers')
    } finally {
      assert.equal((await host.stop()).code, 0)
    }
  })
})

function listen(onBytes: (write: (text: string) => void) => void, port = 0): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', () => onBytes((text) => socket.write(text)))
    })
    server.on('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

const addressOf = (server: Server) => {
  const address = server.address()
  return typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : ''
}

describe('degraded, and said so', { skip }, () => {
  const root = scratchDir()
  const name = uniqueName('worker')
  let rootfs: string
  let container: RuncContainer
  const running: Running[] = []
  const start = (args: readonly string[]) => {
    const one = new Running(args)
    running.push(one)
    return one
  }
  const ofAgent = (records: readonly HullguardRecord[], change: string) =>
    records.flatMap(({ agentChange }) => (agentChange?.change === change ? [agentChange.message] : []))

  before(async () => {
    rootfs = await makeRootfs(scratchDir())
    container = await runcRun({ rootfs, root, id: name, args: ['/bin/sleep', '3600'] })
  })
  after(async () => {
    for (const one of running) if (!one.hasEnded) await one.kill()
    await container?.remove()
  })

  test('collectors that are down, silent or talk nonsense: nothing is lost, and the next one in the list gets all', async () => {
    const silent = await listen(() => {})
    const nonsense = await listen((write) =>
      write('HTTP/1.1 500 Nonsense\r\ncontent-length: 5\r\n\r\n\u0000\u0001\u0002\u0003\n'),
    )
    const [dataDir, storeDir] = [scratchDir(), scratchDir()]
    const [down, real] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
    const collectors = [down, addressOf(nonsense), addressOf(silent), real].join(',')
    const agent = start(['agent', ...agentArgs(dataDir, { runcRoot: root, args: ['--collector', collectors] })])
    try {
      await agent.waitForLog('watching')
      await agent.waitForLog('no collector')
      assert.equal((await container.exec(['sh', '-c', 'exit 9'])).code, 9)
      const tried = new Set<Server>()
      for (const server of [silent, nonsense]) server.on('connection', () => tried.add(server))
      await waitFor('each of them to be tried', () => tried.size === 2, 60_000)
      const collector = start(['collector', '--listen', real, '--data-dir', storeDir])
      await agent.waitForLog('the collector takes records', 60_000)
      const isDown = (message: string) => message.startsWith('collector: no collector')
      const records = await waitFor('the records', async () => {
        const found = await storedEvents(storeDir)
        const hasAct = found.some(({ process }) => process?.args[2] === 'exit 9')
        return hasAct && ofAgent(found, 'degraded').some(isDown) && found
      })
      assert.deepEqual(
        records.filter(({ kind }) => kind === 'gap'),
        [],
      )
      await waitFor('the recovery', async () =>
        ofAgent(await storedEvents(storeDir), 'recovered').some((message) => message.includes(real)),
      )
      assert.equal((await agent.stop()).code, 0)
      assert.equal((await collector.stop()).code, 0)
      assert.doesNotMatch(agent.stderr, /^ +at .*:\d+/m)
    } finally {
      silent.close()
      nonsense.close()
    }
  })

  test('a full disk under the spool is on record, ends when there is room, and every record is stored or in a gap', async () => {
    const [dataDir, storeDir] = [scratchDir(), scratchDir()]
    await runOk('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', dataDir])
    try {
      const address = `127.0.0.1:${await freePort()}`
      const lock = join(scratchDir(), 'lock')
      const options = { runcRoot: root, hostLock: lock, args: ['--collector', address] }
      const agent = start(['agent', ...agentArgs(dataDir, options)])
      await agent.waitForLog('watching')
      const filler = join(dataDir, 'filler')
      await run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']) // until the disk is full
      const load = 'n=0; while [ $n -lt 400 ]; do /bin/true; n=$((n+1)); done'
      assert.equal((await container.exec(['sh', '-c', load])).code, 0)
      await agent.waitForLog('the spool cannot be written')
      rmSync(filler)
      await agent.waitForLog('the spool takes records again')
      start(['collector', '--listen', address, '--data-dir', storeDir])
      await agent.waitForLog('the collector takes records', 60_000)
      const stopped = await agent.stop()
      assert.equal(stopped.code, 0)
      assert.match(stopped.stderr, /"delivered":true/)
      const records = await storedEvents(storeDir)
      assert.ok(
        ofAgent(records, 'degraded').some((message) => /^spool: the spool cannot be written: .*ENOSPC/.test(message)),
      )
      assert.ok(ofAgent(records, 'recovered').some((message) => message.startsWith('spool:')))
      for (const lane of ['alert', 'activity'] as const) assertAccounted(records, lane)
      const isTrue = ({ kind, container: { id }, process }: HullguardRecord) =>
        kind === 'exec' && id === container.id && process?.args[0] === '/bin/true'
      const seen = records.filter(isTrue).length
      const hasGap = records.some(({ gap, lane }) => gap?.source === 'spool' && lane === 'activity')
      assert.ok(hasGap ? seen <= 400 : seen === 400, `${seen} of 400 programs, ${hasGap ? 'with' : 'without'} a gap`)
    } finally {
      for (const one of running) if (!one.hasEnded) await one.kill()
      await runOk('umount', [dataDir])
    }
  })
})

/** Each number from 1 to the last is either a record or within exactly one gap record. */
function assertAccounted(records: readonly HullguardRecord[], lane: Lane): void {
  const covered = new Set<bigint>()
  const take = (seq: bigint) => {
    assert.ok(!covered.has(seq), `${lane} ${seq} is there once`)
    covered.add(seq)
  }
  for (const record of records) {
    if (record.lane !== lane) continue
    if (record.gap?.source !== 'spool') take(record.seq)
    else for (let seq = record.gap.firstSeq; seq <= record.gap.lastSeq; seq++) take(seq)
  }
  for (let seq = 1n; seq <= BigInt(covered.size); seq++) assert.ok(covered.has(seq), `${lane} ${seq} is accounted for`)
}
