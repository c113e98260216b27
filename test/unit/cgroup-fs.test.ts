/** What is read of a process under /proc. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isInHostPidNamespace } from '../../src/container/cgroup-fs.js'
import { makeTempDir, removeDir } from '../support/process.js'

describe('the PID namespace of a process', () => {
  let proc: string
  before(() => {
    proc = makeTempDir()
  })
  after(() => removeDir(proc))

  const folder = (pid: number) => {
    const at = join(proc, String(pid), 'ns')
    mkdirSync(at, { recursive: true })
    return join(at, 'pid')
  }

  test('is the host’s by its number, another’s by any other', () => {
    symlinkSync('pid:[4026531836]', folder(1))
    symlinkSync('pid:[4026531837]', folder(2))
    assert.deepEqual([isInHostPidNamespace(proc, 1), isInHostPidNamespace(proc, 2)], [true, false])
  })

  test('of one that is gone is not known', () => assert.equal(isInHostPidNamespace(proc, 3), undefined))

  test('that may not be read counts as the host’s: its calls are judged before they could end it', () => {
    writeFileSync(folder(4), '') // readlink fails, and not for want of the process
    assert.equal(isInHostPidNamespace(proc, 4), true)
  })
})
