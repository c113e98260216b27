/** The tables of lowered profiles, read as the kernel reads them, against the oracle. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileProgram } from '../../src/match/program.js'
import type { Program } from '../../src/match/types.js'
import type { Policy, Rule } from '../../src/policy/model.js'
import { nativeSyscall } from '../../src/policy/syscalls.js'
import type { ContainerRef } from '../../src/record/model.js'
import { type LoweredProfile, lowerProfile } from '../../src/respond/lower.js'
import { ALL_REFUSALS, NO_REFUSALS, type Refusals } from '../../src/sensor/refusals.js'
import { seedOf } from '../support/seed.js'
import * as generate from './generators.js'
import {
  kernelConnect,
  kernelExec,
  kernelFile,
  kernelListen,
  kernelMount,
  kernelSignal,
  kernelSyscallOutside,
} from './kernel-simulation.js'
import {
  oracleConnect,
  oracleExec,
  oracleFile,
  oracleListen,
  oracleMount,
  oracleSignal,
  oracleSyscall,
} from './oracle.js'

function lower(
  policies: Policy[],
  container: ContainerRef,
  refuses: Refusals = NO_REFUSALS,
): {
  program: Program
  lowered: LoweredProfile
} {
  const program = compileProgram(policies, generate.NOW_MS)
  const blocking = new Set(policies.flatMap(({ name, mode }) => (mode === 'block' ? [name] : [])))
  const options = { isBlockPolicy: (policy: string) => blocking.has(policy), refuses, accounts: generate.knownAccounts }
  return { program, lowered: lowerProfile(program, program.profileFor(container), options) }
}

/** Bits of the lowered rules for which `wanted` holds. */
function maskOf(program: Program, lowered: LoweredProfile, wanted: (rule: Rule) => boolean): bigint {
  return lowered.ruleIds.reduce((sum, id, bit) => {
    const rule = program.rules[id]
    return rule !== undefined && wanted(rule) ? sum | (1n << BigInt(bit)) : sum
  }, 0n)
}

const rules = generate.ruleOf(
  fc.oneof({ weight: 40, arbitrary: generate.lowerablePath }, { weight: 1, arbitrary: generate.pathEntry }),
)

test('exec: every rule that the kernel answers gets the oracle’s answer', () => {
  fc.assert(
    fc.property(
      generate.policiesOf(rules, 20),
      generate.container,
      fc.array(fc.tuple(generate.execEvent, fc.boolean()), { minLength: 10, maxLength: 10 }),
      (policies, container, events) => {
        const { program, lowered } = lower(policies, container)
        for (const [event, setup] of events) {
          const { decided, violated } = kernelExec(lowered, event, setup)
          const expected = maskOf(
            program,
            lowered,
            (rule) => rule.kind === 'exec' && (!setup || rule.setup) && oracleExec(rule, event),
          )
          assert.equal(violated, expected & decided)
          if (!event.foreignRoot && event.invoked.length < 240 && event.file.length < 240)
            assert.equal(decided, setup ? lowered.execRules & lowered.setup : lowered.execRules)
        }
      },
    ),
    seedOf(800),
  )
})

test('connect: every rule that the kernel answers gets the oracle’s answer', () => {
  fc.assert(
    fc.property(
      generate.policiesOf(rules, 12),
      generate.container,
      fc.array(fc.tuple(generate.address, generate.port, fc.constantFrom(6, 17), fc.boolean()), {
        minLength: 10,
        maxLength: 10,
      }),
      (policies, container, events) => {
        const { program, lowered } = lower(policies, container)
        for (const [address, port, proto, setup] of events) {
          const expected = maskOf(
            program,
            lowered,
            (rule) =>
              rule.kind === 'connect' && (!setup || rule.setup) && oracleConnect(rule, { address, port, proto }),
          )
          assert.equal(kernelConnect(lowered, { address, port, proto }, setup), expected)
        }
      },
    ),
    seedOf(500),
  )
})

test('connect: ranges of a node are sorted, disjoint, cover every port and are at most 32', () => {
  fc.assert(
    fc.property(generate.policiesOf(rules, 20), generate.container, (policies, container) => {
      for (const { ranges } of lower(policies, container).lowered.connectNodes) {
        assert.ok(ranges.length <= 32)
        assert.equal(ranges[0]?.from, 0)
        assert.equal(ranges.at(-1)?.to, 65535)
        ranges.forEach(({ from }, at) => {
          if (at > 0) assert.equal(from, (ranges[at - 1]?.to ?? Number.NaN) + 1)
        })
      }
    }),
    seedOf(300),
  )
})

test('syscall: a call is outside when the oracle finds a lowered rule violated by it', () => {
  fc.assert(
    fc.property(
      generate.policiesOf(rules, 12),
      generate.container,
      fc.array(fc.record({ nr: fc.integer({ min: 0, max: 511 }), abi: fc.constantFrom(0, 1, 2) }), { minLength: 10 }),
      (policies, container, events) => {
        const { program, lowered } = lower(policies, container)
        for (const { nr, abi } of events) {
          const native = nativeSyscall(nr, abi)
          const violated = maskOf(
            program,
            lowered,
            (rule) => rule.kind === 'syscall' && oracleSyscall(rule, { nr, abi, native }),
          )
          assert.deepEqual(kernelSyscallOutside(lowered, nr, abi), {
            outside: violated !== 0n,
            kill: (violated & lowered.kill) !== 0n,
          })
        }
      },
    ),
    seedOf(200),
  )
})

/** Paths that the LSM's hooks can tell: absolute, without an empty component. */
const tellable = (path: Uint8Array) =>
  path.length > 1 && path[0] === 0x2f && !/\/(\/|$)/.test(Buffer.from(path).toString('latin1'))

test('file: every rule that the kernel answers gets the oracle’s answer, and so does the matcher', () => {
  let loweredCount = 0
  fc.assert(
    fc.property(
      generate.policiesOf(generate.refusableRule, 12),
      generate.container,
      fc.array(fc.tuple(generate.fileEvent, fc.boolean()), { minLength: 10, maxLength: 10 }),
      (policies, container, events) => {
        const { program, lowered } = lower(policies, container, ALL_REFUSALS)
        const profile = program.profileFor(container)
        const hits = { rules: new Uint32Array(program.rules.length), count: 0 }
        loweredCount += lowered.ruleIds.length
        for (const [event, setup] of events) {
          if (!tellable(event.path) || (event.other !== undefined && !tellable(event.other))) continue
          const { path, other = path, access } = event
          const answer = kernelFile(lowered, event, setup)
          const expected = maskOf(
            program,
            lowered,
            (rule) => rule.kind === 'file' && (!setup || rule.setup) && oracleFile(rule, event),
          )
          assert.equal(answer, expected)
          const ends = { start: 0, end: path.length, hasOther: other !== path, otherStart: path.length }
          const paths = { ...ends, bytes: Buffer.concat([path, other]), otherEnd: path.length + other.length }
          program.matchFile(profile, paths, access, setup, hits)
          const matched = new Set(hits.rules.subarray(0, hits.count))
          assert.equal(
            answer,
            lowered.ruleIds.reduce((sum, id, bit) => (matched.has(id) ? sum | (1n << BigInt(bit)) : sum), 0n),
          )
          if (answer !== 0n && !setup) assert.notEqual(lowered.fileAccess & access, 0)
        }
      },
    ),
    seedOf(800),
  )
  assert.ok(loweredCount > 100, 'the kernel answers some of the rules')
})

test('listen: every rule that the kernel answers gets the oracle’s answer', () => {
  fc.assert(
    fc.property(
      generate.policiesOf(generate.refusableRule, 12),
      generate.container,
      fc.array(fc.tuple(generate.address, generate.port, fc.boolean()), { minLength: 10, maxLength: 10 }),
      (policies, container, events) => {
        const { program, lowered } = lower(policies, container, ALL_REFUSALS)
        for (const [address, port, setup] of events) {
          const expected = maskOf(
            program,
            lowered,
            (rule) => rule.kind === 'listen' && (!setup || rule.setup) && oracleListen(rule, { address, port }),
          )
          assert.equal(kernelListen(lowered, { address, port }, setup), expected)
        }
      },
    ),
    seedOf(400),
  )
})

test('mount and signal: every rule that the kernel answers gets the oracle’s answer', () => {
  let loweredCount = 0
  let violatedCount = 0
  fc.assert(
    fc.property(
      generate.policiesOf(generate.saidRule, 10),
      generate.container,
      fc.array(fc.tuple(generate.mountEvent, generate.knownSender, fc.boolean()), { minLength: 10, maxLength: 10 }),
      (policies, container, events) => {
        const { program, lowered } = lower(policies, container, ALL_REFUSALS)
        loweredCount += lowered.ruleIds.length
        for (const [mount, sender, setup] of events) {
          const judged = (rule: Rule) => !setup || rule.setup
          if (tellable(mount.target)) {
            const answer = kernelMount(lowered, mount, setup)
            const expected = maskOf(
              program,
              lowered,
              (rule) => rule.kind === 'mount' && judged(rule) && oracleMount(rule, mount),
            )
            assert.equal(answer, expected)
            if (answer !== 0n) violatedCount++
          }
          if (tellable(sender.exe))
            assert.equal(
              kernelSignal(lowered, sender, setup),
              maskOf(program, lowered, (rule) => rule.kind === 'signal' && judged(rule) && oracleSignal(rule, sender)),
            )
        }
      },
    ),
    seedOf(800),
  )
  assert.ok(loweredCount > 100 && violatedCount > 100, `${loweredCount} lowered, ${violatedCount} violated`)
})

test('every rule of the profile is lowered or named with a reason, never both, and at most 64 are', () => {
  fc.assert(
    fc.property(generate.policiesOf(rules, 60), generate.container, (policies, container) => {
      const program = compileProgram(policies, generate.NOW_MS)
      const profile = program.profileFor(container)
      const lowered = lowerProfile(program, profile, { isBlockPolicy: () => true })
      const named = [...lowered.ruleIds, ...lowered.notLowered.map(({ rule }) => rule)].sort((a, b) => a - b)
      assert.deepEqual(named, [...profile.rules])
      assert.ok(lowered.ruleIds.length <= 64)
    }),
    seedOf(100),
  )
})
