/** scripts/setup/lock.mjs: concurrent set-ups of one checkout work one after the other, also after one was killed. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const dir = mkdtempSync(join(tmpdir(), 'hullguard-lock-'))
const lock = join(dir, 'lock')
const counter = join(dir, 'counter')
const module = new URL('../../../scripts/setup/lock.mjs', import.meta.url).href

after(() => rmSync(dir, { recursive: true, force: true }))

/** Adds 1 to the counter `times` times, each under the lock, reading and writing apart so that an overlap loses a count. */
const script = (times: number): string => `
  import { readFileSync, writeFileSync } from 'node:fs'
  import { withLock } from ${JSON.stringify(module)}
  for (let time = 0; time < ${times}; time++) {
    withLock(${JSON.stringify(lock)}, () => {}, () => {
      const seen = Number(readFileSync(${JSON.stringify(counter)}, 'utf8'))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      writeFileSync(${JSON.stringify(counter)}, String(seen + 1))
    })
  }`

const count = async (processes: number, times: number): Promise<number> => {
  writeFileSync(counter, '0')
  const args = ['--input-type=module', '--eval', script(times)]
  await Promise.all(Array.from({ length: processes }, () => run(process.execPath, args)))
  return Number(readFileSync(counter, 'utf8'))
}

test('processes that want the lock at once get it one after the other, and leave none behind', async () => {
  assert.equal(await count(5, 6), 30)
  assert.equal(existsSync(lock), false)
})

test('a lock whose holder is gone is taken over by exactly one of those who wait', async () => {
  writeFileSync(lock, '4194305 1') // beyond the largest pid there can be
  assert.equal(await count(5, 2), 10)
})

test('a lock of a process that has our pid but started at another time is stale, and so is an empty one', async () => {
  for (const text of [`${process.pid} 1`, '']) {
    writeFileSync(lock, text)
    assert.equal(await count(1, 1), 1)
  }
})

test('work that throws gives the lock back', async () => {
  const { withLock } = await import(module)
  assert.throws(
    () =>
      withLock(
        lock,
        () => {},
        () => {
          throw new Error('no disk')
        },
      ),
    /no disk/,
  )
  assert.equal(existsSync(lock), false)
})
