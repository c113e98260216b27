/**
 * Events for the benchmarks of conditions, from a seed and shaped like those of busy containers: half of them file opens, then
 * execs, connects and the rest, by some 200 processes in 20 containers, with the paths and command lines that web servers,
 * databases, shells and build jobs have. `EventSet` is all that the cases use: events of a capture can stand in its place.
 */
import type { FieldOperand, FieldReader } from '../../src/match/conditions/types.js'
import { type FieldValues, InternedText } from '../../src/match/conditions/values.js'
import { randomFrom } from './generated-rules.js'

export interface BenchProcess {
  readonly name: string
  readonly exe: string
  readonly exepath: string
  readonly args: string
  readonly cmdline: string
  readonly uid: number
  /** Parent first. */
  readonly ancestors: readonly BenchProcess[]
  readonly container: BenchContainer
}

export interface BenchContainer {
  readonly id: string
  readonly image: string
}

export interface ConditionEvent {
  readonly type: string
  readonly process: BenchProcess
  /** Of files; '' without. */
  readonly path: string
  readonly isWrite: boolean
  readonly result: number
  readonly fd: number
  /** Of connections: IPv4. */
  readonly address: readonly number[]
  readonly port: number
}

export interface EventSet {
  readonly eventTypes: readonly string[]
  readonly events: readonly ConditionEvent[]
}

export const CONDITION_EVENT_TYPES = [
  'execve',
  'execveat',
  'open',
  'openat',
  'openat2',
  'connect',
  'accept4',
  'listen',
  'sendto',
  'unlinkat',
  'renameat2',
  'chmod',
  'mkdirat',
  'ptrace',
  'setuid',
  'clone',
  'procexit',
]
const MIX: readonly (readonly [string, number])[] = [
  ['openat', 0.52],
  ['execve', 0.66],
  ['connect', 0.76],
  ['clone', 0.82],
  ['procexit', 0.88],
  ['unlinkat', 0.91],
  ['renameat2', 0.93],
  ['accept4', 0.96],
  ['sendto', 0.98],
  ['mkdirat', 0.99],
  ['chmod', 1],
]
const PROGRAMS = [
  ['nginx', '/usr/sbin/nginx', '-g daemon off;'],
  ['node', '/usr/local/bin/node', '--enable-source-maps /srv/app/dist/server.js --port 8080'],
  ['postgres', '/usr/lib/postgresql/15/bin/postgres', '-D /var/lib/postgresql/data'],
  ['redis-server', '/usr/local/bin/redis-server', '*:6379'],
  ['java', '/usr/lib/jvm/java-17/bin/java', '-Xmx512m -cp /opt/app/lib/* org.example.Main'],
  ['python3.11', '/usr/bin/python3.11', '/srv/worker/main.py --queue default'],
  ['sh', '/bin/dash', '-c exec /entrypoint.sh'],
  ['bash', '/bin/bash', '-lc make -j2 test'],
  ['cron', '/usr/sbin/cron', '-f'],
  ['date', '/bin/date', '+%s'],
  ['grep', '/bin/grep', '-q ready /run/state'],
  ['sed', '/bin/sed', '-n 1,20p /etc/hosts'],
  ['curl', '/usr/bin/curl', '-fsS http://127.0.0.1:8080/health'],
  ['gcc', '/usr/bin/x86_64-linux-gnu-gcc-12', '-O2 -c src/main.c -o build/main.o'],
] as const
const PATHS = [
  '/etc/ld.so.cache',
  '/lib/x86_64-linux-gnu/libc.so.6',
  '/usr/lib/x86_64-linux-gnu/libssl.so.3',
  '/proc/self/status',
  '/etc/passwd',
  '/etc/nsswitch.conf',
  '/etc/resolv.conf',
  '/dev/null',
  '/dev/urandom',
  '/tmp/upload-8f3a.tmp',
  '/var/lib/postgresql/data/base/16384/2619',
  '/var/lib/postgresql/data/pg_wal/000000010000000000000003',
  '/srv/app/node_modules/express/lib/router/index.js',
  '/srv/app/dist/server.js',
  '/usr/share/zoneinfo/Europe/Berlin',
  '/var/log/nginx/access.log',
  '/var/cache/nginx/client_temp/0000000012',
  '/proc/meminfo',
  '/sys/fs/cgroup/memory.max',
  '/usr/lib/python3.11/encodings/__init__.py',
  '/home/build/src/main.c',
  '/home/build/build/main.o',
  '/run/state',
]
const PORTS = [53, 80, 443, 5432, 6379, 8080, 9092]

export function generatedEvents(count: number, seed: number): EventSet {
  const random = randomFrom(seed)
  const pick = <Item>(items: readonly Item[]): Item => {
    const item = items[Math.floor(random() * items.length)]
    if (item === undefined) throw new RangeError('nothing to pick')
    return item
  }
  const containers = Array.from({ length: 20 }, (_, at) => ({
    id: (0xabc000000000 + at * 7919).toString(16),
    image: `registry.example/team-${at % 5}/service-${at}`,
  }))
  const processes: BenchProcess[] = []
  for (let at = 0; at < 200; at++) {
    const [name, exepath, args] = pick(PROGRAMS)
    const parent = processes.length > 0 && random() < 0.8 ? pick(processes) : undefined
    processes.push({
      name,
      exe: exepath,
      exepath,
      args,
      cmdline: `${name} ${args}`,
      uid: random() < 0.5 ? 0 : 1000,
      ancestors: parent === undefined ? [] : [parent, ...parent.ancestors].slice(0, 6),
      container: parent?.container ?? pick(containers),
    })
  }
  const events = Array.from({ length: count }, (_, at): ConditionEvent => {
    const share = random()
    const type = MIX.find(([, upTo]) => share < upTo)?.[0] ?? 'openat'
    const isFile = /^(?:open|unlink|rename|mkdir|chmod)/.test(type)
    return {
      type,
      process: pick(processes),
      // every 64th file is one that some rules name
      path: !isFile ? '' : at % 64 === 63 ? `/opt/vendor-${at % 10}/bin/run` : pick(PATHS),
      isWrite: random() < 0.25,
      result: random() < 0.1 ? -2 : 3,
      fd: 3 + Math.floor(random() * 20),
      address: [10, Math.floor(random() * 4), Math.floor(random() * 256), Math.floor(random() * 256)],
      port: pick(PORTS),
    }
  })
  return { eventTypes: CONDITION_EVENT_TYPES, events }
}

/** A field of an event: text, number or address as it is written; undefined: missing. What every subject must answer alike. */
export function fieldOf(
  event: ConditionEvent,
  name: string,
  argument: string | undefined,
): string | number | readonly string[] | undefined {
  const { process } = event
  switch (name) {
    case 'evt.type':
      return event.type
    case 'proc.name':
      return process.name
    case 'proc.exe':
      return process.exe
    case 'proc.exepath':
      return process.exepath
    case 'proc.args':
      return process.args
    case 'proc.cmdline':
      return process.cmdline
    case 'proc.pname':
      return process.ancestors[0]?.name
    case 'proc.pcmdline':
      return process.ancestors[0]?.cmdline
    case 'proc.aname':
      if (argument !== undefined) return process.ancestors[Number(argument) - 1]?.name
      return process.ancestors.length === 0 ? undefined : process.ancestors.map((each) => each.name)
    case 'user.uid':
      return process.uid
    case 'container.id':
      return process.container.id
    case 'container.image.repository':
      return process.container.image
    case 'evt.is_open_write':
      return isOpen(event) ? Number(event.isWrite) : undefined
    case 'evt.is_open_read':
      return isOpen(event) ? Number(!event.isWrite) : undefined
    case 'evt.rawres':
      return event.result
    case 'fd.num':
      return hasFd(event) ? event.fd : undefined
    case 'fd.name':
      return event.path !== ''
        ? event.path
        : event.type === 'connect'
          ? `10.0.0.1:40000->${event.address.join('.')}:${event.port}`
          : undefined
    case 'fd.directory':
      return event.path === '' ? undefined : event.path.slice(0, event.path.lastIndexOf('/')) || '/'
    case 'fd.filename':
      return event.path === '' ? undefined : event.path.slice(event.path.lastIndexOf('/') + 1)
    case 'fd.typechar':
      return event.path !== '' ? 'f' : event.type === 'connect' ? '4' : undefined
    case 'fd.l4proto':
      return event.type === 'connect' ? 'tcp' : undefined
    case 'fd.sport':
      return event.type === 'connect' ? event.port : undefined
    case 'fd.sip':
    case 'fd.snet':
      return event.type === 'connect' ? event.address.join('.') : undefined
    default:
      return undefined
  }
}

function isOpen({ type }: ConditionEvent): boolean {
  return type.startsWith('open')
}

function hasFd({ type, path }: ConditionEvent): boolean {
  return path !== '' || type === 'connect'
}

const PROCESS_FIELDS = /^(?:proc|container)\./
const NUMBERS = new Set(['int', 'uint', 'port', 'time'])

/** Where an event's own text stands in the slab. */
type Place = { readonly start: number; readonly end: number }
type Given = InternedText | readonly InternedText[] | Place | number | Uint8Array | undefined

/**
 * Events laid out as the agent has them: own texts as bytes in one slab, texts of processes and containers interned, numbers as
 * numbers. A read is a switch on what the field is.
 */
export class BenchReader implements FieldReader {
  index = 0
  readonly #slab: Uint8Array
  readonly #kinds: Uint8Array
  /** By operand and event. */
  readonly #given: readonly (readonly Given[])[]

  constructor(operands: readonly FieldOperand[], { events }: EventSet) {
    const texts = new Map<string, InternedText>()
    const intern = (text: string) => {
      const known = texts.get(text) ?? new InternedText(Uint8Array.from(Buffer.from(text)))
      texts.set(text, known)
      return known
    }
    const slab: number[] = []
    this.#kinds = Uint8Array.from(operands, ({ name, type }) => {
      if (type === 'bool') return 2
      if (NUMBERS.has(type)) return 1
      if (type === 'ip' || type === 'net') return 3
      return name === 'proc.aname' ? 6 : PROCESS_FIELDS.test(name) ? 4 : 5
    })
    this.#given = operands.map(({ name, argument, type }, operand) =>
      events.map((event): Given => {
        const value = fieldOf(event, name, argument)
        if (value === undefined || typeof value === 'number') return value
        if (type === 'ip' || type === 'net')
          return Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...event.address])
        if (typeof value !== 'string') return value.map(intern)
        if (this.#kinds[operand] === 6) return [intern(value)]
        if (this.#kinds[operand] === 4) return intern(value)
        const start = slab.length
        slab.push(...Buffer.from(value))
        return { start, end: slab.length }
      }),
    )
    this.#slab = Uint8Array.from(slab)
  }

  read(operand: number, into: FieldValues): void {
    const given = (this.#given[operand] as readonly Given[])[this.index]
    if (given === undefined) return
    switch (this.#kinds[operand]) {
      case 1:
        into.addNumber(given as number)
        return
      case 2:
        into.addBoolean(given === 1)
        return
      case 3:
        into.addAddress(given as Uint8Array, 0)
        return
      case 4:
        into.addText(given as InternedText)
        return
      case 5:
        into.addBytes(this.#slab, (given as Place).start, (given as Place).end)
        return
      default: {
        const texts = given as readonly InternedText[]
        for (let at = 0; at < texts.length; at++) into.addText(texts[at] as InternedText)
      }
    }
  }
}
