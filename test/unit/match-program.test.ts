/** What a program promises beyond its verdicts: profiles, rule order, contracts of its arguments, work that does not grow. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileProgram } from '../../src/match/program.js'
import type { ExecNames, Hits, Program } from '../../src/match/types.js'
import { loadPolicies } from '../../src/policy/load.js'
import type { Policy } from '../../src/policy/model.js'
import { type ContainerRef, HOST } from '../../src/record/model.js'

function policies(text: string): readonly Policy[] {
  const result = loadPolicies([{ file: 'test.yaml', bytes: new TextEncoder().encode(text) }])
  assert.deepEqual(result.diagnostics, [])
  return result.policies
}

function container(facts: Partial<ContainerRef>): ContainerRef {
  return { ...HOST, state: 'container', id: 'c', ...facts }
}

function exec(invoked: string, more: Partial<ExecNames> = {}): ExecNames {
  const bytes = new TextEncoder().encode(invoked)
  const all = { invokedStart: 0, invokedEnd: bytes.length, fileStart: 0, fileEnd: bytes.length }
  return { bytes, ...all, isScript: false, foreignRoot: false, verified: false, ...more }
}

function hitsOf(program: Program): Hits {
  return { rules: new Uint32Array(program.rules.length), count: 0 }
}

const TWO = `policy: a
containers: { image: "demo/*" }
rules:
  - rule: one
    exec: { deny: nc }
  - rule: two
    memory: { max: 1MiB }
---
policy: b
containers: all
rules:
  - rule: three
    exec: { deny: nc }
  - rule: off
    exec: { deny: nc }
    enabled: false
`

test('containers with the same rules share one profile object, others have their own', () => {
  const program = compileProgram(policies(TWO))
  const demo = program.profileFor(container({ image: 'demo/x' }))
  assert.equal(program.profileFor(container({ image: 'demo/y', name: 'other' })), demo)
  const other = program.profileFor(container({ image: 'other/x' }))
  assert.notEqual(other.id, demo.id)
  assert.deepEqual([...demo.rules], [0, 1, 2])
  assert.deepEqual([...other.rules], [2])
  assert.equal(program.policyOf(2 as never).name, 'b')
})

test('profile ids are never used again, not by another program either, and versions increase', () => {
  const first = compileProgram(policies(TWO))
  const second = compileProgram(policies(TWO))
  assert.ok(second.version > first.version)
  const ids = [first, second].flatMap((program) =>
    ['demo/x', 'other'].map((image) => program.profileFor(container({ image })).id),
  )
  assert.equal(new Set(ids).size, 4)
  assert.ok(!ids.includes(0))
})

test('no rule applies to the host, nor to what no runtime has confirmed', () => {
  const program = compileProgram(policies(TWO))
  for (const state of ['host', 'pending', 'unknown'] as const)
    assert.deepEqual([...program.profileFor(container({ state })).rules], [])
})

test('hits come in rule order, whatever found them', () => {
  const program = compileProgram(
    policies(`policy: p
containers: all
rules:
  - rule: base
    exec: { deny: nc }
  - rule: uncovered
    exec: { allow: [/bin/ls] }
  - rule: exact
    exec: { deny: [/usr/bin/nc] }
  - rule: below
    exec: { deny: [/usr/**] }
  - rule: none
    exec: { allow: [] }
`),
  )
  const hits = hitsOf(program)
  program.matchExec(program.profileFor(container({})), exec('/usr/bin/nc'), false, hits)
  assert.deepEqual([...hits.rules.subarray(0, hits.count)], [0, 1, 2, 3, 4])
})

test('a name that is not there is covered by no allow entry and found by no deny entry', () => {
  const program = compileProgram(
    policies(`policy: p
containers: all
rules:
  - rule: allow
    exec: { allow: [/bin/sh, "**/*"] }
  - rule: allow all
    exec: { allow: ["/**"] }
  - rule: deny
    exec: { deny: ["**/*", nc] }
`),
  )
  const hits = hitsOf(program)
  const profile = program.profileFor(container({}))
  program.matchExec(profile, exec('', {}), false, hits)
  assert.deepEqual([...hits.rules.subarray(0, hits.count)], [0])
  program.matchExec(profile, exec('/bin/sh', { fileStart: 0, fileEnd: 0, isScript: true }), false, hits)
  assert.deepEqual([...hits.rules.subarray(0, hits.count)], [0, 2])
})

test('a profile of another program, a short buffer and a short address are refused', () => {
  const program = compileProgram(policies(TWO))
  const profile = program.profileFor(container({}))
  const hits = hitsOf(program)
  const foreign = compileProgram(policies(TWO)).profileFor(container({}))
  assert.throws(() => program.matchExec(foreign, exec('/bin/nc'), false, hits), TypeError)
  assert.throws(
    () => program.matchExec(profile, exec('/bin/nc'), false, { rules: new Uint32Array(0), count: 0 }),
    RangeError,
  )
  assert.throws(() => program.matchConnect(profile, new Uint8Array(15), 0, 80, 6, false, hits), RangeError)
})

test('no policies: an empty profile and no hits', () => {
  const program = compileProgram([])
  const hits = { rules: new Uint32Array(0), count: 9 }
  program.matchExec(program.profileFor(container({})), exec('/bin/nc'), false, hits)
  assert.equal(hits.count, 0)
})

test('a list of many rules is searched for the few of a profile, and gives the same answer', () => {
  const many = Array.from(
    { length: 500 },
    (_, at) =>
      `policy: p${at}\ncontainers: { name: c${at} }\nrules:\n  - rule: r\n    exec: { deny: nc, allow: ["/**"] }\n`,
  )
  const program = compileProgram(policies(many.join('---\n')))
  const hits = hitsOf(program)
  for (const at of [0, 250, 499]) {
    const profile = program.profileFor(container({ name: `c${at}` }))
    program.matchExec(profile, exec('/bin/nc'), false, hits)
    assert.deepEqual([...hits.rules.subarray(0, hits.count)], [at])
    program.matchExec(profile, exec('/bin/sh'), false, hits)
    assert.equal(hits.count, 0)
  }
})

test('a name of 4096 bytes and thousands of empty components is judged like any other', () => {
  const program = compileProgram(
    policies(`policy: p
containers: all
rules:
  - rule: deep
    exec: { deny: ["/**/a/**/b/**/c/**/d*e*f*g", "/x/**"] }
`),
  )
  const hits = hitsOf(program)
  const profile = program.profileFor(container({}))
  program.matchExec(profile, exec('/'.repeat(4096)), false, hits)
  assert.equal(hits.count, 0)
  program.matchExec(profile, exec(`/x${'/'.repeat(4094)}`), false, hits)
  assert.equal(hits.count, 1)
  program.matchExec(profile, exec(`/a/b/c/d${'e'.repeat(2000)}f${'e'.repeat(2000)}`), false, hits)
  assert.equal(hits.count, 0)
})
