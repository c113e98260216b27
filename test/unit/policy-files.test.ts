/** Policy files and folders on disk: sorted, bounded, never blocked by a pipe. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadPolicyPaths, readPolicyPaths } from '../../src/policy/read-files.js'

const folder = mkdtempSync(join(tmpdir(), 'hullguard-policies-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function policy(name: string): string {
  return `policy: ${name}\ncontainers: all\nrules:\n  - rule: r\n    exec: { deny: nc }\n`
}

test('a folder stands for its *.yaml and *.yml by name, without hidden files and subfolders', async () => {
  const inside = join(folder, 'set')
  mkdirSync(join(inside, 'more.yaml'), { recursive: true })
  writeFileSync(join(inside, 'b.yml'), policy('b'))
  writeFileSync(join(inside, 'a.yaml'), policy('a'))
  writeFileSync(join(inside, '.hidden.yaml'), policy('h'))
  writeFileSync(join(inside, 'notes.txt'), 'none')
  const result = await loadPolicyPaths([inside])
  assert.deepEqual(
    result.policies.map(({ name }) => name),
    ['a', 'b'],
  )
  assert.deepEqual(
    result.diagnostics.map(({ code, message }) => [code, message]),
    [['HG3001', 'it is a folder']],
  )
})

test('a file named twice, also through a link, is read once', async () => {
  const file = join(folder, 'one.yaml')
  writeFileSync(file, policy('one'))
  symlinkSync(file, join(folder, 'link.yaml'))
  const { inputs, diagnostics } = await readPolicyPaths([file, file, join(folder, 'link.yaml')])
  assert.equal(inputs.length, 1)
  assert.deepEqual(diagnostics, [])
})

test('a missing file, a pipe, a device, a link in a circle and 10 MB are errors, and the others are read', async () => {
  const big = join(folder, 'big.yaml')
  writeFileSync(big, Buffer.alloc(10_000_000, 0x20))
  const pipe = join(folder, 'pipe.yaml')
  execFileSync('mkfifo', [pipe])
  const circle = join(folder, 'circle.yaml')
  symlinkSync(circle, circle)
  const good = join(folder, 'good.yaml')
  writeFileSync(good, policy('good'))
  const result = await loadPolicyPaths([join(folder, 'none.yaml'), pipe, '/dev/zero', circle, big, good])
  assert.deepEqual(
    result.diagnostics.map(({ code, message }) => [code, message]),
    [
      ['HG3001', 'there is no such file or folder'],
      ['HG3001', 'it is not a regular file'],
      ['HG3001', 'it is not a regular file'],
      ['HG3001', 'the path goes through too many links'],
      ['HG3002', 'the file has 10000000 bytes, more than 1048576'],
    ],
  )
  assert.equal(result.refusedFiles.length, 5)
  assert.deepEqual(
    result.policies.map(({ name }) => name),
    ['good'],
  )
})

test('an empty folder is a warning', async () => {
  const empty = join(folder, 'empty')
  mkdirSync(empty)
  const result = await loadPolicyPaths([empty])
  assert.deepEqual(
    result.diagnostics.map(({ code, severity }) => [code, severity]),
    [['HG3018', 'warning']],
  )
  assert.equal(result.errorCount, 0)
})
