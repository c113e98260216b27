/**
 * Which acts on files a condition can hold for: the kernel need not report the others. Always as many as those for which it does
 * hold, or more: what is not understood here is taken to hold for every act.
 */
import type { Check, Expression } from '../../policy/condition/ast.js'
import { findEventType } from '../../record/fields/events.js'
import { isFileAct } from '../file-acts.js'
import {
  ACT_FAILED,
  ACTS_ALL,
  ACTS_FAILED,
  classesOfAct,
  OPEN_ALL,
  OPEN_DOTDOT,
  OPEN_FAILED,
  OPEN_READ,
  OPEN_WRITE,
  type PlaceWant,
} from '../place-wants.js'
import { type BoundSources, both, boundOf, isEquality, textsOf } from './bounds.js'

const EVERY: readonly PlaceWant[] = [{ prefix: '', classes: ACTS_ALL }]
const SUCCEEDED: readonly PlaceWant[] = [{ prefix: '', classes: ACTS_ALL & ~ACTS_FAILED }]
const FAILED: readonly PlaceWant[] = [{ prefix: '', classes: ACTS_FAILED }]
/** Acts whose path is `fd.name` whenever they have one. That a call failed says not which it was. */
const NAMED_BY_FD =
  (classesOfAct('open') | classesOfAct('chmod') | classesOfAct('chown') | classesOfAct('truncate')) & ~ACT_FAILED
/** Of one want; with more it is wanted of more paths. */
const EXCEPT_MAX_COUNT = 1000
const ACCESS_FIELDS: ReadonlyMap<string, number> = new Map([
  ['evt.is_open_read', OPEN_READ],
  ['evt.is_open_write', OPEN_WRITE],
])
/** Fields that are the first path of an act, whole, where they are there at all; and the second. */
const FIRST_PATHS: ReadonlySet<string> = new Set([
  ...(['fd.name', 'evt.arg.path', 'evt.arg.name', 'evt.arg.filename', 'evt.arg.oldpath', 'evt.arg.linkpath'] as const),
])
const SECOND_PATH = 'evt.arg.newpath'
const WILD = /[*?[\]{}\\!+@()|]/

/** `eventTypes`: those that the condition is asked about. */
export function placesOf(
  expression: Expression,
  sources: BoundSources,
  eventTypes: readonly string[],
): readonly PlaceWant[] {
  const bound = {
    every: EVERY,
    meet,
    merged,
    ofCheck: (check: Check) => placesOfCheck(check, sources),
    besideCheck: (check: Check) => placesBesideCheck(check, sources),
  }
  return both(boundOf(expression, sources, bound), placesOfTypes(eventTypes), bound)
}

function placesOfTypes(names: readonly string[]): readonly PlaceWant[] {
  const classes = names.reduce((mask, name) => {
    const kind = findEventType(name)?.kind
    return kind !== undefined && isFileAct(kind) ? mask | classesOfAct(kind) : mask
  }, 0)
  return classes === 0 ? [] : [{ prefix: '', classes }]
}

function placesOfCheck(check: Check, sources: BoundSources): readonly PlaceWant[] {
  const { left, right, operator, modifier } = check
  if (left.kind !== 'field' || left.argument !== undefined || modifier !== undefined || right === undefined)
    return EVERY
  const isEqual = isEquality(operator)
  const values = textsOf(right, sources)
  if (values === undefined) return ofResult(check)
  const areAll = (text: string) => isEqual && values.every((value) => value === text)
  const access = ACCESS_FIELDS.get(left.name)
  if (access !== undefined) {
    if (areAll('true')) return [{ prefix: '', classes: access | OPEN_FAILED }]
    return areAll('false') ? [{ prefix: '', classes: ACTS_ALL & ~access }] : EVERY
  }
  switch (left.name) {
    case 'evt.type':
      return isEqual ? placesOfTypes(values) : EVERY
    case 'evt.failed':
      if (areAll('true')) return FAILED
      return areAll('false') ? SUCCEEDED : EVERY
    case 'evt.res':
    case 'evt.arg.res':
      return areAll('SUCCESS') ? SUCCEEDED : EVERY
    case 'fd.num':
    case 'evt.rawres':
      return ofResult(check)
    case 'fd.directory':
      return isEqual || operator === 'startswith' ? values.map(below) : EVERY
    case 'fd.nameraw':
      return ofRawName(operator, values)
    default:
      return ofPath(left.name, operator, values)
  }
}

/**
 * What the negation of a check may hold for. A field that is not there makes the check false, and its negation true: only what
 * surely has it, with a value that surely holds, is left out.
 */
function placesBesideCheck(check: Check, sources: BoundSources): readonly PlaceWant[] {
  const { left, right, operator, modifier } = check
  if (left.kind !== 'field' || left.argument !== undefined || modifier !== undefined || right === undefined)
    return EVERY
  const values = textsOf(right, sources)
  const areAll = (text: string) => isEquality(operator) && values?.length === 1 && values[0] === text
  const access = ACCESS_FIELDS.get(left.name)
  if (access !== undefined) return areAll('true') ? [{ prefix: '', classes: ACTS_ALL & ~access }] : EVERY
  switch (left.name) {
    case 'evt.failed':
      if (areAll('true')) return SUCCEEDED
      return areAll('false') ? FAILED : EVERY
    case 'evt.res':
      return areAll('SUCCESS') ? FAILED : EVERY
    case 'fd.name': {
      const starts = values === undefined ? [] : sureStartsOf(operator, values)
      return starts.length === 0
        ? EVERY
        : [
            { prefix: '', classes: NAMED_BY_FD, except: starts },
            { prefix: '', classes: ACTS_ALL & ~NAMED_BY_FD },
          ]
    }
    default:
      return EVERY
  }
}

/** Beginnings with which every path matches one of the values. */
function sureStartsOf(operator: string, values: readonly string[]): string[] {
  const starts = values.flatMap((value) => {
    if (operator === 'startswith') return [value]
    if (operator === 'glob')
      return value.search(WILD) === value.length - 1 && value.endsWith('*') ? [untilWild(value)] : []
    return operator === 'pmatch' && !WILD.test(value) ? [`${plainPath(value)}/`] : []
  })
  return starts.includes('') ? [] : starts
}

function ofPath(field: string, operator: string, values: readonly string[]): readonly PlaceWant[] {
  const isSecond = field === SECOND_PATH
  if (!isSecond && !FIRST_PATHS.has(field)) return EVERY
  const starts = startsOf(operator, values)
  return starts === undefined ? EVERY : starts.map((start) => ({ ...below(start), isSecond }))
}

/** What a path can begin with that one of the values matches. */
function startsOf(operator: string, values: readonly string[]): readonly string[] | undefined {
  switch (operator) {
    case 'pmatch':
      // a slash in front means nothing to pmatch: a value without one is of every path
      return values.map((value) => (value.startsWith('/') ? plainPath(untilWild(value)) : ''))
    case 'glob':
      return values.map(untilWild)
    case '=':
    case '==':
    case 'in':
    case 'startswith':
      return values
    default:
      return undefined
  }
}

/** Patterns in which every character stands for itself but `*` and `?`. */
const PLAIN_GLOB = /^[^[\]{}\\!+@()|]*$/

/** A path given with `..`, if nothing else can match. It is told of opens only. */
function ofRawName(operator: string, values: readonly string[]): readonly PlaceWant[] {
  const isText = ['=', '==', 'in', 'contains', 'startswith', 'endswith'].includes(operator)
  const isGlob = operator === 'glob' && values.every((value) => PLAIN_GLOB.test(value))
  if (!(isText || isGlob) || !values.every((value) => value.includes('..'))) return EVERY
  return [{ prefix: '', classes: OPEN_DOTDOT | (ACTS_ALL & ~OPEN_ALL) }]
}

/**
 * `>= 0`, `> 0`, `> -1`: it succeeded; of a result `< 0`: it failed. The descriptor's number is the result of an open alone: a
 * chmod of one has it also where it fails.
 */
function ofResult({ left, operator, right }: Check): readonly PlaceWant[] {
  if (left.kind !== 'field' || (left.name !== 'fd.num' && left.name !== 'evt.rawres')) return EVERY
  const text =
    right?.kind === 'number' ? right.text : right?.kind === 'value' ? Buffer.from(right.bytes).toString() : ''
  const isFromZero = operator === '>=' && /^\d+$/.test(text)
  const isSuccess = isFromZero || (operator === '>' && /^(?:\d+|-1)$/.test(text))
  if (left.name === 'evt.rawres' && operator === '<' && /^0+$/.test(text)) return FAILED
  if (!isSuccess) return EVERY
  return [{ prefix: '', classes: ACTS_ALL & ~(left.name === 'fd.num' ? OPEN_FAILED : ACTS_FAILED) }]
}

const below = (prefix: string): PlaceWant => ({ prefix, classes: ACTS_ALL })

function untilWild(pattern: string): string {
  const at = pattern.search(WILD)
  return at === -1 ? pattern : pattern.slice(0, at)
}

/** As pmatch reads it: a slash more, or one at the end, means nothing. */
function plainPath(text: string): string {
  return text.replace(/\/+/g, '/').replace(/\/$/, '')
}

const isOfEveryPath = ({ prefix, except }: PlaceWant) => prefix === '' && (except?.length ?? 0) === 0

function meet(a: PlaceWant, b: PlaceWant): readonly PlaceWant[] {
  const classes = a.classes & b.classes
  if (classes === 0) return []
  const [short, long] = a.prefix.length <= b.prefix.length ? [a, b] : [b, a]
  if (isOfEveryPath(short)) return [{ ...long, classes }]
  // what is asked of two paths does not exclude each other: then the longer alone is held on to
  if ((short.isSecond ?? false) !== (long.isSecond ?? false)) return [{ ...long, classes }]
  if (!long.prefix.startsWith(short.prefix)) return []
  const except = [...(short.except ?? []), ...(long.except ?? [])]
  if (except.some((each) => long.prefix.startsWith(each))) return []
  const within = except.filter((each) => each.startsWith(long.prefix))
  return [{ ...long, classes, except: [...new Set(within)].slice(0, EXCEPT_MAX_COUNT) }]
}

function merged(wants: readonly PlaceWant[]): readonly PlaceWant[] {
  const sets = new Map<string, PlaceWant>()
  for (const want of wants) {
    const path = isOfEveryPath(want) ? '' : want.isSecond === true ? '2' : '1'
    const key = [path, want.prefix, ...(want.except ?? [])].join('\0')
    sets.set(key, { ...want, classes: (sets.get(key)?.classes ?? 0) | want.classes })
  }
  return [...sets.values()]
}
