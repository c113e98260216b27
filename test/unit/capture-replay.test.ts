/** Replays of captures: by the capture's own time, for the containers as it tells them, and with Falco files. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Replay } from '../../src/agent/capture/replay.js'
import { type RuleTrial, Trial } from '../../src/agent/capture/trial.js'
import type { Rulebook } from '../../src/agent/conditions/rulebook.js'
import { loadPolicies } from '../../src/policy/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import type { GapBody, HullguardRecord } from '../../src/record/model.js'
import { CaptureReader } from '../../src/sensor/capture-reader.js'
import { gapOf } from '../../src/sensor/gaps.js'
import { Rung } from '../../src/sensor/generated/abi.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { hullguard } from '../support/hullguard.js'
import { type MadeCapture, writeMadeCapture } from '../support/made-capture.js'
import { makeTempDir, removeDir } from '../support/process.js'

const RECORDED = join(findPackageRoot(), 'bench/data/containers.hgcap')

let folder = ''
before(() => {
  folder = makeTempDir('replay')
})
after(() => removeDir(folder))

function rulebookOf(text: string): Rulebook {
  const loaded = loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(text) }])
  assert.equal(loaded.errorCount, 0, renderDiagnostics(loaded))
  return { policies: loaded.policies }
}

interface Replayed {
  alerts: HullguardRecord[]
  gaps: GapBody[]
  lostCount: bigint
  rows: RuleTrial[]
}

async function replayed(made: MadeCapture, policy: string): Promise<Replayed> {
  const file = join(folder, 'made.hgcap')
  await writeMadeCapture(file, made)
  const reader = CaptureReader.open(file)
  try {
    const trial = new Trial(rulebookOf(policy))
    const alerts: HullguardRecord[] = []
    const gaps: GapBody[] = []
    const replay = new Replay(reader, {
      rulebook: trial.rulebook,
      mode: 'block',
      onRecord: (record, cause) => {
        trial.take(record, cause)
        if (record.kind === 'alert') alerts.push(record)
        if (record.gap !== undefined) gaps.push(record.gap)
      },
    })
    const run = replay.run()
    let step = run.next()
    while (step.done !== true) step = run.next()
    return { alerts, gaps, lostCount: step.value.lostCount, rows: trial.rows(replay.containers) }
  } finally {
    reader.close()
  }
}

test('an exception counts until its last day is over in the time of the capture, whatever day it is now', async () => {
  const policy = `policy: p
containers: all
rules:
  - rule: no shells
    exec: { deny: [sh] }
    exceptions: [{ name: known, reason: for the migration, until: 2031-03-09, match: [/bin/sh] }]
`
  const events = [0, 59_000, 61_000].map((afterMs) => ({ afterMs, container: 0, exec: '/bin/sh' }))
  const at = (startedMs: number) => replayed({ startedMs, kinds: ['exec'], containers: [{}], events }, policy)
  const timesOf = async (startedMs: number) => (await at(startedMs)).alerts.map(({ timeNs }) => timeNs / 1_000_000n)
  const minuteBefore = Date.parse('2031-03-09T23:59:00Z')
  assert.deepEqual(await timesOf(minuteBefore), [BigInt(minuteBefore) + 61_000n])
  assert.equal((await timesOf(Date.parse('2031-03-10T00:00:00Z'))).length, 3)
  assert.equal((await timesOf(Date.parse('1999-01-01T00:00:00Z'))).length, 0)
})

test('what a capture says of losses is told as it was, and what came late counts as lost no more', async () => {
  const lost = gapOf({ cpu: 1, firstSeq: 3n, lastSeq: 5n })
  const late = gapOf({ cpu: 1, firstSeq: 4n, lastSeq: 4n, cameLate: true })
  const { cause, ...old } = gapOf({ cpu: 0, firstSeq: 7n, lastSeq: 7n }) // as earlier versions wrote it
  const made: MadeCapture = { startedMs: 0, kinds: ['exec'], containers: [{}], events: [], lost: [lost, late, old] }
  const { gaps, lostCount } = await replayed(
    made,
    'policy: p\ncontainers: all\nrules: [{ rule: r, exec: { deny: [sh] } }]\n',
  )
  assert.deepEqual(gaps, [lost, late, { ...old, cause }])
  assert.equal(lostCount, 3n)
})

test('selectors on user and privileged hold in a replay as they did on the host', async () => {
  const made: MadeCapture = {
    startedMs: 0,
    kinds: ['exec'],
    containers: [
      { name: 'plain', user: 'app:app', privileged: false },
      { name: 'strong', user: '', privileged: true },
    ],
    events: [0, 1].map((container) => ({ afterMs: 1, container, exec: '/bin/sh' })),
  }
  const namesOf = async (selector: string) => {
    const policy = `policy: p\ncontainers: ${selector}\nrules: [{ rule: r, exec: { deny: [sh] } }]\n`
    const { alerts, rows } = await replayed(made, policy)
    assert.deepEqual(
      rows.map(({ state }) => state),
      [alerts.length === 0 ? 'no_container' : 'evaluated'],
    )
    return alerts.map(({ container }) => container.name)
  }
  assert.deepEqual(await namesOf('{ privileged: true }'), ['strong'])
  assert.deepEqual(await namesOf('{ privileged: false }'), ['plain'])
  assert.deepEqual(await namesOf('{ user: root }'), ['strong'])
  assert.deepEqual(await namesOf('{ user: "!root" }'), ['plain'])
  assert.deepEqual(await namesOf('{ user: [nobody] }'), [])
})

test('a capture that does not tell what a policy selects by cannot judge its rules, and says so', async () => {
  const made: MadeCapture = {
    startedMs: 0,
    kinds: ['exec'],
    containers: [{ name: 'old' }],
    events: [{ afterMs: 1, container: 0, exec: '/bin/sh' }],
  }
  const stateOf = async (selector: string) => {
    const { rows } = await replayed(
      made,
      `policy: p\ncontainers: ${selector}\nrules: [{ rule: r, exec: { deny: [sh] } }]\n`,
    )
    return rows.flatMap(({ state, lacks }) => [state, ...lacks])
  }
  assert.deepEqual(await stateOf('{ privileged: true }'), ['not_evaluable', 'container.privileged'])
  assert.deepEqual(await stateOf('{ user: "!root" }'), ['partly', 'container.user'])
  assert.deepEqual(await stateOf('{ name: old }'), ['evaluated'])
})

test('a refusal of an exec is foreseen where the recorded host had a hook for it', async () => {
  const policy = `policy: p
containers: all
rules:
  - { rule: refuse, exec: { deny: [sh] }, action: deny }
`
  const outcomesAt = async (rung: number) => {
    const made = { startedMs: 0, kinds: ['exec'], containers: [{ privileged: false }] }
    const events = [{ afterMs: 1, container: 0, exec: '/bin/sh', rung }]
    const { rows } = await replayed({ ...made, events }, policy)
    return rows.flatMap(({ outcomes }) => outcomes.map(({ outcome }) => outcome))
  }
  assert.deepEqual(await outcomesAt(Rung.LSM), ['denied'])
  assert.deepEqual(await outcomesAt(Rung.TRACEPOINT), ['failed'])
})

test('a rule about readings is not evaluable: captures hold events', async () => {
  const made: MadeCapture = { startedMs: 0, kinds: ['exec'], containers: [{}], events: [] }
  const rules = ['memory: { max: 1MiB }', 'cpu: { max: 10% }', 'pids: { max: 1 }', 'runtime: { max: 1s }']
  for (const rule of rules) {
    const { rows } = await replayed(made, `policy: p\ncontainers: all\nrules: [{ rule: r, ${rule} }]\n`)
    assert.deepEqual(
      rows.map(({ state, lacks }) => [state, lacks]),
      [['not_evaluable', ['sample']]],
      rule,
    )
  }
})

const FALCO = `
- list: shells
  items: [sh, bash]
- rule: shell spawned
  desc: a shell
  condition: evt.type = execve and proc.name in (shells)
  output: shell %proc.name
  priority: WARNING
- rule: everything
  desc: any program
  condition: evt.type = execve
  output: ran %proc.name
  priority: NOTICE
- rule: switched off
  desc: never
  condition: evt.type = execve
  output: never
  priority: NOTICE
  enabled: false
`

test('Falco files are tried on a capture: all that hold, or the first; one with a refused rule is refused with --strict', async () => {
  const rules = join(folder, 'falco.yaml')
  writeFileSync(rules, FALCO)
  const trial = await hullguard(['policy', 'test', '--rules', rules, '--events', RECORDED, '--json'])
  assert.equal(trial.code, 0, trial.stderr)
  const { rules: rows }: { rules: { policy: string; rule: string; state: string; hits: number }[] } = JSON.parse(
    trial.stdout,
  )
  assert.deepEqual(
    rows.map(({ policy, rule, state, hits }) => [policy, rule, state, hits]),
    [
      ['falco', 'shell spawned', 'evaluated', 4],
      ['falco', 'everything', 'evaluated', 98],
      ['falco', 'switched off', 'disabled', 0],
    ],
  )
  const countOf = async (...more: string[]) => {
    const run = await hullguard(['replay', RECORDED, '--rules', rules, ...more, '--json'])
    assert.equal(run.code, 0, run.stderr)
    return run.stdout.trimEnd().split('\n').length
  }
  assert.equal(await countOf(), 102)
  assert.equal(await countOf('--rule-matching', 'first'), 98)

  writeFileSync(
    rules,
    `${FALCO}\n- rule: bad\n  desc: x\n  condition: nosuch.field = 1\n  output: x\n  priority: NOTICE\n`,
  )
  assert.equal((await hullguard(['replay', RECORDED, '--rules', rules])).code, 0)
  const strict = await hullguard(['replay', RECORDED, '--rules', rules, '--strict'])
  assert.deepEqual([strict.code, strict.stdout], [1, ''])
  assert.match(strict.stderr, /there is no field `nosuch.field`[\s\S]*nothing was judged/)
})

test('`policy diff` compares Falco files', async () => {
  const [old, now] = ['old.yaml', 'new.yaml'].map((name) => join(folder, name))
  writeFileSync(old ?? '', FALCO)
  writeFileSync(now ?? '', FALCO.replace('[sh, bash]', '[bash]'))
  const run = await hullguard([
    ...['policy', 'diff', '--old-rules', old ?? '', '--new-rules', now ?? '', '--events', RECORDED, '--json'],
  ])
  assert.equal(run.code, 0, run.stderr)
  interface Row {
    rule: string
    unchanged: number
    disappeared: { hits: number }
  }
  const { rules, added, removed }: { rules: Row[]; added: string[]; removed: string[] } = JSON.parse(run.stdout)
  assert.deepEqual([added, removed], [[], []])
  assert.deepEqual(
    rules.map(({ rule, unchanged, disappeared }) => [rule, unchanged, disappeared.hits]),
    [
      ['shell spawned', 0, 4],
      ['everything', 98, 0],
    ],
  )
  assert.equal((await hullguard(['policy', 'diff', '--events', RECORDED])).code, 2)
})
