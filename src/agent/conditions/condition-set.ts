/**
 * The rules that are conditions, of Falco files and of native policies, as one program; and which containers each is for.
 * Scope 0 is that of the Falco files, policy i has scope i + 1.
 */
import type { Identity } from '../../container/identity.js'
import { conditionSteps } from '../../match/conditions/compile.js'
import { endsOf } from '../../match/conditions/ends.js'
import { placesOf } from '../../match/conditions/places.js'
import type { ConditionHits, ConditionProfile, ConditionProgram, ConditionRule } from '../../match/conditions/types.js'
import { usersOf } from '../../match/conditions/users.js'
import { type EndWant, isSocketAct } from '../../match/end-wants.js'
import { conditionInForce } from '../../match/exceptions.js'
import { isFileAct } from '../../match/file-acts.js'
import type { PlaceWant } from '../../match/place-wants.js'
import { selects } from '../../match/selector.js'
import type { Steps } from '../../match/steps.js'
import type { Program } from '../../match/types.js'
import type { UserWant } from '../../match/user-wants.js'
import type { Expression } from '../../policy/condition/ast.js'
import { textOf } from '../../policy/condition/check.js'
import type { FalcoRule } from '../../policy/falco/model.js'
import type { ConditionRule as NativeRule } from '../../policy/model.js'
import { findEventType, TOLD_TYPES } from '../../record/fields/events.js'
import { findField } from '../../record/fields/table.js'
import { type ContainerRef, type EventKind, HOST } from '../../record/model.js'
import type { EventContext } from '../fields/context.js'
import { OutputFormat } from '../fields/format.js'
import { ContextReader } from '../fields/reader.js'
import type { FalcoRules, Rulebook } from './rulebook.js'
import { visitFields } from './visit-fields.js'

const FALCO_SCOPE = 0
/** As Falco appends what its container plugin suggests. */
const FALCO_CONTAINER_FIELDS =
  ' container_id=%container.id container_name=%container.name container_image_repository=%container.image.repository container_image_tag=%container.image.tag k8s_pod_name=%k8s.pod.name k8s_ns_name=%k8s.ns.name'

/** What a rule of the program is. */
export type RuleSource =
  | { readonly from: 'falco'; readonly rule: FalcoRule; readonly format: OutputFormat }
  | { readonly from: 'policy'; readonly rule: NativeRule; readonly id: number }

interface Parts {
  readonly rules: ConditionRule[]
  readonly sources: RuleSource[]
  readonly macros: Map<string, Expression>
  readonly lists: Map<string, readonly Uint8Array[]>
}

export class ConditionSet {
  readonly program: ConditionProgram
  readonly sources: readonly RuleSource[]
  readonly hits: ConditionHits
  /** Of the Falco rules that hold, only the first is reported; native rules are always all. */
  readonly isFirstMatch: boolean
  /** Kinds of events that a rule of each scope asks for. */
  readonly #kinds = new Map<number, Set<EventKind>>()
  /** What the rules of each scope have to see of acts on files. */
  readonly #places = new Map<number, PlaceWant[]>()
  /** … of acts on sockets. */
  readonly #ends = new Map<number, EndWant[]>()
  /** … of acts by users. */
  readonly #users = new Map<number, UserWant[]>()
  /** Fields that are read only where they are asked for. */
  #readsEnvironment: boolean
  /** Names of hosts that rules compare with. */
  readonly #hostNames = new Set<string>()
  readonly #isHostWatched: boolean
  readonly #policies: Program['policies']
  readonly #profiles = new WeakMap<ContainerRef, ConditionProfile>()
  #reader: { context: EventContext; reader: ContextReader } | undefined

  /** Compiles, step by step. */
  static *steps(rulebook: Rulebook, native: Program): Steps<ConditionSet> {
    const parts: Parts = { rules: [], sources: [], macros: new Map(), lists: new Map() }
    if (rulebook.falco !== undefined) yield* addFalco(parts, rulebook.falco)
    yield* addNative(parts, native)
    const program = yield* conditionSteps({
      rules: parts.rules,
      macros: parts.macros,
      list: (name) => parts.lists.get(name),
      fieldType: (name) => findField(name)?.type,
      eventTypes: TOLD_TYPES,
    })
    const set = new ConditionSet(rulebook, native, parts, program)
    yield* set.#ask(parts)
    return set
  }

  private constructor(rulebook: Rulebook, native: Program, parts: Parts, program: ConditionProgram) {
    this.sources = parts.sources
    this.#policies = native.policies
    this.#isHostWatched = rulebook.isHostWatched ?? false
    this.isFirstMatch = rulebook.isFirstMatch ?? false
    this.program = program
    this.hits = { rules: new Uint32Array(Math.max(1, parts.rules.length)), count: 0 }
    this.#readsEnvironment = program.operands.some(({ name }) => name === 'proc.env')
  }

  /** What the rules ask of the probes and of the host's name service. */
  *#ask(parts: Parts): Steps<void> {
    for (const source of parts.sources) {
      if (source.from === 'falco' && source.format.fields.has('proc.env')) this.#readsEnvironment = true
      yield
    }
    yield* hostNamesOf(parts, this.#hostNames)
    const sources = { macro: (name: string) => parts.macros.get(name), list: (name: string) => parts.lists.get(name) }
    for (const { scope, eventTypes, condition } of parts.rules) {
      const kinds = this.#kinds.get(scope) ?? new Set()
      this.#kinds.set(scope, kinds)
      const asked = eventTypes.flatMap((name) => findEventType(name)?.kind ?? [])
      for (const kind of asked) kinds.add(kind)
      if (asked.some(isFileAct)) {
        const places = this.#places.get(scope) ?? []
        this.#places.set(scope, places)
        for (const place of placesOf(condition, sources, eventTypes)) places.push(place)
      }
      if (asked.some(isSocketAct)) {
        const ends = this.#ends.get(scope) ?? []
        this.#ends.set(scope, ends)
        for (const end of endsOf(condition, sources, eventTypes)) ends.push(end)
      }
      const users = this.#users.get(scope) ?? []
      this.#users.set(scope, users)
      for (const want of usersOf(condition, sources, eventTypes)) users.push(want)
      yield
    }
  }

  get readsEnvironment(): boolean {
    return this.#readsEnvironment
  }

  get hostNames(): ReadonlySet<string> {
    return this.#hostNames
  }

  get isEmpty(): boolean {
    return this.sources.length === 0
  }

  /** Some rule is for processes of the host itself. */
  get isForHost(): boolean {
    return this.#scopesOf(HOST).length > 0
  }

  /** Kinds of events that any rule asks for. */
  get kinds(): ReadonlySet<EventKind> {
    return new Set([...this.#kinds.values()].flatMap((kinds) => [...kinds]))
  }

  /** Kinds of events that the rules for a container, or the host, ask for. */
  kindsFor(ref: ContainerRef): ReadonlySet<EventKind> {
    const kinds = new Set<EventKind>()
    for (const scope of this.#scopesOf(ref)) for (const kind of this.#kinds.get(scope) ?? []) kinds.add(kind)
    return kinds
  }

  /** What the rules for a container have to see of acts on files. */
  placesFor(ref: ContainerRef): PlaceWant[] {
    return this.#scopesOf(ref).flatMap((scope) => this.#places.get(scope) ?? [])
  }

  /** What the rules for a container have to see of acts on sockets. */
  endsFor(ref: ContainerRef): EndWant[] {
    return this.#scopesOf(ref).flatMap((scope) => this.#ends.get(scope) ?? [])
  }

  /** Which users' acts the rules for a container have to see. */
  usersFor(ref: ContainerRef): UserWant[] {
    return this.#scopesOf(ref).flatMap((scope) => this.#users.get(scope) ?? [])
  }

  /** Rules that hold for the event that the context stands on: their number; which they are stands in `hits`. */
  match(context: EventContext, identity: Identity, eventType: number): number {
    const profile = this.#profileOf(identity.ref)
    this.hits.count = 0
    if (!this.program.wants(profile, eventType)) return 0
    this.program.match(profile, eventType, this.#readerFor(context), this.hits)
    return this.hits.count
  }

  #readerFor(context: EventContext): ContextReader {
    if (this.#reader?.context !== context)
      this.#reader = { context, reader: new ContextReader(context, this.program.operands) }
    return this.#reader.reader
  }

  #profileOf(ref: ContainerRef): ConditionProfile {
    let profile = this.#profiles.get(ref)
    if (profile === undefined) {
      profile = this.program.profileOf(this.#scopesOf(ref))
      this.#profiles.set(ref, profile)
    }
    return profile
  }

  #scopesOf(ref: ContainerRef): number[] {
    const scopes = ref.state !== 'host' || this.#isHostWatched ? [FALCO_SCOPE] : []
    for (const [index, { containers }] of this.#policies.entries()) if (selects(containers, ref)) scopes.push(index + 1)
    return scopes.filter((scope) => this.#kinds.has(scope))
  }
}

/** An event that the probes do not tell from another is judged once, as the other. */
function toldTypes(names: readonly string[]): readonly string[] {
  return [...new Set(names.map((name) => findEventType(name)?.toldAs ?? name))]
}

function* addFalco({ rules, sources, macros, lists }: Parts, falco: FalcoRules): Steps<void> {
  for (const [name, expression] of falco.macros) macros.set(name, expression)
  for (const [name, values] of falco.lists) lists.set(name, values)
  for (const rule of falco.rules) {
    if (!rule.enabled) continue
    const { name, condition } = rule
    rules.push({ name, condition, eventTypes: toldTypes(rule.eventTypes), scope: FALCO_SCOPE })
    sources.push({ from: 'falco', rule, format: new OutputFormat(withContainer(rule.output)) })
    yield
  }
}

/** An output that names the container itself is left as it is. */
function withContainer(output: string): string {
  if (/%container\.(?:id|info)\b/.test(output))
    return output.replaceAll('%container.info', FALCO_CONTAINER_FIELDS.trim())
  return output.trimEnd() + FALCO_CONTAINER_FIELDS
}

/** Their conditions are whole in themselves: no macro and no list of a Falco file is meant by them. */
function* addNative({ rules, sources }: Parts, native: Program): Steps<void> {
  const scopes = new Map(native.policies.map(({ name }, index) => [name, index + 1]))
  for (const [id, rule] of native.rules.entries()) {
    const scope = scopes.get(rule.policy)
    if (rule.kind !== 'condition' || !rule.enabled || scope === undefined) continue
    const { name } = rule
    rules.push({ name, condition: conditionInForce(rule), eventTypes: toldTypes(rule.eventTypes), scope })
    sources.push({ from: 'policy', rule, id })
    yield
  }
}

/** Values that fields of host names are compared with. */
function* hostNamesOf({ rules, macros, lists }: Parts, names: Set<string>): Steps<void> {
  const decoder = new TextDecoder()
  const addList = (name: string) => {
    for (const value of lists.get(name) ?? []) names.add(decoder.decode(value))
  }
  for (const expression of [...macros.values(), ...rules.map(({ condition }) => condition)]) {
    yield
    visitFields(expression, (check, field) => {
      if (!/^fd\.[sclr]ip\.name$/.test(field)) return
      if (check.right?.kind === 'value') names.add(textOf(check.right))
      else if (check.right?.kind === 'list_name') addList(check.right.name)
      else if (check.right?.kind === 'list')
        for (const item of check.right.items) {
          names.add(textOf(item))
          if (!item.isQuoted) addList(textOf(item))
        }
    })
  }
}
