/** Rules as they stand in a policy. */

export const when = (condition: string): string => `  - rule: r\n    condition: ${JSON.stringify(condition)}\n`
export const fileDenied = (entries: string): string => `  - rule: r\n    file: { deny: [${entries}] }\n`
export const listening = (entries: string): string => `  - rule: r\n    listen: { ${entries} }\n`

/** All rules for all containers. */
export const policyOf = (rules: string): string => `policy: p\ncontainers: all\nrules:\n${rules}`
