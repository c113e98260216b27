/** Reads fields of the event that a context stands on: every row of the registry that any event yields has its extractor here. */
import type { FieldOperand, FieldReader } from '../../match/conditions/types.js'
import type { FieldValues } from '../../match/conditions/values.js'
import { CONTAINER_FIELDS } from './container-fields.js'
import type { EventContext } from './context.js'
import { DESCRIPTOR_FIELDS } from './descriptor-fields.js'
import { argumentExtractor, EVENT_FIELDS } from './event-fields.js'
import type { Argument, Extractor, Extractors } from './extractor.js'
import { NAME_FIELDS } from './name-fields.js'
import { PROCESS_FIELDS } from './process-fields.js'

const ALL: Extractors = {
  ...EVENT_FIELDS,
  ...PROCESS_FIELDS,
  ...DESCRIPTOR_FIELDS,
  ...NAME_FIELDS,
  ...CONTAINER_FIELDS,
}
const CALL_ARGUMENT = 'evt.arg.'

/** undefined: no event has it. */
export function extractorOf(name: string): Extractor | undefined {
  if (Object.hasOwn(ALL, name)) return ALL[name]
  return name.startsWith(CALL_ARGUMENT) ? argumentExtractor(name.slice(CALL_ARGUMENT.length)) : undefined
}

const NOTHING: Extractor = () => {}

function argumentOf(text: string): Argument {
  return { text, number: /^\d{1,9}$/.test(text) ? Number(text) : -1 }
}

/** Bound to the operands of one program, or of one rule's output. */
export class ContextReader implements FieldReader {
  readonly #context: EventContext
  readonly #extractors: readonly Extractor[]
  readonly #arguments: readonly (Argument | undefined)[]

  constructor(context: EventContext, operands: readonly Pick<FieldOperand, 'name' | 'argument'>[]) {
    this.#context = context
    this.#extractors = operands.map(({ name }) => extractorOf(name) ?? NOTHING)
    this.#arguments = operands.map(({ argument }) => (argument === undefined ? undefined : argumentOf(argument)))
  }

  read(operand: number, into: FieldValues): void {
    const extract = this.#extractors[operand]
    if (extract !== undefined) extract(this.#context, into, this.#arguments[operand])
  }
}
