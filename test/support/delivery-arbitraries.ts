/** Random records over the whole model, for property tests: full 64-bit ranges, any well-formed text. */
import fc from 'fast-check'
import { marksOf } from '../../src/record/call-json.js'
import {
  CALL_KINDS,
  CALL_MARKS,
  CALL_SHAPES,
  type CallBody,
  type CallKind,
  type CallMarks,
  type CallPart,
  FD_KINDS,
  type FdKind,
  FILE_ACCESSES,
  SOCKET_FAMILIES,
} from '../../src/record/call-model.js'
import type {
  AlertBody,
  ContainerRef,
  GapBody,
  ProcessRef,
  RecordBodies,
  RecordDraft,
  RecordKind,
} from '../../src/record/model.js'
import {
  ABIS,
  ACTIONS,
  AGENT_CHANGES,
  CONTAINER_CHANGES,
  FAMILIES,
  GAP_SOURCES,
  OUTCOMES,
  PRIORITY_NAMES,
  PROTOS,
  SYSCALL_REASONS,
} from '../../src/record/names.js'
import { CLOSED_BY, CONNECT_RESULTS, DNS_MESSAGES, DNS_PROTOS, SOCKET_ROLES } from '../../src/record/network.js'

/** Plain objects only: records are compared as such. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T>
function record<T, K extends keyof T>(
  model: { [K in keyof T]: fc.Arbitrary<T[K]> },
  keys: { requiredKeys: K[] },
): fc.Arbitrary<Partial<T> & Pick<T, K>>
function record<T, K extends keyof T>(
  model: { [K in keyof T]: fc.Arbitrary<T[K]> },
  keys?: { requiredKeys: K[] },
): fc.Arbitrary<unknown> {
  return fc.record(model, { noNullPrototype: true, ...keys })
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('', '/bin/sh', '__proto__', '\u001b[2J', '\u202e', 'x'.repeat(300)),
)
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const time = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const texts = fc.array(text, { maxLength: 4 })
const one = <T>(names: readonly T[]) => fc.constantFrom(...names)

const container: fc.Arbitrary<ContainerRef> = record({
  state: one(['host', 'container', 'pending', 'unknown'] as const),
  id: text,
  name: text,
  image: text,
  imageId: text,
  runtime: text,
  labels: fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true }),
  outerIds: texts,
})

const process: fc.Arbitrary<ProcessRef> = record(
  {
    pid: u32,
    tid: u32,
    startNs: u64,
    exe: text,
    invoked: text,
    args: texts,
    cwd: text,
    uid: u32,
    gid: u32,
    user: text,
    phase: one(['run', 'setup'] as const),
    parent: record({ pid: u32, startNs: u64, exe: text }),
  },
  { requiredKeys: ['pid', 'tid', 'startNs', 'exe', 'invoked', 'args', 'cwd', 'uid', 'gid', 'user', 'phase'] },
) as fc.Arbitrary<ProcessRef>

const gap = record(
  { source: one(GAP_SOURCES), cause: text, cpu: u32, firstSeq: u64, lastSeq: u64, count: u64, hash: text },
  { requiredKeys: ['source', 'cause', 'firstSeq', 'lastSeq', 'count'] },
) as fc.Arbitrary<GapBody>

const alert = record({
  rule: text,
  policy: text,
  priority: one(PRIORITY_NAMES),
  tags: texts,
  output: text,
  actionTaken: one(ACTIONS),
  outcome: one(OUTCOMES),
  reason: text,
  hook: text,
  cause: record(
    { kind: one(['exec', 'connect', 'sample', 'oom'] as const), lane: one(['alert', 'activity'] as const), seq: u64 },
    { requiredKeys: ['kind', 'lane'] },
  ),
}) as fc.Arbitrary<AlertBody>

const peer = record({ id: text, name: text, image: text, pid: u32 })
const someText = text.filter((value) => value !== '')
const ends = { ip: text, port: u32, localIp: text, localPort: u32, family: one(FAMILIES), socketId: u64, peer }
const END_KEYS = ['ip', 'port', 'localIp', 'localPort', 'family', 'socketId'] as const

const bodies = {
  exec: record({
    path: text,
    file: text,
    script: text,
    dev: u32,
    inode: u64,
    argsTruncated: fc.boolean(),
    pathTruncated: fc.boolean(),
    memfd: fc.boolean(),
    foreignRoot: fc.boolean(),
    multicall: fc.boolean(),
    upperLayer: fc.boolean(),
    refused: fc.boolean(),
    deleted: fc.boolean(),
  }),
  fork: record({ childPid: u32, childStartNs: u64 }),
  exit: record({ code: u32, signal: u32, signalName: text, coreDumped: fc.boolean(), runtimeNs: time }),
  connect: record(
    {
      ...{ ip: text, port: u32, proto: one(PROTOS), family: one(FAMILIES), repeatsCount: u32 },
      ...{
        result: one(CONNECT_RESULTS),
        error: someText,
        localIp: someText,
        localPort: fc.integer({ min: 1, max: 65535 }),
      },
      ...{ socketId: fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }), peer },
    },
    { requiredKeys: ['ip', 'port', 'proto', 'family', 'repeatsCount'] },
  ),
  syscall: record(
    { name: text, nr: u32, abi: one(ABIS), reason: one(SYSCALL_REASONS), result: time },
    { requiredKeys: ['name', 'nr', 'abi', 'reason'] },
  ),
  sample: record(
    { memoryCurrentBytes: u64, memoryPeakBytes: u64, memoryLimitBytes: u64, memoryInactiveFileBytes: u64 },
    { requiredKeys: ['memoryCurrentBytes', 'memoryPeakBytes', 'memoryInactiveFileBytes'] },
  ),
  oom: record({ victimPid: u32, victimComm: text }),
  containerChange: record({ change: one(CONTAINER_CHANGES), cgroup: text }),
  agentChange: record({ change: one(AGENT_CHANGES), message: text }),
  listen: record({ ip: text, port: u32, family: one(FAMILIES), backlogCount: u32, socketId: u64 }),
  accept: record({ ...ends, repeatsCount: u32 }, { requiredKeys: [...END_KEYS, 'repeatsCount'] }),
  close: record(
    {
      ...{ ...ends, role: one(SOCKET_ROLES), closedBy: one(CLOSED_BY), error: text, repeatsCount: u32 },
      ...{ sentBytes: u64, receivedBytes: u64, durationNs: u64, repeatsSentBytes: u64, repeatsReceivedBytes: u64 },
    },
    {
      requiredKeys: [
        ...END_KEYS,
        ...(['role', 'closedBy', 'error', 'repeatsCount', 'sentBytes', 'receivedBytes', 'durationNs'] as const),
        ...(['repeatsSentBytes', 'repeatsReceivedBytes'] as const),
      ],
    },
  ),
  dns: record({
    ...{ message: one(DNS_MESSAGES), query: text, qtype: text, rcode: text, answers: texts, ip: text, port: u32 },
    ...{ id: u32, proto: one(DNS_PROTOS), truncated: fc.boolean(), answerTtlsS: fc.array(u32, { maxLength: 3 }) },
  }),
  tls: record({
    ...{ sni: text, alpn: texts, ip: text, port: u32, encryptedHello: fc.boolean(), truncated: fc.boolean() },
    socketId: u64,
  }),
  http: record({
    ...{ method: text, host: text, path: text, ip: text, port: u32, truncated: fc.boolean(), socketId: u64 },
  }),
}

const isCallKind = (kind: RecordKind): kind is CallKind => CALL_KINDS.some((name) => name === kind)

/** A body with exactly what the act has: JSON holds no more. */
function callOf(act: CallKind): fc.Arbitrary<CallBody> {
  const { parts, args } = CALL_SHAPES[act]
  const hasPart = (part: CallPart) => parts.includes(part)
  const marks = new Set(marksOf(act))
  const optional = <T>(isThere: boolean, value: fc.Arbitrary<T>, absent: T): fc.Arbitrary<T> =>
    isThere ? value : fc.constant(absent)
  const flags = record(
    Object.fromEntries(CALL_MARKS.map((mark) => [mark, optional(marks.has(mark), fc.boolean(), false)])),
  ) as fc.Arbitrary<unknown> as fc.Arbitrary<CallMarks>
  const rest = record(
    {
      act: fc.constant(act),
      call: text,
      abi: one(ABIS),
      result: time,
      args: record(Object.fromEntries(args.map((name) => [name, text])), { requiredKeys: [] }),
      access: optional(hasPart('access'), fc.subarray([...FILE_ACCESSES]), []),
      path: optional(hasPart('path'), text, ''),
      newPath: optional(hasPart('new_path'), text, ''),
      rawPath: optional(hasPart('path'), text, ''),
      rawNewPath: optional(hasPart('new_path'), text, ''),
      fd: optional(hasPart('file'), fc.integer({ min: -1, max: 2 ** 30 }), -1),
      fdKind: optional<FdKind>(hasPart('file'), one(FD_KINDS), ''),
      inode: optional(hasPart('file'), u64, 0n),
      dev: optional(hasPart('file'), u32, 0),
      mode: optional(hasPart('file'), u32, 0),
      repeatsCount: u32,
      ...(hasPart('socket') ? { socket: callSocket } : {}),
      ...(hasPart('target') ? { target: callTarget } : {}),
    },
    {
      requiredKeys: [
        ...(['act', 'call', 'abi', 'args', 'access', 'path', 'newPath', 'rawPath', 'rawNewPath'] as const),
        ...(['fd', 'fdKind', 'inode', 'dev', 'mode', 'repeatsCount'] as const),
      ],
    },
  ) as fc.Arbitrary<Omit<CallBody, keyof CallMarks>>
  return fc.tuple(flags, rest).map(([marked, body]) => ({ ...marked, ...body }))
}

const callSocket = record({
  family: one(SOCKET_FAMILIES),
  type: text,
  proto: text,
  localIp: text,
  localPort: u32,
  remoteIp: text,
  remotePort: u32,
})
const callTarget = record({ pid: u32, startNs: u64, exe: text, containerId: text, containerName: text })

function bodiesOf(kind: RecordKind): fc.Arbitrary<RecordBodies> {
  switch (kind) {
    case 'container':
      return record({ containerChange: bodies.containerChange })
    case 'agent':
      return record({ agentChange: bodies.agentChange })
    case 'gap':
      return record({ gap })
    case 'alert':
    case 'action':
      return fc.oneof(
        record({ alert, exec: bodies.exec }),
        record({ alert, connect: bodies.connect }) as fc.Arbitrary<RecordBodies>,
        one(CALL_KINDS).chain((act) => record({ alert, call: callOf(act) })),
        record({ alert, close: bodies.close }) as fc.Arbitrary<RecordBodies>,
        record({ alert, sample: bodies.sample }) as fc.Arbitrary<RecordBodies>,
      )
    default:
      if (isCallKind(kind)) return record({ call: callOf(kind) })
      return (bodies[kind] as fc.Arbitrary<unknown>).map((body) => ({ [kind]: body }) as RecordBodies)
  }
}

const KINDS: readonly RecordKind[] = [
  'exec',
  'fork',
  'exit',
  'connect',
  'syscall',
  'oom',
  'sample',
  'container',
  'agent',
  'gap',
  'alert',
  'action',
  ...CALL_KINDS,
  'close',
  'dns',
  'tls',
  'http',
]

/** Drafts of one lane; a few containers and processes recur, as they do on a host. */
export const drafts: fc.Arbitrary<RecordDraft[]> = fc
  .tuple(
    fc.array(container, { minLength: 1, maxLength: 3 }),
    fc.array(process, { minLength: 1, maxLength: 3 }),
    fc.array(
      fc.tuple(
        fc.nat(2),
        fc.option(fc.nat(2), { nil: undefined }),
        time,
        time,
        one(KINDS).chain((kind) => bodiesOf(kind).map((body) => ({ kind, body }))),
      ),
      { minLength: 1, maxLength: 30 },
    ),
  )
  .map(([containers, processes, rows]) =>
    rows.map(([containerIndex, processIndex, bootNs, timeNs, { kind, body }]) => {
      const draft: RecordDraft = {
        kind,
        lane: 'activity',
        bootNs,
        timeNs,
        container: containers[containerIndex % containers.length] as ContainerRef,
        ...body,
      }
      const acting = processIndex === undefined ? undefined : processes[processIndex % processes.length]
      return acting === undefined ? draft : { ...draft, process: acting }
    }),
  )

/** One draft of every kind but gap. */
export const allKinds: fc.Arbitrary<RecordDraft[]> = fc
  .tuple(
    container,
    ...KINDS.filter((kind) => kind !== 'gap').map((kind) => bodiesOf(kind).map((body) => ({ kind, body }))),
  )
  .map(([owner, ...rows]) =>
    rows.map(({ kind, body }) => ({ kind, lane: 'activity', bootNs: 1n, timeNs: 2n, container: owner, ...body })),
  )
