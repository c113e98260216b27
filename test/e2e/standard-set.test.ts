/** The standard set against real containers: silent about busy healthy ones, and loud about an intruder's acts. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { loadPolicyPaths } from '../../src/policy/read-files.js'
import type { RecordKind } from '../../src/record/model.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { type Feed, type Host, scratchDir, startRun } from '../support/hullguard.js'
import { INTRUDER_ACTS, intruderImage, NOT_TRIED } from '../support/intruder.js'
import { OverlayRoot } from '../support/overlay.js'
import { requires, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'
import { DONE, workloadImage, workloads } from '../support/workloads.js'

const skip = requires({ root: true, commands: ['runc', 'busybox', 'cc', 'mount'] })

/** Rounds of each workload: some thousand processes, files and connections, in less than a minute. */
const ROUND_COUNT = 60
const ACTIVITY: ReadonlySet<RecordKind> = new Set(['fork', 'exec', 'exit', 'connect'])
const ROUNDS_WITHIN_MS = 240_000
const ALERTS_WITHIN_MS = 60_000

describe('the standard set', { skip }, () => {
  const containers: RuncContainer[] = []
  const roots: OverlayRoot[] = []
  let dir: string
  let image: string
  let host: Host
  let feed: Feed
  let shipped: string[]

  async function start(stem: string, args: readonly string[]): Promise<RuncContainer> {
    const id = uniqueName(stem)
    const root = await OverlayRoot.mount(image, join(dir, id))
    roots.push(root)
    const container = await runcRun({ id, args, rootfs: root.path, root: join(dir, 'state') })
    containers.push(container)
    return container
  }
  const alertsOf = (...ids: readonly string[]) =>
    feed.all(({ kind, container }) => kind === 'alert' && ids.includes(container.id))

  before(async () => {
    dir = scratchDir()
    const loaded = await loadPolicyPaths([join(findPackageRoot(), 'policies/standard')])
    shipped = loaded.policies.flatMap(({ rules }) => rules.map(({ name }) => name))
    mkdirSync(join(dir, 'state'))
    const [work, intruder] = [await workloadImage(dir), await intruderImage(dir)]
    image = await makeRootfs(join(dir, 'image'), {
      files: { ...work.files, ...intruder.files },
      copies: { ...work.copies, ...intruder.copies },
    })
    host = await startRun({ runcRoot: join(dir, 'state'), policies: ['standard'] })
    feed = host.feed()
  })
  after(async () => {
    await feed?.close()
    await host?.stop()
    for (const container of containers) await container.remove()
    for (const root of roots) await root.unmount()
  })

  test('busy healthy containers raise no alert', async () => {
    const busy = await Promise.all(workloads(ROUND_COUNT).map(({ name, args }) => start(name, args)))
    for (const container of busy)
      await waitFor(
        `${container.id} to be done (${container.stderr})`,
        () => container.stdout.includes(DONE),
        ROUNDS_WITHIN_MS,
      )
    // an act that does alert: when its alert is here, what was before it has been judged
    const last = await start('last', ['/usr/bin/xmrig'])
    await feed.find('the alert that comes last', ({ kind, container }) => kind === 'alert' && container.id === last.id)
    const ids = busy.map(({ id }) => id)
    assert.deepEqual(
      alertsOf(...ids).map(({ alert, process }) => `${alert?.rule}: ${process?.args.join(' ')}`),
      [],
    )
    for (const id of ids)
      await waitFor(
        `the records of ${id}, which was busy and watched`,
        () => feed.all(({ kind, container }) => ACTIVITY.has(kind) && container.id === id).length >= ROUND_COUNT,
      )
  })

  test('the acts of an intruder fire their rules', async () => {
    const script = INTRUDER_ACTS.map(({ command }) => `( ${command} )`).join('\n')
    const intruder = await start('intruder', [
      '/bin/sh',
      '-c',
      `exec > /dev/null 2>&1\n${script}\nexec /usr/bin/xmrig last`,
    ])
    await feed.find(
      'the last alert',
      ({ kind, container, process }) => kind === 'alert' && container.id === intruder.id && process?.args[1] === 'last',
      ALERTS_WITHIN_MS,
    )
    const fired = new Set(alertsOf(intruder.id).map(({ alert }) => alert?.rule))
    const silent = shipped.filter((rule) => !fired.has(rule) && NOT_TRIED[rule] === undefined)
    assert.deepEqual(
      silent.map((rule) => `${rule}: ${INTRUDER_ACTS.find(({ fires }) => fires.includes(rule))?.command ?? 'no act'}`),
      [],
    )
    assert.ok(fired.size >= 70, `${fired.size} rules fired`)
  })

  test('an alert says the technique, the controls and the process', async () => {
    const { alert, process, container } = await feed.find(
      'the alert of the miner',
      ({ alert }) => alert?.rule === 'miner run',
    )
    assert.equal(alert?.priority, 'critical')
    assert.equal(alert.policy, 'standard-impact')
    assert.ok(alert.tags.includes('T1496.001'))
    assert.ok(alert.tags.includes('nist-800-53:SI-4'))
    assert.equal(alert.actionTaken, 'alert')
    assert.equal(process?.exe, '/usr/bin/xmrig')
    assert.equal(container.state, 'container')
  })
})
