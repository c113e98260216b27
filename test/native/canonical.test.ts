/** bpf/lib/canonical.h, compiled for the host, against a table and against a model that works on whole components. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { makeTempDir, removeDir, requires, runOk } from '../support/process.js'
import { seedOf } from '../support/seed.js'

const skip = requires({ commands: ['gcc'] })

const PATH_BYTES = 4096
const DEPTH_MAX = 128

interface Answer {
  path: string
  depth: number
  hadDotdot: boolean
  tooDeep: boolean
  truncated: boolean
}

/** Any bytes that can stand in a name, as Latin-1 text. */
const nameOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes).toString('latin1').replaceAll('\0', '_').replaceAll('/', '_')

/** What the header promises, without its way of getting there. Only the flags count once one of the last two is set. */
function model(input: string): Answer {
  const kept: string[] = []
  const answer = { hadDotdot: false, tooDeep: false, truncated: false }
  for (const component of input.split('/').slice(1)) {
    const startBytes = kept.reduce((sum, name) => sum + 1 + name.length, 1)
    // A component that begins in the last byte cannot be told from one that was cut.
    if (startBytes > PATH_BYTES - 2 || startBytes + component.length > PATH_BYTES) answer.truncated = true
    if (component === '..') {
      answer.hadDotdot = true
      kept.pop()
    } else if (component !== '' && component !== '.') {
      if (kept.length >= DEPTH_MAX) answer.tooDeep = true
      kept.push(component)
    }
  }
  return { path: `/${kept.join('/')}`, depth: kept.length, ...answer }
}

describe('canonical paths', { skip }, () => {
  let dir: string
  let program: string

  before(async () => {
    dir = makeTempDir()
    program = join(dir, 'canonical')
    const root = findPackageRoot()
    const flags = ['-O1', '-g', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined', '-fno-sanitize-recover']
    const source = join(root, 'test/support/acts/canonical_host.c')
    await runOk('gcc', [...flags, '-I', join(root, 'bpf/lib'), '-o', program, source])
  })
  after(() => removeDir(dir))

  /** Latin-1 text stands for bytes. */
  async function canonical(paths: readonly string[]): Promise<Answer[]> {
    const output = await runOk(program, [], { input: Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1') })
    return output.split('\n').map((line) => {
      const [depth, hadDotdot, tooDeep, truncated, hex = ''] = line.split(' ')
      const path = Buffer.from(hex, 'hex').toString('latin1')
      return {
        path,
        depth: Number(depth),
        hadDotdot: hadDotdot === '1',
        tooDeep: tooDeep === '1',
        truncated: truncated === '1',
      }
    })
  }

  async function assertLikeModel(paths: readonly string[]): Promise<void> {
    const answers = await canonical(paths)
    assert.equal(answers.length, paths.length)
    paths.forEach((path, index) => {
      const expected = model(path)
      const answer = answers[index]
      const { tooDeep, truncated } = expected
      assert.deepEqual([answer?.tooDeep || answer?.truncated], [tooDeep || truncated], path)
      if (!tooDeep && !truncated) assert.deepEqual(answer, expected, path)
    })
  }

  const table: [string, string, { hadDotdot?: boolean }?][] = [
    ['/', '/'],
    ['//', '/'],
    ['/.', '/'],
    ['/..', '/', { hadDotdot: true }],
    ['/../..', '/', { hadDotdot: true }],
    ['/a', '/a'],
    ['/a/', '/a'],
    ['//a///b//', '/a/b'],
    ['/a/./b/.', '/a/b'],
    ['/a/../b', '/b', { hadDotdot: true }],
    ['/a/b/..', '/a', { hadDotdot: true }],
    ['/a/..', '/', { hadDotdot: true }],
    ['/../a', '/a', { hadDotdot: true }],
    ['/...', '/...'],
    ['/..a/.b/c.', '/..a/.b/c.'],
    ['/a\n\x1b/\xff', '/a\n\x1b/\xff'],
  ]
  test('the known cases', async () => {
    const answers = await canonical(table.map(([input]) => input))
    table.forEach(([input, path, flags], index) => {
      const depth = path === '/' ? 0 : path.split('/').length - 1
      const expected = { path, depth, hadDotdot: false, tooDeep: false, truncated: false, ...flags }
      assert.deepEqual(answers[index], expected, input)
    })
  })

  test('random paths come out as the model says', async () => {
    const component = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('', '.', '..', 'a', 'bc', '...', '.x', 'x.') },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map(nameOf) },
    )
    const path = fc.array(component, { maxLength: 40 }).map((components) => `/${components.join('/')}`)
    await fc.assert(fc.asyncProperty(fc.array(path, { minLength: 1, maxLength: 200 }), assertLikeModel), seedOf(50))
  })

  test('around the limits of length and depth it says what it could not do, and never less', async () => {
    const name = 'n'.repeat(255)
    const paths: string[] = []
    for (let bytes = PATH_BYTES - 6; bytes <= PATH_BYTES + 3; bytes++) {
      const filled = `/${name}`.repeat(15)
      const exact = `${filled}/${'l'.repeat(bytes - filled.length - 1)}`
      assert.equal(exact.length, bytes)
      for (const end of ['', '/', '/.', '/..', '/x', '/../x']) paths.push(exact + end)
    }
    for (let depth = DEPTH_MAX - 2; depth <= DEPTH_MAX + 2; depth++)
      for (const end of ['', '/', '/..', '/../x', '/../../x']) paths.push('/d'.repeat(depth) + end)
    await assertLikeModel(paths)
  })
})
