/** The transformers of outputs, on texts. As in conditions: what is missing or fails is missing. */
import { basename } from 'node:path'
import type { TransformerName } from '../../policy/condition/ast.js'
import type { Texts } from './format.js'

export function transformed(name: TransformerName, args: readonly Texts[], index: string | undefined): Texts {
  if (name === 'join' || name === 'concat') {
    if (args.some((texts) => texts === undefined)) return undefined
    const all = args.flatMap((texts) => texts ?? [])
    return name === 'concat' ? [all.join('')] : [all.slice(1).join(all[0] ?? '')]
  }
  const [first, second] = args
  if (first === undefined) return name === 'len' ? ['0'] : undefined
  switch (name) {
    case 'tolower':
      return first.map(lower)
    case 'toupper':
      return first.map((text) => text.replace(/[a-z]/g, (letter) => letter.toUpperCase()))
    case 'basename':
      return first.map((text) => (text.endsWith('/') ? '' : basename(text)))
    case 'b64':
      return first.every((text) => BASE64.test(text))
        ? first.map((text) => Buffer.from(text, 'base64').toString('utf8'))
        : undefined
    case 'len':
      return [String(first.length === 1 ? Buffer.byteLength(first[0] ?? '') : first.length)]
    default:
      return options(first.join(' '), second?.[0] ?? '', index)
  }
}

/** ASCII alone, as the C locale has it. */
function lower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** As getopt(3): `letters` with `:` behind those that take a value. With an index the value of that option, else the options that are set. */
function options(text: string, letters: string, index: string | undefined): Texts {
  const words = text.split(' ').filter(Boolean)
  const found = new Map<string, string>()
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (word === '--' || !word.startsWith('-') || word === '-') break
    for (let in_ = 1; in_ < word.length; in_++) {
      const letter = word.charAt(in_)
      const known = letters.indexOf(letter)
      if (letter === ':' || known === -1) return undefined
      if (letters.charAt(known + 1) !== ':') {
        found.set(letter, '')
        continue
      }
      const rest = word.slice(in_ + 1)
      found.set(letter, rest === '' ? (words[++at] ?? '') : rest)
      break
    }
  }
  if (index === undefined) return [...found.keys()]
  const value = found.get(index)
  return value === undefined ? undefined : [value]
}
