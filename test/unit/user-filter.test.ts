/** Which users' acts rules have to see, what the kernel is told of it, and what a change of names does. */
import assert from 'node:assert/strict'
import { mkdirSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { UserNames } from '../../src/agent/host/users.js'
import { PolicySet } from '../../src/agent/rules/policies.js'
import { compileProgram } from '../../src/match/program.js'
import { callKindsOf, ofEverybody } from '../../src/match/user-wants.js'
import { loadFalcoRules } from '../../src/policy/falco/load.js'
import { loadPolicies } from '../../src/policy/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import type { CallKind } from '../../src/record/call-model.js'
import { HOST } from '../../src/record/model.js'
import { lowerUsers, type UserFilter } from '../../src/respond/lower-user.js'
import { actBit } from '../../src/sensor/call-recipes.js'
import { USER_RANGES } from '../../src/sensor/generated/abi.js'
import { makeTempDir, removeDir } from '../support/process.js'

const accounts = {
  uidsOf: (name: string) => ({ root: [0], web: [33, 34], ops: [1000] })[name] ?? [],
  gidsOf: () => [],
}
const masks = (...kinds: CallKind[]) => kinds.reduce((mask, kind) => mask | actBit(kind), 0n)

function wantsOf(rules: string) {
  const text = `policy: p\ncontainers: all\nrules:\n${rules}`
  const loaded = loadPolicies([{ file: 'test.yaml', bytes: new TextEncoder().encode(text) }])
  assert.equal(renderDiagnostics(loaded), '')
  return new PolicySet(1, compileProgram(loaded.policies)).usersFor({ ...HOST, state: 'container', id: 'c' })
}
const filterOf = (rules: string) => lowerUsers(wantsOf(rules), accounts)
const rule = (condition: string, name = 'r') => `  - rule: ${name}\n    condition: ${JSON.stringify(condition)}\n`
const when = (condition: string) => filterOf(rule(condition))
/** Where what is wanted of an act changes, from 0 on. */
const changes = ({ users }: UserFilter, act: CallKind) =>
  users
    .map(({ from, acts }) => [from, (acts & actBit(act)) !== 0n] as const)
    .filter(([, is], at, all) => at === 0 || all[at - 1]?.[1] !== is)
const NONE: UserFilter = { byUser: 0n, users: [] }

test('numbers: equal, in a list, other than, and ordered', () => {
  const open = (check: string) => {
    const filter = when(`evt.type = open and ${check}`)
    assert.equal(filter.byUser, masks('open'), check)
    return changes(filter, 'open')
  }
  assert.deepEqual(open('user.uid = 0'), [
    [0, true],
    [1, false],
  ])
  assert.deepEqual(open('user.uid in (3, 5, 4, 4294967295)'), [
    [0, false],
    [3, true],
    [6, false],
    [4294967295, true],
  ])
  for (const check of ['user.uid != 0', 'user.uid > 0', 'user.uid >= 1', 'not user.uid = 0', 'not user.uid < 1'])
    assert.deepEqual(
      open(check),
      [
        [0, false],
        [1, true],
      ],
      check,
    )
  assert.deepEqual(open('user.uid >= 1000 and not user.uid in (1005, 2000)'), [
    [0, false],
    [1000, true],
    [1005, false],
    [1006, true],
    [2000, false],
    [2001, true],
  ])
})

test('names: those of the host, and of users without one what cannot be told', () => {
  const open = (check: string) => changes(when(`evt.type = open and ${check}`), 'open')
  assert.deepEqual(open('user.name = web'), [
    [0, false],
    [33, true],
    [35, false],
  ])
  for (const check of ['user.name != root', 'not user.name in (root, root)'])
    assert.deepEqual(
      open(check),
      [
        [0, false],
        [1, true],
      ],
      check,
    )
  assert.deepEqual(open('user.name in (root, ops) and user.uid > 0'), [
    [0, false],
    [1000, true],
    [1001, false],
  ])
  // of the users of a name that the host does not know nothing is left out
  for (const check of ['user.name = nobody-knows', 'user.name in (root, nobody-knows)', 'not user.name != root'])
    assert.deepEqual(when(`evt.type = open and ${check}`), NONE, check)
  assert.deepEqual(open('user.name != root and user.name != nobody-knows'), [
    [0, false],
    [1, true],
  ])
  assert.deepEqual(lowerUsers(wantsOf(rule('evt.type = open and user.name = root')), undefined), NONE)
})

test('what is not understood is of every user', () => {
  for (const check of [
    'user.uid exists',
    'not user.uid exists',
    'user.uid = val(group.gid)',
    'user.loginuid = 0',
    'user.name startswith ro',
    'not user.name startswith ro',
    '(user.uid = 0 or proc.name = x)',
    'not (user.uid = 0 and proc.name = x)',
  ])
    assert.deepEqual(when(`evt.type = open and ${check}`), NONE, check)
})

test('lists and macros of Falco files; a word that is a list’s name stands for the list alone', () => {
  const text = [
    '- list: root\n  items: [ops]\n',
    '- macro: by_ops\n  condition: user.name in (root)\n',
    '- rule: r\n  desc: d\n  condition: evt.type = open and not by_ops\n  output: o\n  priority: INFO\n',
  ].join('')
  const loaded = loadFalcoRules([{ file: 'f.yaml', bytes: Buffer.from(text) }])
  const { rules, macros, lists: named } = loaded
  assert.equal(rules.length, 1, renderDiagnostics(loaded))
  const lists = new Map([...named.names()].map((name) => [name, named.values(name) ?? []]))
  const set = PolicySet.of(1, { policies: [], falco: { rules, macros, lists } })
  const wants = set.usersFor({ ...HOST, state: 'container', id: 'c' })
  assert.deepEqual(changes(lowerUsers(wants, accounts), 'open'), [
    [0, true],
    [1000, false],
    [1001, true],
  ])
})

test('each act is wanted of the users that its own rules want', () => {
  const rules = [
    rule('evt.type in (open, unlink) and user.uid = 0', 'a'),
    rule('evt.type = unlink and user.uid >= 1000', 'b'),
    rule('evt.type in (chmod, setuid) and user.uid = 5', 'c'),
    `  - rule: d\n    file: { deny: [{ path: /etc/shadow, access: [chmod] }] }\n`,
  ]
  const filter = filterOf(rules.join(''))
  assert.equal(filter.byUser, masks('open', 'unlink', 'setuid'))
  assert.deepEqual(changes(filter, 'open'), [
    [0, true],
    [1, false],
  ])
  assert.deepEqual(changes(filter, 'unlink'), [
    [0, true],
    [1, false],
    [1000, true],
  ])
  assert.deepEqual(changes(filter, 'setuid'), [
    [0, false],
    [5, true],
    [6, false],
  ])
  // acts that are recorded anyway are wanted of everybody
  const all = [ofEverybody(callKindsOf(['open', 'setuid'])), ...wantsOf(rules.join(''))]
  assert.equal(lowerUsers(all, accounts).byUser, masks('unlink'))
})

test('an act of which everybody is wanted by two rules together is no act by user', () => {
  assert.deepEqual(
    filterOf(`${rule('evt.type = open and user.uid < 7', 'a')}${rule('evt.type = open and user.uid > 6', 'b')}`),
    NONE,
  )
})

test('signal rules: senders that an entry of deny may mean, and those that nothing surely allows', () => {
  const signal = (body: string) => {
    const filter = filterOf(`  - rule: r\n    signal: ${body}\n`)
    return filter.byUser === 0n ? undefined : changes(filter, 'signal')
  }
  assert.deepEqual(signal('{ deny: [{ user: ops, exe: /bin/kill }, { user: 7 }] }'), [
    [0, false],
    [7, true],
    [8, false],
    [1000, true],
    [1001, false],
  ])
  assert.deepEqual(signal('{ allow: [{ user: root }, { user: 7 }, { user: ops, group: ops }] }'), [
    [0, false],
    [1, true],
    [7, false],
    [8, true],
  ])
  assert.deepEqual(signal('{ allow: [{ user: root }], deny: [{ user: root, exe: /bin/kill }] }'), undefined)
  assert.equal(signal('{ allow: [{ group: ops }] }'), undefined)
  assert.equal(signal('{ deny: [{ group: ops }] }'), undefined)
})

test('more ranges than there is room for are widened where that brings the fewest users', () => {
  const odd = Array.from({ length: 20 }, (_, at) => 2 * at + 1)
  const filter = when(`evt.type = open and (user.uid in (${odd.join(', ')}) or user.uid = 5000)`)
  assert.ok(filter.users.length <= USER_RANGES)
  const own = changes(filter, 'open')
  for (const uid of [...odd, 5000]) assert.ok(own.findLast(([from]) => from <= uid)?.[1], `${uid}`)
  assert.deepEqual(own.slice(-3), [
    [40, false],
    [5000, true],
    [5001, false],
  ])
})

test('names are read again when that is due, and whoever goes by them hears of a change first', () => {
  const dir = makeTempDir()
  mkdirSync(join(dir, 'etc'))
  const write = (file: string, text: string) => writeFileSync(join(dir, 'etc', file), text)
  const passwd = (text: string) => write('passwd', text)
  let nowMs = 0
  const users = new UserNames(dir, () => nowMs)
  const heard: number[][] = []
  users.onChange = () => heard.push(users.uidsOf('ops'))
  try {
    passwd('root:x:0:0::/:/bin/sh\nops:x:1000:1000::/:/bin/sh\n')
    assert.deepEqual(users.uidsOf('ops'), [1000])
    passwd('root:x:0:0::/:/bin/sh\nops:x:1001:1001::/:/bin/sh\n')
    nowMs = 1_000
    users.refresh()
    assert.deepEqual([users.uidsOf('ops'), heard], [[1000], []])
    nowMs = 1_001
    users.refresh()
    assert.deepEqual([users.uidsOf('ops'), heard], [[1001], [[1001]]])
    nowMs = 60_002
    assert.equal(users.nameOf(1001), 'ops')
    assert.equal(heard.length, 1, 'nothing has changed')
    write('group', 'ops:x:7:\n')
    nowMs += 1_001
    assert.deepEqual([users.gidsOf('ops'), heard.length], [[7], 2])
    unlinkSync(join(dir, 'etc/passwd'))
    mkdirSync(join(dir, 'etc/passwd')) // there, and not to be read
    nowMs = 300_000
    assert.deepEqual([users.nameOf(1001), heard.length], ['ops', 2])
    rmdirSync(join(dir, 'etc/passwd'))
    passwd('root:x:0:0::/:/bin/sh\nops:x:1002:1002::/:/bin/sh\n')
    nowMs = 400_000
    assert.deepEqual([users.uidsOf('ops'), heard.length], [[1002], 3])
    unlinkSync(join(dir, 'etc/passwd'))
    nowMs = 500_000
    assert.deepEqual([users.uidsOf('ops'), heard.length], [[], 4])
  } finally {
    removeDir(dir)
  }
})
