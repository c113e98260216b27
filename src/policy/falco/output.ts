/** The fields that a rule's `output` names after `%`, as Falco writes them: `%proc.name`, `%proc.aname[2]`, `%tolower(fd.name)`. */
import type { ConditionSource, FieldRef, Operand, TransformerArgument } from '../condition/ast.js'
import { parseOperandAt, type SyntaxFault } from '../condition/parser.js'

export interface OutputFields {
  readonly operands: readonly Operand[]
  readonly faults: readonly SyntaxFault[]
}

export function readOutput(source: ConditionSource, isField: (name: string) => boolean): OutputFields {
  const operands: Operand[] = []
  const faults: SyntaxFault[] = []
  const { text } = source
  for (let at = text.indexOf('%'); at !== -1; at = text.indexOf('%', at)) {
    at++
    // `%%` is a percent sign
    if (text.charAt(at) === '%') {
      at++
      continue
    }
    const read = parseOperandAt(source, at)
    if (read === undefined) {
      const message = '`%` is not followed by the name of a field'
      faults.push({ span: { source, start: at - 1, end: at }, message, help: 'a percent sign is written `%%`' })
    } else if (!read.ok) faults.push(read.fault)
    else {
      const { operand } = read
      at = read.end
      operands.push(operand.kind === 'field' ? known(operand, isField) : operand)
    }
  }
  return { operands, faults }
}

/** The text between fields, and the fields, in order. What readOutput() finds fault with stays text. */
export function outputParts(text: string, isField: (name: string) => boolean): readonly (string | Operand)[] {
  const source = plainSource(text)
  const parts: (string | Operand)[] = []
  let plain = ''
  for (let at = 0; at < text.length; ) {
    const next = text.indexOf('%', at)
    plain += next === -1 ? text.slice(at) : text.slice(at, next)
    if (next === -1) break
    at = next + 1
    if (text.charAt(at) === '%') {
      plain += '%'
      at++
      continue
    }
    const read = parseOperandAt(source, at)
    if (read === undefined || !read.ok) {
      plain += '%'
      continue
    }
    const operand = read.operand.kind === 'field' ? known(read.operand, isField) : read.operand
    if (plain !== '') parts.push(plain)
    parts.push(operand)
    plain = ''
    at = operand === read.operand ? read.end : operand.span.end
  }
  return plain === '' ? parts : [...parts, plain]
}

/** For text that was checked before: nobody asks for places in it. */
function plainSource(text: string): ConditionSource {
  return {
    text,
    locate: () => {
      throw new Error('no places are kept of an output in force')
    },
  }
}

/** `%proc.name.exe` is the field proc.name and then text: the longest name that is a field counts. */
function known(field: FieldRef, isField: (name: string) => boolean): FieldRef {
  for (let name = field.name; name.includes('.'); name = name.slice(0, name.lastIndexOf('.'))) {
    if (!isField(name)) continue
    if (name === field.name) return field
    const { source, start } = field.span
    return { kind: 'field', name, span: { source, start, end: start + name.length } }
  }
  return field
}

/** All fields within. */
export function fieldsOf(part: TransformerArgument): FieldRef[] {
  if (part.kind === 'field') return [part]
  if (part.kind === 'transformer') return part.args.flatMap(fieldsOf)
  return part.kind === 'arguments' ? part.items.flatMap(fieldsOf) : []
}
