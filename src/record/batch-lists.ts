/**
 * The lists of a batch that are written as its records come: bodies, strings, time columns. Each has a writer of its own, so
 * that equal things lie together and nothing of a record outlives its call but its bytes. A batch is their concatenation, since
 * a repeated field's entries may stand anywhere in a message.
 */
import protobuf from 'protobufjs/minimal.js'
import { RECORD_BATCH_TAGS } from './generated/wire.js'

export type BatchList = keyof typeof RECORD_BATCH_TAGS

export class BatchLists {
  readonly #writers = new Map<BatchList, protobuf.Writer>()
  readonly #packed = new Map<BatchList, protobuf.Writer>()

  /** Where the list's next entry goes, its tag written. */
  next(list: BatchList): protobuf.Writer {
    return this.#writerOf(list).uint32(RECORD_BATCH_TAGS[list])
  }

  /** The same for an entry that is a message: to be closed with ldelim(). */
  open(list: BatchList): protobuf.Writer {
    return this.next(list).fork()
  }

  /** Where the next value of a packed list goes: all of them are one entry, which stays open until the end. */
  packed(list: BatchList): protobuf.Writer {
    const open = this.#packed.get(list)
    if (open !== undefined) return open
    const writer = this.open(list)
    this.#packed.set(list, writer)
    return writer
  }

  /** Adds everything to the batch's own fields. Nothing may be written afterwards. */
  appendTo(batch: protobuf.Writer): void {
    for (const writer of this.#packed.values()) writer.ldelim()
    for (const writer of this.#writers.values()) batch.raw(writer.finish(/* shared= */ true))
  }

  #writerOf(list: BatchList): protobuf.Writer {
    let writer = this.#writers.get(list)
    if (writer === undefined) {
      writer = protobuf.Writer.create()
      this.#writers.set(list, writer)
    }
    return writer
  }
}
