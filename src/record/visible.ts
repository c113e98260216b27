/**
 * Makes text from hostile processes safe to show: what could move a cursor, change a title, hide or reorder text becomes a
 * visible escape (`\x1b`, `\u{202e}`). Everything else stays, so that names in any script can be read.
 */

/**
 * C0 and C1 controls and DEL; the bidirectional controls and marks; zero-width characters; line and paragraph
 * separators; interlinear and tag characters; surrogates without their other half.
 */
const HIDDEN =
  /[\p{Cc}\p{Cs}\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu

export function visible(text: string): string {
  return text.replace(HIDDEN, escaped)
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (character === '\n') return '\\n'
  if (character === '\t') return '\\t'
  if (character === '\r') return '\\r'
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
}

/** The same characters inside a JSON text, where `\uXXXX` is the only escape: the value stays exactly what it was. */
export function visibleJson(json: string): string {
  return json.replace(HIDDEN, (character) => {
    let units = ''
    for (let index = 0; index < character.length; index++) {
      units += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`
    }
    return units
  })
}
