/** Worker thread: reads rules, and sends them through the port that it was given. */
import { type MessagePort, workerData } from 'node:worker_threads'
import type { RulePaths } from './rule-loader.js'
import { readRules } from './rule-reader.js'

const { paths, port } = workerData as { paths: RulePaths; port: MessagePort }
await readRules(paths, (piece) => port.postMessage(piece))
port.close()
