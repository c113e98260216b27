/**
 * The operands of one event: each is read and walked when it is first asked for, at most once. All that is known of one stands in
 * one object, marked with the number of the event, so that nothing is cleared between events.
 */

import { TEST_MISSING } from './atoms.js'
import type { OperandIndex } from './operand-index.js'
import { type Source, sourcesOf } from './sources.js'
import type { Tables } from './tables.js'
import type { FieldReader } from './types.js'
import { FieldValues, InternedText, NO_HITS } from './values.js'

const NO_READER: FieldReader = { read: () => {} }

/** One operand in the present event. */
export class OperandState {
  readonly values: FieldValues
  readonly id: number
  /** undefined: compared with nothing fixed. */
  readonly index: OperandIndex | undefined
  readonly source: Source
  readonly isText: boolean
  /** The only hit where the operand is missing, if that is compared. */
  readonly missing: Int32Array
  /** Atoms that hold, when walked: the index's own, a text's remembered ones, or the merged ones of several values. */
  hits: Int32Array = NO_HITS
  hitCount = 0
  /** Events in which it was last read, last walked. */
  readIn = 0
  walkedIn = 0
  /** Made for the first event with several values. */
  merged: Int32Array | undefined = undefined

  constructor(id: number, values: FieldValues, source: Source, index: OperandIndex | undefined, missing: Int32Array) {
    this.id = id
    this.values = values
    this.source = source
    this.index = index
    this.isText = index?.isText === true
    this.missing = missing
  }
}

export class Walks {
  readonly #states: readonly OperandState[]
  readonly #typeTexts: readonly InternedText[]
  /** By atom: the event in which it last held, as far as its operand was walked in it. */
  readonly marks: Int32Array
  /** For texts, which outlive programs. */
  readonly #owner = {}
  #event = 0
  #reader = NO_READER
  #eventType = 0

  constructor({ lowered, indexes, eventTypes }: Pick<Tables, 'lowered' | 'indexes' | 'eventTypes'>) {
    const { atoms, operands } = lowered
    const slots = operands.all.map(() => new FieldValues())
    const sources = sourcesOf(operands, slots)
    const missing = operands.all.map(() => NO_HITS)
    for (const { id, operand, test } of atoms.all) if (test === TEST_MISSING) missing[operand] = Int32Array.of(id)
    this.#states = slots.map(
      (values, id) => new OperandState(id, values, sources[id] as Source, indexes[id], missing[id] as Int32Array),
    )
    this.#typeTexts = eventTypes.map((name) => new InternedText(new TextEncoder().encode(name)))
    this.marks = new Int32Array(atoms.all.length)
  }

  get programBytes(): number {
    return this.marks.byteLength
  }

  /** Event numbers ascend; before they start over, clear. */
  start(event: number, reader: FieldReader, eventType: number): void {
    this.#event = event
    this.#reader = reader
    this.#eventType = eventType
  }

  clear(): void {
    this.marks.fill(0)
    for (const state of this.#states) {
      state.readIn = 0
      state.walkedIn = 0
    }
  }

  read(operand: number): FieldValues {
    const state = this.#states[operand] as OperandState
    if (state.readIn !== this.#event) this.#read(state)
    return state.values
  }

  walk(operand: number): OperandState {
    const state = this.#states[operand] as OperandState
    if (state.walkedIn !== this.#event) this.#walk(state)
    return state
  }

  #read(state: OperandState): void {
    state.readIn = this.#event
    const { source, values } = state
    values.clear()
    if (source.field >= 0) this.#reader.read(source.field, values)
    else if (source.field === -1) values.addText(this.#typeTexts[this.#eventType] as InternedText)
    else {
      for (let at = 0; at < source.inputs.length; at++) {
        const input = source.inputs[at]
        if (typeof input === 'number') this.read(input)
      }
      source.step?.run(source.values, values)
    }
  }

  #walk(state: OperandState): void {
    state.walkedIn = this.#event
    if (state.readIn !== this.#event) this.#read(state)
    const { index, values } = state
    state.hitCount = 0
    if (values.count === 0) {
      if (values.isEmptyList) return
      state.hits = state.missing
      state.hitCount = state.missing.length
    } else if (index === undefined) return
    else if (values.count > 1) this.#walkSeveral(state, index)
    else {
      const hits = this.#walkOne(state, index, 0)
      const count = this.#foundCount
      if (count === 0) return
      state.hits = hits
      state.hitCount = count
      const { marks } = this
      for (let at = 0; at < count; at++) marks[hits[at] as number] = this.#event
    }
  }

  #walkSeveral(state: OperandState, index: OperandIndex): void {
    state.merged ??= new Int32Array(index.hits.length)
    const { marks } = this
    const { merged, values } = state
    let count = 0
    for (let value = 0; value < values.count; value++) {
      const hits = this.#walkOne(state, index, value)
      const found = this.#foundCount
      for (let at = 0; at < found; at++) {
        const atom = hits[at] as number
        if (marks[atom] === this.#event) continue
        marks[atom] = this.#event
        merged[count++] = atom
      }
    }
    state.hits = merged
    state.hitCount = count
  }

  /** How many hits the last walkOne gave. */
  #foundCount = 0

  #walkOne({ id, isText, values }: OperandState, index: OperandIndex, at: number): Int32Array {
    const text = isText ? values.texts[at] : undefined
    if (text === undefined) {
      index.walk(values, at)
      this.#foundCount = index.hitCount
      return index.hits
    }
    let hits = text.recall(this.#owner, id)
    if (hits === undefined) {
      index.walk(values, at)
      hits = index.hitCount === 0 ? NO_HITS : index.hits.slice(0, index.hitCount)
      text.remember(this.#owner, id, hits)
    }
    this.#foundCount = hits.length
    return hits
  }
}
