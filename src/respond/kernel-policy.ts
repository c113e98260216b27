/**
 * Writes what lower.ts made of the profiles into the kernel's maps. Entries of a new program stand under profile ids of their
 * own beside the old ones and have no effect until Sensor.setControl({version}) flips; the old ones are removed afterwards. A hook that
 * still runs with an old profile then errs towards reporting: the profile goes first, and one without it reports and acts on nothing; its
 * tables follow when no hook can be between the two, the filters last.
 * All or nothing: a map that refuses an entry (full) undoes what was written and throws.
 */
import type { Profile, Program } from '../match/types.js'
import type { UserWant } from '../match/user-wants.js'
import {
  ABIS,
  AtEnd,
  encodeMapCallsAtEnd,
  encodeMapCapabilityRules,
  encodeMapConnectKey,
  encodeMapConnectNode,
  encodeMapExecKey,
  encodeMapExecPrefixKey,
  encodeMapExecResult,
  encodeMapFileResult,
  encodeMapFilter,
  encodeMapPlacePrefixKey,
  encodeMapProfile,
  encodeMapSaidKey,
  encodeMapSaidNumber,
  encodeMapSaidRules,
  encodeMapSyscallKey,
  encodeMapSyscallRules,
  encodeMapSyscallsIgnored,
  FILTERS,
  KEY_PATH_BYTES,
  type MapFilter,
  type MapProfile,
  POLICIES_MAX,
  RULES_PER_PROFILE,
  SAID_MAX,
  SaidKind,
  SaidWhat,
  SYSCALL_WORDS,
  TOP_WORDS,
  USER_RANGES,
} from '../sensor/generated/abi.js'
import {
  EXEC_DECISION,
  fileDecisions,
  gainDecisions,
  listenDecisions,
  MOUNT_DECISIONS,
  SIGNAL_DECISION,
  USE_DECISION,
} from '../sensor/refusals.js'
import { encodeU32, encodeU64, type Sensor } from '../sensor/sensor.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { Allowances } from './allowances.js'
import { AskedAccounts } from './asked-accounts.js'
import type { CircuitBreaker } from './breaker.js'
import { type LoweredProfile, lowerProfile } from './lower.js'
import type { ConnectNode } from './lower-connect.js'
import { type EndFilter, EVERY_END } from './lower-end.js'
import { EVERY_PLACE, type PlaceFilter, topsOf } from './lower-place.js'
import type { Accounts, SaidMaps } from './lower-said.js'
import { hooksOfCalls, type SyscallTable } from './lower-syscall.js'
import { areByName, lowerUsers } from './lower-user.js'

/** What a profile's rules have to see of acts. */
export interface ActFilter {
  readonly places: PlaceFilter
  readonly ends: EndFilter
  readonly users: readonly UserWant[]
}

const EVERY_ACT: ActFilter = { places: EVERY_PLACE, ends: EVERY_END, users: [] }

/** No profile has this id. A hook that has just found another's there errs towards reporting. */
const NO_FILTER: MapFilter = {
  actsByUser: 0n,
  placeClasses: 0,
  placePrefixesCount: 0,
  placeElsewhere: 0,
  placeTops: Array.from({ length: TOP_WORDS }, () => (1n << 64n) - 1n),
  profile: 0,
}

/** A profile whose filter names users: its entry is written anew when the names change. */
interface NamingProfile {
  readonly value: MapProfile
  readonly users: readonly UserWant[]
}

interface Written {
  map: string
  key: Uint8Array
}

export class KernelPolicy {
  readonly #sensor: Sensor
  readonly allowances: Allowances
  readonly #accounts: Accounts | undefined
  /** By profile id, in the order of removal reversed. */
  readonly #written = new Map<number, Written[]>()
  readonly #lowered = new Map<number, LoweredProfile>()
  readonly #naming = new Map<number, NamingProfile>()
  /** Of profiles with rules about system calls, as long as a hook may find their tables. */
  readonly #calls = new Map<number, readonly SyscallTable[]>()
  /** Whose the places in `filters` are. */
  readonly #filtered = new Map<number, number>()
  /** What the rules of a profile were lowered by. */
  readonly #asked = new Map<number, AskedAccounts>()
  /** Called when rules in the kernel go by what names of users and groups stand for no more: they have to be installed anew. */
  onOutdated: (() => void) | undefined

  /** Set before the first profile: calls that no rule can be violated by may be let go at once, since nobody asks for first uses. */
  ignoresCalls = false

  constructor(sensor: Sensor, breaker: CircuitBreaker, accounts?: Accounts) {
    this.#accounts = accounts
    this.#sensor = sensor
    this.allowances = new Allowances(sensor, breaker, POLICIES_MAX)
  }

  /** Makes the profile's tables, `filter` being what its rules have to see of acts; idempotent per profile id. Throws HullguardError kernel_tables_full when a map is full. */
  install(program: Program, profile: Profile, filter: ActFilter = EVERY_ACT): LoweredProfile {
    const present = this.#lowered.get(profile.id)
    if (present !== undefined) return present
    // The agent's own mode is a switch of its own in the kernel (map_control.blocking), so that it can change at once.
    const accounts = this.#accounts === undefined ? undefined : new AskedAccounts(this.#accounts)
    const lowered = lowerProfile(program, profile, {
      isBlockPolicy: (policy) => program.policies.some(({ name, mode }) => name === policy && mode === 'block'),
      refuses: this.#sensor.refusals,
      accounts,
    })
    const written: Written[] = []
    try {
      if (lowered.syscalls.length > 0) this.#setCalls(profile.id, lowered.syscalls)
      this.#write(program, lowered, filter, written)
    } catch (error) {
      this.#remove(written)
      this.#setCalls(profile.id)
      throw new HullguardError(
        'kernel_tables_full',
        `cannot put the rules of profile ${profile.id} into the kernel: ${messageOf(error)}`,
        { cause: error },
      )
    }
    this.#written.set(profile.id, written)
    this.#lowered.set(profile.id, lowered)
    if (accounts !== undefined) this.#asked.set(profile.id, accounts)
    this.allowances.refill() // before a container can get the profile: a new policy's starts at nothing
    return lowered
  }

  lowered(profileId: number): LoweredProfile | undefined {
    return this.#lowered.get(profileId)
  }

  /** Hooks on demand that an installed profile's rules need to refuse an act. */
  hooksOf(profileId: number): readonly string[] {
    const lowered = this.#lowered.get(profileId)
    if (lowered === undefined) return []
    const has = (program: string) => this.#sensor.hasHook(program)
    const acting = lowered.deny | lowered.kill
    const isSaid = (kind: number) => lowered.saidRules.some((own) => own.kind === kind && (own.rules & acting) !== 0n)
    return [
      ...((lowered.execRules & acting) === 0n ? [] : [EXEC_DECISION].filter(has)),
      ...fileDecisions(lowered.fileAccess, has),
      ...((lowered.listenRules & acting) === 0n ? [] : listenDecisions(this.#sensor.refusals)),
      ...((lowered.capabilities.gain & acting) === 0n ? [] : gainDecisions(this.#sensor.refusals)),
      ...((lowered.capabilities.use & acting) === 0n ? [] : [USE_DECISION]),
      ...(isSaid(SaidKind.MOUNT) ? MOUNT_DECISIONS : []),
      ...(isSaid(SaidKind.SIGNAL) ? [SIGNAL_DECISION] : []),
    ]
  }

  /** Hooks on demand by which an installed profile's rules see system calls; `isAtEntry`: all of them when they begin. */
  callHooksOf(profileId: number, isAtEntry: boolean): readonly string[] {
    return hooksOfCalls(this.#lowered.get(profileId)?.syscalls ?? [], isAtEntry)
  }

  /** After the flip, and when no event of the old program can come any more. Its tables stay: `sweep` removes them. */
  retire(profileId: number): void {
    if (!this.#lowered.delete(profileId)) return
    this.#naming.delete(profileId)
    this.#asked.delete(profileId)
    this.#setFilter(profileId)
    const head = this.#written.get(profileId)?.pop()
    if (head !== undefined) this.#remove([head])
  }

  /** When every hook that found the profile has ended. */
  sweep(profileId: number): void {
    this.#remove(this.#written.get(profileId) ?? [])
    this.#written.delete(profileId)
    this.#setCalls(profileId)
  }

  /** More calls are looked at before the rules about them are there, and fewer when the last hook that knew those has ended. */
  #setCalls(profileId: number, tables?: readonly SyscallTable[]): void {
    const isChange = tables === undefined ? this.#calls.delete(profileId) : this.#calls.set(profileId, tables).size > 0
    if (!isChange) return
    const ignored = Array.from({ length: ABIS * SYSCALL_WORDS }, () => (1n << 64n) - 1n)
    const ended = Array.from({ length: AtEnd.RULES_OF - AtEnd.RULES + ABIS }, () =>
      Array.from({ length: SYSCALL_WORDS }, () => 0n),
    )
    for (const { abi, outside, atEnd } of [...this.#calls.values()].flat())
      for (let word = 0; word < SYSCALL_WORDS; word++) {
        const at = abi * SYSCALL_WORDS + word
        ignored[at] = (ignored[at] ?? 0n) & ~(outside[word] ?? 0n)
        for (const key of [AtEnd.RULES, AtEnd.RULES_OF + abi]) {
          const calls = ended[key - AtEnd.RULES] ?? []
          calls[word] = (calls[word] ?? 0n) | (atEnd[word] ?? 0n)
        }
      }
    for (const [index, calls] of ended.entries())
      this.#sensor.update('calls_at_end', encodeU32(AtEnd.RULES + index), encodeMapCallsAtEnd({ calls }))
    if (this.ignoresCalls)
      this.#sensor.update('syscalls_ignored', encodeU32(0), encodeMapSyscallsIgnored({ calls: ignored }))
  }

  /** The profile's rules would come to other tables now, because names of users or groups stand for others. */
  isOutdated(profileId: number): boolean {
    return this.#asked.get(profileId)?.areOutdated ?? false
  }

  /**
   * Names of users or groups stand for others than before: the filters that go by them do too. Rules that refuse by them cannot be
   * changed in place: with a name that is gone, or new, other rules of the profile are the kernel's to answer.
   */
  followAccounts(): void {
    if ([...this.#asked.keys()].some((profileId) => this.isOutdated(profileId))) this.onOutdated?.()
    for (const [profile, { value, users }] of this.#naming) {
      const { actsByUser, ...ranges } = this.#usersInKernel(users)
      const filter = { ...value.filter, actsByUser }
      this.#sensor.update('profiles', encodeU32(profile), encodeMapProfile({ ...value, ...ranges, filter }))
      this.#setFilter(profile, filter)
    }
  }

  /** The kernel acts for some policy, and needs its allowance filled again. */
  get hasAllowances(): boolean {
    for (const { deny, kill } of this.#lowered.values()) if ((deny | kill) !== 0n) return true
    return false
  }

  /** Where the place is another profile's, the kernel side takes the filter from the profile's own entry. */
  #setFilter(profile: number, filter?: MapFilter): void {
    const place = profile % FILTERS
    const owner = this.#filtered.get(place) ?? profile
    if (owner !== profile) return
    if (filter === undefined) this.#filtered.delete(place)
    else this.#filtered.set(place, profile)
    this.#sensor.update('filters', encodeU32(place), encodeMapFilter(filter ?? NO_FILTER))
  }

  #usersInKernel(wants: readonly UserWant[]): Pick<MapFilter, 'actsByUser'> & Pick<MapProfile, 'usersCount' | 'users'> {
    const { byUser, users } = lowerUsers(wants, this.#accounts)
    const unused = Array.from({ length: USER_RANGES - users.length }, () => ({ acts: 0n, from: 0 }))
    return { actsByUser: byUser, usersCount: users.length, users: [...users, ...unused] }
  }

  #write(program: Program, lowered: LoweredProfile, { places, ends, users }: ActFilter, written: Written[]): void {
    const profile = lowered.profileId
    const put = (map: string, key: Uint8Array, value: Uint8Array) => {
      this.#sensor.update(map, key, value)
      written.push({ map, key })
    }
    const execKey = (path: Uint8Array) => encodeMapExecKey({ profile, lengthBytes: path.length, path: padded(path) })
    // First, and so removed last: without these nothing is wanted.
    for (const { path, classes } of places.prefixes)
      put(
        'place_prefixes',
        encodeMapPlacePrefixKey({ prefixBits: (4 + path.length) * 8, profile, path: padded(path) }),
        encodeU32(classes),
      )
    for (const node of ends.nodes) put('end_nodes', connectKey(profile, node), connectNode(node))
    for (const { path, decided, violated } of lowered.execExact)
      put('exec_exact', execKey(path), encodeMapExecResult({ decided, violated }))
    for (const { name, decided, violated } of lowered.execBase)
      put('exec_base', execKey(name), encodeMapExecResult({ decided, violated }))
    for (const { dir, decided, violated } of lowered.execPrefix)
      put(
        'exec_prefix',
        encodeMapExecPrefixKey({ prefixBits: (4 + dir.length) * 8, profile, path: padded(dir) }),
        encodeMapExecResult({ decided, violated }),
      )
    for (const { path, ...result } of lowered.fileExact) put('file_exact', execKey(path), encodeMapFileResult(result))
    for (const { name, ...result } of lowered.fileBase) put('file_base', execKey(name), encodeMapFileResult(result))
    for (const { dir, ...result } of lowered.filePrefix)
      put(
        'file_prefix',
        encodeMapExecPrefixKey({ prefixBits: (4 + dir.length) * 8, profile, path: padded(dir) }),
        encodeMapFileResult(result),
      )
    for (const [map, nodes] of [
      ['connect_nodes', lowered.connectNodes],
      ['listen_nodes', lowered.listenNodes],
    ] as const)
      for (const node of nodes) put(map, connectKey(profile, node), connectNode(node))
    if ((lowered.capabilities.gain | lowered.capabilities.use) !== 0n)
      put('capability_rules', encodeU32(profile), encodeMapCapabilityRules(lowered.capabilities))
    for (const { map, key, value } of saidEntries(profile, lowered)) put(map, key, value)
    for (const { abi, ...rules } of lowered.syscalls)
      put('syscall_rules', encodeMapSyscallKey({ profile, abi }), encodeMapSyscallRules(rules))
    const policy = Array.from({ length: RULES_PER_PROFILE }, (_, bit) => {
      const ruleId = lowered.ruleIds[bit]
      const rule = ruleId === undefined ? undefined : program.rules[ruleId]
      return rule === undefined ? 0 : this.allowances.slotOf(rule.policy)
    })
    const { actsByUser, ...ranges } = this.#usersInKernel(users)
    const placePrefixesCount = places.prefixes.length
    const filter = { actsByUser, placeClasses: places.classes, placePrefixesCount, ...topsOf(places.prefixes), profile }
    const value: MapProfile = {
      execRules: lowered.execRules,
      execAllow: lowered.execAllow,
      connectRules: lowered.connectRules,
      syscallRules: lowered.syscallRules,
      deny: lowered.deny,
      kill: lowered.kill,
      setup: lowered.setup,
      policy,
      urgent: lowered.urgent.classes,
      actsUrgent: lowered.urgent.acts,
      fileRules: lowered.fileRules,
      listenRules: lowered.listenRules,
      fileDefault: lowered.fileDefault,
      fileAccess: lowered.fileAccess,
      fileBasesCount: lowered.fileBase.length,
      actsByEnd: ends.byEnd,
      actsInternet: ends.internet,
      ...ranges,
      filter,
    }
    // Last, and so removed first: without this entry the kernel answers nothing for the profile, and reports what it asks for.
    put('profiles', encodeU32(profile), encodeMapProfile(value))
    this.#setFilter(profile, filter)
    if (areByName(users)) this.#naming.set(profile, { value, users })
  }

  #remove(written: readonly Written[]): void {
    for (const { map, key } of [...written].reverse()) this.#sensor.delete(map, key)
  }
}

function* saidEntries(
  profile: number,
  { saidExact, saidBase, saidPrefix, saidNumbers, saidRules }: SaidMaps,
): Generator<{ map: string; key: Uint8Array; value: Uint8Array }> {
  const ownerOf = (what: number) => profile * SaidWhat.WHATS + what
  for (const [map, texts] of [
    ['said_exact', saidExact],
    ['said_base', saidBase],
  ] as const)
    for (const { what, bytes, said } of texts) {
      const key = encodeMapExecKey({ profile: ownerOf(what), lengthBytes: bytes.length, path: padded(bytes) })
      yield { map, key, value: encodeU64(said) }
    }
  for (const { what, bytes, said } of saidPrefix) {
    const prefix = { prefixBits: (4 + bytes.length) * 8, profile: ownerOf(what), path: padded(bytes) }
    yield { map: 'said_prefix', key: encodeMapExecPrefixKey(prefix), value: encodeU64(said) }
  }
  for (const { what, number, said } of saidNumbers)
    yield {
      map: 'said_numbers',
      key: encodeMapSaidNumber({ owner: ownerOf(what), number }),
      value: encodeU64(said),
    }
  for (const { kind, entries, ...rules } of saidRules) {
    const empty = { needed: 0n, rule: 0n, violated: 0n }
    const padding = Array.from({ length: SAID_MAX - entries.length }, () => empty)
    const value = { ...rules, entriesCount: entries.length, entries: [...entries, ...padding] }
    yield { map: 'said_rules', key: encodeMapSaidKey({ profile, kind }), value: encodeMapSaidRules(value) }
  }
}

function connectKey(profile: number, { address, prefixBits }: ConnectNode): Uint8Array {
  return encodeMapConnectKey({ prefixBits: 32 + prefixBits, profile, address })
}

function connectNode({ ranges }: ConnectNode): Uint8Array {
  return encodeMapConnectNode({
    rangesCount: ranges.length,
    ranges: ranges.map(({ from, to, violatedTcp, violatedUdp }) => ({
      portFrom: from,
      portTo: to,
      violatedTcp,
      violatedUdp,
    })),
  })
}

function padded(bytes: Uint8Array): Uint8Array {
  const key = new Uint8Array(KEY_PATH_BYTES)
  key.set(bytes.subarray(0, KEY_PATH_BYTES))
  return key
}
