/**
 * Rules that need a hook which the kernel refuses: none of them comes into force, the old ones stay, and it is said which hook and
 * why. And an agent that has no descriptors left: it goes on.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord } from '../../src/record/model.js'
import { hooksCount, leaveDescriptors } from '../support/descriptors.js'
import { freePort } from '../support/free-port.js'
import { type Feed, type Host, policyFile, scratchDir, startRun } from '../support/hullguard.js'
import { KeptConnection } from '../support/metrics.js'
import { requires, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox', 'prlimit'] })

const RULES = (name: string, more: string) => `policy: hooks
containers: { name: "hooks-*" }
rules:
  - rule: ${name}
    exec: { deny: [date] }
${more}`
/** on_sys_enter, on_sys_exit and on_signal: three hooks at once. */
const MORE = `  - rule: no tracing
    syscall: { deny: [ptrace] }
    action: kill
  - rule: no signals
    signal: { allow: [] }
`
const NEW_HOOKS_COUNT = 3
const VERDICTS = 'alerts_total{policy="hooks",rule="date"}'
const UNREAD = 'memory of containers cannot be read, no rule judges it meanwhile: '

describe('rules whose hooks cannot be attached', { skip }, () => {
  const root = scratchDir()
  const policy = policyFile(RULES('old', ''))
  let host: Host
  let feed: Feed
  let container: RuncContainer

  before(async () => {
    const rootfs = await makeRootfs(scratchDir())
    host = await startRun({ runcRoot: root, policies: [policy] })
    feed = host.feed()
    container = await runcRun({ rootfs, root, id: uniqueName('hooks'), args: ['/bin/sleep', '600'] })
    await date()
    await feed.find('the old rule', ({ alert }) => alert?.rule === 'old')
  })
  after(async () => {
    await container?.remove()
    await feed?.close()
    await host?.stop()
  })

  const date = () => container.exec(['/bin/date'])
  const count = (rule: string) =>
    feed.all(({ alert, container: { id } }) => alert?.rule === rule && id === container.id).length
  test('the old rules stay, no hook of the new ones is left, and hook and reason are told', async () => {
    const attached = hooksCount(host.pid)
    writeFileSync(policy, RULES('new', MORE))
    // Memory is read every ten seconds, for which a descriptor is needed: not while there are few.
    const samplesCount = () => feed.all(({ kind }) => kind === 'sample').length
    const seen = samplesCount()
    await waitFor('a reading of memory', () => samplesCount() > seen)
    // Room for two: the file can be read, and of the three hooks the last finds none.
    const allowMore = await leaveDescriptors(host.pid, 2)
    host.signal('SIGHUP')
    const line = await host.waitForLog('reload failed: the old policies stay in force')
    await allowMore()
    assert.match(String(line.err), /^cannot attach on_\w+ \(tp_btf\/\w+\): .*Too many open files/)
    assert.equal(hooksCount(host.pid), attached)
    const told = await feed.find(
      'the record of it',
      ({ agentChange }) =>
        agentChange?.change === 'degraded' &&
        agentChange.message.startsWith('new rules did not come into force, the old ones stay: cannot attach on_'),
    )
    assert.equal(told.lane, 'alert')
    const before = count('old')
    await date()
    await waitFor('the old rule', () => count('old') === before + 1)
    assert.equal(count('new'), 0)
  })

  test('the same rules come into force when the hooks can be attached', async () => {
    const attached = hooksCount(host.pid)
    host.signal('SIGHUP')
    await host.waitForLog('policies reloaded')
    assert.equal(hooksCount(host.pid), attached + NEW_HOOKS_COUNT)
    const before = count('old')
    await date()
    await feed.find('the new rule', ({ alert }) => alert?.rule === 'new')
    assert.equal(count('old'), before)
    await container.exec(['/bin/sh', '-c', '/bin/sleep 9 & kill $!'])
    await feed.find('the rule of a new hook', ({ alert }) => alert?.rule === 'no signals')
  })
})

describe('an agent that has no descriptors left', { skip }, () => {
  test('goes on: acts are judged, and what cannot be read meanwhile is said, counted and read later', async () => {
    const root = scratchDir()
    const rootfs = await makeRootfs(scratchDir())
    const memory = '  - rule: memory\n    memory: { max: 1GiB }\n' // read every second
    const port = await freePort()
    const args = ['--metrics', `127.0.0.1:${port}`]
    const host = await startRun({ runcRoot: root, policies: [policyFile(RULES('date', memory))], args })
    const metrics = new KeptConnection(port)
    const feed = host.feed()
    const container = await runcRun({ rootfs, root, id: uniqueName('hooks'), args: ['/bin/sleep', '600'] })
    const own = ({ container: { name } }: HullguardRecord) => name === container.id
    try {
      await feed.find('the first reading', (record) => record.kind === 'sample' && own(record))
      const unreadCount = () => metrics.metric('memory_unread_total')
      assert.equal(await unreadCount(), 0)
      const allowMore = await leaveDescriptors(host.pid, 0)
      await container.exec(['/bin/date'])
      // Not the record: what waits for the collector may have to be read from the spool again, which takes a descriptor.
      await waitFor('the verdict', async () => (await metrics.metric(VERDICTS)) >= 1)
      await waitFor('two readings that failed', async () => (await unreadCount()) >= 2)
      await allowMore()
      await feed.find('the alert', (record) => record.alert?.rule === 'date' && own(record))
      const seen = feed.all(({ kind }) => kind === 'sample').length
      await waitFor('a reading', () => feed.all(({ kind }) => kind === 'sample').length > seen)
      assert.equal(host.log.filter(({ msg }) => msg.startsWith(UNREAD)).length, 1)
      await feed.find('the record of it', ({ agentChange }) => agentChange?.message.startsWith(UNREAD) === true)
    } finally {
      metrics.close()
      await container.remove()
      await feed.close()
      await host.stop()
    }
  })
})
