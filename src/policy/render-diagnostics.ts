/**
 * Diagnostics as text for a person: `file:line:column: severity CODE: message`, the source line, a caret under the
 * place. Nothing of the source reaches the terminal raw; long lines are shown around the caret only.
 */
import type { Diagnostic } from './diagnostics.js'
import type { SourceText } from './source-text.js'
import { visible, widthOf } from './visible-text.js'

/** Code points of a source line shown on each side of the place: fits a terminal of 120 columns with the margin. */
const CONTEXT_BEFORE_COUNT = 60
const SHOWN_MAX_COUNT = 110
/** A tab in the source is shown as this many blanks. */
const TAB = '    '

export interface RenderableDiagnostics {
  readonly diagnostics: readonly Diagnostic[]
  readonly omittedCount: number
  readonly sources: ReadonlyMap<string, SourceText>
}

export function renderDiagnostics(result: RenderableDiagnostics): string {
  const parts = result.diagnostics.map((diagnostic) =>
    renderDiagnostic(diagnostic, result.sources.get(diagnostic.span.file)),
  )
  if (result.omittedCount > 0) parts.push(`and ${result.omittedCount} more, not shown\n`)
  return parts.join('\n')
}

/** Ends in a line break. Without the source only the first line (and the help) is given. */
export function renderDiagnostic(diagnostic: Diagnostic, source: SourceText | undefined): string {
  const { span } = diagnostic
  let text = `${visible(span.file)}:${span.line}:${span.column}: ${diagnostic.severity} ${diagnostic.code}: ${visible(diagnostic.message)}\n`
  const margin = String(span.line)
  if (source !== undefined && source.text !== '') {
    const { shown, caret } = excerpt(source.line(span.line), span.column - 1, span.lengthCount)
    text += `  ${margin} | ${shown}\n  ${' '.repeat(margin.length)} | ${caret}\n`
  }
  if (diagnostic.help !== undefined) text += `  ${' '.repeat(margin.length)} = help: ${visible(diagnostic.help)}\n`
  return text
}

function excerpt(line: string, column: number, lengthCount: number): { shown: string; caret: string } {
  const points = [...line]
  const from = points.length <= SHOWN_MAX_COUNT ? 0 : Math.max(0, column - CONTEXT_BEFORE_COUNT)
  const to = Math.min(points.length, from + SHOWN_MAX_COUNT)
  let shown = from > 0 ? '…' : ''
  let before = shown.length
  let under = 0
  for (let at = from; at < to; at++) {
    const point = points[at] ?? ''
    const piece = point === '\t' ? TAB : visible(point)
    const width = piece.length > 2 ? piece.length : [...piece].reduce((sum, char) => sum + widthOf(char), 0)
    shown += piece
    if (at < column) before += width
    else if (at < column + lengthCount) under += width
  }
  if (to < points.length) shown += '…'
  return { shown: shown.trimEnd(), caret: ' '.repeat(before) + '^'.repeat(Math.max(1, under)) }
}
