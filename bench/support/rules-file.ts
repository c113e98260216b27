/**
 * Policies as files, for cases that run the real agent. The thousand rules are of all kinds, written as people write them, and speak
 * of things that the bench's loops do not touch: what is measured is the price of having them.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Of the rules, in a repeated row: mostly execs and files, as in public sets. */
const FORMS: readonly ((index: number) => string)[] = [
  (index) => `exec: { deny: [/opt/tool-${index}/run, tool-${index}] }`,
  (index) => `file: { deny: [{ path: /srv/app-${index}/secrets/**, access: [read] }] }`,
  (index) => `connect: { deny: ["10.${index % 250}.${index % 199}.0/24:${1024 + index}"] }`,
  (index) => `exec: { deny: [/usr/lib/vendor-${index}/**] }`,
  (index) => `file: { deny: [{ path: /var/lib/data-${index}/**, access: [write, create] }] }`,
  (index) =>
    `condition: evt.type = openat and fd.name startswith /etc/service-${index}/ and proc.name != service-${index}`,
  (index) => `condition: evt.type = execve and proc.name = miner-${index} and proc.args contains pool-${index}`,
]

/** Writes a policy of `count` rules for all containers into `dir` and returns its path. */
export function writeManyRules(dir: string, count: number): string {
  const rules = Array.from(
    { length: count },
    (_, index) => `  - rule: rule ${index}\n    ${FORMS[index % FORMS.length]?.(index) ?? ''}\n`,
  )
  return writePolicy(dir, `many-${count}`, rules.join(''))
}

/** Writes a policy for all containers into `dir` and returns its path. `rules`: YAML, indented as an entry of `rules`. */
export function writePolicy(dir: string, name: string, rules: string): string {
  const path = join(dir, `${name}.yaml`)
  writeFileSync(path, `policy: ${name}\ncontainers: all\nrules:\n${rules}`)
  return path
}
