/**
 * Quoted values: escapes to bytes and back. A quote closes a value unless a backslash stands before it, whatever stands
 * before that: so Falco reads them, and a value that ends in a backslash is written `\x5c`.
 */

/** C escapes; the quote that encloses the value is escaped by itself. */
const SIMPLE: Readonly<Record<string, number>> = {
  b: 0x08,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  '\\': 0x5c,
  '/': 0x2f,
  // an old spelling: backslash and blank are a backslash
  ' ': 0x5c,
}

export type Unescaped = { ok: true; bytes: Uint8Array } | { ok: false; at: number; length: number; message: string }

const encoder = new TextEncoder()

/** `body` is what stands between two `quote`s; `at` of a refusal is an offset in it. */
export function unescapeBody(body: string, quote: string): Unescaped {
  if (!body.includes('\\')) return { ok: true, bytes: encoder.encode(body) }
  const parts: Uint8Array[] = []
  let plainFrom = 0
  for (let at = body.indexOf('\\'); at !== -1; at = body.indexOf('\\', plainFrom)) {
    if (at > plainFrom) parts.push(encoder.encode(body.slice(plainFrom, at)))
    const letter = body.charAt(at + 1)
    const simple = letter === quote ? letter.charCodeAt(0) : Object.hasOwn(SIMPLE, letter) ? SIMPLE[letter] : undefined
    if (simple !== undefined) {
      parts.push(Uint8Array.of(simple))
      plainFrom = at + 2
    } else if (letter === 'x') {
      const digits = body.slice(at + 2, at + 4)
      if (!/^[0-9a-fA-F]{2}$/.test(digits))
        return { ok: false, at, length: 2 + digits.length, message: '`\\x` needs two hexadecimal digits' }
      parts.push(Uint8Array.of(Number.parseInt(digits, 16)))
      plainFrom = at + 4
    } else {
      const message = letter === '' ? 'the value ends in a lone backslash' : 'there is no such escape in a quoted value'
      return { ok: false, at, length: 2, message }
    }
  }
  if (plainFrom < body.length) parts.push(encoder.encode(body.slice(plainFrom)))
  return { ok: true, bytes: new Uint8Array(Buffer.concat(parts)) }
}

/** In double quotes, such that reading it again gives the same bytes. */
export function quoteBytes(bytes: Uint8Array): string {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    text = Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`)).join('')
    return `"${escapeAscii(text.replace(/\\(?!x[89a-f][0-9a-f])/g, '\\\\'))}"`
  }
  return `"${escapeAscii(text.replace(/\\/g, '\\\\'))}"`
}

/** Backslashes of `text` are escaped already. */
function escapeAscii(text: string): string {
  const escaped = text
    .replace(/"/g, '\\"')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is escaped
    .replace(/[\x00-\x1f\x7f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return escaped.endsWith('\\\\') ? `${escaped.slice(0, -2)}\\x5c` : escaped
}
