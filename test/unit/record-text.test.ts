import assert from 'node:assert/strict'
import test from 'node:test'
import { recordToJson } from '../../src/record/json.js'
import type { HullguardRecord, RecordDraft } from '../../src/record/model.js'
import { recordToText } from '../../src/record/text.js'
import { formatTime, parseTime } from '../../src/record/time.js'
import { visible } from '../../src/record/visible.js'
import { alertOf, hostActivity, take } from '../support/delivery.js'

function recordOf(draft: RecordDraft): HullguardRecord {
  return { ...draft, agent: 'host-1', epoch: 2, seq: 41n }
}

function execOf(args: string[], path = '/usr/bin/nc'): RecordDraft {
  const draft = take(hostActivity(1), 2)[1]
  assert.ok(draft?.exec && draft.process)
  return {
    ...draft,
    timeNs: 1_780_000_000_123_456_789n,
    container: { ...draft.container, name: 'web-1' },
    process: { ...draft.process, pid: 77, exe: path, args: [path, ...args] },
    exec: { ...draft.exec, path, file: path },
  }
}

const text = (draft: RecordDraft) => recordToText(recordOf(draft), { utc: true })

test('an exec is one line: time, container, kind, command and who', () => {
  assert.equal(
    text(execOf(['-l', '8080', 'two words', ''])),
    "2026-05-28 20:26:40.123 web-1                    exec      /usr/bin/nc -l 8080 'two words' ''  (root, pid 77)",
  )
})

test('what a hostile process puts into its arguments cannot reach the terminal', () => {
  const line = text(
    execOf(['\u001b]0;owned\u0007', 'a\nb', '\u009b31m', 'x\u202excod', 'ok', '\u200b'], '/tmp/\u001b[2J'),
  )
  assert.doesNotMatch(line, /[\p{Cc}\u202e\u200b]/u)
  assert.ok(
    line.includes("'/tmp/\\x1b[2J' '\\x1b]0;owned\\x07' 'a\\nb' '\\x9b31m' 'x\\u{202e}xcod' ok '\\u{200b}'"),
    line,
  )
})

test('text in other scripts stays readable', () => {
  assert.equal(visible('café 日本語 Ωμέγα 🐳'), 'café 日本語 Ωμέγα 🐳')
})

test('half a surrogate pair is made visible', () => {
  assert.equal(visible('a\ud800b'), 'a\\u{d800}b')
})

test('a line is bounded and says that it was cut', () => {
  const line = text(execOf(['x'.repeat(50_000)]))
  assert.ok(line.length < 700)
  assert.ok(line.includes('…'))
})

test('every kind of record has a line', () => {
  const exec = execOf([])
  const base = { ...exec }
  delete base.exec
  const cases: [RecordDraft, string][] = [
    [
      {
        ...base,
        kind: 'connect',
        connect: { ip: '10.1.2.3', port: 443, proto: 'tcp', family: 'ipv4', repeatsCount: 0 },
      },
      '10.1.2.3:443/tcp',
    ],
    [
      {
        ...base,
        kind: 'connect',
        connect: { ip: '2001:db8::1', port: 53, proto: 'udp', family: 'ipv6', repeatsCount: 3 },
      },
      '[2001:db8::1]:53/udp (and 3 sends since the last)',
    ],
    [
      {
        ...base,
        kind: 'exit',
        exit: { code: 0, signal: 9, signalName: 'SIGKILL', coreDumped: false, runtimeNs: 1_500_000_000n },
      },
      'SIGKILL, after 1.5 s',
    ],
    [
      {
        ...base,
        kind: 'sample',
        sample: { memoryCurrentBytes: 1536n, memoryPeakBytes: 2n ** 30n, memoryInactiveFileBytes: 0n },
      },
      'memory 1.5 KiB, peak 1.0 GiB, no limit',
    ],
    [{ ...base, kind: 'oom', oom: { victimPid: 5, victimComm: 'java' } }, 'killed pid 5 java'],
    [
      { ...base, kind: 'syscall', syscall: { name: 'ptrace', nr: 101, abi: 'native', reason: 'outside_allowed' } },
      'ptrace (outside allowed)',
    ],
    [{ ...base, kind: 'container', containerChange: { change: 'start', cgroup: '/x' } }, 'start '],
    [{ ...base, kind: 'agent', agentChange: { change: 'mode', message: 'block' } }, 'mode: block'],
    [
      {
        ...base,
        kind: 'gap',
        gap: { source: 'kernel', cause: 'no_room', cpu: 1, firstSeq: 5n, lastSeq: 9n, count: 5n },
      },
      '5 missing (kernel on CPU 1: no_room), 5 to 9',
    ],
    [alertOf(exec, 'no nc'), "critical 'no nc' [kill: killed before effect by sched_process_exec] no nc in web-1"],
  ]
  for (const [draft, expected] of cases)
    assert.ok(text(draft).includes(` ${expected}`), `${draft.kind}: ${text(draft)}`)
})

test('an alert in JSON has its own fields at the top and the event beside them', () => {
  const json = recordToJson(recordOf(alertOf(execOf(['-l']), 'no nc')))
  const { container, process, ...rest } = json
  assert.deepEqual(rest, {
    time: '2026-05-28T20:26:40.123456789Z',
    boot_ns: String(execOf([]).bootNs),
    agent: 'host-1',
    epoch: 2,
    lane: 'alert',
    seq: '41',
    kind: 'alert',
    exec: {
      path: '/usr/bin/nc',
      file: '/usr/bin/nc',
      script: '',
      dev: 2049,
      inode: String(execOf([]).exec?.inode),
      args_truncated: false,
      path_truncated: false,
      memfd: false,
      foreign_root: false,
      multicall: false,
      upper_layer: false,
      refused: false,
      deleted: false,
    },
    rule: 'no nc',
    policy: 'demo',
    priority: 'critical',
    tags: ['process'],
    output: 'no nc in web-1',
    action_taken: 'kill',
    outcome: 'killed_before_effect',
    reason: '',
    hook: 'sched_process_exec',
    cause: { kind: 'exec', lane: 'activity', seq: '7' },
  })
  assert.ok(typeof process === 'object' && process !== null && !Array.isArray(process))
  assert.equal(process.pid, 77)
  assert.equal(typeof process.start_ns, 'string')
  assert.ok(typeof container === 'object' && container !== null && !Array.isArray(container))
  assert.deepEqual(Object.keys(container), [
    'id',
    'name',
    'image',
    'image_id',
    'runtime',
    'labels',
    'state',
    'outer_ids',
  ])
})

test('time keeps its nanoseconds through RFC 3339', () => {
  for (const timeNs of [0n, 1n, 1_780_000_000_123_456_789n, 2n ** 63n - 1n, -1n]) {
    assert.equal(parseTime(formatTime(timeNs)), timeNs)
  }
  assert.equal(parseTime('2026-05-28T22:26:40+02:00'), 1_780_000_000_000_000_000n)
  assert.equal(parseTime('yesterday'), undefined)
  assert.equal(parseTime('2026-02-30T00:00:00Z'), undefined)
  assert.ok(parseTime('2024-02-29T00:00:00Z') !== undefined)
})
