/** bin/hullguard: found through a symbolic link, and plain about a checkout that has not been built. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const tree = mkdtempSync(join(tmpdir(), 'hullguard-bin-'))
const link = join(tree, 'elsewhere', 'hg')
mkdirSync(join(tree, 'checkout/bin'), { recursive: true })
mkdirSync(join(tree, 'elsewhere'))
writeFileSync(join(tree, 'checkout/package.json'), '{"type":"module"}')
copyFileSync(fileURLToPath(new URL('../../../bin/hullguard', import.meta.url)), join(tree, 'checkout/bin/hullguard'))
symlinkSync('../checkout/bin/hullguard', link)

after(() => rmSync(tree, { recursive: true, force: true }))

test('not built: says so in one plain message and ends with exit code 3', () => {
  const done = spawnSync(link, ['run'], { encoding: 'utf8' })
  assert.equal(done.status, 3)
  assert.match(done.stderr, /not built/)
  assert.match(done.stderr, /npm run setup/)
  assert.doesNotMatch(done.stderr, /\bat .*:\d+:\d+/, 'no stack trace')
  assert.equal(done.stdout, '')
})

test('built: runs the main program with the arguments given, through a symbolic link too', () => {
  mkdirSync(join(tree, 'checkout/dist/src'), { recursive: true })
  writeFileSync(join(tree, 'checkout/dist/src/main.js'), 'console.log(JSON.stringify(process.argv.slice(2)))')
  const done = spawnSync(link, ['events', '--json'], { encoding: 'utf8' })
  assert.deepEqual(JSON.parse(done.stdout), ['events', '--json'])
  assert.equal(done.status, 0)
})
