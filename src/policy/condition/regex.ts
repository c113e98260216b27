/**
 * Whether text is a POSIX extended regular expression as RE2 reads it in POSIX mode: groups and classes closed, something
 * before each repetition, no back-references and no `(?`. One pass; the depth and the repetitions are bounded.
 */

/** RE2's own bound of a counted repetition. */
const REPEAT_MAX_COUNT = 1000

/** Undefined: well-formed; else what is wrong. */
export function regexFault(pattern: string): string | undefined {
  let depth = 0
  let canRepeat = false
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern.charAt(at)
    if (char === '\\') {
      const next = pattern.charAt(++at)
      if (next === '') return 'the expression ends in a lone backslash'
      if (/[a-zA-Z1-9]/.test(next)) return `\`\\${next}\` is not part of POSIX regular expressions`
      canRepeat = true
    } else if (char === '(') {
      if (pattern.charAt(at + 1) === '?') return '`(?` is not part of POSIX regular expressions'
      depth++
      canRepeat = false
    } else if (char === ')') {
      if (--depth < 0) return 'there is no `(` for a `)`'
      canRepeat = true
    } else if (char === '[') {
      const end = classEnd(pattern, at)
      if (end === -1) return 'a `[` is never closed'
      at = end
      canRepeat = true
    } else if (char === '*' || char === '+' || char === '?') {
      if (!canRepeat) return `\`${char}\` has nothing to repeat`
      canRepeat = false
    } else if (char === '{' && /^\{\d+(?:,\d*)?\}/.test(pattern.slice(at, at + 12))) {
      if (!canRepeat) return '`{` has nothing to repeat'
      const [, from = '', to] = /^\{(\d+)(?:,(\d*))?\}/.exec(pattern.slice(at, at + 12)) ?? []
      const last = to === undefined || to === '' ? Number(from) : Number(to)
      if (last > REPEAT_MAX_COUNT || last < Number(from)) return `a repetition is not within 0 to ${REPEAT_MAX_COUNT}`
      at = pattern.indexOf('}', at)
      canRepeat = false
    } else canRepeat = char !== '|' && char !== '^'
  }
  return depth > 0 ? 'a `(` is never closed' : undefined
}

/** Offset of the `]` that closes the class opened at `at`; -1 without one. */
function classEnd(pattern: string, at: number): number {
  let next = at + 1
  if (pattern.charAt(next) === '^') next++
  if (pattern.charAt(next) === ']') next++
  for (; next < pattern.length; next++) {
    if (pattern.startsWith('[:', next)) {
      const end = pattern.indexOf(':]', next + 2)
      if (end === -1) return -1
      next = end + 1
    } else if (pattern.charAt(next) === ']') return next
  }
  return -1
}
