/** Rules that are judged on calls (file, listen, signal, mount, capability) against the oracle. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileProgram } from '../../src/match/program.js'
import { selects } from '../../src/match/selector.js'
import type { Hits, Profile, Program } from '../../src/match/types.js'
import type { Policy, Rule, RuleException } from '../../src/policy/model.js'
import type { ContainerRef } from '../../src/record/model.js'
import { seedOf } from '../support/seed.js'
import * as generate from './generators.js'
import { oracleCapability, oracleFile, oracleHits, oracleListen, oracleMount, oracleSignal } from './oracle.js'

/** Several events on each program: what one call leaves behind must not show in the next. */
const EVENTS = 10
const encoder = new TextEncoder()

type Ask<Event> = (program: Program, profile: Profile, event: Event, setup: boolean, hits: Hits) => void

/** The rule as it is at NOW_MS, by a filter of its own. */
function live<Entry>(exceptions: readonly RuleException<Entry>[]): RuleException<Entry>[] {
  return exceptions.filter(({ untilMs }) => untilMs === undefined || untilMs > generate.NOW_MS)
}

function agrees<Event>(
  event: fc.Arbitrary<Event>,
  runs: number,
  ask: Ask<Event>,
  violates: (rule: Rule, event: Event) => boolean,
): void {
  const judged = (policies: Policy[], container: ContainerRef, each: Event, setup: boolean) =>
    oracleHits(
      policies,
      (policy) => selects(policy.containers, container),
      setup,
      (rule) => violates(rule, each),
    )
  fc.assert(
    fc.property(
      generate.policiesOf(generate.callRule, 10),
      generate.container,
      fc.array(fc.tuple(event, fc.boolean()), { minLength: EVENTS, maxLength: EVENTS }),
      (policies, container, events) => {
        const program = compileProgram(policies, generate.NOW_MS)
        const profile = program.profileFor(container)
        const hits = { rules: new Uint32Array(program.rules.length), count: 0 }
        // the second time the verdicts are remembered ones
        for (const [each, setup] of [...events, ...events]) {
          ask(program, profile, each, setup, hits)
          assert.deepEqual([...hits.rules.subarray(0, hits.count)], judged(policies, container, each, setup))
        }
      },
    ),
    seedOf(runs),
  )
}

/** Ranges do not begin at 0: an offset that is mixed up shows. */
function joined(...parts: readonly Uint8Array[]): { bytes: Uint8Array; ranges: [number, number][] } {
  const ranges: [number, number][] = []
  const all = [0x2f, 0x61]
  for (const part of parts) {
    ranges.push([all.length, all.length + part.length])
    for (const byte of part) all.push(byte)
    all.push(0x2f)
  }
  return { bytes: Uint8Array.from(all), ranges }
}

test('file: the program and the oracle agree', () => {
  agrees(
    generate.fileEvent,
    800,
    (program, profile, { path, other, access }, setup, hits) => {
      const { bytes, ranges } = joined(path, other ?? new Uint8Array(0))
      const [[start = 0, end = 0] = [], [otherStart = 0, otherEnd = 0] = []] = ranges
      const paths = { bytes, start, end, hasOther: other !== undefined, otherStart, otherEnd }
      program.matchFile(profile, paths, access, setup, hits)
    },
    (rule, event) => rule.kind === 'file' && oracleFile({ ...rule, exceptions: live(rule.exceptions) }, event),
  )
})

test('listen: the program and the oracle agree', () => {
  agrees(
    fc.record({ address: generate.address, port: generate.port }),
    500,
    (program, profile, { address, port }, setup, hits) =>
      program.matchListen(profile, Uint8Array.from([1, 2, 3, ...address]), 3, port, setup, hits),
    (rule, event) => rule.kind === 'listen' && oracleListen({ ...rule, exceptions: live(rule.exceptions) }, event),
  )
})

test('signal: the program and the oracle agree', () => {
  agrees(
    generate.senderEvent,
    500,
    (program, profile, { exe, ...sender }, setup, hits) => {
      const { bytes, ranges } = joined(exe)
      const [[exeStart = 0, exeEnd = 0] = []] = ranges
      program.matchSignal(profile, { ...sender, bytes, exeStart, exeEnd }, setup, hits)
    },
    (rule, event) => rule.kind === 'signal' && oracleSignal({ ...rule, exceptions: live(rule.exceptions) }, event),
  )
})

test('mount: the program and the oracle agree', () => {
  agrees(
    generate.mountEvent,
    500,
    (program, profile, { source, target, fstype }, setup, hits) => {
      const { bytes, ranges } = joined(encoder.encode(source), target, encoder.encode(fstype))
      const [
        [sourceStart = 0, sourceEnd = 0] = [],
        [targetStart = 0, targetEnd = 0] = [],
        [fstypeStart = 0, fstypeEnd = 0] = [],
      ] = ranges
      program.matchMount(
        profile,
        { bytes, sourceStart, sourceEnd, targetStart, targetEnd, fstypeStart, fstypeEnd },
        setup,
        hits,
      )
    },
    (rule, event) => rule.kind === 'mount' && oracleMount({ ...rule, exceptions: live(rule.exceptions) }, event),
  )
})

test('capability: the program and the oracle agree', () => {
  agrees(
    generate.gained,
    500,
    (program, profile, gained, setup, hits) => {
      let low = 0
      let high = 0
      for (const number of gained)
        if (number < 32) low |= 1 << number
        else high |= 1 << (number - 32)
      program.matchCapability(profile, low, high, setup, hits)
    },
    (rule, event) =>
      rule.kind === 'capability' && oracleCapability({ ...rule, exceptions: live(rule.exceptions) }, event),
  )
})
