/** No act by a user for whom a rule holds is filtered out in the kernel. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { usersOf } from '../../src/match/conditions/users.js'
import { compileProgram } from '../../src/match/program.js'
import { UID_MAX, usersOfRule } from '../../src/match/user-wants.js'
import type { CallKind } from '../../src/record/call-model.js'
import { lowerUsers, type UserFilter } from '../../src/respond/lower-user.js'
import { actBit } from '../../src/sensor/call-recipes.js'
import { USER_RANGES } from '../../src/sensor/generated/abi.js'
import { conditionOf } from '../support/condition-rule.js'
import { conditionTrees, type MadeCondition } from '../support/condition-trees.js'
import { seedOf } from '../support/seed.js'
import * as generate from './generators.js'

const NO_SOURCES = { macro: () => undefined, list: () => undefined }

interface Event {
  act: CallKind
  uid: number
}

/** As user__is_current_wanted() of bpf/lib/user.bpf.h. */
function passes({ byUser, users }: UserFilter, { act, uid }: Event): boolean {
  if ((byUser & actBit(act)) === 0n) return true
  const acts = users.findLast(({ from }) => from <= uid)?.acts ?? 0n
  return (acts & actBit(act)) !== 0n
}

/** Names of users, some of them of two. */
const NAMES: Readonly<Record<number, string>> = { 0: 'root', 1: 'daemon', 33: 'web', 34: 'web', 1000: 'ops' }
const accounts = {
  uidsOf: (name: string) =>
    Object.keys(NAMES)
      .map(Number)
      .filter((uid) => NAMES[uid] === name),
  gidsOf: () => [],
}
const uid = fc.oneof(
  fc.constantFrom(0, 1, 2, 33, 34, 999, 1000, 1001, UID_MAX - 1, UID_MAX),
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: UID_MAX }),
)
const name = fc.constantFrom('root', 'daemon', 'web', 'ops', 'none-such')
const TYPES = { open: 'openat', unlink: 'unlink', setuid: 'setuid', send: 'sendto', signal: 'kill' } as const
const act = fc.constantFrom(...(Object.keys(TYPES) as (keyof typeof TYPES)[]))
const COMPARED: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
}
const nameOf = (event: Event) => NAMES[event.uid]

const leaf: fc.Arbitrary<MadeCondition<Event>> = fc.oneof(
  fc.tuple(fc.constantFrom(...Object.keys(COMPARED)), uid).map(([operator, number]) => ({
    text: `user.uid ${operator} ${number}`,
    holds: (event: Event) => COMPARED[operator]?.(event.uid, number) === true,
  })),
  fc.array(uid, { minLength: 1, maxLength: 24 }).map((numbers) => ({
    text: `user.uid in (${numbers.join(', ')})`,
    holds: (event: Event) => numbers.includes(event.uid),
  })),
  name.map((text) => ({ text: `user.name = ${text}`, holds: (event: Event) => nameOf(event) === text })),
  // a user without a name has none that differs
  name.map((text) => ({
    text: `user.name != ${text}`,
    holds: (event: Event) => nameOf(event) !== undefined && nameOf(event) !== text,
  })),
  fc.uniqueArray(name, { minLength: 1 }).map((names) => ({
    text: `user.name in (${names.join(', ')})`,
    holds: (event: Event) => names.some((text) => text === nameOf(event)),
  })),
  name.map((text) => ({
    text: `user.name startswith ${text.slice(0, 2)}`,
    holds: (event: Event) => nameOf(event)?.startsWith(text.slice(0, 2)) === true,
  })),
  fc.subarray(Object.keys(TYPES) as (keyof typeof TYPES)[], { minLength: 1 }).map((acts) => ({
    text: `evt.type in (${acts.map((each) => TYPES[each]).join(', ')})`,
    holds: (event: Event) => acts.some((each) => each === event.act),
  })),
  act.map((each) => ({ text: `evt.type != ${TYPES[each]}`, holds: (event: Event) => event.act !== each })),
  fc.constant({ text: 'proc.name = x', holds: () => true }),
)
const done: fc.Arbitrary<Event> = fc.record({ act, uid })

test('conditions, several of them together', () => {
  let heldCount = 0
  let filteredCount = 0
  let fullCount = 0
  fc.assert(
    fc.property(
      fc.array(conditionTrees(leaf), { minLength: 1, maxLength: 3 }),
      fc.array(done, { minLength: 20, maxLength: 20 }),
      fc.boolean(),
      (made, events, areNamesKnown) => {
        const rules = made.map(({ text, holds }) => ({ ...conditionOf(Object.values(TYPES), text), holds }))
        const wants = rules.flatMap(({ condition, eventTypes }) => usersOf(condition, NO_SOURCES, eventTypes))
        const filter = lowerUsers(wants, areNamesKnown ? accounts : undefined)
        assert.ok(filter.users.length <= USER_RANGES)
        if (filter.users.length === USER_RANGES) fullCount++
        for (const event of events) {
          const isReported = passes(filter, event)
          if (!isReported) filteredCount++
          if (
            !rules.some(
              ({ eventTypes, holds }) => eventTypes.includes(TYPES[event.act as keyof typeof TYPES]) && holds(event),
            )
          )
            continue
          heldCount++
          assert.ok(isReported, `${made.map(({ text }) => text).join(' | ')} holds for ${JSON.stringify(event)}`)
        }
      },
    ),
    seedOf(1500),
  )
  assert.ok(heldCount > 100 && filteredCount > 100, `${heldCount} held, ${filteredCount} filtered`)
  assert.ok(fullCount > 5, `${fullCount} with as many ranges as there is room for`)
})

test('signal rules', () => {
  let violatedCount = 0
  let filteredCount = 0
  fc.assert(
    fc.property(
      generate.policiesOf(generate.saidRule, 3),
      generate.container,
      fc.array(generate.knownSender, { minLength: 10, maxLength: 10 }),
      (policies, container, senders) => {
        const program = compileProgram(policies, generate.NOW_MS)
        const profile = program.profileFor(container)
        const rules = [...profile.rules].flatMap((id) => program.rules[id] ?? [])
        const filter = lowerUsers(rules.flatMap(usersOfRule), generate.knownAccounts)
        const hits = { rules: new Uint32Array(program.rules.length), count: 0 }
        for (const { exe, ...who } of senders) {
          program.matchSignal(profile, { ...who, bytes: exe, exeStart: 0, exeEnd: exe.length }, false, hits)
          const isReported = passes(filter, { act: 'signal', uid: who.uid })
          if (!isReported) filteredCount++
          if (hits.count === 0) continue
          violatedCount++
          assert.ok(isReported, `user ${who.uid}`)
        }
      },
    ),
    seedOf(1200),
  )
  // few rules leave a user out, so few senders are
  assert.ok(violatedCount > 100 && filteredCount > 20, `${violatedCount} violated, ${filteredCount} filtered`)
})
