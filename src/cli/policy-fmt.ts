/** hullguard policy fmt: policy files in one form. Needs no privilege. */
import { renameSync, statSync, writeFileSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { type FormatResult, formatPolicyFile } from '../policy/format.js'
import type { PolicyInput } from '../policy/load.js'
import { readPolicyPaths } from '../policy/read-files.js'
import { renderDiagnostics } from '../policy/render-diagnostics.js'
import { visible } from '../policy/visible-text.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import type { CommandSpec } from './command.js'
import { namedPaths } from './policy-files.js'

export const fmtCommand: CommandSpec = {
  name: 'fmt',
  summary: 'print policy files in one form: keys in order, lines of one width; comments stay',
  options: ['policies', 'config'],
  own: [
    { flags: '--check', help: 'name the files that are in another form, and end with 1 if there are any' },
    { flags: '--write', help: 'write them over' },
  ],
  arguments: [{ name: '[files...]', help: 'policy files or folders, in addition to --policies' }],
  async run(settings, { args, own }) {
    const paths = namedPaths([...settings.list('policies'), ...args])
    if (paths.length === 0) throw new HullguardError('usage', 'no policy files: name some, or give --policies')
    if (own.check === true && own.write === true) throw new HullguardError('usage', 'give --check or --write, not both')
    const { inputs, diagnostics } = await readPolicyPaths(paths)
    process.stderr.write(renderDiagnostics({ diagnostics, omittedCount: 0, sources: new Map() }))
    let isGood = diagnostics.every(({ severity }) => severity !== 'error')
    for (const input of inputs) {
      const result = formatPolicyFile(input)
      process.stderr.write(renderDiagnostics(result))
      if (result.text === undefined) isGood = false
      else if (own.check !== true && own.write !== true) process.stdout.write(result.text)
      else if (isOther(input, result)) {
        if (own.write === true) await writeOver(input.file, result.text)
        else isGood = false
        process.stdout.write(`${visible(input.file)}${own.write === true ? ' written' : ' is in another form'}\n`)
      }
    }
    return isGood ? 0 : 1
  },
}

function isOther({ bytes }: PolicyInput, { text }: FormatResult): boolean {
  return text !== new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

/** Whole or not at all; a link stays a link. */
async function writeOver(file: string, text: string): Promise<void> {
  const real = await realpath(file)
  const draft = `${real}.${process.pid}.tmp`
  try {
    writeFileSync(draft, text, { mode: statSync(real).mode & 0o777, flag: 'wx' })
    renameSync(draft, real)
  } catch (error) {
    throw new HullguardError('usage', `${visible(file)} cannot be written: ${messageOf(error)}`)
  }
}
