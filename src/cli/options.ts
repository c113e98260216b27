/**
 * Every option once: its flag, type, default and help. A value comes from the flag, else from HULLGUARD_<NAME> in the
 * environment, else from the configuration file, else from the default. Bad values are refused with where they stand.
 */
import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { ACTIVITY_CLASSES } from '../agent/rules/acts.js'
import { errnoOf, HullguardError, messageOf } from '../telemetry/errors.js'

export const DEFAULT_CONFIG_FILE = '/etc/hullguard/config.yaml'

type OptionKind = 'string' | 'list' | 'choice' | 'count' | 'flag'

interface OptionSpec {
  kind: OptionKind
  /** What stands after the flag in the help. */
  value?: string
  help: string
  choices?: readonly string[]
  default?: string | number | boolean | readonly string[]
}

export const OPTIONS = {
  config: { kind: 'string', value: 'FILE', help: `configuration file (default ${DEFAULT_CONFIG_FILE} when it exists)` },
  'data-dir': { kind: 'string', value: 'DIR', help: 'where spool and store live', default: '/var/lib/hullguard' },
  'log-level': {
    kind: 'choice',
    value: 'LEVEL',
    help: 'how much of its own doings it logs',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
  },
  metrics: { kind: 'string', value: 'HOST:PORT', help: 'serve Prometheus metrics there' },
  policies: {
    kind: 'list',
    value: 'PATH…',
    help: 'native policy files, or folders of them; `standard` is the set that comes with hullguard',
    default: [],
  },
  'no-standard': { kind: 'flag', help: 'no policies at all when --policies names none', default: false },
  rules: { kind: 'list', value: 'FILE…', help: 'Falco rules files, in order', default: [] },
  'rules-scope': {
    kind: 'choice',
    value: 'SCOPE',
    help: 'whose acts the Falco rules are for: containers, or the host with all that runs on it',
    choices: ['containers', 'host'],
    default: 'containers',
  },
  'rule-matching': {
    kind: 'choice',
    value: 'WHICH',
    help: 'of the Falco rules that hold for an event, report all or the first',
    choices: ['all', 'first'],
    default: 'all',
  },
  strict: { kind: 'flag', help: 'refuse Falco files of which a rule is refused', default: false },
  mode: {
    kind: 'choice',
    value: 'MODE',
    help: 'the strongest thing it may do: observe only alerts, block also denies and kills',
    choices: ['observe', 'block'],
    default: 'observe',
  },
  activity: {
    kind: 'list',
    value: 'CLASS…',
    help: `record more than processes, connects and containers; classes: ${ACTIVITY_CLASSES.join(', ')}`,
    choices: ACTIVITY_CLASSES,
    default: [],
  },
  'docker-socket': { kind: 'string', value: 'PATH', help: 'Docker Engine socket (default /run/docker.sock)' },
  'runc-root': { kind: 'list', value: 'PATH…', help: 'more state directories of runc (`runc --root`)', default: [] },
  'cgroup-root': {
    kind: 'string',
    value: 'PATH',
    help: 'where the cgroup file systems are mounted (default /sys/fs/cgroup)',
  },
  'host-root': { kind: 'string', value: 'PATH', help: "the host's root, when the agent runs in a container" },
  'ring-size': { kind: 'count', value: 'MIB', help: 'size of the event ring in MiB, a power of two', default: 8 },
  'host-lock': {
    kind: 'string',
    value: 'FILE',
    help: 'lock that keeps a second agent off this host',
    default: '/run/hullguard/agent.lock',
  },
  collector: { kind: 'list', value: 'HOST:PORT…', help: 'collectors, tried in turn (also unix:PATH)', default: [] },
  listen: {
    kind: 'list',
    value: 'HOST:PORT…',
    help: 'where agents and queries connect (also unix:PATH)',
    default: ['127.0.0.1:7443'],
  },
  insecure: { kind: 'flag', help: 'listen beyond loopback without TLS', default: false },
  'retain-size': {
    kind: 'count',
    value: 'MIB',
    help: 'oldest records go when the store holds more (default: no bound)',
  },
  'retain-days': { kind: 'count', value: 'DAYS', help: 'older records go (default: no bound)' },
  out: { kind: 'string', value: 'FILE', help: 'the capture file to write; it must not exist yet' },
  events: { kind: 'string', value: 'FILE', help: 'a capture made by `hullguard record`' },
  json: { kind: 'flag', help: 'machine-readable output', default: false },
} as const satisfies Record<string, OptionSpec>

export type OptionName = keyof typeof OPTIONS
export type OptionValue = string | number | boolean | readonly string[] | undefined

/** Typed access to resolved values. */
export class Settings {
  readonly #values: ReadonlyMap<OptionName, OptionValue>

  constructor(values: ReadonlyMap<OptionName, OptionValue>) {
    this.#values = values
  }

  text(name: OptionName): string | undefined {
    const value = this.#values.get(name)
    return typeof value === 'string' ? value : undefined
  }

  required(name: OptionName): string {
    const value = this.text(name)
    if (value === undefined) throw new HullguardError('usage', `--${name} is needed`)
    return value
  }

  list(name: OptionName): readonly string[] {
    const value = this.#values.get(name)
    return Array.isArray(value) ? (value as readonly string[]) : []
  }

  count(name: OptionName): number | undefined {
    const value = this.#values.get(name)
    return typeof value === 'number' ? value : undefined
  }

  flag(name: OptionName): boolean {
    return this.#values.get(name) === true
  }
}

/** Resolves the named options. `flags` holds what commander parsed, by camel-case name; absent means not given. */
export function resolveSettings(
  names: readonly OptionName[],
  flags: Readonly<Record<string, unknown>>,
  environment: NodeJS.ProcessEnv = process.env,
): Settings {
  const file = readConfigFile(textOf(flags.config) ?? environment.HULLGUARD_CONFIG)
  const values = new Map<OptionName, OptionValue>()
  for (const name of names) {
    const spec: OptionSpec = OPTIONS[name]
    const variable = `HULLGUARD_${name.toUpperCase().replaceAll('-', '_')}`
    const found =
      pick(flagValue(flags, name), `--${name}`) ??
      pick(environment[variable], variable) ??
      pick(file.values[name], `${file.path}: ${name}`)
    values.set(name, found === undefined ? spec.default : parseValue(spec, found.value, found.where))
  }
  return new Settings(values)
}

/** Commander keeps `--no-x` as `x: false`, and `x: true` when it is not given. */
function flagValue(flags: Readonly<Record<string, unknown>>, name: OptionName): unknown {
  if (!name.startsWith('no-')) return flags[camelCase(name)]
  return flags[camelCase(name.slice('no-'.length))] === false ? true : undefined
}

function pick(value: unknown, where: string): { value: unknown; where: string } | undefined {
  return value === undefined || value === '' ? undefined : { value, where }
}

export function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function readConfigFile(given: string | undefined): { path: string; values: Record<string, unknown> } {
  const path = given ?? DEFAULT_CONFIG_FILE
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (given === undefined && errnoOf(error) === 'ENOENT') return { path, values: {} }
    throw new HullguardError('config_invalid', `cannot read the configuration ${path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const document = parseDocument(text)
  const [fault] = document.errors
  if (fault !== undefined) throw new HullguardError('config_invalid', `${path}: ${fault.message}`)
  const values: unknown = document.toJS()
  if (values === null || values === undefined) return { path, values: {} }
  if (typeof values !== 'object' || Array.isArray(values))
    throw new HullguardError('config_invalid', `${path}: expected \`option: value\` lines`)
  for (const key of Object.keys(values))
    if (!Object.hasOwn(OPTIONS, key)) throw new HullguardError('config_invalid', `${path}: no option \`${key}\``)
  return { path, values: values as Record<string, unknown> }
}

function parseValue(spec: OptionSpec, value: unknown, where: string): OptionValue {
  const refuse = (expected: string, received = value): never => {
    throw new HullguardError('config_invalid', `${where}: expected ${expected}, received ${JSON.stringify(received)}`)
  }
  switch (spec.kind) {
    case 'flag':
      if (value === true || value === 'true' || value === '1') return true
      if (value === false || value === 'false' || value === '0') return false
      return refuse('true or false')
    case 'count': {
      const count = Number(value)
      return Number.isSafeInteger(count) && count > 0 ? count : refuse('a whole number above 0')
    }
    case 'list': {
      const entries = (Array.isArray(value) ? value : [value])
        .flatMap((entry) => String(entry).split(','))
        .filter(Boolean)
      const wrong = spec.choices === undefined ? undefined : entries.find((entry) => !spec.choices?.includes(entry))
      return wrong === undefined ? entries : refuse(`any of ${spec.choices?.join(', ')}`, wrong)
    }
    default:
      if (typeof value !== 'string') return refuse('a text')
      if (spec.choices !== undefined && !spec.choices.includes(value))
        return refuse(`one of ${spec.choices.join(', ')}`)
      return value
  }
}
