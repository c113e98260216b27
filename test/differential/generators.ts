/** fast-check arbitraries of policies and events: a small alphabet, so that entries and events meet often. */
import fc from 'fast-check'
import type {
  AccountName,
  ContainerSelector,
  FilePattern,
  MountPattern,
  NetPattern,
  PathPattern,
  Policy,
  Rule,
  RuleException,
  SenderPattern,
  SourceSpan,
} from '../../src/policy/model.js'
import { parseNetEntry } from '../../src/policy/net-pattern.js'
import { parsePathPattern } from '../../src/policy/path-pattern.js'
import type { ContainerRef } from '../../src/record/model.js'

export const SPAN: SourceSpan = { file: 'generated', line: 1, column: 1, lengthCount: 1 }

const literals = ['a', 'b', 'ab', 'bin', 'nc', 'é', 'a.b', '...', 'x y']
const globs = ['a*', '*b', '?', 'a?', '[ab]', '[!a]*', '*.*', '*a*b*', '\\*x', 'n[a-c]', '[]a]', '?*', 'bi*n', '*[!-]c']
const component = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...literals) },
  { weight: 3, arbitrary: fc.constantFrom(...globs) },
  { weight: 2, arbitrary: fc.constant('*') },
  { weight: 3, arbitrary: fc.constant('**') },
)

/** Few names, so that folders nest in each other across rules. */
const nested = ['a', 'b', 'nc']

const lowerable = fc.oneof(
  fc.array(fc.constantFrom(...nested), { minLength: 1, maxLength: 3 }).map((parts) => ['', ...parts, '**'].join('/')),
  fc.array(fc.constantFrom(...nested), { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
  fc.array(fc.constantFrom(...literals), { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
  fc.array(fc.constantFrom(...literals), { minLength: 0, maxLength: 3 }).map((parts) => ['', ...parts, '**'].join('/')),
  fc.constantFrom(...literals),
)

export const pathEntry: fc.Arbitrary<PathPattern> = fc
  .oneof(
    fc.array(component, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`),
    fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => `**/${parts.join('/')}`),
    fc.constantFrom(...literals, 'n*', '/**', '**'),
  )
  .map(checkedPath)

export const lowerablePath: fc.Arbitrary<PathPattern> = lowerable.map(checkedPath)

function checkedPath(entry: string): PathPattern {
  const parsed = parsePathPattern(entry)
  if (!parsed.ok) throw new Error(`${entry}: ${parsed.message}`)
  return { text: parsed.text, span: SPAN }
}

const hosts = [
  '*',
  '0.0.0.0/0',
  '10.0.0.0/8',
  '10.1.0.0/16',
  '10.1.2.0/23',
  '10.1.2.3',
  '10.1.2.2/31',
  '192.0.2.1',
  '::/0',
]
const hosts6 = [
  '2001:db8::/32',
  '2001:db8::1',
  '2001:db8::/127',
  '::ffff:10.0.0.0/104',
  '::/64',
  'fe80::/10',
  '::/80',
  '8000::/1',
]
const ports = ['', ':80', ':443', ':0', ':65535', ':1-1024', ':80-80', ':80-443', ':0-65535', ':400-500', ':81-65535']

export const netEntry: fc.Arbitrary<NetPattern> = fc
  .tuple(
    fc.oneof(fc.constantFrom(...hosts), fc.constantFrom(...hosts6)),
    fc.constantFrom(...ports),
    fc.constantFrom('', '', '/tcp', '/udp'),
  )
  .map(([host, port, proto]) => {
    const text = `${host.includes(':') ? `[${host}]` : host}${port}${proto}`
    const parsed = parseNetEntry(text)
    if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`)
    return { ...parsed.net, text, span: SPAN }
  })

const syscallNr = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom(59, 101, 165, 321, 450, 469))

/** At NOW_MS: exceptions that count, and one that has expired. */
export const NOW_MS = 1_000_000
const exceptionsOf = <Entry>(entry: fc.Arbitrary<Entry>): fc.Arbitrary<RuleException<Entry>[]> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<RuleException<Entry>[]>([]) },
    {
      weight: 1,
      arbitrary: fc.array(
        fc
          .record({ match: fc.array(entry, { maxLength: 2 }), isExpired: fc.boolean() })
          .map(({ match, isExpired }) => ({
            name: 'e',
            reason: 'because',
            untilMs: isExpired ? NOW_MS : NOW_MS + 1,
            match,
            span: SPAN,
          })),
        { maxLength: 2 },
      ),
    },
  )

const lists = <Entry>(entry: fc.Arbitrary<Entry>, maxLength: number) =>
  fc
    .record({
      allow: fc.option(fc.array(entry, { maxLength }), { nil: undefined }),
      deny: fc.array(entry, { maxLength }),
      exceptions: exceptionsOf(entry),
    })
    .map(({ allow, deny, exceptions }) => (allow === undefined ? { deny, exceptions } : { allow, deny, exceptions }))

const common = fc.record({
  name: fc.constant('r'),
  policy: fc.constant('p'),
  priority: fc.constant('warning' as const),
  tags: fc.constant([]),
  action: fc.constantFrom('alert' as const, 'deny' as const, 'kill' as const),
  description: fc.constant(''),
  setup: fc.boolean(),
  enabled: fc.integer({ min: 0, max: 9 }).map((value) => value > 0),
  span: fc.constant(SPAN),
})

export function ruleOf(path: fc.Arbitrary<PathPattern>): fc.Arbitrary<Rule> {
  const kinds: fc.Arbitrary<Rule>[] = [
    fc.tuple(common, lists(path, 6)).map(([base, part]) => ({ ...base, ...part, kind: 'exec' as const })),
    fc.tuple(common, lists(netEntry, 6)).map(([base, part]) => ({ ...base, ...part, kind: 'connect' as const })),
    fc.tuple(common, lists(syscallNr, 8)).map(([base, { allow, deny, exceptions }]) => ({
      ...base,
      kind: 'syscall' as const,
      deny: new Set(deny),
      exceptions,
      ...(allow === undefined ? {} : { allow: new Set(allow) }),
    })),
  ]
  return fc.oneof(...kinds)
}

const fileEntryOf = (path: fc.Arbitrary<PathPattern>): fc.Arbitrary<FilePattern> =>
  fc
    .tuple(path, fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 255 }), fc.constantFrom(1, 2, 3)))
    .map(([path, mask]) => ({
      ...path,
      access: mask === 0 ? 255 : mask,
      namedCount: mask === 0 ? 0 : [...mask.toString(2)].filter((bit) => bit === '1').length,
    }))
const account = fc.constantFrom<AccountName>({ id: 0 }, { id: 7 }, { name: 'root' }, { name: 'ops' })
const senderEntryOf = (path: fc.Arbitrary<PathPattern>): fc.Arbitrary<SenderPattern> =>
  fc
    .record({
      user: fc.option(account, { nil: undefined }),
      group: fc.option(account, { nil: undefined }),
      exe: fc.option(path, { nil: undefined }),
    })
    .filter(({ user, group, exe }) => user !== undefined || group !== undefined || exe !== undefined)
    .map(({ user, group, exe }) => ({
      text: '',
      span: SPAN,
      ...(user && { user }),
      ...(group && { group }),
      ...(exe && { exe }),
    }))
const word = fc.constantFrom('tmpfs', 'nfs*', '/dev/*', '/dev/s?', 'nfs4', '*')
const mountEntryOf = (path: fc.Arbitrary<PathPattern>, word: fc.Arbitrary<string>): fc.Arbitrary<MountPattern> =>
  fc
    .record({
      source: fc.option(word, { nil: undefined }),
      target: fc.option(path, { nil: undefined }),
      fstype: fc.option(word, { nil: undefined }),
    })
    .filter(({ source, target, fstype }) => source !== undefined || target !== undefined || fstype !== undefined)
    .map(({ source, target, fstype }) => ({
      text: '',
      span: SPAN,
      ...(source && { source }),
      ...(target && { target }),
      ...(fstype && { fstype }),
    }))
const capability = fc.integer({ min: 0, max: 63 })

/** Rules that are judged on calls. */
export const callRule: fc.Arbitrary<Rule> = fc.oneof(
  fc
    .tuple(common, lists(fileEntryOf(pathEntry), 6))
    .map(([base, part]) => ({ ...base, ...part, kind: 'file' as const })),
  fc.tuple(common, lists(netEntry, 6)).map(([base, part]) => ({ ...base, ...part, kind: 'listen' as const })),
  fc
    .tuple(common, lists(senderEntryOf(pathEntry), 5))
    .map(([base, part]) => ({ ...base, ...part, kind: 'signal' as const })),
  fc
    .tuple(common, lists(mountEntryOf(pathEntry, word), 5))
    .map(([base, part]) => ({ ...base, ...part, kind: 'mount' as const })),
  fc.tuple(common, lists(capability, 12)).map(([base, { allow, deny, exceptions }]) => ({
    ...base,
    kind: 'capability' as const,
    when: 'gain' as const,
    deny: new Set(deny),
    exceptions,
    ...(allow === undefined ? {} : { allow: new Set(allow) }),
  })),
)

/** Of the kinds that are lowered only where the host can refuse, mostly of the forms that the kernel's maps hold. */
export const refusableRule: fc.Arbitrary<Rule> = fc.oneof(
  fc
    .tuple(
      common,
      lists(
        fileEntryOf(
          fc.oneof(
            { weight: 40, arbitrary: lowerablePath },
            { weight: 4, arbitrary: fc.constant<PathPattern>({ text: '**', span: SPAN }) },
            { weight: 1, arbitrary: pathEntry },
          ),
        ),
        6,
      ),
    )
    .map(([base, part]) => ({ ...base, ...part, kind: 'file' as const })),
  fc.tuple(common, lists(netEntry, 6)).map(([base, part]) => ({ ...base, ...part, kind: 'listen' as const })),
)

const selector: fc.Arbitrary<ContainerSelector> = fc.oneof(
  fc.constant({}),
  fc.constantFrom<ContainerSelector>(
    { image: ['demo/*'] },
    { image: ['!demo/*'] },
    { name: ['web', 'db'] },
    { labels: { tier: ['web'] } },
  ),
)

export function policiesOf(rule: fc.Arbitrary<Rule>, maxRules: number): fc.Arbitrary<Policy[]> {
  const policy = fc.record({
    description: fc.constant(''),
    mode: fc.constantFrom('observe' as const, 'block' as const),
    containers: selector,
    tests: fc.constant([]),
    rules: fc.array(rule, { minLength: 1, maxLength: maxRules, size: 'max' }),
    span: fc.constant(SPAN),
  })
  return fc.array(policy, { minLength: 1, maxLength: 4 }).map((policies) =>
    policies.map((parts, index) => ({
      ...parts,
      name: `p${index}`,
      rules: parts.rules.map((each, at) => ({ ...each, name: `r${at}`, policy: `p${index}` })),
    })),
  )
}

export const container: fc.Arbitrary<ContainerRef> = fc
  .constantFrom(
    { name: 'web', image: 'demo/x:1', labels: {} },
    { name: 'db', image: 'other/x', labels: { tier: 'web' } },
    { name: 'else', image: '', labels: {} },
  )
  .map((facts) => ({ ...facts, state: 'container', id: 'c', imageId: '', runtime: 'runc', outerIds: [] }))

const encoder = new TextEncoder()
const nameComponent = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...nested).map((text) => encoder.encode(text)) },
  {
    weight: 12,
    arbitrary: fc
      .constantFrom(...literals, 'xb', 'bin2', 'abb', '*x', 'na', ']', '.hidden')
      .map((text) => encoder.encode(text)),
  },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 6 }).map((bytes) => bytes.map((byte) => (byte === 0x2f ? 0 : byte))),
  },
  { weight: 1, arbitrary: fc.constantFrom('.', '..', '').map((text) => encoder.encode(text)) },
)

/** Paths as the kernel may report them, and worse: relative, doubled slashes, invalid UTF-8, empty, 4096 bytes. */
export const nameBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 200, arbitrary: fc.array(nameComponent, { minLength: 1, maxLength: 6 }).map((parts) => absolute(parts)) },
  {
    weight: 20,
    arbitrary: fc.array(nameComponent, { minLength: 1, maxLength: 3 }).map((parts) => absolute(parts).subarray(1)),
  },
  { weight: 8, arbitrary: fc.constant(new Uint8Array(0)) },
  { weight: 10, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('/a', '/bin', '/').map((unit) => encoder.encode(unit.repeat(4096).slice(0, 4096))),
  },
)

function absolute(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [0x2f, ...part]))
}

const mapped = (a: number, b: number, c: number, d: number) =>
  Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, a, b, c, d])
const db8 = (last: number) => Uint8Array.from([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])

export const address: fc.Arbitrary<Uint8Array> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      mapped(10, 1, 2, 3),
      mapped(10, 1, 2, 2),
      mapped(10, 1, 3, 1),
      mapped(10, 2, 0, 0),
      mapped(192, 0, 2, 1),
      mapped(8, 8, 8, 8),
    ),
  },
  { weight: 3, arbitrary: fc.constantFrom(db8(1), db8(0), db8(9), new Uint8Array(16), mapped(0, 0, 0, 0)) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 16, maxLength: 16 }) },
)

export const port = fc.oneof(
  fc.constantFrom(0, 1, 79, 80, 81, 443, 444, 1024, 8080, 65535),
  fc.integer({ min: 0, max: 65535 }),
)
export const proto = fc.constantFrom(6, 17, 1)
export const syscallEvent = fc.record({
  nr: fc.oneof(syscallNr, fc.integer({ min: 0, max: 600 })),
  abi: fc.constantFrom(0, 1, 2),
})

export const execEvent = fc
  .record({
    invoked: nameBytes,
    other: nameBytes,
    same: fc.boolean(),
    isScript: fc.boolean(),
    foreignRoot: fc.integer({ min: 0, max: 4 }).map((value) => value === 0),
    verified: fc.boolean(),
  })
  .map(({ other, same, ...rest }) => ({ ...rest, file: same ? rest.invoked : other }))

export const fileEvent = fc.record({
  path: nameBytes,
  other: fc.option(nameBytes, { nil: undefined }),
  access: fc.integer({ min: 1, max: 255 }),
})
/** Rules about mounts and senders, mostly of the forms that the kernel's maps hold. */
const saidPath = fc.oneof(
  { weight: 40, arbitrary: lowerablePath },
  { weight: 4, arbitrary: fc.constant<PathPattern>({ text: '**', span: SPAN }) },
  { weight: 1, arbitrary: pathEntry },
)
const wholeWord = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom('tmpfs', 'nfs4', '/dev/sda', 'x/y') },
  { weight: 1, arbitrary: word },
)
export const saidRule: fc.Arbitrary<Rule> = fc.oneof(
  fc
    .tuple(common, lists(senderEntryOf(saidPath), 5))
    .map(([base, part]) => ({ ...base, ...part, kind: 'signal' as const })),
  fc
    .tuple(common, lists(mountEntryOf(saidPath, wholeWord), 5))
    .map(([base, part]) => ({ ...base, ...part, kind: 'mount' as const })),
)

/** Numbers with the names that they have on one host. */
const accountNames = ['root', '', '', '', '', '', '', 'ops']
export const knownSender = fc
  .record({ uid: fc.constantFrom(0, 7, 1000), gid: fc.constantFrom(0, 7, 1000), exe: nameBytes })
  .map((sender) => ({ ...sender, user: accountNames[sender.uid] ?? '', group: accountNames[sender.gid] ?? '' }))
export const knownAccounts = {
  uidsOf: (name: string) => (name === '' ? [] : [accountNames.indexOf(name)].filter((uid) => uid >= 0)),
  gidsOf: (name: string) => (name === '' ? [] : [accountNames.indexOf(name)].filter((gid) => gid >= 0)),
}

export const senderEvent = fc.record({
  uid: fc.constantFrom(0, 7, 1000),
  gid: fc.constantFrom(0, 7, 1000),
  user: fc.constantFrom('root', 'ops', ''),
  group: fc.constantFrom('root', 'ops', ''),
  exe: nameBytes,
})
const givenWord = fc.constantFrom('tmpfs', 'nfs4', 'nfs', '/dev/sda', '/dev/s1', '', 'x/y')
export const mountEvent = fc.record({ source: givenWord, target: nameBytes, fstype: givenWord })
export const gained = fc.uniqueArray(capability, { maxLength: 6 })
