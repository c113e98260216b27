/**
 * The policies in force on this host: compiles a set beside the old one, gives every container its profile in the kernel, and
 * swaps both with one write. A set that fails anywhere leaves the old one in force whole.
 *
 * INVARIANT: kernel versions alternate in parity, because a cgroup's entry holds one profile for each parity.
 */

import type { Identity } from '../../container/identity.js'
import type { ContainerTable } from '../../container/table.js'
import { type PlaceWant, placesOfFileRule } from '../../match/place-wants.js'
import { programSteps } from '../../match/program.js'
import { atOnce, type Steps } from '../../match/steps.js'
import type { Profile, Program } from '../../match/types.js'
import { callKindsOf, ofEverybody, type UserWant, usersOfRule } from '../../match/user-wants.js'
import type { Rule } from '../../policy/model.js'
import { type ContainerRef, HOST } from '../../record/model.js'
import type { KernelPolicy } from '../../respond/kernel-policy.js'
import { type EndWants, EVERY_END, lowerEnds } from '../../respond/lower-end.js'
import { EVERY_PLACE, lowerPlaces } from '../../respond/lower-place.js'
import { ENTRY_HOOK } from '../../respond/lower-syscall.js'
import { actsOfKinds, actsOfRules } from '../../respond/rule-acts.js'
import type { HookChange } from '../../sensor/attachments.js'
import { CgroupState, Want } from '../../sensor/generated/abi.js'
import { NAME_KINDS } from '../../sensor/names/streams.js'
import { NAME_PROGRAMS } from '../../sensor/rungs.js'
import type { Sensor } from '../../sensor/sensor.js'
import { HullguardError, messageOf } from '../../telemetry/errors.js'
import { ConditionSet } from '../conditions/condition-set.js'
import type { Rulebook } from '../conditions/rulebook.js'
import { type ActivityClass, actsOfActivity, kindsOfActs } from './acts.js'

/** Events of the old program can still be in the ring for a moment after the swap; a full ring drains well within this. */
const RETIRE_AFTER_MS = 10_000
/** A hook that has found a profile ends within this, also when it is preempted (src/sensor/gaps.ts says for how long). */
const SWEEP_AFTER_MS = 2_000

/** One compiled set, with what a container's profile is under it. */
export class PolicySet {
  readonly #profiles = new WeakMap<ContainerRef, Profile>()
  /** Ids of the profiles that are in the kernel for this set. */
  readonly installed = new Set<number>()

  constructor(
    readonly version: number,
    readonly program: Program,
    readonly rulebook: Rulebook = { policies: program.policies },
    readonly conditions: ConditionSet = atOnce(ConditionSet.steps(rulebook, program)),
  ) {}

  /** Compiles; throws and changes nothing when it cannot. `nowMs`: UTC, for exceptions that expire. */
  static of(version: number, rulebook: Rulebook, nowMs = Date.now()): PolicySet {
    return atOnce(PolicySet.steps(version, rulebook, nowMs))
  }

  /** The same, step by step. */
  static *steps(version: number, rulebook: Rulebook, nowMs = Date.now()): Steps<PolicySet> {
    const program = yield* programSteps(rulebook.policies, nowMs)
    return new PolicySet(version, program, rulebook, yield* ConditionSet.steps(rulebook, program))
  }

  profileFor(ref: ContainerRef): Profile {
    let profile = this.#profiles.get(ref)
    if (profile === undefined) {
      profile = this.program.profileFor(ref)
      this.#profiles.set(ref, profile)
    }
    return profile
  }

  /** What the rules for this container have to see. */
  actsFor(ref: ContainerRef): bigint {
    return actsOfRules(this.rulesOf(this.profileFor(ref))) | actsOfKinds(this.conditions.kindsFor(ref))
  }

  /** What the rules for this container have to see of acts on files. */
  placesFor(ref: ContainerRef): PlaceWant[] {
    const rules = this.rulesOf(this.profileFor(ref))
    return [
      ...rules.flatMap((rule) => (rule.kind === 'file' ? placesOfFileRule(rule) : [])),
      ...this.conditions.placesFor(ref),
    ]
  }

  /** What the rules for this container have to see of acts on sockets. */
  endsFor(ref: ContainerRef): EndWants {
    const listen = this.rulesOf(this.profileFor(ref)).filter((rule) => rule.kind === 'listen')
    return { listen, conditions: this.conditions.endsFor(ref) }
  }

  /** Which users' acts the rules for this container have to see. */
  usersFor(ref: ContainerRef): UserWant[] {
    return [...this.rulesOf(this.profileFor(ref)).flatMap(usersOfRule), ...this.conditions.usersFor(ref)]
  }

  rulesOf(profile: Profile): Rule[] {
    return [...profile.rules].flatMap((id) => this.program.rules[id] ?? [])
  }
}

export interface PoliciesOptions {
  sensor: Sensor
  table: ContainerTable
  kernel: KernelPolicy
  /** `--activity`: what is reported beyond what the rules ask for. */
  activity: ReadonlySet<ActivityClass>
}

export class Policies {
  readonly #options: PoliciesOptions
  /** Masks of acts. */
  readonly #activityActs: bigint
  #current: PolicySet
  #previous: PolicySet | undefined
  readonly #removals = new Set<NodeJS.Timeout>()

  constructor(options: PoliciesOptions) {
    this.#options = options
    this.#activityActs = actsOfActivity(options.activity)
    options.kernel.ignoresCalls = !options.activity.has('syscall')
    this.#current = PolicySet.of(0, { policies: [] })
  }

  get current(): PolicySet {
    return this.#current
  }

  get isHostWanted(): boolean {
    return this.#current.conditions.isForHost
  }

  /** Some rule is about what processes come to hold. */
  get followsCapabilities(): boolean {
    return this.#current.program.rules.some(
      (rule) => rule.kind === 'capability' && rule.when === 'gain' && rule.enabled,
    )
  }

  /** Names in DNS, TLS and HTTP, by anyone. */
  get areNamesWanted(): boolean {
    return this.#wantsNames(this.#current.conditions.kinds)
  }

  /** The set that an event's header names; the current one for a version that is gone. */
  forVersion(version: number): PolicySet {
    return this.#previous?.version === version ? this.#previous : this.#current
  }

  /** Compiles what is to follow the present set, step by step. Nothing else may be put in force until it is. */
  compile(rulebook: Rulebook): Steps<PolicySet> {
    return PolicySet.steps(this.#current.version + 1, rulebook)
  }

  /** Puts a new set in force, whole or not at all (then it throws, and the old one stays). */
  activate(next: PolicySet): void {
    const { sensor, table, kernel } = this.#options
    const [old, older] = [this.#current, this.#previous]
    if (next.version !== old.version + 1) throw new RangeError(`set ${next.version} does not follow`)
    const containers = table.containers()
    const undo: (() => void)[] = [() => this.#sweep(this.#retire(next))] // no hook has found its profiles yet
    let hooks: HookChange
    try {
      for (const { ref } of containers) this.#install(next, ref)
      hooks = sensor.prepareHooks(this.#hooksFor(next, containers))
      undo.push(hooks.undo, () => this.#askForActs(old))
      this.#askForActs(old, next)
      undo.push(() => this.#stand(old, older, containers))
      this.#stand(next, old, containers)
      kernel.allowances.refill()
      sensor.setControl({ version: next.version, ...this.#wantsBeyond(next) }) // the one write that puts it in force
    } catch (error) {
      throw takenBack(error, undo)
    }
    hooks.commit()
    this.#askForActs(next)
    this.#later(RETIRE_AFTER_MS, () => {
      const retired = this.#retire(old)
      this.#later(SWEEP_AFTER_MS, () => this.#sweep(retired))
    })
  }

  /** What is left of old sets stays from then on: the sensor is about to be closed, and takes it along. */
  stop(): void {
    for (const timer of this.#removals) clearTimeout(timer)
    this.#removals.clear()
  }

  #later(delayMs: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#removals.delete(timer)
      work()
    }, delayMs).unref()
    this.#removals.add(timer)
  }

  /** Containers' entries hold both sets; which of them counts is the version's to say. */
  #stand(current: PolicySet, previous: PolicySet | undefined, containers: readonly Identity[]): void {
    this.#previous = previous
    this.#current = current
    for (const identity of containers) this.#writeCgroups(identity)
  }

  /** A container was identified, changed, or grew a cgroup: its cgroups get its profile. True: the kernel did not know it. */
  apply(identity: Identity): boolean {
    if (!identity.confirmed) return false
    this.#install(this.#current, identity.ref)
    this.followContainers()
    const isNew = this.#options.sensor.addContainer(identity.rootCgroupId)
    this.#writeCgroups(identity)
    return isNew
  }

  /** What the containers that there are need of hooks on demand is attached, or it throws; what they need no more is released. */
  followContainers(): void {
    const { sensor, table } = this.#options
    sensor.prepareHooks(this.#hooksFor(this.#current, table.containers())).commit()
  }

  /** Nobody vouches for it: observed with everything, acted on by nothing. */
  withdraw(identity: Identity): void {
    for (const id of this.#options.table.cgroupsOf(identity))
      this.#options.sensor.setCgroup(id, {
        rootId: identity.rootCgroupId,
        profile: [0, 0],
        rootLevel: identity.rootLevel,
        state: CgroupState.PENDING,
        want: Want.PROCESS | Want.CONNECT | this.#wantsBeyond(this.#current).wantPending,
        acts: this.#actsOf(this.#current),
      })
  }

  /** Some exceptions have expired by now (UTC): to stop counting, the same policies have to be put in force anew. */
  hasExpired(nowMs: number): boolean {
    const { validUntilMs } = this.#current.program
    return validUntilMs !== undefined && nowMs >= validUntilMs
  }

  /** Names in rules that the kernel answers stand for other users or groups: the same policies have to be put in force anew. */
  get isOutdated(): boolean {
    return [...this.#current.installed].some((profileId) => this.#options.kernel.isOutdated(profileId))
  }

  /** Called when that may have come to be. */
  set onOutdated(listener: () => void) {
    this.#options.kernel.onOutdated = listener
  }

  /** All acts that this set and the activity classes can ask of any container. */
  #actsOf(set: PolicySet): bigint {
    return (
      this.#activityActs |
      actsOfRules(set.program.rules.filter((rule) => rule.enabled)) |
      actsOfKinds(set.conditions.kinds)
    )
  }

  /** Also for containers to come: a hook has to be there before their first act. What is not decided yet gives them all. */
  #askForActs(...sets: readonly PolicySet[]): void {
    let acts = 0n
    let host = 0n
    for (const set of sets) {
      acts |= this.#actsOf(set)
      host |= actsOfKinds(set.conditions.kindsFor(HOST))
    }
    this.#options.sensor.setActs({ wanted: acts, pending: acts, host })
  }

  /** How often the loaded memory rules want readings, if there are any. */
  get memoryIntervalMs(): number {
    return this.#current.program.rules.some((rule) => rule.kind === 'memory' && rule.enabled) ? 1000 : 10_000
  }

  /** A profile is that of the policies which select a container, so all containers of one want the same acts. */
  #install(set: PolicySet, ref: ContainerRef): void {
    const profile = set.profileFor(ref)
    if (set.installed.has(profile.id)) return
    const { activity, kernel } = this.#options
    kernel.install(set.program, profile, {
      places: activity.has('file') ? EVERY_PLACE : lowerPlaces(set.placesFor(ref)),
      ends: activity.has('network') ? EVERY_END : lowerEnds(set.endsFor(ref)),
      users: [ofEverybody(callKindsOf(kindsOfActs(this.#activityActs))), ...set.usersFor(ref)],
    })
    set.installed.add(profile.id)
  }

  /** Returns the profiles whose tables are still there. */
  #retire(set: PolicySet): readonly number[] {
    const retired = [...set.installed]
    for (const id of retired) this.#options.kernel.retire(id)
    set.installed.clear()
    if (this.#previous === set) this.#previous = undefined
    return retired
  }

  #sweep(profileIds: readonly number[]): void {
    for (const id of profileIds) this.#options.kernel.sweep(id)
  }

  /** Hooks on demand, for a set whose profiles are installed. */
  #hooksFor(set: PolicySet, containers: readonly Identity[]): Set<string> {
    const hooks = new Set<string>()
    for (const identity of containers) for (const hook of this.#callHooksOf(set, identity)) hooks.add(hook)
    for (const hook of this.#options.sensor.hooksOfActs(this.#actsOf(set))) hooks.add(hook)
    if (this.#wantsNames(set.conditions.kinds) && this.#options.sensor.whyNoNames === '')
      for (const hook of NAME_PROGRAMS) hooks.add(hook)
    for (const id of set.installed) for (const hook of this.#options.kernel.hooksOf(id)) hooks.add(hook)
    return hooks
  }

  /** Names in DNS, TLS and HTTP are for whom rules want them; asked of `kinds` of events. */
  #wantsNames(kinds: ReadonlySet<string>): boolean {
    return this.#options.activity.has('names') || NAME_KINDS.some((kind) => kinds.has(kind))
  }

  /** What is asked of the host's own processes, and of cgroups that nobody has decided yet. */
  #wantsBeyond({ conditions }: PolicySet): { wantHost: number; wantPending: number } {
    const environment = conditions.readsEnvironment ? Want.ENV : 0
    const hostNames = NAME_KINDS.some((kind) => conditions.kindsFor(HOST).has(kind)) ? Want.NAMES : 0
    return {
      wantHost: conditions.isForHost ? Want.PROCESS | Want.CONNECT | environment | hostNames : 0,
      wantPending: environment | (this.#wantsNames(conditions.kinds) ? Want.NAMES : 0),
    }
  }

  #callHooksOf(set: PolicySet, identity: Identity): readonly string[] {
    if (this.#options.activity.has('syscall')) return [ENTRY_HOOK]
    return this.#options.kernel.callHooksOf(set.profileFor(identity.ref).id, this.#isJudgedAtEntry(identity))
  }

  /**
   * First uses are told at the entry of calls, and then the calls that rules are about are too. And a reboot of the host itself has no end:
   * one that comes from the host's own PID namespace.
   */
  #isJudgedAtEntry({ sharesHostPids }: Identity): boolean {
    return this.#options.activity.has('syscall') || sharesHostPids === true
  }

  #writeCgroups(identity: Identity): void {
    const { sensor, table, activity } = this.#options
    const current = this.#current.profileFor(identity.ref).id
    const previous = this.#previous === undefined ? current : this.#previous.profileFor(identity.ref).id
    const isOdd = (this.#current.version & 1) === 1
    let want = Want.PROCESS | Want.CONNECT
    if (activity.has('syscall')) want |= Want.SYSCALL_FIRST
    if (hasSyscallRule(this.#current, identity.ref)) want |= Want.SYSCALL_RULES
    if (this.#isJudgedAtEntry(identity)) want |= Want.SYSCALLS_AT_ENTRY
    if (this.#current.conditions.readsEnvironment) want |= Want.ENV
    if (this.#wantsNames(this.#current.conditions.kindsFor(identity.ref))) want |= Want.NAMES
    const asked = this.#current.actsFor(identity.ref)
    for (const id of table.cgroupsOf(identity))
      sensor.setCgroup(id, {
        rootId: identity.rootCgroupId,
        acts: asked | this.#activityActs,
        actsAggregated: this.#activityActs & ~asked,
        profile: isOdd ? [previous, current] : [current, previous],
        rootLevel: identity.rootLevel,
        state: CgroupState.CONTAINER,
        want,
      })
  }
}

/** Undoes the steps, last first. The error tells too what could not be undone. */
function takenBack(error: unknown, undo: readonly (() => void)[]): unknown {
  const left: string[] = []
  for (const step of [...undo].reverse())
    try {
      step()
    } catch (fault) {
      left.push(messageOf(fault))
    }
  if (left.length === 0) return error
  const message = `${messageOf(error)}; not all of it could be taken back: ${left.join('; ')}`
  return new HullguardError('rules_not_restored', message, { cause: error })
}

function hasSyscallRule(set: PolicySet, ref: ContainerRef): boolean {
  return set.rulesOf(set.profileFor(ref)).some((rule) => rule.kind === 'syscall')
}
