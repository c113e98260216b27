/** Users of the host change while the agent watches: what is reported of acts follows whom a rule's names stand for. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Feed, type Host, scratchDir, startRun } from '../support/hullguard.js'
import { requires, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox'] })

/** Users that this machine need not have. */
const [APP, OTHER] = [47_110, 47_120]
const FILE = '/etc/asked'
const POLICY = `policy: accounts
containers: all
rules:
  - rule: app reads
    condition: evt.type in (open, openat, openat2) and user.name = app and fd.name = ${FILE}
`

describe('names of users that change', { skip }, () => {
  const [dir, root] = [scratchDir(), scratchDir()]
  const hostRoot = join(dir, 'host')
  const [appName, otherName] = [uniqueName('app'), uniqueName('other')]
  let host: Host
  let feed: Feed
  let app: RuncContainer
  let other: RuncContainer

  /** As useradd and its like write it: another file in the place of the old one. */
  function setApp(uid: number): void {
    const passwd = join(hostRoot, 'etc/passwd')
    writeFileSync(`${passwd}.new`, `root:x:0:0::/:/bin/sh\napp:x:${uid}:${uid}::/:/bin/sh\n`)
    renameSync(`${passwd}.new`, passwd)
  }

  before(async () => {
    // the host's own root, with users of the test's own
    mkdirSync(join(hostRoot, 'etc'), { recursive: true })
    for (const entry of readdirSync('/')) if (entry !== 'etc') symlinkSync(join('/', entry), join(hostRoot, entry))
    setApp(APP)
    const policies = join(dir, 'policies')
    mkdirSync(policies)
    writeFileSync(join(policies, 'accounts.yaml'), POLICY)
    host = await startRun({ runcRoot: root, policies: [policies], args: ['--host-root', hostRoot] })
    feed = host.feed()
    const rootfs = await makeRootfs(scratchDir(), { files: { [FILE.slice(1)]: 'x' } })
    const options = { rootfs, root, args: ['/bin/sh', '-c', 'while :; do sleep 1; done'] }
    app = await runcRun({ ...options, id: appName, uid: APP })
    other = await runcRun({ ...options, id: otherName, uid: OTHER })
  })
  after(async () => {
    await app?.remove()
    await other?.remove()
    await feed?.close()
    await host?.stop()
  })

  const readFile = (container: RuncContainer) => container.exec(['/bin/cat', FILE])
  const alertsOf = (name: string) => feed.all(({ alert, container }) => alert !== undefined && container.name === name)

  test('acts of whom the name stands for now are reported, and of nobody else', async () => {
    await readFile(other)
    await readFile(app)
    await feed.find(
      'an alert of the first app',
      ({ alert, container }) => alert !== undefined && container.name === appName,
    )
    assert.deepEqual(alertsOf(otherName), [])
    setApp(OTHER)
    await waitFor('an alert of the second app', async () => {
      await readFile(other)
      return alertsOf(otherName).length > 0
    })
    const beforeCount = alertsOf(appName).length
    await readFile(app)
    const seenCount = alertsOf(otherName).length
    await readFile(other)
    await waitFor('the last alert', () => alertsOf(otherName).length > seenCount)
    assert.equal(alertsOf(appName).length, beforeCount)
    assert.equal(alertsOf(otherName)[0]?.process?.user, 'app')
  })
})
