/**
 * Policy files -> checked policies and diagnostics. A file with any error is refused whole: a policy is in force as it
 * was written or not at all. The other files load. Never throws on what users write.
 */
import { DefinitionLoader, EMPTY_SCOPE, type IncludeSource, isSharedDocument, readShared } from './definitions.js'
import { type Diagnostic, DiagnosticSink } from './diagnostics.js'
import type { Policy } from './model.js'
import { NodeReader } from './node-reader.js'
import { type PolicyContext, readPolicy } from './parse-policy.js'
import type { SourceText } from './source-text.js'
import { quoted } from './visible-text.js'
import { DOCUMENTS_MAX_COUNT, decodeSource, parseYaml } from './yaml-source.js'
import { type Yields, yieldsToday } from './yielded.js'

export interface PolicyInput {
  readonly file: string
  readonly bytes: Uint8Array
}

export interface LoadOptions {
  /** Reads files that policies include; not given: none can be. */
  readonly include?: IncludeSource
  /** Which rules can be judged; not given: what this version's probes yield. */
  readonly yields?: Yields
  /** UTC ms: exceptions that have expired by then are warned of. Not given: none has. */
  readonly nowMs?: number
}

export interface LoadResult {
  /** Of the accepted files, in the order given. */
  readonly policies: readonly Policy[]
  readonly diagnostics: readonly Diagnostic[]
  /** Diagnostics beyond the bound, counted only. */
  readonly omittedCount: number
  /** Errors among all diagnostics, omitted ones included; 0: everything was loaded. */
  readonly errorCount: number
  readonly refusedFiles: readonly string[]
  /** For rendering: the text of each file that has diagnostics and is text. */
  readonly sources: ReadonlyMap<string, SourceText>
}

/** As many as the kernel keeps breaker budgets for (HG_POLICIES_MAX of bpf/abi.h). */
export const POLICIES_MAX_COUNT = DOCUMENTS_MAX_COUNT

/** `found` are diagnostics of reading the files, which come first. */
export function loadPolicies(
  inputs: readonly PolicyInput[],
  found: readonly Diagnostic[] = [],
  options: LoadOptions = {},
): LoadResult {
  const sink = new DiagnosticSink()
  for (const diagnostic of found) sink.add(diagnostic)
  const policies = new Map<string, Policy>()
  const refused = new Set(found.flatMap(({ severity, span }) => (severity === 'error' ? [span.file] : [])))
  const sources = new Map<string, SourceText>()
  const context = {
    definitions: new DefinitionLoader(sink, options.include ?? (() => 'there are no files here'), sources),
    yields: options.yields ?? yieldsToday,
    nowMs: options.nowMs ?? 0,
  }
  for (const { file, bytes } of inputs) {
    const errorsBefore = sink.errorCount
    const keptBefore = sink.kept.length
    const source = decodeSource(file, bytes, sink)
    const loaded = source === undefined ? [] : readFile(source, sink, policies, context)
    if (sink.errorCount > errorsBefore) refused.add(file)
    else for (const policy of loaded) policies.set(policy.name, policy)
    if (source !== undefined && sink.kept.length > keptBefore) sources.set(file, source)
  }
  return {
    policies: [...policies.values()],
    diagnostics: inOrder(sink.kept),
    omittedCount: sink.omittedCount,
    errorCount: sink.errorCount,
    refusedFiles: [...refused],
    sources,
  }
}

/** Files in the order they were met, places in the order of the text. */
function inOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const files = [...new Set(diagnostics.map(({ span }) => span.file))]
  return [...diagnostics].sort(
    (a, b) =>
      files.indexOf(a.span.file) - files.indexOf(b.span.file) ||
      a.span.line - b.span.line ||
      a.span.column - b.span.column,
  )
}

function readFile(
  source: SourceText,
  sink: DiagnosticSink,
  accepted: ReadonlyMap<string, Policy>,
  context: Omit<PolicyContext, 'outer'>,
): Policy[] {
  const errorsBefore = sink.errorCount
  const documents = parseYaml(source, sink)
  if (documents.length === 0 && sink.errorCount === errorsBefore)
    sink.error('policy_empty', source.span(0, 0), 'the file holds no policy')
  const here = new Map<string, Policy>()
  let outer = EMPTY_SCOPE
  for (const document of documents) {
    // a document that is not well-formed would only yield errors that follow from the first
    if (document.errors.length > 0) continue
    const reader = new NodeReader(source, document, sink)
    if (isSharedDocument(reader)) {
      outer = readShared(reader, context.definitions, outer)
      continue
    }
    const policy = readPolicy(reader, { ...context, outer })
    if (policy === undefined) continue
    const first = here.get(policy.name) ?? accepted.get(policy.name)
    if (first !== undefined) {
      const place =
        first.span.file === source.file ? `line ${first.span.line}` : `${first.span.file}:${first.span.line}`
      sink.error(
        'policy_duplicate_name',
        policy.span,
        `there are two policies named ${quoted(policy.name)}`,
        `first in ${place}`,
        {
          policy: policy.name,
        },
      )
    } else if (here.size + accepted.size >= POLICIES_MAX_COUNT)
      sink.error('policy_limit', policy.span, `more than ${POLICIES_MAX_COUNT} policies`)
    here.set(policy.name, first ?? policy)
  }
  return [...here.values()]
}
