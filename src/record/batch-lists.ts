/**
 * The lists of a batch that are written as its records come: bodies, strings, time columns. Each has a writer of its own, so
 * that equal things lie together and nothing of a record outlives its call but its bytes. A batch is their concatenation, since
 * a repeated field's entries may stand anywhere in a message.
 */
import protobuf from 'protobufjs/minimal.js'
import { RECORD_BATCH_TAGS as TAGS } from './generated/wire.js'

export class BatchList {
  readonly #tag: number
  #writer: protobuf.Writer | undefined
  #isPacked = false

  constructor(tag: number) {
    this.#tag = tag
  }

  /** Where the next entry goes, its tag written. */
  next(): protobuf.Writer {
    this.#writer ??= protobuf.Writer.create()
    return this.#writer.uint32(this.#tag)
  }

  /** The same for an entry that is a message: to be closed with ldelim(). */
  open(): protobuf.Writer {
    return this.next().fork()
  }

  /** Where the next value of a packed list goes: all of them are one entry, which stays open until the end. */
  packed(): protobuf.Writer {
    if (this.#writer !== undefined) return this.#writer
    this.#isPacked = true
    return this.open()
  }

  /** Adds the list to the batch's own fields. Nothing may be written afterwards. */
  appendTo(batch: protobuf.Writer): void {
    if (this.#writer === undefined) return
    if (this.#isPacked) this.#writer.ldelim()
    batch.raw(this.#writer.finish(/* shared= */ true))
  }
}

export class BatchLists {
  readonly strings = new BatchList(TAGS.strings)
  readonly bootNsDeltas = new BatchList(TAGS.bootNsDeltas)
  readonly utcOffsetNsDeltas = new BatchList(TAGS.utcOffsetNsDeltas)
  readonly execs = new BatchList(TAGS.execs)
  readonly forks = new BatchList(TAGS.forks)
  readonly exits = new BatchList(TAGS.exits)
  readonly connects = new BatchList(TAGS.connects)
  readonly syscalls = new BatchList(TAGS.syscalls)
  readonly samples = new BatchList(TAGS.samples)
  readonly ooms = new BatchList(TAGS.ooms)
  readonly containerChanges = new BatchList(TAGS.containerChanges)
  readonly agentChanges = new BatchList(TAGS.agentChanges)
  readonly gaps = new BatchList(TAGS.gaps)
  readonly alerts = new BatchList(TAGS.alerts)
  readonly calls = new BatchList(TAGS.calls)
  readonly listens = new BatchList(TAGS.listens)
  readonly accepts = new BatchList(TAGS.accepts)
  readonly closes = new BatchList(TAGS.closes)
  readonly dnses = new BatchList(TAGS.dnses)
  readonly tlses = new BatchList(TAGS.tlses)
  readonly https = new BatchList(TAGS.https)

  appendTo(batch: protobuf.Writer): void {
    for (const list of Object.values(this) as BatchList[]) list.appendTo(batch)
  }
}
