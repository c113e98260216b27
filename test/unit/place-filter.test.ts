/** What rules have to see of acts on files, and what the kernel is told of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConditionSet } from '../../src/agent/conditions/condition-set.js'
import { PolicySet } from '../../src/agent/rules/policies.js'
import type { NamedAct } from '../../src/match/file-acts.js'
import { compileProgram } from '../../src/match/program.js'
import { loadPolicies } from '../../src/policy/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { HOST } from '../../src/record/model.js'
import { lowerPlaces, type PlaceFilter, topsOf } from '../../src/respond/lower-place.js'
import { actNumber } from '../../src/sensor/call-recipes.js'
import { Act, OpenKind, OpenTrait, PlaceClass, TOP_BYTES, TOP_FACTOR } from '../../src/sensor/generated/abi.js'

/** A set of the kernel's classes: of these kinds, of those of them with the traits. */
const setOf = (kinds: readonly number[], traits = 0): number =>
  kinds
    .flatMap((kind) => [0, 1, 2, 3].filter((each) => (each & traits) === traits).map((each) => kind * 4 + each))
    .reduce((mask, each) => mask | (1 << each), 0)
const SUCCESSES = [OpenKind.READ, OpenKind.WRITE, OpenKind.READ_WRITE, OpenKind.NEITHER]
const READ = setOf([OpenKind.READ, OpenKind.READ_WRITE])
const WRITE = setOf([OpenKind.WRITE, OpenKind.READ_WRITE])
const CREATE = setOf(SUCCESSES, OpenTrait.CREATE)
const FAILED = setOf([OpenKind.FAILED])
const ANY_SUCCESS = setOf(SUCCESSES)
const ANY = ANY_SUCCESS | FAILED
const done = (...acts: NamedAct[]): number =>
  acts.reduce((mask, act) => mask | (1 << (PlaceClass.DONE + actNumber(act) - Act.UNLINK)), 0)
const ACT_FAILED = 1 << PlaceClass.FAILED
/** Opens that write, and what else does. */
const WRITTEN = WRITE | done('truncate')

function filterOf(rules: string): PlaceFilter {
  const text = `policy: p\ncontainers: all\nrules:\n${rules}`
  const loaded = loadPolicies([{ file: 'test.yaml', bytes: new TextEncoder().encode(text) }])
  assert.equal(renderDiagnostics(loaded), '')
  const set = new PolicySet(1, compileProgram(loaded.policies))
  assert.ok(set.conditions instanceof ConditionSet)
  return lowerPlaces(set.placesFor({ ...HOST, state: 'container', id: 'c' }))
}

const file = (body: string) => filterOf(`  - rule: r\n    file: ${body}\n`)
const when = (condition: string) => filterOf(`  - rule: r\n    condition: ${JSON.stringify(condition)}\n`)
const shown = ({ classes, prefixes }: PlaceFilter) => [
  classes,
  ...prefixes.map((prefix) => [Buffer.from(prefix.path).toString('latin1'), prefix.classes]),
]

test('entries of file rules become prefixes with their accesses; patterns, what they begin with', () => {
  assert.deepEqual(shown(file('{ deny: [{ path: /etc/shadow, access: [read] }] }')), [READ, ['/etc/shadow', READ]])
  assert.deepEqual(
    shown(
      file(
        '{ deny: [{ path: "/etc/**", access: [write] }, { path: "/opt/*/key", access: [read] }, { path: "/a/b[0-9]", access: [read] }] }',
      ),
    ),
    [READ | WRITTEN, ['/a/b', READ], ['/etc', WRITTEN], ['/opt/', READ]],
  )
})

test('a name at any depth has to see opens of every path; an allow list, of all but its folders', () => {
  assert.deepEqual(shown(file('{ deny: [{ path: id_rsa, access: [read] }] }')), [READ])
  assert.deepEqual(shown(file('{ allow: [{ path: "/srv/x", access: [write] }] }')), [WRITTEN])
  assert.deepEqual(
    shown(file('{ allow: [{ path: "/srv/**", access: [write] }, { path: /tmp/**, access: [read] }] }')),
    [READ | WRITTEN, ['', READ | WRITTEN], ['/tmp/', WRITTEN], ['/srv/', READ]],
  )
})

test('below an allowed folder only what is more specific is wanted', () => {
  const allowed = '{ path: "/srv/**", access: [read] }'
  const deny = (entry: string) => shown(file(`{ deny: [{ path: "${entry}", access: [read] }], allow: [${allowed}] }`))
  for (const entry of ['**/key', '/*/key', '/s*/key', '/s[r]v/**'])
    assert.deepEqual(deny(entry).at(-1), ['/srv/', 0], entry)
  for (const entry of ['/srv/**/key', '/srv/*/key']) assert.deepEqual(deny(entry), [READ], entry)
  assert.deepEqual(deny('/srv/a/key'), [READ, ['', READ], ['/srv/', 0], ['/srv/a/key', READ]])
})

test('an exception of a folder leaves nothing below it', () => {
  const rule = (match: string) =>
    shown(
      filterOf(
        `  - rule: r\n    file: { deny: [{ path: "/etc/**", access: [read] }, { path: /etc/x/y, access: [read] }] }\n    exceptions: [{ name: e, reason: r, match: [${match}] }]\n`,
      ),
    )
  assert.deepEqual(rule('"/etc/x/**"'), [READ, ['/etc', READ], ['/etc/x/', 0]])
  assert.deepEqual(rule('/etc/x/y'), [READ, ['/etc', READ]])
})

test('a deeper entry says what shorter ones say too; one that adds nothing is left out', () => {
  const filter = filterOf(`
  - rule: a
    file: { deny: [{ path: "/etc/**", access: [write] }, { path: /etc/shadow, access: [read] }, { path: "/etc/cron.d/**", access: [write] }] }
  - rule: b
    file: { deny: [{ path: "**/*.key", access: [read] }] }
`)
  assert.deepEqual(shown(filter), [READ | WRITTEN, ['', READ], ['/etc', READ | WRITTEN]])
})

test('conditions: type, access, result and the beginning of the path, through and, or, lists and negation', () => {
  const write = `evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.typechar = f and fd.num >= 0`
  assert.deepEqual(shown(when(`${write} and fd.name startswith /etc/`)), [WRITE, ['/etc/', WRITE]])
  assert.deepEqual(shown(when(`${write} and (fd.name in (/etc/a, "/b c") or fd.directory = /root/.ssh)`)), [
    WRITE,
    ['/b c', WRITE],
    ['/etc/a', WRITE],
    ['/root/.ssh', WRITE],
  ])
  assert.deepEqual(shown(when(`${write} and fd.name startswith /etc/ and not fd.name startswith /etc/x`)), [
    WRITE,
    ['/etc/', WRITE],
    ['/etc/x', 0],
  ])
  assert.deepEqual(shown(when(`${write} and fd.name contains shadow`)), [WRITE])
  assert.deepEqual(shown(when(`${write} and fd.name startswith /etc/ and fd.name = /etc/passwd`)), [
    WRITE,
    ['/etc/passwd', WRITE],
  ])
  assert.deepEqual(shown(when('evt.type = open and fd.name pmatch ("/proc//sys/", /dev/*)')), [
    ANY,
    ['/dev', ANY],
    ['/proc/sys', ANY],
  ])
})

test('what may hold for a failed open sees those of the same paths', () => {
  assert.deepEqual(shown(when('evt.type = openat and fd.name = /etc/shadow')), [ANY, ['/etc/shadow', ANY]])
  assert.deepEqual(shown(when('evt.type = openat and evt.failed = false and fd.name = /etc/shadow')), [
    ANY_SUCCESS,
    ['/etc/shadow', ANY_SUCCESS],
  ])
})

test('negations of beginnings leave those out, through and, or and macros of negations', () => {
  const left = (condition: string) => shown(when(`evt.type = open and ${condition}`))
  assert.deepEqual(left('not fd.name startswith /etc/'), [ANY, ['', ANY], ['/etc/', 0]])
  assert.deepEqual(left('not (fd.name startswith /etc/ or fd.name pmatch (/dev, /proc/))'), [
    ANY,
    ['', ANY],
    ['/etc/', 0],
    ['/dev/', 0],
    ['/proc/', 0],
  ])
  assert.deepEqual(left('not (fd.name startswith /etc/ and proc.name = x)'), [ANY])
  assert.deepEqual(left('not not fd.name startswith /etc/'), [ANY, ['/etc/', ANY]])
  assert.deepEqual(left('not (not fd.name startswith /etc/ or fd.name startswith /etc/a)'), [
    ANY,
    ['/etc/', ANY],
    ['/etc/a', 0],
  ])
  assert.deepEqual(left('not evt.is_open_write = true'), [ANY & ~WRITE])
  // one more beginning that is wanted by another rule
  assert.deepEqual(left('(not fd.name startswith /etc/ or fd.name = /etc/shadow)'), [
    ANY,
    ['', ANY],
    ['/etc/', 0],
    ['/etc/shadow', ANY],
  ])
})

test('what is not understood holds for every open', () => {
  for (const condition of [
    'evt.type = open',
    'evt.type = open and not fd.name = /etc/a',
    'evt.type = open and not fd.directory startswith /etc/',
    'evt.type = open and tolower(fd.name) = /etc/shadow',
    'evt.type = open and (fd.name = /a or proc.name = x)',
    'evt.type = open and fd.name endswith .key',
    'evt.type = open and fd.name = val(proc.exepath)',
  ])
    assert.deepEqual(shown(when(condition)), [ANY], condition)
})

test('what may be read and what may be written: an open for both is of either', () => {
  const both = setOf([OpenKind.READ_WRITE])
  assert.deepEqual(
    shown(when('evt.type = open and evt.is_open_read = true and evt.is_open_write = true and fd.num >= 0')),
    [both],
  )
  assert.equal(READ & WRITE, both)
  assert.deepEqual(shown(file('{ deny: [{ path: id_rsa, access: [create] }] }')), [CREATE | done('mkdir', 'symlink')])
})

test('a name given with `..` is a class of its own, when nothing else can match', () => {
  const dotDot = setOf(SUCCESSES, OpenTrait.DOTDOT)
  const open = 'evt.type = openat and fd.num >= 0'
  for (const check of ['glob "*../*../*"', 'contains "../"', 'startswith ..', 'in ("a/..", "..")'])
    assert.deepEqual(shown(when(`${open} and fd.nameraw ${check}`)), [dotDot], check)
  for (const check of ['glob "*[..]*"', 'contains "./"', 'in ("..", "a")', 'regex ".*[.][.].*"'])
    assert.deepEqual(shown(when(`${open} and fd.nameraw ${check}`)), [ANY_SUCCESS], check)
  assert.deepEqual(
    shown(when(`${open} and fd.nameraw contains ".." and evt.is_open_read = true and fd.name startswith /etc`)),
    [READ & dotDot, ['/etc', READ & dotDot]],
  )
})

test('rules about other events want no acts on files', () => {
  assert.deepEqual(shown(when('evt.type = execve or (evt.type = openat and fd.name = /a and fd.num >= 0)')), [
    ANY_SUCCESS,
    ['/a', ANY_SUCCESS],
  ])
})

test('other acts on files: what was done, whether it failed, and how either path begins', () => {
  const gone = done('unlink', 'rmdir')
  assert.deepEqual(
    shown(file('{ deny: [{ path: "/etc/**", access: [delete] }, { path: "/srv/x", access: [rename] }] }')),
    [gone | done('rename'), ['/etc', gone], ['/srv/x', done('rename')]],
  )
  const unlink = done('unlink') | ACT_FAILED
  assert.deepEqual(shown(when('evt.type in (unlink, unlinkat) and evt.arg.path startswith /var/log/')), [
    unlink,
    ['/var/log/', unlink],
  ])
  for (const success of ['evt.failed = false', 'evt.res = SUCCESS', 'evt.rawres >= 0', 'evt.arg.res = SUCCESS'])
    assert.deepEqual(shown(when(`evt.type = unlink and ${success} and evt.arg.path = /a`)), [
      done('unlink'),
      ['/a', done('unlink')],
    ])
  for (const failure of ['evt.failed = true', 'evt.rawres < 0'])
    assert.deepEqual(shown(when(`evt.type = unlink and ${failure}`)), [ACT_FAILED])
  const rename = done('rename') | ACT_FAILED
  assert.deepEqual(shown(when('evt.type = rename and (evt.arg.oldpath = /a or evt.arg.newpath startswith /b)')), [
    rename,
    ['/a', rename],
    ['/b', rename],
  ])
})

test('what is asked of both paths of an act is no contradiction', () => {
  const rename = done('rename') | ACT_FAILED
  assert.deepEqual(shown(when('evt.type = rename and evt.arg.oldpath startswith /a and evt.arg.newpath = /bcd')), [
    rename,
    ['/bcd', rename],
  ])
  assert.deepEqual(shown(when('evt.type = rename and evt.arg.oldpath startswith /a and evt.arg.oldpath = /bcd')), [0])
})

test('each kind of act is wanted where its own rules want it', () => {
  const filter = filterOf(`
  - rule: a
    file: { deny: [{ path: "/etc/**", access: [read] }] }
  - rule: b
    condition: evt.type in (chmod, fchmod) and evt.failed = false and fd.name startswith /etc/ssh
  - rule: c
    condition: evt.type = truncate and evt.failed = false
`)
  const chmod = done('chmod')
  const truncate = done('truncate')
  assert.deepEqual(shown(filter), [
    READ | chmod | truncate,
    ['', truncate],
    ['/etc', READ | truncate],
    ['/etc/ssh', READ | chmod | truncate],
  ])
})

test('more entries than a profile may have are no entries', () => {
  const many = Array.from({ length: 5000 }, (_, index) => `{ path: /srv/${index}/x, access: [read] }`).join(', ')
  assert.deepEqual(shown(file(`{ deny: [${many}] }`)), [READ])
})

/** As place__wanted_of_key() of bpf/lib/place.bpf.h: undefined, the table of entries has to be asked. */
function wantedByTop({ prefixes }: PlaceFilter, path: string): number | undefined {
  const { placeElsewhere, placeTops } = topsOf(prefixes)
  if (path.length < TOP_BYTES) return undefined
  const top = Math.imul(Buffer.from(path, 'latin1').readUint32LE(), TOP_FACTOR) >>> 24
  return ((placeTops[top >> 6] ?? 0n) >> BigInt(top & 63)) & 1n ? undefined : placeElsewhere
}

test('the first bytes of a path tell that no entry is about it, and then what is wanted everywhere', () => {
  const filter = (...prefixes: [string, number][]): PlaceFilter => ({
    classes: 0,
    prefixes: prefixes.map(([path, classes]) => ({ path: Buffer.from(path, 'latin1'), classes })),
  })
  const etc = filter(['', 1], ['/etc/', 3])
  assert.equal(wantedByTop(etc, '/etc/passwd'), undefined)
  assert.equal(wantedByTop(etc, '/bench/true'), 1)
  assert.equal(wantedByTop(filter(['/etc/', 3]), '/bench/true'), 0)
  assert.equal(wantedByTop(filter(['/b', 3]), '/home/x'), undefined)
  assert.equal(wantedByTop(etc, '/et'), undefined)

  const name = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 6 })
  const entries = fc.uniqueArray(
    fc.tuple(
      name.map((text) => (text === '' ? '' : `/${text}`)),
      fc.nat(7),
    ),
    {
      selector: ([path]) => path,
      maxLength: 4,
    },
  )
  let byTop = 0
  fc.assert(
    fc.property(entries, name, (prefixes, rest) => {
      const path = `/${rest}`
      const told = wantedByTop(filter(...prefixes), path)
      if (told === undefined) return
      byTop++
      const fitting = prefixes.filter(([prefix]) => path.startsWith(prefix))
      const [, classes] = fitting.sort(([a], [b]) => b.length - a.length)[0] ?? ['', 0]
      assert.equal(told, classes, `${path} of ${JSON.stringify(prefixes)}`)
    }),
    { numRuns: 2_000 },
  )
  assert.ok(byTop > 100, `${byTop} told by their first bytes`)
})
