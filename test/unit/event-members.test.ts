/** docs/events.md says what records have: the table that it is made from, held against the JSON of random records of every kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CALL_KINDS, type CallKind } from '../../src/record/call-model.js'
import { callMembers, type Member, OTHER_MEMBERS, SOCKET_MEMBERS } from '../../src/record/event-members.js'
import { recordToJson } from '../../src/record/json.js'
import { HOST, type RecordDraft, type RecordKind } from '../../src/record/model.js'
import { allKinds, drafts } from '../support/delivery-arbitraries.js'
import { seedOf } from '../support/seed.js'

type JsonObject = Record<string, unknown>
const isCall = (kind: RecordKind): kind is CallKind => CALL_KINDS.some((act) => act === kind)

/** The object of a record's kind, and the members that it may have. */
function bodyOf(kind: RecordKind, json: JsonObject): [JsonObject, readonly Member[]] | undefined {
  if (kind === 'alert' || kind === 'action') return undefined
  const name = kind === 'container' ? 'container_change' : kind === 'agent' ? 'agent_change' : kind
  const body = json[name]
  if (typeof body !== 'object' || body === null) return undefined
  return [body as JsonObject, (isCall(kind) ? callMembers(kind) : OTHER_MEMBERS[kind]).members]
}

const TYPES: Readonly<Record<Member['type'], (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  u64: (value) => typeof value === 'string' && /^-?\d+$/.test(value),
  bool: (value) => typeof value === 'boolean',
  list: (value) => Array.isArray(value),
  object: (value) => typeof value === 'object' && value !== null,
}

test('every member of a record is in the table with its type, and every member of the table is in a record', () => {
  const seen = new Map<RecordKind, Set<string>>()
  fc.assert(
    fc.property(fc.oneof(allKinds, drafts), (records) => {
      for (const draft of records) {
        const found = bodyOf(draft.kind, recordToJson({ ...draft, agent: 'a', epoch: 1, seq: 1n }) as JsonObject)
        if (found === undefined) continue
        const [body, members] = found
        const names = seen.get(draft.kind) ?? new Set()
        seen.set(draft.kind, names)
        for (const [name, value] of Object.entries(body)) {
          const member = members.find((one) => one.name === name)
          assert.ok(member, `${draft.kind}.${name} is not in the table`)
          assert.ok(TYPES[member.type](value), `${draft.kind}.${name} is no ${member.type}: ${JSON.stringify(value)}`)
          names.add(name)
        }
        for (const { name, isOptional } of members)
          assert.ok(isOptional || name in body, `${draft.kind} has no ${name}`)
      }
    }),
    seedOf(200),
  )
  for (const kind of [...CALL_KINDS, ...Object.keys(OTHER_MEMBERS)] as RecordKind[]) {
    const members = isCall(kind) ? callMembers(kind) : OTHER_MEMBERS[kind as keyof typeof OTHER_MEMBERS]
    for (const { name } of members.members)
      assert.ok(seen.get(kind)?.has(name), `no record of kind ${kind} has the member ${name}`)
  }
})

test('listen and accept, told by the kernel and not by a call', () => {
  const family = 'ipv4'
  const listen = { ip: '0.0.0.0', port: 80, family, backlogCount: 7, socketId: 1n } as const
  const peer = { id: 'i', name: 'n', image: 'm', pid: 1 }
  const ends = { ip: '10.0.0.1', port: 5000, localIp: '10.0.0.2', localPort: 80, family, socketId: 1n, peer } as const
  const base = { lane: 'activity', bootNs: 1n, timeNs: 1n, container: HOST } as const
  const socketDrafts: RecordDraft[] = [
    { ...base, kind: 'listen', listen },
    { ...base, kind: 'accept', accept: { ...ends, repeatsCount: 0 } },
  ]
  for (const draft of socketDrafts) {
    const json = recordToJson({ ...draft, agent: 'a', epoch: 1, seq: 1n }) as JsonObject
    const names = SOCKET_MEMBERS[draft.kind as 'listen' | 'accept'].members.map(({ name }) => name)
    assert.deepEqual(Object.keys(json[draft.kind] as JsonObject).toSorted(), names.toSorted())
  }
})
