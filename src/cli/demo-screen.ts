/** How the demo looks: one line an act, in colour on a terminal and plain elsewhere. All text from the container is made visible. */
import { styleText } from 'node:util'
import { visible } from '../record/visible.js'
import type { Expected } from './demo-acts.js'

export type Mark = Expected | 'FAILED'
type Colour = Parameters<typeof styleText>[0]

const COLOURS = { seen: 'blue', alerted: 'yellow', stopped: 'green', FAILED: 'red' } as const satisfies Record<
  Mark,
  Colour
>
const MARK_CHARS = 8
const TITLE_CHARS = 25
const FARED_CHARS = 32
/** Below this the two sides of an act stand one below the other. */
const WIDE_CHARS = 2 + MARK_CHARS + TITLE_CHARS + FARED_CHARS + 60
/** Of what the container said: the rest of a line that it could make as long as it likes. */
const TEXT_MAX_CHARS = 120

export interface Screen {
  line(text: string): void
  heading(text: string): void
  /** Over the acts: whose words stand where. */
  columns(): void
  act(mark: Mark, title: string, fared: string, told: string): void
  verdict(isGood: boolean, text: string): void
}

export function openScreen(stream: NodeJS.WriteStream): Screen {
  const hasColour = stream.isTTY === true && process.env.NO_COLOR === undefined
  const paint = (colour: Colour, text: string) => (hasColour ? styleText(colour, text) : text)
  const write = (text: string) => stream.write(`${text.trimEnd()}\n`)
  const isWide = () => (stream.columns ?? WIDE_CHARS) >= WIDE_CHARS
  return {
    line: write,
    heading: (text) => write(`\n${paint('bold', text)}`),
    columns() {
      const left = `  ${''.padEnd(MARK_CHARS)} ${'what it does'.padEnd(TITLE_CHARS)} ${'the container went through'.padEnd(FARED_CHARS)}`
      if (isWide()) write(`\n${paint('dim', `${left} hullguard recorded`)}`)
    },
    act(mark, title, fared, told) {
      const head = `  ${paint([COLOURS[mark], 'bold'], mark.padEnd(MARK_CHARS))} ${title.padEnd(TITLE_CHARS)}`
      const ours = paint(COLOURS[mark], shorten(told))
      if (isWide()) write(`${head} ${shorten(fared).padEnd(FARED_CHARS)} ${ours}`)
      else write(`${head}\n           container: ${shorten(fared)}\n           hullguard: ${ours}`)
    },
    verdict: (isGood, text) => write(`\n${paint([isGood ? 'green' : 'red', 'bold'], text)}`),
  }
}

function shorten(text: string): string {
  const safe = visible(text)
  return safe.length <= TEXT_MAX_CHARS ? safe : `${safe.slice(0, TEXT_MAX_CHARS - 1)}…`
}
