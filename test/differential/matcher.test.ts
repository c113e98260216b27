/** The compiled program against the oracle, on random policies and events. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { withLiveExceptions } from '../../src/match/exceptions.js'
import { compileProgram } from '../../src/match/program.js'
import { selects } from '../../src/match/selector.js'
import type { ExecNames, Hits, Profile, Program } from '../../src/match/types.js'
import type { Policy, Rule } from '../../src/policy/model.js'
import { nativeSyscall } from '../../src/policy/syscalls.js'
import type { ContainerRef } from '../../src/record/model.js'
import { seedOf } from '../support/seed.js'
import * as generate from './generators.js'
import { type OracleExec, oracleConnect, oracleExec, oracleHits, oracleSyscall } from './oracle.js'

interface Setting {
  policies: Policy[]
  container: ContainerRef
  program: Program
  profile: Profile
  hits: Hits
}

function settingOf(policies: Policy[], container: ContainerRef): Setting {
  const program = compileProgram(policies, generate.NOW_MS)
  const hits = { rules: new Uint32Array(program.rules.length), count: 0 }
  return { policies, container, program, profile: program.profileFor(container), hits }
}

export function namesOf(event: OracleExec): ExecNames {
  // names do not begin at 0: an offset that is mixed up shows
  const bytes = Uint8Array.from([0x2f, 0x61, ...event.invoked, 0x2f, ...event.file, 0x2f])
  const fileStart = event.invoked.length + 3
  const { isScript, foreignRoot, verified } = event
  return {
    bytes,
    invokedStart: 2,
    invokedEnd: 2 + event.invoked.length,
    fileStart,
    fileEnd: fileStart + event.file.length,
    isScript,
    foreignRoot,
    verified,
  }
}

/** What has expired at NOW_MS left out. */
export function livePolicies(policies: readonly Policy[]): Policy[] {
  return policies.map((policy) => ({
    ...policy,
    rules: policy.rules.map((rule) => withLiveExceptions(rule, generate.NOW_MS)),
  }))
}

function check(setting: Setting, setup: boolean, violates: (rule: Rule) => boolean): void {
  const { policies, container, hits } = setting
  const expected = oracleHits(
    livePolicies(policies),
    (policy) => selects(policy.containers, container),
    setup,
    violates,
  )
  assert.deepEqual([...hits.rules.subarray(0, hits.count)], expected)
}

/** Several events on each program: what one call leaves behind must not show in the next. */
const EVENTS = 12

/** The second time the verdicts are remembered ones. */
function twice<Event>(events: readonly Event[]): Event[] {
  return [...events, ...events]
}

test('exec: the program and the oracle agree', () => {
  fc.assert(
    fc.property(
      generate.policiesOf(generate.ruleOf(generate.pathEntry), 8),
      generate.container,
      fc.array(fc.tuple(generate.execEvent, fc.boolean()), { minLength: EVENTS, maxLength: EVENTS }),
      (policies, container, events) => {
        const setting = settingOf(policies, container)
        for (const [event, setup] of twice(events)) {
          setting.program.matchExec(setting.profile, namesOf(event), setup, setting.hits)
          check(setting, setup, (rule) => rule.kind === 'exec' && oracleExec(rule, event))
        }
      },
    ),
    seedOf(1000),
  )
})

test('connect: the program and the oracle agree', () => {
  fc.assert(
    fc.property(
      generate.policiesOf(generate.ruleOf(generate.pathEntry), 8),
      generate.container,
      fc.array(fc.tuple(generate.address, generate.port, generate.proto, fc.boolean()), {
        minLength: EVENTS,
        maxLength: EVENTS,
      }),
      (policies, container, events) => {
        const setting = settingOf(policies, container)
        for (const [address, port, proto, setup] of twice(events)) {
          const bytes = Uint8Array.from([1, 2, 3, ...address, 4])
          setting.program.matchConnect(setting.profile, bytes, 3, port, proto, setup, setting.hits)
          check(setting, setup, (rule) => rule.kind === 'connect' && oracleConnect(rule, { address, port, proto }))
        }
      },
    ),
    seedOf(1000),
  )
})

test('syscall: the program and the oracle agree', () => {
  fc.assert(
    fc.property(
      generate.policiesOf(generate.ruleOf(generate.pathEntry), 8),
      generate.container,
      fc.array(fc.tuple(generate.syscallEvent, fc.boolean()), { minLength: EVENTS, maxLength: EVENTS }),
      (policies, container, events) => {
        const setting = settingOf(policies, container)
        for (const [{ nr, abi }, setup] of twice(events)) {
          setting.program.matchSyscall(setting.profile, nr, abi, setup, setting.hits)
          const native = nativeSyscall(nr, abi)
          check(setting, setup, (rule) => rule.kind === 'syscall' && oracleSyscall(rule, { nr, abi, native }))
        }
      },
    ),
    seedOf(800),
  )
})

test('programs of several hundred rules, far beyond one mask of 64, agree with the oracle', () => {
  fc.assert(
    fc.property(
      generate.policiesOf(generate.ruleOf(generate.pathEntry), 200),
      generate.container,
      fc.array(generate.execEvent, { minLength: 4, maxLength: 4 }),
      fc.array(fc.tuple(generate.address, generate.port, generate.proto), { minLength: 4, maxLength: 4 }),
      (policies, container, execs, connects) => {
        const setting = settingOf(policies, container)
        for (const event of twice(execs)) {
          setting.program.matchExec(setting.profile, namesOf(event), false, setting.hits)
          check(setting, false, (rule) => rule.kind === 'exec' && oracleExec(rule, event))
        }
        for (const [address, port, proto] of twice(connects)) {
          setting.program.matchConnect(setting.profile, address, 0, port, proto, false, setting.hits)
          check(setting, false, (rule) => rule.kind === 'connect' && oracleConnect(rule, { address, port, proto }))
        }
      },
    ),
    seedOf(40),
  )
})
