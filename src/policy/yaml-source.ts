/**
 * Bytes of one file -> YAML documents with positions, within bounds. Syntax errors become diagnostics; nothing is
 * resolved into JavaScript values here, so an alias or a deep nesting cannot multiply. Never throws on any input.
 */
import {
  Composer,
  type CST,
  type Document,
  isScalar,
  Lexer,
  type ParsedNode,
  Parser,
  visit,
  type YAMLParseError,
} from 'yaml'
import type { DiagnosticSink } from './diagnostics.js'
import { SourceText } from './source-text.js'
import { shortened, visible } from './visible-text.js'

/** A policy of a thousand rules is about 200 KiB; a file beyond this is not a policy, and parsing it would hold the agent up. */
export const POLICY_FILE_MAX_BYTES = 1024 * 1024
/** As many policies as the kernel keeps budgets for (HG_POLICIES_MAX of bpf/abi.h). */
export const DOCUMENTS_MAX_COUNT = 1024
/** Policies nest five deep; the library's composer recurses, and its parser is quadratic in the depth. */
const NESTING_MAX_COUNT = 64
/** Finding an alias's anchor walks the document, so their number is bounded. */
const ALIASES_MAX_COUNT = 100
/** The densest sensible policy of 1 MiB has about 250,000 lexemes; the library takes some 5 µs for each. */
const LEXEMES_MAX_COUNT = 400_000
/** What the library says may hold a piece of the file as long as the file. */
const MESSAGE_MAX_COUNT = 200

export type PolicyDocument = Document.Parsed<ParsedNode>

const YAML_OPTIONS = {
  version: '1.2',
  schema: 'core',
  merge: false,
  // compares every pair of keys; mappings are checked with a set when they are read
  uniqueKeys: false,
  prettyErrors: false,
  keepSourceTokens: false,
} as const

/** Undefined: not text, and the sink has been told. The text is there for rendering even when the YAML is not well-formed. */
export function decodeSource(file: string, bytes: Uint8Array, sink: DiagnosticSink): SourceText | undefined {
  const start = new SourceText(file, '').span(0, 0)
  if (bytes.length > POLICY_FILE_MAX_BYTES) {
    sink.error('policy_too_large', start, `the file has ${bytes.length} bytes, more than ${POLICY_FILE_MAX_BYTES}`)
    return undefined
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    sink.error('policy_not_text', start, 'the file is not UTF-8 text')
    return undefined
  }
  const source = new SourceText(file, text)
  const control = controlCharacter(text)
  if (control === -1) return source
  const char = visible(text.charAt(control))
  sink.error('policy_not_text', source.span(control, control + 1), `the file holds a control character, ${char}`)
  return undefined
}

/** C0 except tab and line breaks, and DEL: what YAML forbids too. */
function controlCharacter(text: string): number {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if ((unit < 0x20 && unit !== 0x09 && unit !== 0x0a && unit !== 0x0d) || unit === 0x7f) return at
  }
  return -1
}

/** The documents that have content. Errors are in the sink; what could be read is returned all the same, so that one run shows more than the first mistake. */
export function parseYaml(source: SourceText, sink: DiagnosticSink): PolicyDocument[] {
  const documents: PolicyDocument[] = []
  try {
    const tokens = boundedTokens(source, sink)
    if (tokens === undefined) return []
    for (const document of new Composer<ParsedNode>(YAML_OPTIONS).compose(tokens)) {
      if (documents.length === DOCUMENTS_MAX_COUNT) {
        sink.error(
          'policy_limit',
          source.span(document.range[0], 0),
          `more than ${DOCUMENTS_MAX_COUNT} documents in a file`,
        )
        break
      }
      reportYaml(document, source, sink)
      if (!isEmpty(document)) documents.push(document)
    }
  } catch (error) {
    const reason = error instanceof RangeError ? 'it nests too deeply' : shortened(String(error), MESSAGE_MAX_COUNT)
    sink.error('policy_yaml', source.span(0, 0), `the file cannot be read as YAML: ${reason}`)
  }
  return documents
}

/** Nothing between two `---`. */
function isEmpty(document: PolicyDocument): boolean {
  const { contents } = document
  return contents === null || (isScalar(contents) && contents.value === null)
}

/** The parser's tokens, with the bounds checked while it reads; undefined when one is exceeded. */
function boundedTokens(source: SourceText, sink: DiagnosticSink): CST.Token[] | undefined {
  const parser = new Parser()
  const tokens: CST.Token[] = []
  let lexemeCount = 0
  let aliasCount = 0
  for (const lexeme of new Lexer().lex(source.text)) {
    const at = parser.offset
    for (const token of parser.next(lexeme)) tokens.push(token)
    lexemeCount++
    if (lexeme.startsWith('*')) aliasCount++
    const exceeded =
      parser.stack.length > NESTING_MAX_COUNT
        ? `the file nests deeper than ${NESTING_MAX_COUNT} levels`
        : aliasCount > ALIASES_MAX_COUNT
          ? `more than ${ALIASES_MAX_COUNT} aliases in a file`
          : lexemeCount > LEXEMES_MAX_COUNT
            ? `the file has more than ${LEXEMES_MAX_COUNT} YAML tokens`
            : undefined
    if (exceeded !== undefined) {
      sink.error('policy_limit', source.span(at, at + 1), exceeded)
      return undefined
    }
  }
  for (const token of parser.end()) tokens.push(token)
  return tokens
}

function reportYaml(document: PolicyDocument, source: SourceText, sink: DiagnosticSink): void {
  for (const error of document.errors) {
    if (sink.full) sink.omitError()
    else report(error, document, source, sink)
  }
  for (const warning of document.warnings) {
    if (sink.full) sink.omitError()
    else
      sink.error(
        'policy_yaml',
        source.span(warning.pos[0], warning.pos[1]),
        'YAML tags are not part of the policy language',
        'an entry that begins with `!` must stand in quotes: "!name"',
      )
  }
}

function report(error: YAMLParseError, document: PolicyDocument, source: SourceText, sink: DiagnosticSink): void {
  const [start, end] = error.code === 'MISSING_CHAR' ? openingOf(document, error.pos) : error.pos
  const message = shortened(error.message.split('\n')[0] ?? '', MESSAGE_MAX_COUNT).replace(/[.:]$/, '')
  const at = source.text.charAt(start)
  const help = at === '*' ? 'an entry that begins with `*` must stand in quotes: "*:80"' : undefined
  sink.error('policy_yaml', source.span(start, end), message.charAt(0).toLowerCase() + message.slice(1), help)
}

/** Where a quote that is never closed was opened: the library gives the place where it missed the end. */
function openingOf(document: PolicyDocument, pos: [number, number]): [number, number] {
  let found = pos
  visit(document, {
    Scalar(_, { range }) {
      if (range === undefined || range === null || (range[1] !== pos[0] && range[1] !== pos[1])) return undefined
      found = [range[0], range[0] + 1]
      return visit.BREAK
    },
  })
  return found
}
