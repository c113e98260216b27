/** The compiled program as such: its text, who is asked what, bounds that start over, and numbers of 64 bits. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { AhoCorasick } from '../../src/match/conditions/aho-corasick.js'
import { compileConditions } from '../../src/match/conditions/compile.js'
import { RegexSet } from '../../src/match/conditions/regex-set.js'
import { Sieve } from '../../src/match/conditions/sieve.js'
import type { MatchOptions } from '../../src/match/conditions/types.js'
import { atOnce } from '../../src/match/steps.js'
import { parseRegex } from '../../src/policy/condition/regex.js'
import { findField } from '../../src/record/fields/table.js'
import { expressionOf, hitsOf, TestReader } from '../support/condition-events.js'

/** A linear congruential generator: the same numbers every time. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >>> 8) / 2 ** 23
  }
}

const TYPES = ['execve', 'openat', 'connect']
const GOLDEN = new URL('../../../test/unit/condition-program.golden.txt', import.meta.url)

function program(
  conditions: readonly string[],
  options: MatchOptions = {},
  macros: Readonly<Record<string, string>> = {},
) {
  const lists: Readonly<Record<string, readonly string[]>> = { shells: ['sh', 'bash', 'ash'] }
  return compileConditions(
    {
      rules: conditions.map((text, index) => ({
        name: `rule ${index}`,
        condition: expressionOf(text),
        eventTypes: TYPES,
        scope: index % 2,
      })),
      macros: new Map(Object.entries(macros).map(([name, text]) => [name, expressionOf(text)])),
      list: (name) => lists[name]?.map((each) => Buffer.from(each)),
      fieldType: (name) => findField(name)?.type,
      eventTypes: TYPES,
    },
    options,
  )
}

const event = (type: string, fields: Readonly<Record<string, string>>) => ({
  type,
  fields: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, [Buffer.from(value)]])),
})

test('the program prints as in condition-program.golden.txt (UPDATE_GOLDEN=1 writes it)', () => {
  const macros = { container: 'container.id != host', spawned: 'evt.type = execve and proc.name exists' }
  const text = program(
    [
      'spawned and container and proc.name in (shells) and not proc.pname in (sshd, cron)',
      'evt.type = openat and (fd.name startswith /etc/ or fd.name endswith .pem) and not proc.name in (shells)',
      'evt.type = connect and fd.snet = 10.0.0.0/8 and fd.sport >= 1024',
      'container and not proc.cmdline contains "health"',
      'fd.name glob "/home/*/.ssh/*" or fd.name pmatch (/root, /srv/*) or proc.cmdline regex "nc -l.*"',
      'proc.name = oneof (a, b) and user.uid != 0 and proc.exe = val(proc.name)',
      'evt.type = nothing',
      'not (container or proc.name != sudo) and not proc.exe exists',
    ],
    {},
    macros,
  ).describe()
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(GOLDEN, text)
  assert.equal(text, readFileSync(GOLDEN, 'utf8'))
})

test('an event that no gate hits reads the fields of gates alone', () => {
  const compiled = program(['evt.type = openat and fd.name = /a and proc.cmdline contains secret and user.uid = 0'])
  const reader = new TestReader(compiled, false)
  const fields = { 'fd.name': '/b', 'proc.cmdline': 'a secret', 'user.uid': '0' }
  assert.deepEqual(hitsOf(compiled, reader, event('openat', fields), TYPES), [])
  assert.equal(reader.readCount, 1)
  assert.deepEqual(hitsOf(compiled, reader, event('openat', { ...fields, 'fd.name': '/a' }), TYPES), [0])
  assert.equal(reader.readCount, 4)
})

test('rules that only a negated != or exists holds are not looked at where it does not', () => {
  const rules = Array.from({ length: 40 }, (_, index) => `not container.id != host and proc.cmdline != own-${index}`)
  const compiled = program([...rules, 'not proc.exe exists', 'not (container.id != host and proc.exe != /a)'])
  assert.equal(compiled.statistics.gatedCount, 42)
  const reader = new TestReader(compiled, false)
  const readsAndHits = (fields: Readonly<Record<string, string>>) => {
    const before = reader.readCount
    const hits = hitsOf(compiled, reader, event('openat', fields), TYPES, [0, 1])
    return [reader.readCount - before, hits.length]
  }
  assert.deepEqual(readsAndHits({ 'container.id': 'abc', 'proc.exe': '/b', 'proc.cmdline': 'a' }), [2, 0])
  assert.deepEqual(readsAndHits({ 'container.id': 'abc', 'proc.exe': '/a', 'proc.cmdline': 'a' }), [2, 1])
  assert.deepEqual(readsAndHits({ 'container.id': 'abc', 'proc.cmdline': 'a' }), [2, 2])
  assert.deepEqual(readsAndHits({ 'container.id': 'host', 'proc.exe': '/b', 'proc.cmdline': 'own-3' }), [3, 40])
  assert.deepEqual(readsAndHits({ 'proc.exe': '/b', 'proc.cmdline': 'own-3' }), [3, 40])
  assert.deepEqual(readsAndHits({ 'container.id': 'host', 'proc.exe': '/b' }), [3, 1])
})

test('what many rules behind a gate need is asked once for all of them', () => {
  const own = Array.from({ length: 20 }, (_, index) => `proc.cmdline = val(proc.aname[${index + 1}])`)
  const compiled = program(own.map((each) => `proc.name = sh and ${each} and not container.id != host`))
  assert.match(compiled.describe(), /^asked once for all rules that need it: not container\.id != "host"$/m)
  const reader = new TestReader(compiled, false)
  const fields = { 'proc.name': 'sh', 'proc.cmdline': 'a', 'proc.aname[7]': 'a' }
  assert.deepEqual(hitsOf(compiled, reader, event('execve', { ...fields, 'container.id': 'abc' }), TYPES, [0, 1]), [])
  assert.equal(reader.readCount, 2)
  assert.deepEqual(hitsOf(compiled, reader, event('execve', { ...fields, 'container.id': 'host' }), TYPES, [0, 1]), [6])
  assert.deepEqual(hitsOf(compiled, reader, event('execve', fields), TYPES, [0, 1]), [6])
})

test('a profile without rules for a type wants none of its events', () => {
  const compiled = program(['proc.name = a', 'proc.name = b'])
  assert.equal(compiled.wants(compiled.profileOf([0]), 0), true)
  assert.equal(compiled.wants(compiled.profileOf([7]), 0), false)
  assert.equal(compiled.profileOf([1, 0]), compiled.profileOf([0, 1, 1]))
  const reader = new TestReader(compiled, true)
  assert.deepEqual(hitsOf(compiled, reader, event('execve', { 'proc.name': 'b' }), TYPES, [0]), [])
  assert.deepEqual(hitsOf(compiled, reader, event('execve', { 'proc.name': 'b' }), TYPES, [1]), [1])
})

test('the first match is the first in rule order, not the first that is looked at', () => {
  const texts = ['not proc.name = x and fd.name contains b', 'proc.name = a', 'user.uid = 0', 'proc.name startswith a']
  const fields = { 'proc.name': 'a', 'fd.name': 'abc', 'user.uid': '0' }
  const all = program(texts)
  assert.deepEqual(hitsOf(all, new TestReader(all, true), event('execve', fields), TYPES, [0, 1]), [0, 1, 2, 3])
  const first = program(texts, { firstMatch: true })
  assert.deepEqual(hitsOf(first, new TestReader(first, true), event('execve', fields), TYPES, [0, 1]), [0])
})

test('numbers of 64 bits compare exactly', () => {
  const compiled = program([
    'evt.rawres = 9007199254740993',
    'evt.rawres < -9223372036854775807',
    'proc.exe_ino >= 18446744073709551615',
  ])
  const reader = new TestReader(compiled, false)
  const hits = (name: string, value: string) =>
    hitsOf(compiled, reader, event('openat', { [name]: value }), TYPES, [0, 1])
  assert.deepEqual(hits('evt.rawres', '9007199254740992'), [])
  assert.deepEqual(hits('evt.rawres', '9007199254740993'), [0])
  assert.deepEqual(hits('evt.rawres', '-9223372036854775808'), [1])
  assert.deepEqual(hits('evt.rawres', '-9223372036854775807'), [])
  assert.deepEqual(hits('proc.exe_ino', '18446744073709551614'), [])
  assert.deepEqual(hits('proc.exe_ino', '18446744073709551615'), [2])
})

test('the sieve gives the same rules before, while and after its cache starts over', () => {
  const ruleCount = 40
  const atomCount = 300
  const random = randomFrom(1)
  const falsified = Array.from({ length: atomCount }, () => [
    ...new Set(Array.from({ length: 3 }, () => Math.floor(random() * ruleCount))),
  ])
  const from = Int32Array.from([0, ...falsified.map((_, atom) => falsified.slice(0, atom + 1).flat().length)])
  const sieve = new Sieve({
    lists: new Map([[3, Int32Array.from({ length: ruleCount }, (_, rule) => rule)]]),
    setFrom: Int32Array.from({ length: atomCount + 1 }, (_, atom) => atom),
    setOf: Int32Array.from({ length: atomCount }, (_, atom) => atom),
    ruleFrom: from,
    rules: Int32Array.from(falsified.flat()),
    ruleCount,
  })
  for (let round = 0; round < 60_000; round++) {
    let state = sieve.start(3)
    let left = Array.from({ length: ruleCount }, (_, rule) => rule)
    for (let step = 0; step < 3; step++) {
      const atom = Math.floor(random() * atomCount)
      state = sieve.next(state, atom)
      left = left.filter((rule) => !falsified[atom]?.includes(rule))
    }
    if (round % 50 === 0) assert.deepEqual([...sieve.pool.subarray(sieve.from[state], sieve.from[state + 1])], left)
  }
  assert.ok(sieve.flushCount > 0, 'the cache never was full')
})

test('a full cache of states of expressions starts over and the answer is the same', () => {
  const parsed = parseRegex('(a|b)*a(a|b){10}')
  assert.ok(parsed.ok)
  const set = new RegexSet([parsed.node])
  const expected = /^(?:a|b)*a(?:a|b){10}$/
  const random = randomFrom(9)
  for (let round = 0; round < 400; round++) {
    const text = Array.from({ length: 40 }, () => (random() < 0.5 ? 'a' : 'b')).join('')
    const bytes = Buffer.from(text)
    assert.equal(set.walk(bytes, 0, bytes.length) === 1, expected.test(text), text)
  }
  assert.ok(set.flushCount > 0, 'the cache never was full')
})

test('substrings are found alike by whole tables and by failure links', () => {
  const keys = ['he', 'she', 'his', 'hers', 'e', 'rs', 'abab', 'bab', 'h']
  const small = atOnce(AhoCorasick.of(keys, false))
  const large = atOnce(AhoCorasick.of(keys, false, 0))
  for (const text of ['ushers', 'ababab', 'hishe', '', 'xyz', 'hehehers', 'shish\u0000ers']) {
    const bytes = Buffer.from(text)
    const found = [small, large].map((each) => {
      each.walk(bytes, 0, bytes.length)
      return [...each.found.subarray(0, each.foundCount)].map((key) => keys[key]).sort()
    })
    const expected = keys.filter((key) => text.includes(key)).sort()
    assert.deepEqual(found, [expected, expected], text)
  }
})
