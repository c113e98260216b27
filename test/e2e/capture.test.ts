/** Real containers recorded, and the capture judged: what the live agent told, a replay tells again, and nothing is acted on. */
import assert from 'node:assert/strict'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parseRecordLine, recordToJson } from '../../src/record/json.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { CaptureReader } from '../../src/sensor/capture-reader.js'
import {
  type Feed,
  type Host,
  hullguard,
  policyFile,
  Running,
  scratchDir,
  startRecording,
  startRun,
} from '../support/hullguard.js'
import { requires, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox'] })

const POLICY = `policy: watched
containers: all
mode: block
rules:
  - rule: no netcat
    exec: { deny: [nc] }
    action: kill
  - rule: no web
    connect: { deny: ["*:80"] }
    action: deny
  - rule: everything that runs
    exec: { allow: [] }
`

/** Without the record's own place, which is the live agent's. */
function told(record: HullguardRecord): unknown {
  const { agent: _agent, epoch: _epoch, seq: _seq, cause, ...rest } = recordToJson(record)
  return { ...rest, cause: typeof cause === 'object' && cause !== null && 'kind' in cause ? cause.kind : cause }
}

function* plainBlocks(file: string): Generator<string> {
  const reader = CaptureReader.open(file)
  for (const { plain } of reader.blocks()) yield Buffer.from(plain).toString('latin1')
  reader.close()
}

const linesOf = (text: string) => text.split('\n').filter(Boolean).map(parseRecordLine)

describe('captures', { skip }, () => {
  const name = uniqueName('cap')
  const other = `${name}-other`
  const root = scratchDir()
  const dir = scratchDir()
  const throughAgent = join(dir, 'through-agent.hgcap')
  const policy = policyFile(POLICY)
  let rootfs: string
  let host: Host
  let feed: Feed
  let box: RuncContainer
  let late: RuncContainer | undefined

  const isAlertOf = (container: string) => (record: HullguardRecord) =>
    record.kind === 'alert' && record.container.name === container
  const act = async (container: RuncContainer, mark: string) => {
    await container.exec(['sh', '-c', `nc -w 1 127.0.0.1 80; wget -q -T 1 http://127.0.0.1:80/; echo ${mark}`])
    await container.exec(['true', mark])
  }

  before(async () => {
    rootfs = await makeRootfs(scratchDir())
    box = await runcRun({ rootfs, root, id: name, args: ['/bin/sleep', '600'] })
    host = await startRun({ runcRoot: root, policies: [policy] })
    feed = host.feed()
  })
  after(async () => {
    await feed?.close()
    await host?.stop()
    await box?.remove()
    await late?.remove()
  })

  test('the running agent writes the capture, and its replay gives the alerts that the agent gave', async () => {
    const recording = await startRecording(throughAgent, host.dataDir)
    assert.match(recording.stderr, /through the running agent/)
    const second = await hullguard(['record', '--out', join(dir, 'second.hgcap'), '--data-dir', host.dataDir])
    assert.equal(second.code, 3, second.stderr)
    assert.match(second.stderr, /^hullguard: the agent of this host is writing another capture/) // and nothing before
    await act(box, 'one')
    late = await runcRun({ rootfs, root, id: other, args: ['/bin/sh', '-c', 'nc -w 1 127.0.0.1 80; sleep 600'] })
    const isOfSleep = ({ process }: HullguardRecord) => process?.args.join(' ') === 'sleep 600'
    await feed.find('the last of its own acts', (record) => isAlertOf(other)(record) && isOfSleep(record))
    await act(late, 'two')
    await feed.find('the last act', (record) => isAlertOf(other)(record) && record.process?.args[1] === 'two')
    recording.signal('SIGINT')
    const ended = await recording.ended()
    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stdout, /KiB in .* s: /)
    assert.equal(statSync(throughAgent).mode & 0o777, 0o600)

    const replayed = await hullguard(['replay', throughAgent, '--policies', policy, '--json'])
    assert.equal(replayed.code, 0, replayed.stderr)
    // What other containers of this host do after the end is in no capture.
    const isOwn = (record: HullguardRecord) => isAlertOf(name)(record) || isAlertOf(other)(record)
    const alerts = linesOf(replayed.stdout).filter(isOwn)
    const live = feed.all(isOwn)
    const from = live.findIndex(({ bootNs }) => bootNs >= (alerts[0]?.bootNs ?? 0n))
    assert.deepEqual(alerts.map(told), live.slice(from).map(told))
    assert.ok(alerts.some(isAlertOf(name)) && alerts.some(isAlertOf(other)))
    const [, containerCount] = /events of (\d+) containers within [\d.]+ s: \d+ alerts/.exec(replayed.stderr) ?? []
    assert.ok(Number(containerCount) >= 2, replayed.stderr)
    const again = await hullguard(['replay', throughAgent, '--policies', policy, '--json'])
    assert.equal(again.stdout, replayed.stdout)
  })

  test('replayed in block mode it says what would have been killed and denied, and claims nothing as done', async () => {
    const { stdout } = await hullguard(['replay', throughAgent, '--policies', policy, '--mode', 'block', '--json'])
    const alerts = linesOf(stdout)
    const of = (rule: string) => alerts.filter(({ alert }) => alert?.rule === rule)
    assert.ok(alerts.every(({ kind, alert }) => kind === 'alert' && alert?.outcome === 'none'))
    for (const { alert } of of('no netcat')) {
      assert.equal(alert?.actionTaken, 'kill')
      assert.equal(alert.reason, 'dry run: would have been killed before its effect by sched_process_exec')
    }
    assert.ok(of('no netcat').length >= 3)
    const [web] = of('no web')
    assert.equal(web?.alert?.reason, 'dry run: would have been denied by cgroup/connect4')
  })

  test('a recording without an agent, of one container, holds that container alone and nothing of the host', async () => {
    const file = join(dir, 'alone.hgcap')
    await host.stop()
    const recording = new Running([
      ...['record', '--out', file, '--container', name, '--runc-root', root],
      ...['--data-dir', dir, '--host-lock', join(dir, 'lock'), '--docker-socket', join(dir, 'none.sock')],
    ])
    await waitFor('the recording', () => recording.stderr.includes('recording to'))
    await act(box, 'three')
    if (late !== undefined) await act(late, 'three')
    recording.signal('SIGTERM')
    const ended = await recording.ended()
    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stdout, /^[1-9]\d* events, /)
    const { stdout } = await hullguard(['replay', file, '--all', '--json'])
    const records = linesOf(stdout)
    assert.deepEqual([...new Set(records.map(({ container }) => container.name))], [name])
    assert.ok(records.some(({ process }) => process?.args[1] === 'three'))
    const plain = [...plainBlocks(file)].join('')
    assert.ok(plain.includes('three'))
    assert.ok(!plain.includes(hostname()) && !plain.includes(process.execPath), 'nothing of the host')
  })

  test('a capture cut short is read up to there and says so; a damaged one is refused with the byte', async () => {
    const cut = join(dir, 'cut.hgcap')
    const bytes = readFileSync(throughAgent)
    writeFileSync(cut, bytes)
    truncateSync(cut, bytes.length - 10)
    const short = await hullguard(['replay', cut, '--all'])
    assert.equal(short.code, 0)
    assert.match(short.stderr, /cut short at byte \d+: what stands before was read/)
    const damaged = join(dir, 'damaged.hgcap')
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 0xff
    writeFileSync(damaged, bytes)
    const refused = await hullguard(['replay', damaged])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /is damaged at byte \d+ .*`head -c \d+` keeps it \[HG1022\]/)
  })

  test('a file that is there already is not written over', async () => {
    const result = await hullguard(['record', '--out', throughAgent, '--for', '1s', '--data-dir', dir])
    assert.equal(result.code, 3)
    assert.match(result.stderr, /it exists already \[HG1024\]/)
  })
})
