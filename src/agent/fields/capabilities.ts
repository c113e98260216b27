/** Sets of capabilities as text, in the order of their bits. */
import type { InternedText } from '../../match/conditions/values.js'
import { CAPABILITIES_MAX, capabilityName } from '../../policy/capabilities.js'
import { TEXTS } from '../process/texts.js'

/** Sets that are met on a host are few. */
const KEPT_MAX_COUNT = 256

const texts = new Map<bigint, InternedText>()

export function capabilityNames(set: bigint): string[] {
  return Array.from({ length: CAPABILITIES_MAX }, (_, number) => number).flatMap((number) =>
    (set >> BigInt(number)) & 1n ? [capabilityName(number)] : [],
  )
}

/** Joined by blanks; empty for none. */
export function capabilitiesText(set: bigint): InternedText {
  const known = texts.get(set)
  if (known !== undefined) return known
  if (texts.size === KEPT_MAX_COUNT) texts.clear()
  const text = TEXTS.ofString(capabilityNames(set).join(' '))
  texts.set(set, text)
  return text
}
