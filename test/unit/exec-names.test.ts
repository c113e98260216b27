/** Equal execs share what is made of their names; execs that differ in anything do not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ExecNameCache, type ExecNames } from '../../src/agent/process/exec-names.js'
import { buildEvent } from '../../src/sensor/event-builder.js'
import { EvExec } from '../../src/sensor/generated/abi.js'
import { seedOf } from '../support/seed.js'

interface Strings {
  comm: string
  invoked: string
  file: string
  cwd: string
  args: readonly string[]
  env: readonly string[]
}

const SHELL: Strings = {
  comm: 'sh',
  invoked: '/bin/sh',
  file: '/bin/busybox',
  cwd: '/',
  args: ['sh', '-c', ''],
  env: ['A=1'],
}
const words = (list: readonly string[]) => Buffer.from(list.map((word) => `${word}\0`).join(''))

function execOf({ comm, invoked, file, cwd, args, env }: Strings): EvExec {
  const parts = [Buffer.from(invoked), Buffer.from(file), Buffer.from(cwd), words(args), words(env)]
  const [invokedBytes, fileBytes, cwdBytes, argsBytes, envBytes] = parts.map(({ length }) => length)
  const lengths = { invoked_bytes: invokedBytes ?? 0, file_bytes: fileBytes ?? 0, cwd_bytes: cwdBytes ?? 0 }
  const fields = { ...lengths, args_bytes: argsBytes ?? 0, env_bytes: envBytes ?? 0, comm: Buffer.from(comm) }
  const bytes = buildEvent('ev_exec', fields, parts)
  return new EvExec(new DataView(bytes.buffer), bytes)
}

function textsOf(names: ExecNames): object {
  const { invoked, exe, cwd, args, image } = names
  const text = (value: { bytes: Uint8Array } | undefined) => value && Buffer.from(value.bytes).toString()
  return { invoked, exe, cwd, args, name: text(image.name), file: text(image.exePath), env: text(image.env) }
}

test('equal execs share their names and image; what the slab holds afterwards changes nothing', () => {
  const cache = new ExecNameCache()
  const first = execOf(SHELL)
  const names = cache.of(first)
  first.bytes.fill(0xff)
  assert.equal(cache.of(execOf(SHELL)), names)
  assert.deepEqual(textsOf(names), {
    ...{ invoked: '/bin/sh', exe: '/bin/busybox', cwd: '/', args: ['sh', '-c', ''] },
    ...{ name: 'sh', file: '/bin/busybox', env: 'A=1' },
  })
})

test('execs that differ in one string, or only in where one ends and the next begins, share nothing', () => {
  const cache = new ExecNameCache()
  const names = cache.of(execOf(SHELL))
  const others: Strings[] = [
    { ...SHELL, comm: 'sg' },
    { ...SHELL, args: ['sh', '-c', 'x'] },
    { ...SHELL, env: ['A=2'] },
    { ...SHELL, file: '/bin/busybo', cwd: 'x/' },
    { ...SHELL, args: ['sh', '-c'], env: ['', 'A=1'] },
  ]
  for (const other of others) {
    assert.notEqual(cache.of(execOf(other)), names)
    assert.deepEqual(textsOf(cache.of(execOf(other))), textsOf(new ExecNameCache().of(execOf(other))))
  }
})

test('a cache says of any exec what it says of it alone, however many came before', () => {
  const word = fc.string({ unit: 'binary', maxLength: 400 }).map((text) => text.replaceAll('\0', ''))
  const strings = fc.record({ ...{ invoked: word, file: word, cwd: word }, args: fc.array(word), env: fc.array(word) })
  const cache = new ExecNameCache()
  fc.assert(
    fc.property(strings, fc.constantFrom('a', 'b'), (some, comm) => {
      for (let times = 0; times < 2; times++)
        assert.deepEqual(
          textsOf(cache.of(execOf({ ...some, comm }))),
          textsOf(new ExecNameCache().of(execOf({ ...some, comm }))),
        )
    }),
    seedOf(500),
  )
})
