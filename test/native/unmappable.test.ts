/** Without the live counts of urgent events and kills the reader would let them wait for company: the start is refused, and says why. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { requires, runOk } from '../support/process.js'

const CHILD = fileURLToPath(new URL('../support/sensor-unmappable.js', import.meta.url))
const skip = requires({ root: true, files: ['/sys/kernel/btf/vmlinux'] })

test('globals that cannot be mapped are an error of the start', { skip }, async () => {
  assert.deepEqual(JSON.parse(await runOk(process.execPath, [CHILD])), {
    globalsCount: 1,
    said: 'cannot map the globals of the BPF object: Bad file descriptor',
  })
})
