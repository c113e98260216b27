/**
 * The one table of keys of the policy language: the parser refuses what is not in it, the JSON Schema for editors is made of
 * it, `policy fmt` orders keys as it does, and a test holds the documentation against it.
 */
import { PRIORITIES } from '../record/model.js'
import { CAPABILITY_WHENS, FILE_ACCESSES, type RuleKind } from './model.js'

export type Shape =
  /** One readable line. */
  | { is: 'name' }
  | { is: 'text' }
  /** Text of 1 to `maxBytes` bytes of UTF-8. */
  | { is: 'word'; maxBytes: number }
  | { is: 'boolean' }
  | { is: 'one of'; values: readonly string[] }
  /** A number with its unit, or a plain number; the pattern is of the text. */
  | { is: 'quantity'; pattern: string }
  | { is: 'number' }
  | { is: 'map'; of: MappingName }
  /** A mapping with keys of the user's own. */
  | { is: 'any keys'; to: Shape }
  | { is: 'list'; of: Shape }
  /** One of them, or a list. */
  | { is: 'one or list'; of: Shape }
  | { is: 'either'; of: readonly Shape[] }
  | { is: 'anything' }

export interface KeySpec {
  readonly shape: Shape
  /** One sentence, as editors show it. */
  readonly note: string
  readonly isRequired?: true
}

const NAME: Shape = { is: 'name' }
const TEXT: Shape = { is: 'text' }
const word = (maxBytes: number): Shape => ({ is: 'word', maxBytes })
const BOOLEAN: Shape = { is: 'boolean' }
const TEXTS: Shape = { is: 'one or list', of: TEXT }
const PATTERNS: Shape = TEXTS
const SIZE: Shape = { is: 'quantity', pattern: '^\\d+(\\.\\d+)? ?(B|KB|MB|GB|KiB|MiB|GiB)$' }
const DURATION: Shape = { is: 'quantity', pattern: '^\\d+(\\.\\d+)? ?(ms|s|m|h|d)$' }
const CPU: Shape = { is: 'quantity', pattern: '^\\d+(\\.\\d+)? ?(%|cores?|m)$' }
const DATE: Shape = { is: 'quantity', pattern: '^\\d{4}-\\d{2}-\\d{2}$' }
const map = (of: MappingName): Shape => ({ is: 'map', of })
const oneOf = (values: readonly string[]): Shape => ({ is: 'one of', values })
const entries = (of: MappingName): Shape => ({
  is: 'one or list',
  of: { is: 'either', of: [TEXT, { is: 'number' }, map(of)] },
})

export const MODES = ['observe', 'block'] as const
export const ACTIONS = ['alert', 'deny', 'kill'] as const
export const STATES = ['host', 'container', 'unknown'] as const
export const PROTOCOLS = ['tcp', 'udp', 'any'] as const
/** Longer than any name of a source that is worth naming. */
export const MOUNT_SOURCE_MAX_BYTES = 4096
/** What the kernel side reads of a type of file system (HG_COMM_BYTES). */
export const FSTYPE_MAX_BYTES = 15

/** What an event of a test may be: the kinds of records that rules are judged on. */
export const TEST_EVENT_KINDS: readonly string[] =
  'exec fork exit connect syscall oom open unlink rename link symlink chmod chown mkdir rmdir truncate signal setuid setgid capset capable ptrace setns unshare mount umount pivot_root chroot bpf module memfd mmap mprotect prctl userfaultfd socket bind listen accept send recv dup close dns tls http'.split(
    ' ',
  )

/** Facts of orchestrators that selectors may name, and the labels that the runtimes keep them in. */
const K8S = ['namespace', 'ns', 'pod', 'uid', 'container'] as const
const SWARM = ['service', 'service_id', 'task', 'task_id', 'node_id', 'stack'] as const
const ECS = ['cluster', 'task', 'family', 'version', 'container'] as const
const NOMAD = ['job', 'group', 'task', 'namespace', 'alloc', 'node'] as const

const facts = (names: readonly string[], what: string): Record<string, KeySpec> =>
  Object.fromEntries(names.map((name) => [name, { shape: PATTERNS, note: `Patterns of the ${what}'s ${name}.` }]))

const lists = (shape: Shape, what: string): Record<string, KeySpec> => ({
  allow: { shape, note: `${what} that are fine; with it, what no entry covers violates the rule.` },
  deny: { shape, note: `${what} that violate the rule.` },
})

/** The kinds of rules, in the order in which messages name them. */
const KIND_KEYS: Record<RuleKind, KeySpec> = {
  exec: { shape: map('exec'), note: 'Programs that may or may not run.' },
  file: { shape: map('file'), note: 'What may be done with which files.' },
  connect: { shape: map('connect'), note: 'Where connections may go.' },
  listen: { shape: map('listen'), note: 'Local addresses and ports that may accept connections.' },
  signal: { shape: map('signal'), note: 'Who may end processes of the container.' },
  syscall: { shape: map('syscall'), note: 'System calls that may or may not be made.' },
  mount: { shape: map('mount'), note: 'What may be mounted where.' },
  capability: { shape: map('capability'), note: 'Capabilities that a process may gain, or use.' },
  memory: { shape: map('memory'), note: 'A bound of the memory in use.' },
  cpu: { shape: map('cpu'), note: 'A bound of the processor time in use.' },
  pids: { shape: map('pids'), note: 'A bound of the number of processes and threads.' },
  runtime: { shape: map('runtime'), note: 'How long a container may run.' },
  condition: { shape: TEXT, note: "An expression of Falco's condition language; the rule hits when it holds." },
}

const RULE: Record<string, KeySpec> = {
  rule: { shape: NAME, note: "The rule's name, unique within its policy.", isRequired: true },
  description: { shape: TEXT, note: 'What the rule is for.' },
  ...KIND_KEYS,
  output: { shape: TEXT, note: "The sentence of the rule's alerts, with %fields." },
  priority: { shape: oneOf(PRIORITIES), note: 'How much its alerts matter; `warning` when not given.' },
  tags: { shape: TEXTS, note: 'Labels of its alerts, such as techniques and controls.' },
  action: { shape: oneOf(ACTIONS), note: 'What is done when the rule hits; `alert` when not given.' },
  setup: { shape: BOOLEAN, note: 'Also judged while the runtime sets the container up.' },
  enabled: { shape: BOOLEAN, note: '`false`: checked, never judged.' },
  exceptions: { shape: { is: 'list', of: map('exception') }, note: 'Known ways out of the rule.' },
}

const TABLE = {
  policy: {
    policy: { shape: NAME, note: "The policy's name, unique among all files.", isRequired: true },
    description: { shape: TEXT, note: 'What the policy is for.' },
    include: { shape: TEXTS, note: 'Files with shared lists and macros, relative to this one.' },
    lists: { shape: { is: 'any keys', to: { is: 'list', of: { is: 'anything' } } }, note: 'Named lists: `$name`.' },
    macros: { shape: { is: 'any keys', to: TEXT }, note: 'Named conditions.' },
    containers: {
      shape: { is: 'either', of: [oneOf(['all', 'host']), map('containers')] },
      note: 'To which containers the policy applies.',
      isRequired: true,
    },
    mode: { shape: oneOf(MODES), note: '`observe` (when not given): its rules only alert.' },
    rules: { shape: { is: 'list', of: map('rule') }, note: 'At least one rule.', isRequired: true },
    tests: { shape: { is: 'list', of: map('test') }, note: 'Events and the rules they must hit.' },
  },
  shared: {
    description: { shape: TEXT, note: 'What the definitions are for.' },
    include: { shape: TEXTS, note: 'Files with shared lists and macros, relative to this one.' },
    lists: { shape: { is: 'any keys', to: { is: 'list', of: { is: 'anything' } } }, note: 'Named lists: `$name`.' },
    macros: { shape: { is: 'any keys', to: TEXT }, note: 'Named conditions.' },
  },
  containers: {
    state: {
      shape: { is: 'one or list', of: oneOf(STATES) },
      note: 'Where it happens; `container` when not given. The host is never meant unless it is named here.',
    },
    id: { shape: PATTERNS, note: "Patterns of the runtime's full id." },
    name: { shape: PATTERNS, note: "Patterns of the container's name." },
    image: { shape: PATTERNS, note: 'Patterns of the image; without tag and digest they match any.' },
    runtime: { shape: PATTERNS, note: 'Patterns of the runtime: docker, podman, containerd, …' },
    user: { shape: PATTERNS, note: 'Patterns of the user that the container is configured to run as.' },
    privileged: { shape: BOOLEAN, note: 'Whether the container is privileged.' },
    labels: { shape: { is: 'any keys', to: PATTERNS }, note: 'Names of labels and patterns of their values.' },
    k8s: { shape: map('k8s'), note: 'Kubernetes.' },
    swarm: { shape: map('swarm'), note: 'Docker Swarm.' },
    ecs: { shape: map('ecs'), note: 'Amazon ECS.' },
    nomad: { shape: map('nomad'), note: 'Nomad.' },
  },
  k8s: facts(K8S, 'pod'),
  swarm: facts(SWARM, 'service'),
  ecs: facts(ECS, 'task'),
  nomad: facts(NOMAD, 'allocation'),
  rule: RULE,
  exec: lists(TEXTS, 'Programs'),
  file: lists(entries('file entry'), 'Files'),
  connect: lists(entries('connect entry'), 'Destinations'),
  listen: lists(entries('listen entry'), 'Local addresses and ports'),
  signal: lists({ is: 'one or list', of: map('signal entry') }, 'Senders'),
  syscall: lists(TEXTS, 'System calls'),
  mount: lists(entries('mount entry'), 'Mounts'),
  capability: {
    ...lists(TEXTS, 'Capabilities'),
    when: {
      shape: oneOf(CAPABILITY_WHENS),
      note: '`gain` (when not given): that a process comes to hold one; `use`: that it uses one.',
    },
  },
  memory: {
    max: { shape: SIZE, note: 'Usage above it violates the rule.', isRequired: true },
    for: { shape: DURATION, note: 'How long it must stay above; nothing: at the first sample.' },
  },
  cpu: {
    max: { shape: CPU, note: 'Of one core (`150%`) or in cores (`1.5 cores`).', isRequired: true },
    for: { shape: DURATION, note: 'How long it must stay above; nothing: at the first sample.' },
  },
  pids: {
    max: { shape: { is: 'number' }, note: 'Processes and threads together.', isRequired: true },
    for: { shape: DURATION, note: 'How long it must stay above; nothing: at the first sample.' },
  },
  runtime: {
    max: { shape: DURATION, note: 'From the start of the container.', isRequired: true },
  },
  'file entry': {
    path: { shape: TEXT, note: 'A path pattern.', isRequired: true },
    access: {
      shape: { is: 'one or list', of: oneOf(FILE_ACCESSES) },
      note: 'What the entry speaks of; nothing: every access.',
    },
  },
  'connect entry': {
    to: { shape: TEXT, note: 'An address, a network or `*`.', isRequired: true },
    port: { shape: { is: 'either', of: [TEXT, { is: 'number' }] }, note: 'A port or a range.' },
    protocol: { shape: oneOf(PROTOCOLS), note: '`any` when not given.' },
  },
  'listen entry': {
    at: { shape: TEXT, note: 'A local address, a network or `*`; `*` when not given.' },
    port: { shape: { is: 'either', of: [TEXT, { is: 'number' }] }, note: 'A port or a range.' },
  },
  'signal entry': {
    user: { shape: { is: 'either', of: [TEXT, { is: 'number' }] }, note: "The sender's user on the host." },
    group: { shape: { is: 'either', of: [TEXT, { is: 'number' }] }, note: "The sender's group on the host." },
    exe: { shape: TEXT, note: "A path pattern of the sender's executable." },
  },
  'mount entry': {
    source: {
      shape: word(MOUNT_SOURCE_MAX_BYTES),
      note: `What is mounted, as the caller names it: at most ${MOUNT_SOURCE_MAX_BYTES} bytes.`,
    },
    target: { shape: TEXT, note: 'A path pattern of the place it is mounted at.' },
    fstype: { shape: word(FSTYPE_MAX_BYTES), note: `The type of the file system: at most ${FSTYPE_MAX_BYTES} bytes.` },
  },
  exception: {
    name: { shape: NAME, note: "The exception's name.", isRequired: true },
    reason: { shape: TEXT, note: 'Why it is fine.', isRequired: true },
    until: { shape: DATE, note: 'The last day on which it counts (UTC).' },
    match: { shape: { is: 'anything' }, note: "Entries as in the rule's lists." },
    condition: { shape: TEXT, note: 'An expression; the rule does not hit where it holds.' },
  },
  test: {
    test: { shape: NAME, note: "The test's name." },
    event: { shape: map('event'), note: 'What happens.', isRequired: true },
    expect: {
      shape: { is: 'either', of: [oneOf(['none']), { is: 'one or list', of: NAME }] },
      note: 'The rules that must hit, and no others; `none`.',
      isRequired: true,
    },
  },
  event: {
    ...Object.fromEntries(
      TEST_EVENT_KINDS.map((kind): [string, KeySpec] => [
        kind,
        { shape: { is: 'any keys', to: { is: 'anything' } }, note: `As in a record's \`${kind}\`.` },
      ]),
    ),
    container: { shape: { is: 'any keys', to: { is: 'anything' } }, note: "As in a record's `container`." },
    process: { shape: { is: 'any keys', to: { is: 'anything' } }, note: "As in a record's `process`." },
    setup: { shape: BOOLEAN, note: 'While the runtime sets the container up.' },
  },
} as const satisfies Record<string, Record<string, KeySpec>>

export type MappingName =
  | 'policy'
  | 'shared'
  | 'containers'
  | 'k8s'
  | 'swarm'
  | 'ecs'
  | 'nomad'
  | 'rule'
  | Exclude<RuleKind, 'condition'>
  | 'file entry'
  | 'connect entry'
  | 'listen entry'
  | 'signal entry'
  | 'mount entry'
  | 'exception'
  | 'test'
  | 'event'

export const MAPPINGS: Readonly<Record<MappingName, Readonly<Record<string, KeySpec>>>> = TABLE

export const RULE_KINDS = Object.keys(KIND_KEYS).filter((key): key is RuleKind => key in KIND_KEYS)

export function keysOf(mapping: MappingName): readonly string[] {
  return Object.keys(MAPPINGS[mapping])
}
