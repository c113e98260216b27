/** Fields of the event itself: its type, time, result and arguments. `evt.type` is the program's own business. */
import type { FieldValues, InternedText } from '../../match/conditions/values.js'
import { ABI_NAMES, syscallName } from '../../policy/syscalls.js'
import { resultName } from '../../record/errno.js'
import { Access, CallFlag, type EvCall, ExecFlag, SyscallFlag } from '../../sensor/generated/abi.js'
import { imageOf } from '../process/process-table.js'
import { TEXTS } from '../process/texts.js'
import { callArgument } from './call-arguments.js'
import type { EventContext } from './context.js'
import { addBigint, addText, type Extractor, type Extractors } from './extractor.js'
import { dateTimeText, isoText, timeText } from './time-text.js'

const SUCCESS = TEXTS.ofString('SUCCESS')
const IN_PROGRESS = TEXTS.ofString('EINPROGRESS')
const SYSCALL = TEXTS.ofString('syscall')
const EXIT = TEXTS.ofString('<')
/** -EINPROGRESS. */
const IN_PROGRESS_RESULT = -115

function timed(text: (timeNs: bigint) => string): Extractor {
  return ({ header, sources }, into) => {
    if (header !== undefined) into.addText(TEXTS.ofString(text(sources.utcNs(header.bootNs))))
  }
}

const addTime: Extractor = ({ header, sources }, into) => {
  if (header !== undefined) addBigint(into, sources.utcNs(header.bootNs))
}

function access(bit: number): Extractor {
  return ({ call }, into) => {
    if (call !== undefined) into.addBoolean((call.access & bit) !== 0)
  }
}

function hasResult(call: EvCall): boolean {
  return (call.flags & CallFlag.HAS_RESULT) !== 0
}

const errors = new Map<number, InternedText>()

function resultText(call: EvCall): InternedText {
  const high = call.resultHigh
  if (high < 0x8000_0000) return SUCCESS
  const low = call.resultLow
  let text = errors.get(low)
  if (text === undefined) {
    text = TEXTS.ofString(resultName(call.result))
    errors.set(low, text)
  }
  return text
}

function addResult({ call, connect, exec, fork }: EventContext, into: FieldValues): void {
  if (exec !== undefined) into.addNumber(0)
  else if (fork !== undefined) into.addNumber(fork.childPid)
  else if (connect !== undefined) into.addNumber(IN_PROGRESS_RESULT)
  else if (call !== undefined && hasResult(call)) into.addWide(call.resultHigh | 0, call.resultLow)
}

function addResultName({ call, connect, exec, fork }: EventContext, into: FieldValues): void {
  if (exec !== undefined || fork !== undefined) into.addText(SUCCESS)
  else if (connect !== undefined) into.addText(IN_PROGRESS)
  else if (call !== undefined && hasResult(call)) into.addText(resultText(call))
}

/** Of an exec, in Falco's words. */
function execFlags(flags: number): string {
  const names: string[] = []
  if (flags & ExecFlag.UPPER_LAYER) names.push('EXE_UPPER_LAYER')
  if (flags & ExecFlag.MEMFD) names.push('EXE_FROM_MEMFD')
  return names.join('|')
}

/** A named argument as text; undefined: the event has none of that name. */
function argumentOf(context: EventContext, name: string): InternedText | undefined {
  const { exec, call, fork, connect } = context
  if (call !== undefined) {
    if (name === 'res') return hasResult(call) ? resultText(call) : undefined
    return callArgument(call, name)
  }
  if (name === 'res') return connect === undefined ? SUCCESS : IN_PROGRESS
  if (exec === undefined) return name === 'pid' && fork !== undefined ? TEXTS.ofString(`${fork.childPid}`) : undefined
  const image = imageOf(context.process)
  switch (name) {
    case 'flags':
      return TEXTS.ofString(execFlags(exec.flags))
    case 'exe':
      return image.exe
    case 'args':
      return image.args
    case 'cwd':
      return image.cwd
    case 'env':
      return image.env
    case 'pid':
      return TEXTS.ofString(`${exec.pid}`)
    case 'uid':
      return TEXTS.ofString(`${exec.uid}`)
    case 'cap_permitted':
    case 'cap_effective':
      return undefined
    default:
      return undefined
  }
}

/** Those that `evt.args` lists, where they are there. */
const LISTED =
  'res fd name path filename oldpath newpath target linkpath dev dir type flags mode domain proto request pid sig nstype cmd uid gid exe args'.split(
    ' ',
  )

function addArguments(context: EventContext, into: FieldValues): void {
  const decoder = new TextDecoder()
  const parts = LISTED.flatMap((name) => {
    const text = argumentOf(context, name)
    return text === undefined ? [] : [`${name}=${decoder.decode(text.bytes)}`]
  })
  into.addText(TEXTS.ofString(parts.join(' ')))
}

/** `evt.arg.NAME`. */
export function argumentExtractor(name: string): Extractor {
  return (context, into) => addText(into, argumentOf(context, name))
}

export const EVENT_FIELDS: Extractors = {
  'evt.time': addTime,
  'evt.rawtime': addTime,
  'evt.time.s': timed((timeNs) => timeText(timeNs).slice(0, 8)),
  'evt.time.iso8601': timed(isoText),
  'evt.datetime': timed(dateTimeText),
  'evt.num': ({ number }, into) => into.addNumber(number),
  'evt.cpu': ({ header }, into) => {
    if (header !== undefined) into.addNumber(header.cpu)
  },
  'evt.dir': (_context, into) => into.addText(EXIT),
  'evt.args': addArguments,
  'evt.arg': (context, into, argument) => {
    if (argument !== undefined) addText(into, argumentOf(context, argument.text))
  },
  'evt.res': addResultName,
  'evt.rawres': addResult,
  'evt.failed': ({ call, connect, exec, fork }, into) => {
    if (exec !== undefined || fork !== undefined || connect !== undefined) into.addBoolean(false)
    else if (call !== undefined && hasResult(call)) into.addBoolean(call.resultHigh >= 0x8000_0000)
  },
  'evt.is_open_read': access(Access.READ),
  'evt.is_open_write': access(Access.WRITE),
  'evt.is_open_create': ({ call }, into) => {
    if (call !== undefined) into.addBoolean((call.flags & CallFlag.CREATED) !== 0)
  },
  'evt.is_open_exec': ({ call }, into) => {
    if (call !== undefined) into.addBoolean((call.access & Access.CREATE) !== 0 && (call.mode & 0o111) !== 0)
  },
  'evt.hostname': ({ sources: { hostname } }, into) => {
    if (hostname !== '') into.addText(TEXTS.ofString(hostname))
  },
  'evt.source': (_context, into) => into.addText(SYSCALL),
  'exec.path': ({ exec, process }, into) => {
    if (exec !== undefined) into.addText(TEXTS.ofString(process.invoked))
  },
  'exec.file': ({ exec, process }, into) => {
    if (exec !== undefined) addText(into, imageOf(process).exePath)
  },
  'exec.script': ({ exec, process }, into) => {
    if (exec !== undefined && exec.flags & ExecFlag.SCRIPT) into.addText(TEXTS.ofString(process.invoked))
  },
  'exec.is_multicall': execFlag(ExecFlag.MULTICALL),
  'exec.is_foreign_root': execFlag(ExecFlag.FOREIGN_ROOT),
  'exec.is_args_truncated': execFlag(ExecFlag.ARGS_TRUNCATED),
  'exec.is_path_truncated': execFlag(ExecFlag.PATH_TRUNCATED),
  'exec.is_refused': execFlag(ExecFlag.REFUSED),
  'exit.code': ({ exit }, into) => {
    if (exit !== undefined) into.addNumber(exit.signal === 0 ? exit.code : 0)
  },
  'exit.signal': ({ exit }, into) => {
    if (exit !== undefined) into.addNumber(exit.signal)
  },
  'exit.is_core_dumped': ({ exit }, into) => {
    if (exit !== undefined) into.addBoolean(exit.flags !== 0)
  },
  'syscall.name': ({ syscall }, into) => {
    if (syscall !== undefined) into.addText(TEXTS.ofString(syscallName(syscall.nr, syscall.abi)))
  },
  'syscall.nr': ({ syscall }, into) => {
    if (syscall !== undefined) into.addNumber(syscall.nr)
  },
  'syscall.abi': ({ syscall }, into) => {
    if (syscall !== undefined) into.addText(TEXTS.ofString(ABI_NAMES[syscall.abi] ?? 'native'))
  },
  'syscall.reason': ({ syscall }, into) => {
    if (syscall !== undefined)
      into.addText(TEXTS.ofString(syscall.flags & SyscallFlag.OUTSIDE ? 'outside_allowed' : 'first_use'))
  },
  'connect.repeats': ({ connect }, into) => {
    if (connect !== undefined) into.addNumber(connect.repeatsCount)
  },
}

function execFlag(flag: number): Extractor {
  return ({ exec }, into) => {
    if (exec !== undefined) into.addBoolean((exec.flags & flag) !== 0)
  }
}
