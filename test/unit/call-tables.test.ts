/** Rules name calls by one table and the sensor looks at them by another: the same calls, as the same acts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FILE_ACCESS, FILE_ACCESSES } from '../../src/policy/model.js'
import { CALL_KINDS } from '../../src/record/call-model.js'
import { EVENT_TYPES, findEventType } from '../../src/record/fields/events.js'
import { actOfCall, callNames } from '../../src/sensor/call-recipes.js'
import { FILE_ACCESSES as FILE_ACCESS_COUNT, FileAccess } from '../../src/sensor/generated/abi.js'

/** ia32 has calls of these names with a number at the end, which are told as those without. */
const toldAs = (name: string) => name.replace(/(?<=\D)(?:32|64)$/, '')
/** Other sockets' connects are an event of their own, so a type of this one's own tells it apart. */
const OWN_TYPE = 'unix_connect'
/** Whatever needs a capability asks for it. */
const WITHOUT_CALL = 'capable'
const isAct = (kind: string): boolean => CALL_KINDS.some((act) => act === kind)

test('each call that a rule can name and that the probes report is the same act to the sensor', () => {
  let count = 0
  for (const { name, kind } of EVENT_TYPES) {
    if (kind === undefined)
      assert.equal(actOfCall(name), undefined, `${name} is reported, yet rules are told it is not`)
    else if (kind === WITHOUT_CALL) assert.deepEqual(callNames(kind), [])
    else if (isAct(kind)) {
      assert.equal(actOfCall(name === OWN_TYPE ? 'connect' : name), kind, name)
      count++
    }
  }
  assert.ok(count >= 70, `${count} calls`)
})

test('each call that the sensor looks at can be named by a rule, as the same act', () => {
  for (const act of CALL_KINDS)
    for (const name of callNames(act))
      assert.equal(findEventType(act === OWN_TYPE ? OWN_TYPE : toldAs(name))?.kind, act, name)
})

test('what is done to a file has the same bits in policies and in the kernel', () => {
  assert.deepEqual(
    Object.fromEntries(Object.entries(FileAccess).map(([name, bit]) => [name.toLowerCase(), bit])),
    FILE_ACCESS,
  )
  assert.equal(FILE_ACCESS_COUNT, FILE_ACCESSES.length)
})
