/** No act on a file that a rule holds for is filtered out in the kernel. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { placesOf } from '../../src/match/conditions/places.js'
import { ACTS_OF_ACCESS, FILE_ACTS, type FileAct } from '../../src/match/file-acts.js'
import { placesOfFileRule } from '../../src/match/place-wants.js'
import { compileProgram } from '../../src/match/program.js'
import { FILE_ACCESS, FILE_ACCESSES } from '../../src/policy/model.js'
import { lowerPlaces, type PlaceFilter } from '../../src/respond/lower-place.js'
import { actNumber } from '../../src/sensor/call-recipes.js'
import { Access, Act, KEY_PATH_BYTES, OpenKind, OpenTrait, PlaceClass } from '../../src/sensor/generated/abi.js'
import { conditionOf } from '../support/condition-rule.js'
import { conditionTrees, type MadeCondition } from '../support/condition-trees.js'
import { seedOf } from '../support/seed.js'
import * as generate from './generators.js'

const KIND_OF_ACCESS = [OpenKind.NEITHER, OpenKind.READ, OpenKind.WRITE, OpenKind.READ_WRITE]
const NO_SOURCES = { macro: () => undefined, list: () => undefined }

interface Done {
  act: FileAct
  paths: readonly Uint8Array[]
  isFailed?: boolean
  /** Of an open: enum hg_access, and the path as the call gave it. */
  access?: number
  raw?: string
}

/** The class that the kernel takes it for. */
function classOf({ act, access = 0, isFailed = false, raw = '' }: Done): number {
  if (act !== 'open') return 1 << (isFailed ? PlaceClass.FAILED : PlaceClass.DONE + actNumber(act) - Act.UNLINK)
  const kind = isFailed ? OpenKind.FAILED : (KIND_OF_ACCESS[access & 3] ?? 0)
  const traits = (access & Access.CREATE ? OpenTrait.CREATE : 0) | (raw.includes('..') ? OpenTrait.DOTDOT : 0)
  return 1 << (kind * 4 + traits)
}

/** As open.bpf.h and file_act.bpf.h do it. */
function passes({ classes, prefixes }: PlaceFilter, done: Done): boolean {
  const own = classOf(done)
  if (classes !== 0 && (classes & own) === 0) return false
  if (prefixes.length === 0) return true
  return done.paths.some((path) => {
    const key = path.subarray(0, KEY_PATH_BYTES)
    if (key.length === 0) return true
    let longest: { path: Uint8Array; classes: number } | undefined
    for (const entry of prefixes)
      if (
        entry.path.length >= (longest?.path.length ?? 0) &&
        Buffer.compare(key.subarray(0, entry.path.length), entry.path) === 0
      )
        longest = entry
    return longest !== undefined && (longest.classes & own) !== 0
  })
}

const fileAct = fc.constantFrom(...FILE_ACTS)

test('file rules', () => {
  const violated = new Map<FileAct, number>()
  const filtered = new Map<FileAct, number>()
  const count = (of: Map<FileAct, number>, act: FileAct) => of.set(act, (of.get(act) ?? 0) + 1)
  fc.assert(
    fc.property(
      generate.policiesOf(fc.oneof(generate.callRule, generate.refusableRule), 6),
      generate.container,
      fc.array(fc.tuple(generate.fileEvent, fileAct, fc.integer({ min: 1, max: 7 })), { minLength: 20, maxLength: 20 }),
      (policies, container, events) => {
        const program = compileProgram(policies, generate.NOW_MS)
        const profile = program.profileFor(container)
        const rules = [...profile.rules].flatMap((id) => program.rules[id] ?? [])
        const filter = lowerPlaces(rules.flatMap((rule) => (rule.kind === 'file' ? placesOfFileRule(rule) : [])))
        const hits = { rules: new Uint32Array(program.rules.length), count: 0 }
        for (const [{ path, other }, act, access] of events) {
          const second = act === 'rename' || act === 'link' ? (other ?? path) : undefined
          const bytes = Buffer.concat(second === undefined ? [path] : [path, second])
          const paths = {
            ...{ bytes, start: 0, end: path.length },
            ...{ hasOther: second !== undefined, otherStart: path.length, otherEnd: bytes.length },
          }
          const done = act === 'open' ? access : accessOf(act)
          program.matchFile(profile, paths, done, false, hits)
          const isReported = passes(filter, { act, access, paths: second === undefined ? [path] : [path, second] })
          if (!isReported) count(filtered, act)
          if (hits.count === 0) continue
          count(violated, act)
          assert.ok(isReported, `${act} ${bytes}`)
        }
      },
    ),
    seedOf(800),
  )
  for (const act of FILE_ACTS) {
    assert.ok((violated.get(act) ?? 0) > 20, `${act}: ${violated.get(act)} violated`)
    assert.ok((filtered.get(act) ?? 0) > 10, `${act}: ${filtered.get(act)} filtered`)
  }
})

/** FILE_ACCESS bit of an act that is no open. */
function accessOf(act: FileAct): number {
  const access = FILE_ACCESSES.find((name) => ACTS_OF_ACCESS[name].some((each) => each === act))
  assert.ok(access)
  return FILE_ACCESS[access]
}

interface Event {
  act: FileAct
  path: string
  /** Of a rename and a link. */
  second: string
  /** As the call gave it. */
  raw: string
  access: number
  result: number
}
type Made = MadeCondition<Event>
const hasTwo = ({ act }: Event) => act === 'rename' || act === 'link'

const PATHS = [
  '/',
  '/etc',
  '/etc/shadow',
  '/etc/ssh/key',
  '/etcetera',
  '/root/.ssh/id',
  '/proc/1/environ',
  '/a b/c',
  '/é/x',
]
const path = fc.constantFrom(...PATHS)
const quoted = (text: string) => `"${text}"`
const directoryOf = (text: string) => text.slice(0, Math.max(1, text.lastIndexOf('/')))
const isBelow = (text: string, above: string) =>
  above === '/' || text === above || text.startsWith(above.endsWith('/') ? above : `${above}/`)
const leaf: fc.Arbitrary<Made> = fc.oneof(
  path.map((to) => ({ text: `fd.name = ${quoted(to)}`, holds: (event: Event) => event.path === to })),
  path.map((to) => ({ text: `fd.name != ${quoted(to)}`, holds: (event: Event) => event.path !== to })),
  path.map((to) => ({ text: `fd.name startswith ${quoted(to)}`, holds: (event: Event) => event.path.startsWith(to) })),
  path.map((to) => ({ text: `fd.name endswith ${quoted(to)}`, holds: (event: Event) => event.path.endsWith(to) })),
  path.map((to) => ({ text: `fd.directory = ${quoted(to)}`, holds: (event: Event) => directoryOf(event.path) === to })),
  path.map((to) => ({ text: `fd.name pmatch (${quoted(to)})`, holds: (event: Event) => isBelow(event.path, to) })),
  // to pmatch a slash in front means nothing
  path.map((to) => ({
    text: `fd.name pmatch (${quoted(to.replace(/^\/(?=.)/, ''))})`,
    holds: (event: Event) => isBelow(event.path, to),
  })),
  path.map((to) => ({ text: `fd.name glob ${quoted(`${to}*`)}`, holds: (event: Event) => event.path.startsWith(to) })),
  fc.tuple(path, path).map(([a, b]) => ({
    text: `fd.name in (${quoted(a)}, ${quoted(b)})`,
    holds: (event: Event) => event.path === a || event.path === b,
  })),
  fc.boolean().map((is) => ({
    text: `evt.is_open_write = ${is}`,
    holds: ({ act, access }: Event) => (act === 'open' && (access & Access.WRITE) !== 0) === is,
  })),
  fc.boolean().map((is) => ({
    text: `evt.is_open_read = ${is}`,
    holds: ({ act, access }: Event) => (act === 'open' && (access & Access.READ) !== 0) === is,
  })),
  fc.constantFrom('>=', '<').map((operator) => ({
    text: `fd.num ${operator} 0`,
    // a call about a descriptor has its number, whatever came of it
    holds: ({ act, result }: Event) => (act === 'open' ? result >= 0 : true) === (operator === '>='),
  })),
  fc.boolean().map((is) => ({ text: `evt.failed = ${is}`, holds: ({ result }: Event) => result < 0 === is })),
  fc.constantFrom('../', '..', './').map((part) => ({
    text: `fd.nameraw contains ${quoted(part)}`,
    holds: ({ raw }: Event) => raw.includes(part),
  })),
  fc.constant({ text: 'fd.nameraw glob "*../*../*"', holds: ({ raw }: Event) => /\.\.\/.*\.\.\//.test(raw) }),
  fc.constant({ text: 'evt.type = execve', holds: () => false }),
  fc.constantFrom('>=', '<', '>').map((operator) => ({
    text: `evt.rawres ${operator} 0`,
    holds: ({ result }: Event) => (operator === '>=' ? result >= 0 : operator === '<' ? result < 0 : result > 0),
  })),
  fc.constantFrom('evt.res', 'evt.arg.res').map((field) => ({
    text: `${field} = SUCCESS`,
    holds: ({ result }: Event) => result >= 0,
  })),
  fc
    .subarray([...FILE_ACTS], { minLength: 1, maxLength: 4 })
    .map((acts) => ({ text: `evt.type in (${acts.join(', ')})`, holds: ({ act }: Event) => acts.includes(act) })),
  fileAct.map((act) => ({ text: `evt.type != ${act}`, holds: (event: Event) => event.act !== act })),
  fc.tuple(fc.constantFrom('=', 'startswith', '!='), path).map(([operator, to]) => ({
    text: `evt.arg.newpath ${operator} ${quoted(to)}`,
    holds: (event: Event) => hasTwo(event) && compares(operator, event.second, to),
  })),
  fc.tuple(fc.constantFrom('=', 'startswith', '!='), path).map(([operator, to]) => ({
    text: `evt.arg.oldpath ${operator} ${quoted(to)}`,
    holds: (event: Event) => hasTwo(event) && compares(operator, event.path, to),
  })),
  fc.tuple(fc.constantFrom('=', 'startswith'), path).map(([operator, to]) => ({
    text: `evt.arg.path ${operator} ${quoted(to)}`,
    holds: (event: Event) => !hasTwo(event) && event.act !== 'symlink' && compares(operator, event.path, to),
  })),
)
const tree = conditionTrees(leaf)
function compares(operator: string, text: string, to: string): boolean {
  if (operator === 'startswith') return text.startsWith(to)
  return (text === to) === (operator === '=')
}

const done: fc.Arbitrary<Event> = fc.record({
  act: fc.oneof(fc.constant<FileAct>('open'), fileAct),
  path,
  second: path,
  raw: fc.constantFrom('x', './x', '../x', 'a/../../x', '..'),
  access: fc.integer({ min: 0, max: 7 }),
  result: fc.constantFrom(-2, 3),
})

test('conditions', () => {
  let heldCount = 0
  let filteredCount = 0
  fc.assert(
    fc.property(tree, fc.array(done, { minLength: 20, maxLength: 20 }), ({ text, holds }, events) => {
      const { condition, eventTypes } = conditionOf(FILE_ACTS, text)
      const filter = lowerPlaces(placesOf(condition, NO_SOURCES, eventTypes))
      for (const each of events) {
        const { act, access, result, raw } = each
        const paths = [Buffer.from(each.path), ...(hasTwo(each) ? [Buffer.from(each.second)] : [])]
        const isReported = passes(filter, { act, paths, access, isFailed: result < 0, raw })
        if (!isReported) filteredCount++
        if (!eventTypes.includes(act) || !holds(each)) continue
        heldCount++
        assert.ok(isReported, `${text} holds for ${JSON.stringify(each)}`)
      }
    }),
    seedOf(1500),
  )
  assert.ok(heldCount > 100 && filteredCount > 100, `${heldCount} held, ${filteredCount} filtered`)
})
