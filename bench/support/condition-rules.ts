/**
 * Rules for the benchmarks of conditions, from a seed, with the operators and fields of the public rules in their proportion:
 * `=`, `in`, `startswith` and `endswith` are four in five comparisons, then `contains`, `!=`, `>=`; a few globs and paths. Each
 * rule is an event, a guard, one thing that it looks for, and exceptions. What is looked for is the rule's own, so that the
 * number of hits an event stays the same at every size.
 */
import type { ConditionInput } from '../../src/match/conditions/types.js'
import type { Expression } from '../../src/policy/condition/ast.js'
import { parseCondition } from '../../src/policy/condition/parser.js'
import { SourceText } from '../../src/policy/source-text.js'
import { TOLD_TYPES } from '../../src/record/fields/events.js'
import { findField } from '../../src/record/fields/table.js'
import { randomFrom } from './generated-rules.js'

export interface RuleSet {
  readonly conditions: readonly string[]
  /** Event types of each. */
  readonly types: readonly (readonly string[])[]
}

const OPENS = ['open', 'openat', 'openat2']
const REMOVALS = ['unlink', 'unlinkat', 'rename', 'renameat', 'renameat2']
const MACROS: readonly (readonly [string, string])[] = [
  ['spawned_process', 'evt.type in (execve, execveat)'],
  [
    'open_write',
    "evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.typechar = 'f' and fd.num >= 0",
  ],
  [
    'open_read',
    "evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.typechar = 'f' and fd.num >= 0",
  ],
  ['outbound', 'evt.type = connect and fd.typechar in (4, 6) and fd.l4proto in (tcp, udp)'],
  ['modify', `evt.type in (${REMOVALS.join(', ')}) and evt.rawres >= 0`],
  ['container', 'container.id != host'],
  ['package_mgmt', 'proc.name in (package_binaries) or proc.aname in (package_binaries)'],
  ['user_shells', 'proc.pname in (shell_binaries) and proc.pcmdline contains "ssh"'],
]
const LISTS: Readonly<Record<string, readonly string[]>> = {
  shell_binaries: ['ash', 'bash', 'csh', 'ksh', 'sh', 'tcsh', 'zsh', 'dash'],
  package_binaries: ['dpkg', 'apt', 'apt-get', 'yum', 'rpm', 'dnf', 'apk', 'pip', 'npm', 'gem', 'snapd', 'microdnf'],
  trusted_images: Array.from({ length: 12 }, (_, at) => `registry.example/platform/agent-${at}`),
  known_servers: ['nginx', 'httpd', 'envoy', 'haproxy', 'postgres', 'mysqld', 'redis-server', 'java', 'node'],
}

interface Kind {
  readonly upTo: number
  readonly guard: string
  readonly types: readonly string[]
  readonly isFile: boolean
}

const KINDS: readonly Kind[] = [
  { upTo: 0.42, guard: 'spawned_process and container', types: ['execve', 'execveat'], isFile: false },
  { upTo: 0.62, guard: 'open_write and container', types: OPENS, isFile: true },
  { upTo: 0.8, guard: 'open_read and container', types: OPENS, isFile: true },
  { upTo: 0.93, guard: 'outbound and container', types: ['connect'], isFile: false },
  { upTo: 1, guard: 'modify', types: REMOVALS, isFile: true },
]

export function generatedConditions(count: number, seed: number): RuleSet {
  const random = randomFrom(seed)
  const types: (readonly string[])[] = []
  const conditions = Array.from({ length: count }, (_, index) => {
    if (index < 10) {
      types.push(OPENS)
      return `open_read and container and fd.name startswith /opt/vendor-${index}/ and not proc.name in (known_servers)`
    }
    const share = random()
    const kind = KINDS.find(({ upTo }) => share < upTo) as Kind
    types.push(kind.types)
    return `${kind.guard} and ${wanted(kind, index + 100, random)}${exceptions(index, random)}`
  })
  return { conditions, types }
}

function wanted({ isFile, types }: Kind, index: number, random: () => number): string {
  const number = Math.floor(random() * 1e6)
  const ofFiles = [
    `(fd.name startswith /opt/app-${index}/ or fd.name startswith /etc/service-${index}/conf)`,
    `fd.name in (/etc/secret-${index}, /root/.key-${number}, /var/run/token-${index})`,
    `fd.name = /etc/cron.d/job-${index}`,
    `(fd.name endswith "/.credentials-${index}" or fd.name endswith ".${number}.pem")`,
    `fd.directory = /var/spool/task-${index}`,
    `(fd.filename contains "-dump-${index}" and fd.directory startswith /tmp)`,
    `fd.name glob "/home/*/.config-${index}/*"`,
    `fd.name pmatch (/srv/data-${index}, /mnt/volume-${number})`,
  ]
  const ofProcesses = [
    `proc.name in (tool-${index}, ncat-${number}, scan-${index})`,
    `proc.name = miner-${index}`,
    `(proc.exepath startswith /tmp/stage-${index}/ or proc.exepath startswith /dev/shm/x-${number})`,
    `(proc.name = helper-${index} and proc.args contains "--exec-${number}")`,
    `(proc.cmdline contains "pool-${index}.example" or proc.cmdline contains "wallet-${number}")`,
    `proc.exepath endswith "/agent-${index}"`,
    `proc.pname in (web-${index}, app-${number}) and proc.name in (shell_binaries)`,
    `proc.cmdline icontains "Stratum+tcp://${index}"`,
  ]
  const ofConnections = [
    `fd.sip in ("198.18.${index % 256}.${number % 256}", "203.0.113.${number % 256}")`,
    `fd.snet = "100.${64 + (index % 64)}.${number % 256}.0/24"`,
    `fd.sport = ${10_000 + (index % 50_000)}`,
    `(proc.name = dropper-${index} and fd.sport >= 1024)`,
  ]
  const weights = [0.26, 0.46, 0.6, 0.74, 0.84, 0.93, 0.97, 1]
  const share = random()
  const at = weights.findIndex((upTo) => share < upTo)
  if (types.includes('connect')) return ofConnections[at % ofConnections.length] ?? ''
  return (isFile ? ofFiles : ofProcesses)[at] ?? ''
}

function exceptions(index: number, random: () => number): string {
  const parts = [
    ' and not proc.name in (known_servers)',
    ` and not proc.pname in (ci-${index}, deploy-${index % 97})`,
    ' and not container.image.repository in (trusted_images)',
    ' and not package_mgmt',
    ` and not (proc.name = backup-${index} and proc.cmdline startswith "backup-${index} --to")`,
    ' and proc.pname != systemd',
    ' and not user_shells',
    ` and not proc.aname[2] in (supervisor-${index % 31}, runner)`,
  ]
  return parts.filter(() => random() < 0.3).join('')
}

/** Containers of the capture, and names of the processes in them that open files. */
const NAMES = ['web', 'database', 'scheduler', 'operator']
const OPENERS = [
  'serve-web',
  'schedule',
  'exe',
  'backup',
  'database',
  'now',
  'clean',
  'report',
  'sh',
  'tool-0',
  'tool-10',
].concat(['tool-20', 'tool-30', 'tool-40'])

/**
 * The worst that rules can ask for: exceptions only, one event type, so that every rule holds unless something rules it out.
 */
export function hostileConditions(count: number): RuleSet {
  const forms = [
    (index: number) => `evt.type = openat and not proc.name in (${OPENERS.join(', ')}, own-${index})`,
    (index: number) =>
      `evt.type = openat and not proc.exepath startswith / and not fd.name startswith /opt/own-${index}/`,
    (index: number) => `evt.type = openat and not (user.uid >= 0 or proc.cmdline contains "own-${index}")`,
    (index: number) =>
      `evt.type = openat and not container.name in (${NAMES.join(', ')}) and proc.name != own-${index}`,
  ]
  return {
    conditions: Array.from({ length: count }, (_, index) => forms[index % forms.length]?.(index) ?? ''),
    types: Array.from({ length: count }, () => ['openat']),
  }
}

/** Rules that nothing holds but that something does not differ or is missing: the negation of `!=`, of `exists`, of macros of them. */
export function negatedConditions(count: number): RuleSet {
  const forms = [
    (index: number) => `evt.type = openat and not container and proc.name != own-${index}`,
    (index: number) => `evt.type = openat and not proc.name != own-${index}`,
    (index: number) => `evt.type = openat and not (container and proc.name != own-${index})`,
    (index: number) => `evt.type = openat and not (fd.name exists and not fd.name startswith /opt/own-${index}/)`,
    (index: number) => `evt.type = openat and not (container or fd.name contains "own-${index}")`,
  ]
  return {
    conditions: Array.from({ length: count }, (_, index) => forms[index % forms.length]?.(index) ?? ''),
    types: Array.from({ length: count }, () => ['openat']),
  }
}

export function expressionOf(text: string): Expression {
  const source = new SourceText('generated', text)
  const read = parseCondition({ text, locate: (start, end) => source.span(start, end) })
  if (!read.ok) throw new Error(`${text}: ${read.fault.message}`)
  return read.expression
}

export function inputOf({ conditions, types }: RuleSet): ConditionInput {
  return {
    rules: conditions.map((text, index) => ({
      name: `rule ${index}`,
      condition: expressionOf(text),
      eventTypes: types[index] ?? [],
      scope: 0,
    })),
    macros: new Map(MACROS.map(([name, text]) => [name, expressionOf(text)])),
    list: (name) => LISTS[name]?.map((value) => Uint8Array.from(Buffer.from(value))),
    fieldType: (name) => findField(name)?.type,
    eventTypes: TOLD_TYPES,
  }
}
