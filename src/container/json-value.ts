/**
 * Narrowing of JSON that others wrote: a field of the wrong type counts as absent, nothing throws. Bounds what of it may
 * reach a record.
 */

export type JsonObject = Readonly<Record<string, unknown>>

const EMPTY: JsonObject = Object.freeze({})
/** Docker allows names and image references far below this; a longer one is cut, since it goes into every record. */
const NAME_LIMIT_CHARS = 1024
/** Labels go into every record of a container; Compose and Kubernetes together set about 30. */
const LABELS_LIMIT_COUNT = 256
const LABELS_LIMIT_CHARS = 16 * 1024

/** undefined for text that is no JSON object. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key]
  return isObject(value) ? value : EMPTY
}

export function stringAt(object: JsonObject, key: string): string {
  const value = object[key]
  return typeof value === 'string' ? value : ''
}

export function nameAt(object: JsonObject, key: string): string {
  return stringAt(object, key).slice(0, NAME_LIMIT_CHARS)
}

/** A whole number from 0 on, or undefined. */
export function countAt(object: JsonObject, key: string): number | undefined {
  const value = object[key]
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

export interface BoundedLabels {
  labels: Readonly<Record<string, string>>
  /** Labels that were left out since there are too many or they are too long. */
  droppedCount: number
}

/** Frozen, without a prototype: a label named `__proto__` is a label. */
export function boundedLabels(pairs: Iterable<readonly [string, unknown]>): BoundedLabels {
  const labels: Record<string, string> = Object.create(null)
  let keptCount = 0
  let chars = 0
  let droppedCount = 0
  for (const [key, value] of pairs) {
    if (typeof value !== 'string') continue
    if (keptCount === LABELS_LIMIT_COUNT || chars + key.length + value.length > LABELS_LIMIT_CHARS) {
      droppedCount += 1
      continue
    }
    labels[key] = value
    keptCount += 1
    chars += key.length + value.length
  }
  return { labels: Object.freeze(labels), droppedCount }
}
