/** Text out of the bytes of events. One view over a slab serves all texts in it: to make one for each costs more than the text. */

let lastView: Buffer = Buffer.alloc(0)

function viewOf(buffer: ArrayBufferLike): Buffer {
  if (lastView.buffer !== buffer) lastView = Buffer.from(buffer)
  return lastView
}

/** Bytes as text; invalid UTF-8 becomes U+FFFD. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  return viewOf(bytes.buffer).toString('utf8', bytes.byteOffset + start, bytes.byteOffset + end)
}

/** A character a byte: a copy of the bytes that is one object. */
export function packBytes(bytes: Uint8Array, start: number, end: number): string {
  return viewOf(bytes.buffer).toString('latin1', bytes.byteOffset + start, bytes.byteOffset + end)
}
