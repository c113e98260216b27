/** Rules about processor time, tasks and run time, on a real container that breaks them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord } from '../../src/record/model.js'
import { type Feed, type Host, policyFile, scratchDir, startRun } from '../support/hullguard.js'
import { requires, uniqueName } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox'] })

/** A process that computes gets a tenth of a core on a machine that is busy with other things too. */
const POLICY = `policy: bounds
containers: { name: "*-busy" }
mode: block
rules:
  - rule: a tenth of a core
    cpu: { max: 10%, for: 1s }
    action: kill
  - rule: few tasks
    pids: { max: 3 }
  - rule: three seconds
    runtime: { max: 3s }
---
policy: short life
containers: { name: "*-short" }
mode: block
rules:
  - rule: two seconds
    runtime: { max: 2s }
    action: kill
`

describe('thresholds', { skip }, () => {
  const busy = `${uniqueName('t')}-busy`
  const short = `${uniqueName('t')}-short`
  const root = scratchDir()
  let host: Host
  let feed: Feed
  const containers: RuncContainer[] = []
  const alert = (name: string, rule: string) =>
    feed.find(`${rule} of ${name}`, (record: HullguardRecord) => {
      return record.kind === 'alert' && record.container.name === name && record.alert?.rule === rule
    })
  const ended = (name: string) =>
    feed.find(`a result of an action in ${name}`, (record: HullguardRecord) => {
      return record.kind === 'action' && record.container.name === name && record.alert?.outcome !== 'none'
    })

  before(async () => {
    const rootfs = await makeRootfs(scratchDir())
    host = await startRun({ runcRoot: root, policies: [policyFile(POLICY)], mode: 'block' })
    feed = host.feed()
    const spin = 'while :; do :; done & sleep 600 & sleep 600 & sleep 600 & wait; sleep 600'
    containers.push(await runcRun({ rootfs, root, id: busy, args: ['/bin/sh', '-c', spin] }))
    containers.push(await runcRun({ rootfs, root, id: short, args: ['/bin/sh', '-c', 'sleep 600'] }))
  })
  after(async () => {
    await feed?.close()
    for (const container of containers) await container.remove()
    await host?.stop()
  })

  test('processor time above its bound is told, and the process that uses it is ended', async () => {
    const { alert: told } = await alert(busy, 'a tenth of a core')
    assert.match(told?.output ?? '', /^a tenth of a core: processor time in use is [\d.]+ cores in container /)
    const { alert: action, process } = await ended(busy)
    assert.equal(action?.outcome, 'killed_after_effect')
    assert.match(process?.args[2] ?? '', /while :/)
  })

  test('more tasks than the rule allows are told with their number', async () => {
    const { alert: told } = await alert(busy, 'few tasks')
    assert.match(told?.output ?? '', /processes and threads are [4-9] in container /)
    assert.equal(told?.actionTaken, 'alert')
  })

  test('a container that runs too long is told, and ended with its first process where the rule says kill', async () => {
    const { alert: told } = await alert(busy, 'three seconds')
    assert.match(told?.output ?? '', /it has run for \d+ s in container /)
    const { alert: action, process } = await ended(short)
    assert.equal(action?.rule, 'two seconds')
    assert.equal(action.outcome, 'killed_after_effect')
    await feed.find('the end of the first process', (record) => {
      return record.kind === 'exit' && record.container.name === short && record.process?.pid === process?.pid
    })
  })
})
