// Brings a checkout to where hullguard runs: Debian packages, npm packages, BPF object, addon, TypeScript. Idempotent: what is
// fresh is not touched, and when all is fresh this is one line in well under a second. Needs nothing but Node (it runs before
// `npm ci`), so it uses no package. Kernel mounts and running daemons are not its business.
//
//   node scripts/setup.mjs [--for run|test|demo|bench] [--build-only] [--only STAGE,…] [--quiet]
//
// Exit: 0 done (also when parts were left out because tools are missing: that is said), 1 a step failed, 2 usage or Node too old.
const MIN_NODE_MAJOR = 20

const major = Number(process.versions.node.split('.')[0])
if (major < MIN_NODE_MAJOR) {
  console.error(
    `setup: hullguard needs Node ${MIN_NODE_MAJOR} or newer; this is ${process.version} (${process.execPath})`,
  )
  process.exit(2)
}
const { main } = await import('./setup/main.mjs')
process.exitCode = main(process.argv.slice(2))
