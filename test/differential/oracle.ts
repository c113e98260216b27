/**
 * The oracle: a plain evaluator of native policies, written from docs/policy-language.md (DESIGN §5 and §7) and sharing no
 * code with src/match. It walks rules and entries one by one, compares entries pairwise, and is slow on purpose.
 *
 * Names are strings of one character a byte. Addresses are BigInts.
 */
import type {
  AccountName,
  CapabilityRule,
  ConnectRule,
  ExecRule,
  FileRule,
  ListenRule,
  MountRule,
  NetPattern,
  Policy,
  Rule,
  SignalRule,
  SyscallRule,
} from '../../src/policy/model.js'

export interface OracleExec {
  invoked: Uint8Array
  file: Uint8Array
  isScript: boolean
  foreignRoot: boolean
  verified: boolean
}

export interface OracleConnect {
  address: Uint8Array
  port: number
  proto: number
}

export interface OracleSyscall {
  nr: number
  abi: number
  /** The native number of the call of that name, -1 for none. */
  native: number
}

/** Indexes of the violated rules, over the rules of all policies in order; `applies` says which policies select the container. */
export function oracleHits(
  policies: readonly Policy[],
  applies: (policy: Policy) => boolean,
  setup: boolean,
  violates: (rule: Rule) => boolean,
): number[] {
  const hits: number[] = []
  let index = 0
  for (const policy of policies)
    for (const rule of policy.rules) {
      if (applies(policy) && rule.enabled && (!setup || rule.setup) && violates(rule)) hits.push(index)
      index++
    }
  return hits
}

type Judgement = 'allowed' | 'denied' | 'unnamed'

export function oracleExec(rule: ExecRule, event: OracleExec): boolean {
  const hasAllow = rule.allow !== undefined
  // in a foreign root no allow entry covers anything
  if (hasAllow && event.foreignRoot && !event.verified) return true
  const uncovered = uncoveredViolates(rule)
  const isForeign = event.foreignRoot && !event.verified
  const invoked = judgeName(rule, event.invoked, isForeign)
  if (invoked === 'denied' || (invoked === 'unnamed' && uncovered)) return true
  const file = judgeName(rule, event.file, isForeign)
  if (file === 'denied') return true
  return event.isScript && file === 'unnamed' && uncovered
}

/** `**` alone names no file: it says what happens to what no other entry names. Else: an allow list covers or it does not. */
function uncoveredViolates(rule: ExecRule): boolean {
  if (rule.deny.some(({ text }) => isCatchAll(text))) return true
  if (rule.allow?.some(({ text }) => isCatchAll(text)) === true) return false
  return rule.allow !== undefined
}

function isCatchAll(pattern: string): boolean {
  return /^\/?\*\*(\/\*\*)*$/.test(pattern)
}

/** The most specific entry that matches the name decides; on a tie deny wins. */
function judgeName(rule: ExecRule, name: Uint8Array, isForeign: boolean): Judgement {
  let best: { components: string[]; deny: boolean } | undefined
  const excepted = rule.exceptions.flatMap(({ match }) => match)
  if (!isForeign && name.length > 0 && excepted.some(({ text }) => pathMatches(text, name))) return 'allowed'
  const entries = [
    ...(rule.allow ?? []).map(({ text }) => ({ text, deny: false })),
    ...rule.deny.map(({ text }) => ({ text, deny: true })),
  ]
  for (const { text, deny } of entries) {
    if (isCatchAll(text) || name.length === 0 || !pathMatches(text, name)) continue
    const components = orderedComponents(text)
    const order = best === undefined ? 1 : compareComponents(components, best.components)
    if (best === undefined || order > 0 || (order === 0 && deny)) best = { components, deny }
  }
  return best === undefined ? 'unnamed' : best.deny ? 'denied' : 'allowed'
}

function patternPieces(pattern: string): string[] {
  const bytes = Buffer.from(pattern, 'utf8').toString('latin1')
  const pieces = (bytes.startsWith('/') ? bytes.slice(1) : bytes).split('/')
  return pieces.filter((piece, at) => !(piece === '**' && pieces[at - 1] === '**'))
}

/** The root counts as a literal component in front, unless the pattern begins with `**`. */
function orderedComponents(pattern: string): string[] {
  const pieces = patternPieces(pattern)
  return pieces[0] === '**' ? pieces : ['', ...pieces]
}

/** Left to right: literal > partial glob > `*` > the pattern is over > `**`. Positive: a is more specific. */
function compareComponents(a: readonly string[], b: readonly string[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = weight(a[at]) - weight(b[at])
    if (difference !== 0) return difference
  }
  return 0
}

function weight(piece: string | undefined): number {
  if (piece === undefined) return 1
  if (piece === '**') return 0
  if (piece === '*') return 2
  return /[*?[]/.test(piece.replace(/\\[\s\S]/g, '')) ? 3 : 4
}

/** A pattern that begins with `**` also matches what is not absolute. */
function pathMatches(pattern: string, name: Uint8Array): boolean {
  const text = Buffer.from(name).toString('latin1')
  const pieces = patternPieces(pattern)
  const absolute = text.startsWith('/')
  if (!absolute && pieces[0] !== '**') return false
  const components = (absolute ? text.slice(1) : text).split('/')
  // matches[at]: the pieces from `at` on match the components from the current one on; from the back to the front
  let later = Array.from({ length: pieces.length + 1 }, (_, at) => pieces.slice(at).every((piece) => piece === '**'))
  for (const component of components.reverse()) {
    const now = Array.from({ length: pieces.length + 1 }, () => false)
    for (let at = pieces.length - 1; at >= 0; at--) {
      const piece = pieces[at] ?? ''
      now[at] =
        piece === '**'
          ? now[at + 1] === true || later[at] === true
          : later[at + 1] === true && pieceMatches(piece, component)
    }
    later = now
  }
  return later[0] === true
}

const compiled = new Map<string, RegExp>()

function pieceMatches(piece: string, component: string): boolean {
  const expression = compiled.get(piece) ?? compilePiece(piece)
  compiled.set(piece, expression)
  return expression.test(component)
}

function compilePiece(piece: string): RegExp {
  let source = ''
  for (let at = 0; at < piece.length; at++) {
    const char = piece.charAt(at)
    if (char === '*') source += '[^]*'
    else if (char === '?') source += '[^]'
    else if (char === '[') {
      const negated = piece.charAt(at + 1) === '!'
      const first = at + (negated ? 2 : 1)
      const close = piece.indexOf(']', first + 1)
      const members = piece.slice(first, close).replace(/[\\\]^[]/g, '\\$&')
      source += negated ? `[^${members}]` : `[${members}]`
      at = close
    } else {
      if (char === '\\') at++
      source += piece.charAt(at).replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
    }
  }
  return new RegExp(`^${source}$`)
}

/** Longer network, then exact port over range (narrower first) over any, then a protocol over any; on a tie deny wins. */
export function oracleConnect(rule: ConnectRule, event: OracleConnect): boolean {
  return decision(ranked(rule), (net) => netMatches(net, event), compareNets) ?? rule.allow !== undefined
}

function netMatches(net: NetPattern, { address, port, proto }: OracleConnect): boolean {
  if (port < net.portFrom || port > net.portTo) return false
  if (net.proto === 'tcp' && proto !== 6) return false
  if (net.proto === 'udp' && proto !== 17) return false
  const wanted = bitsOf(net.network)
  const given = bitsOf(address)
  if (net.ipv6Only && given.startsWith(bitsOf(Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255])))) return false
  return given.slice(0, net.prefixBits) === wanted.slice(0, net.prefixBits)
}

function bitsOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
}

/** `*` is shorter than every network, also than ::/0, which leaves IPv4 out. */
function isAnyAddress(net: NetPattern): boolean {
  return net.prefixBits === 0 && !net.ipv6Only
}

function compareNets(a: NetPattern, b: NetPattern): number {
  const length = (net: NetPattern) => (isAnyAddress(net) ? -1 : net.prefixBits)
  if (length(a) !== length(b)) return length(a) - length(b)
  const widthA = a.portTo - a.portFrom
  const widthB = b.portTo - b.portFrom
  if (widthA !== widthB) return widthB - widthA
  return (a.proto === 'any' ? 0 : 1) - (b.proto === 'any' ? 0 : 1)
}

/** A call through another ABI is outside every allow list, and denied when the native call of its name is. */
export function oracleSyscall(rule: SyscallRule, { nr, abi, native }: OracleSyscall): boolean {
  const excepted = rule.exceptions.flatMap(({ match }) => match)
  if (rule.deny.has(native) && !excepted.includes(native)) return true
  return rule.allow !== undefined && !(abi === 0 && (rule.allow.has(nr) || excepted.includes(nr)))
}

/** An exception that counts lifts the rule for what its entries match: they rank above all entries of the rule. */
function ranked<Entry>(rule: {
  allow?: readonly Entry[]
  deny: readonly Entry[]
  exceptions: readonly { match: readonly Entry[] }[]
}): { entry: Entry; deny: boolean; isException: boolean }[] {
  return [
    ...(rule.allow ?? []).map((entry) => ({ entry, deny: false, isException: false })),
    ...rule.deny.map((entry) => ({ entry, deny: true, isException: false })),
    ...rule.exceptions.flatMap(({ match }) => match.map((entry) => ({ entry, deny: false, isException: true }))),
  ]
}

type Order<Entry> = (a: Entry, b: Entry) => number

/** The most specific of the entries that match: true when it denies, undefined when none matches. */
function decision<Entry>(
  entries: readonly { entry: Entry; deny: boolean; isException: boolean }[],
  matches: (entry: Entry) => boolean,
  order: Order<Entry>,
): boolean | undefined {
  let best: { entry: Entry; deny: boolean; isException: boolean } | undefined
  for (const each of entries) {
    if (!matches(each.entry)) continue
    const difference =
      best === undefined ? 1 : Number(each.isException) - Number(best.isException) || order(each.entry, best.entry)
    if (best === undefined || difference > 0 || (difference === 0 && each.deny)) best = each
  }
  return best?.deny
}

export interface OracleFile {
  path: Uint8Array
  other: Uint8Array | undefined
  access: number
}

/**
 * Each access by itself, each path by itself. An access that no entry of the rule names is not its business; the more specific
 * path decides, then who names more accesses, then deny. `**` alone says what becomes of what no other entry names.
 */
export function oracleFile(rule: FileRule, { path, other, access }: OracleFile): boolean {
  for (let bit = 1; bit < 256; bit *= 2) {
    if ((access & bit) === 0) continue
    const speaking = ranked(rule).filter(({ entry }) => (entry.access & bit) !== 0)
    const isRest = ({ entry, isException }: (typeof speaking)[number]) => !isException && isCatchAll(entry.text)
    const isNamed = speaking.some(({ isException }) => !isException)
    const byDefault =
      decision(
        speaking.filter(isRest),
        () => true,
        (a, b) => a.namedCount - b.namedCount,
      ) ??
      (isNamed && rule.allow !== undefined)
    for (const each of other === undefined ? [path] : [path, other]) {
      const denied = decision(
        speaking.filter((entry) => !isRest(entry)),
        ({ text }) => each.length > 0 && pathMatches(text, each),
        (a, b) =>
          compareComponents(orderedComponents(a.text), orderedComponents(b.text)) || a.namedCount - b.namedCount,
      )
      if (denied ?? byDefault) return true
    }
  }
  return false
}

export interface OracleListen {
  address: Uint8Array
  port: number
}

export function oracleListen(rule: ListenRule, { address, port }: OracleListen): boolean {
  const denied = decision(ranked(rule), (net) => netMatches(net, { address, port, proto: 6 }), compareNets)
  return denied ?? rule.allow !== undefined
}

export interface OracleSender {
  uid: number
  gid: number
  user: string
  group: string
  exe: Uint8Array
}

export function oracleSignal(rule: SignalRule, sender: OracleSender): boolean {
  const is = (wanted: AccountName | undefined, id: number, name: string) =>
    wanted === undefined || ('id' in wanted ? wanted.id === id : wanted.name === name)
  const denied = decision(
    ranked(rule),
    ({ user, group, exe }) =>
      is(user, sender.uid, sender.user) &&
      is(group, sender.gid, sender.group) &&
      (exe === undefined || (sender.exe.length > 0 && pathMatches(exe.text, sender.exe))),
    (a, b) => countOf(a, ['user', 'group', 'exe']) - countOf(b, ['user', 'group', 'exe']) || comparePaths(a.exe, b.exe),
  )
  return denied ?? rule.allow !== undefined
}

function countOf(entry: object, keys: readonly string[]): number {
  return keys.filter((key) => key in entry).length
}

/** An entry with a path is more specific than one that names as many other things. */
function comparePaths(a: { text: string } | undefined, b: { text: string } | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  return compareComponents(orderedComponents(a.text), orderedComponents(b.text))
}

export interface OracleMount {
  source: string
  target: Uint8Array
  fstype: string
}

export function oracleMount(rule: MountRule, mount: OracleMount): boolean {
  const is = (wanted: string | undefined, given: string) =>
    wanted === undefined || (given !== '' && wordExpression(wanted).test(given))
  const denied = decision(
    ranked(rule),
    ({ source, target, fstype }) =>
      is(source, mount.source) &&
      is(fstype, mount.fstype) &&
      (target === undefined || (mount.target.length > 0 && pathMatches(target.text, mount.target))),
    (a, b) =>
      countOf(a, ['source', 'target', 'fstype']) - countOf(b, ['source', 'target', 'fstype']) ||
      comparePaths(a.target, b.target),
  )
  return denied ?? rule.allow !== undefined
}

function wordExpression(word: string): RegExp {
  const source = [...word].map((char) =>
    char === '*' ? '[^]*' : char === '?' ? '[^]' : char.replace(/[^\w]/g, '\\$&'),
  )
  return new RegExp(`^${source.join('')}$`, 'u')
}

/** The gained capabilities, one by one. */
export function oracleCapability(rule: CapabilityRule, gained: readonly number[]): boolean {
  const excepted = new Set(rule.exceptions.flatMap(({ match }) => match))
  return gained.some(
    (number) =>
      !excepted.has(number) && (rule.deny.has(number) || (rule.allow !== undefined && !rule.allow.has(number))),
  )
}
