/** What is to be in force together: native policies, and rules of Falco files with how they are applied. */
import type { Expression } from '../../policy/condition/ast.js'
import type { FalcoRule } from '../../policy/falco/model.js'
import type { Policy } from '../../policy/model.js'

/** Loaded Falco files without their texts: what is left when everything in them has been checked. */
export interface FalcoRules {
  readonly rules: readonly FalcoRule[]
  /** Each stands behind those that it names. */
  readonly macros: ReadonlyMap<string, Expression>
  readonly lists: ReadonlyMap<string, readonly Uint8Array[]>
}

export interface Rulebook {
  readonly policies: readonly Policy[]
  /** undefined: no Falco file was given. */
  readonly falco?: FalcoRules | undefined
  /** Falco rules are for the host's own processes too. */
  readonly isHostWatched?: boolean
  /** Of the Falco rules that hold, only the first is reported. */
  readonly isFirstMatch?: boolean
}
