/** A host's name as it is compared: in lower case (ASCII), without the dot that may end it. Invalid UTF-8 becomes U+FFFD. */
export function hostText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  return lowerCase(text).replace(/\.$/, '')
}

function lowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
