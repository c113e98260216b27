// Generated from proto/hullguard/v1/*.proto by scripts/generate-proto.mjs. Do not edit.
import protobuf from 'protobufjs/minimal.js'
import { checkEnd, checkStop, EMPTY, packedEnd, readSint64, readUint64, writeSint64, writeUint64 } from '../wire-primitives.js'

type Writer = protobuf.Writer
type Reader = protobuf.Reader

export const Lane = {
  UNSPECIFIED: 0,
  ALERT: 1,
  ACTIVITY: 2,
} as const

export const Kind = {
  UNSPECIFIED: 0,
  EXEC: 1,
  FORK: 2,
  EXIT: 3,
  CONNECT: 4,
  SYSCALL: 5,
  OOM: 6,
  SAMPLE: 7,
  CONTAINER: 8,
  AGENT: 9,
  GAP: 10,
  ALERT: 11,
  ACTION: 12,
  OPEN: 13,
  UNLINK: 14,
  RENAME: 15,
  LINK: 16,
  SYMLINK: 17,
  CHMOD: 18,
  CHOWN: 19,
  MKDIR: 20,
  RMDIR: 21,
  TRUNCATE: 22,
  SIGNAL: 23,
  SETUID: 24,
  SETGID: 25,
  CAPSET: 26,
  PTRACE: 27,
  SETNS: 28,
  UNSHARE: 29,
  MOUNT: 30,
  UMOUNT: 31,
  PIVOT_ROOT: 32,
  CHROOT: 33,
  BPF: 34,
  MODULE: 35,
  MEMFD: 36,
  MMAP: 37,
  MPROTECT: 38,
  PRCTL: 39,
  USERFAULTFD: 40,
  SOCKET: 41,
  BIND: 42,
  LISTEN: 43,
  ACCEPT: 44,
  SEND: 45,
  RECV: 46,
  DUP: 47,
  CLOSE: 48,
  DNS: 49,
  TLS: 50,
  HTTP: 51,
  IPC: 52,
  UNIX_CONNECT: 53,
  CAPABLE: 54,
} as const

export const ContainerState = {
  UNSPECIFIED: 0,
  HOST: 1,
  CONTAINER: 2,
  PENDING: 3,
  UNKNOWN: 4,
} as const

export interface DeliverRequest {
  hello?: Hello
  frame?: Frame
}

export function encodeDeliverRequest(m: DeliverRequest, w: Writer = protobuf.Writer.create()): Writer {
  if (m.hello !== undefined) {
    w.uint32(10)
    encodeHello(m.hello, w.fork()).ldelim()
  }
  if (m.frame !== undefined) {
    w.uint32(18)
    encodeFrame(m.frame, w.fork()).ldelim()
  }
  return w
}

export function decodeDeliverRequest(r: Reader, end: number = r.len): DeliverRequest {
  checkEnd(r, end)
  const m: DeliverRequest = {  }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.hello = decodeHello(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      case 2:
        if (wire === 2) m.frame = decodeFrame(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Hello {
  agent: string
  version: number
  epoch: number
}

export function encodeHello(m: Hello, w: Writer = protobuf.Writer.create()): Writer {
  if (m.agent !== '') {
    w.uint32(10)
    w.string(m.agent)
  }
  if (m.version !== 0) {
    w.uint32(16)
    w.uint32(m.version)
  }
  if (m.epoch !== 0) {
    w.uint32(24)
    w.uint32(m.epoch)
  }
  return w
}

export function decodeHello(r: Reader, end: number = r.len): Hello {
  checkEnd(r, end)
  const m: Hello = { agent: '', version: 0, epoch: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.agent = r.string()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.version = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.epoch = r.uint32()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Frame {
  epoch: number
  lane: number
  firstSeq: bigint
  lastSeq: bigint
  count: number
  payload: Uint8Array
  prevHash: Uint8Array
  hash: Uint8Array
  replaces: boolean
}

export function encodeFrame(m: Frame, w: Writer = protobuf.Writer.create()): Writer {
  if (m.epoch !== 0) {
    w.uint32(8)
    w.uint32(m.epoch)
  }
  if (m.lane !== 0) {
    w.uint32(16)
    w.uint32(m.lane)
  }
  if (m.firstSeq !== 0n) {
    w.uint32(24)
    writeUint64(w, m.firstSeq)
  }
  if (m.lastSeq !== 0n) {
    w.uint32(32)
    writeUint64(w, m.lastSeq)
  }
  if (m.count !== 0) {
    w.uint32(40)
    w.uint32(m.count)
  }
  if (m.payload.length > 0) {
    w.uint32(50)
    w.bytes(m.payload)
  }
  if (m.prevHash.length > 0) {
    w.uint32(58)
    w.bytes(m.prevHash)
  }
  if (m.hash.length > 0) {
    w.uint32(66)
    w.bytes(m.hash)
  }
  if (m.replaces) {
    w.uint32(72)
    w.bool(m.replaces)
  }
  return w
}

export function decodeFrame(r: Reader, end: number = r.len): Frame {
  checkEnd(r, end)
  const m: Frame = { epoch: 0, lane: 0, firstSeq: 0n, lastSeq: 0n, count: 0, payload: EMPTY, prevHash: EMPTY, hash: EMPTY, replaces: false }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.epoch = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.lane = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.firstSeq = readUint64(r)
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.lastSeq = readUint64(r)
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.count = r.uint32()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 2) m.payload = r.bytes()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 2) m.prevHash = r.bytes()
        else r.skipType(wire)
        break
      case 8:
        if (wire === 2) m.hash = r.bytes()
        else r.skipType(wire)
        break
      case 9:
        if (wire === 0) m.replaces = r.bool()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface DeliverResponse {
  welcome?: Welcome
  ack?: Ack
}

export function encodeDeliverResponse(m: DeliverResponse, w: Writer = protobuf.Writer.create()): Writer {
  if (m.welcome !== undefined) {
    w.uint32(10)
    encodeWelcome(m.welcome, w.fork()).ldelim()
  }
  if (m.ack !== undefined) {
    w.uint32(18)
    encodeAck(m.ack, w.fork()).ldelim()
  }
  return w
}

export function decodeDeliverResponse(r: Reader, end: number = r.len): DeliverResponse {
  checkEnd(r, end)
  const m: DeliverResponse = {  }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.welcome = decodeWelcome(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      case 2:
        if (wire === 2) m.ack = decodeAck(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Welcome {
  stored: Ack[]
}

export function encodeWelcome(m: Welcome, w: Writer = protobuf.Writer.create()): Writer {
  for (const item of m.stored) {
    w.uint32(10)
    encodeAck(item, w.fork()).ldelim()
  }
  return w
}

export function decodeWelcome(r: Reader, end: number = r.len): Welcome {
  checkEnd(r, end)
  const m: Welcome = { stored: [] }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.stored.push(decodeAck(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Ack {
  epoch: number
  lane: number
  seq: bigint
}

export function encodeAck(m: Ack, w: Writer = protobuf.Writer.create()): Writer {
  if (m.epoch !== 0) {
    w.uint32(8)
    w.uint32(m.epoch)
  }
  if (m.lane !== 0) {
    w.uint32(16)
    w.uint32(m.lane)
  }
  if (m.seq !== 0n) {
    w.uint32(24)
    writeUint64(w, m.seq)
  }
  return w
}

export function decodeAck(r: Reader, end: number = r.len): Ack {
  checkEnd(r, end)
  const m: Ack = { epoch: 0, lane: 0, seq: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.epoch = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.lane = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.seq = readUint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export const RECORD_BATCH_TAGS = {
  strings: 50,
  containers: 58,
  processes: 66,
  rules: 74,
  kinds: 82,
  bootNsDeltas: 90,
  utcOffsetNsDeltas: 98,
  containerIndexes: 106,
  processIndexes: 114,
  ruleIndexes: 122,
  bodyMasks: 130,
  execs: 162,
  forks: 170,
  exits: 178,
  connects: 186,
  syscalls: 194,
  samples: 202,
  ooms: 210,
  containerChanges: 218,
  agentChanges: 226,
  gaps: 234,
  alerts: 242,
  calls: 250,
  listens: 258,
  accepts: 266,
  closes: 274,
  dnses: 282,
  tlses: 290,
  https: 298,
} as const

export interface RecordBatch {
  agent: string
  epoch: number
  lane: number
  firstSeq: bigint
  count: number
  strings: string[]
  containers: Container[]
  processes: Process[]
  rules: string[]
  kinds: number[]
  bootNsDeltas: bigint[]
  utcOffsetNsDeltas: bigint[]
  containerIndexes: number[]
  processIndexes: number[]
  ruleIndexes: number[]
  bodyMasks: number[]
  execs: Exec[]
  forks: Fork[]
  exits: Exit[]
  connects: Connect[]
  syscalls: Syscall[]
  samples: Sample[]
  ooms: Oom[]
  containerChanges: ContainerChange[]
  agentChanges: AgentChange[]
  gaps: Gap[]
  alerts: Alert[]
  calls: Call[]
  listens: Listen[]
  accepts: Accept[]
  closes: Close[]
  dnses: Dns[]
  tlses: Tls[]
  https: Http[]
}

export function encodeRecordBatch(m: RecordBatch, w: Writer = protobuf.Writer.create()): Writer {
  if (m.agent !== '') {
    w.uint32(10)
    w.string(m.agent)
  }
  if (m.epoch !== 0) {
    w.uint32(16)
    w.uint32(m.epoch)
  }
  if (m.lane !== 0) {
    w.uint32(24)
    w.uint32(m.lane)
  }
  if (m.firstSeq !== 0n) {
    w.uint32(32)
    writeUint64(w, m.firstSeq)
  }
  if (m.count !== 0) {
    w.uint32(40)
    w.uint32(m.count)
  }
  for (const item of m.strings) {
    w.uint32(50).string(item)
  }
  for (const item of m.containers) {
    w.uint32(58)
    encodeContainer(item, w.fork()).ldelim()
  }
  for (const item of m.processes) {
    w.uint32(66)
    encodeProcess(item, w.fork()).ldelim()
  }
  for (const item of m.rules) {
    w.uint32(74).string(item)
  }
  if (m.kinds.length > 0) {
    w.uint32(82).uint32s(m.kinds)
  }
  if (m.bootNsDeltas.length > 0) {
    w.uint32(90).fork()
    for (const item of m.bootNsDeltas) writeSint64(w, item)
    w.ldelim()
  }
  if (m.utcOffsetNsDeltas.length > 0) {
    w.uint32(98).fork()
    for (const item of m.utcOffsetNsDeltas) writeSint64(w, item)
    w.ldelim()
  }
  if (m.containerIndexes.length > 0) {
    w.uint32(106).uint32s(m.containerIndexes)
  }
  if (m.processIndexes.length > 0) {
    w.uint32(114).uint32s(m.processIndexes)
  }
  if (m.ruleIndexes.length > 0) {
    w.uint32(122).uint32s(m.ruleIndexes)
  }
  if (m.bodyMasks.length > 0) {
    w.uint32(130).uint32s(m.bodyMasks)
  }
  for (const item of m.execs) {
    w.uint32(162)
    encodeExec(item, w.fork()).ldelim()
  }
  for (const item of m.forks) {
    w.uint32(170)
    encodeFork(item, w.fork()).ldelim()
  }
  for (const item of m.exits) {
    w.uint32(178)
    encodeExit(item, w.fork()).ldelim()
  }
  for (const item of m.connects) {
    w.uint32(186)
    encodeConnect(item, w.fork()).ldelim()
  }
  for (const item of m.syscalls) {
    w.uint32(194)
    encodeSyscall(item, w.fork()).ldelim()
  }
  for (const item of m.samples) {
    w.uint32(202)
    encodeSample(item, w.fork()).ldelim()
  }
  for (const item of m.ooms) {
    w.uint32(210)
    encodeOom(item, w.fork()).ldelim()
  }
  for (const item of m.containerChanges) {
    w.uint32(218)
    encodeContainerChange(item, w.fork()).ldelim()
  }
  for (const item of m.agentChanges) {
    w.uint32(226)
    encodeAgentChange(item, w.fork()).ldelim()
  }
  for (const item of m.gaps) {
    w.uint32(234)
    encodeGap(item, w.fork()).ldelim()
  }
  for (const item of m.alerts) {
    w.uint32(242)
    encodeAlert(item, w.fork()).ldelim()
  }
  for (const item of m.calls) {
    w.uint32(250)
    encodeCall(item, w.fork()).ldelim()
  }
  for (const item of m.listens) {
    w.uint32(258)
    encodeListen(item, w.fork()).ldelim()
  }
  for (const item of m.accepts) {
    w.uint32(266)
    encodeAccept(item, w.fork()).ldelim()
  }
  for (const item of m.closes) {
    w.uint32(274)
    encodeClose(item, w.fork()).ldelim()
  }
  for (const item of m.dnses) {
    w.uint32(282)
    encodeDns(item, w.fork()).ldelim()
  }
  for (const item of m.tlses) {
    w.uint32(290)
    encodeTls(item, w.fork()).ldelim()
  }
  for (const item of m.https) {
    w.uint32(298)
    encodeHttp(item, w.fork()).ldelim()
  }
  return w
}

export function decodeRecordBatch(r: Reader, end: number = r.len): RecordBatch {
  checkEnd(r, end)
  const m: RecordBatch = { agent: '', epoch: 0, lane: 0, firstSeq: 0n, count: 0, strings: [], containers: [], processes: [], rules: [], kinds: [], bootNsDeltas: [], utcOffsetNsDeltas: [], containerIndexes: [], processIndexes: [], ruleIndexes: [], bodyMasks: [], execs: [], forks: [], exits: [], connects: [], syscalls: [], samples: [], ooms: [], containerChanges: [], agentChanges: [], gaps: [], alerts: [], calls: [], listens: [], accepts: [], closes: [], dnses: [], tlses: [], https: [] }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.agent = r.string()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.epoch = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.lane = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.firstSeq = readUint64(r)
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.count = r.uint32()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 2) m.strings.push(r.string())
        else r.skipType(wire)
        break
      case 7:
        if (wire === 2) m.containers.push(decodeContainer(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 8:
        if (wire === 2) m.processes.push(decodeProcess(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 9:
        if (wire === 2) m.rules.push(r.string())
        else r.skipType(wire)
        break
      case 10:
        if (wire === 2) r.uint32s(m.kinds)
        else if (wire === 0) m.kinds.push(r.uint32())
        else r.skipType(wire)
        break
      case 11:
        if (wire === 2) for (const stop = packedEnd(r); r.pos < stop; ) m.bootNsDeltas.push(readSint64(r))
        else if (wire === 0) m.bootNsDeltas.push(readSint64(r))
        else r.skipType(wire)
        break
      case 12:
        if (wire === 2) for (const stop = packedEnd(r); r.pos < stop; ) m.utcOffsetNsDeltas.push(readSint64(r))
        else if (wire === 0) m.utcOffsetNsDeltas.push(readSint64(r))
        else r.skipType(wire)
        break
      case 13:
        if (wire === 2) r.uint32s(m.containerIndexes)
        else if (wire === 0) m.containerIndexes.push(r.uint32())
        else r.skipType(wire)
        break
      case 14:
        if (wire === 2) r.uint32s(m.processIndexes)
        else if (wire === 0) m.processIndexes.push(r.uint32())
        else r.skipType(wire)
        break
      case 15:
        if (wire === 2) r.uint32s(m.ruleIndexes)
        else if (wire === 0) m.ruleIndexes.push(r.uint32())
        else r.skipType(wire)
        break
      case 16:
        if (wire === 2) r.uint32s(m.bodyMasks)
        else if (wire === 0) m.bodyMasks.push(r.uint32())
        else r.skipType(wire)
        break
      case 20:
        if (wire === 2) m.execs.push(decodeExec(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 21:
        if (wire === 2) m.forks.push(decodeFork(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 22:
        if (wire === 2) m.exits.push(decodeExit(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 23:
        if (wire === 2) m.connects.push(decodeConnect(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 24:
        if (wire === 2) m.syscalls.push(decodeSyscall(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 25:
        if (wire === 2) m.samples.push(decodeSample(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 26:
        if (wire === 2) m.ooms.push(decodeOom(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 27:
        if (wire === 2) m.containerChanges.push(decodeContainerChange(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 28:
        if (wire === 2) m.agentChanges.push(decodeAgentChange(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 29:
        if (wire === 2) m.gaps.push(decodeGap(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 30:
        if (wire === 2) m.alerts.push(decodeAlert(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 31:
        if (wire === 2) m.calls.push(decodeCall(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 32:
        if (wire === 2) m.listens.push(decodeListen(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 33:
        if (wire === 2) m.accepts.push(decodeAccept(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 34:
        if (wire === 2) m.closes.push(decodeClose(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 35:
        if (wire === 2) m.dnses.push(decodeDns(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 36:
        if (wire === 2) m.tlses.push(decodeTls(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 37:
        if (wire === 2) m.https.push(decodeHttp(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface BatchIndex {
  agent: string
  epoch: number
  lane: number
  firstSeq: bigint
  count: number
  containers: Container[]
  rules: string[]
  kinds: number[]
  bootNsDeltas: bigint[]
  utcOffsetNsDeltas: bigint[]
  containerIndexes: number[]
  ruleIndexes: number[]
}

export function encodeBatchIndex(m: BatchIndex, w: Writer = protobuf.Writer.create()): Writer {
  if (m.agent !== '') {
    w.uint32(10)
    w.string(m.agent)
  }
  if (m.epoch !== 0) {
    w.uint32(16)
    w.uint32(m.epoch)
  }
  if (m.lane !== 0) {
    w.uint32(24)
    w.uint32(m.lane)
  }
  if (m.firstSeq !== 0n) {
    w.uint32(32)
    writeUint64(w, m.firstSeq)
  }
  if (m.count !== 0) {
    w.uint32(40)
    w.uint32(m.count)
  }
  for (const item of m.containers) {
    w.uint32(58)
    encodeContainer(item, w.fork()).ldelim()
  }
  for (const item of m.rules) {
    w.uint32(74).string(item)
  }
  if (m.kinds.length > 0) {
    w.uint32(82).uint32s(m.kinds)
  }
  if (m.bootNsDeltas.length > 0) {
    w.uint32(90).fork()
    for (const item of m.bootNsDeltas) writeSint64(w, item)
    w.ldelim()
  }
  if (m.utcOffsetNsDeltas.length > 0) {
    w.uint32(98).fork()
    for (const item of m.utcOffsetNsDeltas) writeSint64(w, item)
    w.ldelim()
  }
  if (m.containerIndexes.length > 0) {
    w.uint32(106).uint32s(m.containerIndexes)
  }
  if (m.ruleIndexes.length > 0) {
    w.uint32(122).uint32s(m.ruleIndexes)
  }
  return w
}

export function decodeBatchIndex(r: Reader, end: number = r.len): BatchIndex {
  checkEnd(r, end)
  const m: BatchIndex = { agent: '', epoch: 0, lane: 0, firstSeq: 0n, count: 0, containers: [], rules: [], kinds: [], bootNsDeltas: [], utcOffsetNsDeltas: [], containerIndexes: [], ruleIndexes: [] }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.agent = r.string()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.epoch = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.lane = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.firstSeq = readUint64(r)
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.count = r.uint32()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 2) m.containers.push(decodeContainer(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 9:
        if (wire === 2) m.rules.push(r.string())
        else r.skipType(wire)
        break
      case 10:
        if (wire === 2) r.uint32s(m.kinds)
        else if (wire === 0) m.kinds.push(r.uint32())
        else r.skipType(wire)
        break
      case 11:
        if (wire === 2) for (const stop = packedEnd(r); r.pos < stop; ) m.bootNsDeltas.push(readSint64(r))
        else if (wire === 0) m.bootNsDeltas.push(readSint64(r))
        else r.skipType(wire)
        break
      case 12:
        if (wire === 2) for (const stop = packedEnd(r); r.pos < stop; ) m.utcOffsetNsDeltas.push(readSint64(r))
        else if (wire === 0) m.utcOffsetNsDeltas.push(readSint64(r))
        else r.skipType(wire)
        break
      case 13:
        if (wire === 2) r.uint32s(m.containerIndexes)
        else if (wire === 0) m.containerIndexes.push(r.uint32())
        else r.skipType(wire)
        break
      case 15:
        if (wire === 2) r.uint32s(m.ruleIndexes)
        else if (wire === 0) m.ruleIndexes.push(r.uint32())
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Label {
  key: string
  value: string
}

export function encodeLabel(m: Label, w: Writer = protobuf.Writer.create()): Writer {
  if (m.key !== '') {
    w.uint32(10)
    w.string(m.key)
  }
  if (m.value !== '') {
    w.uint32(18)
    w.string(m.value)
  }
  return w
}

export function decodeLabel(r: Reader, end: number = r.len): Label {
  checkEnd(r, end)
  const m: Label = { key: '', value: '' }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.key = r.string()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 2) m.value = r.string()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Container {
  state: number
  id: string
  name: string
  image: string
  imageId: string
  runtime: string
  labels: Label[]
  outerIds: string[]
}

export function encodeContainer(m: Container, w: Writer = protobuf.Writer.create()): Writer {
  if (m.state !== 0) {
    w.uint32(8)
    w.uint32(m.state)
  }
  if (m.id !== '') {
    w.uint32(18)
    w.string(m.id)
  }
  if (m.name !== '') {
    w.uint32(26)
    w.string(m.name)
  }
  if (m.image !== '') {
    w.uint32(34)
    w.string(m.image)
  }
  if (m.imageId !== '') {
    w.uint32(42)
    w.string(m.imageId)
  }
  if (m.runtime !== '') {
    w.uint32(50)
    w.string(m.runtime)
  }
  for (const item of m.labels) {
    w.uint32(58)
    encodeLabel(item, w.fork()).ldelim()
  }
  for (const item of m.outerIds) {
    w.uint32(66).string(item)
  }
  return w
}

export function decodeContainer(r: Reader, end: number = r.len): Container {
  checkEnd(r, end)
  const m: Container = { state: 0, id: '', name: '', image: '', imageId: '', runtime: '', labels: [], outerIds: [] }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.state = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 2) m.id = r.string()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 2) m.name = r.string()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 2) m.image = r.string()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 2) m.imageId = r.string()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 2) m.runtime = r.string()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 2) m.labels.push(decodeLabel(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 8:
        if (wire === 2) m.outerIds.push(r.string())
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Process {
  pid: number
  tid: number
  startNs: bigint
  exeRef: number
  invokedRef: number
  argRefs: number[]
  cwdRef: number
  uid: number
  gid: number
  userRef: number
  setup: boolean
  hasParent: boolean
  parentPid: number
  parentStartNs: bigint
  parentExeRef: number
}

export function encodeProcess(m: Process, w: Writer = protobuf.Writer.create()): Writer {
  if (m.pid !== 0) {
    w.uint32(8)
    w.uint32(m.pid)
  }
  if (m.tid !== 0) {
    w.uint32(16)
    w.uint32(m.tid)
  }
  if (m.startNs !== 0n) {
    w.uint32(24)
    writeUint64(w, m.startNs)
  }
  if (m.exeRef !== 0) {
    w.uint32(32)
    w.uint32(m.exeRef)
  }
  if (m.invokedRef !== 0) {
    w.uint32(40)
    w.uint32(m.invokedRef)
  }
  if (m.argRefs.length > 0) {
    w.uint32(50).uint32s(m.argRefs)
  }
  if (m.cwdRef !== 0) {
    w.uint32(56)
    w.uint32(m.cwdRef)
  }
  if (m.uid !== 0) {
    w.uint32(64)
    w.uint32(m.uid)
  }
  if (m.gid !== 0) {
    w.uint32(72)
    w.uint32(m.gid)
  }
  if (m.userRef !== 0) {
    w.uint32(80)
    w.uint32(m.userRef)
  }
  if (m.setup) {
    w.uint32(88)
    w.bool(m.setup)
  }
  if (m.hasParent) {
    w.uint32(96)
    w.bool(m.hasParent)
  }
  if (m.parentPid !== 0) {
    w.uint32(104)
    w.uint32(m.parentPid)
  }
  if (m.parentStartNs !== 0n) {
    w.uint32(112)
    writeUint64(w, m.parentStartNs)
  }
  if (m.parentExeRef !== 0) {
    w.uint32(120)
    w.uint32(m.parentExeRef)
  }
  return w
}

export function decodeProcess(r: Reader, end: number = r.len): Process {
  checkEnd(r, end)
  const m: Process = { pid: 0, tid: 0, startNs: 0n, exeRef: 0, invokedRef: 0, argRefs: [], cwdRef: 0, uid: 0, gid: 0, userRef: 0, setup: false, hasParent: false, parentPid: 0, parentStartNs: 0n, parentExeRef: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.pid = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.tid = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.startNs = readUint64(r)
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.exeRef = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.invokedRef = r.uint32()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 2) r.uint32s(m.argRefs)
        else if (wire === 0) m.argRefs.push(r.uint32())
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.cwdRef = r.uint32()
        else r.skipType(wire)
        break
      case 8:
        if (wire === 0) m.uid = r.uint32()
        else r.skipType(wire)
        break
      case 9:
        if (wire === 0) m.gid = r.uint32()
        else r.skipType(wire)
        break
      case 10:
        if (wire === 0) m.userRef = r.uint32()
        else r.skipType(wire)
        break
      case 11:
        if (wire === 0) m.setup = r.bool()
        else r.skipType(wire)
        break
      case 12:
        if (wire === 0) m.hasParent = r.bool()
        else r.skipType(wire)
        break
      case 13:
        if (wire === 0) m.parentPid = r.uint32()
        else r.skipType(wire)
        break
      case 14:
        if (wire === 0) m.parentStartNs = readUint64(r)
        else r.skipType(wire)
        break
      case 15:
        if (wire === 0) m.parentExeRef = r.uint32()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Exec {
  pathRef: number
  fileRef: number
  scriptRef: number
  dev: number
  inode: bigint
  argsTruncated: boolean
  pathTruncated: boolean
  memfd: boolean
  foreignRoot: boolean
  multicall: boolean
  upperLayer: boolean
  refused: boolean
  deleted: boolean
}

export function encodeExec(m: Exec, w: Writer = protobuf.Writer.create()): Writer {
  if (m.pathRef !== 0) {
    w.uint32(8)
    w.uint32(m.pathRef)
  }
  if (m.fileRef !== 0) {
    w.uint32(16)
    w.uint32(m.fileRef)
  }
  if (m.scriptRef !== 0) {
    w.uint32(24)
    w.uint32(m.scriptRef)
  }
  if (m.dev !== 0) {
    w.uint32(32)
    w.uint32(m.dev)
  }
  if (m.inode !== 0n) {
    w.uint32(40)
    writeUint64(w, m.inode)
  }
  if (m.argsTruncated) {
    w.uint32(48)
    w.bool(m.argsTruncated)
  }
  if (m.pathTruncated) {
    w.uint32(56)
    w.bool(m.pathTruncated)
  }
  if (m.memfd) {
    w.uint32(64)
    w.bool(m.memfd)
  }
  if (m.foreignRoot) {
    w.uint32(72)
    w.bool(m.foreignRoot)
  }
  if (m.multicall) {
    w.uint32(80)
    w.bool(m.multicall)
  }
  if (m.upperLayer) {
    w.uint32(88)
    w.bool(m.upperLayer)
  }
  if (m.refused) {
    w.uint32(96)
    w.bool(m.refused)
  }
  if (m.deleted) {
    w.uint32(104)
    w.bool(m.deleted)
  }
  return w
}

export function decodeExec(r: Reader, end: number = r.len): Exec {
  checkEnd(r, end)
  const m: Exec = { pathRef: 0, fileRef: 0, scriptRef: 0, dev: 0, inode: 0n, argsTruncated: false, pathTruncated: false, memfd: false, foreignRoot: false, multicall: false, upperLayer: false, refused: false, deleted: false }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.pathRef = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.fileRef = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.scriptRef = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.dev = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.inode = readUint64(r)
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.argsTruncated = r.bool()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.pathTruncated = r.bool()
        else r.skipType(wire)
        break
      case 8:
        if (wire === 0) m.memfd = r.bool()
        else r.skipType(wire)
        break
      case 9:
        if (wire === 0) m.foreignRoot = r.bool()
        else r.skipType(wire)
        break
      case 10:
        if (wire === 0) m.multicall = r.bool()
        else r.skipType(wire)
        break
      case 11:
        if (wire === 0) m.upperLayer = r.bool()
        else r.skipType(wire)
        break
      case 12:
        if (wire === 0) m.refused = r.bool()
        else r.skipType(wire)
        break
      case 13:
        if (wire === 0) m.deleted = r.bool()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Fork {
  childPid: number
  childStartNs: bigint
}

export function encodeFork(m: Fork, w: Writer = protobuf.Writer.create()): Writer {
  if (m.childPid !== 0) {
    w.uint32(8)
    w.uint32(m.childPid)
  }
  if (m.childStartNs !== 0n) {
    w.uint32(16)
    writeUint64(w, m.childStartNs)
  }
  return w
}

export function decodeFork(r: Reader, end: number = r.len): Fork {
  checkEnd(r, end)
  const m: Fork = { childPid: 0, childStartNs: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.childPid = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.childStartNs = readUint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Exit {
  code: number
  signal: number
  signalNameRef: number
  coreDumped: boolean
  runtimeNs: bigint
}

export function encodeExit(m: Exit, w: Writer = protobuf.Writer.create()): Writer {
  if (m.code !== 0) {
    w.uint32(8)
    w.uint32(m.code)
  }
  if (m.signal !== 0) {
    w.uint32(16)
    w.uint32(m.signal)
  }
  if (m.signalNameRef !== 0) {
    w.uint32(24)
    w.uint32(m.signalNameRef)
  }
  if (m.coreDumped) {
    w.uint32(32)
    w.bool(m.coreDumped)
  }
  if (m.runtimeNs !== 0n) {
    w.uint32(40)
    writeSint64(w, m.runtimeNs)
  }
  return w
}

export function decodeExit(r: Reader, end: number = r.len): Exit {
  checkEnd(r, end)
  const m: Exit = { code: 0, signal: 0, signalNameRef: 0, coreDumped: false, runtimeNs: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.code = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.signal = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.signalNameRef = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.coreDumped = r.bool()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.runtimeNs = readSint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Connect {
  ipRef: number
  port: number
  proto: number
  family: number
  repeatsCount: number
  result?: number
  errorRef: number
  localIpRef: number
  localPort: number
  socketId: bigint
  peer?: Peer
}

export function encodeConnect(m: Connect, w: Writer = protobuf.Writer.create()): Writer {
  if (m.ipRef !== 0) {
    w.uint32(8)
    w.uint32(m.ipRef)
  }
  if (m.port !== 0) {
    w.uint32(16)
    w.uint32(m.port)
  }
  if (m.proto !== 0) {
    w.uint32(24)
    w.uint32(m.proto)
  }
  if (m.family !== 0) {
    w.uint32(32)
    w.uint32(m.family)
  }
  if (m.repeatsCount !== 0) {
    w.uint32(40)
    w.uint32(m.repeatsCount)
  }
  if (m.result !== undefined) {
    w.uint32(48)
    w.uint32(m.result)
  }
  if (m.errorRef !== 0) {
    w.uint32(56)
    w.uint32(m.errorRef)
  }
  if (m.localIpRef !== 0) {
    w.uint32(64)
    w.uint32(m.localIpRef)
  }
  if (m.localPort !== 0) {
    w.uint32(72)
    w.uint32(m.localPort)
  }
  if (m.socketId !== 0n) {
    w.uint32(80)
    writeUint64(w, m.socketId)
  }
  if (m.peer !== undefined) {
    w.uint32(90)
    encodePeer(m.peer, w.fork()).ldelim()
  }
  return w
}

export function decodeConnect(r: Reader, end: number = r.len): Connect {
  checkEnd(r, end)
  const m: Connect = { ipRef: 0, port: 0, proto: 0, family: 0, repeatsCount: 0, errorRef: 0, localIpRef: 0, localPort: 0, socketId: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.ipRef = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.port = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.proto = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.family = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.repeatsCount = r.uint32()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.result = r.uint32()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.errorRef = r.uint32()
        else r.skipType(wire)
        break
      case 8:
        if (wire === 0) m.localIpRef = r.uint32()
        else r.skipType(wire)
        break
      case 9:
        if (wire === 0) m.localPort = r.uint32()
        else r.skipType(wire)
        break
      case 10:
        if (wire === 0) m.socketId = readUint64(r)
        else r.skipType(wire)
        break
      case 11:
        if (wire === 2) m.peer = decodePeer(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Peer {
  idRef: number
  nameRef: number
  imageRef: number
  pid: number
}

export function encodePeer(m: Peer, w: Writer = protobuf.Writer.create()): Writer {
  if (m.idRef !== 0) {
    w.uint32(8)
    w.uint32(m.idRef)
  }
  if (m.nameRef !== 0) {
    w.uint32(16)
    w.uint32(m.nameRef)
  }
  if (m.imageRef !== 0) {
    w.uint32(24)
    w.uint32(m.imageRef)
  }
  if (m.pid !== 0) {
    w.uint32(32)
    w.uint32(m.pid)
  }
  return w
}

export function decodePeer(r: Reader, end: number = r.len): Peer {
  checkEnd(r, end)
  const m: Peer = { idRef: 0, nameRef: 0, imageRef: 0, pid: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.idRef = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.nameRef = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.imageRef = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.pid = r.uint32()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Listen {
  ipRef: number
  port: number
  family: number
  backlogCount: number
  socketId: bigint
}

export function encodeListen(m: Listen, w: Writer = protobuf.Writer.create()): Writer {
  if (m.ipRef !== 0) {
    w.uint32(8)
    w.uint32(m.ipRef)
  }
  if (m.port !== 0) {
    w.uint32(16)
    w.uint32(m.port)
  }
  if (m.family !== 0) {
    w.uint32(24)
    w.uint32(m.family)
  }
  if (m.backlogCount !== 0) {
    w.uint32(32)
    w.uint32(m.backlogCount)
  }
  if (m.socketId !== 0n) {
    w.uint32(40)
    writeUint64(w, m.socketId)
  }
  return w
}

export function decodeListen(r: Reader, end: number = r.len): Listen {
  checkEnd(r, end)
  const m: Listen = { ipRef: 0, port: 0, family: 0, backlogCount: 0, socketId: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.ipRef = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.port = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.family = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.backlogCount = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.socketId = readUint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Accept {
  ipRef: number
  port: number
  localIpRef: number
  localPort: number
  family: number
  repeatsCount: number
  socketId: bigint
  peer?: Peer
}

export function encodeAccept(m: Accept, w: Writer = protobuf.Writer.create()): Writer {
  if (m.ipRef !== 0) {
    w.uint32(8)
    w.uint32(m.ipRef)
  }
  if (m.port !== 0) {
    w.uint32(16)
    w.uint32(m.port)
  }
  if (m.localIpRef !== 0) {
    w.uint32(24)
    w.uint32(m.localIpRef)
  }
  if (m.localPort !== 0) {
    w.uint32(32)
    w.uint32(m.localPort)
  }
  if (m.family !== 0) {
    w.uint32(40)
    w.uint32(m.family)
  }
  if (m.repeatsCount !== 0) {
    w.uint32(48)
    w.uint32(m.repeatsCount)
  }
  if (m.socketId !== 0n) {
    w.uint32(56)
    writeUint64(w, m.socketId)
  }
  if (m.peer !== undefined) {
    w.uint32(66)
    encodePeer(m.peer, w.fork()).ldelim()
  }
  return w
}

export function decodeAccept(r: Reader, end: number = r.len): Accept {
  checkEnd(r, end)
  const m: Accept = { ipRef: 0, port: 0, localIpRef: 0, localPort: 0, family: 0, repeatsCount: 0, socketId: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.ipRef = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.port = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.localIpRef = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.localPort = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.family = r.uint32()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.repeatsCount = r.uint32()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.socketId = readUint64(r)
        else r.skipType(wire)
        break
      case 8:
        if (wire === 2) m.peer = decodePeer(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Close {
  role: number
  ipRef: number
  port: number
  localIpRef: number
  localPort: number
  family: number
  closedBy: number
  errorRef: number
  sentBytes: bigint
  receivedBytes: bigint
  durationNs: bigint
  repeatsCount: number
  repeatsSentBytes: bigint
  repeatsReceivedBytes: bigint
  socketId: bigint
  peer?: Peer
}

export function encodeClose(m: Close, w: Writer = protobuf.Writer.create()): Writer {
  if (m.role !== 0) {
    w.uint32(8)
    w.uint32(m.role)
  }
  if (m.ipRef !== 0) {
    w.uint32(16)
    w.uint32(m.ipRef)
  }
  if (m.port !== 0) {
    w.uint32(24)
    w.uint32(m.port)
  }
  if (m.localIpRef !== 0) {
    w.uint32(32)
    w.uint32(m.localIpRef)
  }
  if (m.localPort !== 0) {
    w.uint32(40)
    w.uint32(m.localPort)
  }
  if (m.family !== 0) {
    w.uint32(48)
    w.uint32(m.family)
  }
  if (m.closedBy !== 0) {
    w.uint32(56)
    w.uint32(m.closedBy)
  }
  if (m.errorRef !== 0) {
    w.uint32(64)
    w.uint32(m.errorRef)
  }
  if (m.sentBytes !== 0n) {
    w.uint32(72)
    writeUint64(w, m.sentBytes)
  }
  if (m.receivedBytes !== 0n) {
    w.uint32(80)
    writeUint64(w, m.receivedBytes)
  }
  if (m.durationNs !== 0n) {
    w.uint32(88)
    writeUint64(w, m.durationNs)
  }
  if (m.repeatsCount !== 0) {
    w.uint32(96)
    w.uint32(m.repeatsCount)
  }
  if (m.repeatsSentBytes !== 0n) {
    w.uint32(104)
    writeUint64(w, m.repeatsSentBytes)
  }
  if (m.repeatsReceivedBytes !== 0n) {
    w.uint32(112)
    writeUint64(w, m.repeatsReceivedBytes)
  }
  if (m.socketId !== 0n) {
    w.uint32(120)
    writeUint64(w, m.socketId)
  }
  if (m.peer !== undefined) {
    w.uint32(130)
    encodePeer(m.peer, w.fork()).ldelim()
  }
  return w
}

export function decodeClose(r: Reader, end: number = r.len): Close {
  checkEnd(r, end)
  const m: Close = { role: 0, ipRef: 0, port: 0, localIpRef: 0, localPort: 0, family: 0, closedBy: 0, errorRef: 0, sentBytes: 0n, receivedBytes: 0n, durationNs: 0n, repeatsCount: 0, repeatsSentBytes: 0n, repeatsReceivedBytes: 0n, socketId: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.role = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.ipRef = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.port = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.localIpRef = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.localPort = r.uint32()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.family = r.uint32()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.closedBy = r.uint32()
        else r.skipType(wire)
        break
      case 8:
        if (wire === 0) m.errorRef = r.uint32()
        else r.skipType(wire)
        break
      case 9:
        if (wire === 0) m.sentBytes = readUint64(r)
        else r.skipType(wire)
        break
      case 10:
        if (wire === 0) m.receivedBytes = readUint64(r)
        else r.skipType(wire)
        break
      case 11:
        if (wire === 0) m.durationNs = readUint64(r)
        else r.skipType(wire)
        break
      case 12:
        if (wire === 0) m.repeatsCount = r.uint32()
        else r.skipType(wire)
        break
      case 13:
        if (wire === 0) m.repeatsSentBytes = readUint64(r)
        else r.skipType(wire)
        break
      case 14:
        if (wire === 0) m.repeatsReceivedBytes = readUint64(r)
        else r.skipType(wire)
        break
      case 15:
        if (wire === 0) m.socketId = readUint64(r)
        else r.skipType(wire)
        break
      case 16:
        if (wire === 2) m.peer = decodePeer(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Dns {
  message: number
  queryRef: number
  qtypeRef: number
  rcodeRef: number
  answerRefs: number[]
  ipRef: number
  port: number
  id: number
  proto: number
  truncated: boolean
  answerTtlsS: number[]
}

export function encodeDns(m: Dns, w: Writer = protobuf.Writer.create()): Writer {
  if (m.message !== 0) {
    w.uint32(8)
    w.uint32(m.message)
  }
  if (m.queryRef !== 0) {
    w.uint32(16)
    w.uint32(m.queryRef)
  }
  if (m.qtypeRef !== 0) {
    w.uint32(24)
    w.uint32(m.qtypeRef)
  }
  if (m.rcodeRef !== 0) {
    w.uint32(32)
    w.uint32(m.rcodeRef)
  }
  if (m.answerRefs.length > 0) {
    w.uint32(42).uint32s(m.answerRefs)
  }
  if (m.ipRef !== 0) {
    w.uint32(48)
    w.uint32(m.ipRef)
  }
  if (m.port !== 0) {
    w.uint32(56)
    w.uint32(m.port)
  }
  if (m.id !== 0) {
    w.uint32(64)
    w.uint32(m.id)
  }
  if (m.proto !== 0) {
    w.uint32(72)
    w.uint32(m.proto)
  }
  if (m.truncated) {
    w.uint32(80)
    w.bool(m.truncated)
  }
  if (m.answerTtlsS.length > 0) {
    w.uint32(90).uint32s(m.answerTtlsS)
  }
  return w
}

export function decodeDns(r: Reader, end: number = r.len): Dns {
  checkEnd(r, end)
  const m: Dns = { message: 0, queryRef: 0, qtypeRef: 0, rcodeRef: 0, answerRefs: [], ipRef: 0, port: 0, id: 0, proto: 0, truncated: false, answerTtlsS: [] }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.message = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.queryRef = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.qtypeRef = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.rcodeRef = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 2) r.uint32s(m.answerRefs)
        else if (wire === 0) m.answerRefs.push(r.uint32())
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.ipRef = r.uint32()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.port = r.uint32()
        else r.skipType(wire)
        break
      case 8:
        if (wire === 0) m.id = r.uint32()
        else r.skipType(wire)
        break
      case 9:
        if (wire === 0) m.proto = r.uint32()
        else r.skipType(wire)
        break
      case 10:
        if (wire === 0) m.truncated = r.bool()
        else r.skipType(wire)
        break
      case 11:
        if (wire === 2) r.uint32s(m.answerTtlsS)
        else if (wire === 0) m.answerTtlsS.push(r.uint32())
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Tls {
  sniRef: number
  alpnRefs: number[]
  ipRef: number
  port: number
  encryptedHello: boolean
  truncated: boolean
  socketId: bigint
}

export function encodeTls(m: Tls, w: Writer = protobuf.Writer.create()): Writer {
  if (m.sniRef !== 0) {
    w.uint32(8)
    w.uint32(m.sniRef)
  }
  if (m.alpnRefs.length > 0) {
    w.uint32(18).uint32s(m.alpnRefs)
  }
  if (m.ipRef !== 0) {
    w.uint32(24)
    w.uint32(m.ipRef)
  }
  if (m.port !== 0) {
    w.uint32(32)
    w.uint32(m.port)
  }
  if (m.encryptedHello) {
    w.uint32(40)
    w.bool(m.encryptedHello)
  }
  if (m.truncated) {
    w.uint32(48)
    w.bool(m.truncated)
  }
  if (m.socketId !== 0n) {
    w.uint32(56)
    writeUint64(w, m.socketId)
  }
  return w
}

export function decodeTls(r: Reader, end: number = r.len): Tls {
  checkEnd(r, end)
  const m: Tls = { sniRef: 0, alpnRefs: [], ipRef: 0, port: 0, encryptedHello: false, truncated: false, socketId: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.sniRef = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 2) r.uint32s(m.alpnRefs)
        else if (wire === 0) m.alpnRefs.push(r.uint32())
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.ipRef = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.port = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.encryptedHello = r.bool()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.truncated = r.bool()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.socketId = readUint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Http {
  methodRef: number
  hostRef: number
  pathRef: number
  ipRef: number
  port: number
  truncated: boolean
  socketId: bigint
}

export function encodeHttp(m: Http, w: Writer = protobuf.Writer.create()): Writer {
  if (m.methodRef !== 0) {
    w.uint32(8)
    w.uint32(m.methodRef)
  }
  if (m.hostRef !== 0) {
    w.uint32(16)
    w.uint32(m.hostRef)
  }
  if (m.pathRef !== 0) {
    w.uint32(24)
    w.uint32(m.pathRef)
  }
  if (m.ipRef !== 0) {
    w.uint32(32)
    w.uint32(m.ipRef)
  }
  if (m.port !== 0) {
    w.uint32(40)
    w.uint32(m.port)
  }
  if (m.truncated) {
    w.uint32(48)
    w.bool(m.truncated)
  }
  if (m.socketId !== 0n) {
    w.uint32(56)
    writeUint64(w, m.socketId)
  }
  return w
}

export function decodeHttp(r: Reader, end: number = r.len): Http {
  checkEnd(r, end)
  const m: Http = { methodRef: 0, hostRef: 0, pathRef: 0, ipRef: 0, port: 0, truncated: false, socketId: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.methodRef = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.hostRef = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.pathRef = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.ipRef = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.port = r.uint32()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.truncated = r.bool()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.socketId = readUint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Syscall {
  nameRef: number
  nr: number
  abi: number
  reason: number
  result?: bigint
}

export function encodeSyscall(m: Syscall, w: Writer = protobuf.Writer.create()): Writer {
  if (m.nameRef !== 0) {
    w.uint32(8)
    w.uint32(m.nameRef)
  }
  if (m.nr !== 0) {
    w.uint32(16)
    w.uint32(m.nr)
  }
  if (m.abi !== 0) {
    w.uint32(24)
    w.uint32(m.abi)
  }
  if (m.reason !== 0) {
    w.uint32(32)
    w.uint32(m.reason)
  }
  if (m.result !== undefined) {
    w.uint32(40)
    writeSint64(w, m.result)
  }
  return w
}

export function decodeSyscall(r: Reader, end: number = r.len): Syscall {
  checkEnd(r, end)
  const m: Syscall = { nameRef: 0, nr: 0, abi: 0, reason: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.nameRef = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.nr = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.abi = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.reason = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.result = readSint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Sample {
  memoryCurrentBytes: bigint
  memoryPeakBytes: bigint
  memoryLimitBytes?: bigint
  memoryInactiveFileBytes: bigint
}

export function encodeSample(m: Sample, w: Writer = protobuf.Writer.create()): Writer {
  if (m.memoryCurrentBytes !== 0n) {
    w.uint32(8)
    writeUint64(w, m.memoryCurrentBytes)
  }
  if (m.memoryPeakBytes !== 0n) {
    w.uint32(16)
    writeUint64(w, m.memoryPeakBytes)
  }
  if (m.memoryLimitBytes !== undefined) {
    w.uint32(24)
    writeUint64(w, m.memoryLimitBytes)
  }
  if (m.memoryInactiveFileBytes !== 0n) {
    w.uint32(32)
    writeUint64(w, m.memoryInactiveFileBytes)
  }
  return w
}

export function decodeSample(r: Reader, end: number = r.len): Sample {
  checkEnd(r, end)
  const m: Sample = { memoryCurrentBytes: 0n, memoryPeakBytes: 0n, memoryInactiveFileBytes: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.memoryCurrentBytes = readUint64(r)
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.memoryPeakBytes = readUint64(r)
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.memoryLimitBytes = readUint64(r)
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.memoryInactiveFileBytes = readUint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Oom {
  victimPid: number
  victimCommRef: number
}

export function encodeOom(m: Oom, w: Writer = protobuf.Writer.create()): Writer {
  if (m.victimPid !== 0) {
    w.uint32(8)
    w.uint32(m.victimPid)
  }
  if (m.victimCommRef !== 0) {
    w.uint32(16)
    w.uint32(m.victimCommRef)
  }
  return w
}

export function decodeOom(r: Reader, end: number = r.len): Oom {
  checkEnd(r, end)
  const m: Oom = { victimPid: 0, victimCommRef: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.victimPid = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.victimCommRef = r.uint32()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface ContainerChange {
  change: number
  cgroupRef: number
}

export function encodeContainerChange(m: ContainerChange, w: Writer = protobuf.Writer.create()): Writer {
  if (m.change !== 0) {
    w.uint32(8)
    w.uint32(m.change)
  }
  if (m.cgroupRef !== 0) {
    w.uint32(16)
    w.uint32(m.cgroupRef)
  }
  return w
}

export function decodeContainerChange(r: Reader, end: number = r.len): ContainerChange {
  checkEnd(r, end)
  const m: ContainerChange = { change: 0, cgroupRef: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.change = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.cgroupRef = r.uint32()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface AgentChange {
  change: number
  messageRef: number
}

export function encodeAgentChange(m: AgentChange, w: Writer = protobuf.Writer.create()): Writer {
  if (m.change !== 0) {
    w.uint32(8)
    w.uint32(m.change)
  }
  if (m.messageRef !== 0) {
    w.uint32(16)
    w.uint32(m.messageRef)
  }
  return w
}

export function decodeAgentChange(r: Reader, end: number = r.len): AgentChange {
  checkEnd(r, end)
  const m: AgentChange = { change: 0, messageRef: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.change = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.messageRef = r.uint32()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Gap {
  source: number
  causeRef: number
  cpu?: number
  firstSeq: bigint
  lastSeq: bigint
  count: bigint
  hash?: string
}

export function encodeGap(m: Gap, w: Writer = protobuf.Writer.create()): Writer {
  if (m.source !== 0) {
    w.uint32(8)
    w.uint32(m.source)
  }
  if (m.causeRef !== 0) {
    w.uint32(16)
    w.uint32(m.causeRef)
  }
  if (m.cpu !== undefined) {
    w.uint32(24)
    w.uint32(m.cpu)
  }
  if (m.firstSeq !== 0n) {
    w.uint32(32)
    writeUint64(w, m.firstSeq)
  }
  if (m.lastSeq !== 0n) {
    w.uint32(40)
    writeUint64(w, m.lastSeq)
  }
  if (m.count !== 0n) {
    w.uint32(48)
    writeUint64(w, m.count)
  }
  if (m.hash !== undefined) {
    w.uint32(58)
    w.string(m.hash)
  }
  return w
}

export function decodeGap(r: Reader, end: number = r.len): Gap {
  checkEnd(r, end)
  const m: Gap = { source: 0, causeRef: 0, firstSeq: 0n, lastSeq: 0n, count: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.source = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.causeRef = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.cpu = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.firstSeq = readUint64(r)
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.lastSeq = readUint64(r)
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.count = readUint64(r)
        else r.skipType(wire)
        break
      case 7:
        if (wire === 2) m.hash = r.string()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Alert {
  policyRef: number
  priority: number
  tagRefs: number[]
  outputRef: number
  actionTaken: number
  outcome: number
  reasonRef: number
  hookRef: number
  causeKind: number
  causeLane: number
  causeSeq?: bigint
}

export function encodeAlert(m: Alert, w: Writer = protobuf.Writer.create()): Writer {
  if (m.policyRef !== 0) {
    w.uint32(8)
    w.uint32(m.policyRef)
  }
  if (m.priority !== 0) {
    w.uint32(16)
    w.uint32(m.priority)
  }
  if (m.tagRefs.length > 0) {
    w.uint32(26).uint32s(m.tagRefs)
  }
  if (m.outputRef !== 0) {
    w.uint32(32)
    w.uint32(m.outputRef)
  }
  if (m.actionTaken !== 0) {
    w.uint32(40)
    w.uint32(m.actionTaken)
  }
  if (m.outcome !== 0) {
    w.uint32(48)
    w.uint32(m.outcome)
  }
  if (m.reasonRef !== 0) {
    w.uint32(56)
    w.uint32(m.reasonRef)
  }
  if (m.hookRef !== 0) {
    w.uint32(64)
    w.uint32(m.hookRef)
  }
  if (m.causeKind !== 0) {
    w.uint32(72)
    w.uint32(m.causeKind)
  }
  if (m.causeLane !== 0) {
    w.uint32(80)
    w.uint32(m.causeLane)
  }
  if (m.causeSeq !== undefined) {
    w.uint32(88)
    writeUint64(w, m.causeSeq)
  }
  return w
}

export function decodeAlert(r: Reader, end: number = r.len): Alert {
  checkEnd(r, end)
  const m: Alert = { policyRef: 0, priority: 0, tagRefs: [], outputRef: 0, actionTaken: 0, outcome: 0, reasonRef: 0, hookRef: 0, causeKind: 0, causeLane: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.policyRef = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.priority = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 2) r.uint32s(m.tagRefs)
        else if (wire === 0) m.tagRefs.push(r.uint32())
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.outputRef = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.actionTaken = r.uint32()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.outcome = r.uint32()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.reasonRef = r.uint32()
        else r.skipType(wire)
        break
      case 8:
        if (wire === 0) m.hookRef = r.uint32()
        else r.skipType(wire)
        break
      case 9:
        if (wire === 0) m.causeKind = r.uint32()
        else r.skipType(wire)
        break
      case 10:
        if (wire === 0) m.causeLane = r.uint32()
        else r.skipType(wire)
        break
      case 11:
        if (wire === 0) m.causeSeq = readUint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Call {
  act: number
  callRef: number
  abi: number
  result?: bigint
  argRefs: number[]
  access: number
  pathRef: number
  newPathRef: number
  rawPathRef: number
  rawNewPathRef: number
  fdPlusOne: number
  fdKind: number
  inode: bigint
  dev: number
  mode: number
  marks: number
  socket?: CallSocket
  target?: CallTarget
  repeatsCount: number
}

export function encodeCall(m: Call, w: Writer = protobuf.Writer.create()): Writer {
  if (m.act !== 0) {
    w.uint32(8)
    w.uint32(m.act)
  }
  if (m.callRef !== 0) {
    w.uint32(16)
    w.uint32(m.callRef)
  }
  if (m.abi !== 0) {
    w.uint32(24)
    w.uint32(m.abi)
  }
  if (m.result !== undefined) {
    w.uint32(32)
    writeSint64(w, m.result)
  }
  if (m.argRefs.length > 0) {
    w.uint32(42).uint32s(m.argRefs)
  }
  if (m.access !== 0) {
    w.uint32(48)
    w.uint32(m.access)
  }
  if (m.pathRef !== 0) {
    w.uint32(56)
    w.uint32(m.pathRef)
  }
  if (m.newPathRef !== 0) {
    w.uint32(64)
    w.uint32(m.newPathRef)
  }
  if (m.rawPathRef !== 0) {
    w.uint32(72)
    w.uint32(m.rawPathRef)
  }
  if (m.rawNewPathRef !== 0) {
    w.uint32(80)
    w.uint32(m.rawNewPathRef)
  }
  if (m.fdPlusOne !== 0) {
    w.uint32(88)
    w.uint32(m.fdPlusOne)
  }
  if (m.fdKind !== 0) {
    w.uint32(96)
    w.uint32(m.fdKind)
  }
  if (m.inode !== 0n) {
    w.uint32(104)
    writeUint64(w, m.inode)
  }
  if (m.dev !== 0) {
    w.uint32(112)
    w.uint32(m.dev)
  }
  if (m.mode !== 0) {
    w.uint32(120)
    w.uint32(m.mode)
  }
  if (m.marks !== 0) {
    w.uint32(128)
    w.uint32(m.marks)
  }
  if (m.socket !== undefined) {
    w.uint32(138)
    encodeCallSocket(m.socket, w.fork()).ldelim()
  }
  if (m.target !== undefined) {
    w.uint32(146)
    encodeCallTarget(m.target, w.fork()).ldelim()
  }
  if (m.repeatsCount !== 0) {
    w.uint32(152)
    w.uint32(m.repeatsCount)
  }
  return w
}

export function decodeCall(r: Reader, end: number = r.len): Call {
  checkEnd(r, end)
  const m: Call = { act: 0, callRef: 0, abi: 0, argRefs: [], access: 0, pathRef: 0, newPathRef: 0, rawPathRef: 0, rawNewPathRef: 0, fdPlusOne: 0, fdKind: 0, inode: 0n, dev: 0, mode: 0, marks: 0, repeatsCount: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.act = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.callRef = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.abi = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.result = readSint64(r)
        else r.skipType(wire)
        break
      case 5:
        if (wire === 2) r.uint32s(m.argRefs)
        else if (wire === 0) m.argRefs.push(r.uint32())
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.access = r.uint32()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.pathRef = r.uint32()
        else r.skipType(wire)
        break
      case 8:
        if (wire === 0) m.newPathRef = r.uint32()
        else r.skipType(wire)
        break
      case 9:
        if (wire === 0) m.rawPathRef = r.uint32()
        else r.skipType(wire)
        break
      case 10:
        if (wire === 0) m.rawNewPathRef = r.uint32()
        else r.skipType(wire)
        break
      case 11:
        if (wire === 0) m.fdPlusOne = r.uint32()
        else r.skipType(wire)
        break
      case 12:
        if (wire === 0) m.fdKind = r.uint32()
        else r.skipType(wire)
        break
      case 13:
        if (wire === 0) m.inode = readUint64(r)
        else r.skipType(wire)
        break
      case 14:
        if (wire === 0) m.dev = r.uint32()
        else r.skipType(wire)
        break
      case 15:
        if (wire === 0) m.mode = r.uint32()
        else r.skipType(wire)
        break
      case 16:
        if (wire === 0) m.marks = r.uint32()
        else r.skipType(wire)
        break
      case 17:
        if (wire === 2) m.socket = decodeCallSocket(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      case 18:
        if (wire === 2) m.target = decodeCallTarget(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      case 19:
        if (wire === 0) m.repeatsCount = r.uint32()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface CallSocket {
  family: number
  typeRef: number
  protoRef: number
  localIpRef: number
  localPort: number
  remoteIpRef: number
  remotePort: number
}

export function encodeCallSocket(m: CallSocket, w: Writer = protobuf.Writer.create()): Writer {
  if (m.family !== 0) {
    w.uint32(8)
    w.uint32(m.family)
  }
  if (m.typeRef !== 0) {
    w.uint32(16)
    w.uint32(m.typeRef)
  }
  if (m.protoRef !== 0) {
    w.uint32(24)
    w.uint32(m.protoRef)
  }
  if (m.localIpRef !== 0) {
    w.uint32(32)
    w.uint32(m.localIpRef)
  }
  if (m.localPort !== 0) {
    w.uint32(40)
    w.uint32(m.localPort)
  }
  if (m.remoteIpRef !== 0) {
    w.uint32(48)
    w.uint32(m.remoteIpRef)
  }
  if (m.remotePort !== 0) {
    w.uint32(56)
    w.uint32(m.remotePort)
  }
  return w
}

export function decodeCallSocket(r: Reader, end: number = r.len): CallSocket {
  checkEnd(r, end)
  const m: CallSocket = { family: 0, typeRef: 0, protoRef: 0, localIpRef: 0, localPort: 0, remoteIpRef: 0, remotePort: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.family = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.typeRef = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.protoRef = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.localIpRef = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.localPort = r.uint32()
        else r.skipType(wire)
        break
      case 6:
        if (wire === 0) m.remoteIpRef = r.uint32()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.remotePort = r.uint32()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface CallTarget {
  pid: number
  startNs: bigint
  exeRef: number
  containerIdRef: number
  containerNameRef: number
}

export function encodeCallTarget(m: CallTarget, w: Writer = protobuf.Writer.create()): Writer {
  if (m.pid !== 0) {
    w.uint32(8)
    w.uint32(m.pid)
  }
  if (m.startNs !== 0n) {
    w.uint32(16)
    writeUint64(w, m.startNs)
  }
  if (m.exeRef !== 0) {
    w.uint32(24)
    w.uint32(m.exeRef)
  }
  if (m.containerIdRef !== 0) {
    w.uint32(32)
    w.uint32(m.containerIdRef)
  }
  if (m.containerNameRef !== 0) {
    w.uint32(40)
    w.uint32(m.containerNameRef)
  }
  return w
}

export function decodeCallTarget(r: Reader, end: number = r.len): CallTarget {
  checkEnd(r, end)
  const m: CallTarget = { pid: 0, startNs: 0n, exeRef: 0, containerIdRef: 0, containerNameRef: 0 }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.pid = r.uint32()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.startNs = readUint64(r)
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.exeRef = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.containerIdRef = r.uint32()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.containerNameRef = r.uint32()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface EventsRequest {
  sinceNs?: bigint
  untilNs?: bigint
  container?: string
  rule?: string
  kinds: number[]
  agent?: string
  limit?: number
  after?: string
  follow: boolean
}

export function encodeEventsRequest(m: EventsRequest, w: Writer = protobuf.Writer.create()): Writer {
  if (m.sinceNs !== undefined) {
    w.uint32(8)
    writeSint64(w, m.sinceNs)
  }
  if (m.untilNs !== undefined) {
    w.uint32(16)
    writeSint64(w, m.untilNs)
  }
  if (m.container !== undefined) {
    w.uint32(26)
    w.string(m.container)
  }
  if (m.rule !== undefined) {
    w.uint32(34)
    w.string(m.rule)
  }
  if (m.kinds.length > 0) {
    w.uint32(42).uint32s(m.kinds)
  }
  if (m.agent !== undefined) {
    w.uint32(50)
    w.string(m.agent)
  }
  if (m.limit !== undefined) {
    w.uint32(56)
    w.uint32(m.limit)
  }
  if (m.after !== undefined) {
    w.uint32(66)
    w.string(m.after)
  }
  if (m.follow) {
    w.uint32(72)
    w.bool(m.follow)
  }
  return w
}

export function decodeEventsRequest(r: Reader, end: number = r.len): EventsRequest {
  checkEnd(r, end)
  const m: EventsRequest = { kinds: [], follow: false }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 0) m.sinceNs = readSint64(r)
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.untilNs = readSint64(r)
        else r.skipType(wire)
        break
      case 3:
        if (wire === 2) m.container = r.string()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 2) m.rule = r.string()
        else r.skipType(wire)
        break
      case 5:
        if (wire === 2) r.uint32s(m.kinds)
        else if (wire === 0) m.kinds.push(r.uint32())
        else r.skipType(wire)
        break
      case 6:
        if (wire === 2) m.agent = r.string()
        else r.skipType(wire)
        break
      case 7:
        if (wire === 0) m.limit = r.uint32()
        else r.skipType(wire)
        break
      case 8:
        if (wire === 2) m.after = r.string()
        else r.skipType(wire)
        break
      case 9:
        if (wire === 0) m.follow = r.bool()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface EventsResponse {
  batch?: RecordBatch
  places: Place[]
  cursor: string
}

export function encodeEventsResponse(m: EventsResponse, w: Writer = protobuf.Writer.create()): Writer {
  if (m.batch !== undefined) {
    w.uint32(10)
    encodeRecordBatch(m.batch, w.fork()).ldelim()
  }
  for (const item of m.places) {
    w.uint32(18)
    encodePlace(item, w.fork()).ldelim()
  }
  if (m.cursor !== '') {
    w.uint32(26)
    w.string(m.cursor)
  }
  return w
}

export function decodeEventsResponse(r: Reader, end: number = r.len): EventsResponse {
  checkEnd(r, end)
  const m: EventsResponse = { places: [], cursor: '' }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.batch = decodeRecordBatch(r, r.uint32() + r.pos)
        else r.skipType(wire)
        break
      case 2:
        if (wire === 2) m.places.push(decodePlace(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      case 3:
        if (wire === 2) m.cursor = r.string()
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Place {
  agent: string
  epoch: number
  lane: number
  seq: bigint
}

export function encodePlace(m: Place, w: Writer = protobuf.Writer.create()): Writer {
  if (m.agent !== '') {
    w.uint32(10)
    w.string(m.agent)
  }
  if (m.epoch !== 0) {
    w.uint32(16)
    w.uint32(m.epoch)
  }
  if (m.lane !== 0) {
    w.uint32(24)
    w.uint32(m.lane)
  }
  if (m.seq !== 0n) {
    w.uint32(32)
    writeUint64(w, m.seq)
  }
  return w
}

export function decodePlace(r: Reader, end: number = r.len): Place {
  checkEnd(r, end)
  const m: Place = { agent: '', epoch: 0, lane: 0, seq: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.agent = r.string()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.epoch = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.lane = r.uint32()
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.seq = readUint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface AgentsRequest {

}

export function encodeAgentsRequest(_m: AgentsRequest, w: Writer = protobuf.Writer.create()): Writer {

  return w
}

export function decodeAgentsRequest(r: Reader, end: number = r.len): AgentsRequest {
  checkEnd(r, end)
  const m: AgentsRequest = {  }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {

      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface AgentsResponse {
  agents: Agent[]
}

export function encodeAgentsResponse(m: AgentsResponse, w: Writer = protobuf.Writer.create()): Writer {
  for (const item of m.agents) {
    w.uint32(10)
    encodeAgent(item, w.fork()).ldelim()
  }
  return w
}

export function decodeAgentsResponse(r: Reader, end: number = r.len): AgentsResponse {
  checkEnd(r, end)
  const m: AgentsResponse = { agents: [] }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.agents.push(decodeAgent(r, r.uint32() + r.pos))
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}

export interface Agent {
  agent: string
  epoch: number
  lastSeenNs: bigint
  lastAlertSeq: bigint
  lastActivitySeq: bigint
}

export function encodeAgent(m: Agent, w: Writer = protobuf.Writer.create()): Writer {
  if (m.agent !== '') {
    w.uint32(10)
    w.string(m.agent)
  }
  if (m.epoch !== 0) {
    w.uint32(16)
    w.uint32(m.epoch)
  }
  if (m.lastSeenNs !== 0n) {
    w.uint32(24)
    writeSint64(w, m.lastSeenNs)
  }
  if (m.lastAlertSeq !== 0n) {
    w.uint32(32)
    writeUint64(w, m.lastAlertSeq)
  }
  if (m.lastActivitySeq !== 0n) {
    w.uint32(40)
    writeUint64(w, m.lastActivitySeq)
  }
  return w
}

export function decodeAgent(r: Reader, end: number = r.len): Agent {
  checkEnd(r, end)
  const m: Agent = { agent: '', epoch: 0, lastSeenNs: 0n, lastAlertSeq: 0n, lastActivitySeq: 0n }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
      case 1:
        if (wire === 2) m.agent = r.string()
        else r.skipType(wire)
        break
      case 2:
        if (wire === 0) m.epoch = r.uint32()
        else r.skipType(wire)
        break
      case 3:
        if (wire === 0) m.lastSeenNs = readSint64(r)
        else r.skipType(wire)
        break
      case 4:
        if (wire === 0) m.lastAlertSeq = readUint64(r)
        else r.skipType(wire)
        break
      case 5:
        if (wire === 0) m.lastActivitySeq = readUint64(r)
        else r.skipType(wire)
        break
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}
