/** Without privileges the addon loads, the object opens, and loading it fails with an error that says what is missing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { requires, run } from '../support/process.js'

const CHILD = fileURLToPath(new URL('../support/sensor-unprivileged.js', import.meta.url))
const NOBODY = '65534'
const EPERM = 1

const skip = requires({ root: true, commands: ['setpriv'], files: ['/sys/kernel/btf/vmlinux'] })

test('a user without privileges gets a clear error, not a crash', { skip }, async (context) => {
  const asNobody = ['--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', '--inh-caps=-all', '--no-new-privs']
  const reads = await run('setpriv', [...asNobody, 'test', '-r', CHILD])
  if (reads.code !== 0) {
    context.skip('the checkout cannot be read by another user')
    return
  }
  const { code, stdout, stderr } = await run('setpriv', [...asNobody, process.execPath, CHILD])
  assert.deepEqual([code, stderr], [0, ''])
  const report = JSON.parse(stdout)
  assert.equal(report.uid, Number(NOBODY))
  assert.equal(report.load.errno, EPERM)
  assert.match(report.load.message, /^cannot load the BPF object: Operation not permitted/)
  assert.ok(report.again.errno > 0)
  assert.equal(report.open.code, 'not_permitted')
  assert.match(report.open.message, /cannot load the BPF object.*not permitted/i)
  assert.match(report.fault, /\[HG\d+\]$/)
  assert.ok(report.missingCapabilities.includes('CAP_BPF'))
})
