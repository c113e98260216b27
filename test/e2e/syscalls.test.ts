/** Rules about system calls by their names: when a call is told, with what, and which hooks the host pays for meanwhile. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord } from '../../src/record/model.js'
import { hooksCount } from '../support/descriptors.js'
import { type Feed, type Host, policyFile, scratchDir, startRun } from '../support/hullguard.js'
import { requires, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox'] })

const POLICY = `policy: calls
containers: { name: "calls-*" }
rules:
  - rule: priorities
    syscall: { deny: [ioprio_set] }
`
const EXIT_HOOK = 1
const ENTRY_HOOK = 1

describe('rules about system calls', { skip }, () => {
  const root = scratchDir()
  const started: RuncContainer[] = []
  let rootfs: string
  let host: Host
  let feed: Feed
  let withoutContainers: number

  before(async () => {
    rootfs = await makeRootfs(scratchDir())
    host = await startRun({ runcRoot: root, policies: [policyFile(POLICY)] })
    feed = host.feed()
    withoutContainers = hooksCount(host.pid)
  })
  after(async () => {
    for (const container of started) await container.remove()
    await feed?.close()
    await host?.stop()
  })

  const start = async (pidNamespace: boolean) => {
    const container = await runcRun({
      ...{ rootfs, root, pidNamespace, id: uniqueName('calls') },
      args: ['/bin/sh', '-c', 'while :; do sleep 1; done'],
    })
    started.push(container)
    return container
  }
  const alertOf = (container: RuncContainer, isIt: (record: HullguardRecord) => boolean) =>
    feed.find(
      'the alert',
      (record) => record.alert?.rule === 'priorities' && record.container.id === container.id && isIt(record),
    )
  const hooks = (what: string, count: number) => waitFor(what, () => hooksCount(host.pid) === withoutContainers + count)

  test('a call is told when it ends, with its result, and nothing is hooked where calls begin', async () => {
    const container = await start(true)
    await hooks('the hook at the end of calls', EXIT_HOOK)
    await container.exec(['/bin/ionice', '-c', '3', '/bin/true'])
    const done = await alertOf(container, () => true)
    const { syscall } = done
    assert.deepEqual([syscall?.name, syscall?.reason, syscall?.result], ['ioprio_set', 'outside_allowed', 0n])
    await container.exec(['/bin/ionice', '-c', '1', '/bin/true']) // the realtime class: not without CAP_SYS_ADMIN
    const refused = await alertOf(container, (record) => record.seq !== done.seq)
    assert.equal(refused.syscall?.result, -1n)
  })

  test("in the host's PID namespace calls are told when they begin: one of them could end the host", async () => {
    const container = await start(false)
    await hooks('both hooks', EXIT_HOOK + ENTRY_HOOK)
    await container.exec(['/bin/ionice', '-c', '3', '/bin/true'])
    const { syscall } = await alertOf(container, () => true)
    assert.deepEqual([syscall?.name, syscall?.result], ['ioprio_set', undefined])
    await container.remove()
    await hooks('the hook that others need', EXIT_HOOK)
  })

  test('without containers nothing is hooked', async () => {
    for (const container of started.splice(0)) await container.remove()
    await hooks('no hook', 0)
  })
})
