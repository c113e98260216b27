/** src/cli/heap.ts, in processes of their own: what V8 is told holds for all of one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runOk } from '../support/process.js'

const MIB = 1024 * 1024
const MODULE = new URL('../../src/cli/heap.js', import.meta.url)

/** Keeps much alive for a while, in many turns of the event loop; prints how large the young generation has become. */
const work = (begin: string) => `
  import { boundYoungGeneration, youngBytes } from ${JSON.stringify(MODULE.href)}
  ${begin}
  let kept = []
  for (let turn = 0; turn < 1_500; turn++) {
    // little enough that no turn has two collections
    for (let index = 0; index < 2_000; index++) kept.push({ index, pair: [index, turn] })
    if (kept.length > 60_000) kept = kept.slice(30_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  console.log(youngBytes())
`

async function youngBytesAfter(begin: string): Promise<number> {
  return Number(await runOk(process.execPath, ['--input-type=module', '--eval', work(begin)]))
}

test('the young generation grows to its bound and no further', async () => {
  assert.ok((await youngBytesAfter('')) > 8 * MIB, 'without the bound it grows beyond it')
  assert.equal(await youngBytesAfter('boundYoungGeneration()'), 8 * MIB)
})

test('what the start left is collected, and V8 can be told to collect by nobody else', async () => {
  const left = `
    import { collect } from ${JSON.stringify(MODULE.href)}
    let kept = []
    for (let turn = 0; turn < 50; turn++) {
      for (let index = 0; index < 10_000; index++) kept.push({ index, text: 'x' + index })
      await new Promise((resolve) => setImmediate(resolve))
    }
    kept = undefined
    const before = process.memoryUsage().heapUsed
    collect()
    console.log(before, process.memoryUsage().heapUsed, typeof gc)
  `
  const [before, after, gc] = (await runOk(process.execPath, ['--input-type=module', '--eval', left])).trim().split(' ')
  assert.ok(Number(before) > 20 * MIB, `${before} bytes in use`)
  assert.ok(Number(after) < 10 * MIB, `${after} bytes in use`)
  assert.equal(gc, 'undefined')
})
