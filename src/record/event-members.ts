/**
 * What each kind of record has in the object that is named after it: the table that docs/events.md is generated from, held against
 * the JSON of real records by test/unit/event-members.test.ts. Types are those of the JSON form; `u64` is a decimal string.
 */
import { marksOf } from './call-json.js'
import { CALL_SHAPES, type CallKind, type CallMarks, type CallPart } from './call-model.js'
import type { RecordKind } from './model.js'

export type MemberType = 'string' | 'number' | 'u64' | 'bool' | 'list' | 'object'

export interface Member {
  readonly name: string
  readonly type: MemberType
  /** Empty: text, a plain number or a flag. */
  readonly unit: string
  readonly what: string
  /** Left out where there is nothing to say. */
  readonly isOptional: boolean
  /** An argument of the call, as text. */
  readonly isArgument?: boolean
}

export interface KindMembers {
  readonly what: string
  readonly members: readonly Member[]
}

/** `name type [unit]: what`; `?` behind the name: left out where there is nothing to say. */
function members(text: string): Member[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [, name, mark, type, unit, what] = /^\s*(\w+)(\??) (\w+)(?: \[(.+?)\])?: (.*)$/.exec(line) ?? []
      if (name === undefined || what === undefined) throw new Error(`not a member: ${line}`)
      return { name, type: type as MemberType, unit: unit ?? '', what, isOptional: mark === '?' }
    })
}

const REPEATS = 'repeats_count number [records]: the same since the last record of it, not recorded one by one'
const PEER = 'peer? object: container, and process where it is known, at the other end, when it is on this host'
const ENDS = `
  ip string: the far end's address
  port number: the far end's port
  local_ip string: this end's address
  local_port number: this end's port
  family string: \`ipv4\` or \`ipv6\`
  socket_id u64: the kernel's cookie of the socket: the same on all records of one connection
  ${PEER}`

export const OTHER_MEMBERS: Readonly<Record<Exclude<RecordKind, CallKind | 'alert' | 'action'>, KindMembers>> = {
  exec: {
    what: 'a process began to run a program, or was refused it',
    members: members(`
      path string: as invoked, made absolute
      file string: what the kernel runs, resolved: for a script its interpreter
      script string: the script, when it was one
      dev number: device of the file, as stat(2) shows it
      inode u64: of the file
      args_truncated bool: beyond 32 KiB of arguments
      path_truncated bool: beyond 4,096 bytes
      memfd bool: the program lies in memory only
      foreign_root bool: the process has another root or mount namespace than its container
      multicall bool: \`path\` ends in the applet that argv[0] chose
      upper_layer bool: the file does not come from the image
      refused bool: it was refused and did not run
      deleted bool: the file has no name left`),
  },
  fork: {
    what: 'a process made another',
    members: members(`
      child_pid number: of the new process
      child_start_ns u64 [ns]: its start, CLOCK_BOOTTIME`),
  },
  exit: {
    what: 'a process ended, with its last thread',
    members: members(`
      code number: exit status
      signal number: that ended it, 0 none
      signal_name string: its name
      core_dumped bool: it left a core dump
      runtime_ns u64 [ns]: since its start`),
  },
  connect: {
    what: 'a process asked for a connection, or sent a datagram',
    members: members(`
      ip string: where to
      port number: where to
      proto string: \`tcp\`, \`udp\` or \`other\`
      family string: \`ipv4\` or \`ipv6\`, of the call
      ${REPEATS}
      result? string: TCP: \`unknown\`, \`established\`, \`failed\`, \`abandoned\`
      error? string: errno name
      local_ip? string: this end's address
      local_port? number: this end's port
      socket_id? u64: the kernel's cookie of the socket
      ${PEER}`),
  },
  close: {
    what: 'a TCP socket is done',
    members: members(`
      role string: what it did: \`listen\`, \`connect\`, \`accept\`, \`unknown\`
      ${ENDS.trim()}
      closed_by string: \`local\`, \`remote\` or \`error\`
      error string: errno name
      sent_bytes u64 [bytes]: payload, without what was sent again
      received_bytes u64 [bytes]: payload
      duration_ns u64 [ns]: since it was established, else since it began
      ${REPEATS}
      repeats_sent_bytes u64 [bytes]: of those
      repeats_received_bytes u64 [bytes]: of those`),
  },
  syscall: {
    what: 'first use of a system call in a container, or one outside its allowed set',
    members: members(`
      name string: of the call
      nr number: in the table of \`abi\`
      abi string: \`native\`, \`ia32\`, \`x32\`; on arm64 \`native\`, \`aarch32\`
      reason string: \`first_use\` or \`outside_allowed\`
      result? u64: what it returned; left out: told before its end, or it has none
      res? string: \`SUCCESS\` or errno name`),
  },
  oom: {
    what: 'the kernel ended a process for lack of memory',
    members: members(`
      victim_pid number: the process
      victim_comm string: its name`),
  },
  dns: {
    what: 'a DNS message of a process to or from a resolver',
    members: members(`
      message string: \`query\` or \`answer\`
      query string: the name asked for
      qtype string: \`A\`, \`AAAA\`, …
      rcode string: \`NOERROR\`, \`NXDOMAIN\`, …
      answers list: addresses and names, at most 32
      answer_ttls_s list [s]: how long each of them may be kept
      ip string: of the resolver
      port number: of the resolver
      id number: of the message
      proto string: \`udp\` or \`tcp\`
      truncated bool: answers may be missing`),
  },
  tls: {
    what: 'the client hello of an outbound TLS connection',
    members: members(`
      sni string: server name
      alpn list: protocols offered
      ip string: of the server
      port number: of the server
      encrypted_hello bool: the extension for an encrypted client hello was sent: the real name may not be visible
      truncated bool: beyond what was kept
      socket_id u64: the kernel's cookie of the socket`),
  },
  http: {
    what: 'the first request of an outbound HTTP/1 connection',
    members: members(`
      method string: of the request
      host string: that it asks for
      path string: without its query
      ip string: of the server
      port number: of the server
      truncated bool: beyond what was kept
      socket_id u64: the kernel's cookie of the socket`),
  },
  sample: {
    what: "a reading of a container's memory",
    members: members(`
      memory_current_bytes u64 [bytes]: in use
      memory_peak_bytes u64 [bytes]: most ever in use
      memory_limit_bytes? u64 [bytes]: limit, where one is set
      memory_inactive_file_bytes u64 [bytes]: of what is in use, cache that can go`),
  },
  container: {
    what: 'a container began, ended or changed',
    members: members(`
      change string: \`start\`, \`stop\`, \`update\`
      cgroup string: its path`),
  },
  agent: {
    what: 'what the agent itself did or became',
    members: members(`
      change string: \`start\`, \`stop\`, \`mode\`, \`policy\`, \`breaker\`, \`degraded\`, \`recovered\`
      message string: in words`),
  },
  gap: {
    what: 'events or records that are missing, in their place',
    members: members(`
      source string: \`kernel\`, \`spool\` or \`collector\`
      cause string: why; of the kernel \`no_room\`: in a ring, or to work in (its counters say which), or \`came_late\`: none is missing, they were counted in gaps before and came after all
      cpu? number: whose events
      first_seq u64: first missing number
      last_seq u64: last missing number
      count u64 [records]: how many
      hash? string: SHA-256 of what went, when it was known`),
  },
}

/** Of listen and accept when the kernel's socket told them, not the call: then they have no member \`call\`. */
export const SOCKET_MEMBERS: Readonly<Record<'listen' | 'accept', KindMembers>> = {
  listen: {
    what: 'a TCP socket listens',
    members: members(`
      ip string: its address
      port number: its port
      family string: \`ipv4\` or \`ipv6\`
      backlog_count number [connections]: that may wait
      socket_id u64: the kernel's cookie of the socket`),
  },
  accept: { what: 'the kernel accepted a TCP connection', members: members(`${ENDS.trim()}\n${REPEATS}`) },
}

const EVERY_CALL = members(`
  call string: name of the call
  abi string: \`native\`, \`ia32\`, \`x32\`; on arm64 \`native\`, \`aarch32\`
  result? u64: what it returned; left out: seen before its end
  res? string: \`SUCCESS\` or errno name`)
const PARTS: Readonly<Record<CallPart, readonly Member[]>> = {
  path: members(`
    path string: absolute, from the root of the mount namespace; of a unix socket its address
    raw_path string: as the call had it`),
  new_path: members(`
    new_path string: the second path, absolute
    raw_new_path string: as the call had it`),
  file: members(`
    fd number: descriptor, -1 none
    fd_kind string: \`file\`, \`directory\`, \`fifo\`, \`char_device\`, \`block_device\`, \`socket\`, \`symlink\`, \`anon\`, \`namespace\`
    inode u64: of the file
    dev number: device that the file lies on, as stat(2) shows it
    mode number: type and permissions, as stat(2) shows them`),
  access: members('access list: any of `read`, `write`, `create`'),
  socket: members(`
    family? string: \`unix\`, \`ipv4\`, \`ipv6\`, \`netlink\`, \`packet\`, \`other\`
    socket_type? string: \`stream\`, \`dgram\`, \`raw\`, …
    proto? string: \`tcp\`, \`udp\`, \`icmp\`, …
    ip? string: the far end's address; of bind and listen, this end's
    port? number: its port
    local_ip? string: this end's address
    local_port? number: this end's port
    remote_ip? string: the far end's address
    remote_port? number: the far end's port`),
  target: members('target? object: process and container that were acted on; of a unix socket, at its other end'),
}
const MARKS: Readonly<Record<keyof CallMarks, string>> = {
  upperLayer: 'the file does not come from the image',
  memfd: 'the file lies in memory only',
  deleted: 'the file has no name left',
  created: 'the open made the file',
  pathTruncated: 'a path is not whole',
  pathUnresolved: 'the path is what the call named, joined to its directory: links in it are not followed',
  userMemory: 'an address or text was read from the memory of the process, after the call',
  ioUring: 'done by an io_uring, not by a syscall',
}

export function callMembers(act: CallKind): KindMembers {
  const { what, parts, args } = CALL_SHAPES[act]
  const marks = marksOf(act).map((mark) => ({
    name: mark.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    type: 'bool' as const,
    unit: '',
    what: MARKS[mark],
    isOptional: false,
  }))
  const own = args.map((name) => ({
    name,
    type: 'string' as const,
    unit: '',
    what: 'argument, as text',
    isOptional: true,
    isArgument: true,
  }))
  const ofParts = (Object.keys(PARTS) as CallPart[]).flatMap((part) => (parts.includes(part) ? PARTS[part] : []))
  return { what, members: [...EVERY_CALL, ...own, ...ofParts, ...marks, ...members(REPEATS)] }
}

/** Members of `struct ev_call` (bpf/abi.h) that speak for an act, beside `header`, `args`, `nr`, `abi`, `act`, `flags`, `result`. */
export function wireMembers(act: CallKind): string[] {
  const { parts } = CALL_SHAPES[act]
  const ofPart: Readonly<Record<CallPart, string>> = {
    path: 'path, raw',
    new_path: 'path2, raw2',
    file: 'fd, fd_kind, inode, dev, mode',
    access: 'access',
    socket: 'family, proto, socket_type, local, local_port, remote, remote_port',
    target: 'target_pid, target_start_ns, target_cgroup_id',
  }
  const own = (Object.keys(ofPart) as CallPart[]).flatMap((part) => (parts.includes(part) ? [ofPart[part]] : []))
  return [...own, ...(OWN_WIRE_MEMBERS[act] ?? [])]
}

const OWN_WIRE_MEMBERS: Readonly<Partial<Record<CallKind, readonly string[]>>> = {
  open: ['facts: flags, mode, resolve, numbers of a device'],
  symlink: ['raw2: what it points to'],
  signal: ['facts[0]: the signal'],
  setuid: ['facts: real, effective, saved and file system id after it'],
  setgid: ['facts: real, effective, saved and file system id after it'],
  capset: ['facts: effective, permitted, inheritable and ambient set after it'],
  mount: ['raw2: source', 'tag: type of the file system'],
  module: ['raw: name or parameters', 'raw2: parameters'],
  memfd: ['raw: name'],
  ipc: ['raw: name'],
  prctl: ['tag: new name'],
}
