/** The table of hooks and that of refusals agree on which hook decides about which act. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CALL_KINDS } from '../../src/record/call-model.js'
import { Access, Act } from '../../src/sensor/generated/abi.js'
import { decisionOf, decisionOfExec } from '../../src/sensor/refusals.js'
import { RUNGS } from '../../src/sensor/rungs.js'

const AF_INET = 2
const AF_INET6 = 10

/** What decides about an act, over whatever else its event says. */
function decisionsOf(act: number): string[] {
  const call = { act, access: 0, family: 0, nr: 0, abi: 0 }
  return [
    decisionOf(call),
    ...(act === Act.OPEN ? [decisionOf({ ...call, access: Access.CREATE })] : []),
    ...(act === Act.BIND ? [AF_INET, AF_INET6].map((family) => decisionOf({ ...call, family })) : []),
  ].filter(Boolean)
}

test('each kind has in the table of hooks the programs that decide about it, and no other of a neighbour', () => {
  /** They decide too: about the call that names a descriptor, or is move_mount(2). */
  const besides: Record<string, string[]> = {
    truncate: ['on_file_truncate'],
    mount: ['on_move_mount'],
  }
  for (const [index, kind] of CALL_KINDS.entries()) {
    const deciding = RUNGS.filter(({ role, kinds }) => role === 'decision' && kinds?.includes(kind))
    assert.deepEqual(
      deciding.map(({ program }) => program).sort(),
      [...new Set([...decisionsOf(index + 1), ...(besides[kind] ?? [])])].sort(),
      kind,
    )
  }
  for (const gained of [0n, 1n]) {
    const rung = RUNGS.find(({ program }) => program === decisionOfExec(gained))
    assert.deepEqual(rung?.kinds ?? [rung?.event], ['exec'])
  }
})

test('every hook of a row that is grouped with others says of itself when it is attached', () => {
  const decisions = RUNGS.filter(({ role, isOptional }) => role === 'decision' && isOptional)
  assert.ok(decisions.length > 15)
  for (const { hook, note } of decisions) assert.match(note, /^attached only while a rule asks to refuse it/, hook)
})
