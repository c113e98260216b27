/** hullguard policy schema: the JSON Schema of policy files, for editors. */
import { policySchema } from '../policy/schema.js'
import type { CommandSpec } from './command.js'

export const schemaCommand: CommandSpec = {
  name: 'schema',
  summary: 'print the JSON Schema of policy files, for editors',
  options: ['config'],
  async run() {
    process.stdout.write(`${JSON.stringify(policySchema(), undefined, 2)}\n`)
    return 0
  },
}
