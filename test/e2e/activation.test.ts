/** Rules that need a hook which the kernel refuses: none of them comes into force, the old ones stay, and it is said which hook and why. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { type Feed, type Host, policyFile, scratchDir, startRun } from '../support/hullguard.js'
import { requires, runOk, uniqueName, waitFor } from '../support/process.js'
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
  - rule: no signals
    signal: { allow: [] }
`
const NEW_HOOKS_COUNT = 3

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
  const count = (rule: string) => feed.all(({ alert }) => alert?.rule === rule).length
  const descriptors = () => readdirSync(`/proc/${host.pid}/fd`).map(Number)
  /** Attached hooks are descriptors of the agent. Iterators, which it makes when it first reads by them, are none. */
  const attachedCount = () =>
    descriptors().filter((fd) => {
      try {
        if (!readlinkSync(`/proc/${host.pid}/fd/${fd}`).includes('bpf_link')) return false
        return !/^link_type:\s+iter$/m.test(readFileSync(`/proc/${host.pid}/fdinfo/${fd}`, 'utf8'))
      } catch {
        return false // closed meanwhile
      }
    }).length
  const limits = () => /^Max open files +(\d+) +(\d+)/m.exec(readFileSync(`/proc/${host.pid}/limits`, 'utf8'))
  const limit = (soft: number | string, hard: number | string) =>
    runOk('prlimit', ['--pid', String(host.pid), `--nofile=${soft}:${hard}`])

  test('the old rules stay, no hook of the new ones is left, and hook and reason are told', async () => {
    const attached = attachedCount()
    const [, soft = '', hard = ''] = limits() ?? []
    writeFileSync(policy, RULES('new', MORE))
    // Room for two descriptors: the file can be read, and of the three hooks the last finds none.
    const used = new Set(descriptors())
    let most = 0
    for (let free = 0; free < 2; most++) if (!used.has(most)) free++
    await limit(most, hard)
    host.signal('SIGHUP')
    const line = await host.waitForLog('reload failed: the old policies stay in force')
    await limit(soft, hard)
    assert.match(String(line.err), /^cannot attach on_\w+ \(tp_btf\/\w+\): .*Too many open files/)
    assert.equal(attachedCount(), attached)
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
    const attached = attachedCount()
    host.signal('SIGHUP')
    await host.waitForLog('policies reloaded')
    assert.equal(attachedCount(), attached + NEW_HOOKS_COUNT)
    const before = count('old')
    await date()
    await feed.find('the new rule', ({ alert }) => alert?.rule === 'new')
    assert.equal(count('old'), before)
    await container.exec(['/bin/sh', '-c', '/bin/sleep 9 & kill $!'])
    await feed.find('the rule of a new hook', ({ alert }) => alert?.rule === 'no signals')
  })
})
