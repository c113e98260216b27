/** SIGTERM and SIGINT end a command cleanly; a second one of the same kind ends it at once. */

/** Resolves with the signal's name. */
export function untilStopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        process.once(signal, () => process.exit(128 + (signal === 'SIGINT' ? 2 : 15)))
        resolve(signal)
      })
  })
}

/** A signal that aborts when the command is to end. */
export function stopAbortSignal(): AbortSignal {
  const controller = new AbortController()
  void untilStopSignal().then(() => controller.abort())
  return controller.signal
}
